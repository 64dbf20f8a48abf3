#!/usr/bin/env python3
"""Fits the numbers of the model of cost to measured times.

    fit_cost_model.py ROWS.csv [--capability 90] [--out MODEL.json] [--from MODEL.json]
    fit_cost_model.py ROWS.csv --check           only whether expected times are those of the artifact

The rows are those of cost_model.py. The model is written out again here (passes/Analysis/CostModel.cpp, products only), and first shown to
give what ktc has put into the artifact: where it does not, this file is out of date. Then one number after the other is changed by a
factor for as long as that lowers what the choice loses and how far expected times are off, both in the logarithm. The set `random` takes
no part; what it comes to is printed. MODEL.json is for `ktc compile --cost-model`."""
import argparse
import json
import re
import sys

import numpy as np

CARDS = {80: (2890, 180, 180, 40, 18, 700000, 28000), 86: (870, 430, 217, 30, 11, 600000, 24000),
         89: (1290, 640, 322, 40, 8, 600000, 18000), 90: (4886, 500, 224, 70, 26, 800000, 23000),
         120: (1230, 610, 307, 40, 10, 600000, 18000)}
SHARED = {80: (164, 2048), 86: (100, 1536), 89: (100, 1536), 90: (228, 2048), 120: (100, 1536)}  # kilobytes and threads of a multiprocessor
RATES = ('mma', 'fma', 'shared', 'l2', 'dram', 'latency', 'step')
CONSTANTS = {'launch': 2000000, 'arrival': 1000000, 'barrier': 40000, 'overlap': 40}
STASH = 16  # bytes of a tile's shared memory behind its slabs


def up(a, b):
    return -(-a // b)


class Rows:
    """Products of one card as arrays: whole numbers throughout, as in the compiler."""

    def __init__(self, path, capability):
        self.capability, records = capability, []
        with open(path) as f:
            lines = f.read().splitlines()
        self.sm = int(re.search(r'(\d+) multiprocessors', lines[0]).group(1))
        for line in lines[2:]:
            group, kind, m, n, k, candidate, predicted, measured = line.split(',')
            tile = re.search(r'tile=(\d+)x(\d+)x(\d+)', candidate)
            if not kind.startswith('f') or not tile or 'unaligned' in candidate:
                continue
            mma, split = 'warps=' in candidate, candidate.endswith(' split')
            a, b = map(int, re.search(r'(?:warps|thread)=(\d+)x(\d+)', candidate).groups())
            stages = int(re.search(r'stages=(\d+)', candidate).group(1)) if mma else 2
            records.append((group, kind, int(m), int(n), int(k), *map(int, tile.groups()), a, b, stages, mma, split, int(predicted), int(measured)))
        names = ('group', 'kind', 'm', 'n', 'k', 'bm', 'bn', 'bk', 'a', 'b', 'stages', 'mma', 'split', 'predicted', 'measured')
        for name, column in zip(names, zip(*records)):
            setattr(self, name, np.array(column))
        _, self.problem = np.unique([f'{r[0]} {r[1]} {r[2:5]}' for r in records], return_inverse=True)
        self.order = np.argsort(self.problem, kind='stable')
        self.starts = np.flatnonzero(np.r_[True, np.diff(self.problem[self.order]) > 0])
        self.held_out = self.group == 'random'

    def expected(self, v):
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
        chain = np.maximum(bk // 16 * v['step'], x * 4 // np.minimum(warps, 4)) + v['barrier']
        alone_mma = np.maximum(np.maximum(full_mma, chain), v['latency'] // np.maximum(self.stages - 1, 1))
        mi, ni = bm // a // 16, bn // b // 8
        registers_mma = mi * ni * 4 + 2 * (mi * 4 + ni * 2) + 36
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
        epilogue = bm * bn * 60 + v['latency']
        tiles, slabs = up(m, bm) * up(n, bn), up(k, bk)
        memory = (m * k + n * k + m * n) * size * 1000 // (self.sm * v['dram'])

        def cost(splits):
            deep = up(slabs, splits)
            fullest = up(tiles * splits, self.sm)
            turns = up(fullest, resident)
            work = np.maximum(fullest * deep * full + turns * epilogue, turns * (deep * alone + epilogue)) + v['latency']
            adding = m * n * 4 * splits * 1000 // (self.sm * v['l2']) + splits * (bm * bn * 8 * 1000) // v['l2'] + v['arrival']
            return (np.maximum(work, memory) + v['launch'] + np.where(splits > 1, adding, 0)) // 1000
        whole = cost(np.ones_like(m))
        splits = np.maximum(1, np.minimum(16, np.minimum(self.sm * filling // np.maximum(tiles, 1), k // 256)))
        shared = cost(splits)
        # Where the expression of both is short enough to be in a grid, a split that does not pay is none; the more
        # capabilities code is for, the longer it is.
        brief = (bm == 128) & (bn == 128) & (bk == 32) & (self.capability >= 90) | (~mma & (bm == 64))
        return np.where(self.split, np.where(brief, np.minimum(whole, shared), shared), whole)

    def losses(self, expected, some):
        """Of the choice, in each problem of those rows."""
        result = []
        for rows in np.split(self.order, self.starts[1:]):
            if some[rows[0]]:
                result.append(self.measured[rows[np.argmin(expected[rows])]] / self.measured[rows].min() - 1)
        return np.array(result)

    def price(self, v, some):
        expected = self.expected(v)
        off = np.log(np.maximum(expected, 1)[some] / self.measured[some])
        lost = np.log1p(self.losses(expected, some))
        return 4 * lost.mean() + np.quantile(lost, 0.95) + lost.max() + np.abs(off).mean()

    def report(self, title, v):
        expected = self.expected(v)
        for name, some in (('fitted', ~self.held_out), ('random', self.held_out)):
            if not some.any():
                continue
            rank = [np.argsort(np.argsort(x[some])) for x in (expected, self.measured)]
            lost = self.losses(expected, some)
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
    wrong = rows.expected(built_in) != rows.predicted
    if wrong.any():
        print(f'{wrong.sum()} of {len(wrong)} expected times are not those of the artifact, first '
              f'{rows.kind[wrong][0]} {rows.m[wrong][0], rows.n[wrong][0], rows.k[wrong][0]} tile {rows.bm[wrong][0]}x{rows.bn[wrong][0]}x{rows.bk[wrong][0]}: '
              f'{rows.expected(built_in)[wrong][0]} and {rows.predicted[wrong][0]}')
    if args.check:
        print(f'{len(wrong) - wrong.sum()} of {len(wrong)} expected times agree')
        return int(wrong.any() or not len(wrong))
    rows.report('built in', built_in)
    values = dict(built_in)
    if args.start:
        with open(args.start) as f:
            given = json.load(f)
        values.update({k: v for k, v in given.items() if k != 'cards'}, **given.get('cards', {}).get(str(args.capability), {}))
    used = [name for name in built_in if name != 'fma' or not rows.mma.all()]
    values = fit(rows, values, used)
    rows.report('fit', values)
    if args.out:
        with open(args.out, 'w') as f:
            json.dump({**{k: values[k] for k in CONSTANTS}, 'cards': {str(args.capability): {k: values[k] for k in RATES}}}, f, indent=1)
            f.write('\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
