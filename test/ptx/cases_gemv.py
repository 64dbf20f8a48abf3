"""Kernels for few rows, each tile that there is: every type of weights, depths that are no whole units, columns that are no whole panels, parts, batches, rows
that lie apart, blocks that share the depth, and norms of the rows."""
import re
import numpy as np
from cases_conv import conv_case
from cases_matmul import pack, pack_parts, product
from cases_rows import AT_ONCE, ONE_BY_ONE, row_runs
from cases_structured import randn, rng
from harness import Case, Tensor

FLAGS = ('--variants=all',)
ROWS, MANY = (1, 2, 3, 4, 8), (1, 5, 8, 13, 32)  # on CUDA cores, on tensor cores
WEIGHTS = re.compile(r'ld\.global\.nc\.L1::no_allocate\S*?(?:\.v(\d))?\.b32 ')


def on_their_way(ints, kernel, ptx):
    """What a thread has on its way before it multiplies: on CUDA cores all weights that it holds, and as many again while it multiplies those; on tensor cores
    all slots of the ring, and then the one that it has read again."""
    first = re.search(r'\b(mma\.sync|fma\.rn\.f32)', ptx).start()
    if ptx.startswith('mma', first):
        copies, groups = (len(re.findall(what, ptx[:first])) for what in (r'cp\.async\.cg', r'cp\.async\.commit_group'))
        pending = int(re.search(r'cp\.async\.wait_group (\d+)', ptx)[1])
        again = len(re.findall(r'cp\.async\.cg', ptx[first:]))
        right = copies == groups * again and pending == groups - 1
        return None if right else f'{copies} copies in {groups} groups before the first product, which waits for all but {pending}; {again} behind it'
    ahead, after = (sum(4 * int(m[1] or 1) for m in WEIGHTS.finditer(part)) for part in (ptx[:first], ptx[first:]))
    return f'{ahead} bytes before the first product, {after} behind' if ahead < 32 or ahead != after else None


def gemv(name, runs, tolerance=None, tag='gemv', only='gemv', **more):
    banks = ('cp.async',) if re.match('linear|int8_f16|int8_bf16|parts_f16', name) else ()
    return Case(f'{name}_{tag}', runs, tolerance, banks, FLAGS, on_their_way, name, only, **more)


def packed(w):
    p = Tensor.__new__(Tensor)
    p.kind, p.bits = w.kind, pack(w.bits)
    return p


def weights(k, n, kind):
    return Tensor(rng.integers(-127, 128, (k, n)) if kind == 'i8' else randn(k, n), kind)


def plain_runs(kind, rhs, n, k, rows, result=None):
    runs = []
    for m in rows:
        a, w = Tensor(randn(m, k), kind), weights(k, n, rhs)
        runs.append(((m,), [a, packed(w)], [Tensor(product(a.values, w.values), result or kind)]))
    return runs


def linear_runs(kind, n, k, rows):
    runs = []
    for m in rows:
        a, w, x, y = Tensor(randn(m, k), kind), weights(k, n, kind), Tensor(randn(n), kind), Tensor(randn(m, n), kind)
        runs.append(((m,), [a, packed(w), x, y], [Tensor(product(a.values, w.values) + x.values + y.values, kind)]))
    return runs


def scaled_runs(kind, n, k, rows):
    runs = []
    for m in rows:
        a, w, s = Tensor(randn(m, k), kind), weights(k, n, 'i8'), Tensor(rng.uniform(0.01, 0.02, n), 'f32')
        runs.append(((m,), [a, packed(w), s], [Tensor(product(a.values, w.values) * s.values * (2 if kind == 'f32' else 1), kind)]))
    return runs


def parts_runs(kind, rhs, n, k, rows):
    runs = []
    for m in rows:
        both = [Tensor(rng.integers(-9, 10, (k, n)), rhs) if rhs == 'i8' else weights(k, n, rhs) for _ in range(2)]
        a, y, p = Tensor(randn(m, k), kind), Tensor(randn(n), 'f32'), Tensor.__new__(Tensor)
        p.kind, p.bits = rhs, pack_parts([w.bits for w in both])
        gate, up = (product(a.values, w.values) for w in both)
        runs.append(((m,), [a, p, y], [Tensor(np.maximum(gate + y.values, y.values) * up, kind)]))
    return runs


def apart_runs(kind, shapes, n, k):
    """Rows [b, s] of [s, b, k]."""
    runs = []
    for b, s in shapes:
        a, w = Tensor(randn(s, b, k), kind), weights(k, n, kind)
        runs.append(((b, s), [a, packed(w)], [Tensor(product(a.values.swapaxes(0, 1), w.values), kind)]))
    return runs


def batch_runs(kind, shapes, n, k):
    """Results [b, n, s], whose rows are no rows of one matrix."""
    runs = []
    for b, s in shapes:
        a, w = Tensor(randn(b, s, k), kind), weights(k, n, kind)
        runs.append(((b, s), [a, packed(w)], [Tensor(product(a.values, w.values).swapaxes(1, 2), kind)]))
    return runs


def normed_runs(kind, n, k, rows, centred=False, eight=False):
    """A block that has normalized all rows itself may leave them in its shared memory."""
    runs = []
    for m in rows:
        a, s, w = Tensor(3 * randn(m, k) + centred, kind), Tensor(randn(k), 'f32' if centred else kind), weights(k, n, 'i8' if eight else kind)
        v = a.values.astype(np.float64)
        more = []
        if centred:
            more = [Tensor(randn(m, k), 'f32'), Tensor(randn(k), kind)]
            v = v + more[0].values
            v = v - v.mean(1, keepdims=True)
        v = v / np.sqrt((v * v).mean(1, keepdims=True) + 1e-5) * s.values
        x = Tensor(v + more[1].values if centred else v, kind)
        x.may_be_left = True
        c = Tensor(rng.uniform(0.01, 0.02, n), 'f32') if eight else Tensor(randn(m, n), kind)
        y = product(x.values, w.values)
        runs.append(((m,), [a, *more[:1], s, *more[1:], packed(w), c], [x, Tensor(y * c.values if eight else y + c.values, kind)]))
    return runs


def gemv_cases():
    exact, sharing = 4e-6, 'gemv rows=8 .*blocks share the norm'
    eight = row_runs('f32', False, 75, 300, (8,))
    return [gemv('linear_f16_136_200', linear_runs('f16', 136, 200, MANY)),
            gemv('linear_bf16_72_64', linear_runs('bf16', 72, 64, MANY)),
            gemv('linear_f16_72_2048', linear_runs('f16', 72, 2048, (1, 6, 12, 32))),  # blocks share the depth
            gemv('ragged_41_104', plain_runs('f16', 'f16', 41, 104, MANY)),
            gemv('ragged_50_99', plain_runs('f16', 'f16', 50, 99, ROWS)),
            gemv('simt_f32', plain_runs('f32', 'f32', 72, 90, ROWS), exact),
            gemv('simt_f32_f16', plain_runs('f32', 'f16', 72, 90, ROWS), exact),
            gemv('simt_deep', plain_runs('f32', 'f32', 75, 1536, ROWS), 8e-6),
            gemv('simt_split', plain_runs('f32', 'f32', 75, 300, ROWS), exact),
            gemv('int8_f16', scaled_runs('f16', 80, 160, MANY)),
            gemv('int8_bf16', scaled_runs('bf16', 80, 160, MANY)),
            gemv('int8_f32', scaled_runs('f32', 80, 160, ROWS), exact),
            gemv('parts_f16_136_200', parts_runs('f16', 'f16', 136, 200, MANY)),
            gemv('parts_bf16_72_104', parts_runs('bf16', 'bf16', 72, 104, MANY)),
            gemv('parts_f32_75_300', parts_runs('f32', 'f32', 75, 300, ROWS), exact),
            gemv('parts_int8_f16_80_160', parts_runs('f16', 'i8', 80, 160, MANY)),
            gemv('rows_apart_f16', apart_runs('f16', ((1, 1), (2, 3), (2, 5), (4, 7)), 72, 48)),
            gemv('rows_apart_f32', apart_runs('f32', ((1, 1), (2, 3), (4, 2)), 72, 48), exact),
            gemv('columns_first_f16', batch_runs('f16', ((1, 1), (3, 7), (2, 13), (2, 32)), 72, 48)),
            gemv('rows_f16_200_1536', row_runs('f16', True, 200, 1536, (1, 7, 13, 30))),
            gemv('rows_f32_75_300', row_runs('f32', False, 75, 300, (1, 3, 8)), 2e-5),
            gemv('rows_f32_75_300', eight, 2e-5, 'gemv_one_by_one', sharing, order=ONE_BY_ONE),
            gemv('rows_f32_75_300', eight, 2e-5, 'gemv_at_once', sharing, order=AT_ONCE),
            Case('normed_f16_72_200', normed_runs('f16', 72, 200, (1, 2, 4, 5, 8, 13, 32, 70)), flags=FLAGS, tolerance=4e-3),
            Case('normed_bf16_40_1544', normed_runs('bf16', 40, 1544, (1, 3, 8, 16), True, True), flags=FLAGS, tolerance=3e-2, only='norm$'),
            # Positions of an image are rows too; this one has 16.
            gemv('conv1x1_few_f16', conv_case('conv1x1_few_f16', 'f16', 1, [4, 4], 24, 32, [1, 1]).runs, only='gemv rows=16')]
