"""Warps that copy beside warpgroups that multiply (kernels/producers.mlir): depths of no slab, one, fewer than a ring has slots, and so many that it goes round several times; shares
of a depth, the last of which may have none; rows, columns and depths that are no whole tiles."""
import numpy as np
from cases_blocks import Weights, stored
from cases_matmul import product
from cases_structured import randn
from harness import Case, Tensor

FLAGS, COLUMNS = ('--variants=all',), 72
# Of slabs of 64: none, a part of one, and 29, of which the seventh of seven shares has none.
DEPTHS = (0, 8, 1856)
# Rows of a part of a tile, and of several.
SIZES = [(70, k) for k in DEPTHS] + [(3, 200), (140, 136)]


def passes_slots_on(ints, kernel, ptx):
    """Neither who copies nor who multiplies meets all others at a barrier."""
    loops = ptx[ptx.index('mbarrier.try_wait'):ptx.rindex('mbarrier.arrive')]
    return 'there is a barrier of the block in a loop' if 'bar.sync' in loops else None


def exact(a, w):
    return product(a.values, w.values)


def beside(name, weights, sums=exact, sizes=SIZES, only='wgmma producers=4', banks=('ldmatrix',)):
    """`weights(n, k)` are in blocks of groups of k's."""
    runs = []
    for m, k in sizes:
        a, more, w = Tensor(randn(m, k), 'f16'), Tensor(randn(m, COLUMNS), 'f16'), weights(COLUMNS, k)
        runs.append(((m, k // 8, w.bits.shape[1]), [a, stored(w.bits), more], [Tensor(sums(a, w) + more.values, 'f16')]))
    return Case(name, runs, 3e-3, banks, FLAGS, passes_slots_on, only=only, target='sm_90a')


def normed(name, n, k, rows):
    """Twelve warps of a block have a norm of rows together."""
    runs = []
    for m in rows:
        a, w, scale = Tensor(randn(m, k), 'f16'), Grouped(8, 128, False, n, k), Tensor(randn(n), 'f32')
        x = Tensor(exact(a, w), 'f16')
        v = x.values.astype(np.float64)
        v = v - v.mean(1, keepdims=True)
        y = v / np.sqrt((v * v).mean(1, keepdims=True) + 1e-5) * scale.values
        runs.append(((m,), [a, stored(w.bits), scale], [x, Tensor(y, 'f16')]))
    return Case(name, runs, 3e-3, flags=FLAGS, only='tile=128x128x64.*wgmma producers=4.*norm', target='sm_90a')


class Grouped(Weights):
    """Of any depth, none as well."""

    def __init__(self, bits, group, zeros, n, k):
        if k:
            return super().__init__(bits, group, 'f16', zeros, n, k)
        self.bits, self.values = np.zeros((-(-n // 16), 0, 16 * (2 + zeros) + group * 2 * bits), np.uint8), np.zeros((0, n))


def producer_cases():
    return [beside('producers_int8_blocks', lambda n, k: Grouped(8, 128, False, n, k)),
            beside('producers_int4_blocks', lambda n, k: Grouped(4, 32, True, n, k)),
            normed('producers_rows_int8_2056_8', 2056, 8, (5, 130))]
