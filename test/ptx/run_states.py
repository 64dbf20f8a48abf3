#!/usr/bin/env python3
"""Runs models whose caches sessions keep where data says in the PTX interpreter, over a driver that does each piece of work as late as it may, and compares with numpy:
run_states.py BUILD. The models and the checks are those of test/compiler/Import."""
import importlib
import os
import subprocess
import sys
import tempfile
import fake_device

IMPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'compiler', 'Import')
sys.path.insert(0, os.path.join(IMPORT, 'Inputs'))
# A check and the arguments that take the interpreter seconds.
CASES = {'scatter-states': [((9, 2, 5), 2, 1), ((7, 1, 30), 2, 2), ((300, 1, 1100), 1, 3)], 'contrib-paged-state': [()]}
CHECKS = {'scatter-states': lambda model, sizes, runs, seed: importlib.import_module('scatter_states').check(model, *sizes, runs, seed),
          'contrib-paged-state': lambda model: importlib.import_module('paged_states').check(model)}


def attempt(gpu, build, name):
    with tempfile.TemporaryDirectory() as work:
        onnx, artifact = f'{work}/model.onnx', f'{work}/model.ktm'
        subprocess.run([f'{build}/bin/onnx-from-text', f'{IMPORT}/{name}.test', onnx], check=True)
        subprocess.run([f'{build}/bin/ktc', 'compile', onnx, '-o', artifact, '--target', 'sm_89'], check=True)
        launches, model = gpu.launches, gpu.load(artifact)
        for arguments in CASES[name]:
            CHECKS[name](model, *arguments)
        gpu.check(0)
        model.free()
        return gpu.launches - launches


def main(build):
    gpu, right = fake_device.Gpu(build), 0
    for name in CASES:
        try:
            print(f'ok   {name}: {attempt(gpu, build, name)} launches', flush=True)
            right += 1
        except Exception as e:
            print(f'FAIL {name}: {type(e).__name__}: {e}', flush=True)
    print(f'{right} of {len(CASES)} models right')
    return 0 if right == len(CASES) else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
