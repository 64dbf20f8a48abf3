"""Warps that copy beside warpgroups that multiply (kernels/producers.mlir): depths of no slab, one, fewer than a ring has slots, and so many that it goes round several times; shares
of a depth, the last of which may have none; rows, columns and depths that are no whole tiles."""
import numpy as np
import cases_integers
from cases_blocks import Weights, stored
from cases_matmul import pack, product
from cases_quantised import ColumnWeights, product as rounded_product
from cases_rows import row_runs
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


def halves(name, weights=None, sums=exact, sizes=SIZES, only='wgmma producers=4', banks=('ldmatrix',)):
    """`weights(n, k)` are in blocks of groups of k's; none: panels."""
    runs = []
    for m, k in sizes:
        a, beside = Tensor(randn(m, k), 'f16'), Tensor(randn(m, COLUMNS), 'f16')
        if weights:
            w = weights(COLUMNS, k)
            ints, right, values = (m, k // 8, w.bits.shape[1]), stored(w.bits), w
        else:
            values = Tensor(randn(k, COLUMNS), 'f16')
            ints, right = (m, k // 8), Tensor(pack(values.bits), 'f16')
        runs.append((ints, [a, right, beside], [Tensor(sums(a, values) + beside.values, 'f16')]))
    return Case(name, runs, 3e-3, banks, FLAGS, passes_slots_on, only=only, target='sm_90a')


def integers(sizes):
    runs = []
    for m, k in sizes:
        a, w, beside = cases_integers.integers('ui8', m, k), cases_integers.integers('i8', k, COLUMNS), Tensor(randn(m, COLUMNS) * 1000, 'i32')
        runs.append(((m, k // 16), [a, cases_integers.packed(w), beside], [cases_integers.wrapped(cases_integers.product(a, w) + beside.values)]))
    return Case('producers_int8', runs, flags=FLAGS, only='wgmma producers=4', target='sm_90a')


class Grouped(Weights):
    """Of any depth, none as well."""

    def __init__(self, bits, group, zeros, n, k):
        if k:
            return super().__init__(bits, group, 'f16', zeros, n, k)
        self.bits, self.values = np.zeros((-(-n // 16), 0, 16 * (2 + zeros) + group * 2 * bits), np.uint8), np.zeros((0, n))


def producer_cases():
    cases = [halves('producers_f16'),
             halves('producers_int8_blocks', lambda n, k: Grouped(8, 128, False, n, k), only='wgmma producers=4 int8(?!.*quantised)(?!.*widened)'),
             halves('producers_int4_blocks', lambda n, k: Grouped(4, 32, True, n, k), only='wgmma producers=4 int4'),
             integers([(m, 2 * k) for m, k in SIZES])]
    rounded = halves('producers_int8_blocks_rounded', ColumnWeights, rounded_product, [(70, k) for k in (16, 144, 1024, 2320, 3712)] + [(140, 272)],
                     only='wgmma producers=4.*quantised rows')
    rounded.kernel = 'producers_int8_blocks'
    # Twelve warps of a block, for a row or for twelve.
    norms = [Case(name, runs, flags=FLAGS, kernel=kernel, only='tile=128x128x64.*wgmma producers=4.*norm', target='sm_90a') for name, kernel, runs in (
        ('producers_rows_f16_2056_8', None, row_runs('f16', True, 2056, 8, (5, 130))),
        ('producers_rows_f16_200_1536', 'rows_f16_200_1536', row_runs('f16', True, 200, 1536, (70,))))]
    return [*cases, rounded, *norms]
