"""Products and convolutions of 8-bit integers (kernels/integers.mlir): all mixes of signs at their extremes, ragged sizes, zero points, sums that wrap around. What is right is equal,
bit for bit."""
import numpy as np
from cases_conv import conv_reference
from cases_matmul import pack, pack_parts
from harness import BANKS, Case, Tensor

rng = np.random.default_rng(31)
RANGES = {'i8': (-128, 127), 'ui8': (0, 255)}


def integers(kind, *shape, extreme=False):
    """Of the whole range, or, where `extreme`, its ends alone."""
    low, high = RANGES[kind]
    return Tensor(rng.choice([low, high], shape) if extreme else rng.integers(low, high + 1, shape), kind)


def wrapped(values):
    return Tensor(values.astype(np.int64).astype(np.uint32).view(np.int32), 'i32')


def product(a, b):
    return a.values.astype(np.int64) @ b.values.astype(np.int64)


def packed(w, order=pack):
    return Tensor(order(w.bits), w.kind)


def plain(name, left, right, n, k, rows, extreme=False):
    runs = []
    for m in rows:
        a, w = integers(left, m, k, extreme=extreme), integers(right, k, n, extreme=extreme)
        runs.append(((m,), [a, packed(w)], [wrapped(product(a, w))]))
    return Case(name, runs, banks=BANKS)


def constant(name, left, right, n, k, rows):
    """All of one sign and as large as can be: nothing cancels."""
    runs = []
    for m in rows:
        a, w = Tensor(np.full((m, k), 255), left), Tensor(np.full((k, n), RANGES[right][0] or 255), right)
        w.bits[0, 0] = 1
        runs.append(((m,), [a, packed(w)], [wrapped(product(a, w))]))
    return Case(name, runs, banks=BANKS)


def requantised(name, n, k, rows):
    runs = []
    for m in rows:
        a, w = integers('ui8', m, k), integers('i8', k, n)
        za, zb = rng.integers(0, 256, (m, 1)), rng.integers(-128, 128, n)
        sb, sa = w.values.astype(np.int64).sum(0), a.values.astype(np.int64).sum(1, keepdims=True)
        scale = Tensor(rng.uniform(0.0002, 0.0004, n), 'f32')
        sums = (a.values.astype(np.int64) - za) @ (w.values.astype(np.int64) - zb)
        want = np.clip(np.rint(sums.astype(np.float32) * scale.values) + np.float32(100), 0, 255)
        extras = [Tensor(za, 'i32'), Tensor(sb, 'i32'), Tensor(zb, 'i32'), Tensor(sa, 'i32'), scale]
        runs.append(((m,), [a, packed(w), *extras], [Tensor(want, 'ui8')]))
    return Case(name, runs, banks=BANKS)


def conv(name, left, right, images, size, c, o, kernel, strides=None, pad=0, groups=1):
    strides = strides or [1] * len(size)
    taps, cg, og = int(np.prod(kernel)), c // groups, o // groups
    out = [(s + 2 * pad - k) // st + 1 for s, k, st in zip(size, kernel, strides)]
    w, bias = integers(right, groups, taps, cg, og), Tensor(rng.integers(-10**6, 10**6, o), 'i32')
    if cg == 1 and og == 1 and groups > 1:
        p = pack(w.bits.reshape(groups, taps).T).reshape(1, -1, taps, 1, 16)
    else:
        p = np.stack([pack(w.bits[g].reshape(taps * cg, og)) for g in range(groups)]).reshape(groups, -1, taps, cg, 16)
    runs = []
    for n in images:
        x = integers(left, n, *size, c)
        one = [1] * len(size)
        want = conv_reference(x.values, w.values, kernel, strides, one, one, [pad] * len(size), groups, out) + bias.values
        runs.append(((n,), [x, Tensor(p, right), bias], [wrapped(want)]))
    return Case(name, runs, banks=BANKS if cg % 16 == 0 else ())


def version(ints, kernel, ptx):
    """Products of a warpgroup whose sides differ in their signs came with PTX 8.4, others earlier."""
    mixed = '.s32.u8.s8' in ptx or '.s32.s8.u8' in ptx
    return None if ('.version 8.4' in ptx) == mixed else 'another version of PTX than it needs'


def integer_cases():
    rows = (1, 9, 33, 70, 130)
    cases = [plain(f'int8_{left}_{right}', left, right, 72, 208, rows, extreme=left == right) for left in RANGES for right in RANGES]
    cases.append(plain('int8_unaligned', 'i8', 'ui8', 72, 90, (3, 70)))
    cases.append(constant('int8_deep', 'ui8', 'i8', 70, 2064, (1, 17, 40)))
    cases.append(constant('int8_wraps', 'ui8', 'ui8', 9, 33040, (3,)))
    cases.append(requantised('int8_requantised', 80, 160, rows))
    runs = []
    for m, k in ((5, 48), (33, 112), (70, 37), (2, 0), (3, 1), (18, 400), (4, 56)):
        a, w = integers('ui8', m, k), integers('i8', k, 41)
        runs.append(((m, k), [a, packed(w)], [wrapped(product(a, w))]))
    cases.append(Case('int8_any_depth', runs, banks=BANKS))
    runs = []
    for m in rows:
        a, parts = integers('ui8', m, 96), [integers('i8', 96, 44) for _ in range(2)]
        p = Tensor(pack_parts([w.bits for w in parts]), 'i8')
        gate, up = (product(a, w) for w in parts)
        runs.append(((m,), [a, p], [wrapped(gate * gate - up)]))
    cases.append(Case('int8_parts', runs, banks=BANKS))
    scores, context = [], []
    for b, m, n in ((2, 24, 48), (1, 7, 9), (1, 66, 80), (1, 20, 0), (0, 3, 16)):
        x, y, v = integers('ui8', b, m, 2, 64), integers('i8', b, n, 2, 64), integers('i8', b, n, 2, 48)
        p = integers('ui8', b, 2, m, n)
        wide = [t.values.astype(np.int64) for t in (x, y, v, p)]
        scores.append(((b, m, n), [x, y], [wrapped(np.einsum('bmhk,bnhk->bhmn', wide[0], wide[1]))]))
        context.append(((b, m, n), [p, v], [wrapped(np.einsum('bhmk,bkhn->bmhn', wide[3], wide[2]))]))
    cases += [Case('int8_scores', scores, banks=BANKS), Case('int8_context', context, banks=BANKS)]
    runs = []
    for m, n in ((3, 16), (40, 144), (70, 80), (9, 21)):
        a, w = integers('i8', m, 96), integers('ui8', 96, n)
        runs.append(((m, n), [a, w], [wrapped(product(a, w))]))
    cases.append(Case('int8_columns', runs, banks=BANKS))
    runs = []
    for b, s in ((2, 5), (3, 30), (1, 7), (5, 1)):
        a, w = integers('ui8', s, b, 48), integers('i8', 48, 72)
        runs.append(((b, s), [a, packed(w)], [wrapped(a.values.swapaxes(0, 1).astype(np.int64) @ w.values.astype(np.int64))]))
    cases.append(Case('int8_rows_apart', runs, banks=BANKS))
    cases += [conv('conv_int8', 'ui8', 'i8', (1, 2, 0), [9, 11], 16, 24, [3, 3], pad=1),
              conv('conv_int8_groups', 'i8', 'ui8', (3,), [6, 6], 64, 64, [3, 3], strides=[2, 2], pad=1, groups=2),
              conv('conv_int8_1x1', 'i8', 'i8', (2, 1), [5, 5], 48, 32, [1, 1]),
              conv('conv_int8_stem', 'ui8', 'ui8', (2,), [9, 9], 3, 20, [3, 3], strides=[2, 2], pad=1),
              conv('conv_int8_depthwise', 'ui8', 'ui8', (2,), [7, 7], 24, 24, [3, 3], pad=1, groups=24)]
    every = [c.compiled_with('all', ['--variants=all'], None) for c in cases if c.name in ('int8_i8_ui8', 'int8_deep', 'int8_context', 'int8_columns', 'int8_parts', 'conv_int8')]
    for c in every:
        c.only = 'int8'
    for c in cases:
        if c.name in ('int8_i8_ui8', 'int8_ui8_i8', 'int8_ui8_ui8', 'int8_deep', 'int8_parts', 'int8_rows_apart', 'int8_requantised', 'conv_int8_1x1', 'conv_int8', 'conv_int8_groups'):
            hopper = c.compiled_with('warpgroups', ['--variants=all'], version)
            hopper.runs, hopper.target, hopper.only = hopper.runs[-2:], 'sm_90a', 'wgmma'
            every.append(hopper)
    return cases + every
