#!/usr/bin/env python3
"""The report of `ktc compile --quant int8`: accuracy_report.py KTC FOLDER. One model has a weight for every fate that there is; what the report says of them is
compared with numpy's own arithmetic and with what the artifact holds. Needs numpy."""
import json
import os
import subprocess
import sys
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'hostile'))
import onnxwire as wire

DOUBLE = 11
failures = []


def expect(what, got, wanted):
    if got != wanted:
        failures.append(f'{what}: expected {wanted!r} but got {got!r}')


def near(what, got, wanted, tolerance):
    if got is None or not abs(got - wanted) <= tolerance:
        failures.append(f'{what}: expected about {wanted} but got {got}')


def weights(rng):
    draw = lambda *shape: (rng.standard_normal(shape) * 0.05).astype(np.float32)
    w = {'embed': draw(300, 64), 'up': draw(64, 2048), 'spiky': draw(2048, 48), 'kept.down': draw(48, 64), 'twice': draw(48, 96), 'little': draw(300, 4),
         'endless': draw(48, 32), 'router': draw(48, 40), 'codes': draw(300, 24), 'batches': draw(2, 32, 32), 'taps': draw(20, 3, 3, 3), 'exact': draw(48, 32)}
    w['spiky'][5] = 15  # of 300 standard deviations, in every column
    w['spiky'][7, 9] = 60
    w['endless'][3, 3] = np.inf
    w['exact'][:] = rng.integers(-127, 128, w['exact'].shape) / 64
    w['exact'][0] = 127 / 64
    w['wide'] = rng.standard_normal((48, 16))
    return w


def model(w):
    node, value = wire.node, wire.value
    nodes = [node('Gather', ['embed', 'ids'], ['x'], 'look up'), node('MatMul', ['x', 'up'], ['u'], 'up'), node('Sigmoid', ['u'], ['s'], 'gate'),
             node('MatMul', ['s', 'spiky'], ['h'], 'spikes'), node('MatMul', ['h', 'kept.down'], ['k'], 'down'), node('MatMul', ['h', 'twice'], ['t1'], 'first'),
             node('Tanh', ['h'], ['th'], 'tanh'), node('MatMul', ['th', 'twice'], ['t2'], 'second'), node('Gather', ['little', 'ids'], ['l'], 'little'),
             node('Exp', ['h'], ['eh'], 'exp'), node('MatMul', ['eh', 'endless'], ['e'], 'endless'), node('Elu', ['h'], ['ch'], 'elu'), node('MatMul', ['ch', 'router'], ['r'], 'router'),
             node('TopK', ['r', 'two'], ['rv', 'ri'], 'choose'), node('Gather', ['codes', 'ids'], ['c'], 'codes'), node('ArgMax', ['c'], ['ci'], 'search', axis=-1),
             node('MatMul', ['b', 'batches'], ['bb'], 'batches'), node('Conv', ['image', 'taps'], ['z'], 'filter', kernel_shape=[3, 3]),
             node('Softplus', ['h'], ['sh'], 'softplus'), node('MatMul', ['sh', 'exact'], ['ex'], 'exact'), node('Cast', ['h'], ['hd'], 'widen', to=DOUBLE), node('MatMul', ['hd', 'wide'], ['d'], 'wide')]
    initializers = [wire.tensor(n, DOUBLE if a.dtype == np.float64 else wire.FLOAT, a.shape, raw=a.tobytes()) for n, a in w.items()]
    initializers.append(wire.tensor('two', wire.INT64, [1], ints=[2]))
    inputs = [value('ids', wire.INT64, ['n']), value('b', wire.FLOAT, [2, 'm', 32]), value('image', wire.FLOAT, [1, 3, 8, 8])]
    outputs = [value(n, wire.FLOAT, ['n', d]) for n, d in (('k', 64), ('t1', 96), ('t2', 96), ('l', 4), ('e', 32), ('ex', 32))]
    outputs += [value('ri', wire.INT64, ['n', 2]), value('ci', wire.INT64, ['n', 1]), value('bb', wire.FLOAT, [2, 'm', 32]), value('z', wire.FLOAT, [1, 20, 6, 6]), value('d', DOUBLE, ['n', 16])]
    return wire.model(nodes, inputs, outputs, initializers)


def loss(w, axis):
    """Decibels of a weight and of its worst channel, that channel, and the largest error; scales are along `axis`."""
    w = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)
    scale = np.abs(w).max(1, keepdims=True) / np.float32(127)
    error = w.astype(np.float64) - np.rint(w / scale) * scale.astype(np.float64)
    signal, noise = (w.astype(np.float64) ** 2).sum(1), (error ** 2).sum(1)
    ratio = 10 * np.log10(signal / noise)
    return 10 * np.log10(signal.sum() / noise.sum()), ratio.min(), int(ratio.argmin()), np.abs(error).max()


def compile_model(ktc, folder, *options, report='r.json', output='m.ktm'):
    done = subprocess.run([ktc, 'compile', f'{folder}/m.onnx', '-o', f'{folder}/{output}', '--target', 'host', '--quant', 'int8', '--accuracy-report', f'{folder}/{report}', *options],
                          capture_output=True, text=True)
    expect(f'status of {options}', done.returncode, 0)
    with open(f'{folder}/{report}', encoding='utf-8') as f:
        return f.read(), done.stderr


def stored(ktc, folder, output='m.ktm'):
    return json.loads(subprocess.run([ktc, 'inspect', f'{folder}/{output}', '--format', 'json'], check=True, capture_output=True, text=True).stdout)


def check_sums(what, report, weight_bytes):
    totals = report['totals']
    expect(f'{what}: bytes of the artifact', totals['bytes_after'], weight_bytes)
    expect(f'{what}: sum of bytes after', sum(w['bytes_after'] for w in report['weights']) + totals['other_bytes_after'], totals['bytes_after'])
    expect(f'{what}: sum of bytes before', sum(w['bytes_before'] for w in report['weights']) + totals['other_bytes_before'], totals['bytes_before'])
    expect(f'{what}: weights', totals['weights'], len(report['weights']))
    near(f'{what}: share', totals['share'], totals['bytes_after'] / totals['bytes_before'], 1e-4)


def check(ktc, folder):
    w = weights(np.random.default_rng(4))
    with open(f'{folder}/m.onnx', 'wb') as f:
        f.write(model(w))
    text, warnings = compile_model(ktc, folder, '--quant-exclude', 'kept*', '--threads', '1')
    expect('warnings', warnings.count('\n'), 1)
    expect('the warning', "1 weight stays as it is because INT8 would leave less than 25.0 dB of signal to noise, the worst 'spiky' with " in warnings, True)
    report = json.loads(text)
    for threads in ('2', '5'):
        expect(f'{threads} threads', compile_model(ktc, folder, '--quant-exclude', 'kept*', '--threads', threads)[0] == text, True)
    inspected = stored(ktc, folder)
    check_sums('JSON', report, inspected['weight_bytes'])
    expect('the report among the options', 'accuracy' in inspected['options'] or 'min_snr' in inspected['options'], False)
    expect('version, limit', (report['version'], report['quant'], report['min_snr_db']), (1, 'int8', 25))

    by = {entry['name']: entry for entry in report['weights']}
    expect('weights', sorted(by), sorted(w))
    expect('int8', {n for n, e in by.items() if e['quantised']}, {'embed', 'up', 'twice', 'taps', 'exact'})
    expect('reasons', {n: e['reason'] for n, e in by.items() if 'reason' in e},
           {'spiky': 'low_snr', 'kept.down': 'excluded', 'little': 'small', 'endless': 'not_finite', 'router': 'exact', 'codes': 'exact', 'batches': 'unpacked', 'wide': 'place'})
    expect('words', by['kept.down']['reason_text'], "excluded by 'kept*'")
    expect('words of the small one', by['little']['reason_text'], 'too small: rows of 4 elements, fewer than 8')
    measured = [e.get('snr_db') for e in report['weights'] if 'snr_db' in e and e['snr_db'] is not None]
    expect('order', measured, sorted(measured))
    expect('the worst comes first', report['weights'][0]['name'], 'spiky')
    for name, axis, shape, became in (('embed', 0, [300, 64], 'row'), ('up', 1, [64, 2048], 'channel'), ('twice', 1, [48, 96], 'channel'), ('taps', 0, [20, 3, 3, 3], 'channel'),
                                      ('spiky', 1, [2048, 48], None)):
        entry, (decibels, worst, channel, error) = by[name], loss(w[name], axis)
        near(f'{name}: dB', entry['snr_db'], decibels, 0.006)
        near(f'{name}: dB of the worst channel', entry['worst_channel']['snr_db'], worst, 0.006)
        expect(f'{name}: worst channel', entry['worst_channel']['index'], channel)
        near(f'{name}: largest error', entry['largest_error'], error, 1e-4 * error)
        near(f'{name}: in steps', entry['largest_error_steps'], 0.5, 0.02)
        expect(f'{name}: shape', entry['shape'], shape)
        expect(f'{name}: scales', entry.get('scales'), became)
    expect('twice: nodes', {'first', 'second'} <= set(by['twice']['nodes']), True)
    expect('twice: bytes', (by['twice']['bytes_before'], by['twice']['bytes_after']), (48 * 96 * 4, 48 * 96 + 96 * 4))
    expect('spiky: bytes', (by['spiky']['bytes_before'], by['spiky']['bytes_after']), (2048 * 48 * 4, 2048 * 48 * 4))
    expect('exact: dB', (by['exact']['snr_db'], 'worst_channel' in by['exact'], by['exact']['largest_error']), (None, False, 0))

    # Any weight, and then none that loses anything.
    report = json.loads(compile_model(ktc, folder, '--quant-min-snr', '0')[0])
    expect('no limit', [e['reason'] for e in report['weights'] if e.get('reason') in ('low_snr', 'excluded')], [])
    expect('no limit among the options', 'quant_min_snr=0' in stored(ktc, folder)['options'].split(), True)
    report = json.loads(compile_model(ktc, folder, '--quant-min-snr', '99.5')[0])
    expect('int8 over 99.5 dB', [e['name'] for e in report['weights'] if e['quantised']], ['exact'])
    expect('99.5 dB among the options', 'quant_min_snr=99.5' in stored(ktc, folder)['options'].split(), True)
    # What stays is then stored in half precision; and IR may be asked for in place of an artifact.
    report = json.loads(compile_model(ktc, folder, '--precision', 'fp16')[0])
    by = {entry['name']: entry for entry in report['weights']}
    check_sums('FP16', report, stored(ktc, folder)['weight_bytes'])
    expect('FP16: spiky', (by['spiky']['bytes_before'], by['spiky']['bytes_after']), (2048 * 48 * 4, 2048 * 48 * 2))
    for options in (['-O0'], ['-O1'], ['--precision', 'bf16', '-O0']):
        report = json.loads(compile_model(ktc, folder, *options)[0])
        check_sums(str(options), report, stored(ktc, folder)['weight_bytes'])
    early = json.loads(compile_model(ktc, folder, '--compile-to', 'precision', output='m.mlir')[0])
    expect('IR', early['totals']['int8_weights'], 6)

    # For people: a line each, the same numbers.
    text, _ = compile_model(ktc, folder, '--quant-exclude', 'kept*', report='r.txt')
    lines = text.splitlines()
    heads = [line.split() for line in lines if line.startswith('  dB') or 'before' in line]
    expect('columns', ['dB', 'worst', 'channel', 'error', 'steps', 'before', 'after', 'shape', 'weight', 'became;', 'nodes'] in heads, True)
    rows = [line for line in lines if any(f' {name} ' in line for name in w)]
    expect('rows', len(rows), len(w))
    expect('the worst row comes first', ' spiky ' in rows[0] and 'loses too much: ' in rows[0] and 'less than 25.0; spikes' in rows[0], True)
    expect('totals', f'{len(w)} weights: 5 in int8, {len(w) - 5} as before; least signal to noise 25 dB' in lines, True)


def check_tied(ktc, folder):
    """An embedding that makes the logits as well: its numbers are stored with the product's."""
    table = np.random.default_rng(5).standard_normal((3001, 384), np.float32)
    with open(f'{folder}/m.onnx', 'wb') as f:
        f.write(wire.model([wire.node('Gather', ['e', 'ids'], ['x'], 'embed'), wire.node('Tanh', ['x'], ['t']), wire.node('Gemm', ['t', 'e'], ['y'], 'head\nline', transB=1)],
                           [wire.value('ids', wire.INT64, ['n'])], [wire.value('y', wire.FLOAT, ['n', 3001])], [wire.tensor('e', wire.FLOAT, table.shape, raw=table.tobytes())]))
    report = json.loads(compile_model(ktc, folder)[0])
    check_sums('tied', report, stored(ktc, folder)['weight_bytes'])
    rows, columns = sorted((e['scales'], e['bytes_after'], e.get('stored_with')) for e in report['weights'])[::-1]
    expect('tied: the table', rows, ('row', 3001 * 4, 'e'))
    expect('tied: the product', columns[0::2], ('channel', None))
    report = json.loads(compile_model(ktc, folder, '--precision', 'fp16', '--quant-exclude', 'e')[0])
    check_sums('tied halves', report, stored(ktc, folder)['weight_bytes'])
    expect('tied halves', sorted(e['bytes_after'] for e in report['weights']), [0, 3008 * 384 * 2])
    text, _ = compile_model(ktc, folder, report='r')
    expect('a line is one', [line.split(' ')[0] for line in text.splitlines() if line.startswith('line')], [])


def check_parts(ktc, folder):
    """A gate and what it multiplies are one weight, whose panels take turns and are filled up."""
    rng = np.random.default_rng(7)
    gate, up = (rng.standard_normal((64, 40), np.float32) for _ in range(2))
    gate[:, 7] /= 100
    gate[0, 7] = 1
    with open(f'{folder}/m.onnx', 'wb') as f:
        f.write(wire.model([wire.node('MatMul', ['x', 'gate'], ['g']), wire.node('Sigmoid', ['g'], ['s']), wire.node('MatMul', ['x', 'up'], ['u']), wire.node('Mul', ['s', 'u'], ['y'])],
                           [wire.value('x', wire.FLOAT, ['n', 64])], [wire.value('y', wire.FLOAT, ['n', 40])],
                           [wire.tensor(name, wire.FLOAT, w.shape, raw=w.tobytes()) for name, w in (('gate', gate), ('up', up))]))
    entry, = json.loads(compile_model(ktc, folder)[0])['weights']
    decibels, worst, channel, _ = loss(np.concatenate([up, gate], 1), 1)
    expect('parts: channel', (channel, entry['worst_channel']['index'], entry['shape'], entry['name']), (47, 47, [64, 80], 'up+gate'))
    near('parts: dB', entry['snr_db'], decibels, 0.006)
    near('parts: dB of the worst channel', entry['worst_channel']['snr_db'], worst, 0.006)


def check_names(ktc, folder):
    """Names are the model's: what is no text or would end a line is written in another way."""
    strange = b'w"\xff\n\x1b[2J'
    w = np.random.default_rng(6).standard_normal((32, 32), np.float32)
    with open(f'{folder}/m.onnx', 'wb') as f:
        f.write(wire.model([wire.node('MatMul', ['x', strange], ['y'], 'n\t\r\n')], [wire.value('x', wire.FLOAT, ['n', 32])], [wire.value('y', wire.FLOAT, ['n', 32])],
                           [wire.tensor(strange, wire.FLOAT, w.shape, raw=w.tobytes())]))
    report = json.loads(compile_model(ktc, folder)[0])
    expect('a name that is no text', report['weights'][0]['name'], 'w"\ufffd\n\x1b[2J')
    expect('a node of several lines', report['weights'][0]['nodes'], ['n\t\r\n'])
    compile_model(ktc, folder, report='r.txt')
    with open(f'{folder}/r.txt', 'rb') as f:
        expect('other lines than in any table', [c for c in f.read() if c < 32 and c != 10], [])
    expect('lines', len(compile_model(ktc, folder, report='r.txt')[0].splitlines()), 8)


def main(ktc, folder):
    check(ktc, folder)
    check_tied(ktc, folder)
    check_parts(ktc, folder)
    check_names(ktc, folder)
    print('\n'.join(failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
