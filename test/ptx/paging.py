"""The states of a kernel's run in pages, as a session with a pool has them: each variant for pages gets what the others get, cut up and in any order, and has to leave
what they leave."""
import numpy as np

ROWS = 128  # artifact::kPageRows


class Pages:
    """Of tensors of which `axes` says, one by one, along which dimension they are cut; -1: not at all."""

    def __init__(self, axes, tensors):
        self.axes = axes
        batch, self.room = next((t.shape[0], t.shape[axis]) for axis, t in zip(axes, tensors) if axis >= 0)
        blocks = -(-self.room // ROWS)
        self.count = blocks * batch + 3
        self.pages = np.random.default_rng(self.count).permutation(self.count)[:blocks * batch].reshape(blocks, batch)

    def table(self):
        """artifact::PageTable"""
        return np.concatenate([[self.room], self.pages.reshape(-1)]).astype(np.int32)

    def pool(self, bits, axis):
        """What is nobody's is all ones."""
        rows = np.moveaxis(bits, axis, 1)
        pool = np.zeros((self.count, ROWS, *rows.shape[2:]), bits.dtype)
        pool.view(np.uint8)[:] = 0xFF
        for (block, b), page in np.ndenumerate(self.pages):
            piece = rows[b, block * ROWS:(block + 1) * ROWS]
            pool[page, :len(piece)] = piece
        return np.ascontiguousarray(np.moveaxis(pool, 1, axis))

    def cut(self, tensor, axis):
        """A tensor like `tensor` that is the pool."""
        if axis < 0:
            return tensor
        made = type(tensor).__new__(type(tensor))
        made.kind, made.bits = tensor.kind, self.pool(tensor.bits, axis)
        made.before = None if tensor.before is None else self.pool(tensor.before, axis)
        return made

    def all(self, tensors, axes):
        return [self.cut(t, axis) for t, axis in zip(tensors, axes)]
