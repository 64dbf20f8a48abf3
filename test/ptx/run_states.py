#!/usr/bin/env python3
"""Runs models whose caches sessions keep where data says in the PTX interpreter, over a driver that does each piece of work as late as it may, and compares with numpy:
run_states.py BUILD. The models and the checks are those of test/compiler/Import; what is refused is refused as on the host."""
import os
import subprocess
import sys
import tempfile
import fake_device

IMPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'compiler', 'Import')
sys.path.insert(0, os.path.join(IMPORT, 'Inputs'))
import paged_latent
import paged_states
import scatter_states
from sessions import Model

# A model, what checks it, and the arguments of which the interpreter takes seconds.
CASES = [('scatter-states', scatter_states, [(9, 2, 5, 2, 1), (7, 1, 30, 2, 2), (300, 1, 1100, 1, 3)]), ('contrib-paged-state', paged_states, [()]),
         ('contrib-paged-latent', paged_latent, [()])]


def attempt(gpu, build, name, checks, arguments):
    with tempfile.TemporaryDirectory() as work:
        onnx, artifact = f'{work}/model.onnx', f'{work}/model.ktm'
        subprocess.run([f'{build}/bin/onnx-from-text', f'{IMPORT}/{name}.test', onnx], check=True)
        subprocess.run([f'{build}/bin/ktc', 'compile', onnx, '-o', artifact, '--target', 'sm_89'], check=True)
        launches, model = gpu.launches, gpu.load(artifact)
        for each in arguments:
            checks.check(model, *each)
        if hasattr(checks, 'refusals'):
            said, host = checks.refusals(model), Model(gpu.runtime, artifact)
            assert said == checks.refusals(host) and len(said) == 2, said
            host.free()
        if hasattr(checks, 'check_large'):
            checks.check_large(model, lambda: gpu.threads)
        gpu.check(0)
        model.free()
        return gpu.launches - launches


def main(build):
    gpu, right = fake_device.Gpu(build), 0
    for name, checks, arguments in CASES:
        try:
            print(f'ok   {name}: {attempt(gpu, build, name, checks, arguments)} launches', flush=True)
            right += 1
        except Exception as e:
            print(f'FAIL {name}: {type(e).__name__}: {e}', flush=True)
    print(f'{right} of {len(CASES)} models right')
    return 0 if right == len(CASES) else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
