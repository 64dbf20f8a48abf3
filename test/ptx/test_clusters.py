#!/usr/bin/env python3
"""Clusters in the interpreter: blocks that read one another's shared memory between two barriers of theirs, and each kind of mistake that hardware would only sometimes show."""
import unittest
import numpy as np
import interp

# Each block of 32 threads stores its number and the thread's, reads what the next block of its cluster has, and leaves when all have read.
HEAD = """.version 8.0
.target sm_90a
.address_size 64
.extern .shared .align 1024 .b8 smem[];
.visible .entry k(.param .u64 .ptr .global .align 16 k_param_0)
.reqntid 32
.explicitcluster
{
.reg .pred %p<8>; .reg .b32 %r<32>; .reg .b64 %rd<8>;
ld.param.b64 %rd1, [k_param_0];
mov.u32 %r1, %tid.x;
mov.u32 %r2, %ctaid.y;
mov.u32 %r3, %cluster_ctarank;
mov.u32 %r4, %cluster_nctarank;
mov.u32 %r11, %nctaid.y;
mov.u32 %r12, %ctaid.x;
mad.lo.s32 %r11, %r11, %r12, %r2;
shl.b32 %r5, %r11, 5;
add.s32 %r5, %r5, %r1;
mul.wide.u32 %rd2, %r5, 4;
add.s64 %rd3, %rd1, %rd2;
shl.b32 %r6, %r1, 2;
mov.b32 %r7, smem;
add.s32 %r7, %r7, %r6;
add.s32 %r8, %r3, 1;
setp.eq.b32 %p1, %r8, %r4;
selp.b32 %r8, 0, %r8, %p1;
setp.eq.b32 %p2, %r3, 0;
"""
FENCE, ARRIVE, WAIT = 'fence.acq_rel.cta;\n', 'barrier.cluster.arrive.relaxed.aligned;\n', 'barrier.cluster.wait.aligned;\n'
MEET = FENCE + ARRIVE + WAIT
STORE, RESULT = 'st.shared.b32 [%r7], %r5;\n', 'st.global.b32 [%rd3], %r10;\n'
MAP = 'mapa.shared::cluster.u32 %r9, %r7, %r8;\n'
LOAD = MAP + 'ld.shared::cluster.b32 %r10, [%r9];\n'
# A barrier to which nobody comes, at which the second block of two waits.
MBARRIER = 'setp.eq.b32 %p3, %r3, 1;\nsetp.eq.b32 %p4, %r1, 0;\nmov.b32 %r13, smem;\n@%p4 mbarrier.init.shared::cta.b64 [%r13], 1;\nbar.sync 0;\n'
NEVER = '{ .reg .pred p; $w: mbarrier.try_wait.parity.shared::cta.b64 p, [%r13], 0; @!p bra $w; }\n'
OVERWRITE = MAP + 'st.shared::cluster.b32 [%r9], %r1;\n'


def run(*body, size=4, grid=(1, 8, 1), head=HEAD, batch=4096):
    out = np.zeros(32 * grid[0] * grid[1], np.uint32)
    code = head + ''.join(body or (STORE, MEET, LOAD, RESULT, MEET)) + 'ret;\n}'
    interp.launch(interp.Function(code), [out.view(np.uint8)], grid, 1024, cluster=size, batch_threads=batch)
    return out


class Clusters(unittest.TestCase):
    def finds(self, message, *body, **options):
        with self.assertRaisesRegex(interp.PtxError, message):
            run(*body, **options)

    def test_neighbours_read_one_another(self):
        for size, grid, batch in (4, (1, 8, 1), 4096), (8, (1, 8, 1), 4096), (1, (1, 3, 1), 4096), (2, (3, 4, 1), 4096), (4, (2, 8, 1), 32), (3, (2, 6, 1), 128):
            want = np.arange(32 * grid[0] * grid[1]).reshape(grid[0], grid[1] // size, size, 32)
            self.assertEqual(run(size=size, grid=grid, batch=batch).tolist(), np.roll(want, -1, 2).reshape(-1).tolist())

    def test_stores_reach_others(self):
        out = run(MEET, MAP, 'st.shared::cluster.b32 [%r9], %r5;\n', MEET, 'ld.shared.b32 %r10, [%r7];\n', RESULT, size=2, grid=(1, 2, 1))
        self.assertEqual(out.tolist(), [*range(32, 64), *range(32)])

    def test_an_arrival_may_release_by_itself(self):
        run(STORE, 'barrier.cluster.arrive.aligned;\n', WAIT, LOAD, RESULT, MEET)

    def test_nobody_waits_for_the_others(self):
        self.finds('may not have begun', STORE, LOAD, RESULT, MEET)
        self.finds('race: shared memory that another block', MEET, STORE, LOAD, RESULT, MEET)
        self.finds('race: shared memory that another block', STORE, MEET, LOAD, RESULT, STORE, MEET)
        run(STORE, MEET, LOAD, RESULT, MEET, STORE)
        self.finds('race: shared memory that another block', STORE, MEET, OVERWRITE, LOAD, RESULT, MEET)
        self.finds('race: shared memory that another block', STORE, MEET, OVERWRITE, 'ld.shared.b32 %r10, [%r7];\n', RESULT, MEET)

    def test_a_fence_is_missing(self):
        self.finds('without a fence behind', STORE, ARRIVE, WAIT, LOAD, RESULT, MEET)
        self.finds('without a fence behind', STORE, MEET, LOAD, RESULT, ARRIVE, WAIT)

    def test_a_block_ends_before_others_have_read(self):
        self.finds('ends while another one', STORE, MEET, LOAD, RESULT)
        self.finds('has ended', STORE, MEET, '@%p2 ret;\n', LOAD, RESULT, MEET)

    def test_somebody_does_not_come(self):
        # The first block waits once more than the others, who wait for another one of their number.
        self.finds('deadlock: thread 0 of block 0, and 31 more, wait for their cluster, of which 32 threads have not come, at "barrier.cluster.wait.aligned"',
                   MBARRIER, '@%p3 bra $L1;\n', MEET, 'bra $L2;\n', '$L1:\n', NEVER, '$L2:\n', size=2, grid=(1, 2, 1))

    def test_who_has_ended_is_not_waited_for(self):
        run('@%p2 ret;\n', MEET)

    def test_halves_are_in_order(self):
        self.finds('to which it has not come', STORE, WAIT)
        self.finds('twice without waiting', FENCE, ARRIVE, FENCE, ARRIVE)
        self.finds('between the halves', FENCE, ARRIVE, STORE, WAIT)

    def test_blocks_and_places_that_are_not_there(self):
        self.finds('block 4 of a cluster of 4', STORE, MEET, 'mapa.shared::cluster.u32 %r9, %r7, 4;\n')
        self.finds('out of bounds', STORE, MEET, MAP, 'ld.shared::cluster.b32 %r10, [%r9+1024];\n')
        self.finds('out of bounds', STORE, MEET, MAP, 'ld.shared.b32 %r10, [%r9];\n')
        self.finds('misaligned', STORE, MEET, MAP, 'ld.shared::cluster.b32 %r10, [%r9+2];\n')

    def test_launches(self):
        self.finds('launched without clusters', size=0)
        self.finds('clusters of 9 blocks', size=9, grid=(1, 9, 1))
        self.finds('clusters of 3 blocks in a grid of 8', size=3)

    def test_what_is_not_interpreted(self):
        self.finds('is not interpreted', 'mapa.u64 %rd4, %rd4, 0;\n')


if __name__ == '__main__':
    unittest.main()
