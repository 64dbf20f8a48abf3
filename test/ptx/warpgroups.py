"""Products of warpgroups (wgmma) in the PTX interpreter.

A product's registers and the shared memory that it reads belong to it from mma_async until the wait_group that covers it; its result is computed
at once, since nobody may look before. Products read shared memory through another proxy: what threads wrote is visible to them after
fence.proxy.async of the thread that wrote it and a barrier. Registers that other instructions touched are theirs after wgmma.fence.
"""
import re
import numpy as np
import descriptors
from ptxtext import WARPGROUP
from ptxtypes import PtxError, bf16_to_f32

ROWS = 64
INTEGER_COLUMNS = [8, 16, 24, *range(32, 257, 16)]
SIGNS = {'s8': np.int8, 'u8': np.uint8}


class Product:
    """One mma_async of some warpgroups that has not been waited for. `group`: the number of the group that it is, or will be, committed with."""

    def __init__(self, groups, group, roles, cells):
        self.groups, self.group, self.roles, self.cells = groups, group, roles, cells

    def only(self, which):
        return Product(self.groups[which], self.group[which], self.roles, self.cells[which])


class Warpgroups:
    """Needs registers, shared memory, epochs and who is alive of the machine."""

    def prepare_warpgroups(self):
        self.products = []
        if not self.f.asynchronous:
            return
        self.warpgroups, self.per_block = self.n // WARPGROUP, self.threads // WARPGROUP
        self.committed, self.fenced = np.zeros(self.warpgroups, np.int32), np.zeros(self.warpgroups, bool)
        self.touched = {x: np.zeros(self.warpgroups, bool) for x in self.f.asynchronous}  # since the last wgmma.fence
        self.holders = {x: np.zeros(self.warpgroups, np.int32) for x in self.f.asynchronous}  # products in flight
        self.role = {}  # what those use it for
        cells = self.wrote.shape[1]
        self.in_use = np.zeros((self.warpgroups, cells), np.int16)  # products in flight that read it
        self.shown = np.zeros(self.wrote.shape, np.int32)  # epoch of the fence after the last write, -1: none yet, 0: never written

    def touch(self, x):
        """Another instruction than a product reads or writes a register that products work on."""
        active = np.ones(self.warpgroups, bool) if self.mask is None else self.mask.reshape(-1, WARPGROUP).any(1)
        if (self.holders[x] > 0)[active].any():
            raise PtxError(f'{x} is touched before wait_group of the product that holds it')
        self.touched[x] |= active

    # ---- shared memory
    def hide_from_products(self, b, cells):
        if self.f.asynchronous:
            self.shown[b, cells] = -1

    def show_to_products(self, mask):
        """fence.proxy.async: what the threads of `mask` wrote."""
        if not self.f.asynchronous:
            return
        mine = np.ones((len(self.blocks), self.threads), bool) if mask is None else mask.reshape(-1, self.threads)
        b, cells = np.nonzero(self.shown == -1)
        of = mine[b, self.writer[b, cells]]
        self.shown[b[of], cells[of]] = self.fences.now if self.ordered_by_clocks else self.epoch[b[of]]

    def check_products_do_not_read(self, b, cells):
        if self.products and self.in_use.reshape(len(self.blocks), self.per_block, -1)[b, :, cells].any():
            raise PtxError('shared memory written before wait_group of the product that reads it')

    def product_reads(self, groups, at):
        """Elements of 16 bits at `at` [group, ...], and the cells that they are in [group, number]."""
        b = (groups // self.per_block).reshape((-1,) + (1,) * (at.ndim - 1))
        if (at < self.base).any() or (at + 2 > self.shared.shape[1]).any():
            raise PtxError(f'product reads shared memory out of bounds: {int(at.min()) - self.base} to {int(at.max()) + 2 - self.base} of '
                           f'{self.shared.shape[1] - self.base}')
        cells = at // self.grain
        if self.pending[b, cells].any():
            raise PtxError('product reads shared memory while a copy into it is pending')
        if not self.ordered_by_clocks and (self.wrote[b, cells] == self.epoch[b]).any():
            raise PtxError('race: product reads shared memory in the same phase as it was written')
        if (self.shown[b, cells] == -1).any():
            raise PtxError('product reads shared memory that was written without fence.proxy.async by who wrote it')
        if self.ordered_by_clocks:
            self.check_order_for_products(groups, b, cells)
        elif (self.shown[b, cells] == self.epoch[b]).any():
            raise PtxError('product reads shared memory without a barrier after fence.proxy.async')
        bits = self.shared[b, at].astype(np.uint16) | self.shared[b, at + 1].astype(np.uint16) << np.uint16(8)
        return bits, cells.reshape(len(groups), -1)

    # ---- instructions
    def op_wgmma(self, i, mask):
        groups = self.whole_groups(mask)
        {'fence': self.fence_registers, 'mma_async': self.multiply, 'commit_group': self.commit_products, 'wait_group': self.wait_for_products}[i.parts[1]](i, groups)

    def whole_groups(self, mask):
        here = self.alive if mask is None else self.alive & mask
        here = here.reshape(-1, WARPGROUP)
        if (here.any(1) & ~here.all(1)).any():
            raise PtxError('divergent warpgroup: some of its threads are not here')
        return np.nonzero(here.all(1))[0]

    def fence_registers(self, i, groups):
        self.fenced[groups] = True
        for touched in self.touched.values():
            touched[groups] = False

    def commit_products(self, i, groups):
        self.committed[groups] += 1

    def wait_for_products(self, i, groups):
        keep, left = int(i.args[0]), []
        for p in self.products:
            done = np.isin(p.groups, groups) & (p.group < self.committed[p.groups] - keep)
            if done.any():
                self.complete(p.only(done))
            if not done.all():
                left.append(p.only(~done))
        self.products = left

    def complete(self, p):
        for x in p.roles:
            self.holders[x][p.groups] -= 1
        self.in_use[p.groups[:, None], p.cells] -= 1
        # Its other warps may be at it still: only a barrier says that all are done.
        b = (p.groups // self.per_block)[:, None]
        self.read[b, p.cells], self.reader[b, p.cells] = self.epoch[b], -2
        self.note_reads_of_products(p)

    def multiply(self, i, groups):
        if '.s32.' in i.op:
            return self.multiply_integers(i, groups)
        m = re.fullmatch(r'wgmma\.mma_async\.sync\.aligned\.(m64n(\d+)k16)\.f32\.(f16\.f16|bf16\.bf16)', i.op)
        if not m or int(m[2]) % 8 or not 8 <= int(m[2]) <= 256:
            raise PtxError('unknown product of a warpgroup')
        shape, columns, half = m[1], int(m[2]), m[3] == 'f16.f16'
        d, a, b = self.split(i.args[0]), i.args[1], i.args[2]
        if len(d) != columns // 2:
            raise PtxError(f'{columns} columns need {columns // 2} accumulators but got {len(d)}')
        fragments = self.split(a) if a[0] == '{' else []
        use, scale_a, scale_b, *transposed = i.args[3:]
        transposed = [x == '1' for x in transposed]
        roles = {x: 'fragment' for x in fragments} | {x: shape for x in d}
        self.claim_registers(groups, roles)
        y, cells = self.operand(i, b, columns, transposed[-1], groups, half)
        if fragments:
            x = self.rows_of_fragments(fragments, groups, half)
        else:
            x, more = self.operand(i, a, ROWS, transposed[0], groups, half)
            cells = np.concatenate([cells, more], 1)
        z = (float(scale_a) * x) @ (float(scale_b) * y).swapaxes(1, 2)
        self.accumulate(d, groups, self.uniform(use, np.bool_, groups, 'scale-d'), z)
        self.in_use[groups[:, None], cells] += 1
        self.products.append(Product(groups, self.committed[groups], roles, cells))

    def multiply_integers(self, i, groups):
        """Of 8 bits: both sides along the depth, 32 of it, and sums that wrap around."""
        m = re.fullmatch(r'wgmma\.mma_async\.sync\.aligned\.(m64n(\d+)k32)\.s32\.([su]8)\.([su]8)', i.op)
        if not m or int(m[2]) not in INTEGER_COLUMNS:
            raise PtxError('unknown product of a warpgroup')
        shape, columns, left, right = m[1], int(m[2]), SIGNS[m[3]], SIGNS[m[4]]
        if len(i.args) != 4:
            raise PtxError(f'a product of integers has 4 operands but got {len(i.args)}')
        d, a, b, use = self.split(i.args[0]), *i.args[1:]
        if len(d) != columns // 2:
            raise PtxError(f'{columns} columns need {columns // 2} accumulators but got {len(d)}')
        fragments = self.split(a) if a[0] == '{' else []
        roles = {x: 'fragment' for x in fragments} | {x: shape for x in d}
        self.claim_registers(groups, roles)
        y, cells = self.integers(b, columns, groups, right)
        if fragments:
            v = np.ascontiguousarray(np.stack([self.held(x)[groups] for x in fragments], 2))
            # As rows_of_fragments, with four neighbours in depth a register.
            fours = v.view(left).reshape(len(groups), 4, 8, 4, 2, 2, 4)
            x = fours.transpose(0, 1, 5, 2, 4, 3, 6).reshape(len(groups), ROWS, 2 * descriptors.DEPTH).astype(np.int64)
        else:
            x, more = self.integers(a, ROWS, groups, left)
            cells = np.concatenate([cells, more], 1)
        self.accumulate(d, groups, self.uniform(use, np.bool_, groups, 'scale-d'), x @ y.swapaxes(1, 2), np.uint32)
        self.in_use[groups[:, None], cells] += 1
        self.products.append(Product(groups, self.committed[groups], roles, cells))

    def integers(self, descriptor, rows, groups, kind):
        """Values [group, row, depth] of bytes, two of which are an element of 16 bits, and the cells that they are in."""
        at = descriptors.element_addresses(self.uniform(descriptor, np.uint64, groups, 'a matrix descriptor'), rows, False)
        bits, cells = self.product_reads(groups, at)
        return np.ascontiguousarray(bits).view(kind).astype(np.int64), cells

    def claim_registers(self, groups, roles):
        if not self.fenced[groups].all():
            raise PtxError('product without wgmma.fence before it')
        for x, role in roles.items():
            if self.touched[x][groups].any():
                raise PtxError(f'{x} was touched after the last wgmma.fence')
            if (self.holders[x][groups] > 0).any() and self.role[x] != role:
                raise PtxError(f'{x} is held by a product of another shape or as another operand')
        for x, role in roles.items():
            self.role[x] = role
            self.holders[x][groups] += 1

    def uniform(self, x, dtype, groups, what):
        v = np.broadcast_to(self.get(x, dtype), self.n).reshape(-1, WARPGROUP)[groups]
        if (v != v[:, :1]).any():
            raise PtxError(f'{what} differs within a warpgroup')
        return v[:, 0]

    def operand(self, i, descriptor, rows, transposed, groups, half):
        """Values [group, row, depth] and the cells that they are in."""
        at = descriptors.element_addresses(self.uniform(descriptor, np.uint64, groups, 'a matrix descriptor'), rows, transposed)
        bits, cells = self.product_reads(groups, at)
        return self.values(bits, half), cells

    def values(self, bits, half):
        return bits.view(np.float16).astype(np.float32) if half else bf16_to_f32(bits)

    def held(self, x):
        """A register that the product itself reads."""
        v = self.registers.get(x)
        return np.zeros((self.warpgroups, WARPGROUP), np.uint32) if v is None else v.reshape(-1, WARPGROUP)

    def rows_of_fragments(self, fragments, groups, half):
        """Warp w has rows 16w on: a register holds two neighbours in depth of a row and depth a quarter each, as for mma.m16n8k16."""
        v = np.stack([self.held(x)[groups] for x in fragments], 2)
        pairs = self.values(np.ascontiguousarray(v).view(np.uint16), half).reshape(len(groups), 4, 8, 4, 2, 2, 2)
        # group, warp, row, pair, (upper depth, lower row), element
        return pairs.transpose(0, 1, 5, 2, 4, 3, 6).reshape(len(groups), ROWS, descriptors.DEPTH)

    def accumulate(self, d, groups, use, z, kind=np.float32):
        """Accumulator j of a lane is of column 8 (j / 4) + j % 2 on, and eight rows further down where j & 2."""
        z = z.reshape(len(groups), 4, 2, 8, -1, 4, 2).transpose(4, 2, 6, 0, 1, 3, 5).reshape(len(d), len(groups), WARPGROUP)
        for x, sums in zip(d, z):
            old = self.held(x)
            new = old.copy()
            before = np.where(use[:, None], np.ascontiguousarray(old[groups]).view(kind), kind(0))
            new[groups] = (before + sums.astype(kind)).view(np.uint32)
            self.registers[x] = new.reshape(-1)
