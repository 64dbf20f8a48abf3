#!/usr/bin/env python3
"""Gives ktc and ktrun what they should refuse: each case has to end with the contract's exit status and one clear error, never with a
crash, and leave nothing behind. Then mutates small models and artifacts, with a fixed seed, and asks only that nothing crashes: bytes anywhere, and numbers and names of
models that stay well-formed.

    run_hostile.py --bin DIR [--mutations N] [--seed N] [NAME]

The last line is `N passed, N failed, N skipped`."""
import argparse
import io
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import numpy as np

import cases_bounds
import cases_files
import cases_ktc
import cases_ktrun
import cases_limits
import cases_standard
import onnxwire

MEMORY = 6 << 30  # address space of a program under test


def limits(file_bytes=None, memory=MEMORY, default_signals=False):
    def apply():
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        if default_signals:  # Python ignores some, and children inherit that
            for number in (signal.SIGXFSZ, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
        elif file_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return apply


class Bench:
    """A folder to work in and the programs under test."""

    def __init__(self, bin_folder, sanitised):
        self.bin, self.memory = os.path.abspath(bin_folder), None if sanitised else MEMORY
        self.dir = tempfile.mkdtemp(prefix="kt-hostile-")

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def full_device(self):
        """A link to the device on which every write fails."""
        if not os.path.lexists(self.path("full")):
            os.symlink("/dev/full", self.path("full"))
        return self.path("full")

    def npz(self, name, **arrays):
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return self.write(name, buffer.getvalue())

    def command(self, *command):
        return [os.path.join(self.bin, command[0]), *command[1:]]

    def shell(self, script):
        """Runs a script with the programs on PATH."""
        return self._run(["bash", "-c", script], None, None)

    def run(self, *command, file_bytes=None, memory=None, stdout=None, default_signals=False):
        return self._run(self.command(*command), file_bytes, memory, stdout, default_signals)

    def _run(self, command, file_bytes, memory, stdout=None, default_signals=True):
        try:
            return subprocess.run(command, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", timeout=300, cwd=self.dir,
                                  preexec_fn=limits(file_bytes, memory or self.memory, default_signals or stdout is not None),
                                  env={**os.environ, "PATH": self.bin + ":" + os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"})
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, -999, "", "no answer within 300 s")


def wrong(result, status, message):
    """What is wrong with an answer, or None."""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    if "internal error" in result.stderr:
        return f"crashed: {result.stderr.strip()[:300]}"
    if result.returncode != status:
        return f"exit status {result.returncode}, expected {status}: {result.stderr.strip()[:300]}"
    if status and not message.startswith("(?s)") and len(errors) != 1:
        return f"{len(errors)} errors, expected one: {result.stderr.strip()[:300]}"
    if not re.search(message, result.stderr):
        return f"expected /{message}/ but got: {result.stderr.strip()[:300]}"
    return None


def mutate(data, rng):
    """Some bytes changed, or a part cut out, doubled or moved."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not data:
            break
        kind, at = rng.randrange(6), rng.randrange(len(data))
        end = min(len(data), at + rng.choice((1, 2, 4, 16, 64)))
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del data[at:end]
        elif kind == 3:
            data[at:at] = data[at:end]
        elif kind == 4:
            data[at:end] = bytes(rng.randrange(256) for _ in range(end - at))
        else:
            to = rng.randrange(len(data))
            data[to:to + end - at] = data[at:end]
    return bytes(data)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", required=True)
    p.add_argument("--mutations", type=int, default=400, help="models with changed bytes; as many with changed numbers, as many artifacts")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--sanitised", action="store_true", help="the programs reserve terabytes of addresses: do not limit them")
    p.add_argument("--keep", help="copy what made a program crash into this folder")
    p.add_argument("only", nargs="?", default="", help="run the cases whose name holds this")
    a = p.parse_args()
    bench = Bench(a.bin, a.sanitised)
    passed = failed = skipped = 0

    def report(name, problem):
        nonlocal passed, failed
        passed, failed = passed + (not problem), failed + bool(problem)
        if problem:
            print(f"FAIL {name}: {problem}", flush=True)

    try:
        groups = [cases_ktc, cases_standard, cases_ktrun, cases_files, cases_limits, cases_bounds]
        for name, case in [case for group in groups for case in group.cases()]:
            if a.only not in name:
                continue
            for left in ("bad.ktm", "bad.npz"):
                if os.path.lexists(bench.path(left)):
                    os.unlink(bench.path(left))
            outcome = case(bench)
            if outcome == "skip":
                skipped += 1
                print(f"SKIP {name}", flush=True)
                continue
            result, status, message = outcome[:3]
            problem = wrong(result, status, message)
            for left in outcome[3:]:
                if not problem and os.path.exists(bench.path(left)):
                    problem = f"left '{left}' behind"
            report(name, problem)

        def crashed(name, result, allowed, data):
            problem = None
            if result.returncode not in allowed:
                problem = f"exit status {result.returncode}, expected one of {allowed}: {result.stderr.strip()[-300:]}"
            elif result.returncode and "error:" not in result.stderr:
                problem = f"exit status {result.returncode} without an error"
            elif "internal error" in result.stderr:
                problem = f"crashed: {result.stderr.strip()[-300:]}"
            if problem and a.keep:
                os.makedirs(a.keep, exist_ok=True)
                with open(os.path.join(a.keep, name.replace(" ", "-")), "wb") as f:
                    f.write(data)
            report(name, problem)

        rng = random.Random(a.seed)
        models = cases_ktc.good_models()
        for i in range(a.mutations):
            kind = rng.choice(sorted(models))
            data, name = mutate(models[kind], rng), f"mutated model {i} of {kind}"
            if a.only in name:
                phase = [] if i % 8 == 0 else ["--compile-to=kernels"]
                bench.write("m.onnx", data)
                crashed(name, bench.run("ktc", "compile", "m.onnx", "-o", "m.out", *phase), (0, 1), data)
        for i in range(a.mutations):
            kind, name = rng.choice(sorted(models)), f"warped model {i}"
            data = onnxwire.warped(lambda: cases_ktc.good_models()[kind], rng)
            name += f" of {kind}"
            if a.only in name:
                phase = [] if i % 8 == 0 else ["--compile-to=kernels"]
                bench.write("m.onnx", data)
                crashed(name, bench.run("ktc", "compile", "m.onnx", "-o", "m.out", *phase), (0, 1), data)
        artifact = cases_ktrun.artifact(bench)
        good = open(artifact, "rb").read()
        for i in range(a.mutations):
            data, name = mutate(good, rng), f"mutated artifact {i}"
            if a.only in name and data != good:
                bench.write("m.ktm", data)
                crashed(name, bench.run("ktrun", "m.ktm", "--device", "host", "--input", "x=2x4xf32=1"), (4,), data)
    finally:
        shutil.rmtree(bench.dir, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
