"""Memory of the PTX interpreter: shared and global accesses, atomics and asynchronous copies, with the races and late copies that they may have."""
import re
import numpy as np
from ptxtypes import FLOAT, INT, PtxError, size_of

SHARED_BASE = 1024  # shared addresses start here, so that a null offset is caught
BUFFER_SHIFT = 40   # buffer i lies at (i + 1) << 40


class Fences:
    """What orders blocks: one has stored, fenced and done an atomic operation before another one fenced. Times count the launch's instructions; a
    fence of one thread counts for its block."""

    def __init__(self, blocks):
        self.now = 0
        self.stored, self.fenced, self.released, self.released_at = (np.zeros(blocks, np.int64) for _ in range(4))

    def atomic(self, b):
        new = (self.fenced[b] > self.stored[b]) & (self.released[b] < self.stored[b])
        self.released[b[new]], self.released_at[b[new]] = self.fenced[b[new]], self.now

    def order(self, stored, writer, reader):
        return (self.released[writer] > stored) & (self.fenced[reader] > self.released_at[writer])


class Writers:
    """Which thread of the launch stored last to each byte of a buffer, when, and in which phase of its block. Threads of other blocks are never ordered
    (but by fences: then stores are not looked at); those of one block are by barriers."""

    def __init__(self, size, fences):
        self.thread, self.phase, self.time, self.fences = np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(size, np.int64), fences

    def unordered(self, at, me, phase, threads):
        """Where another thread stored to `at` without a barrier in between; threads count from 1."""
        last = self.thread[at]
        return (last != 0) & (last != me) & (((last - 1) // threads != (me - 1) // threads) | (self.phase[at] == phase))

    def unfenced(self, at, me, threads, fences):
        """Where a thread of another block stored to `at` and nothing orders the two."""
        last = self.thread[at]
        writer, reader = (last - 1) // threads, (me - 1) // threads
        return (last != 0) & (writer != reader) & ~fences.order(self.time[at], writer, reader)

SEVERAL = -2  # the highest number that stands for readers instead of one


class Memory:
    """Needs get, put, split, lanes, banks and the launch's numbers of the machine."""

    def prepare_memory(self, blocks, shared_bytes):
        # Shared memory is aligned as it is declared and no better.
        align = self.f.shared_align
        self.base = SHARED_BASE + (align if align < SHARED_BASE else 0)
        self.shared = np.full((blocks, self.base + shared_bytes), 0xFF, np.uint8)
        self.grain = self.f.smallest_shared
        cells = (self.base + shared_bytes) // self.grain + 1
        self.wrote = np.zeros((blocks, cells), np.int32)    # epoch of the last write
        self.writer = np.full((blocks, cells), -1, np.int32)
        self.read = np.zeros((blocks, cells), np.int32)
        self.reader = np.full((blocks, cells), -1, np.int32)  # SEVERAL - warp: several of a warp; SEVERAL + 1: of some warps
        self.pending = np.zeros((blocks, cells), bool)
        self.epoch = np.ones(blocks, np.int32)
        # Barriers of warps divide a phase into steps, for the lanes of a warp alone: of the last write and read.
        self.wrote_step, self.read_step = np.zeros((blocks, cells), np.int32), np.zeros((blocks, cells), np.int32)
        self.step = np.zeros(self.n, np.int32)
        self.copies, self.commits = [], np.zeros(self.n, np.int32)
        self.early = self.stats.setdefault('early', {})  # buffers that were copied from before $kt_wait, and by which instruction

    # ---- addresses
    def address(self, x):
        m = re.match(r'\[([%\w.$]+)(?:\+(-?\d+))?\]', x)
        base = m[1]
        if base == 'smem':
            return np.full(self.n, self.base + int(m[2] or 0), np.int64)
        v = self.get(base, self.f.registers[base])
        v = v.astype(np.int64) if v.dtype == np.uint32 else v.view(np.int64)
        return v + int(m[2] or 0)

    def cells(self, at, size):
        """Cells of shared memory that [at, at + size) of each lane covers."""
        if (at % min(size, 16) != 0).any():
            raise PtxError('misaligned shared access')
        if (at < self.base).any() or (at + size > self.shared.shape[1]).any():
            raise PtxError(f'shared access out of bounds: {at.max() - self.base} + {size} of {self.shared.shape[1] - self.base}')
        return (at // self.grain)[:, None] + np.arange(max(1, size // self.grain))

    def span(self, lanes, at, size):
        return self.block_of[lanes][:, None], self.cells(at, size)

    def together(self, who, when, step, lanes, me, now):
        """Whether accesses by `who` (a thread or several) in phase `when` and step `step` are not ordered with the lanes' own."""
        warp = np.where(who >= 0, who // 32, SEVERAL - who)
        before = (warp == me // 32) & (step < self.step[lanes][:, None])
        return (when == now) & (who != me) & ~before

    def shared_read(self, lanes, at, size):
        b, cells = self.span(lanes, at, size)
        me = self.tid[lanes].astype(np.int32)[:, None]
        now = self.epoch[b]
        if self.pending[b, cells].any():
            raise PtxError('shared memory read while a copy into it is pending')
        self.refuse_mbarriers(b, cells)
        if self.unordered_writes(b, cells, lanes, me, now).any():
            raise PtxError('race: shared memory read in the same phase as another thread wrote it')
        self.note_read(b, cells, me)
        self.own_load(b, cells, lanes)
        who, several = self.reader[b, cells], SEVERAL - me // 32
        seen = (self.read[b, cells] == now) & (who != me)
        of_warp = (np.where(who >= 0, who // 32, SEVERAL - who) == me // 32)
        mine = np.where(seen, np.where(of_warp, several, SEVERAL + 1), me)
        self.reader[b, cells] = mine
        # Lanes of one instruction that read the same cell count as several.
        clash = self.reader[b, cells] != mine
        where = np.broadcast_to(b, cells.shape)[clash], cells[clash]
        won, lost = self.reader[where], np.broadcast_to(several, cells.shape)[clash]
        self.reader[where] = np.where(np.where(won >= 0, won // 32, SEVERAL - won) == SEVERAL - lost, lost, SEVERAL + 1)
        self.read[b, cells] = now
        self.read_step[b, cells] = np.broadcast_to(self.step[lanes][:, None], cells.shape)
        return np.ascontiguousarray(self.shared[b, at[:, None] + np.arange(size)])

    def shared_claim(self, lanes, at, size):
        """Checks that the lanes may write."""
        b, cells = self.span(lanes, at, size)
        me = self.tid[lanes].astype(np.int32)[:, None]
        now = self.epoch[b]
        self.refuse_mbarriers(b, cells)
        if self.unordered_reads(b, cells, lanes, me, now, SEVERAL).any():
            raise PtxError('race: shared memory written in the same phase as another thread read it')
        if self.pending[b, cells].any():
            raise PtxError('shared memory written while a copy into it is pending')
        if self.unordered_writes(b, cells, lanes, me, now).any():
            raise PtxError('race: shared memory written twice in a phase')
        self.check_products_do_not_read(b, cells)
        self.own_store(b, cells, lanes)
        return b, cells, me, now

    def shared_write(self, lanes, at, data):
        size = data.shape[1]
        b, cells, me, now = self.shared_claim(lanes, at, size)
        self.shared[b, at[:, None] + np.arange(size)] = data
        if (self.shared[b, at[:, None] + np.arange(size)] != data).any():
            raise PtxError('race: lanes of one store write different values to one place')
        self.wrote[b, cells], self.writer[b, cells] = now, me
        self.wrote_step[b, cells] = self.step[lanes][:, None]
        self.note_write(b, cells)
        self.hide_from_products(b, cells)

    def buffers(self, at):
        which = at >> BUFFER_SHIFT
        for w in np.unique(which):
            buffer = self.memory.get(int(w))
            if buffer is None:
                raise PtxError(f'wild pointer {int(at[which == w][0]):#x}')
            yield int(w), buffer, which == w

    def global_index(self, buffer, at, size):
        offset = at & ((1 << BUFFER_SHIFT) - 1)
        if (offset % size != 0).any():
            raise PtxError('misaligned global access')
        if (offset + size > len(buffer)).any():
            raise PtxError(f'global access out of bounds: {int(offset.max())} + {size} of {len(buffer)}')
        return offset[:, None] + np.arange(size)

    def global_read(self, lanes, at, size):
        data = np.zeros((len(at), size), np.uint8)
        for w, buffer, m in self.buffers(at):
            index = self.global_index(buffer, at[m], size)
            data[m] = buffer[index]
            writers = self.writers.get(w)
            if writers:
                # The ends of what is read stand for all of it.
                who, phase = self.number[lanes[m]], self.epoch[self.block_of[lanes[m]]]
                for end in (index[:, 0], index[:, -1]):
                    wrong = writers.unfenced(end, who, self.f.threads, self.fences) if writers.fences else writers.unordered(end, who, phase, self.f.threads)
                    if wrong.any():
                        raise PtxError('race: global memory read that another thread of the launch wrote')
        return data

    def global_write(self, lanes, at, data):
        for w, buffer, m in self.buffers(at):
            index = self.global_index(buffer, at[m], data.shape[1])
            if w not in self.writers:
                self.writers[w] = Writers(len(buffer), self.f.fences)
            writers = self.writers[w]
            who, phase = self.number[lanes[m]][:, None], self.epoch[self.block_of[lanes[m]]][:, None]
            if ((buffer[index] != data[m]) & writers.unordered(index, who, phase, self.f.threads)).any():
                raise PtxError('race: global memory written by two threads of the launch, and not the same')
            buffer[index] = data[m]
            if (buffer[index] != data[m]).any():
                raise PtxError('race: lanes of one store write different values to one place')
            writers.thread[index], writers.phase[index], writers.time[index] = who, phase, self.fences.now
            self.fences.stored[self.block_numbers(lanes[m])] = self.fences.now

    def op_ld(self, i, mask):
        space, t = i.parts[1], i.parts[-1]
        if space == 'param':
            number = int(re.search(r'_(\d+)(?:\])', i.args[1])[1])
            return self.put(i.args[0], np.full(self.n, self.params[number] & 0xFFFFFFFFFFFFFFFF, np.uint64).astype(INT.get(t, np.uint64)), mask)
        names, each = self.split(i.args[0]), size_of(t)
        lanes = self.lanes(mask)
        at = self.address(i.args[1])[lanes]
        if i.early and (at >> BUFFER_SHIFT != max(self.memory)).any():  # a table of pages comes last
            raise PtxError('a load of something else than weights and pages before $kt_wait')
        size = each * len(names)
        read = self.cluster_read if space == 'shared::cluster' else self.shared_read if 'shared' in space else self.global_read
        raw = read(lanes, at, size)
        if 'shared' not in space:
            self.stats['global_read'] = self.stats.get('global_read', 0) + raw.size
        values = np.ascontiguousarray(raw).view(INT['u%d' % (8 * each)]).reshape(len(lanes), len(names))
        for j, name in enumerate(names):
            if name == '_':
                continue
            v = np.zeros(self.n, values.dtype)
            v[lanes] = values[:, j]
            if t[0] == 's':
                v = v.view(INT[t]).astype({2: np.int16, 4: np.int32, 8: np.int64}[np.dtype(self.f.registers[name]).itemsize])
            self.put(name, v, mask)

    op_ldu = op_ld

    def op_st(self, i, mask):
        space, t = i.parts[1], i.parts[-1]
        names, each = self.split(i.args[1]), size_of(t)
        lanes = self.lanes(mask)
        at = self.address(i.args[0])[lanes]
        kind = INT['u%d' % (8 * each)]
        columns = []
        for name in names:
            v = np.asarray(self.get(name, kind if name[0] != '%' else self.f.registers[name])).astype(kind)
            columns.append(np.broadcast_to(v, self.n)[lanes])
        data = np.ascontiguousarray(np.stack(columns, 1)).view(np.uint8).reshape(len(lanes), -1)
        if space == 'shared::cluster':
            return self.cluster_write(lanes, at, data)
        if 'shared' in space:
            return self.shared_write(lanes, at, data)
        self.global_write(lanes, at, data)

    def op_atom(self, i, mask, result=True):
        t = i.parts[-1]
        kind = FLOAT.get(t) or INT[t]
        lanes = self.lanes(mask)
        args = i.args if result else [None] + i.args
        at = self.address(args[1])[lanes]
        operands = [np.broadcast_to(self.get(a, kind), self.n)[lanes] for a in args[2:]]
        what = [x for x in i.parts if x in ('add', 'min', 'max', 'exch', 'cas', 'or', 'and', 'inc')][0]
        old = np.zeros(self.n, kind)
        shared = 'shared' in i.op
        size = np.dtype(kind).itemsize
        if not shared:
            self.fences.atomic(self.block_numbers(lanes))
        for n, lane in enumerate(lanes):
            if shared:
                b = self.block_of[lane]
                place = self.shared[b, at[n]:at[n] + size].view(kind)
            else:
                buffer = self.memory[int(at[n] >> BUFFER_SHIFT)]
                offset = self.global_index(buffer, at[n:n + 1], size)[0, 0]
                place = buffer[offset:offset + size].view(kind)
            v = old[lane] = place[0]
            x = operands[0][n]
            if what == 'cas':
                place[0] = operands[1][n] if v == x else v
            else:
                place[0] = {'add': lambda: v + x, 'min': lambda: min(v, x), 'max': lambda: max(v, x), 'exch': lambda: x,
                            'or': lambda: v | x, 'and': lambda: v & x, 'inc': lambda: kind(0) if v >= x else v + kind(1)}[what]()
        if result:
            self.put(args[0], old, mask)

    def op_red(self, i, mask):
        self.op_atom(i, mask, result=False)

    # ---- asynchronous copies
    def op_cp(self, i, mask):
        if i.parts[2] == 'commit_group':
            self.commits += 1 if mask is None else mask.astype(np.int32)
            return
        if i.parts[2] in ('wait_group', 'wait_all'):
            keep = int(i.args[0]) if i.args else 0
            left = []
            for lanes, at, data, group in self.copies:
                done = group < self.commits[lanes] - keep
                if mask is not None:
                    done &= mask[lanes]
                if done.any():
                    b, cells = self.span(lanes[done], at[done], data.shape[1])
                    self.pending[b, cells] = False
                    self.shared[b, at[done][:, None] + np.arange(data.shape[1])] = data[done]
                    self.wrote[b, cells] = self.epoch[b]
                    self.writer[b, cells] = self.tid[lanes[done]].astype(np.int32)[:, None]
                    self.wrote_step[b, cells] = self.step[lanes[done]][:, None]
                    self.note_write(b, cells)
                    self.own_store(b, cells, lanes[done])
                    self.hide_from_products(b, cells)
                if not done.all():
                    left.append((lanes[~done], at[~done], data[~done], group[~done]))
            self.copies = left
            return
        size = int(i.args[2])
        lanes = self.lanes(mask)
        to, source = self.address(i.args[0])[lanes], self.address(i.args[1])[lanes]
        count = np.broadcast_to(self.get(i.args[3], np.int32), self.n)[lanes] if len(i.args) > 3 else np.full(len(lanes), size)
        if (count < 0).any() or (count > size).any():
            raise PtxError('copy of a bad size')
        data = np.zeros((len(lanes), size), np.uint8)
        for c in np.unique(count[count > 0]):
            m = count == c
            for which, buffer, of in self.buffers(source[m]):
                if i.early:
                    self.early.setdefault(which, i)
                if (source[m][of] % size != 0).any():
                    raise PtxError('misaligned copy')
                rows = np.nonzero(m)[0][of]
                offset = source[rows] & ((1 << BUFFER_SHIFT) - 1)
                if (offset + c > len(buffer)).any():
                    raise PtxError(f'copy out of bounds: {int(offset.max())} + {c} of {len(buffer)}')
                data[rows, :c] = buffer[offset[:, None] + np.arange(c)]
        b, cells, _, _ = self.shared_claim(lanes, to, size)
        self.pending[b, cells] = True
        if size == 16:
            self.banks(lanes, to, 'cp.async')
        self.copies.append((lanes, to, data, self.commits[lanes].copy()))
