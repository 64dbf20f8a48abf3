"""A PTX interpreter on numpy: all threads of several blocks at once.

Groups of threads with the same program counter run together, the one furthest behind first; barriers, shuffles and tensor-core instructions wait
for the rest of their block or warp, and who tries to wait for a phase of an mbarrier until it is over. Beyond computing results it finds what hardware would only sometimes show: races on memory, copies that
are read before they are complete (cp.async data arrives as late as wait_group allows), accesses that are out of bounds or misaligned,
divergent barriers, bank conflicts of ldmatrix and 16-byte copies, and whatever touches what a warpgroup's product in flight works on.
"""
import numpy as np
from alu import Arithmetic
from clusters import MOST_BLOCKS, Clusters
from mbarriers import Mbarriers
from memory import BUFFER_SHIFT, Fences, Memory
from ptxtext import WARPGROUP, Code, names_in
from ptxtypes import DEVICE, FLOAT, PtxError, bf16_to_f32, f32_to_bf16
from warpgroups import Warpgroups
from warps import Warps

MOST_STEPS = 1_000_000  # of a group of blocks: what takes more waits for something that never comes


class Function(Code):
    """One .entry whose instructions this interpreter knows."""

    def __init__(self, text):
        super().__init__(text)
        for i in self.code:
            i.run = getattr(Machine, 'op_' + i.parts[0].replace('::', '_'), None)
            if i.run is None:
                raise PtxError('unknown instruction: ' + i.text)


class Machine(Arithmetic, Memory, Warps, Warpgroups, Mbarriers, Clusters):
    """Some blocks of one launch, of which `first` is the number of the first."""

    def __init__(self, function, memory, params, blocks, grid, shared_bytes, stats, writers, first, fences, cluster):
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
        self.specials['%smid'] = np.zeros(n, np.uint32)
        self.registers = {}
        self.prepare_memory(len(blocks), shared_bytes)
        self.prepare_mbarriers(len(blocks))
        self.prepare_warpgroups()
        self.prepare_clusters(len(blocks), cluster)
        self.mask = None  # who runs the instruction at hand; None: everyone
        self.alive = np.ones(n, bool)

    # ---- operands
    def get(self, x, dtype):
        if x[0] == '%':
            if x in self.f.asynchronous:
                self.touch(x)
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
            return np.dtype(dtype).type(self.base)
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
        if x in self.f.asynchronous:
            self.touch(x)
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
        return names_in(x)

    # ---- scheduling
    # How many threads have to be at an instruction for it to run; at most the block.
    TOGETHER = {'bar': 1024, 'barrier': 1024, 'shfl': 32, 'vote': 32, 'mma': 32, 'ldmatrix': 32, 'wgmma': WARPGROUP}

    def run(self, turn=0):
        """Yields after each `turn` instructions, if that is not 0."""
        code, end = self.f.code, len(self.f.code)
        groups = {0: None}  # program counter -> mask (None: everyone)
        waiting = {}
        steps = 0
        while groups or waiting or self.sleeping:
            if not groups and self.sleeping:
                raise PtxError(self.deadlock())
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
                self.threads_ended()
                # Who waited for the threads that left may go on now.
                self.wake(groups)
                for q in list(waiting):
                    self.join(groups, q, waiting.pop(q))
                continue
            unit = 32 if i.parts[:2] in (['bar', 'warp'], ['barrier', 'cluster']) else self.TOGETHER.get(o)
            if unit and mask is not None:
                unit = min(unit, self.threads)
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
            if (late := self.late_for(i, active)) is not None and late.any():
                self.sleeping[p] = self.union(late, self.sleeping.pop(p, late))
                mask = active = ~late if mask is None else mask & ~late
                if not mask.any():
                    continue
            if active is not None and not active.any():
                pass
            else:
                if active is not None and active.all():
                    active = None
                self.mask = active
                try:
                    with np.errstate(all='ignore'):
                        i.run(self, i, active)
                except PtxError as e:
                    raise PtxError(f'{e} at {i} in {self.f.name}') from None
                self.wake(groups)
            self.join(groups, p + 1, mask)
        self.stats['instructions'] = self.stats.get('instructions', 0) + steps
        if self.copies:
            raise PtxError('copies still pending at the end of the kernel')
        if self.products:
            raise PtxError('products of warpgroups still in flight at the end of the kernel')

    def late_for(self, i, mask):
        """Who has to wait at the instruction for what others do; None where nobody ever has."""
        if i.parts[:2] == ['mbarrier', 'try_wait']:
            return self.late_for_phase(i, mask)
        return self.late_for_cluster(i, mask) if i.parts[:3] == ['barrier', 'cluster', 'wait'] else None

    def wake(self, groups):
        if self.woken:
            self.woken = False
            for q in list(self.sleeping):
                self.join(groups, q, self.sleeping.pop(q))

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

    def op_membar(self, i, mask):
        if i.parts[-1] in DEVICE:
            self.fences.fenced[self.block_numbers(self.lanes(mask))] = self.fences.now

    def op_fence(self, i, mask):
        if 'proxy' not in i.parts:
            self.op_membar(i, mask)
            self.fence_in_cluster(mask)
        elif i.parts[2:] in (['async'], ['async', 'shared::cta']):
            self.show_to_products(mask)

    def op_bra(self, i, mask):
        pass

    op_ret = op_prefetch = op_griddepcontrol = op_bra # launches run one after the other


def launch(function, arguments, grid, shared_bytes=0, batch_threads=4096, turn=0, cluster=0):
    """Runs a grid. `arguments` are uint8 arrays (buffers, changed in place) and integers. Blocks of `batch_threads` threads run together, one such group
    after the other; with `turn` all groups run by turns, the first for so many instructions, the second for twice as many, ....
    `cluster`: neighbours along the grid's second dimension that are one; 0: the launch has none. Answers statistics."""
    memory, params = {}, []
    for number, a in enumerate(arguments):
        if isinstance(a, np.ndarray):
            memory[number + 1] = a
            params.append((number + 1) << BUFFER_SHIFT)
        else:
            params.append(int(a))
    if len(params) != len(function.params):
        raise PtxError(f'{function.name} takes {len(function.params)} parameters but got {len(params)}')
    if not 0 <= cluster <= MOST_BLOCKS or (cluster and grid[1] % cluster):
        raise PtxError(f'clusters of {cluster} blocks in a grid of {grid[1]}')
    if function.launched_in_clusters and not cluster:
        raise PtxError(f'{function.name} is launched without clusters')
    stats, writers, fences = {}, {}, Fences(grid[0] * grid[1] * grid[2])
    together = max(cluster, 1)
    all_blocks = [(x, first + y, z) for z in range(grid[2]) for first in range(0, grid[1], together) for x in range(grid[0]) for y in range(together)]
    per = max(1, batch_threads // function.threads // together) * together

    def group(start):
        yield from Machine(function, memory, params, all_blocks[start:start + per], grid, shared_bytes, stats, writers, start,
                           fences, cluster).run(turn * (start // per + 1))
    running = [group(start) for start in range(0, len(all_blocks), per)]
    while running:
        running = [g for g in running if next(g, running) is None]
    # Weights are in one place. Of the states of a session a launch has earlier rows alone: those of its own run it makes itself.
    early = stats.get('early', {})
    if len(early) > 1 and (others := early.keys() - writers.keys()):
        raise PtxError(f'a copy from something else than the weights, or the states that the launch goes on with, before $kt_wait at {early[min(others)]} in {function.name}')
    return stats
