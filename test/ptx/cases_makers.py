"""Attention of few queries that makes its queries and the rows of its caches, and the candidates that have them made before: kernels/makers.mlir. As in cases_states.py each
runs as a session has it that keeps nothing, where the windows are the whole caches, and as one with a capacity has it, where all beside the windows stays as it is."""
import numpy as np
from cases_attention import INF, attention
from harness import Case, Tensor

rng = np.random.default_rng(23)
SITE = 5
TOLERANCE = {'f16': 4e-3, 'bf16': 2.5e-2}


def randn(*shape):
    return rng.standard_normal(shape)


def rotated(x, angles):
    """x [b, rows, heads, d] and, for each batch and row, cosines before sines: [b, rows, d]."""
    half, (cos, sin) = x.shape[-1] // 2, np.split(angles[:, :, None].astype(np.float64), 2, -1)
    low, high = x[..., :half].astype(np.float64), x[..., half:].astype(np.float64)
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], -1)


class State:
    """A cache of `groups` heads, [b, rows, groups, width]; laid out so where `rows_first`, or else with heads before rows."""

    def __init__(self, kind, rows_first, held, room, begins, new):
        """`held` are the rows that are there, of `room` (all of them where that is 0); `new` begins, in each element of the batch, where `begins` says."""
        self.kind, self.turn = kind, (lambda a: a) if rows_first else (lambda a: np.ascontiguousarray(a.swapaxes(1, 2)))
        total = room or max([held.shape[1], *(begins + new.shape[1])])
        shape = (len(held), total, *held.shape[2:])
        old, result = (Tensor(np.full(shape, x), kind) for x in (np.nan, 0))
        old.bits[:, :held.shape[1]] = result.bits[:, :held.shape[1]] = Tensor(held, kind).bits
        if room:
            old.bits.view(np.uint8)[:, held.shape[1]:] = 0xFF
            for i, begin in enumerate(begins):  # nobody sees what was where new rows are
                old.bits.view(np.uint8)[i, max(begin, 0):max(begin + new.shape[1], 0)] = 0xFF
            result.bits[:] = old.bits
        for i, begin in enumerate(begins):
            for r in range(new.shape[1]):
                if 0 <= begin + r < total:
                    result.bits[i, begin + r] = new.bits[i, r]
        self.old = self.tensor(old.bits if room else old.bits[:, :held.shape[1]])
        self.result, self.values = self.tensor(result.bits), result.values
        if room:
            self.result.before = self.old.bits

    def tensor(self, bits):
        made = Tensor(np.zeros(0), self.kind)
        made.bits = self.turn(np.ascontiguousarray(bits))
        return made


def maker_case(name, kind, d, e, heads, groups, shapes, rows_first, span=None, query=True, heads_first=False, moved=False, sinks=False, zero_empty=False, paged=True):
    """Shapes are (batches, queries, keys, held, past, new rows, room, by): of the rows that are `held` those from `past` on are written over, and spans begin and end by `by`. Where data
    says where new rows begin, `past` is where they do in each element of the batch. Room of 0 is no capacity."""
    runs = []
    for b, queries, keys, held, past, new, room, by in shapes:
        begins = np.broadcast_to(past, b)
        at = begins if moved else np.full(b, by)  # the first query's position
        positions = max(*begins, *at, 0) + max(queries, new, 1)
        turns = np.random.default_rng(positions).uniform(0, 7, (positions, d // 2))
        angles = Tensor(np.concatenate([np.cos(turns), np.sin(turns)], -1), 'f32')
        angles_of = lambda first, count: angles.values[np.maximum(first[:, None] + np.arange(count), 0)]
        given, rows = Tensor(randn(b, queries, heads, d), kind), [Tensor(randn(b, new, groups, w), kind) for w in (d, e)]
        for t in rows:  # what comes behind the last key is stored, and seen by nobody: a column of it is NaN
            for i, begin in enumerate(begins):
                t.bits[i, max(keys - begin, 0):, :, 0] = Tensor(np.nan, kind).bits
        turned = Tensor(rotated(given.values, angles_of(at, queries)) if query else given.values, kind)
        made = [Tensor(rotated(rows[0].values, angles_of(begins, new)), kind) if query else rows[0], rows[1]]
        seen = np.ones((b, queries, keys), bool)
        offset = np.arange(keys)[None] - np.arange(queries)[:, None]
        if moved:
            seen = offset[None] <= at[:, None, None]
        elif span:
            first, end = span(by)
            seen[:] = (offset >= first) & (offset < end)
        old = [randn(b, held, groups, w) for w in (d, e)]
        for block in range(0, keys, 64):  # without a span kernels look at all keys
            if span and queries and not seen[:, :, block:block + 64].any():
                for t in old:
                    t[:, block:block + 64] = np.nan
        key, value = (State(kind, first, t, room, begins, n) for first, t, n in zip(rows_first, old, made))
        scores = Tensor(np.concatenate([[40, -np.inf], randn(heads)])[:heads], 'f32')
        bhsd = [np.nan_to_num(t.astype(np.float64)).swapaxes(1, 2) for t in (turned.values, key.values[:, :keys], value.values[:, :keys])]
        want = attention(*bhsd, np.where(seen, 0, -np.inf)[:, None], heads // groups, zero_empty, scores.values.astype(np.float64) if sinks else None)
        turned.may_be_left = True  # nobody else reads them
        if query and heads_first:
            turned.bits = np.ascontiguousarray(turned.bits.swapaxes(1, 2))
        lengths = [Tensor(begins, 'i64')] if moved else []
        inputs = [given, angles, *lengths, key.old, rows[0], value.old, rows[1]] if query else [key.old, rows[0], value.old, rows[1], given]
        stored, total = (t.shape[1 if rows_first[0] else 2] for t in (key.old, key.result))
        begin, count = (0 if moved else past, new) if room else (0, total)
        sizes = (b, queries, keys, stored, total, int(room > 0) if moved else begin, count, 0 if moved else past, new, by, positions, *([SITE] if moved else []))
        runs.append((sizes, inputs + ([scores] if sinks else []), ([turned] if query else []) + [key.result, value.result, Tensor(want.swapaxes(1, 2), kind)]))
    return Case(name, runs, tolerance=TOLERANCE[kind], banks=('ldmatrix',), pages=lambda ints: (*ints[:3], 128, 128, *ints[5:]) if paged and ints[3] == ints[4] and ints[6] < ints[4] else None)


def beyond(run):
    """The same with angles for a position less than there are: the last row of a batch's element has to say so."""
    sizes, (given, angles, *more), results = run
    last = sizes[10] - 1
    fewer = Tensor(angles.values[:last], 'f32')
    return (*sizes[:10], last, *sizes[11:]), [given, fewer, *more], results, [(last, last, SITE)]


def maker_cases():
    causal = [(1, 1, 600, 599, 599, 1, 1024, 599), (2, 1, 130, 129, 129, 1, 140, 129), (1, 1, 2048, 2047, 2047, 1, 2060, 2047), (1, 1, 1, 0, 0, 1, 8, 0), (1, 1, 65, 64, 64, 1, 128, 64),
              (1, 5, 600, 595, 595, 5, 700, 595),   # two tiles
              (1, 3, 600, 640, 381, 6, 700, 597),   # two shares have new rows, and keys come behind them
              (1, 2, 350, 100, 100, 250, 400, 348),  # more than the ring holds
              (1, 2, 500, 500, 500, 40, 560, 498),  # behind the last key
              (1, 1, 0, 0, 0, 2, 8, 0), (2, 0, 5, 5, 5, 0, 9, 5), (1, 20, 70, 50, 50, 20, 80, 50)]
    sliding = [(1, 1, 700, 699, 699, 1, 702, 699), (2, 3, 460, 457, 457, 3, 500, 457), (1, 1, 320, 320, 10, 5, 330, 900), (1, 18, 30, 12, 12, 18, 40, 12),
               (1, 2, 695, 690, 690, 5, 702, 400),   # behind the last key that a row sees
               (1, 2, 800, 800, 60, 70, 810, 560),   # before the first one
               (1, 1, 800, 800, 230, 60, 810, 560),  # before and behind it
               (1, 1, 700, 320, 320, 380, 710, 699)]
    moved = [(2, 1, 300, 300, (299, 17), 1, 310, 0), (3, 2, 200, 200, (190, -1, 250), 2, 200, 0), (2, 5, 140, 140, (137, 62), 5, 142, 0), (1, 9, 600, 600, (380,), 9, 610, 0),
             (2, 4, 64, 64, (62, 70), 4, 64, 0), (1, 17, 37, 20, (20,), 17, 50, 0)]
    windows = [(1, 1, 520, 519, 519, 1, 600, 519), (2, 3, 200, 197, 197, 3, 256, 197), (1, 1, 1, 0, 0, 1, 3, 0), (1, 2, 700, 690, 450, 260, 710, 698), (1, 17, 20, 3, 3, 17, 20, 3)]

    def both(shapes):
        return [s for shape in shapes for s in (shape, (*shape[:6], 0, shape[7]))]
    cases = [maker_case('made_causal', 'f16', 64, 64, 8, 2, both(causal), (False, False), span=lambda p: (-INF, p + 1)),
             maker_case('made_sliding', 'bf16', 128, 128, 4, 2, both(sliding), (True, False), span=lambda p: (p - 300, p + 1), heads_first=True, zero_empty=True),
             maker_case('made_moved', 'f16', 24, 24, 4, 2, both(moved), (False, False), moved=True, zero_empty=True),
             maker_case('made_windows', 'f16', 64, 48, 8, 1, both(windows), (True, True), span=lambda p: (-INF, p + 1), query=False, sinks=True, paged=False)]
    cases[2].runs += [beyond(cases[2].runs[0]), beyond(cases[2].runs[1])]
    low = [case.compiled_with('low', ['--tensor-core-priority=low'], None) for case in cases]
    for case in low:  # CUDA cores take their time
        case.runs = [run for run in case.runs if run[0][2] <= 70]
    return cases + low
