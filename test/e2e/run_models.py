#!/usr/bin/env python3
"""Compiles and runs model folders and compares with their reference outputs.

    run_models.py --bin DIR [--device host] [--precision fp16] [--quant int4] [--kv-cache int8] [--work DIR] [--ktc=FLAG]... FOLDER...

A FOLDER holds model.onnx, inputs*.npz and outputs*.npz; one that has folders instead is searched. One artifact runs every set of
inputs. Equal means: FP32 |a-b| <= 1e-4 max(1, max|b|) + 1e-3 |b|; FP16 2e-2 both; integers and booleans exactly; quantised models
(those with a QuantizeLinear-like node) 99 % of the elements within 2 % of max|b| and the rest within 15 %; with --quant a cosine
similarity of 0.999 or more, in INT4 of 0.985; with --kv-cache 0.999 as well. The last line is `N passed, N failed, N skipped`."""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np


LEAST_COSINE = {"int8": 0.999, "int4": 0.985}


def run(cmd):
    """Runs a program; one that does not end is one that fails."""
    try:
        return subprocess.run(cmd, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(cmd, -1, "", "no answer within 900 s")


def find(folders):
    for folder in folders:
        if os.path.exists(os.path.join(folder, "model.onnx")):
            yield folder
        else:
            for m in sorted(glob.glob(os.path.join(glob.escape(folder), "**", "model.onnx"), recursive=True)):
                yield os.path.dirname(m)


def as_float(a):
    """Raw void elements are types that numpy lacks; only bfloat16 is compared as numbers."""
    if a.dtype.kind == "V":
        raw = a.view(np.uint16 if a.dtype.itemsize == 2 else np.uint8)
        return (raw.astype(np.uint32) << 16).view(np.float32) if a.dtype.itemsize == 2 else raw
    return a


def differs(name, got, want, rule):
    """What is wrong with an output, or None."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{name}: expected {want.dtype}{list(want.shape)} but got {got.dtype}{list(got.shape)}"
    got, want = as_float(got), as_float(want)
    if got.size == 0:
        return None
    if got.dtype.kind not in "fc":
        if rule == "quantised" and got.dtype.kind in "iu" and got.dtype.itemsize == 1:
            d = np.abs(got.astype(int) - want.astype(int))
            return None if (d <= 5).mean() >= 0.99 else f"{name}: {100 * (d > 5).mean():.2f}% of the integers differ by more than 5"
        bad = got != want
        return f"{name}: {bad.sum()} of {bad.size} elements differ" if bad.any() else None
    g, w = got.astype(np.float64), want.astype(np.float64)
    if (np.isnan(g) != np.isnan(w)).any():
        return f"{name}: {np.isnan(g).sum()} NaN, expected {np.isnan(w).sum()}"
    g, w = np.nan_to_num(g, posinf=1e300, neginf=-1e300), np.nan_to_num(w, posinf=1e300, neginf=-1e300)
    err, top = np.abs(g - w), np.abs(w).max()
    if rule in LEAST_COSINE:
        c = (g * w).sum() / max(1e-300, np.sqrt((g * g).sum() * (w * w).sum()))
        least = LEAST_COSINE[rule]
        return None if c >= least or top == 0 else f"{name}: cosine similarity {c:.6f}, less than {least}"
    if rule == "quantised":
        near = (err <= 0.02 * max(top, 1e-6)).mean()
        if near >= 0.99 and err.max() <= 0.15 * max(top, 1e-6):
            return None
        return f"{name}: {100 * near:.2f}% within 2% of the largest, worst {err.max() / max(top, 1e-6):.3f}"
    half = rule == "fp16" or got.dtype.itemsize == 2
    atol, rtol = (2e-2, 2e-2) if half else (1e-4 * max(1, top), 1e-3)
    over = err - atol - rtol * np.abs(w)
    if over.max() <= 0:
        return None
    i = np.unravel_index(over.argmax(), over.shape)
    return f"{name}{list(map(int, i))}: got {g[i]:.6g}, expected {w[i]:.6g} (largest {top:.4g}), {100 * (over > 0).mean():.2f}% over"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folders", nargs="+")
    p.add_argument("--bin", required=True)
    p.add_argument("--device", default="host")
    p.add_argument("--target", default="sm_89,host")
    p.add_argument("--precision")
    p.add_argument("--quant")
    p.add_argument("--kv-cache")
    p.add_argument("--device-memory")
    p.add_argument("--max-slice-mem")
    p.add_argument("--ktc", action="append", default=[], metavar="FLAG", help="another flag for ktc compile: --ktc=-O0")
    p.add_argument("--work", help="keep artifacts here")
    p.add_argument("--reuse", action="store_true", help="take artifacts that are in --work already")
    p.add_argument("--stats", action="store_true")
    a = p.parse_args()
    work = a.work or tempfile.mkdtemp(prefix="kt-models-")
    os.makedirs(work, exist_ok=True)
    passed = failed = skipped = 0
    listed = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected-failures.txt")
    expected = {line.strip() for line in open(listed) if line.strip() and not line.startswith("#")}
    expected = expected if not (a.precision or a.quant) else set()
    for folder in find(a.folders):
        name = os.path.basename(folder.rstrip("/"))
        model = os.path.join(folder, "model.onnx")
        ktm = os.path.join(work, name + ".ktm")
        t0 = time.time()
        if not (a.reuse and os.path.exists(ktm)):
            cmd = [os.path.join(a.bin, "ktc"), "compile", model, "-o", ktm, "--target", a.target]
            for flag in ("precision", "quant", "kv_cache", "max_slice_mem"):
                if getattr(a, flag):
                    cmd += ["--" + flag.replace("_", "-"), getattr(a, flag)]
            r = run(cmd + a.ktc)
            if r.returncode:
                message = (r.stderr.strip().splitlines() or [""])[0][:300]
                # A clean refusal names what is unsupported; anything else is a failure.
                clean = r.returncode == 1 and "unsupported" in message
                skipped, failed = skipped + clean, failed + (not clean)
                print(f"{'SKIP' if clean else 'FAIL'} {name}: compile status {r.returncode}: {message}", flush=True)
                continue
        compile_s = time.time() - t0
        data = open(model, "rb").read()
        rule = "plain"
        if a.quant:
            rule = a.quant.split(":")[0]
        elif a.kv_cache:
            rule = a.kv_cache
        elif re.search(rb"QuantizeLinear|QLinear|MatMulInteger|ConvInteger", data):
            rule = "quantised"
        elif a.precision in ("fp16", "bf16"):
            rule = "fp16"
        errors, ran, seconds = [], 0, 0
        for inputs in sorted(glob.glob(os.path.join(glob.escape(folder), "inputs*.npz"))):
            outputs = os.path.join(folder, os.path.basename(inputs).replace("inputs", "outputs"))
            got_path = os.path.join(work, name + ".got.npz")
            cmd = [os.path.join(a.bin, "ktrun"), ktm, "--device", a.device, "--input", "@" + inputs, "--output", "@" + got_path]
            if a.device_memory:
                cmd += ["--device-memory", a.device_memory]
            if a.stats:
                cmd += ["--stats"]
            t1 = time.time()
            r = run(cmd)
            seconds += time.time() - t1
            if a.stats:
                print(r.stdout)
            if r.returncode:
                errors.append(f"{os.path.basename(inputs)}: run status {r.returncode}: {(r.stderr.strip().splitlines() or [''])[0][:300]}")
                continue
            got, want = np.load(got_path), np.load(outputs)
            ran += 1
            for key in want.files:
                if key not in got.files:
                    errors.append(f"{key}: missing")
                    continue
                e = differs(key, got[key], want[key], rule)
                if e:
                    errors.append(f"{os.path.basename(inputs)} {e}")
        if not ran and not errors:
            skipped += 1
            print(f"SKIP {name}: no inputs", flush=True)
        elif errors and name in expected:
            skipped += 1
            print(f"SKIP {name}: fails as expected: " + "; ".join(errors[:2]), flush=True)
        elif errors:
            failed += 1
            print(f"FAIL {name}: " + "; ".join(errors[:4]), flush=True)
        elif name in expected:
            failed += 1
            print(f"FAIL {name}: passes but is in expected-failures.txt", flush=True)
        else:
            passed += 1
            print(f"ok   {name}: compile {compile_s:.1f} s, {os.path.getsize(ktm) / 1e6:.1f} MB, {ran} runs {seconds:.1f} s", flush=True)
        if not a.work:
            os.unlink(ktm)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
