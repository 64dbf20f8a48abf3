"""Profiles of the Python package: what they add up to, what matches, what is said where nothing does."""
import contextlib
import io
import unittest

import artifacts
import ktransformers
import numpy as np
from ktransformers import _shapes


def profiler(name="bert", **options):
    return ktransformers.Profiler(ktransformers.Model(artifacts.of(name), device="host", threads=1), **options)


def analyze(of, *arguments, **options):
    """(profile, what was printed)"""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        made = of.analyze(*arguments, **options)
    return made, out.getvalue()


class Profiles(unittest.TestCase):
    def test_shares_add_up(self):
        made, printed = analyze(profiler(inputs=artifacts.references("bert")[0][0]))
        self.assertAlmostEqual(sum(o.share for o in made.operators) + made.outside / made.total, 1, places=6)
        self.assertAlmostEqual(sum(o.total for o in made.operators), made.kernels)
        self.assertGreaterEqual(made.outside, 0)
        for o in made.operators:
            self.assertEqual(o.calls % made.runs, 0)
            self.assertAlmostEqual(o.mean * o.calls, o.total)
            self.assertTrue(o.placement.startswith("host-") and o.schedule and o.kernel and o.bytes > 0)
        self.assertEqual([o.total for o in made.operators], sorted((o.total for o in made.operators), reverse=True))
        self.assertEqual(printed, f"{made}\n")
        for what in ("these operators", "other operators", "outside of kernels", made.device, made.operators[0].node):
            self.assertIn(what, printed)

    def test_what_a_call_touches(self):
        x = np.ones((1000, 3), np.float32)
        made, _ = analyze(ktransformers.Profiler(ktransformers.Model(artifacts.add(), device="host", threads=1), {"x": x, "y": x}), runs=3)
        self.assertEqual([(o.calls, o.bytes, o.slice) for o in made.operators], [(3, 3 * x.nbytes, 0)])

    def test_patterns(self):
        every, _ = analyze(profiler(), runs=2)
        kernels = {o.kernel for o in every.operators}
        self.assertTrue({"attention_0", "matmul_0"} <= kernels)
        node = next(o.node for o in every.operators if o.kernel == "attention_0")
        for pattern, matches in (("attention_0", lambda o: o.kernel == "attention_0"), ("ATTENTION", lambda o: "attention" in o.kernel), (node, lambda o: node in o.node),
                                 ("matmul_?", lambda o: len(o.kernel) == 8 and o.kernel.startswith("matmul_")), ("*softmax*", lambda o: "softmax" in o.node.lower())):
            with self.subTest(pattern):
                made, _ = analyze(profiler(), pattern, runs=2)
                self.assertTrue(made.operators)
                self.assertEqual(sorted((o.node, o.kernel) for o in made.operators), sorted((o.node, o.kernel) for o in every.operators if matches(o)))
                self.assertGreater(made.kernels, sum(o.total for o in made.operators))

    def test_nothing_matches(self):
        for pattern, near in (("atention_0", "'attention_0'"), ("[x](", "the nearest names are"), ("zzz*", "the nearest names are")):
            with self.subTest(pattern), self.assertRaisesRegex(ktransformers.UsageError, "no operator matches .*" + near):
                analyze(profiler(), pattern, runs=1)

    def test_names_that_are_odd(self):
        odd = 'a"b<i>&\n' + "x" * 10000
        path = artifacts.made("odd", [artifacts.onnx.node("Add", ["x", "x"], ["z"], name=odd)], [("x", "float32", ("n",))], [("z", "float32", ("n",))])
        made, printed = analyze(ktransformers.Profiler(path, dims={"n": 7}), 'B<I>&', runs=1)
        self.assertEqual(len(made.operators), 1)
        self.assertEqual(made.dims, {"n": 7})
        self.assertLess(max(map(len, printed.splitlines())), 300)

    def test_sizes(self):
        made, printed = analyze(profiler(dims={"seq": 12}), runs=1)
        self.assertEqual(made.dims, {"batch": 1, "seq": 12})
        self.assertIn("with batch=1, seq=12", printed)
        made, _ = analyze(profiler("gpt2_cache", dims={"past": 4, "s53": 5}), runs=1)
        self.assertEqual(made.dims, {"batch": 1, "seq": 1, "s53": 5, "past": 4})
        for dim, size in (("past + seq", 11), ("4 * seq", 28), ("seq floordiv 2 - 1", 2), ("seq mod 4", 3), (5, 5)):
            self.assertEqual(_shapes.size(dim, {"past": 4, "seq": 7}), size)
        for dim in ("other", "seq floordiv 0", "past - seq", "max(past, seq)", "a/b c", "__import__('os')"):
            with self.subTest(dim), self.assertRaisesRegex(ktransformers.UsageError, "is not said"):
                _shapes.size(dim, {"past": 4, "seq": 7})
        with self.assertRaisesRegex(ktransformers.UsageError, "no dimension is called 'sequence', expected 'batch', 'seq'"):
            profiler(dims={"sequence": 3})
        with self.assertRaisesRegex(ktransformers.UsageError, "both inputs and dims"):
            profiler(inputs={}, dims={"seq": 3})
        with self.assertRaisesRegex(ktransformers.UsageError, "0 runs"):
            profiler().analyze(runs=0)
        with self.assertRaisesRegex(ktransformers.UsageError, "inputs are missing"):
            analyze(profiler(inputs={}))

    def test_sessions(self):
        session = ktransformers.Model(artifacts.add(), device="host", threads=1).session()
        x = np.ones((2, 3), np.float32)
        first, _ = analyze(ktransformers.Profiler(session, {"x": x, "y": x}), runs=2)
        again, _ = analyze(ktransformers.Profiler(session, {"x": x, "y": x}), runs=2)
        self.assertEqual([o.calls for o in first.operators + again.operators], [2, 2])
        with self.assertRaisesRegex(ktransformers.UsageError, "a session is given without inputs"):
            ktransformers.Profiler(session)


if __name__ == "__main__":
    unittest.main()
