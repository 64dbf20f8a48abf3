#!/usr/bin/env python3
"""Writes docs/operators.md from the importer's tables and the results of ONNX's own tests, and holds every operator to being tested.

    write_operators.py --bin DIR --results FILE --cases DIR... [--check]

`--check` compares with the file in the tree instead. An operator that import defines has to be in a case that is right, or in a test under test/. The last
line is `N passed, N failed, N skipped`."""
import argparse
import collections
import difflib
import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "operators.md")


def read_operators(bin_folder):
    """{name: (whether import defines it, the operator sets that it changed in)}"""
    listing = subprocess.run([os.path.join(bin_folder, "kt-import"), "--operators"], check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in listing.splitlines()]
    return {name: (mark == "+", [int(v) for v in versions]) for mark, name, *versions in lines}


def read_tests():
    """{operator: the first test under test/ that has it}, of those in ONNX's textual syntax."""
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "test", "**", "*.test"), recursive=True)):
        model = "".join(line for line in open(path) if not line.startswith("#"))
        for name in re.findall(r"= *([A-Za-z][\w.]*) *[<(]", model):
            found.setdefault(name, os.path.relpath(path, ROOT))
    return found


class Tally:
    """What became of the cases that are one operator, and the operators of those that are right."""

    def __init__(self, results_file, folders):
        self.counts = collections.defaultdict(collections.Counter)  # operator -> outcome -> cases
        self.reasons = collections.defaultdict(list)
        self.right = set()
        self.totals = []
        results = json.load(open(results_file))
        for folder in folders:
            index = json.load(open(os.path.join(folder, "index.json")))
            total = collections.Counter()
            for name, (outcome, _, *reason) in results[index["package"]].items():
                case = index["cases"][name]
                total[outcome] += 1
                if outcome == "right":
                    self.right.update(case["operators"])
                if case["kind"] != "node" or case["nodes"] != 1 or "_expanded" in name:
                    continue
                for operator in case["operators"] if len(case["operators"]) == 1 else [o for o in case["operators"] if o in ("If", "Loop", "Scan", "SequenceMap")]:
                    self.counts[operator][outcome] += 1
                    if reason and reason[0] not in self.reasons[operator]:
                        self.reasons[operator].append(reason[0])
            self.totals.append((index["package"], index["opset"], total))


def sets_of(versions):
    return ", ".join(f"removed in {-v}" if v < 0 else str(v) for v in versions)


def row(name, versions, tally, tests):
    counts = tally.counts[name]
    cases = f"{counts['right']} of {sum(counts.values())}" if counts else "in models" if name in tally.right else f"`{os.path.basename(tests[name])}`" if name in tests else ""
    return f"| {name} | {sets_of(versions)} | {cases} | {' '.join(tally.reasons[name])} |"


def page(operators, tally, tests):
    lines = ["# Operators", "",
             "Written by `test/onnx/write_operators.py` from the importer's tables and the results of the tests that the `onnx` package brings along; `test/run.sh onnx`",
             "says where it is out of date. What is not supported is refused by name when a model is compiled, never ignored.", ""]
    for package, opset, total in tally.totals:
        lines.append(f"- onnx {package}, operator set {opset}: {total['right']} of {sum(total.values())} cases are right, "
                     f"{total['refused']} are refused, {total['wrong'] + total['failed'] + total['died']} differ")
    newest = max(opset for _, opset, _ in tally.totals)
    lines += ["", "Cases that two releases have alike count once, for the newer one. `test/onnx/expected-failures.txt` has the cases that are not right, with their reasons.", "",
              "## The standard's operators", "",
              f"The operator sets are those that an operator changed in; all from the first to {newest} are supported. The tests are ONNX's cases of that operator alone; its functions",
              "written out (`_expanded`) are run as well.", "", "| operator | operator sets | tests right | not supported |", "|---|---|---|---|"]
    defined = {n: v for n, (is_defined, v) in operators.items() if is_defined}
    lines += [row(n, v, tally, tests) for n, v in defined.items() if "." not in n]
    lines += ["", "## com.microsoft", "", "Attributes and inputs that are not understood are errors that name them.", "", "| operator | test |", "|---|---|"]
    lines += [f"| {n.removeprefix('com.microsoft.')} | `{os.path.basename(tests.get(n, ''))}` |" for n in defined if n.startswith("com.microsoft.")]
    # Removed ones whose last words are not "removed" are deprecated as of the newest operator set.
    missing = [n for n, (is_defined, v) in operators.items() if not is_defined and v[-1] > 0]
    lines += ["", "## The standard's operators that are not supported", "", ", ".join(missing), ""]
    return "\n".join(lines)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", required=True)
    p.add_argument("--results", required=True)
    p.add_argument("--cases", nargs="+", required=True, metavar="DIR")
    p.add_argument("--check", action="store_true")
    a = p.parse_args()
    operators, tally, tests = read_operators(a.bin), Tally(a.results, a.cases), read_tests()
    passed, untested = 0, []
    for name, (is_defined, _) in operators.items():
        tested = name in tally.right or name in tests
        passed += is_defined and tested
        untested += [name] if is_defined and not tested else []
    for name in untested:
        print(f"FAIL {name}: no case that is right and no test has it")
    failed, text = len(untested), page(operators, tally, tests)
    if a.check:
        found = open(PAGE).read() if os.path.exists(PAGE) else ""
        if found == text:
            passed += 1
        else:
            failed += 1
            print("FAIL docs/operators.md is out of date: write it again with test/onnx/write_operators.py (CONTRIBUTING.md has the command)")
            print("\n".join(list(difflib.unified_diff(found.splitlines(), text.splitlines(), "docs/operators.md", "now", lineterm="", n=0))[:20]))
    else:
        with open(PAGE, "w") as f:
            f.write(text)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
