#!/usr/bin/env python3
"""Changes the sources so that they are wrong, one mutation at a time, and sees that the test which has to notice does.

    mutate.py                    all mutations of the *.toml beside this file
    mutate.py fence swizzle      those that have one of the words in their name or in their file's
    mutate.py --check            only that each still applies, and that what it names is there
    mutate.py --list FILE.toml   those of another file

The sources are copied to build-mutations/tree and built there, so that the working tree stays as it is; ccache makes the first build cheap. The last
line is `N of M killed`; the status is 0 if that is all of them.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TREE = ROOT / 'build-mutations' / 'tree'
KEYS = {'name', 'file', 'old', 'new', 'build', 'test'}
TIMEOUT = 300  # seconds; a mutant may well loop for ever
NOTHING_RAN = re.compile(r'^\[  PASSED  \] 0 tests|^0 of 0 |No tests to run|did not discover any tests', re.M)
KILLED_BY = re.compile(r'^\[  FAILED  \] (\S+?),? .*$|^FAIL:? (.*)$|^(Timed out.*)$', re.M)


def load(files):
    mutations = []
    for file in files:
        for mutation in tomllib.loads(file.read_text())['mutation']:
            if set(mutation) != KEYS:
                sys.exit(f'{file}: {mutation.get("name", "a mutation")}: expected the keys {sorted(KEYS)} but got {sorted(mutation)}')
            mutations.append(mutation | {'family': file.stem})
    return mutations


def check(mutations):
    """What keeps a mutation from being applied, as lines."""
    wrong, seen = [], set()
    for mutation in mutations:
        path = ROOT / mutation['file']
        count = path.read_text().count(mutation['old']) if path.is_file() else 0
        if count != 1:
            wrong.append(f'{mutation["name"]}: the old text is {count} times in {mutation["file"]}, expected once')
        if mutation['old'] == mutation['new']:
            wrong.append(f'{mutation["name"]}: it changes nothing')
        if mutation['name'] in seen:
            wrong.append(f'{mutation["name"]}: there are two of this name')
        seen.add(mutation['name'])
    return wrong


def synchronise():
    """Makes the tree a copy of the working tree without what git ignores; files that are the same keep their times."""
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '-z'], cwd=ROOT, check=True, capture_output=True).stdout
    names = {name for name in os.fsdecode(listed).split('\0') if name and (ROOT / name).is_file()}
    for name in names:
        source, target = ROOT / name, TREE / name
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    for folder, folders, files in os.walk(TREE):
        if pathlib.Path(folder) == TREE:
            folders[:] = [name for name in folders if name != 'build']
        for file in files:
            path = pathlib.Path(folder, file)
            if str(path.relative_to(TREE)) not in names and '__pycache__' not in path.parts:
                path.unlink()


def run(command, **options):
    """The status and the output; None where it took too long."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', timeout=TIMEOUT, **options)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return None, f'Timed out after {TIMEOUT} s\n'


def build(targets):
    return subprocess.run(['ninja', '-C', str(TREE / 'build'), *targets], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test(mutation):
    """The test's command runs in the tree, with the built programs on PATH and `python` being one that has numpy."""
    site = (TREE / 'build/test/lit.site.cfg.py').read_text()
    python = re.search(r'^config.python = "(.*)"', site, re.M).group(1)
    lit = re.search(r'^KT_LIT:.*=(.*)$', (TREE / 'build/CMakeCache.txt').read_text(), re.M).group(1)
    path = os.pathsep.join([str(TREE / 'build/bin'), os.environ['PATH']])
    prelude = f'python() {{ "{python}" "$@"; }}\nlit() {{ "{lit}" -v build/test --filter "$1"; }}\n'
    return run(['bash', '-c', prelude + mutation['test']], cwd=TREE, env=os.environ | {'PATH': path})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('words', nargs='*', metavar='WORD')
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--list', type=pathlib.Path)
    arguments = parser.parse_args()
    mutations = load([arguments.list] if arguments.list else sorted(HERE.glob('*.toml')))
    if arguments.words:
        mutations = [m for m in mutations if any(word in m['name'] or word in m['family'] for word in arguments.words)]
    wrong = check(mutations)
    print('\n'.join(wrong or [f'{len(mutations)} mutations apply']))
    if arguments.check or wrong or not mutations:
        return 1 if wrong or not mutations else 0

    start = time.monotonic()
    synchronise()
    configured = subprocess.run(['cmake', '--preset', 'release'], cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    built = configured if configured.returncode else build(sorted({target for m in mutations for target in m['build'].split()}))
    if built.returncode:
        print(built.stdout[-4000:])
        return 1
    # A test that fails, or runs nothing, says nothing of a mutation.
    for command, mutation in {m['test']: m for m in mutations}.items():
        status, output = test(mutation)
        if status != 0 or NOTHING_RAN.search(output):
            print(f'{output[-4000:]}\n{mutation["name"]}: without the mutation the test is not green: {command}')
            return 1
    print(f'built, and green without mutations, in {time.monotonic() - start:.0f} s', flush=True)

    killed = 0
    for mutation in mutations:
        began = time.monotonic()
        path = TREE / mutation['file']
        text = path.read_text()
        path.write_text(text.replace(mutation['old'], mutation['new']))
        try:
            built = build(mutation['build'].split())
            if built.returncode:
                result, by = 'DOES NOT BUILD', '\n'.join(re.findall(r'^.*error:.*$', built.stdout, re.M)[:3])
            else:
                status, output = test(mutation)
                first = KILLED_BY.search(output)
                by = next((group for group in first.groups() if group), '') if first else f'status {status}'
                result = 'SURVIVED' if status == 0 else 'killed'
        finally:
            path.write_text(text)
        killed += result == 'killed'
        print(f'{result:9} {mutation["family"]:9} {mutation["name"]:62} {time.monotonic() - began:4.0f} s  {by if result != "SURVIVED" else mutation["test"]}',
              flush=True)
    print(f'{killed} of {len(mutations)} killed')
    return 0 if killed == len(mutations) else 1


if __name__ == '__main__':
    sys.exit(main())
