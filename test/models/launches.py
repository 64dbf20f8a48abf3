#!/usr/bin/env python3
"""Counts the kernels that models launch: launches.py KTC MODELS TABLE. A line of TABLE after `BOUNDS:` is the folder of a model, how many launches a run of it
has at the most, and what they are. Those that only the first run makes do not count. A softmax that is a kernel has scores in memory, and is wrong."""
import re
import subprocess
import sys


def launches(ktc, model):
    """Of a run, and kernels that are a softmax."""
    kernels = subprocess.run([ktc, 'compile', model, '-o', '-', '--compile-to=kernels'], capture_output=True, text=True)
    if kernels.returncode:
        raise SystemExit(f'{model}: {kernels.stderr}')
    found = [line for line in kernels.stdout.splitlines() if ' kt.launch @' in line]
    return sum(not re.search(r'\{[^{}]*\bonce\b[^{}]*\}', line) for line in found), len(re.findall(r'kt\.normalize +softmax', kernels.stdout))


def main(ktc, models, table):
    with open(table) as f:
        bounds = re.findall(r'^BOUNDS: +(\w+) +(\d+)\b', f.read(), re.M)
    wrong = 0
    for name, most in bounds:
        count, scores = launches(ktc, f'{models}/{name}/model.onnx')
        verdict = 'FEWER, which the table may say' if 0 < count < int(most) else 'ok' if count == int(most) else 'MORE' if count else 'NONE'
        verdict = 'SCORES' if scores else verdict
        wrong += verdict in ('MORE', 'NONE', 'SCORES')
        print(f'{name}: {count} launches, {most} at the most: {verdict}')
    print(f'{len(bounds) - wrong} of {len(bounds)} right')
    return 0 if bounds and not wrong else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
