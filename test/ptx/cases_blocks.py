"""Products of weights in blocks (kernels/blocks.mlir): every path, for few rows and many, depths that are no whole groups, words or units, columns that are no whole panels."""
import numpy as np
from cases_matmul import product
from cases_rows import ONE_BY_ONE
from cases_structured import randn, rng
from harness import Case, Tensor

FLAGS = ('--variants=all',)
ALIGNED, ANY = (1, 3, 8, 13, 32, 70), (1, 3, 8, 70)


def words(q, bits):
    """[group] numbers as 32-bit words: lane t's of a fragment of 16 k's are 2t, 2t + 1, 2t + 8 and 2t + 9; a word is a lane's of several fragments, or, of a group of less than
    four words, several lanes'. Numbers 2i and 2i + 1 of a word begin at bits i * bits and 16 + i * bits."""
    each, rows = 32 // bits, min(4, len(q) * bits // 32)
    # [window][fragment][half][lane][neighbour] to [window][lane][fragment][half][neighbour]
    q = q.reshape(-1, rows * each // 16, 2, 4, 2).transpose(0, 3, 1, 2, 4).reshape(-1, each).astype(np.uint64)
    return np.bitwise_or.reduce([q[:, i] << np.uint64(i // 2 * bits + i % 2 * 16) for i in range(each)], 0).astype(np.uint32)


def e4m3(q):
    """What bytes of FP8 (OCP E4M3) stand for."""
    exponent, mantissa = q >> 3 & 15, (q & 7) / 8
    return np.where(q & 128, -1, 1) * np.where(exponent > 0, np.ldexp(1 + mantissa, exponent - 7), np.ldexp(mantissa, -6))


class Weights:
    """Random weights [k, n] of some format, and the blocks that a kernel reads. Bits 'fp8': 8 of a float."""

    def __init__(self, bits, group, scale, zeros, n, k):
        groups, fp8 = -(-k // group), bits == 'fp8'
        bits = 8 if fp8 else bits
        self.q = rng.integers(0, 1 << bits, (k, n))
        self.q[fp8 & (self.q & 127 == 127)] = 1  # there is no number of all ones
        self.scales = Tensor(rng.uniform(0.5, 1.5, (groups, n)) / (1 << (bits - 1)), scale)
        self.zeros = rng.integers(0, 1 << bits, (groups, n)) if zeros else np.full((groups, n), 0 if fp8 else 1 << (bits - 1))
        of = np.arange(k) // group
        self.values = (e4m3(self.q) if fp8 else self.q - self.zeros[of]) * self.scales.values[of].astype(np.float64)
        blocks = []
        for panel in range(-(-n // 16)):
            columns = [c if c < n else None for c in range(panel * 16, panel * 16 + 16)]
            for g in range(groups):
                blocks.append(self.block(columns, g, bits, group, zeros))
        self.bits = np.concatenate(blocks).reshape(-(-n // 16), groups, -1)

    def block(self, columns, g, bits, group, zeros):
        """What pads columns and the last group has the zero point, and scales that nobody multiplies by anything else."""
        scales, points = np.zeros(16, self.scales.bits.dtype), np.zeros(16, np.uint8)
        rows = np.zeros((group * bits // 32, 16), np.uint32)
        for at, c in enumerate(columns):
            if c is not None:
                q = np.full(group, self.zeros[g, c])
                own = self.q[g * group:(g + 1) * group, c]
                q[:len(own)] = own
                scales[at], points[at], rows[:, at] = self.scales.bits[g, c], self.zeros[g, c], words(q, bits)
        return np.concatenate([scales.view(np.uint8), points if zeros else points[:0], rows.reshape(-1).view(np.uint8)])


def stored(blocks):
    t = Tensor.__new__(Tensor)
    t.kind, t.bits = 'ui8', np.ascontiguousarray(blocks)
    return t


def runs(kind, bits, group, scale, zeros, n, k, rows, parts=1):
    all = []
    for m in rows:
        a, weights = Tensor(randn(m, k), kind), [Weights(bits, group, scale, zeros, n, k) for _ in range(parts)]
        sums = [product(a.values, w.values) for w in weights]
        by_turns = np.stack([w.bits for w in weights], 1).reshape(-1, *weights[0].bits.shape[1:])
        all.append(((m,), [a, stored(by_turns)], [Tensor(sums[0] if parts == 1 else np.maximum(sums[0], 0) * sums[1], kind)]))
    return all


def normed_runs(bits, group, scale, zeros, n, k, rows):
    all = []
    for m in rows:
        a, s, w = Tensor(3 * randn(m, k), 'f16'), Tensor(randn(k), 'f16'), Weights(bits, group, scale, zeros, n, k)
        v = a.values.astype(np.float64)
        x = Tensor(v / np.sqrt((v * v).mean(1, keepdims=True) + 1e-5) * s.values, 'f16')
        x.may_be_left = True
        all.append(((m,), [a, s, stored(w.bits)], [x, Tensor(product(x.values, w.values), 'f16')]))
    return all


def block_cases():
    def case(name, kind, bits, group, scale, zeros, n, k, rows, parts=1, **more):
        tolerance = {'f32': 8e-6, 'f16': 3e-3, 'bf16': 2e-2}[kind]
        return Case(f'blocks_{name}', runs(kind, bits, group, scale, zeros, n, k, rows, parts), tolerance, ('ldmatrix',), FLAGS, **more)

    return [case('int4_f16_72_320', 'f16', 4, 32, 'f16', False, 72, 320, ALIGNED),
            case('int4_f16_41_200', 'f16', 4, 128, 'f16', True, 41, 200, ALIGNED),
            case('int4_f16_72_208', 'f16', 4, 16, 'f16', True, 72, 208, ALIGNED),
            case('int4_f16_50_99', 'f16', 4, 64, 'f32', True, 50, 99, ANY),
            case('int4_f16_72_576', 'f16', 4, 32, 'f16', False, 72, 576, (1, 2, 6, 13, 32, 70)),
            case('int4_bf16_40_264', 'bf16', 4, 32, 'bf16', True, 40, 264, ALIGNED),
            case('int4_f16_24_1536', 'f16', 4, 128, 'f16', False, 24, 1536, (70,), only='widened split', order=ONE_BY_ONE),  # sums of blocks that share a depth, behind what was widened
            case('int4_f32_75_99', 'f32', 4, 32, 'f32', True, 75, 99, ANY),
            case('int4_f32_72_768', 'f32', 4, 256, 'f32', False, 72, 768, (1, 2, 6, 32)),
            case('int8_f16_72_320', 'f16', 8, 128, 'f16', False, 72, 320, ALIGNED),
            case('int8_f16_40_136', 'f16', 8, 16, 'f32', True, 40, 136, ALIGNED),
            case('int8_bf16_40_264', 'bf16', 8, 64, 'bf16', True, 40, 264, ALIGNED),
            case('int8_f32_75_130', 'f32', 8, 64, 'f16', True, 75, 130, ANY),
            case('int2_f16_72_512', 'f16', 2, 64, 'f16', True, 72, 512, ALIGNED),
            case('int2_f16_40_200', 'f16', 2, 16, 'f16', False, 40, 200, ALIGNED),
            case('int2_bf16_40_320', 'bf16', 2, 32, 'bf16', True, 40, 320, (1, 3, 13, 70)),
            case('int2_f32_41_90', 'f32', 2, 32, 'f32', True, 41, 90, ANY),
            case('fp8_f16_72_320', 'f16', 'fp8', 128, 'f16', False, 72, 320, ALIGNED),
            case('fp8_bf16_40_200', 'bf16', 'fp8', 32, 'bf16', False, 40, 200, ALIGNED),
            case('fp8_f32_75_99', 'f32', 'fp8', 16, 'f32', False, 75, 99, ANY),
            case('int4_parts_f16_72_264', 'f16', 4, 32, 'f16', False, 72, 264, ALIGNED, 2),
            case('int8_parts_bf16_40_200', 'bf16', 8, 128, 'bf16', False, 40, 200, ALIGNED, 2),
            Case('blocks_normed_int4_f16_72_200', normed_runs(4, 32, 'f16', False, 72, 200, (1, 3, 8, 13, 70)), 4e-3, flags=FLAGS),
            Case('blocks_normed_int8_f16_40_328', normed_runs(8, 128, 'f16', True, 40, 328, (1, 3, 8, 13, 70)), 4e-3, flags=FLAGS)]
