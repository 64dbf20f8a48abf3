"""int8_rows.py KTC FOLDER: what `ktc compile --activations int8` makes of three weights: one like any other, one with an outlier a column, and one that is to stay as it is."""
import json
import os
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'hostile'))
import onnxwire as wire

K, N = 320, 32
OPS = {'even': 'Tanh', 'outliers': 'Elu', 'kept': 'Softplus'}  # products of one left side would be one


def weights():
    rng = np.random.default_rng(3)
    w = {name: rng.standard_normal((K, N), np.float32) for name in OPS}
    w['outliers'][5] = 400  # takes 27 dB of 320 numbers, and 31 of 128
    return w


def model(w):
    nodes, outputs = [], []
    for name, op in OPS.items():
        nodes += [wire.node(op, ['x'], [f'{name}.x'], f'{name}.{op}'), wire.node('MatMul', [f'{name}.x', name], [f'{name}.y'], name)]
        outputs.append(wire.value(f'{name}.y', wire.FLOAT, ['m', N]))
    return wire.model(nodes, [wire.value('x', wire.FLOAT, ['m', K])], outputs, [wire.tensor(name, wire.FLOAT, a.shape, raw=a.tobytes()) for name, a in w.items()])


def decibels(w, group):
    """Of steps of FP16, each for `group` along k."""
    noise = 0
    for begin in range(0, K, group):
        part = w[begin:begin + group].astype(np.float64)
        scale = (np.abs(part).max(0).astype(np.float32) / np.float32(127)).astype(np.float16).astype(np.float64)
        noise += ((part - np.rint(part / scale) * scale)**2).sum()
    return 10 * np.log10((w.astype(np.float64)**2).sum() / noise)


def main(ktc, folder):
    os.makedirs(folder, exist_ok=True)
    w = weights()
    with open(f'{folder}/model.onnx', 'wb') as f:
        f.write(model(w))
    command = [ktc, 'compile', f'{folder}/model.onnx', '--activations', 'int8', '--quant-exclude', 'kept', '--accuracy-report', f'{folder}/r.json']
    subprocess.run([*command, '-o', f'{folder}/model.mlir', '--compile-to', 'precision'], check=True)
    with open(f'{folder}/r.json', encoding='utf-8') as f:
        report = {v['name']: v for v in json.load(f)['weights']}
    for name, activations, scales, group in (('even', 'int8', 'channel', K), ('outliers', 'model', 'group', report['outliers']['group'])):
        got = report[name]
        assert (got['activations'], got['scales']) == (activations, scales), (name, got)
        assert abs(got['snr_db'] - decibels(w[name], group)) < 0.02, (name, got['snr_db'], decibels(w[name], group))
    assert 'activations' not in report['kept'], report['kept']
    with open(f'{folder}/model.mlir', encoding='utf-8') as f:
        products = [line for line in f if 'kt.matmul' in line]
    assert [('int8_rows' in line, 'blocks' in line) for line in products] == [(True, True), (False, True), (False, False)], products


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2])
