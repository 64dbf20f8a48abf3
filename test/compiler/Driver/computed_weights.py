#!/usr/bin/env python3
"""A model whose weights take every way into an artifact: computed_weights.py MODEL.onnx writes it, computed_weights.py MODEL.onnx ARTIFACT TOLERANCE ... compares each
artifact's results with numpy's at two numbers of rows. Needs numpy.

Packed from rows and from columns, with columns that are no multiple of a panel; a gate and what it multiplies in one matrix, either way; three products of one left side,
which become one; a table that is also the weights of the last product, and one that is not."""
import os
import subprocess
import sys
import tempfile
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'hostile'))
import onnxwire as wire

ROWS, HIDDEN, INNER = 2003, 256, 500


def weights():
    rng = np.random.default_rng(5)
    shapes = {'embed': (ROWS, HIDDEN), 'other': (700, HIDDEN), 'q': (HIDDEN, 203), 'k': (HIDDEN, 203), 'v': (HIDDEN, 203), 'o': (HIDDEN, 203),
              'gate_up': (HIDDEN, 2 * INNER), 'down': (INNER, HIDDEN), 'up_gate': (2 * INNER, HIDDEN), 'down2': (HIDDEN, INNER)}
    return {name: (rng.standard_normal(shape) / np.sqrt(HIDDEN)).astype(np.float32) for name, shape in shapes.items()}


def write(path):
    w = weights()
    nodes = []

    def add(op, inputs, name, **attributes):
        nodes.append(wire.node(op, inputs, [name], name, **attributes))
        return name

    def halves(x, at):
        parts = [at + '.0', at + '.1']
        nodes.append(wire.node('Split', [x], parts, at, axis=-1, num_outputs=2))
        return add('Mul', [add('Mul', [parts[0], add('Sigmoid', [parts[0]], at + '.s')], at + '.silu'), parts[1]], at + '.m')

    def gemm(x, name):
        return add('Gemm', [x, name], name + '.r', transB=1)

    x = add('Add', [add('Gather', ['embed', 'ids'], 'x0'), add('Gather', ['other', 'kinds'], 'x1')], 'x')
    q, k, v = (add('MatMul', [x, name], name + '.r') for name in 'qkv')
    x = add('Add', [x, gemm(add('Mul', [add('Tanh', [add('Add', [q, k], 'qk')], 't'), v], 'tv'), 'o')], 'y1')
    x = add('Add', [x, add('MatMul', [halves(add('MatMul', [x, 'gate_up'], 'gu'), 'h1'), 'down'], 'd1')], 'y2')
    x = add('Add', [x, gemm(halves(gemm(x, 'up_gate'), 'h2'), 'down2')], 'y3')
    gemm(add('Tanh', [x], 'y4'), 'embed')
    initializers = [wire.tensor(name, wire.FLOAT, value.shape, raw=value.tobytes()) for name, value in w.items()]
    inputs = [wire.value(name, wire.INT64, ['n']) for name in ('ids', 'kinds')]
    with open(path, 'wb') as f:
        f.write(wire.model(nodes, inputs, [wire.value('embed.r', wire.FLOAT, ['n', ROWS])], initializers))


def expected(ids, kinds):
    w = weights()

    def gated(c):
        a, b = c[:, :INNER], c[:, INNER:]
        return a / (1 + np.exp(-a)) * b

    x = w['embed'][ids] + w['other'][kinds]
    x = x + (np.tanh(x @ w['q'] + x @ w['k']) * (x @ w['v'])) @ w['o'].T
    x = x + gated(x @ w['gate_up']) @ w['down']
    x = x + gated(x @ w['up_gate'].T) @ w['down2'].T
    return np.tanh(x) @ w['embed'].T


def compare(artifact, tolerance):
    rng = np.random.default_rng(6)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for n in (1, 37):
            given = {'ids': rng.integers(0, ROWS, n), 'kinds': rng.integers(0, 700, n)}
            np.savez(f'{folder}/in.npz', **given)
            subprocess.run(['ktrun', artifact, '--device', 'host', '--input', f'@{folder}/in.npz', '--output', f'@{folder}/out.npz'], check=True,
                           stdout=subprocess.DEVNULL)
            got, right = np.load(f'{folder}/out.npz')['embed.r'], expected(**given)
            error = np.abs(got - right).max() / np.abs(right).max()
            if not error <= tolerance:
                print(f'{artifact}, {n} rows: {error} of the largest, more than {tolerance}')
                wrong += 1
    return wrong


if __name__ == '__main__':
    if len(sys.argv) == 2:
        write(sys.argv[1])
    else:
        sys.exit(sum(compare(path, float(tolerance)) for path, tolerance in zip(sys.argv[2::2], sys.argv[3::2])) > 0)
