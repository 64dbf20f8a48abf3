#!/usr/bin/env python3
"""A decoder's tokens a second on a card, beside what the memory can: of the sizes of Llama 1B and 8B, in half precision, with random weights.

decoders.py make DIR 1b|8b|tiny          writes the model as onnxruntime-genai's builder would and genai_config.json
decoders.py time DIR --bin BIN [--device cuda:0] [--context 1024] [--new 128] [--streams 8] [--sample greedy] [--quant int8]

`time` compiles it and prints a row each: the time to the first of a prompt of 200 tokens and to the tenth, milliseconds a token at the context once graphs are recorded,
the share of the bandwidth of a plain read that the weights' bytes are, whether plain caches and a prompt in pieces give the same tokens, and how many times the tokens several
streams at once make. Needs onnx and numpy."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import numpy as np
import onnx
from onnx import TensorProto

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', '..', 'examples', 'learnt')]
import export

SIZES = {  # layers, hidden, heads, key heads, head size, inner, vocabulary
    'tiny': (2, 256, 4, 2, 64, 512, 1000),
    '1b': (16, 2048, 32, 8, 64, 8192, 128256),
    '8b': (32, 4096, 32, 8, 128, 14336, 128256),
}
STEP = 10240  # elements of noise between two weights, whole pages
BEFORE = 32   # tokens that are not counted: among them is the one for which the graph is recorded


class Window:
    """A weight that is a piece of the file of noise: all differ, and are written in no time."""

    def __init__(self, *shape):
        self.shape = shape

    @property
    def T(self):
        return Window(*reversed(self.shape))


class Windows(dict):
    """The weights by PyTorch's names, [out, in]."""

    def __init__(self, layers, hidden, heads, key_heads, size, inner, vocabulary):
        self.hidden = hidden
        self.shapes = {'embed_tokens': (vocabulary, hidden), 'q_proj': (heads * size, hidden), 'k_proj': (key_heads * size, hidden),
                       'v_proj': (key_heads * size, hidden), 'o_proj': (hidden, heads * size), 'gate_proj': (inner, hidden), 'up_proj': (inner, hidden),
                       'down_proj': (hidden, inner)}

    def __missing__(self, name):
        kind = name.split('.')[-2]
        return np.ones(self.hidden) if 'norm' in kind else Window(*self.shapes[kind])


class Graph(export.Graph):
    def __init__(self, type):
        super().__init__(type)
        self.offset = self.most = 0

    def weight(self, name, array, type=None):
        if not isinstance(array, Window):
            return super().weight(name, array, type)
        tensor = TensorProto(name=name, dims=array.shape, data_type=self.kind, data_location=TensorProto.EXTERNAL)
        length = int(np.prod(array.shape)) * 2
        for key, value in (('location', 'noise'), ('offset', self.offset), ('length', length)):
            tensor.external_data.add(key=key, value=str(value))
        self.most = max(self.most, self.offset + length)
        self.offset += 2 * STEP
        self.weights.append(tensor)
        return name

    def product(self, x, name, *weights):
        whole = Window(weights[0].shape[1], sum(w.shape[0] for w in weights))
        return self.op('MatMul', [x, self.weight(f"{name[1:].replace('/', '.')}.weight", whole)], name)


def make(folder, size):
    layers, hidden, heads, key_heads, head_size, inner, vocabulary = SIZES[size]
    config = {'num_hidden_layers': layers, 'hidden_size': hidden, 'num_attention_heads': heads, 'num_key_value_heads': key_heads, 'head_dim': head_size,
              'intermediate_size': inner, 'vocab_size': vocabulary, 'max_position_embeddings': 4096, 'rope_theta': 5e5, 'rms_norm_eps': 1e-5}
    os.makedirs(folder, exist_ok=True)
    graphs = []
    model = export.model(config, Windows(*SIZES[size]), np.float16, lambda type: graphs.append(Graph(type)) or graphs[0])
    noise = np.random.default_rng(0).standard_normal(1 << 24, np.float32) / np.sqrt(hidden, dtype=np.float32)
    np.resize(noise.astype(np.float16), graphs[0].most // 2).tofile(f'{folder}/noise')
    onnx.save(model, f'{folder}/model.onnx')
    with open(f'{folder}/genai_config.json', 'w', encoding='utf-8') as file:
        json.dump(export.genai_config(config), file)


def generate(options, prompts, new, *more):
    tokens = [part for prompt in prompts for part in ('--tokens', ','.join(map(str, prompt)))]
    command = [f'{options.bin}/ktrun', 'generate', options.folder, '--device', options.device, *tokens, '--max-new', str(new), '--stop', '', '--format', 'json',
               *more]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def going(options, prompts, *more):
    """Tokens of `new` and some before them, and seconds a token of the later ones: the difference of two runs, the faster of two each."""
    few, all = (min((generate(options, prompts, new, *more) for _ in range(2)), key=lambda row: row['seconds']) for new in (BEFORE, BEFORE + options.new))
    return all, (all['seconds'] - few['seconds']) / options.new / len(prompts)


def bandwidth(device):
    if not device.startswith('cuda'):
        return None
    import gemv
    with tempfile.TemporaryDirectory() as work:
        return gemv.read_bandwidth(work)[0]


def measure(options):
    begin = time.time()
    more = ['--sample', options.sample] if options.sample else []
    target = [] if options.device.startswith('cuda') else ['--target', 'host']
    subprocess.run([f'{options.bin}/ktc', 'compile', f'{options.folder}/model.onnx', '-o', f'{options.folder}/model.ktm', '--quant', options.quant, *more, *target], check=True)
    print(f'compiled in {time.time() - begin:.1f} s', flush=True)
    with open(f'{options.folder}/genai_config.json', encoding='utf-8') as file:
        vocabulary = json.load(file)['model']['vocab_size']
    prompts = np.random.default_rng(0).integers(1, vocabulary, (options.streams, options.context)).tolist()
    prompt = prompts[0]
    generate(options, [prompt[:200]], 10)  # the driver compiles what it does not have yet
    ten = generate(options, [prompt[:200]], 10)
    print(f'prompt of 200 tokens: the first after {ten["seconds_to_first"] * 1e3:.1f} ms, the tenth after {ten["seconds"] * 1e3:.1f} ms', flush=True)
    read = bandwidth(options.device)
    first = one = None
    for name, more in (('in place', []), ('plain', ['--plain']), ('in pieces', ['--piece', '333'])):
        row, seconds = going(options, [prompt], *more)
        first, one = first or row['tokens'], one or seconds
        rate = row['weight_bytes_per_second'] / row['tokens_per_second'] / seconds / 1e9
        share = f' = {100 * rate / read:.1f} % of {read:.0f}' if read else ''
        print(f'{name}: {1e3 * seconds:.3f} ms a token, {rate:.0f} GB/s{share}, tokens {"the same" if row["tokens"] == first else "DIFFER"}', flush=True)

    many, seconds = going(options, prompts)
    same = 'the same' if many['tokens'][0] == first else 'DIFFER'
    print(f'{options.streams} streams: {one / seconds:.2f} times the tokens of one, the first one\'s {same}', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    maker = commands.add_parser('make')
    maker.add_argument('folder')
    maker.add_argument('size', choices=SIZES)
    timer = commands.add_parser('time')
    timer.add_argument('folder')
    timer.add_argument('--bin', default='build/bin')
    timer.add_argument('--device', default='cuda:0')
    timer.add_argument('--context', type=int, default=1024)
    timer.add_argument('--new', type=int, default=128)
    timer.add_argument('--streams', type=int, default=8)
    timer.add_argument('--sample')
    timer.add_argument('--quant', default='none')
    options = parser.parse_args()
    if options.command == 'make':
        make(options.folder, options.size)
    else:
        measure(options)


if __name__ == '__main__':
    main()
