"""Kernels of the structured ops: generic, reduce, normalize."""
import math
import numpy as np
from harness import Case, Tensor

rng = np.random.default_rng(7)


def tensor(dims, kind):
    return f"!kt.tensor<[{', '.join(map(str, dims))}] x {kind}>"


def kernel(name, params, args, results, body):
    """args: (name, type) pairs; body: text that defines %r (and %r1 ...) from them."""
    ps = ', '.join(f'"p{i}"' for i in range(params))
    a = ', '.join(f'%{n}: {t}' for n, t in args)
    out = ['%r'] if len(results) == 1 else [f'%r{i}' for i in range(len(results))]
    return f"kt.kernel @{name} [{ps}] computes {{\n^bb0({a}):\n{body}\n  kt.yield {', '.join(out)} : {', '.join(results)}\n}}"


def randn(*shape):
    return rng.standard_normal(shape)


def number_case(kind, width):
    """A number that is a parameter, in parts of 16 bits, and an offset that is one: what outlining makes of very many kernels."""
    t, o, bits = tensor(['p0'], kind), tensor(['p1'], kind), 32 if kind in ('f32', 'i32') else 64
    numpy_kind = {'f32': np.float32, 'f64': np.float64, 'i32': np.int32, 'i64': np.int64}[kind]
    lines = []
    for part in range(bits // 16):
        lines += [f"%s{part} = kt.size <p{3 + part}>", f"%c{part} = arith.index_cast %s{part} : index to i{bits}"]
        if part:
            lines += [f"%w{part} = arith.constant {16 * part} : i{bits}", f"%h{part} = arith.shli %c{part}, %w{part} : i{bits}", f"%v{part} = arith.ori %{'v' if part > 1 else 'c'}{part - 1}, %h{part} : i{bits}"]
    last = f"%v{bits // 16 - 1}"
    if kind[0] == 'f':
        lines.append(f"%n = arith.bitcast {last} : i{bits} to {kind}")
        last = "%n"
    text = "\n    ".join(lines)
    body = f"""  %r = kt.generic ins(%x : {t}) -> {o} {{
  ^bb0(%X: {t}, %i: index):
    {text}
    %off = kt.size <p2 * {width}>
    %j = arith.addi %i, %off : index
    %e = kt.read %X[%j] : {t} -> {kind}
    %y = arith.mul{kind[0]} %e, {last} : {kind}
    kt.yield %y : {kind}
  }}"""
    runs = []
    for number in (-1.1, 3e38, -7e-30) if kind == 'f32' else (-1e300, 0.1) if kind == 'f64' else (-5, 2**31 - 1) if kind == 'i32' else (-5, -(2**60) - 3, 2**47 + 1):
        value = np.array(number, numpy_kind)
        raw = int(value.view(f'u{bits // 8}'))
        for n, at in ((1, 0), (65, 3), (1028, 2)):
            x = (rng.standard_normal(n + at * width) * 8).astype(numpy_kind)
            with np.errstate(over='ignore'):
                runs.append(((len(x), n, at, *(raw >> 16 * k & 0xFFFF for k in range(bits // 16))), [Tensor(x, kind)], [Tensor(x[at * width:at * width + n] * value, kind)]))
    name = f'number_{kind}_{width}'
    return Case(name, kernel(name, 3 + bits // 16, [('x', t)], [o], body), runs)


def generic_cases():
    cases = [number_case(kind, width) for kind in ('f32', 'f64', 'i32', 'i64') for width in (8, 1)]
    for kind in ('f32', 'f16', 'bf16'):
        t, b = tensor(['p0', 8], kind), tensor([8], kind)
        body = f"""  %r = kt.generic ins(%x, %b : {t}, {b}) -> {t} {{
  ^bb0(%X: {t}, %B: {b}, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : {t} -> {kind}
    %1 = kt.read %B[%j] : {b} -> {kind}
    %2 = arith.addf %0, %1 : {kind}
    kt.yield %2 : {kind}
  }}"""
        runs = []
        for n in (1, 37, 700):
            x, bias = Tensor(randn(n, 8), kind), Tensor(randn(8), kind)
            runs.append(((n,), [x, bias], [Tensor(x.values + bias.values, kind)]))
        cases.append(Case(f'add_bias_{kind}', kernel(f'add_bias_{kind}', 1, [('x', t), ('b', b)], [t], body), runs))
    # Fully merged with a partial last vector, and a comparison to booleans.
    t, o = tensor(['p0', 'p1', 3], 'f32'), tensor(['p0', 'p1', 3], 'i1')
    body = f"""  %r = kt.generic ins(%x, %y : {t}, {t}) -> {o} {{
  ^bb0(%X: {t}, %Y: {t}, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%i, %j, %k] : {t} -> f32
    %1 = kt.read %Y[%i, %j, %k] : {t} -> f32
    %2 = arith.cmpf olt, %0, %1 : f32
    kt.yield %2 : i1
  }}"""
    runs = []
    for n, m in ((5, 7), (1, 1), (16, 40)):
        x, y = Tensor(randn(n, m, 3), 'f32'), Tensor(randn(n, m, 3), 'f32')
        runs.append(((n, m), [x, y], [Tensor(x.values < y.values, 'i1')]))
    cases.append(Case('less', kernel('less', 2, [('x', t), ('y', t)], [o], body), runs))
    # Transposition with a symbolic inner dimension.
    for kind in ('f32', 'f16', 'i8'):
        t, o = tensor(['p0', 'p1', 'p2'], kind), tensor(['p0', 'p2', 'p1'], kind)
        body = f"""  %r = kt.generic ins(%x : {t}) -> {o} {{
  ^bb0(%X: {t}, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%i, %k, %j] : {t} -> {kind}
    kt.yield %0 : {kind}
  }}"""
        runs = []
        for n, m, l in ((2, 33, 65), (1, 5, 3), (3, 64, 32)):
            x = Tensor(randn(n, m, l) * 40, kind)
            runs.append(((n, m, l), [x], [Tensor(x.values.swapaxes(1, 2), kind)]))
        cases.append(Case(f'transpose_{kind}', kernel(f'transpose_{kind}', 3, [('x', t)], [o], body), runs))
    # Four dimensions, heads: [b, s, h, 64] -> [b, h, s, 64] keeps the inner dimension.
    t, o = tensor(['p0', 'p1', 4, 64], 'f16'), tensor(['p0', 4, 'p1', 64], 'f16')
    body = f"""  %r = kt.generic ins(%x : {t}) -> {o} {{
  ^bb0(%X: {t}, %b: index, %h: index, %s: index, %d: index):
    %0 = kt.read %X[%b, %s, %h, %d] : {t} -> f16
    kt.yield %0 : f16
  }}"""
    x = Tensor(randn(2, 9, 4, 64), 'f16')
    cases.append(Case('heads', kernel('heads', 2, [('x', t)], [o], body), [((2, 9), [x], [Tensor(x.values.swapaxes(1, 2), 'f16')])]))
    # Concatenation along the inner dimension: guarded reads with offsets.
    for first, second in ((8, 16), (5, 6)):
        a, b, o = tensor(['p0', first], 'f16'), tensor(['p0', second], 'f16'), tensor(['p0', first + second], 'f16')
        body = f"""  %r = kt.generic ins(%x, %y : {a}, {b}) -> {o} {{
  ^bb0(%X: {a}, %Y: {b}, %i: index, %j: index):
    %c = arith.constant {first} : index
    %q = arith.subi %j, %c : index
    %z = arith.constant 0.0 : f16
    %0 = kt.read %Y[%i, %q] else %z : f16 {{check = array<i64: 1>}} : {b} -> f16
    %1 = kt.read %X[%i, %j] else %0 : f16 {{check = array<i64: 1>}} : {a} -> f16
    kt.yield %1 : f16
  }}"""
        x, y = Tensor(randn(9, first), 'f16'), Tensor(randn(9, second), 'f16')
        name = f'concat_{first}_{second}'
        cases.append(Case(name, kernel(name, 1, [('x', a), ('y', b)], [o], body), [((9,), [x, y], [Tensor(np.concatenate([x.values, y.values], 1), 'f16')])]))
    # Gather by an i64 tensor with symbolic inner dimension, and padding by one.
    t, ix, o = tensor(['p0', 'p1'], 'f32'), tensor(['p2'], 'i64'), tensor(['p2', 'p1'], 'f32')
    body = f"""  %r = kt.generic ins(%x, %n : {t}, {ix}) -> {o} {{
  ^bb0(%X: {t}, %N: {ix}, %i: index, %j: index):
    %0 = kt.read %N[%i] : {ix} -> i64
    %1 = arith.index_cast %0 : i64 to index
    %2 = kt.read %X[%1, %j] : {t} -> f32
    kt.yield %2 : f32
  }}"""
    runs = []
    for n, m, k in ((11, 12, 30), (7, 13, 4)):
        x, i = Tensor(randn(n, m), 'f32'), Tensor(rng.integers(0, n, k), 'i64')
        runs.append(((n, m, k), [x, i], [Tensor(x.values[i.values], 'f32')]))
    cases.append(Case('gather', kernel('gather', 3, [('x', t), ('n', ix)], [o], body), runs))
    t, o = tensor(['p0', 'p1'], 'f32'), tensor(['p0 + 2', 'p1 + 2'], 'f32')
    body = f"""  %r = kt.generic ins(%x : {t}) -> {o} {{
  ^bb0(%X: {t}, %i: index, %j: index):
    %c = arith.constant 1 : index
    %a = arith.subi %i, %c : index
    %b = arith.subi %j, %c : index
    %z = arith.constant 7.0 : f32
    %0 = kt.read %X[%a, %b] else %z : f32 : {t} -> f32
    kt.yield %0 : f32
  }}"""
    x = Tensor(randn(6, 14), 'f32')
    cases.append(Case('pad', kernel('pad', 2, [('x', t)], [o], body), [((6, 14), [x], [Tensor(np.pad(x.values, 1, constant_values=7), 'f32')])]))
    # Mathematics in f32 and f16; sizes; a scalar.
    t = tensor(['p0'], 'f32')
    body = f"""  %r = kt.generic ins(%x : {t}) -> {t} {{
  ^bb0(%X: {t}, %i: index):
    %0 = kt.read %X[%i] : {t} -> f32
    %1 = math.exp %0 : f32
    %2 = kt.size #kt.expr<p0>
    %3 = arith.index_cast %2 : index to i32
    %4 = arith.sitofp %3 : i32 to f32
    %5 = arith.divf %1, %4 : f32
    kt.yield %5 : f32
  }}"""
    x = Tensor(np.concatenate([randn(500) * 20, [0, -np.inf, 88, -87]]), 'f32')
    cases.append(Case('exp', kernel('exp', 1, [('x', t)], [t], body), [((504,), [x], [Tensor(np.exp(x.values.astype(np.float64)) / 504, 'f32')])]))
    functions = {'log': np.log, 'log1p': np.log1p, 'tanh': np.tanh, 'erf': np.vectorize(math.erf), 'sin': np.sin, 'cos': np.cos, 'atan': np.arctan,
                 'exp2': np.exp2, 'rsqrt': lambda v: 1 / np.sqrt(v), 'sqrt': np.sqrt, 'floor': np.floor, 'ceil': np.ceil, 'roundeven': np.rint, 'absf': np.abs}
    for kind in ('f32', 'f16', 'bf16'):
        for f, reference in functions.items():
            if kind != 'f32' and f not in ('tanh', 'erf', 'exp2', 'sqrt', 'floor', 'log'):
                continue
            t, o = tensor(['p0'], kind), tensor(['p0'], kind)
            body = f'''  %r = kt.generic ins(%x : {t}) -> {o} {{
  ^bb0(%X: {t}, %i: index):
    %0 = kt.read %X[%i] : {t} -> {kind}
    %1 = math.{f} %0 : {kind}
    kt.yield %1 : {kind}
  }}'''
            v = np.abs(randn(300)) * 3 + 1e-3 if f in ('log', 'log1p', 'rsqrt', 'sqrt') else randn(300) * 3
            x = Tensor(v, kind)
            cases.append(Case(f'math_{f}_{kind}', kernel(f'math_{f}_{kind}', 1, [('x', t)], [o], body), [((300,), [x], [Tensor(reference(x.values.astype(np.float64)), kind)])]))
    # Conversions, remainders, powers and divisions.
    for name, of, to, ops, reference in (
            ('to_bf16', 'i32', 'bf16', ['arith.sitofp %0 : i32 to bf16'], lambda v: v),
            ('bf16_to_i64', 'bf16', 'i64', ['arith.fptosi %0 : bf16 to i64'], np.trunc),
            ('f16_to_f64', 'f16', 'f64', ['arith.extf %0 : f16 to f64'], lambda v: v),
            ('bf16_ops', 'bf16', 'bf16', ['arith.mulf %0, %0 : bf16', 'arith.maximumf %1, %0 : bf16', 'arith.divf %2, %1 : bf16'], lambda v: np.maximum(v * v, v) / (v * v)),
            ('remainder', 'f32', 'f32', ['arith.constant 0.75 : f32', 'arith.remf %0, %1 : f32'], lambda v: np.fmod(v, 0.75)),
            ('power', 'f32', 'f32', ['math.absf %0 : f32', 'math.powf %1, %0 : f32'], lambda v: np.abs(v) ** v),
            ('power_f64', 'f64', 'f64', ['math.absf %0 : f64', 'math.powf %1, %0 : f64'], lambda v: np.abs(v) ** v),
            ('whole_power', 'i64', 'i64', ['arith.constant 7 : i64', 'arith.andi %0, %1 : i64', 'math.ipowi %0, %2 : i64'],
             lambda v: np.array([(pow(int(a), int(a) & 7, 1 << 64) + (1 << 63)) % (1 << 64) - (1 << 63) for a in v])),
            ('negative', 'i8', 'i32', ['arith.extsi %0 : i8 to i32'], lambda v: v),
            ('bits', 'i1', 'f32', ['arith.uitofp %0 : i1 to f32'], lambda v: v)):
        t, o = tensor(['p0'], of), tensor(['p0'], to)
        lines = '\n'.join(f'    %{n + 1} = {text}' for n, text in enumerate(ops))
        body = f'''  %r = kt.generic ins(%x : {t}) -> {o} {{
  ^bb0(%X: {t}, %i: index):
    %0 = kt.read %X[%i] : {t} -> {of}
{lines}
    kt.yield %{len(ops)} : {to}
  }}'''
        x = Tensor(rng.integers(0, 2, 77) if of == 'i1' else randn(77) * 30 if of in ('i8', 'i32') else randn(77) * 1e15 if of == 'i64' else randn(77) * 3, of)
        cases.append(Case(name, kernel(name, 1, [('x', t)], [o], body), [((77,), [x], [Tensor(reference(x.values if of in ('i1', 'i8', 'i64') else x.values.astype(np.float64)), to)])],
                          tolerance=4e-6 if to == 'f32' else None))
    t = tensor([], 'i64')
    body = f"""  %r = kt.generic ins(%x : {t}) -> {t} {{
  ^bb0(%X: {t}):
    %0 = kt.read %X[] : {t} -> i64
    %1 = arith.muli %0, %0 : i64
    kt.yield %1 : i64
  }}"""
    cases.append(Case('scalar', kernel('scalar', 0, [('x', t)], [t], body), [((), [Tensor(-5, 'i64')], [Tensor(25, 'i64')])]))
    return cases


def reduce_text(name, kind, params, in_dims, out_dims, extents, reads, element, acc=None, attrs=''):
    """A reduction of one operand: `reads` are its indices over o0.. and r0..; the epilogue is the identity."""
    t, o = tensor(in_dims, element), tensor(out_dims, acc or element)
    outs = ''.join(f', %o{i}: index' for i in range(len(out_dims)))
    reds = ''.join(f', %r{i}: index' for i in range(len(extents)))
    ex = ', '.join(f'#kt.expr<{e}>' for e in extents)
    a = acc or element
    body = f"""  %r = kt.reduce {kind} over [{ex}] ins(%x : {t}) {attrs} -> {o} {{
  ^bb0(%X: {t}{outs}{reds}):
    %0 = kt.read %X[{reads}] : {t} -> {element}
    kt.yield %0 : {element}
  }} epilogue {{
  ^bb0(%v: {a}, %X: {t}{outs}):
    kt.yield %v : {a}
  }}"""
    return kernel(name, params, [('x', t)], [o], body)


def reduce_cases():
    cases = []
    for kind, fn in (('add', np.sum), ('max', np.max), ('min', np.min)):
        for element in ('f32', 'f16'):
            runs = []
            for n, m in ((3, 70), (9, 2500), (2, 20000), (1, 16384), (1, 1), (3, 0), (0, 5)):
                if n * m > 30000 and (element == 'f16' or kind != 'add'):
                    continue
                x = Tensor(randn(n, m), element)
                neutral = {'add': 0, 'max': -np.inf, 'min': np.inf}[kind]
                runs.append(((n, m), [x], [Tensor(fn(x.values.astype(np.float64), axis=1, initial=neutral), element)]))
            name = f'rows_{kind}_{element}'
            cases.append(Case(name, reduce_text(name, kind, 2, ['p0', 'p1'], ['p0'], ['p1'], '%o0, %r0', element), runs))
    runs = []
    for n, m, l in ((3, 70, 16), (2, 5, 33), (1, 300, 8), (2, 0, 16), (2, 7, 0)):
        x = Tensor(randn(n, m, l), 'f32')
        runs.append(((n, m, l), [x], [Tensor(x.values.astype(np.float64).sum(1), 'f32')]))
    cases.append(Case('columns_add', reduce_text('columns_add', 'add', 3, ['p0', 'p1', 'p2'], ['p0', 'p2'], ['p1'], '%o0, %r0, %o1', 'f32'), runs))
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
            name = f"{kind}_{axis}{'_last' if last else ''}"
            attrs = '{select_last}' if last else ''
            text = reduce_text(name, kind, 2, ['p0', 'p1'], ['p0' if axis else 'p1'], ['p1' if axis else 'p0'], '%o0, %r0' if axis else '%r0, %o0', 'f32', 'i64', attrs)
            cases.append(Case(name, text, runs))
    # Everything to one number: the split form; f16 all-reduce of two merged dimensions; integers and booleans.
    x = Tensor(randn(300, 70), 'f32')
    cases.append(Case('total', reduce_text('total', 'add', 2, ['p0', 'p1'], [], ['p0', 'p1'], '%r0, %r1', 'f32'),
                      [((300, 70), [x], [Tensor(x.values.astype(np.float64).sum(), 'f32')]),
                       ((0, 70), [Tensor(randn(0, 70), 'f32')], [Tensor(0, 'f32')])]))
    runs = []
    for n, m in ((5, 77), (5, 80), (2, 2100), (1, 16384)):
        x = Tensor(rng.integers(-1000, 1000, (n, m)), 'i64')
        runs.append(((n, m), [x], [Tensor(x.values.max(1), 'i64')]))
    cases.append(Case('rows_max_i64', reduce_text('rows_max_i64', 'max', 2, ['p0', 'p1'], ['p0'], ['p1'], '%o0, %r0', 'i64'), runs))
    runs = []
    for n, m in ((5, 9), (5, 16), (3, 2400), (2, 16384)):
        x = Tensor(rng.integers(0, 2 + 100 * np.arange(n)[:, None], (n, m)) > 0, 'i1')
        runs.append(((n, m), [x], [Tensor(x.values.min(1), 'i1')]))
    cases.append(Case('rows_min_i1', reduce_text('rows_min_i1', 'min', 2, ['p0', 'p1'], ['p0'], ['p1'], '%o0, %r0', 'i1'), runs))
    # Max pooling, channels last, with padding.
    t, o = tensor(['p0', 'p1', 'p1', 16], 'f16'), tensor(['p0', '(p1 + 1) floordiv 2', '(p1 + 1) floordiv 2', 16], 'f16')
    body = f"""  %r = kt.reduce max over [#kt.expr<3>, #kt.expr<3>] ins(%x : {t}) -> {o} {{
  ^bb0(%X: {t}, %n: index, %h: index, %w: index, %c: index, %i: index, %j: index):
    %two = arith.constant 2 : index
    %one = arith.constant 1 : index
    %a = arith.muli %h, %two : index
    %b = arith.muli %w, %two : index
    %d = arith.addi %a, %i : index
    %e = arith.addi %b, %j : index
    %f = arith.subi %d, %one : index
    %g = arith.subi %e, %one : index
    %z = arith.constant 0xFC00 : f16
    %0 = kt.read %X[%n, %f, %g, %c] else %z : f16 {{check = array<i64: 1, 2>}} : {t} -> f16
    kt.yield %0 : f16
  }} epilogue {{
  ^bb0(%v: f16, %X: {t}, %n: index, %h: index, %w: index, %c: index):
    kt.yield %v : f16
  }}"""
    x = Tensor(randn(2, 7, 7, 16), 'f16')
    p = np.pad(x.values, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    want = np.max([p[:, i:i + 7:2, j:j + 7:2] for i in range(3) for j in range(3)], axis=0)
    cases.append(Case('max_pool', kernel('max_pool', 2, [('x', t)], [o], body), [((2, 7), [x], [Tensor(want, 'f16')])]))
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
            t, w = tensor(['p0', columns], element), tensor([columns], element)
            ext = '%0' if element == 'f32' else '%1'
            widen = '' if element == 'f32' else f'    %1 = arith.extf %0 : {element} to f32\n'
            narrow = '    %4 = arith.mulf %y, %3 : f32\n' if element == 'f32' else f'    %5 = arith.mulf %y, %3 : f32\n    %4 = arith.truncf %5 : f32 to {element}\n'
            scale = '    %3 = kt.read %W[%j] : ' + f'{w} -> {element}\n' if element == 'f32' else f'    %2 = kt.read %W[%j] : {w} -> {element}\n    %3 = arith.extf %2 : {element} to f32\n'
            body = f"""  %r = kt.normalize {norm} ins(%x, %w : {t}, {w}) {{axes = 1 : i64, epsilon = 1.0e-5 : f64}} -> {t} {{
  ^bb0(%X: {t}, %W: {w}, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : {t} -> {element}
{widen}    kt.yield {ext} : f32
  }} epilogue {{
  ^bb0(%y: f32, %X: {t}, %W: {w}, %i: index, %j: index):
{scale}{narrow}    kt.yield %4 : {element}
  }}"""
            runs = []
            for n, m in (((5, 70), (2, 64), (3, 3000), (1, 9000), (2, 1030), (3, 0), (0, 40)) if columns == 'p1' else ((5, 768),)):
                x, g = Tensor(randn(n, m) * 3, element), Tensor(randn(m), element)
                runs.append(((n, m), [x, g], [Tensor(ref(x.values.astype(np.float64)) * g.values if x.values.size else x.values, element)]))
            name = f'{norm}_{element}_{columns}'
            cases.append(Case(name, kernel(name, 2, [('x', t), ('w', w)], [t], body), runs, tolerance=4e-6 if element == 'f32' else None))
    return cases
