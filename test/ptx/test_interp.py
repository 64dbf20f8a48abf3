#!/usr/bin/env python3
"""The interpreter itself: small kernels that are right, and ones with each kind of mistake that it has to find."""
import unittest
from unittest import mock
import numpy as np
import interp

HEAD = """.version 8.0
.target sm_89
.address_size 64
.extern .shared .align 1024 .b8 smem[];
.visible .entry k(.param .u64 .ptr .global .align 16 k_param_0)
.reqntid 64
{
.reg .pred %p<8>; .reg .b32 %r<16>; .reg .b64 %rd<8>;
ld.param.b64 %rd1, [k_param_0];
mov.u32 %r1, %tid.x;
mov.b32 %r2, smem;
mul.wide.u32 %rd2, %r1, 4;
add.s64 %rd3, %rd1, %rd2;
shl.b32 %r3, %r1, 2;
add.s32 %r4, %r2, %r3;
xor.b32 %r5, %r3, 4;
add.s32 %r6, %r2, %r5;
"""


def run(body, words=64, shared=1024):
    data = np.arange(words, dtype=np.uint32).view(np.uint8)
    interp.launch(interp.Function(HEAD + body + '\nret;\n}'), [data], (1, 1, 1), shared)
    return data.view(np.uint32)


class Interpreter(unittest.TestCase):
    def finds(self, message, body, **options):
        with self.assertRaisesRegex(interp.PtxError, message):
            run(body, **options)

    def test_swaps_neighbours_through_shared_memory(self):
        out = run('ld.global.b32 %r7, [%rd3];\nst.shared.b32 [%r4], %r7;\nbar.sync 0;\nld.shared.b32 %r8, [%r6];\nst.global.b32 [%rd3], %r8;')
        self.assertEqual(out.tolist(), (np.arange(64) ^ 1).tolist())

    def test_missing_barrier_is_a_race(self):
        self.finds('race: shared memory read', 'st.shared.b32 [%r4], %r1;\nld.shared.b32 %r8, [%r6];')

    def test_write_after_read_is_a_race(self):
        self.finds('race: shared memory written', 'st.shared.b32 [%r4], %r1;\nbar.sync 0;\nld.shared.b32 %r8, [%r6];\nst.shared.b32 [%r4], %r8;')

    def test_two_writers_are_a_race(self):
        self.finds('race', 'st.shared.b32 [%r2], %r1;')

    def test_global_memory_is_ordered_by_barriers_only(self):
        neighbour = 'mul.wide.u32 %rd4, %r1, 4;\nxor.b64 %rd4, %rd4, 4;\nadd.s64 %rd4, %rd1, %rd4;\n'
        self.finds('race: global memory read', neighbour + 'st.global.b32 [%rd3], %r1;\nld.global.b32 %r8, [%rd4];')
        run(neighbour + 'st.global.b32 [%rd3], %r1;\nbar.sync 0;\nld.global.b32 %r8, [%rd4];')
        self.finds('race: lanes of one store', 'st.global.b32 [%rd1], %r1;')
        self.finds('race: global memory written', neighbour + 'st.global.b32 [%rd3], %r1;\nst.global.b32 [%rd4], %r1;')

    def test_blocks_are_not_ordered(self):
        body = 'mov.u32 %r7, %ctaid.x;\nbar.sync 0;\nst.global.b32 [%rd3], %r7;\n'
        same = interp.Function(HEAD + body.replace('%ctaid.x', '%nctaid.x') + 'ret;\n}')
        interp.launch(same, [np.zeros(256, np.uint8)], (3, 1, 1), 0)
        with self.assertRaisesRegex(interp.PtxError, 'race'):  # here in one instruction
            interp.launch(interp.Function(HEAD + body + 'ret;\n}'), [np.zeros(256, np.uint8)], (3, 1, 1), 0)

    def test_fences_order_blocks_that_count_themselves(self):
        """Each block stores its words and counts itself; the one that comes last reads the words of the other."""
        def blocks(release, acquire, **order):
            body = f"""mov.u32 %r7, %ctaid.x; shl.b32 %r8, %r7, 8; cvt.u64.u32 %rd4, %r8; add.s64 %rd5, %rd3, %rd4; xor.b64 %rd4, %rd4, 256; add.s64 %rd6, %rd3, %rd4;
                st.global.b32 [%rd5+256], %r7;\n{release}\nbar.sync 0;\natom.global.add.u32 %r9, [%rd1], 1;\n{acquire}
                setp.lt.u32 %p1, %r9, 64;\n@%p1 bra $L1;\nld.global.b32 %r10, [%rd6+256];\n$L1:\n"""
            interp.launch(interp.Function(HEAD + body + 'ret;\n}'), [np.zeros(1024, np.uint8)], (2, 1, 1), 0, **order)
        fence = 'fence.acq_rel.gpu;'
        for order in {}, {'batch_threads': 64}, {'batch_threads': 64, 'turn': 3}:
            blocks(fence, fence, **order)
            with self.assertRaisesRegex(interp.PtxError, 'race: global memory read'):
                blocks('', fence, **order)
        with self.assertRaisesRegex(interp.PtxError, 'race: global memory read'):
            blocks(fence, '')

    def test_waits_for_blocks_that_run(self):
        """The first block waits for the second."""
        body = 'mov.u32 %r7, %ctaid.x;\nsetp.eq.u32 %p1, %r7, 1;\n@%p1 bra $L2;\n$L1:\nld.relaxed.gpu.global.b32 %r8, [%rd1+256];\nsetp.eq.u32 %p2, %r8, 0;\n@%p2 bra $L1;\n' \
            'ret;\n$L2:\natom.global.add.u32 %r9, [%rd1+256], 1;\n'
        f = interp.Function(HEAD + body + 'ret;\n}')
        interp.launch(f, [np.zeros(512, np.uint8)], (2, 1, 1), 0, batch_threads=64, turn=10)
        with mock.patch.object(interp, 'MOST_STEPS', 1000), self.assertRaisesRegex(interp.PtxError, 'does not end'):
            interp.launch(f, [np.zeros(512, np.uint8)], (2, 1, 1), 0, batch_threads=64)

    def test_divergent_barrier(self):
        self.finds('divergent barrier', 'setp.lt.u32 %p1, %r1, 7;\n@%p1 bra $L1;\nbar.sync 0;\n$L1:\nbar.sync 0;')

    def test_out_of_bounds(self):
        self.finds('out of bounds', 'ld.global.b32 %r7, [%rd3];', words=63)
        self.finds('shared access out of bounds', 'st.shared.b32 [%r4], %r1;', shared=128)

    def test_misaligned(self):
        self.finds('misaligned', 'ld.global.b32 %r7, [%rd3+2];')

    COPY = 'shl.b32 %r9, %r1, 4;\nadd.s32 %r10, %r2, %r9;\nmul.wide.u32 %rd4, %r1, 16;\nadd.s64 %rd5, %rd1, %rd4;\ncp.async.cg.shared.global [%r10], [%rd5], 16;\ncp.async.commit_group;\n'

    def test_copies_arrive_when_waited_for(self):
        out = run(self.COPY + 'cp.async.wait_group 0;\nbar.sync 0;\nld.shared.b32 %r8, [%r6];\nst.global.b32 [%rd3], %r8;', words=256)
        self.assertEqual(out[:64].tolist(), (np.arange(64) ^ 1).tolist())

    def test_what_may_be_read_before_earlier_launches_have_ended(self):
        """Weights, which are in one place, or states that the launch has rows of its own in; pages are looked up in the last place."""
        head = HEAD.replace('k_param_0)', 'k_param_0, .param .u64 k_param_1, .param .u64 k_param_2)') + 'ld.param.b64 %rd6, [k_param_1];\nld.param.b64 %rd7, [k_param_2];\n'

        def begin(early, late=''):
            text = head + early + '$kt_wait:\n' + late + 'cp.async.commit_group;\ncp.async.wait_group 0;\nret;\n}'
            interp.launch(interp.Function(text), [np.zeros(1024, np.uint8) for _ in range(3)], (1, 1, 1), 2048)

        def copy(base, slot):
            return f'shl.b32 %r9, %r1, 4;\nadd.s32 %r10, %r2, %r9;\nmul.wide.u32 %rd4, %r1, 16;\nadd.s64 %rd5, {base}, %rd4;\ncp.async.cg.shared.global [%r10+{slot}], [%rd5], 16;\n'
        both, store = copy('%rd1', 0) + copy('%rd6', 1024), 'st.global.b32 [%rd3], %r1;\nadd.s64 %rd5, %rd6, %rd2;\nst.global.b32 [%rd5], %r1;\n'
        begin(copy('%rd1', 0))
        begin(both, store)
        begin('ld.global.b32 %r7, [%rd7];\n')
        for early, late in (both, ''), (both, 'st.global.b32 [%rd3], %r1;\n'):
            with self.assertRaisesRegex(interp.PtxError, 'a copy from something else'):
                begin(early, late)
        with self.assertRaisesRegex(interp.PtxError, 'a load of something else'):
            begin('ld.global.b32 %r7, [%rd1];\n')
        begin('setp.lt.u32 %p1, %r1, 7;\n@%p1 bra $L1;\n' + copy('%rd1', 0) + '$L1:\n')
        for early, late in (store, ''), ('setp.lt.u32 %p1, %r1, 7;\n@%p1 bra $L1;\n', 'mov.u32 %r7, 1;\n$L1:\n'):
            with self.assertRaisesRegex(interp.PtxError, 'before [$]kt_wait'):
                begin(early, late)

    def test_threads_that_read_one_place_do_not_conflict(self):
        def conflicts(stride):
            body = f'rem.u32 %r9, %r1, 4;\nmul.lo.u32 %r9, %r9, {stride};\nadd.s32 %r10, %r2, %r9;\nldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%r11, %r12, %r13, %r14}}, [%r10];\n'
            f = interp.Function(HEAD + body + 'ret;\n}')
            return interp.launch(f, [np.zeros(256, np.uint8)], (1, 1, 1), 1024)['ldmatrix'][1]
        self.assertEqual(conflicts(16), 0)
        self.assertEqual(conflicts(128), 8)

    def test_products_of_integers(self):
        """Elements are where the PTX ISA, "Matrix Fragments for mma.m16n8k32", has them; sums wrap around."""
        rng = np.random.default_rng(2)
        given = rng.integers(0, 2**32, (64, 10), np.uint32)  # of a thread: four registers of a, two of b, four of c
        head = HEAD.replace('.reg .b32 %r<16>', '.reg .b32 %r<32>') + 'mul.lo.u32 %r9, %r1, 40;\ncvt.u64.u32 %rd4, %r9;\nadd.s64 %rd5, %rd1, %rd4;\n'
        loads = ''.join(f'ld.global.b32 %r{10 + i}, [%rd5+{4 * i}];\n' for i in range(10))
        stores = ''.join(f'st.global.b32 [%rd5+{4 * i}], %r{20 + i};\n' for i in range(4))
        for left, right in ('s8', 's8'), ('s8', 'u8'), ('u8', 's8'), ('u8', 'u8'):
            data = given.copy().view(np.uint8).reshape(-1)
            mma = f'mma.sync.aligned.m16n8k32.row.col.s32.{left}.{right}.s32 {{%r20, %r21, %r22, %r23}}, {{%r10, %r11, %r12, %r13}}, {{%r14, %r15}}, {{%r16, %r17, %r18, %r19}};\n'
            interp.launch(interp.Function(head + loads + mma + stores + 'ret;\n}'), [data], (1, 1, 1), 1024)
            got = data.view(np.uint32).reshape(64, 10)[:, :4]
            for warp in range(2):
                lanes = given[warp * 32:warp * 32 + 32]
                bytes_of = lambda words, kind: np.ascontiguousarray(words).view(np.int8 if kind == 's8' else np.uint8).astype(np.int64)
                a, b, c = np.zeros((16, 32), np.int64), np.zeros((32, 8), np.int64), np.zeros((16, 8), np.int64)
                for lane in range(32):
                    group, place = lane >> 2, lane & 3
                    for i, v in enumerate(bytes_of(lanes[lane, :4], left)):
                        a[group + 8 * (i // 4 % 2), place * 4 + i % 4 + 16 * (i // 8)] = v
                    for i, v in enumerate(bytes_of(lanes[lane, 4:6], right)):
                        b[place * 4 + i % 4 + 16 * (i // 4), group] = v
                    for i, v in enumerate(lanes[lane, 6:].astype(np.int64)):
                        c[group + 8 * (i // 2), place * 2 + i % 2] = v
                want = (a @ b + c).astype(np.uint32)
                for lane in range(32):
                    at = [want[(lane >> 2) + 8 * (i // 2), (lane & 3) * 2 + i % 2] for i in range(4)]
                    self.assertEqual(got[warp * 32 + lane].tolist(), at)
        with self.assertRaisesRegex(interp.PtxError, 'is not interpreted'):
            interp.launch(interp.Function(head + loads + mma.replace('col.s32', 'col.satfinite.s32') + 'ret;\n}'), [data], (1, 1, 1), 1024)

    def test_late_copy(self):
        self.finds('copy into it is pending', self.COPY + 'bar.sync 0;\nld.shared.b32 %r8, [%r6];', words=256)
        self.finds('race', self.COPY + 'cp.async.wait_group 0;\nld.shared.b32 %r8, [%r6];', words=256)
        self.finds('still pending', self.COPY, words=256)


if __name__ == '__main__':
    unittest.main()
