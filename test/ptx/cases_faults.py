"""Indices taken from data: what is inside is used, what is outside is reported and reads nothing."""
import numpy as np
import cases_attention
from cases_structured import kernel, tensor
from harness import Case, Tensor

rng = np.random.default_rng(11)


def gather_case(kind, width, index):
    """Rows of a table [p0, width] at [p1] indices; the site is p2."""
    t, i, o = tensor(['p0', width], kind), tensor(['p1'], index), tensor(['p1', width], kind)
    name = f'gather_{kind}_{width}_{index}'
    body = f"""  %r = kt.generic ins(%x, %i : {t}, {i}) -> {o} {{
  ^bb0(%X: {t}, %I: {i}, %a: index, %b: index):
    %0 = kt.read %I[%a] : {i} -> {index}
    %1 = kt.bounded %0 below #kt.expr<p0> site 2 {{wraps}} : {index}
    %2 = kt.read %X[%1, %b] : {t} -> {kind}
    kt.yield %2 : {kind}
  }}"""
    rows, runs = 11, []
    for n in (1, 8, 77):
        x, at = Tensor(rng.standard_normal((rows, width)), kind), rng.integers(-rows, rows, n)
        runs.append(((rows, n, 5), [x, Tensor(at, index)], [Tensor(x.values[at], kind)]))
    outside = [rows, -rows - 1, 2**31 - 1, -2**31] + ([2**32 + 1, 2**40, -2**63, 2**63 - 1] if index == 'i64' else [])
    for bad in outside:
        at = rng.integers(-rows, rows, 40)
        at[23] = bad
        runs.append(((rows, 40, 6), [x, Tensor(at, index)], [Tensor(np.zeros((40, width)), kind)], {(bad, rows, 6)}))
    return Case(name, kernel(name, 3, [('x', t), ('i', i)], [o], body), runs)


def elements_case():
    """An index for each element, in vectors: every lane is looked at; `when` keeps one still."""
    t, i, o = tensor(['p0'], 'f32'), tensor(['p1'], 'i64'), tensor(['p1'], 'f32')
    body = f"""  %r = kt.generic ins(%x, %i : {t}, {i}) -> {o} {{
  ^bb0(%X: {t}, %I: {i}, %a: index):
    %0 = kt.read %I[%a] : {i} -> i64
    %c = arith.constant -100 : i64
    %z = arith.constant 0.0 : f32
    %w = arith.cmpi ne, %0, %c : i64
    %1 = kt.bounded %0 below #kt.expr<p0> site 2 when %w : i64
    %2 = kt.read %X[%1] : {t} -> f32
    %3 = arith.select %w, %2, %z : f32
    kt.yield %3 : f32
  }}"""
    rows, runs = 9, []
    for n in (3, 64, 1025):
        x, at = rng.standard_normal(rows), rng.integers(0, rows, n)
        at[n // 2] = -100
        runs.append(((rows, n, 0), [Tensor(x, 'f32'), Tensor(at, 'i64')], [Tensor(np.where(at == -100, 0, x[at % rows]), 'f32')]))
        for place in (0, 1, n - 1):
            wrong = at.copy()
            wrong[place] = -1
            runs.append(((rows, n, 0), [Tensor(x, 'f32'), Tensor(wrong, 'i64')], [Tensor(np.zeros(n), 'f32')], {(-1, rows, 0)}))
    return Case('elements', kernel('elements', 3, [('x', t), ('i', i)], [o], body), runs)


def scatter_case(mode, kind):
    b, i, u = tensor(['p0', 'p1', 3], kind), tensor(['p2', 2], 'i64'), tensor(['p2', 3], kind)
    name = f'scatter_site_{mode}_{kind}'
    text = f"  %r = kt.scatter {mode} %b, %i, %u {{site = 3}} : {b}, {i}, {u} -> {b}"
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
    return Case(name, kernel(name, 4, [('b', b), ('i', i), ('u', u)], [b], text), runs)


def inside_attention():
    """Keys that a tile has beyond the end are no numbers of data: nothing is reported for them."""
    cases = []
    for kind in ('f16', 'f32'):
        c = cases_attention.attention_case(f'bounded_{kind}', kind, 64, 64, [(1, 5, 7), (2, 33, 65), (1, 1, 600)], mask=True)
        text = c.text.replace('"p2"]', '"p2", "p3"]').replace('%M[%b, %z, %i, %j]', '%M[%b, %z, %i, %to]').replace(
            '    %z = arith.constant 0 : index\n', '    %z = arith.constant 0 : index\n    %to = kt.bounded %j below #kt.expr<p2> site 3 : index\n')
        assert '"p3"' in text and text.count('kt.bounded') == 1 and '%to]' in text
        cases.append(Case(c.name, text, [((*ints, 0), inputs, expected) for ints, inputs, expected in c.runs], c.tolerance))
    return cases


def sum_case():
    """Rows that are looked up and summed: p0 rows of the table, p1 sums of p2 rows each, site p3."""
    t, i, o = tensor(['p0', 5], 'f32'), tensor(['p1', 'p2'], 'i64'), tensor(['p1', 5], 'f32')
    body = f"""  %r = kt.reduce add over [#kt.expr<p2>] ins(%x, %i : {t}, {i}) -> {o} {{
  ^bb0(%X: {t}, %I: {i}, %a: index, %c: index, %k: index):
    %0 = kt.read %I[%a, %k] : {i} -> i64
    %1 = kt.bounded %0 below #kt.expr<p0> site 3 {{wraps}} : i64
    %2 = kt.read %X[%1, %c] : {t} -> f32
    kt.yield %2 : f32
  }} epilogue {{
  ^bb0(%s: f32, %X: {t}, %I: {i}, %a: index, %c: index):
    kt.yield %s : f32
  }}"""
    runs = []
    for n, k in ((1, 1), (7, 33), (300, 3), (2, 3000)):
        x, at = Tensor(rng.standard_normal((11, 5)), 'f32'), rng.integers(-11, 11, (n, k))
        runs.append(((11, n, k, 0), [x, Tensor(at, 'i64')], [Tensor(x.values[at].sum(1), 'f32')]))
        at = at.copy()
        at[n // 2, k // 2] = 11
        runs.append(((11, n, k, 4), [x, Tensor(at, 'i64')], [Tensor(np.zeros((n, 5)), 'f32')], {(11, 11, 4)}))
    return Case('sum_of_rows', kernel('sum_of_rows', 4, [('x', t), ('i', i)], [o], body), runs, tolerance=1e-5)


def fault_cases():
    return [sum_case(), *inside_attention(), gather_case('f32', 8, 'i64'), gather_case('f16', 16, 'i32'), gather_case('f32', 3, 'i64'), elements_case(),
            scatter_case('assign', 'f32'), scatter_case('add', 'f32'), scatter_case('mul', 'i64')]
