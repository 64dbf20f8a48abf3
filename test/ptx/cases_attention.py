"""Kernels of kt.attention (kernels/attention.mlir): layouts, groups, masks, empty rows, few queries."""
import numpy as np
from cases_structured import randn, rng
from harness import Case, Tensor

INF = 2**40


def attention(q, k, v, bias, group, zero_empty, sinks=None):
    """q [b, h, i, d], k and v [b, g, j, *], bias broadcast to [b, h, i, j], sinks one score a head that no value belongs to. A sum over no keys is 0."""
    if k.shape[2] == 0:
        return np.zeros((*q.shape[:3], v.shape[3]))
    k, v = np.repeat(k, group, 1).astype(np.float64), np.repeat(v, group, 1).astype(np.float64)
    s = q.astype(np.float64) @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1]) + bias
    with np.errstate(all='ignore'):
        one_more = np.full((len(s), s.shape[1], s.shape[2], 1), -np.inf) if sinks is None else np.broadcast_to(sinks[:, None, None], (*s.shape[:3], 1))
        m = np.maximum(s.max(-1, keepdims=True), one_more)
        shift = np.where(np.isinf(m), 0, m)
        e = np.exp(s - shift)
        total = e.sum(-1, keepdims=True) + np.exp(one_more - shift)
        w = e / total
    if zero_empty:
        w = np.where(total == 0, 0, w)
    return w @ v


def attention_case(name, kind, d, e, shapes, heads=2, group=1, bhsd=False, causal=False, mask=False, zero_empty=False, tolerance=None, span=None, sinks=False, room=False, pages=lambda ints: None):
    """What is said here of a kernel is as in its text: operands are [b, s, h, d], or [b, h, s, d] when `bhsd`. `span` answers the ends of a
    span from the fourth number of a shape and that of the keys. 64 keys that no row sees are NaN: nothing looks at them. With `room`
    keys and values lie in as many rows as a shape's last number says, of which the ones behind the keys are NaN."""
    kv = heads // group
    runs = []
    for b, i, j, *more_sizes in shapes:
        shape = (lambda n, s, w: (b, n, s, w)) if bhsd else (lambda n, s, w: (b, s, n, w))
        x, y, z = (randn(*shape(n, s, w)) for n, s, w in ((heads, i, d), (kv, j, d), (kv, j, e)))
        seen = np.ones((i, j), bool)
        if span:
            first, end = span(more_sizes[0], j)
            offset = np.arange(j)[None] - np.arange(i)[:, None]
            seen = (offset >= first) & (offset < end)
            for block in range(0, j, 64):
                if not seen[:, block:block + 64].any():
                    y[:, :, block:block + 64] = z[:, :, block:block + 64] = np.nan
        x, y, z = (Tensor(t, kind) for t in (x, y, z))
        bias, more = 0, []
        if mask:
            t = np.where(rng.random((b, 1, i, j)) < 0.3, -np.inf, randn(b, 1, i, j))
            t[:1, :1, :1] = -np.inf
            more = [Tensor(t, kind)]
            bias = more[0].values.astype(np.float64)
        if causal:
            bias = bias + np.where(np.arange(j)[None] <= np.arange(i)[:, None], 0, -np.inf)
        bias = bias + np.where(seen, 0, -np.inf)
        turn = (lambda a: a) if bhsd else (lambda a: a.swapaxes(1, 2))
        known = [turn(np.nan_to_num(t.values)) for t in (x, y, z)]
        scores = None
        if sinks:  # about what scores are; of one head far beyond them, of another one none at all
            scores = Tensor(np.concatenate([[40, -np.inf], randn(heads)])[:heads], 'f32')
            more.append(scores)
            scores = scores.values.astype(np.float64)
        want = turn(attention(*known, bias, group, zero_empty, scores))
        if room:
            y, z = (Tensor(np.concatenate([t.values, np.full(shape(kv, more_sizes[-1] - j, w), np.nan)], 2 if bhsd else 1), kind) for t, w in ((y, d), (z, e)))
        runs.append(((b, i, j, *more_sizes), [x, y, z] + more, [Tensor(want, kind)]))
    return Case(name, runs, tolerance=tolerance or {'f32': 4e-6, 'f16': 3e-3, 'bf16': 2e-2}[kind], banks=('ldmatrix',) if kind != 'f32' else (), pages=pages)


def low_case(name, kind, d, shapes, room=False):
    """Causal and padded on the left with a very low number: a row of padding alone is the mean of all values. With `room` for 70 rows more, which are NaN."""
    runs = []
    for b, i, j, past, padding in shapes:
        x, y, z = (Tensor(randn(b, n, s, d), kind) for n, s in ((4, i), (2, j), (2, j)))
        kept = (np.arange(j)[None] >= np.array([padding] + [0] * (b - 1))[:, None]).astype(np.int8)
        seen = (np.arange(j)[None] <= np.arange(i)[:, None] + past) & (kept[:, None, None] != 0)
        want = attention(x.values, y.values, z.values, np.where(seen, 0, -3e38), 2, False)
        if room:
            y, z = (Tensor(np.concatenate([t.values, np.full((b, 2, 70, d), np.nan)], 2), kind) for t in (y, z))
        runs.append(((b, i, j, past, *([j + 70] if room else [])), [x, y, z, Tensor(kept, 'i8')], [Tensor(want, kind)]))
    return Case(name, runs, tolerance={'f32': 4e-6, 'f16': 3e-3}[kind], banks=('ldmatrix',) if kind != 'f32' else (), pages=rows_of_page if room else lambda ints: None)


def rows_of_page(ints):
    """The last of the sizes is the room that there is."""
    return (*ints[:-1], 128)


def in_pages(name, *more, **kinds):
    return attention_case(name, *more, room=True, pages=rows_of_page, **kinds)


def reading_case(name, width, turned):
    """Elementwise work on a state of two heads, of which rows behind the ones that are held are NaN."""
    runs = []
    for b, held, room in (2, 300, 310), (1, 128, 128), (3, 5, 200):
        state, other = randn(b, 2, held, width), randn(b, 2, held, width)
        want = Tensor(state, 'f16').values
        want = want.swapaxes(2, 3) if turned else want - Tensor(other, 'f16').values
        state = Tensor(np.concatenate([state, np.full((b, 2, room - held, width), np.nan)], 2), 'f16')
        runs.append(((b, 1, held, 0, room), [state] + ([] if turned else [Tensor(other, 'f16')]), [Tensor(want, 'f16')]))
    return Case(name, runs, pages=rows_of_page)


def page_cases():
    """kernels/pages.mlir: each in one piece and in pages. Keys end and queries begin in any page, and in the middle of one."""
    causal = dict(bhsd=True, span=lambda p, j: (-INF, p + 1))
    return [
        in_pages('pages_causal', 'f16', 64, 64, [(2, 1, 600, 599, 1024), (1, 3, 129, 126, 129), (2, 5, 128, 123, 300), (1, 1, 0, 0, 8), (1, 70, 300, 230, 384), (1, 1, 1, 0, 1), (1, 200, 200, 0, 200)],
                 heads=8, group=4, **causal),
        in_pages('pages_window', 'bf16', 64, 48, [(1, 1, 700, 699, 702), (2, 3, 460, 457, 500), (1, 40, 520, 480, 640), (1, 150, 150, 0, 256)], heads=4, group=2, bhsd=True, zero_empty=True,
                 span=lambda p, j: (p - 300, p + 1)),
        in_pages('pages_wide', 'f16', 256, 256, [(1, 20, 280, 260, 300), (1, 2, 257, 255, 257), (1, 3, 700, 697, 800)], **causal),
        in_pages('pages_unaligned', 'f16', 20, 12, [(1, 18, 200, 182, 290), (2, 1, 270, 269, 271), (1, 3, 1100, 1097, 1100)], heads=2, group=2, span=lambda p, j: (-INF, p + 1)),
        in_pages('pages_f32', 'f32', 16, 24, [(2, 40, 290, 250, 300), (1, 1, 200, 199, 200), (1, 3, 5, 2, 130)], heads=4, group=2, bhsd=True, span=lambda p, j: (p - 40, p + 1)),
        low_case('pages_low', 'f16', 64, [(1, 130, 130, 0, 0), (2, 70, 200, 0, 3), (1, 20, 300, 280, 290), (1, 3, 600, 590, 595)], room=True),
        low_case('pages_low_f32', 'f32', 16, [(2, 40, 90, 0, 3), (1, 20, 300, 280, 290)], room=True),
        reading_case('pages_read', 8, False),
        reading_case('pages_turned', 40, True),
    ]


def cache_case(name, kind, d, e, shapes, heads, group, first=-INF, bhsd=True, mask=False, zero_empty=False):
    """Keys and values are integers with a scale a row: very large and very small ones, and zeros. What is behind the keys is any integer, with scales that are NaN."""
    kv, runs = heads // group, []
    shape = (lambda b, n, s, w: (b, n, s, w)) if bhsd else (lambda b, n, s, w: (b, s, n, w))
    turn = (lambda a: a) if bhsd else (lambda a: a.swapaxes(1, 2))
    for b, i, j, past, room in shapes:
        x = Tensor(randn(*shape(b, heads, i, d)), kind)
        integers = [rng.integers(-127, 128, shape(b, kv, room, w)).astype(np.int8) for w in (d, e)]
        magnitudes = np.exp2(rng.integers(-9, 1, shape(b, kv, room, 1))), np.exp2(rng.integers(-40, 11, (1, 1, 1, 1)) + rng.integers(-6, 1, shape(b, kv, room, 1)))
        scales = [(m * (1 + rng.random(m.shape)) / 127 * (rng.random(m.shape) > 0.1)).astype(np.float32) for m in magnitudes]
        held = [turn(n)[:, :, :j].astype(np.float64) * turn(s)[:, :, :j] for n, s in zip(integers, scales)]
        for s in scales:
            turn(s)[:, :, j:] = np.nan
        offset = np.arange(j)[None] - np.arange(i)[:, None]
        bias = np.where((offset >= past + first) & (offset < past + 1), 0, -np.inf)
        more = [Tensor(randn(b, 1, i, j), kind)] if mask else []
        if mask:
            bias = bias + more[0].values.astype(np.float64)
        want = attention(turn(x.values), *held, bias, group, zero_empty)
        top = max(1e-30, np.abs(np.nan_to_num(want)).max()) if want.size else 1
        # Results are as large as values are: halves hold them where these are.
        unit = np.exp2(-np.floor(np.log2(top))) if kind == 'f16' else 1
        scales[1] = (scales[1] * np.float32(unit)).astype(np.float32)
        runs.append(((b, i, j, past, room), [x, *(Tensor(n, 'i8') for n in integers), *(Tensor(s, 'f32') for s in scales), *more], [Tensor(turn(want * unit), kind)]))
    return Case(name, runs, tolerance={'f32': 4e-6, 'f16': 3e-3, 'bf16': 2e-2}[kind], banks=('ldmatrix',) if kind != 'f32' else (), pages=rows_of_page)


def cache_cases():
    """kernels/caches.mlir: each in one piece and in pages."""
    return [
        cache_case('caches_f16_64', 'f16', 64, 64, [(2, 1, 600, 599, 1024), (1, 3, 129, 126, 129), (2, 5, 128, 123, 300), (1, 1, 0, 0, 8), (1, 70, 300, 230, 384), (1, 1, 1, 0, 1), (1, 200, 200, 0, 200)], 8, 4),
        cache_case('caches_bf16_window', 'bf16', 128, 96, [(1, 1, 700, 699, 702), (2, 3, 460, 457, 500), (1, 40, 520, 480, 640), (1, 150, 150, 0, 256)], 4, 2, first=-300, zero_empty=True),
        cache_case('caches_f16_48', 'f16', 48, 16, [(1, 1, 600, 599, 602), (2, 3, 130, 127, 140), (1, 40, 220, 180, 256)], 4, 1, bhsd=False, mask=True),
        cache_case('caches_f16_256', 'f16', 256, 256, [(1, 20, 280, 260, 300), (1, 2, 257, 255, 257), (1, 3, 700, 697, 800)], 1, 1),
        cache_case('caches_unaligned', 'f16', 20, 12, [(1, 18, 200, 182, 290), (2, 1, 270, 269, 271), (1, 3, 1100, 1097, 1100)], 2, 2, bhsd=False),
        cache_case('caches_f32', 'f32', 16, 24, [(2, 40, 290, 250, 300), (1, 1, 200, 199, 200), (1, 3, 5, 2, 130)], 4, 2, first=-40),
    ]


def attention_cases():
    return [
        low_case('attention_span_low', 'f16', 64, [(1, 130, 130, 0, 0), (2, 70, 200, 0, 3), (1, 20, 140, 100, 121), (1, 3, 600, 590, 595)]),
        low_case('attention_span_low_f32', 'f32', 16, [(1, 70, 70, 0, 0), (2, 40, 90, 0, 3), (1, 20, 140, 100, 121)]),
        attention_case('attention_f16_64', 'f16', 64, 64, [(1, 70, 130), (2, 5, 9), (1, 2, 520), (1, 20, 0), (1, 3, 0)]),
        attention_case('attention_f16_128_causal', 'f16', 128, 128, [(1, 66, 66), (1, 5, 512)], heads=4, group=2, bhsd=True, causal=True),
        attention_case('attention_bf16_32_mask', 'bf16', 32, 32, [(2, 20, 70), (1, 1, 600), (1, 18, 0)], mask=True, zero_empty=True),
        attention_case('attention_f16_80', 'f16', 80, 80, [(1, 17, 64), (1, 16, 513)]),
        attention_case('attention_f16_20_unaligned', 'f16', 20, 12, [(1, 18, 33), (1, 3, 550), (1, 2, 0)]),
        attention_case('attention_f16_256', 'f16', 256, 256, [(1, 33, 65), (1, 4, 530)], heads=1),
        attention_case('attention_decode', 'f16', 64, 64, [(2, 1, 700), (1, 3, 1100), (1, 1, 0)], heads=4, group=4, bhsd=True),
        attention_case('attention_decode_narrow', 'f16', 72, 56, [(2, 1, 700), (1, 3, 1100)], heads=4, group=4, bhsd=True),
        attention_case('attention_decode_alone', 'bf16', 128, 128, [(1, 1, 1), (2, 5, 7), (1, 2, 509), (1, 1, 2048), (1, 17, 70)], bhsd=True, zero_empty=True),
        attention_case('attention_decode_sink', 'f16', 128, 128, [(1, 1, 2048), (2, 2, 509), (1, 5, 7), (1, 1, 1), (1, 1, 0), (1, 17, 20)], heads=8, group=4, bhsd=True, zero_empty=True,
                       sinks=True),
        attention_case('attention_decode_seven', 'f16', 96, 96, [(2, 1, 509), (1, 5, 700), (1, 2, 7), (1, 1, 1), (1, 18, 17)], heads=14, group=7, bhsd=True, mask=True, zero_empty=True),
        attention_case('attention_decode_eight', 'bf16', 64, 64, [(1, 1, 2048, 2047), (1, 5, 600, 595), (2, 2, 509, 507), (1, 2, 7, 0), (1, 1, 1, 0), (1, 20, 20, 0)], heads=8, group=8, bhsd=True,
                       sinks=True, span=lambda p, j: (-INF, p + 1)),
        attention_case('attention_decode_window', 'f16', 64, 64, [(1, 1, 2048, 2047), (2, 5, 900, 895), (1, 2, 509, 507), (1, 2, 700, 1100), (1, 1, 7, 6), (1, 20, 30, 10)], heads=8, group=4,
                       bhsd=True, zero_empty=True, sinks=True, span=lambda p, j: (p - 300, p + 1)),
        attention_case('attention_decode_cache', 'f16', 64, 64, [(2, 1, 600, 1024), (1, 2, 1, 64), (2, 5, 509, 509), (1, 1, 0, 8), (1, 20, 70, 80)], heads=8, group=4, bhsd=True, room=True, pages=rows_of_page),
        attention_case('attention_decode_mask', 'f16', 64, 48, [(1, 2, 1030)], mask=True, zero_empty=True),
        attention_case('attention_f32', 'f32', 64, 40, [(1, 37, 70), (2, 3, 5), (1, 34, 0)], heads=4, group=2),
        attention_case('attention_f32_mask', 'f32', 16, 24, [(2, 40, 50)], mask=True, zero_empty=True),
        attention_case('attention_span_causal', 'f16', 64, 64, [(1, 197, 197, 0), (2, 7, 50, 43), (1, 70, 300, 230), (1, 5, 600, 590), (1, 1, 1, 0), (1, 66, 0, 0),
                       (1, 20, 130, 2**31 - 2)], heads=4, group=2, bhsd=True, span=lambda p, j: (-INF, p + 1)),
        attention_case('attention_span_window', 'f16', 64, 48, [(1, 260, 260, 0), (1, 70, 300, 100), (1, 130, 90, 0), (1, 3, 1100, 1000), (1, 2, 700, 3), (1, 9, 600, 900)],
                       bhsd=True, zero_empty=True, span=lambda p, j: (p - 69, p + 1)),
        attention_case('attention_span_behind', 'bf16', 32, 32, [(1, 70, 130, 66), (1, 3, 520, 515)], bhsd=True, mask=True, zero_empty=True, span=lambda p, j: (p, INF)),
        attention_case('attention_span_f32', 'f32', 16, 24, [(2, 100, 90, 0), (1, 33, 200, 160), (1, 1, 7, 3)], heads=4, group=2, bhsd=True, mask=True,
                       span=lambda p, j: (p - 40, p + 3)),
        attention_case('attention_span_f32_causal', 'f32', 64, 40, [(1, 70, 70, 70), (1, 40, 33, 20), (2, 1, 5, 5)], bhsd=True, span=lambda p, j: (-INF, p - j + 1)),
        attention_case('attention_sink', 'f16', 64, 64, [(1, 70, 130), (2, 1, 600), (1, 3, 1), (1, 18, 0), (1, 2, 0)], heads=4, group=2, bhsd=True, zero_empty=True, sinks=True),
        attention_case('attention_sink_mask', 'bf16', 32, 48, [(1, 20, 70), (2, 3, 530)], heads=2, mask=True, sinks=True),
        attention_case('attention_sink_f32', 'f32', 16, 24, [(2, 40, 50), (1, 3, 1), (1, 5, 0)], heads=4, group=2, mask=True, zero_empty=True, sinks=True),
        attention_case('attention_f32_nan', 'f32', 16, 16, [(1, 4, 5), (1, 4, 0)], mask=True),
    ]
