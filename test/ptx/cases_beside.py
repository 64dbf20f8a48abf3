"""Computations beside one another in one launch: kernels/beside.mlir. Each block is of one of them, whatever the sizes of the others are; some have none."""
import numpy as np
from cases_states import untouched
from cases_structured import randn
from harness import Case, Tensor

rng = np.random.default_rng(17)


def caches_runs(shapes):
    """Shapes are (new rows, queries, heads of keys, held, capacity)."""
    runs = []
    for rows, queries, heads, past, capacity in shapes:
        for room in (0, capacity):
            stored, total = room or past, room or past + rows
            made, angle = Tensor(randn(rows, queries + 2 * heads, 16), 'f16'), Tensor(randn(rows, 16), 'f32')
            turned = Tensor(made.values.astype(np.float32) * angle.values[:, None], 'f16')
            held, results = [Tensor(randn(heads, stored, 16), 'f16') for _ in range(2)], []
            for old, new in zip(held, (turned.bits[:, queries:queries + heads], made.bits[:, queries + heads:])):
                result = untouched((heads, total, 16), 'f16')
                if not room:
                    result.bits[:, :past] = old.bits
                result.bits[:, past:past + rows] = new.swapaxes(0, 1)
                results.append(result)
            begin, count = (past, rows) if room else (0, past + rows)
            query = Tensor(turned.values[:, :queries], 'f16')
            runs.append(((rows, queries, heads, stored, total, begin, count, past), [made, angle, *held], [query, *results]))
    return runs


def shapes_runs(shapes, outside=False):
    runs = []
    for n, m, k in shapes:
        at = rng.integers(0, max(k, 1), n)
        x, y, z, t = Tensor(randn(n), 'f16'), Tensor(randn(m, k), 'f32'), Tensor(randn(k), 'f32'), Tensor(-7, 'i64')
        faults = []
        if outside:
            at[n // 2], faults = k + 5, [(k + 5, k, 3)]
        results = [Tensor(x.values + x.values, 'f16'), Tensor(y.values * z.values, 'f32'), Tensor(49, 'i64'), Tensor(z.values[np.minimum(at, k - 1)], 'f32')]
        runs.append(((n, m, k, 3), [x, y, z, t, Tensor(at, 'i64')], results, *([faults] if outside else [])))
    return runs


def beside_cases():
    caches = ((1, 4, 2, 5, 9), (1, 40, 3, 197, 509), (7, 2, 1, 0, 7), (33, 6, 5, 64, 128), (3, 0, 2, 4, 8), (0, 4, 2, 5, 9), (2, 5, 0, 3, 5))
    return [Case('beside_caches', caches_runs(caches)),
            Case('beside_shapes', shapes_runs(((1, 1, 1), (509, 3, 64), (2100, 7, 197), (8, 100, 12), (0, 5, 8), (300, 0, 4))) + shapes_runs(((300, 2, 40),), True))]
