#!/usr/bin/env python3
"""Products of warpgroups in the interpreter: every layout of their operands in shared memory, and each kind of mistake that hardware would only sometimes show."""
import unittest
import numpy as np
import interp

ROWS, DEPTH = 64, 16
LINES = {0: 16, 1: 128, 2: 64, 3: 32}  # bytes of a swizzled line by the descriptor's mode
PARTS = [f'%r{100 + j}' for j in range(128)]  # accumulators

HEAD = """.version 8.0
.target sm_90a
.address_size 64
.extern .shared .align {align} .b8 smem[];
.visible .entry k(
	.param .u64 .ptr .global .align 16 k_param_0,
	.param .u64 .ptr .global .align 16 k_param_1,
	.param .u64 k_param_2,
	.param .u64 k_param_3)
.reqntid {threads}
{{
.reg .pred %p<8>; .reg .b32 %r<300>; .reg .b64 %rd<16>;
ld.param.b64 %rd1, [k_param_0];
ld.param.b64 %rd2, [k_param_1];
ld.param.b64 %rd3, [k_param_2];
ld.param.b64 %rd4, [k_param_3];
mov.u32 %r1, %tid.x;
mov.b32 %r2, smem;
shl.b32 %r3, %r1, 4;
add.s32 %r4, %r2, %r3;
mul.wide.u32 %rd5, %r1, 16;
add.s64 %rd5, %rd1, %rd5;
mul.wide.u32 %rd6, %r1, 512;
add.s64 %rd6, %rd2, %rd6;
setp.eq.b32 %p1, %r1, 0;
mov.u32 %r21, %ctaid.x;
mul.wide.u32 %rd7, %r21, {stride};
add.s64 %rd6, %rd6, %rd7;
"""
FENCE, BARRIER, START = 'fence.proxy.async.shared::cta;\n', 'bar.sync 0;\n', 'wgmma.fence.sync.aligned;\n'
COMMIT, WAIT = 'wgmma.commit_group.sync.aligned;\n', 'wgmma.wait_group.sync.aligned \t0;\n'


def stores(bytes_, threads=128):
    """Each thread copies its chunks of the image to shared memory."""
    return ''.join(f'ld.global.v4.b32 {{%r10, %r11, %r12, %r13}}, [%rd5+{at}];\nst.shared.v4.b32 [%r4+{at}], {{%r10, %r11, %r12, %r13}};\n'
                   for at in range(0, bytes_, 16 * threads))


def copies(bytes_, threads=128):
    return ''.join(f'cp.async.cg.shared.global [%r4+{at}], [%rd5+{at}], 16;\n' for at in range(0, bytes_, 16 * threads)) + 'cp.async.commit_group;\n'


def product(columns, kind='f16', scale='0', signs=(1, 1), trans=(0, 0), a='%rd3', b='%rd4', parts=PARTS, pred=''):
    """As MLIR's nvvm.wgmma.mma_async is printed."""
    trans = trans[1:] if a[0] == '{' else trans
    more = ', '.join(map(str, (*signs, *trans)))
    return (f'// begin inline asm\n{{\n.reg .pred p;\nsetp.ne.b32 p, {scale}, 0;\n{pred}wgmma.mma_async.sync.aligned.m64n{columns}k16.f32.{kind}.{kind} '
            f'{{{", ".join(parts[:columns // 2])}}}, {a}, {b}, p, {more};\n}}\n\n// end inline asm\n')


def results(columns):
    return ''.join(f'st.global.b32 [%rd6+{4 * j}], {PARTS[j]};\n' for j in range(columns // 2)) + 'ret;\n}'


def descriptor(start, leading, stride, mode, base=0):
    return start >> 4 | leading >> 4 << 16 | stride >> 4 << 32 | base << 49 | mode << 62


def place(mode, transposed, row, k, leading, stride):
    """Where an element lies from the start of its tile, as a picture of the layout tells it: lines of chunks, permuted by the line's number."""
    if mode == 0:
        chunk = (row // 8, k) if transposed else (k // 8, row)
        element = (row if transposed else k) % 8
        steps = (stride, leading) if transposed else (leading, stride)
        return chunk[0] * steps[0] + chunk[1] // 8 * steps[1] + chunk[1] % 8 * 16 + element * 2
    line = LINES[mode]
    along, across = (row, k) if transposed else (k, row)
    atom, inside = divmod(along, line // 2)
    number, chunks = across % 8, line // 16
    permuted = inside // 8 ^ number * line // 128 % chunks
    return atom * leading + across // 8 * stride + number * line + permuted * 16 + inside % 8 * 2


class Tile:
    """A matrix of halves in shared memory from byte `start` on."""

    def __init__(self, values, start, mode, transposed, kind, skip=0):
        rows, line = len(values), LINES[mode]
        if mode == 0:
            self.leading, self.stride = (128, 256) if not transposed else (128 * (rows // 8), 128)
        else:
            self.leading, self.stride = (8 * line * 2, 8 * line) if transposed else (16, 8 * line)
        self.transposed, self.mode, self.start = transposed, mode, start
        self.bits = values.astype(np.float16).view(np.uint16) if kind == 'f16' else (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        self.skip = skip  # elements into the line: a step in depth
        self.end = start + max(place(mode, transposed, r, k + skip, self.leading, self.stride) for r in range(rows) for k in (0, 7, 8, 15)) + 16
        self.end = -(-self.end // 1024) * 1024

    def write(self, image):
        for (r, k), bits in np.ndenumerate(self.bits):
            at = self.start + place(self.mode, self.transposed, r, k + self.skip, self.leading, self.stride)
            image[at:at + 2] = np.array([bits], np.uint16).view(np.uint8)

    def descriptor(self):
        return descriptor(1024 + self.start + 2 * self.skip, self.leading, self.stride, self.mode)


def launch(code, image, descriptors, columns, threads=128, shared=None, align=1024, blocks=1):
    out = np.zeros(blocks * threads * 512, np.uint8)
    f = interp.Function(HEAD.format(threads=threads, align=align, stride=512 * threads) + code + results(columns))
    interp.launch(f, [image, out, *descriptors], (blocks, 1, 1), len(image) if shared is None else shared)
    v = out.view(np.float32).reshape(blocks, threads, 128)[:, :, :columns // 2]
    # Accumulator j of a lane: its row is the lane's, or eight further; pairs of columns.
    d = np.zeros((blocks, threads // 2, columns), np.float32)
    for t in range(threads):
        for j in range(columns // 2):
            d[:, t // 32 * 16 + t % 32 // 4 + 8 * (j >> 1 & 1), j // 4 * 8 + t % 4 * 2 + j % 2] = v[:, t, j]
    return d


def operands(columns, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(-8, 9, (ROWS, DEPTH)).astype(np.float32), random.integers(-8, 9, (columns, DEPTH)).astype(np.float32)


def setting(columns=16, mode=1, trans=(0, 0), kind='f16', skip=(0, 0)):
    """Two operands in shared memory: values, image, descriptors."""
    a, b = operands(columns)
    x = Tile(a, 0, mode, trans[0], kind, skip=skip[0])
    y = Tile(b, x.end, mode, trans[1], kind, skip=skip[1])
    image = np.full(-(-y.end // 2048) * 2048, 0xFF, np.uint8)
    x.write(image)
    y.write(image)
    return a @ b.T, image, [x.descriptor(), y.descriptor()]


class Layouts(unittest.TestCase):
    def same(self, columns, **options):
        expected, image, descriptors = setting(columns, **options)
        options.pop('skip', None)
        options.pop('mode', None)
        code = stores(len(image)) + FENCE + BARRIER + START + product(columns, **options) + COMMIT + WAIT
        np.testing.assert_array_equal(launch(code, image, descriptors, columns)[0], expected)

    def test_every_mode_and_direction(self):
        for mode in LINES:
            for trans in ((0, 0), (1, 0), (0, 1), (1, 1)):
                for columns in (8, 24, 128):
                    with self.subTest(mode=mode, trans=trans, columns=columns):
                        self.same(columns, mode=mode, trans=trans, kind='bf16' if columns == 24 else 'f16')

    def test_every_width(self):
        for columns in range(8, 257, 8):
            self.same(columns)

    def test_steps_in_depth_inside_a_line(self):
        for skip in (16, 32, 48):
            self.same(32, mode=1, skip=(skip, 64 - 16 - skip))
        self.same(32, mode=2, skip=(16, 0))

    def test_chains_with_scales_and_signs(self):
        expected, image, descriptors = setting()
        begin = stores(len(image)) + FENCE + BARRIER + START
        twice = begin + product(16) + product(16, scale='1') + COMMIT + WAIT
        np.testing.assert_array_equal(launch(twice, image, descriptors, 16)[0], 2 * expected)
        nothing = begin + product(16) + product(16, scale='1', signs=(-1, 1)) + COMMIT + WAIT
        np.testing.assert_array_equal(launch(nothing, image, descriptors, 16)[0], 0 * expected)
        thrice = begin + product(16, signs=(-1, -1)) + product(16, scale='%r22', signs=(1, 1)).replace('{\n', '{\nmov.b32 %r22, 1;\n', 1) + COMMIT
        thrice += START + product(16, scale='1') + COMMIT + 'wgmma.wait_group.sync.aligned 1;\n' + WAIT
        np.testing.assert_array_equal(launch(thrice, image, descriptors, 16)[0], 3 * expected)

    def test_rows_from_registers(self):
        a, b = operands(24)
        image = np.full(16384, 0xFF, np.uint8)
        y = Tile(b, 0, 2, 0, 'bf16')
        y.write(image)
        bits = (a.view(np.uint32) >> 16).astype(np.uint16)
        for t in range(128):  # as mma.m16n8k16 has them
            row, k = t // 32 * 16 + t % 32 // 4, t % 4 * 2
            own = np.concatenate([bits[r, c:c + 2] for c in (k, k + 8) for r in (row, row + 8)])
            image[8192 + 16 * t:8192 + 16 * t + 16] = own.view(np.uint8)
        code = stores(8192) + FENCE + BARRIER + 'ld.global.v4.b32 {%r30, %r31, %r32, %r33}, [%rd5+8192];\n' + START
        code += product(24, 'bf16', a='{%r30, %r31, %r32, %r33}') + COMMIT + WAIT
        np.testing.assert_array_equal(launch(code, image, [0, y.descriptor()], 24)[0], a @ b.T)

    def test_integers(self):
        random, ends = np.random.default_rng(5), {'s8': (-128, 127), 'u8': (0, 255)}
        for left, right, columns, mode in (('s8', 's8', 24, 1), ('u8', 's8', 128, 1), ('s8', 'u8', 256, 2), ('u8', 'u8', 8, 1)):
            a, b = (random.choice(ends[kind], (rows, 2 * DEPTH)).astype(np.int64) for kind, rows in ((left, ROWS), (right, columns)))
            y = Tile(np.zeros((columns, DEPTH)), 0, mode, 0, 'f16')
            y.bits = np.ascontiguousarray(b.astype(np.uint8)).view(np.uint16)
            image = np.full(y.end + 2048, 0xFF, np.uint8)
            y.write(image)
            for t in range(128):  # as mma.m16n8k32 has them
                row, k = t // 32 * 16 + t % 32 // 4, t % 4 * 4
                image[y.end + 16 * t:y.end + 16 * t + 16] = np.concatenate([a[r, c:c + 4] for c in (k, k + 16) for r in (row, row + 8)]).astype(np.uint8)
            code = stores(y.end) + FENCE + BARRIER + f'ld.global.v4.b32 {{%r30, %r31, %r32, %r33}}, [%rd5+{y.end}];\n' + START
            one = (f'wgmma.mma_async.sync.aligned.m64n{columns}k32.s32.{left}.{right} {{{", ".join(PARTS[:columns // 2])}}}, {{%r30, %r31, %r32, %r33}}, '
                   '%rd4, %p7;\n')
            code += 'setp.ne.b32 %p7, 0, 0;\n' + one + 'setp.eq.b32 %p7, 0, 0;\n' + one + COMMIT + WAIT
            with self.subTest(left=left, right=right, columns=columns):
                got = launch(code, image, [0, y.descriptor()], columns)[0].view(np.int32)
                np.testing.assert_array_equal(got, 2 * a @ b.T)

    def test_unknown_integers(self):
        for shape in ('m64n40k32.s32.s8.s8', 'm64n16k16.s32.s8.s8', 'm64n16k32.s32.s8.f16'):
            with self.assertRaisesRegex(interp.PtxError, 'unknown product'):
                code = START + f'wgmma.mma_async.sync.aligned.{shape} {{%r100, %r101}}, {{%r30, %r31, %r32, %r33}}, %rd4, %p1;\n'
                launch(code, np.zeros(2048, np.uint8), [0, 0], 16)

    def test_pattern_that_begins_elsewhere(self):
        a, b = operands(8)
        image = np.full(16384, 0xFF, np.uint8)
        x = Tile(a, 8192, 1, 0, 'f16')
        x.write(image)
        for r in range(8):  # one atom from byte 256 on
            for k in range(DEPTH):
                at = 256 + place(1, 0, r, k, 16, 1024)
                image[at:at + 2] = b[r, k:k + 1].astype(np.float16).view(np.uint8)
        code = stores(16384) + FENCE + BARRIER + START + product(8) + COMMIT + WAIT
        right = descriptor(1024 + 256, 16, 1024, 1, base=2)
        np.testing.assert_array_equal(launch(code, image, [x.descriptor(), right], 8)[0], a @ b.T)
        with self.assertRaisesRegex(interp.PtxError, 'not aligned to its pattern of 1024'):
            launch(code, image, [x.descriptor(), descriptor(1024 + 256, 16, 1024, 1)], 8)

    def test_warpgroups_of_several_blocks(self):
        expected, image, descriptors = setting()
        code = stores(len(image), 256) + FENCE + BARRIER + START + product(16) + COMMIT + WAIT
        d = launch(code, image, descriptors, 16, threads=256, blocks=3)
        np.testing.assert_array_equal(d, np.broadcast_to(np.concatenate([expected, expected]), (3, 128, 16)))


class Mistakes(unittest.TestCase):
    """What is right passes beside each of them: `runs`."""

    def setUp(self):
        self.expected, self.image, self.descriptors = setting()
        self.filled = stores(len(self.image)) + FENCE + BARRIER
        self.begin = self.filled + START + product(16) + COMMIT

    def runs(self, code, **options):
        options = {'descriptors': self.descriptors, 'image': self.image, 'columns': 16} | options
        d = launch(code, **options)
        np.testing.assert_array_equal(d[0, :ROWS], self.expected)

    def finds(self, message, code, **options):
        with self.assertRaisesRegex(interp.PtxError, message):
            self.runs(code, **options)

    def test_accumulators_before_they_are_waited_for(self):
        self.runs(self.begin + WAIT + 'mov.b32 %r20, %r103;\n')
        self.finds('%r103 is touched before wait_group', self.begin + 'mov.b32 %r20, %r103;\n' + WAIT)
        self.finds('%r103 is touched before wait_group', self.begin + 'mov.b32 %r103, %r20;\n' + WAIT)
        self.finds('touched before wait_group', self.begin)
        self.finds('touched before wait_group', self.filled + START + product(16) + WAIT)  # not committed
        other = [f'%r{240 + j}' for j in range(8)]
        two = self.begin + product(16, parts=other) + COMMIT + 'wgmma.wait_group.sync.aligned 1;\n'
        self.runs(two + f'mov.b32 %r20, {PARTS[0]};\n' + WAIT)
        self.finds('touched before wait_group', two + f'mov.b32 %r20, {other[0]};\n' + WAIT)
        self.finds('still in flight at the end', two)

    def test_fragments_before_they_are_waited_for(self):
        a = '{%r30, %r31, %r32, %r33}'
        code = self.begin + WAIT + START + product(16, a=a, parts=[f'%r{240 + j}' for j in range(8)]) + COMMIT
        self.runs(code + WAIT + 'mov.b32 %r30, 0;\n')
        self.finds('%r30 is touched', code + 'mov.b32 %r30, 0;\n' + WAIT)
        self.finds('as another operand', code + product(16, a='{%r240, %r241, %r242, %r243}') + COMMIT + WAIT)

    def test_registers_without_a_fence(self):
        self.finds('without wgmma.fence', self.filled + product(16) + COMMIT + WAIT)
        clear = 'mov.b32 %r100, 0;\n'
        self.runs(self.filled + clear + START + product(16) + COMMIT + WAIT)
        self.finds('%r100 was touched after', self.filled + START + clear + product(16) + COMMIT + WAIT)
        self.finds('another shape', self.filled + START + product(16) + product(8) + COMMIT + WAIT)

    def test_operands_written_while_they_are_read(self):
        store = 'st.shared.b32 [%r4], %r20;\n'
        copy = 'cp.async.cg.shared.global [%r4], [%rd5], 16;\ncp.async.commit_group;\n'
        done = 'cp.async.wait_group 0;\n'
        self.runs(self.begin + WAIT + BARRIER + store + copy.replace('%r4', '%r4+2048') + done)
        self.finds('written before wait_group of the product', self.begin + store + WAIT)
        self.finds('written before wait_group of the product', self.begin + BARRIER + store + WAIT)
        self.finds('written before wait_group of the product', self.begin + BARRIER + copy + WAIT + done)
        self.finds('race: shared memory written in the same phase', self.begin + WAIT + store)  # another warp may not be there yet

    def test_operands_that_products_cannot_see_yet(self):
        rest = START + product(16) + COMMIT + WAIT
        write = stores(len(self.image))
        self.runs(write + 'fence.proxy.async;\n' + BARRIER + rest)
        self.finds('without fence.proxy.async', write + BARRIER + rest)
        self.finds('without fence.proxy.async', write + 'fence.proxy.async.global;\n' + BARRIER + rest)
        self.finds('without fence.proxy.async', write + '@%p1 ' + FENCE + BARRIER + rest)  # one thread of many
        self.finds('without fence.proxy.async', FENCE + write + BARRIER + rest)
        self.finds('without a barrier', write + BARRIER + FENCE + rest)
        self.finds('race: product reads', write + FENCE + rest)

    def test_copies_that_products_cannot_see_yet(self):
        rest = START + product(16) + COMMIT + WAIT
        copy, done = copies(len(self.image)), 'cp.async.wait_group 0;\n'
        self.runs(copy + done + FENCE + BARRIER + rest)
        self.finds('without fence.proxy.async', copy + FENCE + done + BARRIER + rest)
        self.finds('while a copy into it is pending', copy + FENCE + BARRIER + rest + done)
        self.finds('race: product reads', copy + done + FENCE + rest)

    def test_warpgroups_that_are_not_whole(self):
        self.finds('block of 64 threads', self.begin + WAIT, threads=64)
        self.finds('block of 192 threads', self.begin + WAIT, threads=192)
        warp = 'setp.lt.u32 %p2, %r1, 32;\n'
        leave = '@%p2 ret;\n'
        self.finds('divergent warpgroup', self.filled + START + warp + leave + product(16) + COMMIT + WAIT)
        self.finds('divergent warpgroup', self.filled + START + warp + product(16, pred='@%p2 ') + COMMIT + WAIT)
        self.finds('divergent barrier or warp instruction', self.filled + START + warp + '@%p2 bra $L1;\n' + product(16) + '$L1:\n' + COMMIT + WAIT)
        second = 'setp.lt.u32 %p2, %r1, 128;\n@%p2 bra $L1;\n' + START + product(16) + COMMIT + WAIT + '$L1:\n'
        filled = stores(len(self.image), 256) + FENCE + BARRIER
        d = launch(filled + second, self.image, self.descriptors, 16, threads=256)
        np.testing.assert_array_equal(d[0], np.concatenate([0 * self.expected, self.expected]))

    def test_operands_that_differ_within_a_warpgroup(self):
        differ = 'cvt.u64.u32 %rd8, %r1;\nadd.s64 %rd9, %rd4, %rd8;\n'
        self.finds('a matrix descriptor differs', self.filled + differ + START + product(16, b='%rd9') + COMMIT + WAIT)
        self.finds('scale-d differs', self.filled + START + product(16, scale='%r1') + COMMIT + WAIT)

    def test_descriptors(self):
        a, b = self.descriptors
        code = self.begin + WAIT
        self.finds('reserved bits', code, descriptors=[a, b | 1 << 46])
        self.finds('not aligned to its pattern', code, descriptors=[a + (128 >> 4), b])
        self.finds('112 bytes into a swizzled line of 128', code, descriptors=[a, b + (112 >> 4)])
        self.finds('atoms of a swizzled tile are 512 bytes apart', code, descriptors=[a, descriptor(1024, 16, 512, 1)])
        self.finds('base offset in a matrix descriptor without', code, descriptors=[a, descriptor(1024, 128, 256, 0, base=1)])
        self.finds('not aligned to its pattern', code, align=128, descriptors=[a + 8, b + 8])  # where smem lies then
        self.finds('out of bounds', self.begin.replace(stores(len(self.image)), '') + WAIT, descriptors=[a, descriptor(len(self.image), 16, 1024, 1)])
        self.finds('out of bounds', code, descriptors=[a, descriptor(0, 16, 1024, 1)])

    def test_products_that_are_not_there(self):
        for bad in ('m64n20k16', 'm64n264k16', 'm64n16k8'):
            self.finds('unknown product', self.begin.replace('m64n16k16', bad) + WAIT)
        self.finds('need 8 accumulators but got 16', self.begin.replace(product(16), product(32).replace('m64n32', 'm64n16')) + WAIT)


if __name__ == '__main__':
    unittest.main()
