#!/usr/bin/env python3
"""Random ONNX graphs mean the same at -O0 and -O3, on the host.

    random_graphs.py --bin DIR [--count N] [--seed S] [--work DIR]

Each seed makes one graph: chains of elementwise work, movements, reductions, norms, products, convolutions, attention, scatters,
branches and loops over symbolic dimensions, some of them of size 0 or 1, with values used twice and several outputs. Both artifacts
run the same inputs; integers have to agree exactly, floats within 1e-4 max(1, max|a|) + 1e-3 |a|. A graph that neither level compiles
is skipped; a crash, one level failing alone and other numbers are failures, whose model stays in the work folder. The last line is
`N passed, N failed, N skipped`."""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

from random_graph import Graph


def differs(a, b):
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype}{a.shape} and {b.dtype}{b.shape}"
    if a.dtype.kind != "f":
        return "" if np.array_equal(a, b) else "other integers"
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return "other NaN"
    a, b = np.nan_to_num(a.astype(np.float64), nan=0, posinf=1e300, neginf=-1e300), np.nan_to_num(
        b.astype(np.float64), nan=0, posinf=1e300, neginf=-1e300)
    if not a.size:
        return ""
    finite = np.abs(a)[np.abs(a) < 1e300]
    limit = 1e-4 * max(1, finite.max() if finite.size else 0) + 1e-3 * np.abs(a)
    worst = np.abs(a - b) - limit
    return "" if (worst <= 0).all() else f"{a.flat[worst.argmax()]} and {b.flat[worst.argmax()]}"


def run(cmd):
    try:
        return subprocess.run(cmd, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(cmd, -1, "", "no answer within 120 s")


def check(args, seed):
    """Nothing if the levels agree, "skipped", or what is wrong."""
    graph = Graph(seed)
    path = os.path.join(args.work, f"g{seed}")
    with open(path + ".txt", "w") as f:
        f.write(graph.build())
    np.savez(path + ".npz", **graph.feed())
    made = run([os.path.join(args.bin, "onnx-from-text"), path + ".txt", path + ".onnx"])
    if made.returncode:
        return f"no model: {made.stderr.strip()[-300:]}"
    outputs, errors = {}, {}
    for level in args.levels:
        ktm = f"{path}.{level}.ktm"
        p = run([os.path.join(args.bin, "ktc"), "compile", path + ".onnx", "-o", ktm, "--target", "host", "--threads", "1", "--" + level])
        if p.returncode == 0:
            p = run([os.path.join(args.bin, "ktrun"), ktm, "--device", "host", "--threads", "1", "--input", f"@{path}.npz", "--output",
                     f"@{path}.{level}.npz"])
        if p.returncode not in (0, 1):
            return f"{level} ends with {p.returncode}: {p.stderr.strip()[-300:]}"
        if p.returncode:
            errors[level] = p.stderr.strip().split("\n")[0]
        else:
            outputs[level] = dict(np.load(f"{path}.{level}.npz"))
    if errors:
        return f"skipped {next(iter(errors.values()))}" if not outputs else f"only one level fails: {errors}"
    first, *others = outputs.values()
    for other in others:
        for name, a in first.items():
            if what := differs(a, other[name]):
                return f"output {name}: {what}"
            shape = next(v.shape for v in graph.outputs if v.name == name)
            if a.shape != shape:
                return f"output {name}: expected shape {shape} but got {a.shape}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work")
    parser.add_argument("--levels", nargs="+", default=["O0", "O3"])
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    folder = None if args.work else tempfile.TemporaryDirectory()
    args.work = args.work or folder.name
    agree = skipped = failed = 0
    for seed in range(args.seed, args.seed + args.count):
        what = check(args, seed)
        if what is None:
            agree += 1
        elif what.startswith("skipped"):
            skipped += 1
            if args.verbose:
                print(f"seed {seed}: {what}", flush=True)
        else:
            failed += 1
            print(f"seed {seed}: {what}", flush=True)
            if folder:
                with open(os.path.join(args.work, f"g{seed}.txt")) as f:
                    print(f.read())
    print(f"{agree} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or agree < skipped else 0


if __name__ == "__main__":
    sys.exit(main())
