#!/usr/bin/env python3
"""When the kernels of a loop begin and end on a card, also inside graphs and where launches overlap, which `ktrun --profile` cannot see because it waits for each.

timeline.py [--cuda DIR] [--keep FILE] -- COMMAND...    runs it and prints what a round of its loop takes
timeline.py --records FILE                              the same of records that were kept

    timeline.py -- ktrun generate DIR --device cuda:0 --tokens 1,2,3 --max-new 200 --stop ''

A round ends with the kernel that is last of all, such as the one that chooses a token; the rounds of the commonest length are taken, the latest 120 of them. A line is all
kernels of a name and grid: how many a round has, how long one runs, how long after the end of the one before it ends (a step, what it adds to the round), all their steps together, and
how long after that end it begins, which is before it where launches overlap; medians in microseconds. Needs CUPTI, which comes with the CUDA toolkit, and a C++ compiler ($CXX)."""
import argparse
import collections
import glob
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = 120

Record = collections.namedtuple('Record', 'begin end grid name')


def read(path):
    """Kernels in the order of their beginnings; copies are left out."""
    records = []
    with open(path, encoding='utf-8') as file:
        for line in file:
            begin, end, width, height, name = line.split(None, 4)
            if name.strip() != 'copy':
                records.append(Record(int(begin), int(end), f'{width}x{height}', name.strip()))
    return records


def rounds_of(records):
    """The latest rounds that have as many kernels as most have."""
    rounds, now = [], []
    for record in records:
        now.append(record)
        if record.name == records[-1].name:
            rounds.append(now)
            now = []
    length = collections.Counter(map(len, rounds)).most_common(1)[0][0]
    return [r for r in rounds if len(r) == length][-ROUNDS:]


def table(records):
    """Lines of text; the first is what a round takes, from its first kernel to the next round's and to its own end."""
    rounds = rounds_of(records)
    if len(rounds) < 2:
        raise SystemExit(f'{len(records)} kernels have no loop: the last of them, "{records[-1].name}", ran {sum(r.name == records[-1].name for r in records)} times')
    middle = lambda values: statistics.median(values) / 1e3
    period = middle(b[0].begin - a[0].begin for a, b in zip(rounds, rounds[1:]))
    groups = {}
    for i, first in enumerate(rounds[0]):
        ends = [r[i - 1].end if i else r[0].begin for r in rounds]
        groups.setdefault((first.name, first.grid), []).append((
            middle(r[i].end - r[i].begin for r in rounds), middle(r[i].end - e for r, e in zip(rounds, ends)), middle(r[i].begin - e for r, e in zip(rounds, ends))))
    lines = [f'{len(rounds)} rounds of {len(rounds[0])} kernels: {period:.1f} us each, {middle(r[-1].end - r[0].begin for r in rounds):.1f} from first to last',
             f'{"kernel":24} {"grid":>10} {"times":>5} {"runs":>8} {"step":>8} {"steps":>9} {"begins":>8}']
    for (name, grid), each in groups.items():
        runs, steps, begins = zip(*each)
        lines.append(f'{name[:24]:24} {grid:>10} {len(each):5} {statistics.median(runs):8.2f} {statistics.median(steps):8.2f} {sum(steps):9.1f} {statistics.median(begins):8.2f}')
    return lines


def build(cuda, folder):
    """The library, and where CUPTI's is."""
    headers = sorted(glob.glob(f'{cuda}/targets/*/include/cupti.h') + glob.glob(f'{cuda}/extras/CUPTI/include/cupti.h') + glob.glob(f'{cuda}/include/cupti.h'))
    if not headers:
        raise SystemExit(f'{cuda} has no cupti.h; --cuda names the folder of a CUDA toolkit')
    include = os.path.dirname(headers[0])
    libraries = [d for d in (f'{include}/../lib', f'{include}/../lib64', f'{cuda}/lib64') if glob.glob(f'{d}/libcupti.so*')]
    if not libraries:
        raise SystemExit(f'no libcupti.so beside {headers[0]}')
    made = f'{folder}/timeline.so'
    subprocess.run([os.environ.get('CXX', 'g++'), '-std=c++17', '-O1', '-fPIC', '-shared', f'{HERE}/Timeline.cpp', '-o', made, f'-I{include}', f'-I{cuda}/include',
                    sorted(glob.glob(f'{libraries[0]}/libcupti.so*'))[0]], check=True)
    return made, libraries[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cuda', default='/usr/local/cuda')
    parser.add_argument('--keep', help='leaves the records in this file')
    parser.add_argument('--records', help='reads them instead of running a command')
    parser.add_argument('command', nargs='*')
    options = parser.parse_args()
    if bool(options.records) == bool(options.command):
        parser.error('expected either a command or --records')
    with tempfile.TemporaryDirectory() as folder:
        path = options.records or options.keep or f'{folder}/records'
        if options.command:
            library, where = build(options.cuda, folder)
            paths = ':'.join(filter(None, [where, os.environ.get('LD_LIBRARY_PATH')]))
            subprocess.run(options.command, check=True, env={**os.environ, 'CUDA_INJECTION64_PATH': library, 'KT_TIMELINE': path, 'LD_LIBRARY_PATH': paths})
        records = read(path)
        if not records:
            raise SystemExit('no kernel ran')
        print('\n'.join(table(records)))


if __name__ == '__main__':
    sys.exit(main())
