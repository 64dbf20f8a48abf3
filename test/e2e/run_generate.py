#!/usr/bin/env python3
"""Language models with caches write the same tokens wherever their caches are: run_generate.py --bin BIN [--device cuda:0] [--target sm_89,host] [--kv-cache int8] FOLDER...

Each FOLDER has a model.onnx, or folders with one; models without caches are left out. What the host writes greedily with caches that go in and out of each run
is what all others have to write: caches in one piece of memory and in pages, room for a number of tokens that is no multiple of anything, a prompt in pieces, guesses, and the
next token chosen by the model. The last line is `N passed, N failed, N skipped`, in ways and, of those that a model cannot have, ways that it refused."""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

PROMPT, NEW = (3, 5, 7), 61  # 64 together, which is what small models have room for
WAYS = {'in place': [], 'plain': ['--plain'], 'pieces': ['--piece', '2'], 'capacity': ['--capacity', '77'], 'guesses': ['--guess', '3', '--lookup', '1'], 'pages': ['--pages', '0'],
        'no graphs': ['--no-graphs']}


def models(folders):
    for folder in folders:
        yield from sorted(os.path.dirname(path) for path in glob.glob(f'{folder}/model.onnx') + glob.glob(f'{folder}/*/model.onnx'))


def generate(options, artifact, device, *more):
    command = [f'{options.bin}/ktrun', 'generate', artifact, '--device', device, '--tokens', ','.join(map(str, PROMPT)), '--max-new', str(NEW), '--stop', '', '--format', 'json', *more]
    run = subprocess.run(command, capture_output=True, text=True)
    return json.loads(run.stdout)['tokens'] if run.returncode == 0 else run.stderr.strip()


def check(options, folder, work):
    """How many ways are right, are not and are refused; none where the model generates nothing."""
    name, right, wrong, refused = os.path.basename(folder), 0, 0, 0
    for greedy in False, True:
        artifact = f'{work}/model.ktm'
        sample = ['--sample', 'greedy'] if greedy else []
        sample += ['--kv-cache', options.kv_cache] if options.kv_cache else []
        done = subprocess.run([f'{options.bin}/ktc', 'compile', f'{folder}/model.onnx', '-o', artifact, '--target', options.target, *sample], capture_output=True, text=True)
        if done.returncode:
            break
        want = generate(options, artifact, 'host', '--plain')
        if isinstance(want, str):
            break
        for way, more in WAYS.items():
            got = generate(options, artifact, options.device, *more)
            if isinstance(got, str) and any(why in got for why in ('keeps no state', 'pages are for', 'in pages', 'guesses need')):
                refused += 1
                continue
            right, wrong = right + (got == want), wrong + (got != want)
            if got != want:
                at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), len(want)) if not isinstance(got, str) else got
                print(f'FAIL {name}{" that chooses itself" if greedy else ""}, {way}: differs at {at}', flush=True)
    return right, wrong, refused


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='+')
    parser.add_argument('--bin', required=True)
    parser.add_argument('--device', default='host')
    parser.add_argument('--target', default='host')
    parser.add_argument('--kv-cache')
    options = parser.parse_args()
    total = [0, 0, 0]
    for folder in models(options.folders):
        with tempfile.TemporaryDirectory() as work:
            total = [t + c for t, c in zip(total, check(options, folder, work))]
    print('{} passed, {} failed, {} skipped'.format(*total))
    return 1 if total[1] or not total[0] else 0


if __name__ == '__main__':
    sys.exit(main())
