"""Windows of tensors with room for more: kernels/update.mlir. Each runs as a session has it that keeps nothing, where the window is the whole result, and as one
with a capacity has it, where all beside the window stays as it is (harness fills results with ones)."""
import numpy as np
from cases_structured import randn
from harness import Case, Tensor

rng = np.random.default_rng(11)


def untouched(shape, kind):
    t = Tensor(np.zeros(shape), kind)
    t.bits.reshape(-1).view(np.uint8)[:] = 0xFF
    return t


def window_runs(kind, last, shapes, columns=False, lengths=False):
    """Shapes are (rows, heads, held, new, capacity)."""
    runs = []
    for b, h, past, seq, capacity in shapes:
        for room in (0, capacity):
            stored, total = room or past, room or past + seq
            held = Tensor(randn(b, h, stored, last), kind)
            new = Tensor(randn(b, seq, h, last), kind)
            at = rng.integers(0, past + 1, b) if lengths else np.full(b, past)
            if columns:
                held, new = Tensor(held.values[..., 0].copy(), kind), Tensor(new.values[..., 0].swapaxes(1, 2).copy(), kind)
            result = untouched((b, h, total) + (() if columns else (last,)), kind)
            if not room:
                result.bits[:, :, :past] = held.bits
                result.bits[:, :, past:] = 0  # what neither has
            for i, begin in enumerate(at):
                result.bits[i, :, begin:begin + seq] = new.bits[i] if columns else new.bits[i].swapaxes(0, 1)
            inputs = [held, new] + ([Tensor(at, 'i64')] if lengths else [])
            begin, count = (past, seq) if room else (0, past + seq)
            flag = int(room > 0) if lengths else past
            runs.append(((b, h, stored, total, begin, count, flag, seq), inputs, [result]))
    return runs


def place_runs(shapes):
    """Shapes are (rows, places): the last place is written, the first is not, and two rows have none."""
    runs = []
    for rows, places in shapes:
        new = Tensor(randn(rows, 3, 64), 'f16')
        at = rng.permutation(np.arange(1, max(rows, places) + 1))[:rows]
        at[:1], at[1:2], at[2:3] = places - 1, -1, places
        result = untouched((places, 3, 64), 'f16')
        for row, place in enumerate(at):
            if 0 <= place < places and (row == 0 or place != places - 1):
                result.bits[place] = new.bits[row]
            elif row:
                at[row] = places + 7  # nobody else has the last one
        runs.append(((rows, places), [new, Tensor(at, 'i64')], [result]))
    return runs


def state_cases():
    shapes = ((1, 2, 5, 1, 9), (2, 3, 0, 7, 7), (2, 1, 197, 4, 509), (1, 8, 64, 1, 128), (3, 2, 120, 150, 400))

    def pages(ints):
        b, h, stored, total, *more = ints
        return (b, h, 128, 128, *more) if stored == total else None
    return [Case('window_f16', window_runs('f16', 64, shapes), pages=pages),
            Case('window_f32_odd', window_runs('f32', 5, shapes), pages=pages),
            Case('window_columns', window_runs('f16', 1, shapes, columns=True)),
            Case('window_bf16_lengths', window_runs('bf16', 64, shapes, lengths=True), pages=pages),
            Case('window_places', place_runs([(1, 9), (5, 40), (30, 7), (64, 257)]))]
