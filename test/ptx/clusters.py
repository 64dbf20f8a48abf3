"""Clusters in the PTX interpreter: blocks that run at the same time, meet at barriers of their own and reach one another's shared memory.

A barrier of the cluster has two halves, and orders what a thread did before it came with what another one does after it has waited. Threads count how often they have come and
how often they have waited, and what they touch in shared memory keeps by whom, and after how many times of having come: an access of another block is ordered with it where the
thread has waited as often and once more. Who comes `relaxed` needs a fence before; of what is in shared memory one of the block is enough, as it is for ptxas. So it does not matter in which order blocks happen to run here.
"""
import numpy as np
from ptxtypes import PtxError

MOST_BLOCKS = 8
RANK_SHIFT = 24  # an address in the cluster's window has the block's number and one more above its bytes


class Clusters:
    """Needs registers, shared memory, epochs, who is alive and the numbers of blocks of the machine, which has all blocks of a cluster, one behind the other."""

    def prepare_clusters(self, blocks, size):
        self.in_cluster = max(size, 1)
        rank = np.repeat(np.arange(blocks, dtype=np.uint32) % self.in_cluster, self.threads)
        self.specials['%cluster_ctarank'], self.specials['%cluster_nctarank'] = rank, np.full(self.n, self.in_cluster, np.uint32)
        if not self.f.clusters:
            return
        self.cluster_of = self.block_of // self.in_cluster
        self.came, self.waited = np.zeros(self.n, np.int32), np.zeros(self.n, np.int32)
        self.met = np.zeros(blocks // self.in_cluster, np.int32)
        self.touched, self.fenced = np.full(self.n, -1, np.int64), np.full(self.n, -1, np.int64)  # when a thread was last in shared memory, and at a fence
        # Of each cell: how often who stored to it, or loaded it, had come by then, and one more; by threads of the block and by those of others.
        cells = self.wrote.shape[1]
        self.stored, self.loaded = ({own: np.zeros((blocks, cells), np.int32) for own in (True, False)} for _ in range(2))

    # ---- the order of accesses
    def not_between_halves(self, lanes):
        if (self.came[lanes] != self.waited[lanes]).any():
            raise PtxError('shared memory accessed between the halves of a barrier of the cluster')

    def own_load(self, b, cells, lanes):
        if self.f.clusters:
            self.not_between_halves(lanes)
            self.check_cluster_order(b, cells, lanes, [self.stored[False]])
            self.note_in_cluster(self.loaded[True], b, cells, lanes)

    def own_store(self, b, cells, lanes):
        if self.f.clusters:
            self.not_between_halves(lanes)
            self.check_cluster_order(b, cells, lanes, [self.stored[False], self.loaded[False]])
            self.note_in_cluster(self.stored[True], b, cells, lanes)

    def check_cluster_order(self, b, cells, lanes, before):
        if any((times[b, cells] > self.waited[lanes][:, None]).any() for times in before):
            raise PtxError('race: shared memory that another block of the cluster uses, without a barrier of the cluster in between')

    def note_in_cluster(self, times, b, cells, lanes):
        np.maximum.at(times, (np.broadcast_to(b, cells.shape), cells), self.came[lanes][:, None] + 1)
        self.touched[lanes] = self.fences.now

    def fence_in_cluster(self, mask):
        if self.f.clusters:
            self.fenced[self.lanes(mask)] = self.fences.now

    def of_cluster(self, lanes, at, size):
        """The blocks and cells that addresses in the cluster's window mean, and where in their shared memory they are."""
        rank = (at >> RANK_SHIFT) - 1
        if (rank >= self.in_cluster).any():
            raise PtxError(f'shared memory of block {rank.max()} of a cluster of {self.in_cluster}')
        own, local = self.block_of[lanes], at & ((1 << RANK_SHIFT) - 1)
        b = np.where(rank < 0, own, own // self.in_cluster * self.in_cluster + rank)
        self.not_between_halves(lanes)
        if (self.waited[lanes] == 0).any():
            raise PtxError('shared memory of a block of the cluster that may not have begun')
        if not self.alive.reshape(-1, self.threads)[b].any(1).all():
            raise PtxError('shared memory of a block of the cluster that has ended')
        cells = self.cells(local, size)
        if self.pending[b[:, None], cells].any():
            raise PtxError('shared memory of a cluster accessed while a copy into it is pending')
        self.refuse_mbarriers(b[:, None], cells)
        return b[:, None], cells, local

    def cluster_read(self, lanes, at, size):
        b, cells, local = self.of_cluster(lanes, at, size)
        self.check_cluster_order(b, cells, lanes, self.stored.values())
        self.note_in_cluster(self.loaded[False], b, cells, lanes)
        return np.ascontiguousarray(self.shared[b, local[:, None] + np.arange(size)])

    def cluster_write(self, lanes, at, data):
        b, cells, local = self.of_cluster(lanes, at, data.shape[1])
        self.check_cluster_order(b, cells, lanes, [*self.stored.values(), *self.loaded.values()])
        self.note_in_cluster(self.stored[False], b, cells, lanes)
        place = b, local[:, None] + np.arange(data.shape[1])
        self.shared[place] = data
        if (self.shared[place] != data).any():
            raise PtxError('race: lanes of one store write different values to one place')

    # ---- who comes and goes
    def cluster_barrier(self, i, mask):
        lanes = self.lanes(mask)
        if i.parts[2] == 'wait':
            self.waited[lanes] += 1
            return
        if i.parts[2] != 'arrive':
            raise PtxError(f'{i.op} is not interpreted')
        if 'relaxed' in i.parts and (self.touched[lanes] > self.fenced[lanes]).any():
            raise PtxError('comes to a barrier of the cluster without a fence behind what it did in shared memory')
        if (self.came[lanes] != self.waited[lanes]).any():
            raise PtxError('comes to a barrier of the cluster twice without waiting')
        self.came[lanes] += 1
        self.look_who_met()

    def look_who_met(self):
        """Barriers of clusters that are complete: all threads have come that have not ended."""
        for cluster in range(len(self.met)):
            times = self.came[(self.cluster_of == cluster) & self.alive]
            if len(times) and times.min() > self.met[cluster]:
                self.met[cluster] = times.min()
                blocks = np.arange(cluster * self.in_cluster, (cluster + 1) * self.in_cluster)
                self.epoch[blocks] += 1
                self.block_met(blocks)
                self.woken = True

    def late_for_cluster(self, i, mask):
        lanes = self.lanes(mask)
        if (self.came[lanes] == self.waited[lanes]).any():
            raise PtxError(f'waits at a barrier of the cluster to which it has not come, at {i} in {self.f.name}')
        late = np.zeros(self.n, bool)
        late[lanes] = self.met[self.cluster_of[lanes]] <= self.waited[lanes]
        return late

    def threads_ended(self):
        """Whoever uses a block's shared memory has done so before a barrier that one of its threads has waited for."""
        if not self.f.clusters:
            return
        for block in np.nonzero(~self.alive.reshape(-1, self.threads).any(1))[0]:
            times = max(self.loaded[False][block].max(), self.stored[False][block].max())
            if times > self.waited[self.block_of == block].max():
                raise PtxError(f'block {self.first + block} ends while another one of its cluster may still use its shared memory, in {self.f.name}')
        self.look_who_met()

    def lack_of(self, cluster):
        """Of a cluster's threads, how many have not come to the barrier at hand."""
        return int(((self.cluster_of == cluster) & self.alive & (self.came <= self.met[cluster])).sum())

    def op_mapa(self, i, mask):
        if i.op != 'mapa.shared::cluster.u32':
            raise PtxError(f'{i.op} is not interpreted')
        rank = np.broadcast_to(self.get(i.args[2], np.uint32), self.n)
        lanes = self.lanes(mask)
        if (rank[lanes] >= self.in_cluster).any():
            raise PtxError(f'block {rank[lanes].max()} of a cluster of {self.in_cluster}')
        at = np.broadcast_to(self.get(i.args[1], np.uint32), self.n)
        self.put(i.args[0], at + ((rank + np.uint32(1)) << np.uint32(RANK_SHIFT)), mask)
