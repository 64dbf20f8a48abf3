#!/usr/bin/env python3
"""Holds the model of cost against measured times.

    cost_model.py run --ktc KTC --ktrun KTRUN --out ROWS.csv [--work DIR] [--device cuda:0] [--target sm_90] [--sets SET ...]
    cost_model.py report ROWS.csv
    cost_model.py predict ROWS.csv --ktc KTC [--cost-model MODEL.json] [--out ROWS.csv] [--sets SET ...]
    cost_model.py expect FACTS --ktc KTC --out ROWS.csv [--sets SET ...]
    cost_model.py check ROWS.csv

`run` writes models of many products, attentions and norms, compiles them with all candidates, has ktrun measure every variant on a cold
second-level cache and writes a row for each; then it reports. It needs nothing but Python, ktc and ktrun. `report` prints for each set
Spearman's correlation of expected and measured times, and what the choice by expected time loses against the fastest candidate. `predict` puts what another compiler expects, or the same by
other numbers, into rows that were measured before; `expect` makes rows of expected times alone, for a card of these facts; `check` fails where the goals are missed (GOALS).

The set `random` is drawn log-uniformly and not used to fit."""
import argparse
import collections
import csv
import json
import math
import os
import random
import re
import statistics
import subprocess
import tempfile
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
import onnxwire as wire

FIELDS = ('set', 'kind', 'm', 'n', 'k', 'candidate', 'predicted_ns', 'measured_ns')
GOALS = {'Spearman': 0.9, 'median': 0.08, 'worst': 0.25}
NOISE = random.Random(7).randbytes(1 << 20)


class Builder:
    """A model of many independent operators. Sizes that are symbols are the same parameter of one shared kernel, whatever their values."""

    def __init__(self):
        self.nodes, self.inputs, self.outputs, self.initializers, self.dims, self.weights = [], [], [], [], {}, {}

    def symbol(self, value):
        name = f's{len(self.dims)}'
        self.dims[name] = value
        return name

    def input(self, kind, dims):
        self.inputs.append(wire.value(f'i{len(self.inputs)}', kind, dims))
        return f'i{len(self.inputs) - 1}'

    def weight(self, kind, dims):
        """One for each shape: files stay small."""
        name = f'w{kind}_' + '_'.join(map(str, dims))
        if name in self.weights:
            return name
        self.weights[name] = True
        size = math.prod(dims) * (2 if kind == wire.FLOAT16 else 4)
        self.initializers.append(wire.tensor(name, kind, dims, raw=(NOISE * (size // len(NOISE) + 1))[:size]))
        return name

    def node(self, op, inputs, output=None, **attributes):
        name = f'n{len(self.nodes)}'
        self.nodes.append(wire.node(op, inputs, [name], name, **attributes))
        if output:
            self.outputs.append(wire.value(name, *output))
        return name

    def bytes(self):
        return wire.model(self.nodes, self.inputs, self.outputs, self.initializers)


def products(shapes, kind, packed):
    """Rows are symbols and the other sizes known, as in models. Returns the model and which shape given integers mean."""
    b, known = Builder(), {}
    for m, n, k in shapes:
        rows = b.symbol(m)
        right = b.weight(kind, [k, n]) if packed else b.input(kind, [k, n])
        b.node('MatMul', [b.input(kind, [rows, k]), right], (kind, [rows, n]))
        known[k // 8, m, n // 8] = (m, n, k)
    return b, lambda row: known.get(tuple(row['ints'][:3]))


def attentions(shapes, heads, d):
    """m and n are queries and keys, k is the batch."""
    b, known, kind = Builder(), {}, wire.FLOAT16
    b.initializers.append(wire.tensor('scale', kind, [], raw=b'\x00\x30'))
    for batch, i, j in shapes:
        nb, ni, nj = b.symbol(batch), b.symbol(i), b.symbol(j)
        q, k, v = (b.input(kind, [nb, heads, n, d]) for n in (ni, nj, nj))
        scores = b.node('Mul', [b.node('MatMul', [q, b.node('Transpose', [k], perm=[0, 1, 3, 2])]), 'scale'])
        b.node('MatMul', [b.node('Softmax', [scores], axis=-1), v], (kind, [nb, heads, ni, d]))
        known[frozenset((batch, i, j))] = (i, j, batch)

    def shape(row):
        found = [s for key, s in known.items() if key <= set(row['ints'])]
        return found[0] if len(found) == 1 else None
    return b, shape


def norms(shapes):
    b, known, kind = Builder(), {}, wire.FLOAT16
    for m, n in shapes:
        rows = b.symbol(m)
        b.node('LayerNormalization', [b.input(kind, [rows, n]), b.weight(kind, [n]), b.weight(kind, [n])], (kind, [rows, n]), axis=-1)
        known[m] = (m, n, 0)
    return b, lambda row: next((known[i] for i in row['ints'] if i in known), None)


def followed(shapes):
    """Products whose rows a norm goes on with, as in encoders."""
    b, known, kind = Builder(), {}, wire.FLOAT16
    for m, n, k in shapes:
        rows = b.symbol(m)
        x = b.node('MatMul', [b.input(kind, [rows, k]), b.weight(kind, [k, n])])
        x = b.node('Add', [x, b.input(kind, [rows, n])], (kind, [rows, n]))
        b.node('LayerNormalization', [x, b.weight(kind, [n]), b.weight(kind, [n])], (kind, [rows, n]), axis=-1)
        known[m] = (m, n, k)
    return b, lambda row: next((known[i] for i in row['ints'] if i in known), None)


def log_uniform(rng, low, high, step=1):
    return max(step, round(math.exp(rng.uniform(math.log(low), math.log(high))) / step) * step)


def random_products(rng, count, step):
    """Equal depths and widths would be another kernel, and so would packed weights of other than a multiple of 8 panels."""
    shapes = []
    while len(shapes) < count:
        m, n, k = log_uniform(rng, 1, 8192), log_uniform(rng, 64, 8192, step), log_uniform(rng, 64, 8192, 8)
        if n != k and n * k <= 1 << 24 and (m, n, k) not in shapes:
            shapes.append((m, n, k))
    return shapes


ROWS = (1, 8, 16, 48, 128, 256, 512, 1024, 2048, 4096)
SIDES = ((768, 3072), (3072, 768), (1024, 4096), (4096, 1024), (4096, 11008), (14336, 4096), (512, 2048), (2048, 256))


def sets():
    """Name and, for each model of it, its kind and how it is made."""
    rng = random.Random(20)
    grid = [(m, n, k) for n, k in SIDES for m in ROWS]
    half, single = wire.FLOAT16, wire.FLOAT
    keys = [(b, i, j) for b in (2, 8, 33) for i, j in ((1, 513), (1, 4097), (64, 65), (129, 130), (512, 514), (2049, 2050))]
    few = [(m, n, k) for m in (1, 100, 3000) for n, k in ((256, 1024), (4096, 512))]
    return {
        'few': [('f16 packed', products(few, half, True)), ('f16 rows', products(few, half, False)), ('f32 rows', products(few, single, False))],
        'grid': [('f16 packed', products(grid, half, True)), ('f16 rows', products(grid[::2], half, False))],
        'single': [('f32 packed', products([s for s in grid[::3] if s[0] <= 2048], single, True))],
        'attention': [(f'attention h16 d{d}', attentions(keys, 16, d)) for d in (64, 128)],
        'followed': [(f'f16 {n} {k} norm', followed([(m, n, k) for m in (1, 17, 62, 130, 400, 1000, 3000, 8000)]))
                     for n, k in ((768, 768), (768, 3072), (1024, 1024), (2048, 8192), (4096, 4096))],
        'norm': [('layernorm', norms([(m, n) for n, rows in ((768, (1, 127, 4096)), (4096, (3, 511, 8192)), (1024, (5, 1025, 32768))) for m in rows]))],
        'random': [('f16 packed', products(random_products(rng, 100, 128), half, True)), ('f16 rows', products(random_products(rng, 100, 8), half, False))],
    }


def compiled_model(args, name, number, builder):
    """Where it is, without its ending, and the options that give its sizes."""
    path = os.path.join(args.work, f'{name}{number}')
    with open(path + '.onnx', 'wb') as f:
        f.write(builder.bytes())
    cost = ['--cost-model', args.cost_model] if args.cost_model else []
    subprocess.run([args.ktc, 'compile', path + '.onnx', '-o', path + '.ktm', '--target', args.target + ',host', '--candidates', 'all', *cost], check=True)
    return path, [x for d, v in builder.dims.items() for x in ('--dim', f'{d}={v}')]


def measure(args, name, number, kind, built):
    builder, shape_of = built
    started = time.time()
    path, dims = compiled_model(args, name, number, builder)
    compiled = time.time()
    subprocess.run([args.ktrun, path + '.ktm', '--device', args.device, '--tune', path + '.json', *dims], check=True)
    print(f'{name} {kind}: compiled in {compiled - started:.1f} s, measured in {time.time() - compiled:.1f} s', flush=True)
    with open(path + '.json') as f:
        measured = json.load(f)
    rows, unknown = [], 0
    for row in measured['rows']:
        shape = shape_of(row)
        if shape is None:
            unknown += 1
        else:
            rows.append((name, kind, *shape, row['schedule'], row['predicted_ns'], row['ns']))
    if unknown:
        print(f'{name} {kind}: {unknown} rows of other kernels', flush=True)
    return rows, (f"{measured['machine']}, {measured['sm_count']} multiprocessors, sm={measured['sm_count']},shared={measured['shared_per_block']},"
                  f"capability={measured['capability']},l2={measured['l2_bytes']}")


def expected(args, facts, name, number, kind, built):
    """What ktc expects: nanoseconds by kind, shape and candidate."""
    builder, shape_of = built
    path, dims = compiled_model(args, name, number, builder)
    text = subprocess.run([args.ktc, 'inspect', path + '.ktm', '--schedules', '--facts', facts, *dims], check=True, stdout=subprocess.PIPE, text=True).stdout
    result, candidates, shape = {}, {}, None
    for line in text.splitlines():
        if m := re.match(r'  \[(\d+)\] (\S+) "([^"]*)"', line):
            candidates[m[1]] = m[3] if m[2].startswith('sm_') else None
        elif line.startswith('  launch'):
            shape = shape_of({'ints': [int(i) for i in re.findall(r' i\d+=(\d+)', line)]})
        elif (m := re.match(r'    [> ] \[(\d+)\] (\d+) ns', line)) and shape and candidates[m[1]]:
            result[(name, kind, *map(str, shape), candidates[m[1]])] = m[2]
    return result


def expect(args):
    with open(args.out, 'w', newline='') as f:
        f.write(f"# no card, {re.search(r'sm=([0-9]+)', args.facts)[1]} multiprocessors, {args.facts}\n")
        writer = csv.writer(f, lineterminator='\n')
        writer.writerow(FIELDS)
        known = sets()
        for name in args.sets or known:
            for number, (kind, built) in enumerate(known[name]):
                for row, ns in expected(args, args.facts, name, number, kind, built).items():
                    writer.writerow([*row, ns, ns])


def read_rows(path):
    with open(path) as f:
        head = f.readline()
        return head, list(csv.DictReader(f))


def predict(args):
    head, rows = read_rows(args.rows)
    facts = re.search(r'sm=\S+?l2=\d+', head)[0]
    times, known = {}, sets()
    rows = [r for r in rows if not args.sets or r['set'] in args.sets]
    for name in dict.fromkeys(r['set'] for r in rows):
        for number, (kind, built) in enumerate(known[name]):
            if any((r['set'], r['kind']) == (name, kind) for r in rows):
                times |= expected(args, facts, name, number, kind, built)
    kept = []
    for r in rows:
        now = times.get(tuple(r[f] for f in FIELDS[:6]))
        if now is not None:
            kept.append(dict(r, predicted_ns=now))
    if len(kept) < len(rows):
        print(f'{len(rows) - len(kept)} rows of candidates that there are no more')
    with open(args.out or args.rows, 'w', newline='') as f:
        f.write(head)
        writer = csv.DictWriter(f, FIELDS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(kept)


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    result, at = [0.0] * len(values), 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for i in order[at:end]:
            result[i] = (at + end - 1) / 2
        at = end
    return result


def spearman(x, y):
    x, y = ranks(x), ranks(y)
    mx, my = statistics.fmean(x), statistics.fmean(y)
    sxy = sum((a - mx) * (b - my) for a, b in zip(x, y))
    return sxy / math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y) or 1)


def losses(rows):
    """(loss of the choice, the shape, what was chosen, what is best), the worst first."""
    by_shape = collections.defaultdict(list)
    for r in rows:
        by_shape[r['set'], r['kind'], int(r['m']), int(r['n']), int(r['k'])].append((int(r['predicted_ns']), int(r['measured_ns']), r['candidate']))
    result = []
    for shape, candidates in by_shape.items():
        chosen = min(candidates, key=lambda c: c[0])  # the first of equals, as in the runtime
        best = min(candidates, key=lambda c: c[1])
        result.append((chosen[1] / max(1, best[1]) - 1, shape, chosen, best))
    return sorted(result, key=lambda x: -x[0])


def report(path, worst=8):
    """Prints, and returns what misses the goals."""
    rows, missed = read_rows(path)[1], []
    for name in dict.fromkeys((r['set'], r['kind']) for r in rows):
        some = [r for r in rows if (r['set'], r['kind']) == name]
        rho = spearman([int(r['predicted_ns']) for r in some], [int(r['measured_ns']) for r in some])
        lost = losses(some)
        ratio = statistics.median(int(r['predicted_ns']) / max(1, int(r['measured_ns'])) for r in some)
        print(f'{name[0]:10} {name[1]:20} {len(some):5} rows {len(lost):4} shapes  Spearman {rho:.3f}  expected/measured {ratio:.2f}  '
              f'loss: median {statistics.median(l[0] for l in lost):.1%} 90% {lost[len(lost) // 10][0]:.1%} worst {lost[0][0]:.1%}')
        for what, good in (('Spearman', len(some) < 30 or rho >= GOALS['Spearman']), ('median', statistics.median(l[0] for l in lost) <= GOALS['median']),
                           ('worst', lost[0][0] <= GOALS['worst'])):
            if not good:
                missed.append(f'{name[0]} {name[1]}: {what} misses {GOALS[what]}')
        for loss, shape, chosen, best in lost[:worst]:
            print(f'    {loss:6.1%} {shape[2:]}: {chosen[2]} ({chosen[0]} expected, {chosen[1]} ns), best {best[2]} ({best[0]} expected, {best[1]} ns)')
    return missed


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest='mode', required=True)
    run = sub.add_parser('run')
    run.add_argument('--ktc', required=True)
    run.add_argument('--ktrun', required=True)
    run.add_argument('--out', required=True)
    run.add_argument('--device', default='cuda:0')
    again = sub.add_parser('predict')
    again.add_argument('rows')
    again.add_argument('--ktc', required=True)
    again.add_argument('--out')
    alone = sub.add_parser('expect')
    alone.add_argument('facts', help='as of ktc inspect: sm=132,shared=232448,capability=90,l2=52428800')
    alone.add_argument('--ktc', required=True)
    alone.add_argument('--out', required=True)
    for mode in (run, again, alone):
        mode.add_argument('--work', default=os.path.join(tempfile.gettempdir(), 'kt-cost-model'))
        mode.add_argument('--target', default='sm_90')
        mode.add_argument('--cost-model', default='')
        mode.add_argument('--sets', nargs='+', default=[])
    sub.add_parser('report').add_argument('rows')
    sub.add_parser('check').add_argument('rows')
    args = p.parse_args()
    if args.mode == 'predict':
        os.makedirs(args.work, exist_ok=True)
        predict(args)
    if args.mode == 'expect':
        os.makedirs(args.work, exist_ok=True)
        expect(args)
        return 0
    if args.mode == 'run':
        os.makedirs(args.work, exist_ok=True)
        rows, machine, known = [], '', sets()
        for name in args.sets or [name for name in known if name != 'few']:
            for number, (kind, built) in enumerate(known[name]):
                try:
                    more, machine = measure(args, name, number, kind, built)
                except subprocess.CalledProcessError as e:  # what others have measured is still worth having
                    print(f'{name} {kind}: {e}', flush=True)
                    continue
                rows += more
                with open(args.out, 'w', newline='') as f:
                    f.write(f'# {machine}, {time.strftime("%Y-%m-%d")}\n')
                    csv.writer(f, lineterminator='\n').writerows([FIELDS, *rows])
    missed = report((args.mode in ('run', 'predict') and args.out) or args.rows)
    for line in missed:
        print(line)
    return 1 if missed and args.mode == 'check' else 0


if __name__ == '__main__':
    sys.exit(main())
