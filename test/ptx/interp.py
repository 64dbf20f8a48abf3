"""A PTX interpreter on numpy: all threads of several blocks at once.

Groups of threads with the same program counter run together, the one furthest behind first; barriers, shuffles and tensor-core instructions wait
for the rest of their block or warp. Beyond computing results it finds what hardware would only sometimes show: races on memory, copies that
are read before they are complete (cp.async data arrives as late as wait_group allows), accesses that are out of bounds or misaligned,
divergent barriers, and bank conflicts of ldmatrix and 16-byte copies.
"""
import re
import numpy as np
from alu import Arithmetic
from ptxtypes import FLOAT, INT, REG, PtxError, bf16_to_f32, f32_to_bf16, size_of

SHARED_BASE = 1024  # shared addresses start here, so that a null offset is caught
MOST_STEPS = 1_000_000  # of a group of blocks: what takes more waits for something that never comes
DEVICE = ('gpu', 'gl', 'sys')  # how far a fence reaches that orders blocks
BUFFER_SHIFT = 40   # buffer i lies at (i + 1) << 40


class Instruction:
    __slots__ = ('op', 'parts', 'args', 'pred', 'negate', 'run', 'text', 'where')

    def __str__(self):
        return f'"{self.text}"' + (f' built at {self.where}' if self.where else '')


class Function:
    """One .entry: its code with labels resolved. Where there are line tables, instructions know what built them."""

    def __init__(self, text):
        self.name = re.search(r'\.entry (\w+)', text)[1]
        start = text.index('.entry')
        head, body = text[start:text.index('{', start)], text[text.index('{', start) + 1:text.rindex('}')]
        self.params = re.findall(r'\.param \.([usbf]\d+)', head)
        self.threads = int(re.search(r'\.reqntid (\d+)', head)[1])
        if '.local' in body:
            raise PtxError('uses local memory')
        body = re.sub(r'//[^\n]*', '', body)
        files = dict(re.findall(r'^\s*\.file\s+(\d+) "([^"]*)"', text, re.M))
        body, where = re.sub(r'^\s*(\.loc\s[^\n]*)$', r'\1;', body, flags=re.M), None
        self.registers, self.code, self.labels = {}, [], {}
        for m in re.finditer(r'\.reg \.(\w+)\s+(%\w+)<(\d+)>;', body):
            for i in range(int(m[3])):
                self.registers[f'{m[2]}{i}'] = REG[m[1]]
        for statement in body.split(';'):
            statement = statement.strip()
            while m := re.match(r'(\$\w+):\s*', statement):
                self.labels[m[1]] = len(self.code)
                statement = statement[m.end():].strip()
            statement = ' '.join(statement.split())
            if statement.startswith('.loc '):
                _, file, line, *_ = statement.split()
                where = f'{files[file]}:{line}' if line != '0' else None
            if not statement or statement[0] in '.{}':
                continue
            m = re.match(r'(?:@(!?)(%p\d+) )?(\S+)\s*(.*)', statement)
            i = Instruction()
            i.text, i.negate, i.pred, i.op, i.where = statement, m[1] == '!', m[2], m[3], where
            i.parts = i.op.split('.')
            i.args = [x.strip() for x in re.split(r',\s*(?![^{]*\})', m[4])] if m[4] else []
            i.run = getattr(Machine, 'op_' + i.parts[0].replace('::', '_'), None)
            if i.run is None:
                raise PtxError('unknown instruction: ' + statement)
            self.code.append(i)
        self.fences = any(i.parts[0] in ('membar', 'fence') and i.parts[-1] in DEVICE for i in self.code)
        self.smallest_shared = 4
        for i in self.code:
            if 'shared' in i.op and i.parts[0] in ('ld', 'st', 'atom'):
                self.smallest_shared = min(self.smallest_shared, size_of(i.parts[-1]))


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


class Machine(Arithmetic):
    """Some blocks of one launch, of which `first` is the number of the first."""

    def __init__(self, function, memory, params, blocks, grid, shared_bytes, stats, writers, first, fences):
        self.f, self.memory, self.params, self.grid, self.stats, self.writers = function, memory, params, grid, stats, writers
        self.fences, self.first = fences, first
        t = self.threads = function.threads
        self.blocks = blocks
        n = self.n = t * len(blocks)
        self.block_of = np.repeat(np.arange(len(blocks)), t)
        tid = np.tile(np.arange(t, dtype=np.uint32), len(blocks))
        self.tid = tid
        self.number = (1 + first * t + np.arange(n)).astype(np.int32)
        self.specials = {'%tid.x': tid, '%tid.y': np.zeros(n, np.uint32), '%laneid': tid & np.uint32(31)}
        for d, axis in enumerate('xyz'):
            self.specials['%ctaid.' + axis] = np.repeat(np.array([b[d] for b in blocks], np.uint32), t)
            self.specials['%nctaid.' + axis] = np.full(n, grid[d], np.uint32)
        self.specials['%ntid.x'] = np.full(n, t, np.uint32)
        self.registers = {}
        self.shared = np.full((len(blocks), SHARED_BASE + shared_bytes), 0xFF, np.uint8)
        self.grain = function.smallest_shared
        cells = (SHARED_BASE + shared_bytes) // self.grain + 1
        self.wrote = np.zeros((len(blocks), cells), np.int32)    # epoch of the last write
        self.writer = np.full((len(blocks), cells), -1, np.int32)
        self.read = np.zeros((len(blocks), cells), np.int32)
        self.reader = np.full((len(blocks), cells), -1, np.int32)  # -2: several
        self.pending = np.zeros((len(blocks), cells), bool)
        self.epoch = np.ones(len(blocks), np.int32)
        self.copies, self.commits = [], np.zeros(n, np.int32)
        self.alive = np.ones(n, bool)

    # ---- operands
    def get(self, x, dtype):
        if x[0] == '%':
            v = self.registers.get(x)
            if v is None:
                v = self.specials.get(x)
                if v is None:
                    v = self.registers[x] = np.zeros(self.n, self.f.registers[x])
            want = np.dtype(dtype)
            if v.dtype == want:
                return v
            if v.dtype.itemsize == want.itemsize:
                return v.view(want)
            if want.itemsize < v.dtype.itemsize:
                return v.astype({1: np.uint8, 2: np.uint16, 4: np.uint32}[want.itemsize]).view(want)
            return v.astype({2: np.uint16, 4: np.uint32, 8: np.uint64}[want.itemsize]).view(want)
        if x == 'smem':
            return np.dtype(dtype).type(SHARED_BASE)
        if x[:2] in ('0f', '0d') and not x.startswith('0x'):
            raw = int(x[2:], 16)
            v = np.array(raw, np.uint32).view(np.float32) if x[1] == 'f' else np.array(raw, np.uint64).view(np.float64)
            want = np.dtype(dtype)
            if want.kind in 'ui':
                return v.view({4: np.uint32, 8: np.uint64}[v.dtype.itemsize]).astype(want)[()]
            return v.astype(want)[()]
        want = np.dtype(dtype)
        bits = 8 * want.itemsize
        unsigned = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}[want.itemsize]
        if want == np.bool_:
            return np.bool_(int(x, 0))
        return np.array(int(x.rstrip('U'), 0) & ((1 << bits) - 1), unsigned).view(want)[()]

    def put(self, x, v, mask):
        if x == '_':
            return
        dtype = self.f.registers[x]
        v = np.asarray(v)
        width = np.dtype(dtype).itemsize
        if v.dtype != dtype:
            if dtype == np.bool_:
                v = v.astype(bool)
            elif v.dtype == np.bool_:
                v = v.astype(dtype)
            elif v.dtype.itemsize == width:
                v = np.ascontiguousarray(v).view(dtype)
            else:
                v = v.astype({1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}[width] if v.dtype.kind == 'i' else dtype).view(dtype)
        if mask is None:
            self.registers[x] = v if v.shape == (self.n,) else np.broadcast_to(v.reshape(()), self.n).copy()
        else:
            old = self.registers.get(x)
            self.registers[x] = np.where(mask, v, np.zeros((), dtype) if old is None else old)

    def floats(self, x, t):
        """Operand of a float type as values to compute with; bf16 as f32."""
        if t == 'bf16':
            return bf16_to_f32(np.asarray(self.get(x, np.uint16)))
        if t == 'f16':
            return np.asarray(self.get(x, np.uint16)).view(np.float16).astype(np.float32)
        return self.get(x, FLOAT[t])

    def put_float(self, x, v, t, mask):
        if t == 'bf16':
            v = f32_to_bf16(np.asarray(v, np.float32))
        else:
            v = np.asarray(v).astype(FLOAT[t])
        self.put(x, v, mask)

    def split(self, x):
        return [y.strip() for y in x.strip('{}').split(',')]

    # ---- scheduling
    def run(self, turn=0):
        """Yields after each `turn` instructions, if that is not 0."""
        code, end = self.f.code, len(self.f.code)
        groups = {0: None}  # program counter -> mask (None: everyone)
        waiting = {}
        steps = 0
        while groups or waiting:
            if not groups:
                raise PtxError('divergent barrier or warp instruction: ' + '; '.join(str(code[p]) for p in waiting))
            p = min(groups)
            mask = groups.pop(p)
            if p in waiting:
                mask = self.union(mask, waiting.pop(p))
            if p >= end:
                raise PtxError('ran off the end')
            i = code[p]
            steps += 1
            if steps > MOST_STEPS:
                raise PtxError(f'does not end; it is at {i} in {self.f.name}')
            self.fences.now += 1
            if turn and steps % turn == 0:
                yield
            active = mask
            if i.pred:
                q = self.registers[i.pred]
                active = (~q if i.negate else q) if mask is None else mask & (~q if i.negate else q)
            o = i.parts[0]
            if o == 'bra':
                target = self.f.labels[i.args[0]]
                if active is mask:
                    self.join(groups, target, mask)
                    continue
                rest = ~active if mask is None else mask & ~active
                if active.any():
                    self.join(groups, target, active)
                if rest.any():
                    self.join(groups, p + 1, rest)
                continue
            if o == 'ret':
                if active is not mask:
                    rest = ~active if mask is None else mask & ~active
                    if rest.any():
                        self.join(groups, p + 1, rest)
                self.alive &= False if active is None else ~active
                # Who waited for the threads that left may go on now.
                for q in list(waiting):
                    self.join(groups, q, waiting.pop(q))
                continue
            if o in ('bar', 'barrier', 'shfl', 'mma', 'ldmatrix', 'vote') and mask is not None:
                unit = self.threads if o in ('bar', 'barrier') else 32
                here, living = mask.reshape(-1, unit), self.alive.reshape(-1, unit)
                ready = np.repeat((here == living).all(1), unit) & mask
                if not ready.all() and not (ready == mask).all():
                    late = mask & ~ready
                    waiting[p] = late if p not in waiting else waiting[p] | late
                    if not ready.any():
                        continue
                    mask = active = ready
                elif not ready.any():
                    waiting[p] = mask
                    continue
            if active is not None and not active.any():
                pass
            else:
                if active is not None and active.all():
                    active = None
                try:
                    with np.errstate(all='ignore'):
                        i.run(self, i, active)
                except PtxError as e:
                    raise PtxError(f'{e} at {i} in {self.f.name}') from None
            self.join(groups, p + 1, mask)
        self.stats['instructions'] = self.stats.get('instructions', 0) + steps
        if self.copies:
            raise PtxError('copies still pending at the end of the kernel')

    def union(self, a, b):
        if a is None or b is None:
            return None
        u = a | b
        return None if u.all() else u

    def join(self, groups, p, mask):
        groups[p] = self.union(groups[p], mask) if p in groups else mask

    def block_numbers(self, lanes):
        return self.first + np.unique(self.block_of[lanes])

    def lanes(self, mask):
        return np.arange(self.n) if mask is None else np.nonzero(mask)[0]

    # ---- memory
    def address(self, x):
        m = re.match(r'\[([%\w.$]+)(?:\+(-?\d+))?\]', x)
        base = m[1]
        if base == 'smem':
            return np.full(self.n, SHARED_BASE + int(m[2] or 0), np.int64)
        v = self.get(base, self.f.registers[base])
        v = v.astype(np.int64) if v.dtype == np.uint32 else v.view(np.int64)
        return v + int(m[2] or 0)

    def span(self, lanes, at, size):
        """Cells of shared memory that [at, at + size) of each lane covers."""
        if (at % min(size, 16) != 0).any():
            raise PtxError('misaligned shared access')
        if (at < SHARED_BASE).any() or (at + size > self.shared.shape[1]).any():
            raise PtxError(f'shared access out of bounds: {at.max() - SHARED_BASE} + {size} of {self.shared.shape[1] - SHARED_BASE}')
        cells = (at // self.grain)[:, None] + np.arange(max(1, size // self.grain))
        return self.block_of[lanes][:, None], cells

    def shared_read(self, lanes, at, size):
        b, cells = self.span(lanes, at, size)
        me = self.tid[lanes].astype(np.int32)[:, None]
        now = self.epoch[b]
        if self.pending[b, cells].any():
            raise PtxError('shared memory read while a copy into it is pending')
        if ((self.wrote[b, cells] == now) & (self.writer[b, cells] != me)).any():
            raise PtxError('race: shared memory read in the same phase as another thread wrote it')
        seen = (self.read[b, cells] == now) & (self.reader[b, cells] != me)
        self.reader[b, cells] = np.where(seen, -2, me)
        # Lanes of one instruction that read the same cell count as several.
        clash = self.reader[b, cells] != np.where(seen, -2, me)
        self.reader[np.broadcast_to(b, cells.shape)[clash], cells[clash]] = -2
        self.read[b, cells] = now
        return np.ascontiguousarray(self.shared[b, at[:, None] + np.arange(size)])

    def shared_claim(self, lanes, at, size):
        """Checks that the lanes may write."""
        b, cells = self.span(lanes, at, size)
        me = self.tid[lanes].astype(np.int32)[:, None]
        now = self.epoch[b]
        if ((self.read[b, cells] == now) & (self.reader[b, cells] != me)).any():
            raise PtxError('race: shared memory written in the same phase as another thread read it')
        if self.pending[b, cells].any():
            raise PtxError('shared memory written while a copy into it is pending')
        if ((self.wrote[b, cells] == now) & (self.writer[b, cells] != me)).any():
            raise PtxError('race: shared memory written twice in a phase')
        return b, cells, me, now

    def shared_write(self, lanes, at, data):
        size = data.shape[1]
        b, cells, me, now = self.shared_claim(lanes, at, size)
        self.shared[b, at[:, None] + np.arange(size)] = data
        if (self.shared[b, at[:, None] + np.arange(size)] != data).any():
            raise PtxError('race: lanes of one store write different values to one place')
        self.wrote[b, cells], self.writer[b, cells] = now, me

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
        size = each * len(names)
        raw = self.shared_read(lanes, at, size) if 'shared' in space else self.global_read(lanes, at, size)
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
            for _, buffer, of in self.buffers(source[m]):
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

    def banks(self, lanes, at, what):
        """16-byte accesses go in phases of eight lanes."""
        if len(lanes) % 8:
            return
        unit = np.sort((at.reshape(-1, 8) // 16) % 8, 1)
        f = self.stats.setdefault(what, [0, 0])
        f[0] += len(unit)
        f[1] += int((np.diff(unit, axis=1) == 0).any(1).sum())

    # ---- warps
    def op_bar(self, i, mask):
        if mask is None:
            self.epoch += 1
        else:
            self.epoch[np.unique(self.block_of[mask])] += 1

    op_barrier = op_bar

    def op_shfl(self, i, mask):
        names = i.args[0].split('|')
        v = np.broadcast_to(self.get(i.args[1], np.uint32), self.n).reshape(-1, 32)
        operand = np.broadcast_to(self.get(i.args[2], np.int32), self.n).reshape(-1, 32)
        lane = np.arange(32)[None, :]
        clamp = np.broadcast_to(self.get(i.args[3], np.int32), self.n).reshape(-1, 32)
        mode = i.parts[2]
        source = {'bfly': lambda: lane ^ operand, 'up': lambda: lane - operand, 'down': lambda: lane + operand, 'idx': lambda: operand & 31}[mode]()
        low = (clamp >> 8) & 31
        valid = source >= (lane & low) if mode == 'up' else source <= ((lane & low) | (clamp & 31 & ~low))
        source = np.where(valid, source, lane)
        self.put(names[0], np.take_along_axis(v, source, 1).reshape(-1), mask)
        if len(names) > 1:
            self.put(names[1], valid.reshape(-1), mask)

    def op_vote(self, i, mask):
        p = np.broadcast_to(self.get(i.args[1], np.bool_), self.n).reshape(-1, 32)
        if 'ballot' in i.parts:
            v = (p.astype(np.uint64) << np.arange(32, dtype=np.uint64)).sum(1).astype(np.uint32)
        else:
            v = p.any(1) if 'any' in i.parts else p.all(1)
        self.put(i.args[0], np.repeat(v, 32), mask)

    op_activemask = None

    def op_ldmatrix(self, i, mask):
        lanes = self.lanes(mask)
        at = self.address(i.args[1])[lanes]
        raw = self.shared_read(lanes, at, 16)
        self.banks(lanes, at, 'ldmatrix')
        rows = raw.view(np.uint16).reshape(-1, 4, 8, 8)
        if 'trans' in i.parts:
            rows = rows.swapaxes(2, 3)
        for j, name in enumerate(self.split(i.args[0])):
            v = np.zeros(self.n, np.uint32)
            v[lanes] = np.ascontiguousarray(rows[:, j].reshape(-1, 32, 2)).view(np.uint32).reshape(-1)
            self.put(name, v, mask)

    def op_mma(self, i, mask):
        d, a, b, c = map(self.split, i.args)
        half = 'bf16' not in i.op

        def block(x):
            bits = np.ascontiguousarray(np.broadcast_to(self.get(x, np.uint32), self.n))
            pair = bits.view(np.float16).astype(np.float32) if half else bf16_to_f32(bits.view(np.uint16))
            return pair.reshape(-1, 8, 8)
        A, B = [block(x) for x in a], [block(x) for x in b]
        x = np.concatenate([np.concatenate([A[0], A[2]], 2), np.concatenate([A[1], A[3]], 2)], 1)
        y = np.concatenate(B, 2).swapaxes(1, 2)
        z = (x @ y).reshape(-1, 2, 8, 4, 2)
        acc = [np.broadcast_to(self.get(v, np.float32), self.n) for v in c]
        for j in range(4):
            self.put(d[j], (acc[j] + z[:, j >> 1, :, :, j & 1].reshape(-1)).astype(np.float32), mask)

    def op_membar(self, i, mask):
        if i.parts[-1] in DEVICE:
            self.fences.fenced[self.block_numbers(self.lanes(mask))] = self.fences.now

    op_fence = op_membar

    def op_bra(self, i, mask):
        pass

    op_ret = op_prefetch = op_bra


def launch(function, arguments, grid, shared_bytes=0, batch_threads=4096, turn=0):
    """Runs a grid. `arguments` are uint8 arrays (buffers, changed in place) and integers. Blocks of `batch_threads` threads run together, one such group
    after the other; with `turn` all groups run by turns, the first for so many instructions, the second for twice as many, .... Answers statistics."""
    memory, params = {}, []
    for number, a in enumerate(arguments):
        if isinstance(a, np.ndarray):
            memory[number + 1] = a
            params.append((number + 1) << BUFFER_SHIFT)
        else:
            params.append(int(a))
    if len(params) != len(function.params):
        raise PtxError(f'{function.name} takes {len(function.params)} parameters but got {len(params)}')
    stats, writers, fences = {}, {}, Fences(grid[0] * grid[1] * grid[2])
    all_blocks = [(x, y, z) for z in range(grid[2]) for y in range(grid[1]) for x in range(grid[0])]
    per = max(1, batch_threads // function.threads)

    def group(start):
        yield from Machine(function, memory, params, all_blocks[start:start + per], grid, shared_bytes, stats, writers, start,
                           fences).run(turn * (start // per + 1))
    running = [group(start) for start in range(0, len(all_blocks), per)]
    while running:
        running = [g for g in running if next(g, running) is None]
    return stats
