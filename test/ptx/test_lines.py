#!/usr/bin/env python3
"""What the interpreter finds names the line of the kernel's builder: kernels that are broken on purpose. And line tables change no instruction.
test_lines.py kt-compile-kernel"""
import os
import re
import sys
import tempfile
import unittest
import harness
import interp
import run_kernels

TOOL = sys.argv.pop(1) if len(sys.argv) > 1 else 'build/bin/kt-compile-kernel'
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
# A few of each family, with shared memory, asynchronous copies, warps and atomics among them.
NAMES = ('add_bias_f16', 'transpose_f32', 'columns_add', 'rows_add_f32', 'softmax_f16_p1', 'linear_f16_136_200', 'int8_bf16', 'simt_f32', 'conv_deep_f16', 'conv_stem_f16',
         'attention_f16_64', 'attention_f32', 'sort_f32', 'cumsum_f32', 'scatter_add', 'nonzero', 'suppress', 'sum_of_rows')


class Lines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cases = {c.name: c for c in run_kernels.all_cases(run_kernels.families()) if c.name in NAMES}
        cls.plain, cls.lines = f'{cls.folder.name}/plain', f'{cls.folder.name}/lines'
        harness.compile_cases(cls.cases.values(), TOOL, cls.plain)
        cls.kernels = harness.compile_cases(cls.cases.values(), TOOL, cls.lines, more=['--line-tables'])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def files(self, name):
        return sorted({s['file'] for v in self.kernels[name]['variants'] for s in v['stages']})

    def text(self, folder, file):
        with open(f'{folder}/{file}') as f:
            return f.read()

    def test_line_tables_change_no_instruction(self):
        self.assertEqual(set(self.cases), set(NAMES))
        for name in NAMES:
            for file in self.files(name):
                with self.subTest(file):
                    plain, lines = (interp.Function(self.text(folder, file)) for folder in (self.plain, self.lines))
                    self.assertEqual([i.text for i in plain.code], [i.text for i in lines.code])
                    self.assertFalse(any(i.where for i in plain.code))
                    self.assertTrue(all(i.where for i in lines.code if i.parts[0] in ('bar', 'ldmatrix', 'cp', 'mma')))

    def break_it(self, name, pattern, replacement, schedule=''):
        """Runs a kernel with all matches replaced, one variant alone; answers the message and the source line that it names."""
        case, kernel = self.cases[name], dict(self.kernels[name])
        kernel['variants'] = [v for v in kernel['variants'] if schedule in v['schedule']][:1]
        functions, broken = {}, 0
        for s in kernel['variants'][0]['stages']:
            text, n = re.subn(pattern, replacement, self.text(self.lines, s['file']))
            functions[s['file']], broken = interp.Function(text), broken + n
        self.assertGreater(broken, 0)
        with self.assertRaises(AssertionError) as caught:
            harness.run_case(case, kernel, lambda stage, arguments, grid, shared, cluster: interp.launch(functions[stage['file']], arguments, grid, shared))
        message = str(caught.exception)
        m = re.search(r'built at (codegen/Gpu/\w+/\w+\.cpp):(\d+)', message)
        self.assertTrue(m, message)
        with open(f'{SOURCES}/{m[1]}') as f:
            return message, f.read().splitlines()[int(m[2]) - 1]

    def test_barrier_that_is_missing(self):
        message, line = self.break_it('columns_add', r'\bbar(rier)?\.sync[^;]*;', '')
        self.assertIn('race: shared memory read in the same phase', message)
        self.assertIn('loadElement(place(', line)

    def test_wait_that_is_missing(self):
        message, line = self.break_it('linear_f16_136_200', r'\bcp\.async\.wait_group[^;]*;', '', 'tile=64x64x64')
        self.assertIn('while a copy into it is pending', message)
        self.assertRegex(line, 'ldmatrix4|cpAsync16')

    def test_a_run_says_so_of_code_without_line_tables(self):
        case = self.cases['rows_add_f32']
        ints, (x,), expected = case.runs[0]
        short = harness.Case(case.name, [(ints, [harness.Tensor(x.values[:1], 'f32')], expected)])
        run_kernels.state.tool, run_kernels.state.folder, run_kernels.state.kernels = TOOL, self.plain, self.kernels
        self.assertRegex(run_kernels.attempt(short)[0].error, r'global access out of bounds.* built at codegen/Gpu/Builder/BodyEmitter.cpp:\d+')

    def test_access_outside(self):
        # The guard of the last threads is gone.
        message, line = self.break_it('add_bias_f16', r'@%p\d+ bra\s+\$L__BB0_\d+;', '')
        self.assertIn('global access out of bounds', message)
        self.assertRegex(line, 'loadElements|storeElements')


if __name__ == '__main__':
    unittest.main()
