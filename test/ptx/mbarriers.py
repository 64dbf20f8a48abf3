"""Barriers in shared memory (mbarrier) in the PTX interpreter, and the order between the warps of a block that they make.

Where warps pass slots of memory to one another, barriers of the block no longer divide its time into phases that all have in common. Each warp then has a clock:
up to which instruction of each other warp what that one did comes before what it does itself. Barriers of the block set all clocks; arrivals at an mbarrier give
theirs to who waits for the phase. Accesses to one place, of which one is a write, have to be ordered by the clocks, whatever the order was in which they ran here.
An arrival of one lane gives what its warp did before the last bar.warp.sync, since only that one is after the other lanes' work.
"""
import numpy as np
from ptxtypes import PtxError

WARP = 32
MOST_ARRIVALS = (1 << 20) - 1


class Mbarrier:
    """`pending`: arrivals that the phase at hand lacks. `gathering`: the clocks of those that have come; `released`: those of the phase before."""

    def __init__(self, count, maker, now, warps):
        self.count = self.pending = count
        self.maker, self.made, self.phase = maker, now, 0
        self.gathering, self.released = np.zeros(warps, np.int64), np.zeros(warps, np.int64)

    def arrive(self, clock):
        """Whether the phase is over."""
        self.gathering = np.maximum(self.gathering, clock)
        self.pending -= 1
        if self.pending:
            return False
        self.released, self.gathering = self.gathering, np.zeros_like(self.gathering)
        self.pending = self.count
        self.phase += 1
        return True


class Mbarriers:
    """Needs registers, shared memory, who is alive and the launch's numbers of the machine."""

    def prepare_mbarriers(self, blocks):
        self.mbarriers, self.sleeping, self.woken = {}, {}, False  # by block and address; by instruction, who waits there for a phase
        self.ordered_by_clocks = self.f.mbarriers
        if not self.ordered_by_clocks:
            return
        if self.threads % WARP:
            raise PtxError(f'mbarriers in a block of {self.threads} threads')
        self.warps, self.gave_up = self.threads // WARP, np.zeros(self.n, bool)
        cells = self.wrote.shape[1]
        self.clocks = np.zeros((blocks, self.warps, self.warps), np.int64)
        self.synced = np.zeros((blocks, self.warps), np.int64)  # when all lanes of a warp came together last
        self.wrote_at, self.read_at = np.zeros((blocks, cells), np.int64), np.zeros((blocks, self.warps, cells), np.int64)
        self.holds_mbarrier = np.zeros((blocks, cells), bool)

    # ---- the order of accesses
    def block_met(self, blocks):
        if self.ordered_by_clocks:
            self.clocks[blocks], self.synced[blocks] = self.fences.now, self.fences.now

    def warps_met(self, lanes):
        if self.ordered_by_clocks:
            self.synced[self.block_of[lanes], self.tid[lanes] // WARP] = self.fences.now

    def unordered_writes(self, b, cells, lanes, me, now):
        """Whether the last write of each cell was another thread's and is not ordered before what the lanes do."""
        of_phase = self.together(self.writer[b, cells], self.wrote[b, cells], self.wrote_step[b, cells], lanes, me, now)
        if not self.ordered_by_clocks:
            return of_phase
        writer = np.maximum(self.writer[b, cells], 0) // WARP
        late = self.wrote_at[b, cells] > self.clocks[b, me // WARP, writer]
        return np.where(writer == me // WARP, of_phase, late)

    def unordered_reads(self, b, cells, lanes, me, now, several):
        """The same of reads; numbers of readers from `several` down stand for several of a warp."""
        who = self.reader[b, cells]
        of_phase = self.together(who, self.read[b, cells], self.read_step[b, cells], lanes, me, now)
        if not self.ordered_by_clocks:
            return of_phase
        own = np.where(who >= 0, who // WARP, several - who) == me // WARP
        late = self.read_at[b, :, cells] > self.clocks[b, me // WARP]  # lane, cell, warp
        late &= np.arange(self.warps) != (me // WARP)[:, :, None]
        return (of_phase & own) | late.any(2)

    def note_write(self, b, cells):
        if self.ordered_by_clocks:
            self.wrote_at[b, cells] = self.fences.now

    def note_read(self, b, cells, me):
        if self.ordered_by_clocks:
            self.read_at[b, np.broadcast_to(me // WARP, cells.shape), cells] = self.fences.now

    def refuse_mbarriers(self, b, cells):
        if self.mbarriers and self.holds_mbarrier[b, cells].any():
            raise PtxError('shared memory access to an mbarrier')

    def warps_of_group(self, groups):
        """Blocks and warps [group, 4] of warpgroups."""
        first = groups % self.per_block * 4
        return (groups // self.per_block)[:, None], first[:, None] + np.arange(4)

    def check_order_for_products(self, groups, b, cells):
        """Writes, and the fences of the threads that wrote, come before what all warps of the group do."""
        of, warps = self.warps_of_group(groups)
        flat = cells.reshape(len(groups), -1)
        writer = np.maximum(self.writer[of, flat], 0) // WARP
        for number in range(4):
            mine = warps[:, number:number + 1]
            seen = self.clocks[of, mine, writer]
            other = (writer != mine) & (self.wrote_at[of, flat] > 0)
            if (other & (self.wrote_at[of, flat] > seen)).any():
                raise PtxError('race: product reads shared memory that another warp wrote, without waiting for it')
            if (other & (self.shown[of, flat] > seen)).any():
                raise PtxError('product reads shared memory without waiting for who wrote it after its fence.proxy.async')

    def note_reads_of_products(self, p):
        if self.ordered_by_clocks:
            of, warps = self.warps_of_group(p.groups)
            for number in range(4):
                self.read_at[of, warps[:, number:number + 1], p.cells] = self.fences.now

    # ---- instructions
    def op_mbarrier(self, i, mask):
        lanes = self.lanes(mask)
        kind = i.parts[1]
        if 'shared' not in i.op or kind not in ('init', 'arrive', 'try_wait', 'test_wait'):
            raise PtxError(f'{i.op} is not interpreted')
        at = self.address(i.args[kind != 'init'])[lanes]
        if (at % 8).any() or (at < self.base).any() or (at + 8 > self.shared.shape[1]).any():
            raise PtxError(f'an mbarrier at {int(at.min()) - self.base} of {self.shared.shape[1] - self.base} bytes, in steps of 8')
        {'init': self.make_mbarriers, 'arrive': self.arrive_at_mbarriers, 'try_wait': self.look_at_phases, 'test_wait': self.look_at_phases}[kind](i, lanes, at)

    def make_mbarriers(self, i, lanes, at):
        counts = np.broadcast_to(self.get(i.args[1], np.int32), self.n)[lanes]
        b, cells, me, now = self.shared_claim(lanes, at, 8)
        self.wrote[b, cells], self.writer[b, cells], self.wrote_step[b, cells] = now, me, self.step[lanes][:, None]
        self.note_write(b, cells)
        self.holds_mbarrier[b, cells] = True
        for lane, where, count in zip(lanes, at, counts):
            if not 1 <= count <= MOST_ARRIVALS:
                raise PtxError(f'an mbarrier of {count} arrivals')
            self.mbarriers[self.block_of[lane], where] = Mbarrier(int(count), self.tid[lane] // WARP, self.fences.now, self.warps)

    def mbarrier_of(self, b, warp, where):
        barrier = self.mbarriers.get((b, where))
        if barrier is None:
            raise PtxError(f'no mbarrier at {int(where) - self.base}')
        if warp != barrier.maker and self.clocks[b, warp, barrier.maker] < barrier.made:
            raise PtxError('an mbarrier is used without a barrier behind its init')
        return barrier

    def whole_warps(self, lanes):
        """Those warps, as (block, warp), whose living lanes are all among these."""
        here = np.zeros(self.n, bool)
        here[lanes] = True
        whole = (here | ~self.alive).reshape(-1, WARP).all(1)
        return {(w // self.warps, w % self.warps) for w in np.unique(lanes // WARP) if whole[w]}

    def arrive_at_mbarriers(self, i, lanes, at):
        if i.args[0] != '_' or len(i.args) != 2:
            raise PtxError(f'{i.text} is not interpreted')
        whole, over = self.whole_warps(lanes), False
        for lane, where in zip(lanes, at):
            b, warp = self.block_of[lane], self.tid[lane] // WARP
            clock = self.clocks[b, warp].copy()
            clock[warp] = self.fences.now if (b, warp) in whole else self.synced[b, warp]
            over |= self.mbarrier_of(b, warp, where).arrive(clock)
        if over:
            self.woken = True

    def look_at_phases(self, i, lanes, at):
        if 'parity' not in i.parts:
            raise PtxError(f'{i.op} is not interpreted')
        over = self.phases_are_over(i, lanes, at)
        if i.parts[1] == 'try_wait':  # the first time it gives up, as it may
            over &= self.gave_up[lanes]
            self.gave_up[lanes] = ~over
        seen = np.zeros(self.n, bool)
        seen[lanes] = over
        self.put(i.args[0], seen, self.mask)
        for b, warp in self.whole_warps(lanes[over]):
            for where in np.unique(at[(self.block_of[lanes] == b) & (self.tid[lanes] // WARP == warp)]):
                clock = self.clocks[b, warp]
                np.maximum(clock, self.mbarriers[b, where].released, out=clock)

    def phases_are_over(self, i, lanes, at):
        parity = np.broadcast_to(self.get(i.args[2], np.int32), self.n)[lanes]
        if ((parity != 0) & (parity != 1)).any():
            raise PtxError(f'a parity of {parity.max()}')
        return np.array([self.mbarrier_of(self.block_of[lane], self.tid[lane] // WARP, where).phase & 1 != p for lane, where, p in zip(lanes, at, parity)], bool)

    def late_for_phase(self, i, mask):
        """Who of try_wait sleeps: it is asked again when a phase is over."""
        lanes = self.lanes(mask)
        over = self.phases_are_over(i, lanes, self.address(i.args[1])[lanes])
        late = np.zeros(self.n, bool)
        late[lanes] = ~over & self.gave_up[lanes]
        return late

    def deadlock(self):
        """What the threads that sleep wait for."""
        texts = []
        for p, mask in self.sleeping.items():
            i = self.f.code[p]
            lane = self.lanes(mask)[0]
            who = f'thread {self.tid[lane]} of block {self.first + self.block_of[lane]}, and {len(self.lanes(mask)) - 1} more, wait for'
            if i.parts[0] != 'mbarrier':
                texts.append(f'{who} their cluster, of which {self.lack_of(self.cluster_of[lane])} threads have not come, at {i}')
                continue
            where, parity = self.address(i.args[1])[lane], np.broadcast_to(self.get(i.args[2], np.int32), self.n)[lane]
            barrier = self.mbarriers[self.block_of[lane], where]
            texts.append(f'{who} parity {parity} of the mbarrier at '
                         f'{int(where) - self.base}, which lacks {barrier.pending} of {barrier.count} arrivals in phase {barrier.phase}, at {i}')
        return 'deadlock: ' + '; '.join(texts)
