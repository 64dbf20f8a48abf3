"""Kernels of kt.matmul: packed, strided and batched operands, all types, epilogues, ragged sizes."""
import numpy as np
from harness import BANKS, Case, Tensor
from cases_structured import kernel, randn, rng, tensor


def pack(w):
    """[k, n] -> [ceil(n / 16), k, 16], zero-padded."""
    k, n = w.shape
    p = np.zeros((-(-n // 16), k, 16), w.dtype)
    for i in range(p.shape[0]):
        c = w[:, i * 16:i * 16 + 16]
        p[i, :, :c.shape[1]] = c
    return p


def matmul_text(name, params, lhs, rhs, result, maps, depth, acc, packed=False, extras=(), epilogue=None, rank=2):
    """`epilogue` computes %e of the result's element type from %acc, %x<i> and %i<d>."""
    element = result.split(' x ')[-1].rstrip('>')
    args = [('a', lhs), ('b', rhs)] + [(f'y{i}', t) for i, t in enumerate(extras)]
    ex = ''
    if extras:
        ex = 'extras(' + ', '.join(f'%y{i}' for i in range(len(extras))) + ' : ' + ', '.join(extras) + ') '
    ins = ''.join(f', %x{i}: {t}' for i, t in enumerate(extras)) + ''.join(f', %i{d}: index' for d in range(rank))
    if epilogue is None:
        epilogue = '    %e = arith.truncf %acc : f32 to ' + element if element in ('f16', 'bf16') else ''
    out = '%e' if '%e =' in epilogue else '%acc'
    attrs = f"{{maps = [{', '.join(maps)}], depth = #kt.expr<{depth}>{', packed' if packed else ''}}}"
    body = f"""  %r = kt.matmul %a, %b {ex}{attrs} : {lhs}, {rhs} -> {result} epilogue {{
  ^bb0(%acc: {acc}{ins}):
{epilogue}
    kt.yield {out} : {element}
  }}"""
    return kernel(name, params, args, [result], body)


M2 = ['affine_map<(m, n, k) -> (m, k)>', 'affine_map<(m, n, k) -> (n, k)>', 'affine_map<(m, n, k) -> (m, n)>']


def product(a, b):
    return a.astype(np.float64) @ b.astype(np.float64)


def matmul_cases():
    cases = []
    # Packed weights, rows of any number, bias and residual.
    for kind, n, k in (('f16', 136, 200), ('f16', 320, 576), ('bf16', 72, 64)):
        lhs, res = tensor(['p0', k], kind), tensor(['p0', n], kind)
        rhs, bias = tensor([-(-n // 16), k, 16], kind), tensor([n], kind)
        ep = f"""    %0 = kt.read %x0[%i1] : {bias} -> {kind}
    %1 = arith.extf %0 : {kind} to f32
    %2 = arith.addf %acc, %1 : f32
    %3 = kt.read %x1[%i0, %i1] : {res} -> {kind}
    %4 = arith.extf %3 : {kind} to f32
    %5 = arith.addf %2, %4 : f32
    %e = arith.truncf %5 : f32 to {kind}"""
        runs = []
        for m in (1, 13, 70, 200, 300):
            if m > 100 and n > 200:
                continue
            a, w, x, y = Tensor(randn(m, k), kind), Tensor(randn(k, n), kind), Tensor(randn(n), kind), Tensor(randn(m, n), kind)
            p = Tensor.__new__(Tensor)
            p.kind, p.bits = kind, pack(w.bits)
            runs.append(((m,), [a, p, x, y], [Tensor(product(a.values, w.values) + x.values + y.values, kind)]))
        name = f'linear_{kind}_{n}_{k}'
        cases.append(Case(name, matmul_text(name, 1, lhs, rhs, res, M2, k, 'f32', True, [bias, res], ep), runs, banks=BANKS))
    # A ragged number of columns and of k.
    for n, k in ((41, 104), (50, 99)):
        lhs, res, rhs = tensor(['p0', k], 'f16'), tensor(['p0', n], 'f16'), tensor([-(-n // 16), k, 16], 'f16')
        runs = []
        for m in (5, 67):
            a, w = Tensor(randn(m, k), 'f16'), Tensor(randn(k, n), 'f16')
            runs.append(((m,), [a, Tensor(pack(w.bits), 'f16')], [Tensor(product(a.values, w.values), 'f16')]))
        name = f'ragged_{n}_{k}'
        cases.append(Case(name, matmul_text(name, 1, lhs, rhs, res, M2, k, 'f32', True), runs, banks=BANKS))
    # Eight-bit weights with a scale a column.
    for kind in ('f16', 'bf16', 'f32'):
        n, k = 80, 160
        lhs, res, rhs, sc = tensor(['p0', k], kind), tensor(['p0', n], kind), tensor([5, k, 16], 'i8'), tensor([n], 'f32')
        ep = f"    %0 = kt.read %x0[%i1] : {sc} -> f32\n    %1 = arith.mulf %acc, %0 : f32\n"
        ep += f'    %e = arith.truncf %1 : f32 to {kind}' if kind != 'f32' else '    %e = arith.addf %1, %1 : f32'
        runs = []
        for m in (2, 33, 130):
            a, w, s = Tensor(randn(m, k), kind), Tensor(rng.integers(-127, 128, (k, n)), 'i8'), Tensor(rng.uniform(0.01, 0.02, n), 'f32')
            want = product(a.values, w.values) * s.values * (2 if kind == 'f32' else 1)
            runs.append(((m,), [a, Tensor(pack(w.bits), 'i8'), s], [Tensor(want, kind)]))
        cases.append(Case(f'int8_{kind}', matmul_text(f'int8_{kind}', 1, lhs, rhs, res, M2, k, 'f32', True, [sc], ep), runs))
    # Two activations, batched: b h (q k^T) from [b, s, h, d], and the product with v.
    maps_nk = ['affine_map<(b, h, m, n, k) -> (b, m, h, k)>', 'affine_map<(b, h, m, n, k) -> (b, n, h, k)>', 'affine_map<(b, h, m, n, k) -> (b, h, m, n)>']
    maps_kn = ['affine_map<(b, h, m, n, k) -> (b, h, m, k)>', 'affine_map<(b, h, m, n, k) -> (b, k, h, n)>', 'affine_map<(b, h, m, n, k) -> (b, m, h, n)>']
    for kind in ('f16', 'f32'):
        q, kk, s = tensor(['p0', 'p1', 2, 32], kind), tensor(['p0', 'p2', 2, 32], kind), tensor(['p0', 2, 'p1', 'p2'], kind)
        runs, runs2 = [], []
        for b, m, n in ((2, 24, 40), (1, 7, 9), (1, 66, 80), (1, 8, 16), (1, 20, 0), (1, 1, 0), (0, 3, 8)):  # context: sums over nothing
            x, y, v = Tensor(randn(b, m, 2, 32), kind), Tensor(randn(b, n, 2, 32), kind), Tensor(randn(b, n, 2, 32), kind)
            p = Tensor(randn(b, 2, m, n), kind)
            runs.append(((b, m, n), [x, y], [Tensor(np.einsum('bmhk,bnhk->bhmn', x.values.astype(np.float64), y.values.astype(np.float64)), kind)]))
            runs2.append(((b, m, n), [p, v], [Tensor(np.einsum('bhmk,bkhn->bmhn', p.values.astype(np.float64), v.values.astype(np.float64)), kind)]))
        cases.append(Case(f'scores_{kind}', matmul_text(f'scores_{kind}', 3, q, kk, s, maps_nk, 32, 'f32', rank=4), runs, banks=BANKS if kind == 'f16' else (), tolerance=None if kind == 'f16' else 4e-6))
        cases.append(Case(f'context_{kind}', matmul_text(f'context_{kind}', 3, s, kk, q, maps_kn, 'p2', 'f32', rank=4), runs2, banks=BANKS if kind == 'f16' else (), tolerance=None if kind == 'f16' else 4e-6))
    # Transposed left side; rank 3 rows merged with packed weights and an epilogue that uses the indices.
    for kind in ('f16', 'f32'):
        lhs, rhs, res = tensor([48, 'p0'], kind), tensor([48, 72], kind), tensor(['p0', 72], kind)
        maps = ['affine_map<(m, n, k) -> (k, m)>', 'affine_map<(m, n, k) -> (k, n)>', 'affine_map<(m, n, k) -> (m, n)>']
        runs = []
        for m in (5, 8, 68):
            a, w = Tensor(randn(48, m), kind), Tensor(randn(48, 72), kind)
            runs.append(((m,), [a, w], [Tensor(product(a.values.T, w.values), kind)]))
        cases.append(Case(f'left_transposed_{kind}', matmul_text(f'left_transposed_{kind}', 1, lhs, rhs, res, maps, 48, 'f32'), runs, tolerance=None if kind == 'f16' else 4e-6))
        lhs, rhs, res, x = tensor(['p0', 'p1', 48], kind), tensor([2, 48, 16], kind), tensor(['p0', 'p1', 24], kind), tensor(['p1', 24], kind)
        maps = ['affine_map<(b, m, n, k) -> (b, m, k)>', 'affine_map<(b, m, n, k) -> (n, k)>', 'affine_map<(b, m, n, k) -> (b, m, n)>']
        if kind == 'f16':
            ep = f"    %0 = kt.read %x0[%i1, %i2] : {x} -> f16\n    %1 = arith.extf %0 : f16 to f32\n    %2 = arith.addf %acc, %1 : f32\n    %e = arith.truncf %2 : f32 to f16"
        else:
            ep = f"    %0 = kt.read %x0[%i1, %i2] : {x} -> f32\n    %e = arith.addf %acc, %0 : f32"
        runs = []
        for b, m in ((1, 9), (3, 7), (2, 40)):
            a, w, y = Tensor(randn(b, m, 48), kind), Tensor(randn(48, 24), kind), Tensor(randn(m, 24), kind)
            p = Tensor(pack(w.bits), kind)
            runs.append(((b, m), [a, p, y], [Tensor(product(a.values.reshape(-1, 48), w.values).reshape(b, m, 24) + y.values, kind)]))
        cases.append(Case(f'positions_{kind}', matmul_text(f'positions_{kind}', 2, lhs, rhs, res, maps, 48, 'f32', True, [x], ep, rank=3), runs, tolerance=None if kind == 'f16' else 4e-6))
    # FP32 with packed FP32 weights; f64; integers.
    for name, lt, rt, acc in (('f32', 'f32', 'f32', 'f32'), ('f32_f16', 'f32', 'f16', 'f32'), ('f64', 'f64', 'f64', 'f64'), ('i32', 'i32', 'i32', 'i32'), ('u8', 'ui8', 'i8', 'i32')):
        n, k = 72, 90
        lhs, res, rhs = tensor(['p0', k], lt), tensor(['p0', n], acc), tensor([5, k, 16], rt)
        runs = []
        for m in (3, 70):
            if acc == 'i32':
                a, w = Tensor(rng.integers(0, 100, (m, k)), lt), Tensor(rng.integers(-100, 100, (k, n)), rt)
                want = Tensor(a.values.astype(np.int64) @ w.values.astype(np.int64), 'i32')
            else:
                a, w = Tensor(randn(m, k), lt), Tensor(randn(k, n), rt)
                want = Tensor(product(a.values, w.values), acc)
            runs.append(((m,), [a, Tensor(pack(w.bits), rt)], [want]))
        cases.append(Case(f'simt_{name}', matmul_text(f'simt_{name}', 1, lhs, rhs, res, M2, k, acc, True), runs, tolerance=None if acc != 'f32' else 4e-6))
    lhs, rhs, res = tensor(['p0', 300], 'f32'), tensor([5, 300, 16], 'f32'), tensor(['p0', 75], 'f32')
    runs = []
    for m in (2, 70):
        a, w = Tensor(randn(m, 300), 'f32'), Tensor(randn(300, 75), 'f32')
        runs.append(((m,), [a, Tensor(pack(w.bits), 'f32')], [Tensor(product(a.values, w.values), 'f32')]))
    cases.append(Case('simt_split', matmul_text('simt_split', 1, lhs, rhs, res, M2, 300, 'f32', True), runs, tolerance=4e-6))
    lhs, rhs, res = tensor([256, 64], 'f32'), tensor([16, 64, 16], 'f32'), tensor([256, 256], 'f32')
    a, w = Tensor(randn(256, 64), 'f32'), Tensor(randn(64, 256), 'f32')
    runs = [((), [a, Tensor(pack(w.bits), 'f32')], [Tensor(product(a.values, w.values), 'f32')])]
    cases.append(Case('simt_large', matmul_text('simt_large', 0, lhs, rhs, res, M2, 64, 'f32', True), runs, tolerance=4e-6))
    return cases
