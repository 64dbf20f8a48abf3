#!/usr/bin/env python3
"""Models with an embedding [v, d] whose numbers make the logits as well, written in three ways, and some where they are not the same: share_weights.py KTC KTRUN FOLDER.
Compares sizes of artifacts, and results with numpy's at two shapes. Needs numpy."""
import json
import os
import subprocess
import sys
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'hostile'))
import onnxwire as wire

ROWS, COLUMNS = 3001, 384  # no multiple of a panel, and a mebibyte in INT8
WAYS = ('transposed', 'gemm', 'copied', 'one number differs', 'two readers')
SMALL = 600  # rows of a table that is not worth it


def model(way, table):
    rows = len(table)
    head = table.copy()
    if way == 'one number differs':
        head[rows - 1, COLUMNS - 1] += 1
    initializers = [wire.tensor('e', wire.FLOAT, table.shape, raw=table.tobytes())]
    nodes = [wire.node('Gather', ['e', 'ids'], ['x'], 'embed'), wire.node('Tanh', ['x'], ['t'], 'tanh')]
    if way == 'gemm':
        nodes.append(wire.node('Gemm', ['t', 'e'], ['logits'], 'head', transB=1))
    elif way in ('transposed', 'two readers'):
        nodes += [wire.node('Transpose', ['e'], ['et'], 'turn', perm=[1, 0]), wire.node('MatMul', ['t', 'et'], ['logits'], 'head')]
    else:
        initializers.append(wire.tensor('h', wire.FLOAT, head.shape[::-1], raw=np.ascontiguousarray(head.T).tobytes()))
        nodes.append(wire.node('MatMul', ['t', 'h'], ['logits'], 'head'))
    outputs = [wire.value('logits', wire.FLOAT, ['n', rows])]
    if way == 'two readers':
        nodes.append(wire.node('GatherElements', ['e', 'which'], ['picked'], 'pick', axis=0))
        outputs.append(wire.value('picked', wire.FLOAT, ['n', COLUMNS]))
    inputs = [wire.value('ids', wire.INT64, ['n'])] + [wire.value('which', wire.INT64, ['n', COLUMNS])] * (way == 'two readers')
    return wire.model(nodes, inputs, outputs, initializers), head


def main(ktc, ktrun, folder):
    rng = np.random.default_rng(3)
    wrong = 0
    for way in WAYS + ('small',):
        table = rng.standard_normal((SMALL if way == 'small' else ROWS, COLUMNS), np.float32) / 8
        text, head = model('transposed' if way == 'small' else way, table)
        with open(f'{folder}/m.onnx', 'wb') as f:
            f.write(text)
        # Sums of 384 products of numbers below 1/2: in FP32 in another order, rounded to halves, or with weights rounded to a 127th or an
        # eighth of the largest one of some.
        for options, bytes_each, tolerance in (([], 4, 1e-5), (['--precision', 'fp16'], 2, 4e-3), (['--quant', 'int8'], 1, 2e-2),
                                               (['--quant', 'int4', '--precision', 'fp16'], 0.57, 0.25)):
            subprocess.run([ktc, 'compile', f'{folder}/m.onnx', '-o', f'{folder}/m.ktm', '--target', 'sm_89,host', *options], check=True)
            inspected = subprocess.run([ktc, 'inspect', f'{folder}/m.ktm', '--format', 'json'], check=True, capture_output=True, text=True).stdout
            stored, once = json.loads(inspected)['weight_bytes'], table.size * bytes_each
            if (stored < 1.5 * once) != (way not in ('one number differs', 'small')):
                print(f'{way} {options}: weights of {stored} bytes, of which the table is {once}')
                wrong += 1
            for n in (1, 5):
                ids = rng.integers(-len(table), len(table), n)
                inputs, expected = {'ids': ids}, {'logits': np.tanh(table[ids]) @ head.T}
                if way == 'two readers':
                    inputs['which'] = rng.integers(0, len(table), (n, COLUMNS))
                    expected['picked'] = np.take_along_axis(table, inputs['which'], 0)
                np.savez(f'{folder}/in.npz', **inputs)
                np.savez(f'{folder}/out.npz', **expected)
                done = subprocess.run([ktrun, f'{folder}/m.ktm', '--device', 'host', '--input', f'@{folder}/in.npz', '--expected', f'@{folder}/out.npz', '--atol',
                                       str(tolerance), '--rtol', '1e-3'], capture_output=True, text=True)
                if done.returncode:
                    print(f'{way} {options}, {n} rows: {done.stdout}{done.stderr}')
                    wrong += 1
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
