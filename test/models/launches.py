#!/usr/bin/env python3
"""Counts the kernels that models launch: launches.py KTC MODELS TABLE. A line of TABLE after `BOUNDS:` is the folder of a model, how many launches a run of it
has at the most, and what they are. Those that only the first run makes do not count. A softmax that is a kernel has scores in memory, and is wrong; so is what
each of two layers moves: an expanded head, a transposed operand. What puts something beside an input (a cache) is no such move."""
import re
import subprocess
import sys


def moves(kernel):
    """Whether the kernel computes no number: its body has indices and a read of floats."""
    body = kernel.partition('= kt.generic')[2]
    work = re.findall(r' = ((?:kt|arith|math)\.\w+)', body)
    computes = [op for op in work if op.startswith('math.') or re.fullmatch(r'arith\.(\w+f|\w+tofp|fpto\w+)', op)]
    other = re.search(r'kt\.(matmul|conv|attention|normalize|reduce|scan)\b', kernel)
    return bool(re.search(r'kt\.read .* -> b?f\d+$', body, re.M)) and not computes and not other


def launches(ktc, model):
    """Of a run; kernels that are a softmax; and launches of those that only move numbers that the model has computed."""
    kernels = subprocess.run([ktc, 'compile', model, '-o', '-', '--compile-to=kernels'], capture_output=True, text=True)
    if kernels.returncode:
        raise SystemExit(f'{model}: {kernels.stderr}')
    found = [line for line in kernels.stdout.splitlines() if ' kt.launch @' in line and not re.search(r'\{[^{}]*\bonce\b[^{}]*\}', line)]
    movers = {name for name, text in re.findall(r'^  kt\.kernel @(\w+) (.*?)^  \}', kernels.stdout, re.M | re.S) if moves(text)}
    moved = sum(re.search(r'@(\w+)', line)[1] in movers and '%arg' not in line for line in found)
    return len(found), len(re.findall(r'kt\.normalize +softmax', kernels.stdout)), moved


def main(ktc, models, table):
    with open(table) as f:
        bounds = re.findall(r'^BOUNDS: +(\w+) +(\d+)\b', f.read(), re.M)
    wrong = 0
    for name, most in bounds:
        count, scores, moved = launches(ktc, f'{models}/{name}/model.onnx')
        verdict = 'FEWER, which the table may say' if 0 < count < int(most) else 'ok' if count == int(most) else 'MORE' if count else 'NONE'
        verdict = 'SCORES' if scores else 'MOVES' if moved > 1 else verdict
        wrong += verdict in ('MORE', 'NONE', 'SCORES', 'MOVES')
        print(f'{name}: {count} launches, {most} at the most: {verdict}')
    print(f'{len(bounds) - wrong} of {len(bounds)} right')
    return 0 if bounds and not wrong else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
