#!/usr/bin/env python3
"""Assembles PTX files with ptxas for sm_89, where it is installed: all have to be accepted, without spills
(up to 32 bytes that ptxas moves out of the way of a subroutine do not count). run_ptxas.py DIRECTORY, or
run_ptxas.py --tool kt-compile-kernel to assemble the kernels of the tests."""
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
    for path in files:
        r = subprocess.run([ptxas, '-arch=sm_89', '-v', path, '-o', os.devnull], capture_output=True, text=True)
        spills = [int(x) for x in re.findall(r'(\d+) bytes spill', r.stderr)]
        registers = re.search(r'Used (\d+) registers', r.stderr)
        if r.returncode or any(x > 32 for x in spills):
            bad += 1
            print('FAIL', os.path.basename(path), r.stderr.strip() if r.returncode else f'spills {spills}')
        elif '-v' in sys.argv:
            print('ok  ', os.path.basename(path), registers and registers[1], 'registers')
    print(f'{len(files) - bad} of {len(files)} assembled without spills')
    return 1 if bad or not files else 0


if __name__ == '__main__':
    if sys.argv[1] != '--tool':
        sys.exit(main(sys.argv[1]))
    import harness
    import run_kernels
    with tempfile.TemporaryDirectory() as out:
        harness.compile_cases([c for f in run_kernels.FAMILIES for c in f()], sys.argv[2], out)
        sys.exit(main(out))
