"""Kernels of sort, scan, scatter and nonzero."""
import numpy as np
from cases_structured import kernel, randn, rng, tensor
from harness import Case, Tensor


def sort_case(name, kind, descending, shapes, k=None):
    kk = k or 'p1'
    t, v, i = tensor(['p0', 'p1'], kind), tensor(['p0', kk], kind), tensor(['p0', kk], 'i64')
    body = f"  %r0, %r1 = kt.sort %x {{descending = {str(descending).lower()}}} : {t} -> {v}, {i}"
    runs = []
    for n, m in shapes:
        x = randn(n, m) * 3
        if kind in ('f32', 'f16'):
            x = np.round(x * 4) / 4
            x[0, ::7] = np.nan
        x = Tensor(x, kind)
        f = x.values.astype(np.float64)
        key = np.where(np.isnan(f), np.inf, f)
        order = np.argsort(-key if descending else key, axis=1, kind='stable')[:, :k or m]
        runs.append(((n, m), [x], [Tensor(np.take_along_axis(x.values, order, 1), kind), Tensor(order, 'i64')]))
    return Case(name, kernel(name, 2, [('x', t)], [v, i], body), runs)


def scan_case(name, kind, what, attrs, shapes):
    t = tensor(['p0', 'p1'], kind)
    extra = '{' + ', '.join(attrs) + '}' if attrs else ''
    body = f"  %r = kt.scan {what} %x {extra} : {t} -> {t}"
    runs = []
    for n, m in shapes:
        x = Tensor(rng.integers(-9, 9, (n, m)) if kind == 'i64' else randn(n, m) if what == 'add' else 1 + randn(n, m) / 50, kind)
        v = x.values.astype(np.float64) if kind != 'i64' else x.values
        v = np.flip(v, 1) if 'reverse' in attrs else v
        y = np.cumsum(v, 1) if what == 'add' else np.cumprod(v, 1)
        if 'exclusive' in attrs:
            y = np.concatenate([np.full((n, 1), 0 if what == 'add' else 1, y.dtype), y[:, :-1]], 1)
        y = np.flip(y, 1) if 'reverse' in attrs else y
        runs.append(((n, m), [x], [Tensor(y, kind)]))
    return Case(name, kernel(name, 2, [('x', t)], [t], body), runs, tolerance=1e-5 if kind == 'f32' else None)


def scatter_case(name, kind, what, depth):
    dims = ['p0', 5, 'p1']
    t, ix = tensor(dims, kind), tensor(['p2', depth], 'i64')
    u = tensor(['p2'] + dims[depth:], kind)
    body = f"  %r = kt.scatter {what} %x, %n, %u : {t}, {ix}, {u} -> {t}"
    runs = []
    for a, b, rows in ((6, 9, 20), (40, 8, 3)):
        shape = (a, 5, b)
        values = lambda *s: rng.integers(-5, 6, s)
        x, up = Tensor(values(*shape), kind), Tensor(values(rows, *shape[depth:]), kind)
        n = np.stack([rng.integers(-shape[d], shape[d], rows) for d in range(depth)], 1)
        n[0, 0] = shape[0] + 3
        want = x.values.copy()
        for r in range(1, rows):
            at = tuple(n[r])
            old, new = want[at], up.values[r]
            want[at] = {'assign': lambda: new, 'add': lambda: old + new, 'mul': lambda: old * new, 'max': lambda: np.maximum(old, new), 'min': lambda: np.minimum(old, new)}[what]()
        runs.append(((a, b, rows), [x, Tensor(n, 'i64'), up], [Tensor(want, kind)]))
    return Case(name, kernel(name, 3, [('x', t), ('n', ix), ('u', u)], [t], body), runs)


def order_cases():
    t, p, c = tensor(['p0'], 'i1'), tensor(['p0'], 'i64'), tensor([1], 'i64')
    runs = []
    for n in (5, 3000, 1024):
        x = rng.random(n) < 0.4
        at = np.nonzero(x)[0]
        runs.append(((n,), [Tensor(x, 'i1')], [Tensor(np.concatenate([at, np.zeros(n - len(at), np.int64)]), 'i64'), Tensor([len(at)], 'i64')]))
    return [
        sort_case('sort_f32', 'f32', False, [(3, 50), (1, 515)]),
        sort_case('topk_f16', 'f16', True, [(2, 60), (1, 130)], k=10),
        sort_case('sort_i64', 'i64', True, [(2, 100)]),
        scan_case('cumsum_f32', 'f32', 'add', [], [(3, 40), (2, 900)]),
        scan_case('cumsum_i64_exclusive_reverse', 'i64', 'add', ['exclusive', 'reverse'], [(2, 300)]),
        scan_case('cumprod_f32_reverse', 'f32', 'mul', ['reverse'], [(2, 270)]),
        scatter_case('scatter_assign', 'f16', 'assign', 1),
        scatter_case('scatter_assign_2', 'i64', 'assign', 2),
        scatter_case('scatter_add', 'f32', 'add', 3),
        scatter_case('scatter_add_f16', 'f16', 'add', 1),
        scatter_case('scatter_max', 'f32', 'max', 2),
        Case('nonzero', kernel('nonzero', 1, [('x', t)], [p, c], "  %r0, %r1 = kt.nonzero %x : " + f"{t} -> {p}, {c}"), runs),
    ]
