#!/usr/bin/env python3
"""The interpreter itself: small kernels that are right, and ones with each kind of mistake that it has to find."""
import unittest
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

    def test_late_copy(self):
        self.finds('copy into it is pending', self.COPY + 'bar.sync 0;\nld.shared.b32 %r8, [%r6];', words=256)
        self.finds('race', self.COPY + 'cp.async.wait_group 0;\nld.shared.b32 %r8, [%r6];', words=256)
        self.finds('still pending', self.COPY, words=256)


if __name__ == '__main__':
    unittest.main()
