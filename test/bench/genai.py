#!/usr/bin/env python3
"""Decoding on the CPU beside onnxruntime-genai: the same exported model, the same prompt, turn by turn.

genai.py make DIR HIDDEN INTER LAYERS HEADS KV_HEADS VOCABULARY   a Llama of random weights, exported by onnxruntime-genai's builder in FP32
genai.py compare DIR... [--bin BIN] [--prompt 64] [--new 64] [--rounds 5]

Needs onnxruntime-genai; `make` torch and transformers too. Fails where the tokens are not the same."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import numpy as np


def make(folder, hidden, inter, layers, heads, kv_heads, vocabulary):
    import torch
    import transformers
    from tokenizers import Tokenizer, models
    torch.manual_seed(1)
    config = transformers.LlamaConfig(hidden_size=hidden, intermediate_size=inter, num_hidden_layers=layers, num_attention_heads=heads,
                                      num_key_value_heads=kv_heads, vocab_size=vocabulary, max_position_embeddings=4096, bos_token_id=1,
                                      eos_token_id=2, pad_token_id=0)
    checkpoint = f'{folder}/checkpoint'
    transformers.LlamaForCausalLM(config).eval().save_pretrained(checkpoint)
    words = Tokenizer(models.WordLevel({f't{i}': i for i in range(vocabulary)}, unk_token='t0'))
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token='t0').save_pretrained(checkpoint)
    subprocess.run([sys.executable, '-m', 'onnxruntime_genai.models.builder', '-i', checkpoint, '-o', folder, '-p', 'fp32', '-e', 'cpu', '-c',
                    f'{folder}/builder'], check=True)


def theirs(model, prompt, new):
    """Tokens, milliseconds to the first one and for each one after it."""
    import onnxruntime_genai
    parameters = onnxruntime_genai.GeneratorParams(model)
    length = len(prompt) + new
    parameters.set_search_options(max_length=length, min_length=length, do_sample=False)
    generator = onnxruntime_genai.Generator(model, parameters)
    begin = time.perf_counter()
    generator.append_tokens(prompt)
    generator.generate_next_token()
    first = time.perf_counter()
    for _ in range(new - 1):
        generator.generate_next_token()
    end = time.perf_counter()
    return [int(t) for t in generator.get_sequence(0)][len(prompt):], (first - begin) * 1e3, (end - first) * 1e3 / (new - 1)


def ours(binaries, folder, prompt, new):
    tokens = ','.join(map(str, prompt))
    run = subprocess.run([f'{binaries}/ktrun', 'generate', folder, '--device', 'host', '--tokens', tokens, '--max-new', str(new), '--format',
                          'json'], check=True, capture_output=True, text=True)
    answer = json.loads(run.stdout)
    return answer['tokens'], answer['seconds_to_first'] * 1e3, 1e3 / answer['tokens_per_second']


def compare(folder, binaries, length, new, rounds):
    import onnxruntime_genai
    with open(f'{folder}/genai_config.json') as f:
        vocabulary = json.load(f)['model']['vocab_size']
    artifact = f'{folder}/model.ktm'
    subprocess.run([f'{binaries}/ktc', 'compile', f'{folder}/model.onnx', '-o', artifact, '--target', 'host'], check=True)
    prompt = np.random.default_rng(0).integers(3, vocabulary, length).astype(np.int32)
    model = onnxruntime_genai.Model(folder)
    rows = [(theirs(model, prompt, new), ours(binaries, folder, prompt, new)) for _ in range(rounds)]
    # Theirs, which must reach the length, passes over the stop token where ours ends.
    same = all(b[0] == a[0] or b[0][:-1] == a[0][:len(b[0]) - 1] and len(b[0]) < new for a, b in rows)
    peer, own = ([statistics.median(side[i] for side in sides) for i in (1, 2)] for sides in zip(*rows))
    print(f'{os.path.basename(os.path.abspath(folder))}: tokens {"the same" if same else "DIFFER"}; to the first {own[0]:.1f} ms, theirs {peer[0]:.1f}; '
          f'a token {own[1]:.3f} ms, theirs {peer[1]:.3f}: {peer[1] / own[1]:.2f}x', flush=True)
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    maker = commands.add_parser('make')
    maker.add_argument('folder')
    maker.add_argument('sizes', type=int, nargs=6)
    comparer = commands.add_parser('compare')
    comparer.add_argument('folders', nargs='+')
    comparer.add_argument('--bin', default='build/bin')
    comparer.add_argument('--prompt', type=int, default=64)
    comparer.add_argument('--new', type=int, default=64)
    comparer.add_argument('--rounds', type=int, default=5)
    options = parser.parse_args()
    if options.command == 'make':
        make(options.folder, *options.sizes)
        return 0
    results = [compare(folder, options.bin, options.prompt, options.new, options.rounds) for folder in options.folders]
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
