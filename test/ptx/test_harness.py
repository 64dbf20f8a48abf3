#!/usr/bin/env python3
"""What runs the cases: it has to say so of whatever did not run, in the interpreter and on a device whose processes crash, hang or never begin."""
import contextlib
import io
import json
import sys
import tempfile
import unittest
import numpy as np
import harness
import report
import run_device

# Expressions of a kernel: [op, number, operands]; 0 is a constant, 1 a size, 13 a comparison (artifact::Expr::Op).
ONE, SIZE, FEW = [0, 1, -1, -1, -1], [1, 0, -1, -1, -1], [13, 0, 1, 0, -1]


def variant(guard=-1, grid=0):
    return {'guard': guard, 'paged': False, 'workspace': -1, 'workspaceZeroed': False, 'counters': -1, 'schedule': f'guard={guard}',
            'stages': [{'file': 'k.ptx', 'entry': 'k', 'grid': [grid, 0, 0], 'block': [32, 1, 1], 'shared': -1, 'cluster': -1}]}


def kernel(*variants):
    return {'name': 'k', 'reportsFaults': False, 'exprs': [ONE, SIZE, FEW], 'variants': list(variants)}


def doubled(stage, arguments, grid, shared, cluster):
    arguments[1].view(np.float32)[:] = 2 * arguments[0].view(np.float32)


def case(n=3):
    x = np.arange(n)
    return harness.Case('k', [((n,), [harness.Tensor(x, 'f32')], [harness.Tensor(2 * x, 'f32')])])


class Runs(unittest.TestCase):
    def fails(self, message, kernel, runner=doubled, n=3):
        with self.assertRaisesRegex(AssertionError, message):
            harness.run_case(case(n), kernel, runner)

    def test_each_variant_runs_once_and_is_counted(self):
        self.assertEqual(harness.run_case(case(), kernel(variant()), doubled), 1)
        self.assertEqual(harness.run_case(case(0), kernel(variant(2), variant()), doubled), 2)

    def test_variant_whose_guard_never_holds(self):
        self.fails(r'no run of this case launches variant 0 \(guard=2\) stage 0', kernel(variant(2), variant()))

    def test_stage_that_has_nothing_to_do_was_not_launched(self):
        self.fails('no run of this case launches variant 0', kernel(variant(grid=1)), n=0)

    def test_sizes_that_no_variant_takes(self):
        self.fails('no variant takes these sizes', kernel(variant(2)))

    def test_kernel_without_code(self):
        self.fails('no GPU code', kernel())

    def test_results_that_are_wrong_or_not_written(self):
        self.fails('wrong, first at', kernel(variant()), lambda *_: None)

    def test_operand_that_is_written(self):
        def writes(stage, arguments, grid, shared, cluster):
            doubled(stage, arguments, grid, shared, cluster)
            arguments[0][-1] += 1
        self.fails('writes to an operand', kernel(variant()), writes)

    def test_code_of_other_cases(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f'{folder}/kernels.json', 'w') as f:
                json.dump([kernel(variant())], f)
            self.assertEqual(list(harness.load_kernels([case()], folder)), ['k'])
            for cases in ([], [case(), harness.Case('other', [])]):
                with self.assertRaisesRegex(SystemExit, 'compiled from other cases'):
                    harness.load_kernels(cases, folder)


class Summaries(unittest.TestCase):
    def summary(self, *outcomes):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = report.summary({'family': [case()]}, {'k': kernel(variant())}, outcomes)
        return status, out.getvalue()

    def test_only_what_ran_is_right(self):
        self.assertEqual(self.summary(report.Outcome('k', runs=2))[0], 0)
        for outcomes in ([], [report.Outcome('k')], [report.Outcome('k', error='wrong')]):
            status, text = self.summary(*outcomes)
            self.assertEqual(status, 1)
            self.assertIn('0 of 1 kernels right', text)

    def test_no_case_at_all(self):
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(report.summary({}, {}, []), 1)


class Processes(unittest.TestCase):
    CHILD = """
import json, os, sys, time
names, first = 'abcd', int(sys.argv[1])
for name in names[first:]:
    print(json.dumps({'begins': name}), flush=True)
    if name == 'b':
        os.abort()
    if name == 'c':
        time.sleep(60)
    print(json.dumps({'ends': name, 'runs': 3}), flush=True)
"""

    def outcomes(self, child, longest=run_device.LONGEST):
        cases = [harness.Case(name, []) for name in 'abcd']
        return [(o.name, o.runs, o.error) for o in run_device.outcomes([sys.executable, '-c', child], cases, longest)]

    def test_the_case_that_crashed_and_the_one_that_hangs_are_named_and_the_others_run(self):
        self.assertEqual(self.outcomes(self.CHILD, longest=3),
                         [('a', 3, None), ('b', 0, 'b: its process ended with -6'), ('c', 0, 'c: no answer in 3 s'), ('d', 3, None)])

    def test_a_process_that_cannot_begin(self):
        self.assertEqual(self.outcomes('raise SystemExit(1)'), [])

    def test_a_process_that_ends_early(self):
        child = "import json, sys\nprint(json.dumps({'ends': 'abcd'[int(sys.argv[1])], 'error': 'sticky'}))"
        self.assertEqual([name for name, _, _ in self.outcomes(child)], list('abcd'))


if __name__ == '__main__':
    unittest.main()
