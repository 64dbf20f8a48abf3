"""Products whose rows are rounded to integers of 8 bits first (kernels/quantised.mlir): depths that are no whole slabs, rows of nothing, and
infinities and NaN, whose rows are no numbers. What is right is the sum of the integers, exactly."""
import numpy as np
from cases_blocks import Weights, stored
from cases_rows import ONE_BY_ONE
from cases_structured import randn
from harness import Case, Tensor

ROWS = (65, 70, 130)
FLAGS = ('--variants=all',)


class ColumnWeights(Weights):
    """Blocks of INT8 whose columns have one scale."""

    def __init__(self, n, k):
        super().__init__(8, 128, 'f16', False, n, k)
        self.scales.bits[:] = self.scales.bits[0]
        blocks = [self.block([c if c < n else None for c in range(panel * 16, panel * 16 + 16)], g, 8, 128, False) for panel in range(-(-n // 16)) for g in range(-(-k // 128))]
        self.bits = np.concatenate(blocks).reshape(self.bits.shape)


def quantised(values):
    """Integers of rows and their scales: the largest magnitude is 127 steps, halves go to the even one."""
    largest = np.abs(values.astype(np.float32)).max(1)  # NaN where one is
    with np.errstate(all='ignore'):
        inverse = np.where(largest < 2.0**-100, 0, np.float32(127) / largest).astype(np.float64)
        scale = np.where(largest < 2.0**-100, 0, largest / np.float32(127) + (largest - largest))
        steps = np.rint(values.astype(np.float64) * inverse[:, None])
    return np.where(np.isfinite(scale)[:, None], steps, 0).astype(np.int64), scale


def product(a, w):
    steps, scale = quantised(a.values)
    sums = steps @ (w.q.astype(np.int64) - 128)
    return sums * (scale[:, None].astype(np.float64) * w.scales.values[0].astype(np.float64))


def rows_of(kind, m, k):
    v = 3 * randn(m, k)
    v[:, k // 2] *= 9  # one that decides the steps of most rows
    v[1] = 0
    v[2] *= 2.0**-14
    v[3, -1], v[4, 0], v[5, k // 3] = np.inf, -np.inf, np.nan
    v[6] = 0
    v[6, [0, 1, k - 1]] = 127, 2.5, -3.5  # halves between steps
    return Tensor(v, kind)


def quotients(divisors):
    """Numbers whose quotients are near halves between integers, and such as are no numbers, infinite, very small and very large."""
    divisors = np.array(divisors, np.float32)
    halves = (np.arange(-300, 300) + 0.5)[:, None, None] * divisors.astype(np.float64)[:, None]
    near = np.float32(halves) + np.spacing(np.float32(np.abs(halves))) * np.arange(-3, 4)
    ends = np.float32([0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 1e-38, -3e-32, 1e-20, 7e37, 1e30])
    return np.concatenate([near.astype(np.float32).ravel(), ends, np.random.default_rng(2).standard_normal(4000).astype(np.float32) * 50]), divisors


def byte_of(x, step, zero, low):
    """Of a float by QuantizeLinear: what is no number is the least one."""
    with np.errstate(all='ignore'):
        steps = np.rint(x / np.float32(step)) + np.float32(zero)
    return np.where(steps >= low, np.minimum(steps, low + 255), low).astype(np.int64)


def byte_cases():
    """What has no conversion in it that is slow."""
    def case(name, step, out, want):
        x = quotients([step])[0]
        x = np.resize(x, (-(-len(x) // 8), 8))
        y = np.random.default_rng(4).integers(-128, 128, x.shape)
        if name == 'bytes_of_activated_bytes':  # all pairs: one is so near to a half that the nearest factors miss it
            x, y = (v.reshape(-1, 8) for v in np.meshgrid((np.arange(256) - 127).astype(np.float32) * np.float32(step), np.arange(-128, 128), indexing='ij'))
        inputs = [Tensor(x, 'f32')] + ([Tensor(y, 'i8')] if name.endswith('_bytes') else [])
        slow = ('div.rn', 'cvt.rni', 'cvt.rzi', 'cvt.rn')
        return Case(name, [((len(x),), inputs, [Tensor(want(x, y), out)])], check=lambda ints, kernel, ptx: next((s for s in slow if s in ptx), None))

    def again(x, y, last=0.125, activation=lambda v: v):
        first = byte_of(x, 0.0441665091, 127, 0)
        with np.errstate(all='ignore'):
            total = (first - 127).astype(np.float32) * np.float32(0.0441665091) + (y - 5).astype(np.float32) * np.float32(0.0536787435)
        return first ^ byte_of(activation(total), last, 136, 0)

    return [case('bytes_of_floats', 0.0456720628, 'ui8', lambda x, y: byte_of(np.maximum(x, 0), 0.0456720628, 0, 0)),
            case('signed_bytes_of_floats', 3, 'i8', lambda x, y: byte_of(x, 3, -7, -128)), case('bytes_of_bytes', 0.0441665091, 'ui8', again),
            case('bytes_of_activated_bytes', 0.0441665091, 'ui8', lambda x, y: again(x, y, 0.0813, lambda v: np.maximum(v, np.float32(0))))]


def quantised_cases():
    def case(name, kind, out, n, depths, parts=1, rows=ROWS, only='quantised rows', **more):
        runs = []
        for m, k in ((m, k) for m in rows for k in np.atleast_1d(depths).tolist()):
            a, weights = rows_of(kind, m, k), [ColumnWeights(n, k) for _ in range(parts)]
            sums = [product(a, w) for w in weights]
            by_turns = np.stack([w.bits for w in weights], 1).reshape(-1, *weights[0].bits.shape[1:])
            with np.errstate(all='ignore'):
                result = sums[0] if parts == 1 else np.maximum(sums[0], 0) * sums[1]
            sizes = (m, k // 8, -(-k // 128)) if name == 'int8_rows_any_depth' else (m,)
            runs.append((sizes, [a, stored(by_turns)], [Tensor(result, out)]))
        return Case(name, runs, 1e-6 if out == 'f32' else 1e-3, ('ldmatrix',), FLAGS, only=only, **more)

    cases = [case('int8_rows_f16_72_336', 'f16', 'f16', 72, 336),
             case('int8_rows_f16_41_128', 'f16', 'f32', 41, 128),
             case('int8_rows_bf16_40_2064', 'bf16', 'f32', 40, 2064, rows=(65,), order=ONE_BY_ONE),
             # Of 4,112 k's a block's threads read what they do not hold again.
             case('int8_rows_any_depth', 'f16', 'f16', 24, (16, 144, 4112), rows=(65,), only='tile=64x64x128 .*quantised rows'),
             case('int8_rows_parts_f16_72_208', 'f16', 'f16', 72, 208, 2)]
    hopper = [case('int8_rows_f16_72_336', 'f16', 'f16', 72, 336, rows=(70, 130)), case('int8_rows_bf16_40_2064', 'bf16', 'f32', 40, 2064, rows=(67,), order=ONE_BY_ONE),
              case('int8_rows_parts_f16_72_208', 'f16', 'f16', 72, 208, 2, rows=(260,))]
    x, divisors = quotients([0.0456720628, 1.99999988, 3, -1.17549435e-10])
    with np.errstate(all='ignore'):
        rounded = np.rint(x[:, None] / divisors)
    cases.append(Case('rounded_quotients', [((len(x),), [Tensor(x, 'f32')], [Tensor(rounded, 'f32')])], 1e-60, check=lambda ints, kernel, ptx: 'divides' if 'div.rn' in ptx else None))
    for c in hopper:
        c.name, c.target, c.only = f'{c.name}_warpgroups', 'sm_90a', 'wgmma.*quantised rows'
    return cases + hopper + byte_cases()
