"""Kernels of kt.sort, kt.scan, kt.scatter, kt.nonzero and kt.suppress (kernels/order.mlir)."""
import numpy as np
from cases_structured import randn, rng
from harness import Case, Tensor


def sort_case(name, kind, descending, shapes, k=None):
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
    return Case(name, runs)


def scan_case(name, kind, what, attrs, shapes):
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
    return Case(name, runs, tolerance=1e-5 if kind == 'f32' else None)


def scatter_case(name, kind, what, depth):
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
    return Case(name, runs)


def selected(boxes, scores, most, overlap, least, centred):
    """The numbers of one class's boxes, in the order in which they are selected."""
    f = np.float32
    half = boxes[:, 2:] * f(0.5)
    low = boxes[:, :2] - half if centred else np.minimum(boxes[:, :2], boxes[:, 2:])
    high = boxes[:, :2] + half if centred else np.maximum(boxes[:, :2], boxes[:, 2:])
    area = (high - low).prod(1)
    out = []
    for i in np.argsort(-np.where(np.isnan(scores), np.inf, scores), kind='stable'):
        if len(out) >= most or (least is not None and not scores[i] > least):
            continue
        sides = np.minimum(high[i], high[out]) - np.maximum(low[i], low[out])
        common = np.where((sides > 0).all(1), sides.prod(1), 0)
        if not ((common > 0) & (common / (area[i] + area[out] - common) > overlap)).any():
            out.append(i)
    return out


def suppress_case(name, shapes, slots='p2', least=True, centred=False):
    """p0 batches, p1 classes, p2 boxes; shapes: (b, c, n, most, overlap, least)."""
    runs = []
    for b, c, n, most, overlap, limit in shapes:
        corners = rng.random((b, n, 2)) * 40
        boxes = np.concatenate([corners, (corners * (not centred)) + rng.random((b, n, 2)) * 20 + 1], 2).astype(np.float32)
        if not centred:
            boxes[:, ::3] = boxes[:, ::3][..., [2, 3, 0, 1]]
        scores = np.round(rng.random((b, c, n)), 2).astype(np.float32)
        scores[..., ::11] = np.nan
        scores[..., 1::11] = -0.0
        room = n if slots == 'p2' else slots
        want, count = np.zeros((b, c, room), np.int64), np.zeros((b, c), np.int64)
        for i in range(b):
            for j in range(c):
                out_ = selected(boxes[i], scores[i, j], min(most, room), overlap, limit if least else None, centred)
                want[i, j, :len(out_)], count[i, j] = out_, len(out_)
        inputs = [Tensor(boxes, 'f32'), Tensor(scores, 'f32'), Tensor([most], 'i64'), Tensor([overlap], 'f32'), Tensor([limit], 'f32')]
        runs.append(((b, c, n), inputs[:5 if least else 4], [Tensor(want, 'i64'), Tensor(count, 'i64')]))
    return Case(name, runs)


def order_cases():
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
        scatter_case('scatter_add_i32', 'i32', 'add', 3),
        scatter_case('scatter_add_f16', 'f16', 'add', 1),
        scatter_case('scatter_max', 'f32', 'max', 2),
        Case('nonzero', runs),
        suppress_case('suppress', [(2, 2, 60, 100, 0.3, 0.25), (1, 1, 700, 5, 0.5, 0.9), (1, 2, 9, 0, 0.5, 0), (1, 1, 20, -3, 0.5, 0), (1, 2, 0, 4, 0.5, 0), (0, 2, 5, 4, 0.5, 0)]),
        suppress_case('suppress_all', [(1, 2, 60, 100, 0.3, 0)], least=False),
        suppress_case('suppress_centred', [(1, 2, 60, 3, 0.1, 0.5)], slots=7, centred=True),
    ]
