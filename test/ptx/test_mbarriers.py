#!/usr/bin/env python3
"""Barriers in shared memory (mbarrier) in the interpreter: warps that pass a slot on and get it back, and each kind of mistake that hardware would only sometimes show."""
import unittest
import numpy as np
import interp

# Warp 0 writes the slot at 64, its lanes a word each, warp 1 reads its neighbours' words; the barriers at 0 and 8 say that it is full and that it was read.
HEAD = """.version 8.0
.target sm_90a
.address_size 64
.extern .shared .align 1024 .b8 smem[];
.visible .entry k(.param .u64 .ptr .global .align 16 k_param_0)
.reqntid 64
{
.reg .pred %p<8>; .reg .b32 %r<32>; .reg .b64 %rd<8>;
ld.param.b64 %rd1, [k_param_0];
mov.u32 %r1, %tid.x;
mov.b32 %r2, smem;
and.b32 %r3, %r1, 31;
shl.b32 %r4, %r3, 2;
add.s32 %r5, %r2, %r4;
add.s32 %r5, %r5, 64;
xor.b32 %r6, %r4, 4;
add.s32 %r6, %r2, %r6;
add.s32 %r6, %r6, 64;
mul.wide.u32 %rd2, %r3, 4;
add.s64 %rd3, %rd1, %rd2;
setp.lt.u32 %p1, %r1, 32;
setp.eq.b32 %p2, %r3, 0;
setp.eq.b32 %p3, %r1, 0;
mov.b32 %r20, 0;
"""
INIT = '@%p3 mbarrier.init.shared::cta.b64 [%r2], 1;\n@%p3 mbarrier.init.shared::cta.b64 [%r2+8], 1;\n'
BARRIER, TOGETHER = 'bar.sync 0;\n', 'bar.warp.sync -1;\n'
TO_CONSUMER, JOIN = '@!%p1 bra $L1;\n', 'bra $L2;\n$L1:\n'
STORE, LOAD, RESULT = 'st.shared.b32 [%r5], %r1;\n', 'ld.shared.b32 %r8, [%r6];\n', 'st.global.b32 [%rd3], %r8;\n'


def arrive(at):
    return f'@%p2 mbarrier.arrive.shared::cta.b64 _, [%r2+{at}];\n'


def wait(at, parity):
    """A loop, since a wait may give up; the name of its label is of the line that it is on."""
    wait.label += 1
    return f'{{ .reg .pred p; $w{wait.label}: mbarrier.try_wait.parity.shared::cta.b64 p, [%r2+{at}], {parity}; @!p bra $w{wait.label}; }}\n'


wait.label = 0
FULL, READ = 0, 8
PRODUCER = STORE + TOGETHER + arrive(FULL)
CONSUMER = wait(FULL, 0) + LOAD + TOGETHER + arrive(READ)


def run(producer=PRODUCER, consumer=CONSUMER, start=INIT + BARRIER, end=''):
    out = np.zeros(32, np.uint32)
    code = HEAD + start + TO_CONSUMER + producer + JOIN + consumer + RESULT + '$L2:\n' + end + 'ret;\n}'
    interp.launch(interp.Function(code), [out.view(np.uint8)], (1, 1, 1), 1024)
    return out


class Mbarriers(unittest.TestCase):
    def finds(self, message, **options):
        with self.assertRaisesRegex(interp.PtxError, message):
            run(**options)

    def test_a_slot_is_passed_on(self):
        self.assertEqual(run().tolist(), (np.arange(32) ^ 1).tolist())

    def test_a_slot_comes_back(self):
        # Read twice: what the second phase brought.
        again = 'add.s32 %r1, %r1, 100;\n' + wait(READ, 0) + STORE + TOGETHER + arrive(FULL)
        out = run(PRODUCER + again, CONSUMER + wait(FULL, 1) + LOAD)
        self.assertEqual(out.tolist(), ((np.arange(32) ^ 1) + 100).tolist())

    def test_all_lanes_may_arrive_themselves(self):
        every = 'mbarrier.arrive.shared::cta.b64 _, [%r2];\n'
        run(STORE + every, start=INIT.replace('[%r2], 1', '[%r2], 32') + BARRIER)

    def test_before_the_first_phase_one_has_ended(self):
        run(wait(READ, 1) + PRODUCER)

    def test_nobody_waits(self):
        self.finds('race: shared memory read', consumer=LOAD)
        self.finds('race', producer=PRODUCER + STORE)

    def test_a_wait_for_the_wrong_phase(self):
        self.finds('deadlock', consumer=wait(FULL, 1) + LOAD)
        self.finds('race', producer=PRODUCER + wait(READ, 1) + STORE)

    def test_a_wait_may_give_up(self):
        self.finds('race: shared memory read', consumer='mbarrier.try_wait.parity.shared::cta.b64 %p4, [%r2], 0;\n' + LOAD)

    def test_other_lanes_are_not_done(self):
        self.finds('race: shared memory read', producer=STORE + arrive(FULL))
        self.finds('race: shared memory written', producer=PRODUCER + wait(READ, 0) + STORE, consumer=wait(FULL, 0) + LOAD + arrive(READ))

    def test_barriers_of_the_block_order_too(self):
        ends = BARRIER + 'ld.shared.b32 %r9, [%r5];\n'
        run(end=ends)

    def test_nobody_arrives(self):
        self.finds(r'deadlock: thread 32 of block 0, and 31 more, wait for parity 0 of the mbarrier at 0, which lacks 1 of 1 arrivals in phase 0, at "mbarrier.try_wait', producer=STORE)
        self.finds('deadlock.*lacks 1 of 2 arrivals in phase 0', start=INIT.replace('[%r2], 1', '[%r2], 2') + BARRIER)

    def test_who_leaves_does_not_arrive(self):
        self.finds('deadlock', producer='ret;\n')

    def test_barriers_that_are_not_there(self):
        self.finds('without a barrier behind its init', start=INIT)
        self.finds('no mbarrier at 16', producer=STORE + TOGETHER + arrive(16))
        self.finds('an mbarrier at 4', producer=STORE + TOGETHER + arrive(4))
        self.finds('an mbarrier of 0 arrivals', start=INIT.replace('[%r2], 1', '[%r2], 0') + BARRIER)
        self.finds('a parity of 2', consumer=wait(FULL, 2) + LOAD)

    def test_other_accesses_to_a_barrier(self):
        self.finds('shared memory access to an mbarrier', consumer='ld.shared.b32 %r8, [%r2];\n')
        self.finds('shared memory access to an mbarrier', producer='st.shared.b32 [%r2+12], %r1;\n')

    def test_what_is_not_interpreted(self):
        self.finds('is not interpreted', producer='mbarrier.inval.shared::cta.b64 [%r2];\n')
        self.finds('is not interpreted', producer='mbarrier.arrive.shared::cta.b64 _, [%r2], 2;\n')
        self.finds('is not interpreted', consumer='mbarrier.try_wait.shared::cta.b64 %p4, [%r2], 0;\n')


if __name__ == '__main__':
    unittest.main()
