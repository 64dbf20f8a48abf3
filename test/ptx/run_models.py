#!/usr/bin/env python3
"""Runs whole models in the PTX interpreter and compares with their reference outputs: run_models.py BUILD FOLDER[:PRECISION[+KVCACHE]]...

A folder of test/models is compiled for the GPU alone, so that no kernel can go to the host, and each of its sets of inputs is run by the runtime over a
driver whose kernels the interpreter executes. What one kernel leaves undone, what the program hands it, and what lies where in the arena shows here,
and races and accesses outside as everywhere. PRECISION is `model` unless given; `model+int8` has caches of INT8. The last line counts the models that are right."""
import concurrent.futures
import glob
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
import numpy as np
import fake_device

_spec = importlib.util.spec_from_file_location('e2e', os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e', 'run_models.py'))
e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e2e)


def attempt(build, folder, precision):
    """What is wrong, or None; and what was done."""
    start = time.time()
    precision, _, caches = precision.partition('+')
    gpu = fake_device.Gpu(build)
    with open(f'{folder}/model.onnx', 'rb') as f:
        quantised = re.search(rb'QuantizeLinear|QLinear|MatMulInteger|ConvInteger', f.read())
    rule = caches if caches else 'quantised' if quantised else 'fp16' if precision == 'fp16' else 'plain'
    sets = sorted(glob.glob(f'{folder}/inputs*.npz'))
    if not sets:
        return f'{folder} has no inputs', ''
    with tempfile.TemporaryDirectory() as work:
        artifact = f'{work}/model.ktm'
        compiled = subprocess.run([f'{build}/bin/ktc', 'compile', f'{folder}/model.onnx', '-o', artifact, '--target', 'sm_89', '--precision', precision, *(['--kv-cache', caches] if caches else [])],
                                  capture_output=True, text=True)
        if compiled.returncode:
            return compiled.stderr.strip(), ''
        try:
            answers = gpu.run(artifact, [dict(np.load(s)) for s in sets])
        except AssertionError as e:
            return str(e), ''
    for inputs, got in zip(sets, answers):
        want = np.load(os.path.join(folder, os.path.basename(inputs).replace('inputs', 'outputs')))
        if set(got) != set(want.files):
            return f'outputs {sorted(got)} instead of {sorted(want.files)}', ''
        for name in want.files:
            if wrong := e2e.differs(name, got[name], want[name], rule):
                return f'{os.path.basename(inputs)}: {wrong}', ''
    if not gpu.launches:
        return 'no kernel was launched', ''
    return None, f'{len(sets)} runs, {gpu.launches} launches of {len(gpu.functions)} functions in {time.time() - start:.1f} s'


def main(build, items):
    right = 0
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [(os.path.basename(folder), precision or 'model', pool.submit(attempt, build, folder, precision or 'model'))
                for folder, _, precision in (item.partition(':') for item in items)]
        for name, precision, job in jobs:
            try:
                wrong, done = job.result()
            except Exception as e:  # such as a process that was killed
                wrong, done = f'{type(e).__name__}: {e}', ''
            right += wrong is None
            print(f'ok   {name} {precision}: {done}' if wrong is None else f'FAIL {name} {precision}: {wrong}', flush=True)
    print(f'{right} of {len(items)} models right')
    return 0 if right == len(items) > 0 else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
