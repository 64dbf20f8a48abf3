#!/usr/bin/env python3
"""Compiles and runs ONNX's own tests and compares with their reference outputs.

    run_nodes.py --bin DIR --cases DIR... [--only PATTERN] [--results FILE]       compile and run
    run_nodes.py --bin DIR --cases DIR... --compile-only DIR [--target sm_89]...  prepare a folder for another machine,
    DIR/run_nodes.py --run-only DIR [--device cuda:0]                             which needs Python with numpy only

The cases are folders that write_cases.py wrote. expectations.py says what `expected-failures.txt` means. The last line is `N passed, N failed,
N skipped`; what fails as expected counts as skipped."""
import argparse
import collections
import fnmatch
import json
import os
import shutil
import sys
import tempfile
import time

import compare
import expectations
import kt_runtime
import numpy as np
import workers

HERE = os.path.dirname(os.path.abspath(__file__))


class Suite:
    """The cases of one version of the package."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "index.json")) as f:
            index = json.load(f)
        self.version, self.opset, self.cases = index["package"], index["opset"], index["cases"]

    def path(self, name):
        return os.path.join(self.folder, name)


def run_case(runtime, suite, name, artifact, device, tables, loaded):
    """The outcome of a case and what there is to say of it."""
    case, data = suite.cases[name], np.load(suite.path(name + ".npz"))
    model = runtime.load(artifact, device, 1)
    if not loaded:
        loaded.append(runtime.load(artifact, device, 1))  # the GPU's context lives as long as any model does
    errors = []
    try:
        for number, run in enumerate(case["runs"]):
            inputs = [(port, kind, data[f"{number}.i{i}"]) for i, (port, kind) in enumerate(run["inputs"])]
            outputs = {port: (kind, array) for port, kind, array in model.run(inputs)}
            for i, (port, kind) in enumerate(run["outputs"]):
                got_kind, got = outputs.get(port, ("nothing", None))
                if got_kind != kind:
                    errors.append(f"{port}: expected {kind} but got {got_kind}")
                    continue
                error = compare.differs(port, got, data[f"{number}.o{i}"], kind, case["rtol"], case["atol"], tables)
                errors += [error] if error else []
    finally:
        model.close()
    return ("wrong", "; ".join(errors[:2])) if errors else ("right", model.device)


def serve(a):
    """A worker: reads `FOLDER<tab>NAME<tab>ARTIFACT`, answers [outcome, message]."""
    runtime, suites, loaded = kt_runtime.Runtime(a.library), {}, []
    for line in sys.stdin:
        folder, name, artifact = line.rstrip("\n").split("\t")
        if folder not in suites:
            suite = Suite(folder)
            suites[folder] = suite, dict(np.load(suite.path("tables.npz")))
        try:
            answer = run_case(runtime, suites[folder][0], name, artifact, a.device, suites[folder][1], loaded)
        except kt_runtime.Failure as failure:
            answer = ("failed", str(failure))
        print(json.dumps(answer), flush=True)


def compile_all(a, suites, folder):
    """Compiles every chosen case; answers {(version, name): error or None}."""
    lines = {}
    for suite in suites:
        os.makedirs(os.path.join(folder, suite.version), exist_ok=True)
        for name in chosen(a, suite):
            lines[f"{suite.path(name)}.onnx\t{artifact_of(folder, suite, name)}"] = (suite.version, name)
    start = time.time()
    answers = workers.ask_all([os.path.join(a.bin, "kt-compile-many"), *a.target], lines, a.jobs)
    print(f"compiled in {time.time() - start:.0f} s", flush=True)
    result = {}
    for line, (answer, death) in answers.items():
        result[lines[line]] = ["died", "the compiler: " + death] if death else None if answer == "ok" else ["refused", answer.partition("\t")[2]]
    return result


def chosen(a, suite):
    return [name for name in suite.cases if fnmatch.fnmatchcase(name, a.only)]


def artifact_of(folder, suite, name):
    return os.path.join(folder, suite.version, name + ".ktm")


def run_all(a, suites, folder, refused):
    """Runs what compiled; answers {(version, name): [outcome, message]}."""
    lines, results = {}, {}
    for suite in suites:
        for name in chosen(a, suite):
            key = (suite.version, name)
            if refused[key]:
                results[key] = refused[key]
            elif tensors_only(suite.cases[name]):
                lines[f"{suite.folder}\t{name}\t{artifact_of(folder, suite, name)}"] = key
            else:
                results[key] = ["failed", "the reference is no tensor, but the model was compiled"]
    start = time.time()
    command = [sys.executable, os.path.join(HERE, "run_nodes.py"), "--serve", "--library", a.library, "--device", a.device]
    # A fault on a GPU ends its context: what is asked of the same process afterwards fails, too.
    spoilt = lambda answer: a.device != "host" and answer is not None and not answer.startswith('["right"')
    for line, (answer, death) in workers.ask_all(command, lines, a.jobs, spoilt=spoilt).items():
        results[lines[line]] = ["died", "the run: " + death] if death else json.loads(answer)
    print(f"ran in {time.time() - start:.0f} s", flush=True)
    return results


def tensors_only(case):
    return all(kind in kt_runtime.TYPES and kind != "string" for run in case["runs"] for side in run.values() for _, kind in side)


def report(a, suites, results):
    """Prints what is not as expected; answers how many cases passed, failed and were skipped."""
    blocks = expectations.read(os.path.join(HERE, "expected-failures.txt"))
    device = "host" if a.device == "host" else "cuda"
    passed = failed = skipped = 0
    devices = collections.Counter(message for outcome, message, *_ in results.values() if outcome == "right")
    print("right on " + ", ".join(f"{name}: {n}" for name, n in devices.items()))
    for suite in suites:
        counts = collections.Counter()
        for name in chosen(a, suite):
            outcome, message = results[suite.version, name]
            counts[outcome] += 1
            block, problem = expectations.explain(blocks, name, {suite.version, device}, outcome, message)
            passed, failed, skipped = passed + (outcome == "right" and not problem), failed + bool(problem), skipped + bool(block)
            if block:
                results[suite.version, name].append(block.reason)
            if problem:
                print(f"FAIL {suite.version} {name}: {problem}")
        print(f"onnx {suite.version}, operator set {suite.opset}: " + ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items(), key=lambda c: -c[1])))
    if a.only == "*":
        for pattern in expectations.unused(blocks, {device, *(s.version for s in suites)}):
            failed += 1
            print(f"FAIL expected-failures.txt: '{pattern}' takes in no case that fails so")
    return passed, failed, skipped


def prepare(a, suites, refused):
    """Puts beside the artifacts what another machine needs."""
    for suite in suites:
        target = os.path.join(a.compile_only, "cases", suite.version)
        os.makedirs(target, exist_ok=True)
        for name in ["index.json", "tables.npz", *(n + ".npz" for n in chosen(a, suite) if not refused[suite.version, n])]:
            shutil.copy(suite.path(name), target)
    for name in ("run_nodes.py", "kt_runtime.py", "compare.py", "workers.py", "expectations.py", "expected-failures.txt"):
        shutil.copy(os.path.join(HERE, name), a.compile_only)
    shutil.copy(os.path.realpath(a.library), os.path.join(a.compile_only, "libktrt.so"))
    with open(os.path.join(a.compile_only, "refused.json"), "w") as f:
        json.dump([[version, name, error] for (version, name), error in refused.items()], f)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", help="where kt-compile-many is; the library is in ../lib")
    p.add_argument("--library", help="libktrt.so")
    p.add_argument("--cases", nargs="+", default=[], metavar="DIR")
    p.add_argument("--only", default="*", metavar="PATTERN")
    p.add_argument("--target", action="append", default=[], help="for what to compile; host unless given")
    p.add_argument("--device", default="host", help="host or cuda:N")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--results", metavar="FILE", help="write every outcome there")
    p.add_argument("--compile-only", metavar="DIR")
    p.add_argument("--run-only", metavar="DIR")
    p.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    a = p.parse_args()
    a.target = a.target or ["host"]
    a.library = a.library or (os.path.join(a.run_only, "libktrt.so") if a.run_only else os.path.join(a.bin or "", "..", "lib", "libktrt.so"))
    if a.serve:
        return serve(a)
    work = a.run_only or a.compile_only or tempfile.mkdtemp(prefix="kt-onnx-")
    try:
        if a.run_only:
            suites = [Suite(os.path.join(work, "cases", v)) for v in sorted(os.listdir(os.path.join(work, "cases")))]
            with open(os.path.join(work, "refused.json")) as f:
                refused = {(version, name): error for version, name, error in json.load(f)}
        else:
            suites = [Suite(folder) for folder in a.cases]
            refused = compile_all(a, suites, work)
        if a.compile_only:
            return prepare(a, suites, refused)
        results = run_all(a, suites, work, refused)
    finally:
        if not (a.run_only or a.compile_only):
            shutil.rmtree(work, ignore_errors=True)
    passed, failed, skipped = report(a, suites, results)
    if a.results:
        with open(a.results, "w") as f:
            json.dump({suite.version: {n: results[suite.version, n] for n in chosen(a, suite)} for suite in suites}, f, indent=0)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
