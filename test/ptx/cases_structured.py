"""Kernels of the structured ops: kernels/{numbers,generic,math,reduce,normalize}.mlir."""
import math
import numpy as np
from harness import Case, Tensor

rng = np.random.default_rng(7)


def randn(*shape):
    return rng.standard_normal(shape)


def number_case(kind, width):
    """The number comes in parts of 16 bits, the offset in units of `width`."""
    bits = 32 if kind in ('f32', 'i32') else 64
    numpy_kind = {'f32': np.float32, 'f64': np.float64, 'i32': np.int32, 'i64': np.int64}[kind]
    runs = []
    for number in (-1.1, 3e38, -7e-30) if kind == 'f32' else (-1e300, 0.1) if kind == 'f64' else (-5, 2**31 - 1) if kind == 'i32' else (-5, -(2**60) - 3, 2**47 + 1):
        value = np.array(number, numpy_kind)
        raw = int(value.view(f'u{bits // 8}'))
        for n, at in ((1, 0), (65, 3), (1028, 2)):
            x = (rng.standard_normal(n + at * width) * 8).astype(numpy_kind)
            with np.errstate(over='ignore'):
                runs.append(((len(x), n, at, *(raw >> 16 * k & 0xFFFF for k in range(bits // 16))), [Tensor(x, kind)], [Tensor(x[at * width:at * width + n] * value, kind)]))
    return Case(f'number_{kind}_{width}', runs)


def generic_cases():
    cases = [number_case(kind, width) for kind in ('f32', 'f64', 'i32', 'i64') for width in (8, 1)]
    for kind in ('f32', 'f16', 'bf16'):
        runs = []
        for n in (1, 37, 700):
            x, bias = Tensor(randn(n, 8), kind), Tensor(randn(8), kind)
            runs.append(((n,), [x, bias], [Tensor(x.values + bias.values, kind)]))
        cases.append(Case(f'add_bias_{kind}', runs))
    # Fully merged with a partial last vector, and a comparison to booleans.
    runs = []
    for n, m in ((5, 7), (1, 1), (16, 40)):
        x, y = Tensor(randn(n, m, 3), 'f32'), Tensor(randn(n, m, 3), 'f32')
        runs.append(((n, m), [x, y], [Tensor(x.values < y.values, 'i1')]))
    cases.append(Case('less', runs))
    # A whole byte an element in memory, whatever the element.
    for kind, bits, signed in (('i4', 4, True), ('ui4', 4, False), ('i2', 2, True)):
        runs = []
        for n in (1, 16, 37):
            x = rng.integers(-1000, 1000, n).astype(np.int32)
            low = x & (1 << bits) - 1
            runs.append(((n,), [Tensor(x, 'i32')], [Tensor(np.where(low >> bits - 1, low - (1 << bits), low) if signed else low, 'i8' if signed else 'ui8')]))
        cases.append(Case(f'narrow_{kind}', runs))
    # Transposition with a symbolic inner dimension.
    for kind in ('f32', 'f16', 'i8'):
        runs = []
        for n, m, l in ((2, 33, 65), (1, 5, 3), (3, 64, 32)):
            x = Tensor(randn(n, m, l) * 40, kind)
            runs.append(((n, m, l), [x], [Tensor(x.values.swapaxes(1, 2), kind)]))
        cases.append(Case(f'transpose_{kind}', runs))
    # Four dimensions, heads: [b, s, h, 64] -> [b, h, s, 64] keeps the inner dimension.
    x = Tensor(randn(2, 9, 4, 64), 'f16')
    cases.append(Case('heads', [((2, 9), [x], [Tensor(x.values.swapaxes(1, 2), 'f16')])]))
    # Concatenation along the inner dimension: guarded reads with offsets.
    for first, second in ((8, 16), (5, 6)):
        x, y = Tensor(randn(9, first), 'f16'), Tensor(randn(9, second), 'f16')
        cases.append(Case(f'concat_{first}_{second}', [((9,), [x, y], [Tensor(np.concatenate([x.values, y.values], 1), 'f16')])]))
    # Gather by an i64 tensor with symbolic inner dimension, and padding by one.
    runs = []
    for n, m, k in ((11, 12, 30), (7, 13, 4)):
        x, i = Tensor(randn(n, m), 'f32'), Tensor(rng.integers(0, n, k), 'i64')
        runs.append(((n, m, k), [x, i], [Tensor(x.values[i.values], 'f32')]))
    cases.append(Case('gather', runs))
    x = Tensor(randn(6, 14), 'f32')
    cases.append(Case('pad', [((6, 14), [x], [Tensor(np.pad(x.values, 1, constant_values=7), 'f32')])]))
    # Mathematics in f32 and f16; sizes; a scalar.
    x = Tensor(np.concatenate([randn(500) * 20, [0, -np.inf, 88, -87]]), 'f32')
    cases.append(Case('exp', [((504,), [x], [Tensor(np.exp(x.values.astype(np.float64)) / 504, 'f32')])]))
    functions = {'log': np.log, 'log1p': np.log1p, 'tanh': np.tanh, 'erf': np.vectorize(math.erf), 'sin': np.sin, 'cos': np.cos, 'atan': np.arctan,
                 'exp2': np.exp2, 'rsqrt': lambda v: 1 / np.sqrt(v), 'sqrt': np.sqrt, 'floor': np.floor, 'ceil': np.ceil, 'roundeven': np.rint, 'absf': np.abs}
    for kind in ('f32', 'f16', 'bf16'):
        for f, reference in functions.items():
            if kind != 'f32' and f not in ('tanh', 'erf', 'exp2', 'sqrt', 'floor', 'log'):
                continue
            v = np.abs(randn(300)) * 3 + 1e-3 if f in ('log', 'log1p', 'rsqrt', 'sqrt') else randn(300) * 3
            x = Tensor(v, kind)
            cases.append(Case(f'math_{f}_{kind}', [((300,), [x], [Tensor(reference(x.values.astype(np.float64)), kind)])]))
    # Conversions, remainders, powers and divisions.
    for name, of, to, reference in (
            ('to_bf16', 'i32', 'bf16', lambda v: v),
            ('bf16_to_i64', 'bf16', 'i64', np.trunc),
            ('f16_to_f64', 'f16', 'f64', lambda v: v),
            ('bf16_ops', 'bf16', 'bf16', lambda v: np.maximum(v * v, v) / (v * v)),
            ('remainder', 'f32', 'f32', lambda v: np.fmod(v, 0.75)),
            ('power', 'f32', 'f32', lambda v: np.abs(v) ** v),
            ('power_f64', 'f64', 'f64', lambda v: np.abs(v) ** v),
            ('whole_power', 'i64', 'i64', lambda v: np.array([(pow(int(a), int(a) & 7, 1 << 64) + (1 << 63)) % (1 << 64) - (1 << 63) for a in v])),
            ('negative', 'i8', 'i32', lambda v: v),
            ('bits', 'i1', 'f32', lambda v: v)):
        x = Tensor(rng.integers(0, 2, 77) if of == 'i1' else randn(77) * 30 if of in ('i8', 'i32') else randn(77) * 1e15 if of == 'i64' else randn(77) * 3, of)
        cases.append(Case(name, [((77,), [x], [Tensor(reference(x.values if of in ('i1', 'i8', 'i64') else x.values.astype(np.float64)), to)])],
                          tolerance=4e-6 if to == 'f32' else None))
    cases.append(Case('scalar', [((), [Tensor(-5, 'i64')], [Tensor(25, 'i64')])]))
    return cases


def reduce_cases():
    cases = []
    for kind, fn in (('add', np.sum), ('max', np.max), ('min', np.min)):
        for element in ('f32', 'f16'):
            runs = []
            for n, m in ((3, 70), (3, 1900), (9, 2500), (2, 20000), (1, 16384), (1, 1), (3, 0), (0, 5)):
                if n * m > 30000 and (element == 'f16' or kind != 'add'):
                    continue
                x = Tensor(randn(n, m), element)
                neutral = {'add': 0, 'max': -np.inf, 'min': np.inf}[kind]
                runs.append(((n, m), [x], [Tensor(fn(x.values.astype(np.float64), axis=1, initial=neutral), element)]))
            cases.append(Case(f'rows_{kind}_{element}', runs))
    runs = []
    for n, m, l in ((3, 70, 16), (2, 5, 33), (1, 300, 8), (2, 0, 16), (2, 7, 0)):
        x = Tensor(randn(n, m, l), 'f32')
        runs.append(((n, m, l), [x], [Tensor(x.values.astype(np.float64).sum(1), 'f32')]))
    cases.append(Case('columns_add', runs))
    for kind, last in (('argmax', False), ('argmax', True), ('argmin', False)):
        for axis in (0, 1):
            runs = []
            for n, m in ((7, 130), (40, 9), (130, 8), (5, 68), (5, 2060), (4, 16390), (4, 16392)):
                if m > 1000 and not axis:
                    continue
                v = np.round(randn(n, m) * 2).astype(np.float32)
                v[3, 4] = np.nan
                w = np.where(np.isnan(v), np.inf if kind == 'argmax' else -np.inf, v)
                f = np.argmax if kind == 'argmax' else np.argmin
                want = w.shape[axis] - 1 - f(np.flip(w, axis), axis) if last else f(w, axis)
                runs.append(((n, m), [Tensor(v, 'f32')], [Tensor(want, 'i64')]))
            cases.append(Case(f"{kind}_{axis}{'_last' if last else ''}", runs))
    # Everything to one number: the split form; f16 all-reduce of two merged dimensions; integers and booleans.
    x = Tensor(randn(300, 70), 'f32')
    cases.append(Case('total', [((300, 70), [x], [Tensor(x.values.astype(np.float64).sum(), 'f32')]),
                               ((0, 70), [Tensor(randn(0, 70), 'f32')], [Tensor(0, 'f32')])]))
    runs = []
    for n, m in ((5, 77), (5, 80), (2, 2100), (1, 16384)):
        x = Tensor(rng.integers(-1000, 1000, (n, m)), 'i64')
        runs.append(((n, m), [x], [Tensor(x.values.max(1), 'i64')]))
    cases.append(Case('rows_max_i64', runs))
    runs = []
    for n, m in ((5, 9), (5, 16), (3, 2400), (2, 16384)):
        x = Tensor(rng.integers(0, 2 + 100 * np.arange(n)[:, None], (n, m)) > 0, 'i1')
        runs.append(((n, m), [x], [Tensor(x.values.min(1), 'i1')]))
    cases.append(Case('rows_min_i1', runs))
    # Max pooling, channels last, with padding.
    x = Tensor(randn(2, 7, 7, 16), 'f16')
    p = np.pad(x.values, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    want = np.max([p[:, i:i + 7:2, j:j + 7:2] for i in range(3) for j in range(3)], axis=0)
    cases.append(Case('max_pool', [((2, 7), [x], [Tensor(want, 'f16')])]))
    return cases


def normalize_cases():
    cases = []

    def softmax(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def layer(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    refs = {'softmax': softmax, 'log_softmax': lambda x: np.log(softmax(x)), 'layer': layer,
            'rms': lambda x: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)}
    for norm, ref in refs.items():
        for element, columns in (('f32', 'p1'), ('f16', 'p1'), ('f16', 768)):
            if norm == 'log_softmax' and columns == 768:
                continue
            runs = []
            for n, m in (((5, 70), (2, 64), (3, 3000), (1, 9000), (2, 1030), (3, 0), (0, 40)) if columns == 'p1' else ((5, 768),)):
                x, g = Tensor(randn(n, m) * 3, element), Tensor(randn(m), element)
                runs.append(((n, m), [x, g], [Tensor(ref(x.values.astype(np.float64)) * g.values if x.values.size else x.values, element)]))
            cases.append(Case(f'{norm}_{element}_{columns}', runs, tolerance=4e-6 if element == 'f32' else None))
    return cases
