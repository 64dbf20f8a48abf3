"""Indices taken from data: what is inside is used, what is outside is reported and reads nothing (kernels/faults.mlir)."""
import numpy as np
import cases_attention
from harness import Case, Tensor

rng = np.random.default_rng(11)


def gather_case(kind, width, index):
    """Rows of a table [p0, width] at [p1] indices; the site is p2."""
    rows, runs = 11, []
    for n in (1, 8, 77):
        x, at = Tensor(rng.standard_normal((rows, width)), kind), rng.integers(-rows, rows, n)
        runs.append(((rows, n, 5), [x, Tensor(at, index)], [Tensor(x.values[at], kind)]))
    outside = [rows, -rows - 1, 2**31 - 1, -2**31] + ([2**32 + 1, 2**40, -2**63, 2**63 - 1] if index == 'i64' else [])
    for bad in outside:
        at = rng.integers(-rows, rows, 40)
        at[23] = bad
        runs.append(((rows, 40, 6), [x, Tensor(at, index)], [Tensor(np.zeros((40, width)), kind)], {(bad, rows, 6)}))
    return Case(f'gather_{kind}_{width}_{index}', runs)


def elements_case():
    """An index for each element, in vectors: every lane is looked at; `when` keeps one still."""
    rows, runs = 9, []
    for n in (3, 64, 1025):
        x, at = rng.standard_normal(rows), rng.integers(0, rows, n)
        at[n // 2] = -100
        runs.append(((rows, n, 0), [Tensor(x, 'f32'), Tensor(at, 'i64')], [Tensor(np.where(at == -100, 0, x[at % rows]), 'f32')]))
        for place in (0, 1, n - 1):
            wrong = at.copy()
            wrong[place] = -1
            runs.append(((rows, n, 0), [Tensor(x, 'f32'), Tensor(wrong, 'i64')], [Tensor(np.zeros(n), 'f32')], {(-1, rows, 0)}))
    return Case('elements', runs)


def scatter_case(mode, kind):
    runs = []
    base = np.arange(5 * 4 * 3).reshape(5, 4, 3)
    for bad in (None, (5, 0), (0, -5), (2**32, 1)):
        at = np.stack([np.arange(5) - 5, rng.permutation(4).tolist() + [0]], 1)
        updates, want = rng.integers(1, 5, (5, 3)), base.copy()
        if bad:
            at[2] = bad
        inputs = [Tensor(base, kind), Tensor(at, 'i64'), Tensor(updates, kind)]
        if bad:
            expected = {(bad[0], 5, 9)} if not -5 <= bad[0] < 5 else {(bad[1], 4, 9)}
            runs.append(((5, 4, 5, 9), inputs, [Tensor(base, kind)], expected))
            continue
        for row, update in zip(at, updates):
            want[tuple(row)] = {'assign': update, 'add': want[tuple(row)] + update, 'mul': want[tuple(row)] * update}[mode]
        runs.append(((5, 4, 5, 9), inputs, [Tensor(want, kind)]))
    return Case(f'scatter_site_{mode}_{kind}', runs)


def inside_attention():
    """Keys that a tile has beyond the end are no numbers of data: nothing is reported for them."""
    cases = []
    for kind in ('f16', 'f32'):
        c = cases_attention.attention_case(f'bounded_{kind}', kind, 64, 64, [(1, 5, 7), (2, 33, 65), (1, 1, 600)], mask=True)
        cases.append(Case(c.name, [((*ints, 0), inputs, expected) for ints, inputs, expected in c.runs], c.tolerance))
    return cases


def sum_case():
    """Rows that are looked up and summed: p0 rows of the table, p1 sums of p2 rows each, site p3."""
    runs = []
    for n, k in ((1, 1), (7, 33), (300, 3), (2, 3000)):
        x, at = Tensor(rng.standard_normal((11, 5)), 'f32'), rng.integers(-11, 11, (n, k))
        runs.append(((11, n, k, 0), [x, Tensor(at, 'i64')], [Tensor(x.values[at].sum(1), 'f32')]))
        at = at.copy()
        at[n // 2, k // 2] = 11
        runs.append(((11, n, k, 4), [x, Tensor(at, 'i64')], [Tensor(np.zeros((n, 5)), 'f32')], {(11, 11, 4)}))
    return Case('sum_of_rows', runs, tolerance=1e-5)


def fault_cases():
    return [sum_case(), *inside_attention(), gather_case('f32', 8, 'i64'), gather_case('f16', 16, 'i32'), gather_case('f32', 3, 'i64'), elements_case(),
            scatter_case('assign', 'f32'), scatter_case('add', 'f32'), scatter_case('mul', 'i64')]
