"""Kernels of kt.matmul (kernels/matmul.mlir): packed, strided and batched operands, all types, epilogues, ragged sizes."""
import numpy as np
from harness import BANKS, Case, Tensor
from cases_structured import randn, rng


def pack(w):
    """[k, n] -> [ceil(n / 16), k, 16], zero-padded."""
    k, n = w.shape
    p = np.zeros((-(-n // 16), k, 16), w.dtype)
    for i in range(p.shape[0]):
        c = w[:, i * 16:i * 16 + 16]
        p[i, :, :c.shape[1]] = c
    return p


def pack_parts(parts):
    """Of each part [k, n], panels by turns: [2 * ceil(n / 16), k, 16]."""
    return np.stack([pack(w) for w in parts], 1).reshape(-1, parts[0].shape[0], 16)


def product(a, b):
    return a.astype(np.float64) @ b.astype(np.float64)


def matmul_cases():
    cases = []
    # Packed weights, rows of any number, bias and residual.
    for kind, n, k in (('f16', 136, 200), ('f16', 320, 576), ('bf16', 72, 64), ('f16', 72, 2048)):
        runs = []
        for m in (1, 6, 13, 29, 70, 200, 300):
            if m > 50 and k > 1000 or m > 100 and n > 200:
                continue
            a, w, x, y = Tensor(randn(m, k), kind), Tensor(randn(k, n), kind), Tensor(randn(n), kind), Tensor(randn(m, n), kind)
            p = Tensor.__new__(Tensor)
            p.kind, p.bits = kind, pack(w.bits)
            runs.append(((m,), [a, p, x, y], [Tensor(product(a.values, w.values) + x.values + y.values, kind)]))
        cases.append(Case(f'linear_{kind}_{n}_{k}', runs, banks=BANKS))
    # A ragged number of columns and of k.
    for n, k in ((41, 104), (50, 99)):
        runs = []
        for m in (3, 5, 13, 31, 67):
            a, w = Tensor(randn(m, k), 'f16'), Tensor(randn(k, n), 'f16')
            runs.append(((m,), [a, Tensor(pack(w.bits), 'f16')], [Tensor(product(a.values, w.values), 'f16')]))
        cases.append(Case(f'ragged_{n}_{k}', runs, banks=BANKS))
    # Eight-bit weights with a scale a column.
    for kind in ('f16', 'bf16', 'f32'):
        n, k = 80, 160
        runs = []
        for m in (2, 6, 9, 19, 33, 130):
            a, w, s = Tensor(randn(m, k), kind), Tensor(rng.integers(-127, 128, (k, n)), 'i8'), Tensor(rng.uniform(0.01, 0.02, n), 'f32')
            want = product(a.values, w.values) * s.values * (2 if kind == 'f32' else 1)
            runs.append(((m,), [a, Tensor(pack(w.bits), 'i8'), s], [Tensor(want, kind)]))
        cases.append(Case(f'int8_{kind}', runs))
    # Two products of one left side and one epilogue of both.
    for kind, rhs, n, k in (('f16', 'f16', 136, 200), ('f16', 'f16', 41, 576), ('bf16', 'bf16', 72, 104), ('f16', 'i8', 80, 160), ('f32', 'f32', 75, 300), ('f32', 'f32', 256, 64)):
        runs = []
        for m in (1, 7, 13, 27, 70, 200, 256):
            weights = [Tensor(rng.integers(-9, 10, (k, n)) if rhs == 'i8' else randn(k, n), rhs) for _ in range(2)]
            a, y, p = Tensor(randn(m, k), kind), Tensor(randn(n), 'f32'), Tensor.__new__(Tensor)
            p.kind, p.bits = rhs, pack_parts([w.bits for w in weights])
            gate, up = (product(a.values, w.values) for w in weights)
            runs.append(((m,), [a, p, y], [Tensor(np.maximum(gate + y.values, y.values) * up, kind)]))
        name = f"parts_{'int8_' if rhs == 'i8' else ''}{kind}_{n}_{k}"
        cases.append(Case(name, runs, banks=BANKS if rhs == 'f16' else (), tolerance=None if kind != 'f32' else 4e-6))
    # Two activations, batched: b h (q k^T) from [b, s, h, d], and the product with v.
    for kind in ('f16', 'f32'):
        runs, runs2 = [], []
        for b, m, n in ((2, 24, 40), (1, 7, 9), (1, 66, 80), (1, 8, 16), (1, 20, 0), (1, 1, 0), (0, 3, 8)):  # context: sums over nothing
            x, y, v = Tensor(randn(b, m, 2, 32), kind), Tensor(randn(b, n, 2, 32), kind), Tensor(randn(b, n, 2, 32), kind)
            p = Tensor(randn(b, 2, m, n), kind)
            runs.append(((b, m, n), [x, y], [Tensor(np.einsum('bmhk,bnhk->bhmn', x.values.astype(np.float64), y.values.astype(np.float64)), kind)]))
            runs2.append(((b, m, n), [p, v], [Tensor(np.einsum('bhmk,bkhn->bmhn', p.values.astype(np.float64), v.values.astype(np.float64)), kind)]))
        cases.append(Case(f'scores_{kind}', runs, banks=BANKS if kind == 'f16' else (), tolerance=None if kind == 'f16' else 4e-6))
        cases.append(Case(f'context_{kind}', runs2, banks=BANKS if kind == 'f16' else (), tolerance=None if kind == 'f16' else 4e-6))
    # Transposed left side; rank 3 rows merged with packed weights and an epilogue that uses the indices.
    for kind in ('f16', 'f32'):
        runs = []
        for m in (5, 8, 68):
            a, w = Tensor(randn(48, m), kind), Tensor(randn(48, 72), kind)
            runs.append(((m,), [a, w], [Tensor(product(a.values.T, w.values), kind)]))
        cases.append(Case(f'left_transposed_{kind}', runs, tolerance=None if kind == 'f16' else 4e-6))
        runs = []
        for b, m in ((1, 9), (3, 7), (2, 40), (2, 3), (1, 2), (1, 1)):
            a, w, y = Tensor(randn(b, m, 48), kind), Tensor(randn(48, 24), kind), Tensor(randn(m, 24), kind)
            p = Tensor(pack(w.bits), kind)
            runs.append(((b, m), [a, p, y], [Tensor(product(a.values.reshape(-1, 48), w.values).reshape(b, m, 24) + y.values, kind)]))
        cases.append(Case(f'positions_{kind}', runs, tolerance=None if kind == 'f16' else 4e-6))
    # FP32 with packed FP32 weights; f64; integers.
    for name, lt, rt, acc in (('f32', 'f32', 'f32', 'f32'), ('f32_f16', 'f32', 'f16', 'f32'), ('f64', 'f64', 'f64', 'f64'), ('i32', 'i32', 'i32', 'i32'), ('u8', 'ui8', 'i8', 'i32')):
        n, k = 72, 90
        runs = []
        for m in (3, 70):
            if acc == 'i32':
                a, w = Tensor(rng.integers(0, 100, (m, k)), lt), Tensor(rng.integers(-100, 100, (k, n)), rt)
                want = Tensor(a.values.astype(np.int64) @ w.values.astype(np.int64), 'i32')
            else:
                a, w = Tensor(randn(m, k), lt), Tensor(randn(k, n), rt)
                want = Tensor(product(a.values, w.values), acc)
            runs.append(((m,), [a, Tensor(pack(w.bits), rt)], [want]))
        cases.append(Case(f'simt_{name}', runs, tolerance=None if acc != 'f32' else 4e-6))
    runs = []
    for m in (2, 70):
        a, w = Tensor(randn(m, 300), 'f32'), Tensor(randn(300, 75), 'f32')
        runs.append(((m,), [a, Tensor(pack(w.bits), 'f32')], [Tensor(product(a.values, w.values), 'f32')]))
    cases.append(Case('simt_split', runs, tolerance=4e-6))
    a, w = Tensor(randn(256, 64), 'f32'), Tensor(randn(64, 256), 'f32')
    runs = [((), [a, Tensor(pack(w.bits), 'f32')], [Tensor(product(a.values, w.values), 'f32')])]
    cases.append(Case('simt_large', runs, tolerance=4e-6))
    return cases
