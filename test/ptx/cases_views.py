"""Kernels whose factors are views (kernels/views.mlir). What lies beside what they read is NaN: nothing looks at it."""
import numpy as np
from cases_attention import attention
from cases_conv import conv_reference
from cases_matmul import pack, product
from cases_structured import randn
from harness import BANKS, Case, Tensor

EXACT = 4e-6


def within(values, shape, kind, index):
    """A tensor of this shape, whose elements at `index` are the values, and the values as they are there."""
    whole = np.full(shape, np.nan)
    whole[index] = values
    whole = Tensor(whole, kind)
    return whole, whole.values[index].astype(np.float64)


def packed(w, kind):
    w = Tensor(w, kind)
    p = Tensor.__new__(Tensor)
    p.kind, p.bits = kind, pack(w.bits)
    return p, w.values


def product_cases(kind):
    cases = []
    tolerance, banks = (None, BANKS) if kind == 'f16' else (EXACT, ())
    # Rows [b, s] of [s, b, ..]: a tile has rows of several batches, of one, and ends inside of one.
    for tag, row, offset in (('', 48, 0), ('_inside', 64, 8), ('_unaligned', 56, 3)):
        runs = []
        for b, s in ((3, 67), (7, 2), (1, 1), (2, 3), (2, 7), (1, 197), *([(2, 197), (1, 509)] if kind == 'f16' else [])) if not tag else ((1, 3), (1, 7), (7, 1), (2, 6), (3, 67)):
            a, x = within(randn(s, b, 48), (s, b, row), kind, (..., slice(offset, offset + 48)))
            p, w = packed(randn(48, 72), kind)
            runs.append(((b, s), [a, p], [Tensor(product(x.swapaxes(0, 1), w), kind)]))
        cases.append(Case(f'rows_apart{tag}_{kind}', runs, tolerance, banks if tag != '_unaligned' else ()))
    runs = []
    for b, s in ((2, 1), (2, 3), (3, 3), (3, 7), *([(2, 40)] if kind == 'f16' else [])):
        a, (p, w) = Tensor(randn(s, b, 1536), kind), packed(randn(1536, 40), kind)
        runs.append(((b, s), [a, p], [Tensor(product(a.values.swapaxes(0, 1), w), kind)]))
    cases.append(Case(f'rows_apart_deep_{kind}', runs, tolerance and 1e-5, banks))
    runs = []
    for m, k in ((1, 7), (7, 1), (40, 64), (67, 197), (3, 509), (5, 0)):
        a = Tensor(randn(m, k), kind)
        w, y = within(randn(k, 72), (k, 216), kind, (..., slice(72, 144)))
        runs.append(((m, k), [a, w], [Tensor(product(a.values, y), kind)]))
    cases.append(Case(f'right_columns_{kind}', runs, tolerance, banks))
    for tag, row, offset in (('', 144, 48), ('_unaligned', 145, 49)):
        runs = []
        for m, n in ((1, 7), (7, 1), (40, 64), (67, 197), (3, 509)):
            a = Tensor(randn(m, 48), kind)
            w, y = within(randn(n, 48), (n, row), kind, (..., slice(offset, offset + 48)))
            runs.append(((m, n), [a, w], [Tensor(product(a.values, y.T), kind)]))
        cases.append(Case(f'right_rows{tag}_{kind}', runs, tolerance, banks))
    runs = []
    for b, s in ((1, 1), (2, 7), (1, 40), (1, 197)):
        q, x = within(randn(b, s, 64), (b, s, 192), kind, (..., slice(0, 64)))
        k, y = within(randn(b, s, 64), (b, s, 192), kind, (..., slice(64, 128)))
        x, y = (t.reshape(b, s, 2, 32).swapaxes(1, 2) for t in (x, y))
        runs.append(((b, s), [q, k], [Tensor(x @ y.swapaxes(2, 3), kind)]))
    cases.append(Case(f'both_in_one_{kind}', runs, tolerance, banks))
    return cases


def heads_in_one(name, kind, d, row, offsets, shapes, heads=(2, 2, 2)):
    """Factors at `offsets` of rows of `row` elements, each [b, s, heads, d]; there are as many queries as keys unless a shape says how many keys."""
    runs = []
    for b, i, *keys in shapes:
        given, known, j = [], [], keys[0] if keys else i
        for n, offset, s in zip(heads, offsets, (i, j, j)):
            whole, x = within(randn(b, s, n * d), (b, s, row), kind, (..., slice(offset, offset + n * d)))
            given.append(whole)
            known.append(x.reshape(b, s, n, d).swapaxes(1, 2))
        want = attention(*known, 0, heads[0] // heads[1], False).swapaxes(1, 2)
        runs.append(((b, i, j), given, [Tensor(want, kind)]))
    return Case(name, runs, tolerance={'f32': EXACT, 'f16': 3e-3}[kind], banks=('ldmatrix',) if kind == 'f16' else ())


def repeated(kind, d, shapes):
    runs = []
    for b, i, j in shapes:
        q, k, v = Tensor(randn(b, i, 4, d), kind), Tensor(randn(j, d), kind), Tensor(randn(j, 2, d), kind)
        keys = np.broadcast_to(k.values, (b, 2, j, d))
        values = np.broadcast_to(v.values.swapaxes(0, 1), (b, 2, j, d))
        want = attention(q.values.swapaxes(1, 2), keys, values, 0, 2, False).swapaxes(1, 2)
        runs.append(((b, i, j), [q, k, v], [Tensor(want, kind)]))
    return Case(f'attention_repeated_{kind}', runs, tolerance={'f32': EXACT, 'f16': 3e-3}[kind], banks=('ldmatrix',) if kind == 'f16' else ())


def conv_case(name, kind, size, c, o, k, whole, first, offset, stride=1, pad=0, groups=1):
    """An image of `size` that begins at position `first` and channel `offset` of one of `whole`, whose last number is that of the channels."""
    spatial, taps, cg, og = len(size), int(np.prod(k)), c // groups, o // groups
    out = [(s + 2 * pad - kk) // stride + 1 for s, kk in zip(size, k)]
    depthwise = groups > 1 and cg == 1
    inside = (slice(None), *(slice(f, f + s) for f, s in zip(first, size)), slice(offset, offset + c))
    bias, ws = Tensor(randn(o), kind), Tensor(randn(groups, taps, cg, og), kind)
    p = Tensor.__new__(Tensor)
    p.kind = kind
    p.bits = np.ascontiguousarray(pack(ws.bits.reshape(groups, taps).T).reshape(1, -1, taps, 1, 16) if depthwise else
                                  np.stack([pack(ws.bits[g].reshape(taps * cg, og)) for g in range(groups)]).reshape(groups, -1, taps, cg, 16))
    runs = []
    for images in (2, 0, 1):
        xs, x = within(randn(images, *size, c), (images, *whole), kind, inside)
        ones = [1] * spatial
        want = conv_reference(x, ws.values, k, [stride] * spatial, ones, ones, [pad] * spatial, groups, out) + bias.values
        runs.append(((images,), [xs, p, bias], [Tensor(want, kind)]))
    return Case(name, runs, tolerance=None if kind == 'f16' else EXACT, banks=BANKS if kind == 'f16' and offset % 8 == 0 else ())


def view_cases():
    return [
        *product_cases('f16'), *product_cases('f32'),
        heads_in_one('attention_qkv_f16', 'f16', 64, 384, (0, 128, 256), [(1, 1), (2, 7), (1, 197), (1, 509), (2, 3, 700)]),
        heads_in_one('attention_qkv_f16_unaligned', 'f16', 20, 121, (1, 41, 81), [(1, 1), (2, 7), (1, 197)]),
        heads_in_one('attention_qkv_f32', 'f32', 16, 97, (1, 33, 65), [(1, 1), (2, 7), (1, 70)]),
        heads_in_one('attention_groups_in_one_f16', 'f16', 64, 512, (0, 256, 384), [(1, 1), (2, 7), (1, 197), (2, 1, 700)], heads=(4, 2, 2)),
        heads_in_one('attention_groups_in_one_f32', 'f32', 16, 128, (0, 64, 96), [(1, 1), (2, 7), (1, 70)], heads=(4, 2, 2)),
        repeated('f16', 64, [(1, 1, 1), (2, 7, 509), (3, 1, 700), (2, 70, 197)]),
        repeated('f32', 16, [(1, 1, 1), (2, 7, 70), (2, 40, 33)]),
        conv_case('conv_channels_f16', 'f16', [9, 11], 16, 24, [3, 3], [9, 11, 40], [0, 0], 8, pad=1),
        conv_case('conv_channels_unaligned_f16', 'f16', [9, 11], 16, 24, [3, 3], [9, 11, 21], [0, 0], 3, pad=1),
        conv_case('conv_channels_f32', 'f32', [7, 7], 12, 20, [3, 3], [7, 7, 19], [0, 0], 5, pad=1),
        conv_case('conv_channels_groups_f16', 'f16', [6, 6], 32, 64, [3, 3], [6, 6, 48], [0, 0], 8, pad=1, groups=4),
        conv_case('conv_channels_groups_f32', 'f32', [6, 6], 6, 9, [3, 3], [6, 6, 10], [0, 0], 3, pad=1, groups=3),
        conv_case('depthwise_channels_f16', 'f16', [7, 7], 24, 24, [3, 3], [7, 7, 40], [0, 0], 8, pad=1, groups=24),
        conv_case('depthwise_channels_unaligned_f16', 'f16', [7, 7], 24, 24, [3, 3], [7, 7, 29], [0, 0], 5, pad=1, groups=24),
        conv_case('depthwise_channels_f32', 'f32', [7, 7], 6, 6, [3, 3], [7, 7, 11], [0, 0], 3, stride=2, pad=1, groups=6),
        conv_case('conv1x1_channels_f16', 'f16', [5, 5], 24, 32, [1, 1], [5, 5, 40], [0, 0], 8),
        conv_case('conv1x1_crop_f16', 'f16', [5, 6], 24, 32, [1, 1], [7, 8, 24], [1, 1], 0),
        conv_case('conv1d_crop_f32', 'f32', [17], 6, 10, [4], [19, 6], [1], 0, stride=2, pad=1),
    ]
