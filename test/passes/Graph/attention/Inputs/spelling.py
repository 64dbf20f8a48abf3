#!/usr/bin/env python3
"""Attention as an exporter spells it is one op for each attention, and means on the host what it means without fusion.

    spelling.py FILE.test WORK [N=SIZE,...]...

FILE.test holds a model in ONNX's textual syntax and says `# ATTENTIONS: n`. No softmax may be left beside them and no product that has a
column for each key of a row of queries: those are scores in memory. Each further argument gives the sizes of one run, and numbers for inputs
that it names; other integers and truths are 0 and 1, mostly 1, and floats are about 1 in size. WORK.mlir is the module after the phase `graph`, for FileCheck."""
import os
import re
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 4, "e2e"))
from run_models import differs  # what is equal of two floats is said once

DTYPES = {"float": "f4", "float16": "f2", "int64": "i8", "int32": "i4", "bool": "?"}


def run(*cmd):
    p = subprocess.run(cmd, capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, f"{' '.join(cmd)}: {p.stderr.strip()[-600:]}"
    return p.stdout


def inputs(text):
    """Name, type and dimensions of what the graph takes."""
    head = re.search(r"\n(?:\w+) \((.*?)\)\s*=>", text, re.S).group(1)
    for kind, dims, name in re.findall(r"(\w+)\s*(?:\[([^\]]*)\])?\s+(\w+)", head):
        yield name, DTYPES[kind], [d.strip() for d in dims.split(",") if d.strip()]


def feed(text, sizes, seed):
    rng = np.random.default_rng(seed)
    for name, dtype, dims in inputs(text):
        shape = [int(d) if d.isdigit() else sizes[d] for d in dims]
        if name in sizes:
            yield name, np.full(shape, sizes[name], dtype)
        elif np.dtype(dtype).kind == "f":
            yield name, rng.standard_normal(shape).astype(dtype)
        else:
            yield name, (rng.random(shape) < 0.8).astype(dtype)


def scores_in_memory(module):
    """The lines that make a softmax, or a product of rows of queries with all keys."""
    pairs = {tuple(re.findall(r"#kt\.expr<([^>]*)>", sizes)[2:4]) for sizes in re.findall(r"kt\.attention .*? sizes = \[(.*?)\]", module)}
    for line in module.splitlines():
        product = re.search(r"kt\.matmul .*-> <\[(.*)\] x", line)
        if re.search(r"kt\.normalize +softmax", line) or product and tuple(product.group(1).split(", ")[-2:]) in pairs:
            yield line.strip()[:200]


def main():
    path, work, *runs = sys.argv[1:]
    text = open(path).read()
    run("onnx-from-text", path, f"{work}.onnx")
    module = run("ktc", "compile", f"{work}.onnx", "-o", "-", "--compile-to=graph")
    open(f"{work}.mlir", "w").write(module)
    wanted, found = int(re.search(r"# ATTENTIONS: (\d+)", text).group(1)), len(re.findall(r"= kt\.attention ", module))
    left = list(scores_in_memory(module))
    assert found == wanted and not left, f"expected {wanted} kt.attention and no scores in memory but got {found} and {left}"
    for level in ("O0", "O3"):
        run("ktc", "compile", f"{work}.onnx", "-o", f"{work}.{level}.ktm", "--target", "host", "--threads", "1", f"--{level}")
    for seed, sizes in enumerate(runs):
        np.savez(f"{work}.in.npz", **dict(feed(text, {k: int(v) for k, v in (pair.split("=") for pair in sizes.split(","))}, seed)))
        outputs = []
        for level in ("O0", "O3"):
            run("ktrun", f"{work}.{level}.ktm", "--device", "host", "--threads", "1", "--input", f"@{work}.in.npz", "--output", f"@{work}.{level}.npz")
            outputs.append(dict(np.load(f"{work}.{level}.npz")))
        for name, a in outputs[0].items():
            what = differs(name, outputs[1][name], a, "plain")
            assert not what, f"{sizes}: output {what}"


if __name__ == "__main__":
    try:
        main()
    except AssertionError as e:
        sys.exit(f"error: {e}")
