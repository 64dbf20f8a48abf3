#!/usr/bin/env python3
"""Fits the numbers of the model of cost to measured times.

    fit_cost_model.py ROWS.csv [--capability 90] [--out MODEL.json] [--from MODEL.json]
    fit_cost_model.py ROWS.csv --check           only whether expected times are those of the artifact

The rows are those of cost_model.py. The model is written out again here (passes/Analysis/CostModel.cpp, products only), and first shown to
give what ktc expects (--check, for rows of `cost_model.py expect`): where it does not, this file is out of date. Then one number after the
other is changed by a factor for as long as that lowers what the choice loses and how far expected times are off, both in the logarithm.
The set `random` takes no part; what it comes to is printed. MODEL.json is for `ktc compile --cost-model`."""
import argparse
import csv
import json
import re
import sys

import numpy as np

CARDS = {80: (2890, 180, 180, 40, 18, 560000, 28000, 1), 86: (870, 430, 217, 30, 11, 480000, 24000, 1),
         89: (1290, 640, 322, 40, 8, 480000, 18000, 1), 90: (4886, 500, 224, 90, 28, 640000, 23000, 7000),
         120: (1230, 610, 307, 40, 10, 480000, 18000, 1)}
SHARED = {80: (164, 2048), 86: (100, 1536), 89: (100, 1536), 90: (228, 2048), 120: (100, 1536)}  # kilobytes and threads of a multiprocessor
RATES = ('mma', 'fma', 'shared', 'l2', 'dram', 'latency', 'step', 'wgmma')
CONSTANTS = {'launch': 2000000, 'arrival': 1700000, 'barrier': 80000, 'overlap': 15}  # the others are of launches that overlap, and rows of launches alone
STASH = 16  # bytes of a tile's shared memory behind its slabs
START = 4  # latencies before the first slab


def up(a, b):
    return -(-a // b)


class Rows:
    """Products of one card as arrays: whole numbers throughout, as in the compiler."""

    def __init__(self, path, capability):
        self.capability, records = capability, []
        with open(path) as f:
            self.sm = int(re.search(r'(\d+) multiprocessors', f.readline()).group(1))
            lines = list(csv.reader(f))[1:]
        for group, kind, m, n, k, candidate, splits, predicted, measured in lines:
            tile = re.search(r'tile=(\d+)x(\d+)x(\d+)', candidate)
            if not kind.startswith('f') or kind.endswith('norm') or not tile or 'unaligned' in candidate:
                continue
            mma, wgmma, split = 'warps=' in candidate, ' wgmma' in candidate, candidate.endswith(' split')
            a, b = map(int, re.search(r'(?:warps|thread)=(\d+)x(\d+)', candidate).groups())
            stages = int(re.search(r'stages=(\d+)', candidate).group(1)) if mma else 2
            records.append((group, kind, int(m), int(n), int(k), *map(int, tile.groups()), a, b, stages, mma, wgmma, split, int(splits), int(predicted), int(measured)))
        names = ('group', 'kind', 'm', 'n', 'k', 'bm', 'bn', 'bk', 'a', 'b', 'stages', 'mma', 'wgmma', 'split', 'splits', 'predicted', 'measured')
        for name, column in zip(names, zip(*records)):
            setattr(self, name, np.array(column))
        _, self.problem = np.unique([f'{r[0]} {r[1]} {r[2:5]}' for r in records], return_inverse=True)
        self.order = np.argsort(self.problem, kind='stable')
        self.starts = np.flatnonzero(np.r_[True, np.diff(self.problem[self.order]) > 0])
        self.held_out = self.group == 'random'
        # The same tile whose blocks never share: the same launch where they do not.
        tiles = {r[:13]: i for i, r in enumerate(records) if not r[13]}
        self.whole = np.array([tiles.get(r[:13], i) for i, r in enumerate(records)])
        alike = self.splits == 1
        lesser = self.measured.copy()
        np.minimum.at(lesser, self.whole[alike], self.measured[alike])
        self.measured = np.where(alike, lesser[self.whole], self.measured)

    def expected(self, v):
        """Times and splits."""
        per = lambda amount, rate: amount * 1000 // rate
        m, n, k, bm, bn, bk, a, b, mma = self.m, self.n, self.k, self.bm, self.bn, self.bk, self.a, self.b, self.mma
        size = np.where(mma, 2, 4)
        flops, slab = 2 * bm * bn * bk, (bm + bn) * bk * size
        threads = np.where(mma, a * b * 32, bm // a * (bn // b))
        # Tensor cores
        warps = np.maximum(threads // 32, 1)
        fragments = warps * (bm // a + bn // b) * bk * 2 + slab
        x, y = per(flops, v['mma']), per(fragments, v['shared'])
        full_mma = np.maximum(np.maximum(x, y) + np.minimum(x, y) * v['overlap'] // 100, per(slab, v['l2']))
        chain = np.maximum(np.maximum(full_mma, bk // 16 * v['step']), x * 4 // np.minimum(warps, 4)) + v['barrier']
        alone_mma = np.maximum(chain, v['latency'] // np.maximum(self.stages - 1, 1))
        # Warpgroups
        passed = a // 4 * (64 + bn) * bk * 2 + slab
        full_wgmma = np.maximum(np.maximum(per(flops, v['wgmma']), per(passed * 10 // 9, v['shared'])), per(slab, v['l2']))
        alone_wgmma = np.maximum(full_wgmma, v['latency'] * 5 // 4 // np.maximum(self.stages - 2, 1))
        full_mma, alone_mma = np.where(self.wgmma, full_wgmma, full_mma), np.where(self.wgmma, alone_wgmma, alone_mma)
        mi, ni = bm // a // 16, bn // b // 8
        registers_mma = mi * ni * 4 + np.where(self.wgmma, 0, 2 * (mi * 4 + ni * 2)) + 36
        shared_mma = np.maximum(self.stages * slab, a * 16 * (bn + 8) * 4) + STASH
        # CUDA cores
        full_simt = np.maximum(per(flops, v['fma']) * 5 // 4, per(slab, v['l2']))
        alone_simt = np.maximum(full_simt, v['latency'])
        full, alone = np.where(mma, full_mma, full_simt), np.where(mma, alone_mma, alone_simt)
        registers = np.where(mma, registers_mma, a * b + a + b + 40)
        shared = np.where(mma, shared_mma, 2 * bk * (bm + bn + 8) * 4)
        kilobytes, most = SHARED[self.capability]
        resident = np.clip(np.minimum(np.minimum(most // threads, 65536 // (registers * threads)), kilobytes * 1024 // (shared + 1024)), 1, 16)
        filling = np.maximum(1, np.minimum((alone + full // 2) // full, np.minimum(resident, 4)))
        epilogue = np.minimum(m, bm) * bn * 60 + v['latency']
        tiles, slabs = up(m, bm) * up(n, bn), up(k, bk)
        memory = (m * k + n * k + m * n) * size * 1000 // (self.sm * v['dram'])

        def cost(splits):
            share, most = up(slabs, splits), up(tiles * splits, self.sm)
            turns = up(most, resident)
            again = START * v['latency'] // 2
            work = np.maximum(most * (share * full + epilogue) + again, turns * (share * alone + epilogue + again)) + again
            return np.maximum(work, memory) + v['launch']
        room = np.maximum(1, np.minimum(16, np.minimum(self.sm * filling // np.maximum(tiles, 1), k // 256)))
        adding_turns = up(np.minimum(m, bm) * (bn // np.where(mma, 8, 4)), threads)
        adding = m * n * room * 8000 // (self.sm * v['dram']) + adding_turns * room * (v['latency'] // 3) + v['arrival']
        saved = np.minimum((slabs - up(slabs, room)) * alone, slabs * alone + epilogue + START * v['latency'] - memory)
        pays = self.split & (adding < saved)
        return np.where(pays, cost(room) + adding, cost(np.ones_like(m))) // 1000, np.where(pays, room, 1)

    def now(self, splits):
        """What is measured of launches with so many splits: of a tile that shares no more, what it takes as a whole."""
        return np.where(splits == self.splits, self.measured, self.measured[self.whole])

    def losses(self, expected, measured, some):
        """Of the choice, in each problem of those rows."""
        result = []
        for rows in np.split(self.order, self.starts[1:]):
            if some[rows[0]]:
                result.append(measured[rows[np.argmin(expected[rows])]] / self.measured[rows].min() - 1)
        return np.array(result)

    def price(self, v, some):
        expected, splits = self.expected(v)
        measured = self.now(splits)
        off = np.log(np.maximum(expected, 1)[some] / measured[some])
        lost = np.log1p(self.losses(expected, measured, some))
        return 4 * lost.mean() + np.quantile(lost, 0.95) + lost.max() + np.abs(off).mean()

    def report(self, title, v):
        expected, splits = self.expected(v)
        measured = self.now(splits)
        for name, some in (('fitted', ~self.held_out), ('random', self.held_out)):
            if not some.any():
                continue
            rank = [np.argsort(np.argsort(x[some])) for x in (expected, measured)]
            lost = self.losses(expected, measured, some)
            print(f'{title:8} {name}: Spearman {np.corrcoef(*rank)[0, 1]:.3f}, loss: median {np.median(lost):.1%} 95% {np.quantile(lost, 0.95):.1%} worst {lost.max():.1%}')


def fit(rows, values, free):
    some = ~rows.held_out
    best, steps = rows.price(values, some), (0.5, 0.75, 0.9, 0.96, 1.04, 1.1, 1.3, 2)
    while True:
        before = best
        for name in free:
            for step in steps:
                tried = dict(values, **{name: max(1, round(values[name] * step))})
                price = rows.price(tried, some)
                if price < best - 1e-9:
                    best, values = price, tried
        print(f'  {best:.4f} {values}', flush=True)
        if before - best < 1e-3:
            return values


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('rows')
    p.add_argument('--capability', type=int, default=90)
    p.add_argument('--out')
    p.add_argument('--from', dest='start')
    p.add_argument('--check', action='store_true')
    args = p.parse_args()
    rows = Rows(args.rows, args.capability)
    built_in = dict(CONSTANTS, **dict(zip(RATES, CARDS[args.capability])))
    if args.check:
        expected, splits = rows.expected(built_in)
        wrong = np.flatnonzero((expected != rows.predicted) | (splits != rows.splits))
        for i in wrong[:1]:
            print(f'{rows.kind[i]} {rows.m[i], rows.n[i], rows.k[i]} tile {rows.bm[i]}x{rows.bn[i]}x{rows.bk[i]}: expected here {expected[i]} ns with '
                  f'{splits[i]} splits, by ktc {rows.predicted[i]} ns with {rows.splits[i]}')
        print(f'{len(expected) - len(wrong)} of {len(expected)} expected times agree')
        return int(len(wrong) > 0 or not len(expected))
    rows.report('built in', built_in)
    values = dict(built_in)
    if args.start:
        with open(args.start) as f:
            given = json.load(f)
        values.update({k: v for k, v in given.items() if k != 'cards'}, **given.get('cards', {}).get(str(args.capability), {}))
    used = [name for name in built_in if (name != 'fma' or not rows.mma.all()) and (name != 'wgmma' or rows.wgmma.any())]
    values = fit(rows, values, used)
    rows.report('fit', values)
    if args.out:
        with open(args.out, 'w') as f:
            json.dump({**{k: values[k] for k in CONSTANTS}, 'cards': {str(args.capability): {k: values[k] for k in RATES}}}, f, indent=1)
            f.write('\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
