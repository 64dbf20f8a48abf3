"""Kernels of a product and a norm of its rows: by the last block of a band of tiles, by the blocks of the band, and by a stage of its own, with the product's
depth shared or not. What blocks share does not depend on the order in which they run: one after the other, when each ends and leaves all rows to
the last one, or all at once and some faster than others, when they wait."""
import numpy as np
from cases_matmul import pack, product
from cases_structured import randn
from harness import Case, Tensor

SHARING = 'blocks share the norm'
ONE_BY_ONE, AT_ONCE = {'batch_threads': 1}, {'batch_threads': 1, 'turn': 25}


def row_runs(kind, centred, n, k, rows):
    runs = []
    for m in rows:
        a, w, scale = Tensor(randn(m, k), kind), Tensor(randn(k, n), kind), Tensor(randn(n), 'f32')
        x = Tensor(product(a.values, w.values), kind)
        v = x.values.astype(np.float64)
        if centred:
            v = v - v.mean(1, keepdims=True)
        y = v / np.sqrt((v * v).mean(1, keepdims=True) + 1e-5) * scale.values
        runs.append(((m,), [a, Tensor(pack(w.bits), kind), scale], [x, Tensor(y, kind)]))
    return runs


def row_cases():
    def case(label, name, runs, tolerance, **more):
        return Case(f'{name}_{label}', runs, tolerance, flags=('--variants=all',), kernel=name, **more)
    half, full, long = 'rows_f16_200_1536', 'rows_f32_75_300', 'rows_f32_4104_8'
    short_runs, long_runs = row_runs('f32', False, 75, 300, (1, 7, 70)), row_runs('f32', False, 4104, 8, (1, 5))
    return [case('all', half, row_runs('f16', True, 200, 1536, (1, 7, 70)), None),
            case('warpgroups', half, row_runs('f16', True, 200, 1536, (7, 70)), None, only='tile=64x128x64 warps=4x1 stages=8 wgmma', target='sm_90a'),
            case('all', full, short_runs, 2e-5),
            case('one_by_one', full, short_runs[::2], 2e-5, only=SHARING, order=ONE_BY_ONE),
            case('at_once', full, short_runs[::2], 2e-5, only=SHARING, order=AT_ONCE),
            case('all', long, long_runs, 2e-5),
            case('at_once', long, long_runs, 2e-5, only=SHARING, order=AT_ONCE)]
