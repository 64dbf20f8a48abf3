#!/usr/bin/env python3
"""Tests the installed Python package on models compiled for the host.

    run_tests.py --bin DIR [UNITTEST ARGUMENT]...      DIR has ktc; e.g. run_tests.py --bin build/bin -k test_threads

Each test_*.py here is a unittest of its own that takes its artifacts from artifacts.py."""
import argparse
import os
import sys
import tempfile
import unittest

import artifacts

if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--bin", required=True)
    a, rest = p.parse_known_args()
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory(prefix="kt-python-") as work:
        artifacts.use(a.bin, work)
        program = unittest.main(module=None, argv=[sys.argv[0], "discover", "-s", here, *rest], exit=False)
    sys.exit(not program.result.wasSuccessful())
