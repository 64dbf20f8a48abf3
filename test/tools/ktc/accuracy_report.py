#!/usr/bin/env python3
"""The report of `ktc compile --quant`: accuracy_report.py KTC FOLDER. One model has a weight for every fate that there is; what the report says of them is
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
    # Of nearly half a step, beside 127 steps in each 256 k's.
    w['spiky'][:] = rng.uniform(0.45, 0.5, w['spiky'].shape) * rng.choice([-1, 1], w['spiky'].shape) / 64
    w['spiky'][::256] = 127 / 64
    w['spiky'][::256, 9] = 1.9
    w['coarse'] = (rng.uniform(0.45, 0.5, (64, 64)) * rng.choice([-1, 1], (64, 64)) / 64).astype(np.float32)
    w['coarse'][::32] = 1 / 8  # of half a step of INT4, beside eight
    w['endless'][3, 3] = np.inf
    w['exact'][:] = rng.integers(-127, 128, w['exact'].shape) / 64
    w['exact'][::16] = 127 / 64  # in each group
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
    nodes += [node('Abs', ['x'], ['cx'], 'magnitudes'), node('MatMul', ['cx', 'coarse'], ['co'], 'coarse')]
    initializers = [wire.tensor(n, DOUBLE if a.dtype == np.float64 else wire.FLOAT, a.shape, raw=a.tobytes()) for n, a in w.items()]
    initializers.append(wire.tensor('two', wire.INT64, [1], ints=[2]))
    inputs = [value('ids', wire.INT64, ['n']), value('b', wire.FLOAT, [2, 'm', 32]), value('image', wire.FLOAT, [1, 3, 8, 8])]
    outputs = [value(n, wire.FLOAT, ['n', d]) for n, d in (('k', 64), ('t1', 96), ('t2', 96), ('l', 4), ('e', 32), ('ex', 32), ('co', 64))]
    outputs += [value('ri', wire.INT64, ['n', 2]), value('ci', wire.INT64, ['n', 1]), value('bb', wire.FLOAT, [2, 'm', 32]), value('z', wire.FLOAT, [1, 20, 6, 6]), value('d', DOUBLE, ['n', 16])]
    return wire.model(nodes, inputs, outputs, initializers)


def loss(w, axis, numbers=None):
    """Decibels of a weight and of its worst channel, that channel, and the largest error; scales are along `axis`, unless `numbers` stand for it."""
    w = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)
    if numbers is None:
        scale = np.abs(w).max(1, keepdims=True) / np.float32(127)
        numbers = np.rint(w / scale) * scale.astype(np.float64)
    error = w.astype(np.float64) - numbers
    signal, noise = (w.astype(np.float64) ** 2).sum(1), (error ** 2).sum(1)
    ratio = 10 * np.log10(signal / noise)
    return 10 * np.log10(signal.sum() / noise.sum()), ratio.min(), int(ratio.argmin()), np.abs(error).max()


def in_blocks(w, bits, group):
    """What a factor [k, n] stands for in blocks: columns, as rows."""
    out = np.zeros(w.shape[::-1])
    for begin in range(0, len(w), group):
        x = w[begin:begin + group]
        extreme = np.take_along_axis(x, np.abs(x).argmax(0)[None], 0)
        if bits == 8:
            scale = np.abs(extreme) / np.float32(127)
        else:
            unit, gain = extreme / np.float32(-8), np.zeros_like(extreme)
            scale = unit.copy()
            for candidate in (0.875, 0.92, 0.96, 1, 1.05, 1.1, 1.17, 1.25, 1.35):
                q = np.clip(np.rint(x / unit * np.float32(candidate)), -8, 7)
                products, squares = (x / unit * q).sum(0, keepdims=True), (q * q).sum(0, keepdims=True)
                better = products ** 2 / squares > gain
                gain, scale = np.where(better, products ** 2 / squares, gain), np.where(better, unit * products / squares, scale)
        scale = scale.astype(np.float16).astype(np.float32)
        out[:, begin:begin + group] = (np.clip(np.rint(x / scale), -1 << bits - 1, (1 << bits - 1) - 1) * scale.astype(np.float64)).T
    return out


def compile_model(ktc, folder, *options, report='r.json', output='m.ktm', quant='int8'):
    done = subprocess.run([ktc, 'compile', f'{folder}/m.onnx', '-o', f'{folder}/{output}', '--target', 'host', '--quant', quant, '--accuracy-report', f'{folder}/{report}', *options],
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


def check_entry(name, entry, expected, steps):
    decibels, worst, channel, error = expected
    near(f'{name}: dB', entry['snr_db'], decibels, 0.006)
    near(f'{name}: dB of the worst channel', entry['worst_channel']['snr_db'], worst, 0.006)
    expect(f'{name}: worst channel', entry['worst_channel']['index'], channel)
    near(f'{name}: largest error', entry['largest_error'], error, 1e-4 * error)
    near(f'{name}: in steps', entry['largest_error_steps'], steps, 0.02)


def check_int4(ktc, folder, w):
    """The same model: some weights lose too much and become INT8, tables and convolutions are that anyway."""
    text, warnings = compile_model(ktc, folder, '--quant-exclude', 'kept*', quant='int4')
    expect('INT4: warnings', warnings.count('\n'), 1)
    expect('INT4: the warning', "1 weight is not INT4 because that would leave less than 12.0 dB of signal to noise, the worst 'coarse' with " in warnings, True)
    report = json.loads(text)
    check_sums('INT4', report, stored(ktc, folder)['weight_bytes'])
    expect('INT4: limits', [report[key] for key in ('quant', 'min_snr_db', 'min_snr_db_int8')], ['int4:g32', 12, 25])
    expect('INT4: options', 'quant=int4:g32' in stored(ktc, folder)['options'].split(), True)
    by = {entry['name']: entry for entry in report['weights']}
    expect('INT4: bits', {n: e['bits'] for n, e in by.items() if e['quantised']}, {'embed': 8, 'up': 4, 'twice': 4, 'taps': 8, 'exact': 4, 'spiky': 4, 'coarse': 8})
    expect('INT4: counts', (report['totals']['int8_weights'], report['totals']['int4_weights']), (3, 4))
    for name, bits, group in (('up', 4, 32), ('twice', 4, 16), ('spiky', 4, 32), ('coarse', 8, 64)):
        check_entry(f'INT4 {name}', by[name], loss(w[name], 1, in_blocks(w[name], bits, group)), by[name]['largest_error_steps'])
        expect(f'INT4 {name}: group', (by[name]['group'], by[name]['scale_type']), (group, 'f16'))
    expect('INT4 up: bytes', by['up']['bytes_after'], 64 * 2048 // 2 + 2048 * 2 * 2)
    expect('INT4: reasons', [(by[n]['reason'], by[n]['reason_text']) for n in ('embed', 'taps')],
           [('place', 'no INT4 for what rows are looked up in'), ('place', 'no INT4 for convolutions')])
    expect('INT4: reason', (by['coarse']['reason'], by['coarse']['reason_text'].startswith('INT4 loses too much: '), by['coarse']['reason_text'].endswith(', less than 12.0')),
           ('low_snr', True, True))
    text, _ = compile_model(ktc, folder, report='r.txt', quant='int4:g16')
    expect('INT4: totals', f'{len(w)} weights: 6 in int4, 2 in int8, {len(w) - 8} as before; least signal to noise 12 dB in int4, 25 dB in int8' in text.splitlines(), True)
    expect('INT4: words', 'int4 per group of 16; up' in text and 'int8 per channel: no INT4 for convolutions; filter' in text, True)
    report = json.loads(compile_model(ktc, folder, quant='fp8')[0])
    by = {e['name']: e for e in report['weights']}
    expect('FP8: which', {n for n, e in by.items() if e['quantised'] and e['fp8']}, {'up', 'spiky', 'kept.down', 'twice', 'exact', 'coarse'})
    expect('FP8: counts', (report['quant'], report['totals']['int8_weights'], report['totals']['fp8_weights']), ('fp8:g128', 2, 6))
    near('FP8: a Gaussian', by['up']['snr_db'], 31.5, 0.5)
    # What a user says is said of both.
    report = json.loads(compile_model(ktc, folder, '--quant-min-snr', '35', quant='int4')[0])
    expect('INT4: limit of 35 dB', ({e['bits'] for e in report['weights'] if e['quantised']}, report['min_snr_db'], report['min_snr_db_int8']), ({8}, 35, 35))
    # The limit of INT8 is none that INT4 has unless it is said.
    compile_model(ktc, folder, '--quant-min-snr', '25', quant='int4')
    expect('INT4: 25 dB among the options', 'quant_min_snr=25' in stored(ktc, folder)['options'].split(), True)


def check(ktc, folder):
    w = weights(np.random.default_rng(4))
    with open(f'{folder}/m.onnx', 'wb') as f:
        f.write(model(w))
    text, warnings = compile_model(ktc, folder, '--quant-exclude', 'kept*', '--threads', '1', quant='int8:g256')
    expect('warnings', warnings.count('\n'), 1)
    expect('the warning', "1 weight stays as it is because INT8 would leave less than 25.0 dB of signal to noise, the worst 'spiky' with " in warnings, True)
    report = json.loads(text)
    for threads in ('2', '5'):
        expect(f'{threads} threads', compile_model(ktc, folder, '--quant-exclude', 'kept*', '--threads', threads, quant='int8:g256')[0] == text, True)
    inspected = stored(ktc, folder)
    check_sums('JSON', report, inspected['weight_bytes'])
    expect('the report among the options', 'accuracy' in inspected['options'] or 'min_snr' in inspected['options'], False)
    expect('version, limits', [report[key] for key in ('version', 'quant', 'min_snr_db', 'min_snr_db_int8')], [1, 'int8:g256', 25, 25])

    by = {entry['name']: entry for entry in report['weights']}
    expect('weights', sorted(by), sorted(w))
    expect('int8', {n for n, e in by.items() if e['quantised']}, {'embed', 'up', 'twice', 'taps', 'exact', 'coarse'})
    expect('counts', (report['totals']['int8_weights'], report['totals']['int4_weights']), (6, 0))
    expect('reasons', {n: e['reason'] for n, e in by.items() if 'reason' in e},
           {'spiky': 'low_snr', 'kept.down': 'excluded', 'little': 'small', 'endless': 'not_finite', 'router': 'exact', 'codes': 'exact', 'batches': 'unpacked', 'wide': 'place'})
    expect('words', by['kept.down']['reason_text'], "excluded by 'kept*'")
    expect('words of the small one', by['little']['reason_text'], 'too small: rows of 4 elements, fewer than 8')
    measured = [e.get('snr_db') for e in report['weights'] if 'snr_db' in e and e['snr_db'] is not None]
    expect('order', measured, sorted(measured))
    expect('the worst comes first', report['weights'][0]['name'], 'spiky')
    # Groups are as long as there are k's for them: 48 are three groups of 16.
    for name, axis, shape, became, group in (('embed', 0, [300, 64], 'row', None), ('up', 1, [64, 2048], 'group', 64), ('twice', 1, [48, 96], 'group', 16),
                                             ('taps', 0, [20, 3, 3, 3], 'channel', None), ('spiky', 1, [2048, 48], None, 256)):
        check_entry(name, by[name], loss(w[name], axis, in_blocks(w[name], 8, group) if group else None), 0.5)
        expect(f'{name}: shape', by[name]['shape'], shape)
        expect(f'{name}: scales', [by[name].get(key) for key in ('scales', 'bits')], [became, 8 if became else None])
        expect(f'{name}: group', [by[name].get(key) for key in ('group', 'scale_type')], [group, 'f16'] if became == 'group' else [None, None])
    expect('twice: nodes', {'first', 'second'} <= set(by['twice']['nodes']), True)
    expect('twice: bytes', (by['twice']['bytes_before'], by['twice']['bytes_after']), (48 * 96 * 4, 48 * 96 + 96 * 3 * 2))
    expect('spiky: bytes', (by['spiky']['bytes_before'], by['spiky']['bytes_after']), (2048 * 48 * 4, 2048 * 48 * 4))
    expect('exact: dB', (by['exact']['snr_db'], 'worst_channel' in by['exact'], by['exact']['largest_error']), (None, False, 0))

    # Any weight, and then none that loses anything.
    report = json.loads(compile_model(ktc, folder, '--quant-min-snr', '0', quant='int8:g256')[0])
    expect('no limit', [e['reason'] for e in report['weights'] if e.get('reason') in ('low_snr', 'excluded')], [])
    expect('no limit among the options', 'quant_min_snr=0' in stored(ktc, folder)['options'].split(), True)
    report = json.loads(compile_model(ktc, folder, '--quant-min-snr', '99.5')[0])
    expect('int8 over 99.5 dB', [e['name'] for e in report['weights'] if e['quantised']], ['exact'])
    expect('99.5 dB among the options', 'quant_min_snr=99.5' in stored(ktc, folder)['options'].split(), True)
    # What stays is then stored in half precision; and IR may be asked for in place of an artifact.
    report = json.loads(compile_model(ktc, folder, '--precision', 'fp16', quant='int8:g256')[0])
    by = {entry['name']: entry for entry in report['weights']}
    check_sums('FP16', report, stored(ktc, folder)['weight_bytes'])
    expect('FP16: spiky', (by['spiky']['bytes_before'], by['spiky']['bytes_after']), (2048 * 48 * 4, 2048 * 48 * 2))
    for options in (['-O0'], ['-O1'], ['--precision', 'bf16', '-O0']):
        report = json.loads(compile_model(ktc, folder, *options)[0])
        check_sums(str(options), report, stored(ktc, folder)['weight_bytes'])
    early = json.loads(compile_model(ktc, folder, '--compile-to', 'precision', output='m.mlir')[0])
    expect('IR', early['totals']['int8_weights'], 8)

    # For people: a line each, the same numbers.
    text, _ = compile_model(ktc, folder, '--quant-exclude', 'kept*', report='r.txt', quant='int8:g256')
    lines = text.splitlines()
    heads = [line.split() for line in lines if line.startswith('  dB') or 'before' in line]
    expect('columns', ['dB', 'worst', 'channel', 'error', 'steps', 'before', 'after', 'shape', 'weight', 'became;', 'nodes'] in heads, True)
    rows = [line for line in lines if any(f' {name} ' in line for name in w)]
    expect('rows', len(rows), len(w))
    expect('the worst row comes first', ' spiky ' in rows[0] and 'loses too much: ' in rows[0] and 'less than 25.0; spikes' in rows[0], True)
    expect('totals', f'{len(w)} weights: 6 in int8, {len(w) - 6} as before; least signal to noise 25 dB' in lines, True)


def check_tied(ktc, folder):
    """An embedding that makes the logits as well: its numbers are stored with the product's."""
    table = np.random.default_rng(5).standard_normal((3001, 384), np.float32)
    with open(f'{folder}/m.onnx', 'wb') as f:
        f.write(wire.model([wire.node('Gather', ['e', 'ids'], ['x'], 'embed'), wire.node('Tanh', ['x'], ['t']), wire.node('Gemm', ['t', 'e'], ['y'], 'head\nline', transB=1)],
                           [wire.value('ids', wire.INT64, ['n'])], [wire.value('y', wire.FLOAT, ['n', 3001])], [wire.tensor('e', wire.FLOAT, table.shape, raw=table.tobytes())]))
    report = json.loads(compile_model(ktc, folder)[0])
    check_sums('tied', report, stored(ktc, folder)['weight_bytes'])
    expect('tied', sorted((e['scales'], e['bytes_after'], e.get('stored_with')) for e in report['weights']), [('group', 0, 'e'), ('group', 3008 * 3 * (128 + 2), None)])
    report = json.loads(compile_model(ktc, folder, quant='int4')[0])
    check_sums('tied INT4', report, stored(ktc, folder)['weight_bytes'])
    expect('tied INT4', sorted((e['bits'], e['bytes_after'], e.get('stored_with'), e.get('reason')) for e in report['weights']), [(4, 0, 'e', None), (4, 3008 * 12 * (16 + 2), None, None)])
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
    both = np.concatenate([up, gate], 1)
    decibels, worst, channel, _ = loss(both, 1, in_blocks(both, 8, 64))
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
    check_int4(ktc, folder, weights(np.random.default_rng(4)))
    check_tied(ktc, folder)
    check_parts(ktc, folder)
    check_names(ktc, folder)
    print('\n'.join(failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
