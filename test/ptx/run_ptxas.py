#!/usr/bin/env python3
"""Assembles PTX files with ptxas, where it is installed, each for the target that it names: all have to be accepted, without a spill
or asynchronous products made one after the other.
run_ptxas.py DIRECTORY assembles those of a folder, run_ptxas.py --tool kt-compile-kernel the kernels of the tests,
run_ptxas.py --models BIN FOLDER... what ktc makes of the models of these folders, as written and in FP16, and
run_ptxas.py --targets BIN FOLDER... the same in FP16 for every target that `ktc compile --help` offers."""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile


def main(folder):
    ptxas = shutil.which('ptxas') or shutil.which('/usr/local/cuda/bin/ptxas')
    if not ptxas:
        print('no ptxas here')
        return 0
    bad = 0
    files = sorted(glob.glob(f'{folder}/*.ptx'))

    def assemble(path):
        with open(path) as f:
            target = re.search(r'^\.target (\w+)', f.read(), re.M)[1]
        return subprocess.run([ptxas, f'-arch={target}', '-v', path, '-o', os.devnull], capture_output=True, text=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(assemble, files))
    for path, r in zip(files, results):
        spills = [int(x) for x in re.findall(r'(\d+) bytes spill', r.stderr)]
        registers = re.search(r'Used (\d+) registers', r.stderr)
        serialized = 'serialized' in r.stderr  # a warning: warpgroups wait for each of their products
        if r.returncode or any(spills) or serialized:
            bad += 1
            print('FAIL', os.path.basename(path), r.stderr.strip() if r.returncode or serialized else f'spills {spills}')
        elif '-v' in sys.argv:
            print('ok  ', os.path.basename(path), registers and registers[1], 'registers')
    print(f'{len(files) - bad} of {len(files)} assembled without spills')
    return 1 if bad or not files else 0


def assemble_model(bin, folder, precision, targets):
    with tempfile.TemporaryDirectory() as out:
        artifact = f'{out}/model.ktm'
        subprocess.run([f'{bin}/ktc', 'compile', f'{folder}/model.onnx', '-o', artifact, '--target', ','.join(targets), '--precision', precision],
                       check=True)
        subprocess.run([f'{bin}/ktc', 'inspect', artifact, '--extract', out], check=True, stdout=subprocess.DEVNULL)
        print(os.path.basename(folder), precision, *targets, flush=True)
        return main(out)


def models(bin, folders):
    """Full and half precision are different kernels; the rest of the options are not."""
    return max(assemble_model(bin, folder, precision, ['sm_89', 'sm_90a']) for folder in folders for precision in ('model', 'fp16'))


def targets(bin, folders):
    text = subprocess.run([f'{bin}/ktc', 'compile', '--help'], check=True, capture_output=True, text=True).stdout
    offered = re.search(r'--target.*?\n +--', text, re.S)[0].split('(')[0]
    names = re.findall(r'sm_\d+a?', offered)
    return max(assemble_model(bin, folder, 'fp16', [name]) for folder in folders for name in names) if names else 1


if __name__ == '__main__':
    if sys.argv[1] == '--models':
        sys.exit(models(sys.argv[2], sys.argv[3:]))
    if sys.argv[1] == '--targets':
        sys.exit(targets(sys.argv[2], sys.argv[3:]))
    if sys.argv[1] != '--tool':
        sys.exit(main(sys.argv[1]))
    import harness
    import run_kernels
    with tempfile.TemporaryDirectory() as out:
        harness.compile_cases(run_kernels.all_cases(run_kernels.families()), sys.argv[2], out)
        sys.exit(main(out))
