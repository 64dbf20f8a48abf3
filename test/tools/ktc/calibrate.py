#!/usr/bin/env python3
"""What `ktc compile --quant int4 --calibrate` makes of inputs that are large in some places: calibrate.py KTC KTRUN FOLDER. Two products behind one another have the same number
of k's, but other ones are large in each, and each of two samples shows some of them. Needs numpy."""
import json
import os
import subprocess
import sys
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'hostile'))
import onnxwire as wire

K, ROWS = 256, 64
failures = []


def expect(what, condition):
    if not condition:
        failures.append(what)


def inputs(rng, large):
    x = rng.standard_normal((ROWS, K)).astype(np.float32)
    x[:, large] *= 30
    return x


def main(ktc, ktrun, folder):
    rng = np.random.default_rng(8)
    large = {'a': np.arange(0, K, 10), 'b': np.arange(5, K, 10)}
    w = {name: (rng.standard_normal((K, K)) / 16).astype(np.float32) for name in ('first', 'second')}
    factors = np.where(np.arange(K) % 9, 1, 30).astype(np.float32)
    w['factors'] = factors
    with open(f'{folder}/m.onnx', 'wb') as f:
        f.write(wire.model([wire.node('MatMul', ['x', 'first'], ['h']), wire.node('Tanh', ['h'], ['t']), wire.node('Mul', ['t', 'factors'], ['s']), wire.node('MatMul', ['s', 'second'], ['y'])],
                           [wire.value('x', wire.FLOAT, ['n', K])], [wire.value('h', wire.FLOAT, ['n', K]), wire.value('y', wire.FLOAT, ['n', K])],
                           [wire.tensor(n, wire.FLOAT, a.shape, raw=a.tobytes()) for n, a in w.items()]))
    for name, places in large.items():
        np.savez(f'{folder}/{name}.npz', x=inputs(rng, places))
    np.savez(f'{folder}/new.npz', x=inputs(rng, np.concatenate(list(large.values()))))

    def errors(output, *options):
        """Of both outputs on new inputs, of their own size."""
        subprocess.run([ktc, 'compile', f'{folder}/m.onnx', '-o', f'{folder}/{output}', '--target', 'host', '--quant', 'int4', '--accuracy-report', f'{folder}/r.json', *options], check=True)
        subprocess.run([ktrun, f'{folder}/{output}', '--device', 'host', '--input', f'@{folder}/new.npz', '--output', f'@{folder}/got.npz'], check=True)
        x, got = np.load(f'{folder}/new.npz')['x'], np.load(f'{folder}/got.npz')
        h = x @ w['first']
        expected = {'h': h, 'y': np.tanh(got['h']) * factors @ w['second']}  # of what the second product was given
        with open(f'{folder}/r.json', encoding='utf-8') as f:
            calibrated = {e.get('calibrated') for e in json.load(f)['weights'] if e['quantised']}
        return [((got[n] - e) ** 2).sum() / (e ** 2).sum() for n, e in expected.items()], calibrated

    plain, no = errors('plain.ktm')
    both, yes = errors('both.ktm', '--calibrate', f'@{folder}/a.npz', '--calibrate', f'@{folder}/b.npz')
    other, _ = errors('other.ktm', '--calibrate', f'@{folder}/b.npz')
    expect(f'calibrated: {no} and {yes}', (no, yes) == ({False}, {True}))
    expect(f'the first product: {both[0]} of {plain[0]}', both[0] < 0.85 * plain[0])
    expect(f'the second product: {both[1]} of {plain[1]}', both[1] < 0.8 * plain[1])
    expect(f'both samples: {both[0]} of {other[0]}', both[0] < 0.95 * other[0])
    errors('again.ktm', '--calibrate', f'@{folder}/a.npz', '--calibrate', f'@{folder}/b.npz', '--threads', '1')
    with open(f'{folder}/both.ktm', 'rb') as one, open(f'{folder}/again.ktm', 'rb') as two:
        expect('the bytes on one thread', one.read() == two.read())
    print('\n'.join(failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
