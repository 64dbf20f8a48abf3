#!/usr/bin/env python3
"""The harness of ONNX's own tests finds what it is there to find."""
import os
import sys
import tempfile
import unittest

import compare
import expectations
import numpy as np
import workers

LISTED = """
# No strings.
refused: unsupported element type
  test_string* !test_string_length

# Only there.
wrong: 2 of 4 differ
  test_sum @1.23.2
"""
OBEDIENT = """
import os, sys, time
for line in sys.stdin:
    line = line.strip()
    if line == "die":
        os.kill(os.getpid(), 11)
    if line == "leave":
        sys.exit(3)
    if line == "sleep":
        time.sleep(60)
    print(line, os.getpid(), flush=True)
"""


class Expectations(unittest.TestCase):
    def setUp(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as f:
            f.write(LISTED)
        self.blocks = expectations.read(f.name)
        os.unlink(f.name)

    def explain(self, case, outcome, message="", facts=("1.23.2", "host")):
        return expectations.explain(self.blocks, case, set(facts), outcome, message)

    def test_listed_failures_are_explained(self):
        block, problem = self.explain("test_string_x", "refused", "unsupported element type string")
        self.assertEqual((block.reason, problem), ("No strings.", None))
        self.assertEqual(expectations.unused(self.blocks, {"1.23.2"}), ["test_sum @1.23.2"])
        self.assertEqual(expectations.unused(self.blocks, {"1.22.0"}), [])

    def test_other_failures_are_not(self):
        for case, outcome, message in (("test_add", "refused", "unsupported element type"), ("test_string_x", "refused", "crashed"),
                                       ("test_string_x", "wrong", "unsupported element type"), ("test_string_length", "refused", "unsupported element type"),
                                       ("test_string_x", "died", "unsupported element type")):
            self.assertIsNone(self.explain(case, outcome, message)[0], case)
            self.assertIn(message, self.explain(case, outcome, message)[1])
        self.assertIsNotNone(self.explain("test_sum", "wrong", "2 of 4 differ", ("1.22.0", "host"))[1])

    def test_a_listed_case_that_is_right_is_a_problem(self):
        self.assertIn("is right but", self.explain("test_string_x", "right")[1])
        self.assertEqual(self.explain("test_string_length", "right"), (None, None))


class Compare(unittest.TestCase):
    def differs(self, got, want, kind="f32", dtype="f4", tables={}):
        return compare.differs("y", np.array(got, dtype), np.array(want, dtype), kind, 1e-3, 1e-7, tables)

    def test_floats(self):
        self.assertIsNone(self.differs([1, np.nan, np.inf, 0], [1.0009, np.nan, np.inf, 1e-8]))
        for got, want in (([1], [1.002]), ([0], [1e-6]), ([np.nan], [0]), ([np.inf], [-np.inf]), ([np.inf], [1e38]), ([1], [[1]]), ([0], [np.nan])):
            self.assertIsNotNone(self.differs(got, want), (got, want))

    def test_integers(self):
        self.assertIsNone(self.differs([5], [5], "i8", "i1"))
        for got, want, kind, dtype in (([5], [6], "i8", "i1"), ([-128], [127], "i8", "i1"), ([0], [2**64 - 1], "u64", "u8"), ([True], [False], "bool", "?")):
            self.assertIsNotNone(self.differs(got, want, kind, dtype), (got, want))

    def test_small_floats(self):
        table = {"f4e2m1": np.arange(256, dtype=np.float32)}
        raw = lambda *codes: np.array(codes, np.uint8).view("V1")
        self.assertIsNone(compare.differs("y", raw(1, 2), raw(1, 2), "f4e2m1", 1e-3, 1e-7, table))
        self.assertIn("got 3.0, expected 2.0", compare.differs("y", raw(1, 3), raw(1, 2), "f4e2m1", 1e-3, 1e-7, table))


class Workers(unittest.TestCase):
    def ask(self, lines, **options):
        return workers.ask_all([sys.executable, "-c", OBEDIENT], lines, 1, **options)

    def test_one_that_dies_is_reported_and_the_others_go_on(self):
        answers = self.ask(["a", "die", "b", "leave", "c", "sleep", "d"], timeout=8)
        self.assertEqual([line for line, (answer, _) in answers.items() if answer], ["a", "b", "c", "d"])
        for line, why in (("die", "killed by signal 11"), ("leave", "exit status 3"), ("sleep", "no answer within 8 s")):
            self.assertIn(why, answers[line][1])

    def test_a_spoilt_process_is_started_anew(self):
        process = {line: answer.split()[1] for line, (answer, _) in self.ask(["a", "b", "c"], spoilt=lambda answer: answer.startswith("b")).items()}
        self.assertEqual(process["a"], process["b"])
        self.assertNotEqual(process["b"], process["c"])


if __name__ == "__main__":
    unittest.main()
