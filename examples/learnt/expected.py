#!/usr/bin/env python3
"""Writes what PyTorch makes of the trained model, for test/examples/learnt.py: expected.py WEIGHTS TEXT OUT. WEIGHTS is the folder that train.py wrote, TEXT the one that text.sh
wrote; OUT gets expected.json, with

    window, windows, perplexity     how many tokens of held-out text are read at once, which windows of so many, and the perplexity of their tokens
    greedy                          prompts and what follows them

Weights are those in FP16, and all else is computed in FP32. Greedy text is that of prompts for which no choice was so close that rounding in FP16 would turn it."""
import json
import math
import os
import sys

import numpy as np
import torch

from model import Config, Llama
from tokenizer import Tokenizer

WINDOW, WINDOWS = 512, 8
PROMPTS, COUNT, MARGIN = 4, 40, 0.05
BEGINNINGS = ["And it came to pass in those days, that", "And Moses said unto the people,", "The LORD is my", "Blessed are they that", "And Jesus answered and said unto him,",
              "Now these are the names of", "My son, hear the", "Thus saith the LORD of hosts;", "And David said", "Praise ye the LORD", "For God so loved", "In the beginning",
              "And the king of Assyria", "Woe unto", "Then Peter", "Let us", "Who is", "Give ear,", "Behold, I", "And the priest shall"]


def load(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        model = Llama(Config(**json.load(file)))
    weights = np.load(os.path.join(folder, "weights.npz"))
    model.load_state_dict({name: torch.tensor(w.astype(np.float32)) for name, w in weights.items()})
    return model.eval()


def greedy(model, prompt):
    """The tokens that follow, to the end of a chapter at most, and the least distance between the likeliest token's logit and the next one's."""
    tokens, least = list(prompt), math.inf
    while len(tokens) < len(prompt) + COUNT and (len(tokens) == len(prompt) or tokens[-1]):
        logits, likeliest = model(torch.tensor([tokens]))[0, -1].topk(2)
        least = min(least, float(logits[0] - logits[1]))
        tokens.append(int(likeliest[0]))
    return tokens[len(prompt):], least


def main(weights, text, out):
    torch.set_grad_enabled(False)
    model, tokenizer = load(weights), Tokenizer(os.path.join(text, "tokenizer.json"))
    with open(os.path.join(text, "held-out.txt"), encoding="utf-8") as file:
        tokens = torch.tensor(tokenizer.chapters(file.read()))
    count = (len(tokens) - 1) // WINDOW
    windows = list(range(0, count, count // WINDOWS))[:WINDOWS]
    loss = model.loss(torch.stack([tokens[w * WINDOW:(w + 1) * WINDOW + 1] for w in windows]))
    found = []
    for prompt in BEGINNINGS:
        follows, least = greedy(model, tokenizer.encode(prompt))
        if least >= MARGIN and len(found) < PROMPTS:
            found.append({"prompt": prompt, "tokens": follows, "text": tokenizer.decode(follows)})
    if len(found) < PROMPTS:
        raise SystemExit(f"expected {PROMPTS} prompts without close choices but found {len(found)}: add to BEGINNINGS")
    with open(os.path.join(out, "expected.json"), "w", encoding="utf-8") as file:
        json.dump({"window": WINDOW, "windows": windows, "perplexity": math.exp(loss), "greedy": found}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
