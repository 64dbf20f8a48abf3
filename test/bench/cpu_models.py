#!/usr/bin/env python3
"""Model folders on the CPU beside onnxruntime, two threads each, in one run.

    cpu_models.py --bin DIR FOLDER...

Both sides run inputs.npz; medians of about a second each, in turn. Needs onnxruntime and numpy. FP32 models only make the mean."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime as ort


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folders", nargs="+")
    p.add_argument("--bin", required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seconds", type=float, default=1)
    a = p.parse_args()
    ratios = []
    for folder in a.folders:
        model = os.path.join(folder, "model.onnx")
        with tempfile.TemporaryDirectory() as work:
            ktm = os.path.join(work, "m.ktm")
            t0 = time.time()
            subprocess.run([os.path.join(a.bin, "ktc"), "compile", model, "-o", ktm], check=True)
            compile_s = time.time() - t0
            inputs = os.path.join(folder, "inputs.npz")
            r = subprocess.run([os.path.join(a.bin, "ktrun"), ktm, "--device", "host", "--threads", str(a.threads), "--input", "@" + inputs,
                                "--expected", "@" + os.path.join(folder, "outputs.npz"), "--benchmark", str(a.seconds), "--benchmark-format",
                                "json"], capture_output=True, text=True)
            b = json.loads(r.stdout[r.stdout.index("{\n"):r.stdout.rindex("}") + 1])["benchmarks"][0]
            ours = b["real_time"]
        o = ort.SessionOptions()
        o.intra_op_num_threads = a.threads
        o.log_severity_level = 3
        session = ort.InferenceSession(model, o, providers=["CPUExecutionProvider"])
        feed = dict(np.load(inputs))
        for _ in range(3):
            session.run(None, feed)
        times, t0 = [], time.time()
        while time.time() - t0 < a.seconds or len(times) < 5:
            t = time.perf_counter()
            session.run(None, feed)
            times.append((time.perf_counter() - t) * 1e3)
        theirs = float(np.median(times))
        ratios.append(theirs / ours)
        print(f"{os.path.basename(folder.rstrip('/')):24} ktc {ours:8.3f} ms  onnxruntime {theirs:8.3f} ms  ratio {theirs / ours:5.2f}  "
              f"right {r.returncode == 0}  compile {compile_s:.1f} s", flush=True)
    print(f"geometric mean {np.exp(np.mean(np.log(ratios))):.2f}")


if __name__ == "__main__":
    sys.exit(main())
