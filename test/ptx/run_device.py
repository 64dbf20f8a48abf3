#!/usr/bin/env python3
"""Runs every GPU kernel family on a real GPU and compares with numpy, as run_kernels.py does in the interpreter.

run_device.py compile DIR [TARGET...] [--only NAME]   writes the code (sm_89 and sm_90 unless given), with build/bin/kt-compile-kernel or $KT_COMPILE_KERNEL
run_device.py check DIR [TARGET...] [--only NAME]     needs Python, numpy, libcuda and what `compile` wrote, nothing else of the build

`check` runs the code for sm_89, which the driver compiles for newer cards, and that for the card itself, unless given; it has to be there. With
`--only`, to both, the cases of names that have NAME in them. Cases run in
processes of their own, since an illegal access ends all that its process can do with the device: what crashed, hangs or was not run is named and
counts as wrong. The status is 0 when all was run and right."""
import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import harness
import report
import run_kernels
from device import CudaError, Device

SELF = [sys.executable, os.path.abspath(__file__)]
LONGEST = 120  # seconds without a word of a case; most take a hundredth of one


def run(folder, first, only):
    """The process that has the device: a line of JSON when a case begins and one when it ends, for the cases from number `first` on."""
    cases = run_kernels.all_cases(run_kernels.families(only))
    kernels = harness.load_kernels(cases, folder)
    gpu = Device()
    runner = gpu.runner(folder)
    for c in cases[first:]:
        print(json.dumps({'begins': c.name}), flush=True)
        try:
            runs_here = c.target in ('', f'sm_{gpu.capability}a')  # others are code for another generation alone
            answer = {'ends': c.name, 'runs': harness.run_case(c, kernels[c.name], runner, os.path.basename(folder)) if runs_here else 0}
        except Exception as e:
            answer = {'ends': c.name, 'error': str(e) if isinstance(e, AssertionError) else f'{c.name}: {type(e).__name__}: {e}'}
            print(json.dumps(answer), flush=True)
            if isinstance(e, CudaError) or isinstance(e.__cause__, CudaError):
                return 3
            continue
        print(json.dumps(answer), flush=True)
    return 0


def lines(process, longest):
    """What the process prints, line by line; None where it says nothing for `longest` seconds."""
    said = queue.Queue()

    def read():
        for line in process.stdout:
            said.put(line)
        said.put('')
    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = said.get(timeout=longest)
        except queue.Empty:
            yield None
            return
        if not line:
            return
        yield line


def outcomes(command, cases, longest=LONGEST):
    """Runs all cases by `command` and the number of the first one, in a new process after each that took its process down."""
    numbers, next_case = {c.name: i for i, c in enumerate(cases)}, 0
    while next_case < len(cases):
        began, silent, before = None, False, next_case
        with subprocess.Popen([*command, str(next_case)], stdout=subprocess.PIPE, text=True) as process:
            for line in lines(process, longest):
                if line is None:
                    process.kill()
                    silent = True
                    break
                said = json.loads(line)
                if began := said.get('begins'):
                    continue
                next_case = numbers[said['ends']] + 1
                yield report.Outcome(said['ends'], said.get('runs', 0), said.get('error'))
            status = process.wait()
        if began:
            yield report.Outcome(began, error=f"{began}: {f'no answer in {longest} s' if silent else f'its process ended with {status}'}")
            next_case = numbers[began] + 1
        elif next_case == before:
            return  # the process cannot even begin, and said why; what did not run is reported as such


def check(folder, targets, only):
    text = subprocess.run([*SELF, 'about'], capture_output=True, text=True)
    if text.returncode:
        print('FAIL', text.stderr.strip().splitlines()[-1])
        return 1
    about = json.loads(text.stdout)
    own = f"sm_{about['capability']}"
    print(f"{about['name']}, {own}, {about['sms']} multiprocessors")
    of, failed = run_kernels.families(only), 0
    cases = run_kernels.all_cases(of)
    for target in targets or dict.fromkeys(['sm_89', own]):
        if not os.path.exists(f'{folder}/{target}/kernels.json'):
            print(f'FAIL {target}: {folder} has no code for it; run_device.py compile {folder} sm_89 {own}')
            failed = 1
            continue
        print(f'== code for {target}')
        seen = []
        for o in outcomes([*SELF, 'run', f'{folder}/{target}', '--only', only, '--first'], cases):
            seen.append(o)
            if o.error:
                print('FAIL', o.error, flush=True)
        failed |= report.summary(of, harness.load_kernels(cases, f'{folder}/{target}'), seen, 'kernels right on the device')
    return failed


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('mode', choices=['compile', 'check', 'run', 'about'])
    parser.add_argument('folder', nargs='?', default='')
    parser.add_argument('targets', nargs='*')
    parser.add_argument('--only', default='')
    parser.add_argument('--first', type=int, default=0)
    a = parser.parse_args(argv[1:])
    if a.mode == 'about':
        gpu = Device()
        print(json.dumps({'name': gpu.name, 'capability': gpu.capability, 'sms': gpu.sms}))
        return 0
    if not a.folder:
        parser.error('no folder')
    if a.mode == 'run':
        return run(a.folder, a.first, a.only)
    if a.mode == 'check':
        return check(a.folder, a.targets, a.only)
    tool = os.environ.get('KT_COMPILE_KERNEL', 'build/bin/kt-compile-kernel')
    cases = run_kernels.all_cases(run_kernels.families(a.only))
    for target in a.targets or ['sm_89', 'sm_90']:
        harness.compile_cases(cases, tool, f'{a.folder}/{target}', target)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
