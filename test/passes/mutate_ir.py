#!/usr/bin/env python3
"""Passes live with any IR that the verifiers accept.

    mutate_ir.py --kt-opt TOOL [--compile TOOL] [--count N] [--seed S] [--keep FOLDER] FILE...

Takes functions from textual IR (parts between `// -----` lines), changes sizes, symbols, element types and lines at random, and runs
the passes of a compilation over the result, verified after each. Refused by the verifier is fine; a crash, no end, and an error that a
pass made are failures. With --compile (kt-compile-kernel) the kernels that come out are compiled for both kinds of targets, which ends in code or
an error. The last line is `N ran, N refused, N failed`."""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile

FUSE = ("func.func(kt-absorb-layouts,kt-fuse-bodies,kt-fuse-epilogues),canonicalize,cse,"
        "func.func(kt-hoist-constants,kt-fold-constants,kt-simplify-bodies),canonicalize,cse")
CLEAN = "canonicalize,cse,func.func(kt-fold-constants,kt-simplify-bodies),canonicalize,cse"
RAISE = (f"{FUSE},func.func(kt-raise-norms,kt-raise-attention),{FUSE},"
         "func.func(kt-merge-products,kt-fuse-bodies,kt-merge-generics,kt-fuse-bodies)")
HALF = "func.func(kt-quantize-weights,kt-convert-precision{to=fp16},kt-simplify-bodies),canonicalize,cse"
END = "func.func(kt-slice-graph),kt-outline-kernels"
PIPELINES = [
    f"{CLEAN},func.func(kt-pack-weights),canonicalize,cse,{END}",
    f"{CLEAN},func.func(kt-pack-weights),{HALF},{END}",
    f"{CLEAN},{RAISE},func.func(kt-pack-weights),canonicalize,cse,{END}",
    f"{CLEAN},func.func(kt-copy-scatters,kt-scatter-states),{RAISE},func.func(kt-tie-states,kt-fuse-bodies,kt-pack-weights),canonicalize,cse,{END}",
    f"{RAISE},func.func(kt-pack-weights),{HALF},func.func(kt-fuse-bodies,kt-simplify-bodies),{END}",
    f"func.func(kt-convert-precision{{to=fp32}},kt-fuse-bodies,kt-simplify-bodies),canonicalize,cse,{END}",
]
NUMBER = re.compile(r"(?<![\w.%#])-?\d+(?![\w.])")
SYMBOL = re.compile(r"(?<=[\[, ])[a-z][a-z0-9_]*(?=[\],])")
ELEMENT = re.compile(r"\b(f32|f16|bf16|f64|i1|i8|i32|i64)\b")
NUMBERS = ["0", "1", "2", "3", "4", "16", "17", "64", "-1", "n", "9223372036854775807"]
SYMBOLS = ["0", "1", "5", "n", "n + 1", "?u", "m floordiv 2", "min(n, 4)"]
ELEMENTS = ["f32", "f16", "bf16", "f64", "i1", "i8", "i64", "ui8"]


def programs(files):
    for name in files:
        with open(name, errors="replace") as f:
            for part in f.read().split("// -----"):
                text = "\n".join(line for line in part.split("\n") if not line.lstrip().startswith("//"))
                if text.strip() and len(text) < 40000:
                    yield name, text


def change(r, text):
    kind = r.random()
    if kind < 0.1:
        lines = text.split("\n")
        lines.pop(r.randrange(len(lines)))
        return "\n".join(lines)
    pattern, words = r.choice([(NUMBER, NUMBERS), (NUMBER, NUMBERS), (SYMBOL, SYMBOLS), (ELEMENT, ELEMENTS)])
    found = list(pattern.finditer(text))
    if not found:
        return text
    at, word = r.choice(found), r.choice(words)
    if kind < 0.3 and pattern is not NUMBER:  # everywhere, so that more of it is accepted
        return re.sub(rf"(?<![\w%@#.]){re.escape(at.group())}(?![\w.])", word, text)
    return text[:at.start()] + word + text[at.end():]


def run(tool, arguments, text):
    try:
        return subprocess.run([tool, *arguments, "-"], input=text, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(tool, -1, "", "no end within 60 s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kt-opt", required=True)
    parser.add_argument("--compile")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    texts = list(programs(args.files))
    ran = refused = failed = 0
    for i in range(args.seed, args.seed + args.count):
        r = random.Random(i)
        name, text = r.choice(texts)
        for _ in range(r.choice([0, 1, 1, 1, 2, 3])):
            text = change(r, text)
        pipeline = f"builtin.module({r.choice(PIPELINES)})"
        result = run(args.kt_opt, [f"--pass-pipeline={pipeline}"], text)
        if result.returncode == 0 and args.compile and "kt.kernel" in result.stdout:
            with tempfile.TemporaryDirectory() as folder:
                target = r.choice(["host", "sm_89"])
                compiled = run(args.compile, [f"--target={target}", "-o", folder], result.stdout)
            if compiled.returncode not in (0, 1):
                pipeline, result, text = target, compiled, result.stdout
        if result.returncode == 0:
            ran += 1
        elif result.returncode == 1 and pipeline.startswith("builtin") and run(args.kt_opt, [], text).returncode == 1:
            refused += 1
        else:
            failed += 1
            said = [line for line in result.stderr.split("\n") if "error:" in line] or [result.stderr.strip()[:200]]
            print(f"seed {i} ({os.path.basename(name)}): ends with {result.returncode}: {said[0]}\n  {pipeline}", flush=True)
            if args.keep:
                with open(os.path.join(args.keep, f"mutated-{i}.mlir"), "w") as f:
                    f.write(text)
            else:
                print(text)
    print(f"{ran} ran, {refused} refused, {failed} failed")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
