"""Matrix descriptors of warpgroup products: which bytes of shared memory an operand's elements are (PTX ISA, "Asynchronous warpgroup level matrix
shared memory layout"). Elements have 16 bits; a chunk is 16 bytes.

A matrix is made of atoms. Without a swizzle an atom is eight chunks behind one another; with one it is eight lines of 32, 64 or 128 bytes whose
chunks are permuted, in a pattern that repeats every eight lines. Lines run along the depth where the operand is K-major, along its rows where
it is MN-major ("transposed"):

              one element further along ...      rows                        depth
  no swizzle  K-major                            16 in 8, then stride        2 in 8, then leading
              MN-major                           2 in 8, then stride         16 in 8, then leading
  swizzle     K-major                            line in 8, then stride      2
              MN-major                           2 in a line, then leading   line in 8, then stride
"""
import numpy as np
from ptxtypes import PtxError

DEPTH = 16
LINES = {0: 16, 1: 128, 2: 64, 3: 32}  # bytes of a line by the swizzle mode in the two top bits; 16: no swizzle
RESERVED = sum(((1 << width) - 1) << low for low, width in ((14, 2), (30, 2), (46, 3), (52, 10)))


def element_addresses(descriptors, rows, transposed):
    """The address of each element: [descriptor, row, depth]."""
    d = np.asarray(descriptors, np.uint64)
    if (d & np.uint64(RESERVED)).any():
        raise PtxError(f'reserved bits are set in the matrix descriptor {int(d[(d & np.uint64(RESERVED)) != 0][0]):#x}')
    at = np.zeros((len(d), rows, DEPTH), np.int64)
    modes = (d >> np.uint64(62)).astype(np.int64)
    for mode in np.unique(modes):
        of = modes == mode
        at[of] = addresses_of_mode(d[of], LINES[int(mode)], rows, transposed)
    return at


def addresses_of_mode(d, line, rows, transposed):
    def field(low, width):
        return ((d >> np.uint64(low)) & np.uint64((1 << width) - 1)).astype(np.int64)[:, None, None]
    start, leading, stride, base = 16 * field(0, 14), 16 * field(16, 14), 16 * field(32, 14), field(49, 3)
    row, k = np.arange(rows)[None, :, None], np.arange(DEPTH)[None, None, :]
    if line == 16:
        if base.any():
            raise PtxError('a base offset in a matrix descriptor without a swizzle')
        along, across = (row, k) if transposed else (k, row)
        steps = (stride, leading) if transposed else (leading, stride)
        return start + along % 8 * 2 + along // 8 * steps[0] + across % 8 * 16 + across // 8 * steps[1]
    along, across = (row, k) if transposed else (k, row)
    check_pattern(start, leading, stride, base, line, rows, transposed)
    per_line = line // 2
    at = start + along % per_line * 2 + along // per_line * leading + across % 8 * line + across // 8 * stride
    return at ^ ((((at >> 7) - base) & (line // 16 - 1)) << 4)


def check_pattern(start, leading, stride, base, line, rows, transposed):
    """Atoms have to begin where the hardware's permutation does, and lines may not be left."""
    pattern, inside = 8 * line, start % line
    length = 2 * (rows if transposed else DEPTH)
    if (inside + min(length, line) > line).any():
        raise PtxError(f'a matrix descriptor starts {int(inside.max())} bytes into a swizzled line of {line}, which {length} bytes do not fit')
    first = start - inside
    expected = np.where(first % pattern == 0, 0, (first >> 7) & 7)
    if ((base != expected) | (first % pattern != 0) & (first % 128 != 0)).any():
        bad = int(first[(base != expected) | (first % pattern != 0) & (first % 128 != 0)][0])
        raise PtxError(f'a swizzled tile begins at {bad}, which is not aligned to its pattern of {pattern} bytes')
    used = [leading] * (transposed and length > line) + [stride] * ((DEPTH if transposed else rows) > 8)
    for step in used:
        if (step % pattern != 0).any():
            raise PtxError(f'atoms of a swizzled tile are {int(step.max())} bytes apart, which is no multiple of their pattern of {pattern} bytes')
