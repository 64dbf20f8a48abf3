#!/usr/bin/env python3
"""Numbers that a test carries: `# INPUT: NAME 2x3xf32 = 1 -2.5 3` and `# OUTPUT: NAME 2x3xf32 = ...`, repeated as often as the shape needs.

    carried.py inputs FILE.test OUT.npz      writes the inputs
    carried.py check FILE.test RESULT.npz    compares with the outputs: integers are exact, floats are within 1e-4 (f16: 1e-2)"""
import re
import sys

import numpy as np

TYPES = {"f32": "f4", "f16": "f2", "f64": "f8", "bool": "?"}


def arrays(path, word):
    for line in open(path):
        match = re.match(rf"# {word}: (\S+) ((?:\d+x)*)(\w+) = (.*)", line)
        if match:
            name, dims, kind, numbers = match.groups()
            dtype = np.dtype(TYPES.get(kind) or kind[0] + str(int(kind[1:]) // 8))
            shape = tuple(int(d) for d in dims.split("x")[:-1])
            # np.resize repeats what it has.
            yield name, np.resize(np.array([float(n) if dtype.kind == "f" else int(n) for n in numbers.split()], None if dtype.kind == "f" else object), shape).astype(dtype)


def check(path, result):
    expected = list(arrays(path, "OUTPUT"))
    assert expected, f"{path} has no OUTPUT"
    for name, want in expected:
        got = result[name]
        assert got.dtype == want.dtype and got.shape == want.shape, f"{name}: {got.dtype}{got.shape}, expected {want.dtype}{want.shape}"
        if want.dtype.kind == "f":
            tolerance = 1e-2 if want.dtype.itemsize == 2 else 1e-4
            right = np.allclose(got.astype(float), want.astype(float), rtol=tolerance, atol=tolerance, equal_nan=True)
        else:
            right = np.array_equal(got, want)
        assert right, f"{name}:\n{got}\nexpected\n{want}"


def main():
    what, path, npz = sys.argv[1:]
    if what == "inputs":
        np.savez(npz, **dict(arrays(path, "INPUT")))
    else:
        check(path, np.load(npz))


if __name__ == "__main__":
    main()
