#!/usr/bin/env python3
"""What a trained model has to be, compiled: learnt.py EXAMPLE MODEL ARTIFACT [DEVICE [caches]]. EXAMPLE has tokenizer.py; MODEL is what examples/learnt/make.sh wrote; ARTIFACT is a folder with the
compiled model and its genai_config.json; DEVICE is host unless given. With `caches` these are kept in few bits: the text is known as well, and is written alike in each way."""
import collections
import json
import math
import os
import subprocess
import sys

import numpy as np

REPEATS = "And it came to pass on the day that Moses had fully set up the tabernacle"  # a chapter of the same gifts twelve times
READ, WRITTEN = 720, 240
TOLERANCE = 0.005
DEVICE = (sys.argv[4:] or ["host"])[0]


def fail(why):
    raise SystemExit(f"learnt.py: {why}")


def generate(artifact, tokens, *more):
    run = subprocess.run(["ktrun", "generate", artifact, "--device", DEVICE, "--tokens", ",".join(map(str, tokens)), "--format", "json", *more], capture_output=True, text=True)
    if run.returncode:
        fail(run.stderr)
    return json.loads(run.stdout)


def ports(path):
    """Of the caches, from what ktc inspect prints: names and shapes."""
    for line in subprocess.run(["ktc", "inspect", path], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        if words[:1] == ["input"] and words[1].startswith("past"):
            dims = line[line.index("[") + 1:line.index("]")].split(",")
            yield words[1], int(dims[1]), int(dims[3])


def check_perplexity(artifact, expected, tokens, tolerance):
    """Of windows of text that it has not seen, read with empty caches."""
    size, model = expected["window"], os.path.join(artifact, "model.ktm")
    windows = np.array([tokens[w * size:(w + 1) * size + 1] for w in expected["windows"]])
    inputs = {name: np.zeros((len(windows), heads, 0, width), np.float16) for name, heads, width in ports(model)}
    inputs.update(input_ids=windows[:, :-1], attention_mask=np.ones((len(windows), size), np.int64))
    files = [os.path.join(artifact, name) for name in ("inputs.npz", "outputs.npz")]
    np.savez(files[0], **inputs)
    subprocess.run(["ktrun", model, "--device", DEVICE, "--input", f"@{files[0]}", "--output", f"@{files[1]}"], check=True)
    with np.load(files[1]) as outputs:
        logits = outputs["logits"].astype(np.float32)
    if logits.shape[:2] != (len(windows), size):
        fail(f"logits of shape {logits.shape}")
    logits -= logits.max(-1, keepdims=True)
    right = np.take_along_axis(logits, windows[:, 1:, None], -1)[..., 0]
    perplexity = math.exp(np.mean(np.log(np.exp(logits).sum(-1)) - right))
    # Whoever knows how often each token is there, and nothing else, is as good as this.
    counts = np.array(list(collections.Counter(windows[:, 1:].flatten().tolist()).values()))
    frequencies = math.exp(-np.sum(counts / counts.sum() * np.log(counts / counts.sum())))
    print(f"perplexity {perplexity:.3f}, recorded {expected['perplexity']:.3f}, of single words' frequencies {frequencies:.1f}")
    if abs(perplexity / expected["perplexity"] - 1) > tolerance:
        fail(f"perplexity {perplexity} instead of {expected['perplexity']}")
    if perplexity > frequencies / 4:
        fail(f"perplexity {perplexity}: frequencies alone give {frequencies}")


def check_greedy(artifact, expected, tokenizer):
    for way in [], ["--plain"], ["--piece", "3"], ["--guess", "4", "--lookup", "1"]:
        for text in expected["greedy"]:
            tokens = generate(artifact, tokenizer.encode(text["prompt"]), "--max-new", str(len(text["tokens"])), *way)["tokens"]
            if tokens != text["tokens"] or tokenizer.decode(tokens) != text["text"]:
                fail(f"{way}: '{text['prompt']}' goes on as '{tokenizer.decode(tokens)}' instead of '{text['text']}'")
    print(f"{len(expected['greedy'])} continuations as recorded, in each way")


def check_ways(artifact, expected, tokenizer):
    for text in expected["greedy"]:
        prompt, more = tokenizer.encode(text["prompt"]), ["--max-new", str(len(text["tokens"]))]
        plain = generate(artifact, prompt, *more, "--plain")["tokens"]
        for way in [], ["--piece", "3"], ["--guess", "4", "--lookup", "1"], ["--pages", "0"]:
            tokens = generate(artifact, prompt, *more, *way)["tokens"]
            if tokens != plain:
                fail(f"{way}: '{text['prompt']}' goes on as '{tokenizer.decode(tokens)}' instead of '{tokenizer.decode(plain)}'")
    print(f"{len(expected['greedy'])} continuations alike in each way")


def check_guesses(artifact, prompt):
    """Text with repeats is written in fewer runs, and is the same."""
    alone, guessing = (generate(artifact, prompt, "--max-new", str(WRITTEN), *more) for more in ([], ["--guess", "8"]))
    tokens, runs, guessed, right = len(guessing["tokens"]), guessing["runs"], guessing["guessed"], guessing["accepted"]
    faster = guessing["tokens_per_second"] / alone["tokens_per_second"]
    print(f"guesses: {tokens} tokens in {runs} runs, {right} of {guessed} guesses were right, {faster:.2f} times the tokens a second")
    if guessing["tokens"] != alone["tokens"]:
        fail(f"guesses write {guessing['tokens']} instead of {alone['tokens']}")
    if tokens != runs + right + 1 or not right <= guessed <= 8 * runs or tokens < 2 * runs:
        fail(f"{tokens} tokens in {runs} runs with {right} right guesses of {guessed}")


def check_draws(artifact, prompt):
    draws = [generate(artifact, prompt, "--temperature", "0.8", "--top-p", "0.95", "--seed", seed)["tokens"] for seed in "112"]
    if draws[0] != draws[1] or draws[0] == draws[2] or draws[0] == generate(artifact, prompt)["tokens"]:
        fail(f"drawn {draws}")
    print("draws depend on the seed")


def main(example, model, artifact, *_):
    sys.path.insert(0, example)
    from tokenizer import Tokenizer
    tokenizer = Tokenizer(os.path.join(model, "tokenizer.json"))
    with open(os.path.join(model, "expected.json"), encoding="utf-8") as file:
        expected = json.load(file)
    with open(os.path.join(model, "held-out.txt"), encoding="utf-8") as file:
        text = file.read()
    if tokenizer.decode(tokenizer.encode(text)) != text:
        fail("text is not what it was before it was tokens")
    if sys.argv[5:] == ["caches"]:
        check_perplexity(artifact, expected, tokenizer.chapters(text), 0.003)
        return check_ways(artifact, expected, tokenizer)
    check_perplexity(artifact, expected, tokenizer.chapters(text), TOLERANCE)
    check_greedy(artifact, expected, tokenizer)
    check_guesses(artifact, tokenizer.encode(text[text.index(REPEATS):])[:READ])
    check_draws(artifact, tokenizer.encode("And the LORD said"))


if __name__ == "__main__":
    main(*sys.argv[1:])
