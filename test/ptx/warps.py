"""What the threads of a warp or of a block do together in the PTX interpreter: barriers, shuffles, votes, ldmatrix and mma."""
import numpy as np
from ptxtypes import PtxError, bf16_to_f32


class Warps:
    """Needs get, put, split, lanes, address, shared_read, the epochs and statistics of the machine."""

    def banks(self, lanes, at, what):
        """16-byte accesses go in phases of eight lanes; those of one place are one."""
        if len(lanes) % 8:
            return
        places = at.reshape(-1, 8) // 16
        several, units = ((np.diff(np.sort(x, 1), axis=1) != 0).sum(1) for x in (places, places % 8))
        f = self.stats.setdefault(what, [0, 0])
        f[0] += len(places)
        f[1] += int((units < several).sum())

    def op_bar(self, i, mask):
        if i.parts[1] == 'cluster':
            return self.cluster_barrier(i, mask)
        if i.parts[1] == 'warp':
            self.step[self.lanes(mask)] += 1
            self.warps_met(self.lanes(mask))
            return
        blocks = np.arange(len(self.blocks)) if mask is None else np.unique(self.block_of[mask])
        self.epoch[blocks] += 1
        self.block_met(blocks)

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
        if i.parts[-1] == 's32':
            return self.mma_integers(i, mask, d, a, b, c)
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

    def mma_integers(self, i, mask, d, a, b, c):
        """m16n8k32 of 8-bit integers: registers hold four k's; sums wrap around."""
        if 'm16n8k32' not in i.parts or 'satfinite' in i.parts:
            raise PtxError(f'{i.op} is not interpreted')
        left, right = ({'s8': np.int8, 'u8': np.uint8}[t] for t in i.parts[-3:-1])

        def block(x, dtype):
            bits = np.ascontiguousarray(np.broadcast_to(self.get(x, np.uint32), self.n))
            return bits.view(dtype).astype(np.int64).reshape(-1, 8, 16)
        A, B = [block(x, left) for x in a], [block(x, right) for x in b]
        x = np.concatenate([np.concatenate([A[0], A[2]], 2), np.concatenate([A[1], A[3]], 2)], 1)
        z = (x @ np.concatenate(B, 2).swapaxes(1, 2)).reshape(-1, 2, 8, 4, 2)
        for j in range(4):
            acc = np.broadcast_to(self.get(c[j], np.int32), self.n).astype(np.int64)
            self.put(d[j], (acc + z[:, j >> 1, :, :, j & 1].reshape(-1)).astype(np.int32), mask)
