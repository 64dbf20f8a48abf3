#!/usr/bin/env python3
"""Holds the model of cost against measured times.

    cost_model.py run --ktc KTC --ktrun KTRUN --out ROWS.csv [--work DIR] [--device cuda:0] [--target sm_90] [--sets SET ...] [--most-rows N] [--kinds REGEX]
    cost_model.py report ROWS.csv
    cost_model.py predict ROWS.csv --ktc KTC --out ROWS.csv [--cost-model MODEL.json] [--sets SET ...]
    cost_model.py expect FACTS --ktc KTC --out ROWS.csv [--sets SET ...]
    cost_model.py check ROWS.csv ... --ktc KTC [--cost-model MODEL.json] [--candidates few]

`run` writes models of many products, attentions and norms, compiles them with all candidates, has ktrun measure every variant on a cold
second-level cache and writes a row for each; then it reports. It needs nothing but Python, ktc and ktrun. `report` prints for each set
Spearman's correlation of expected and measured times, and what the choice by expected time loses against the fastest candidate. `predict` puts what
another compiler expects, or the same by other numbers, in the place of what was expected when rows were measured, and reports that; `expect` makes rows
of expected times alone, for a card of these facts; `check` is `predict` without a file, and fails where the goals are missed (GOALS); of all candidates,
or of the few that artifacts get. test/bench/README.md says what the goals mean.

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

FIELDS = ('set', 'kind', 'm', 'n', 'k', 'candidate', 'splits', 'predicted_ns', 'measured_ns')
KEY = FIELDS[:6]
GOALS = {'Spearman': 0.9, 'median': 0.08, 'worst': 0.25}
LEAST_MEASURED = 0.9  # of what was recorded and is still there, with as many splits as it has now
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


def all_products(shapes, kind, packed):
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


def all_followed(shapes):
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


HIDDEN = 1500  # nanoseconds of a launch before its first product that the launch before it hides where they overlap; rows are of launches alone
ROWS = (1, 8, 16, 48, 128, 256, 512, 1024, 2048, 4096)
SIDES = ((768, 3072), (3072, 768), (1024, 4096), (4096, 1024), (4096, 11008), (14336, 4096), (512, 2048), (2048, 256))
# Of a step of a decoder, columns and depth; the largest last.
DECODE = ((512, 2048), (2048, 2048), (4096, 4096), (2048, 8192), (3072, 768), (768, 3072), (6144, 4096), (16384, 2048), (14336, 4096), (4096, 14336))


def sets(most_rows=math.inf):
    """Name and, for each model of it, its kind and how it is made; of products those of at most so many rows."""
    rng = random.Random(20)
    products, followed = (lambda shapes, *more, make=make: make([s for s in shapes if s[0] <= most_rows], *more) for make in (all_products, all_followed))
    grid = [(m, n, k) for n, k in SIDES for m in ROWS]
    half, single = wire.FLOAT16, wire.FLOAT
    keys = [(b, i, j) for b in (2, 8, 33) for i, j in ((1, 513), (1, 4097), (64, 65), (129, 130), (512, 514), (2049, 2050))]
    few = [(m, n, k) for m in (1, 100, 3000) for n, k in ((256, 1024), (4096, 512))]
    return {
        'few': [('f16 packed', products(few, half, True)), ('f16 rows', products(few, half, False)), ('f32 rows', products(few, single, False))],
        'grid': [('f16 packed', products(grid, half, True)), ('f16 rows', products(grid[::2], half, False))],
        'decode': [('f16 packed', products([(m, n, k) for n, k in DECODE for m in (1, 2, 4, 8, 16, 32)], half, True)),
                   ('f32 packed', products([(m, n, k) for n, k in DECODE[:4] for m in (1, 2, 4, 8)], single, True))],
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
    subprocess.run([args.ktc, 'compile', path + '.onnx', '-o', path + '.ktm', '--target', args.target + ',host', '--candidates', args.candidates, *cost], check=True)
    return path, [x for d, v in builder.dims.items() for x in ('--dim', f'{d}={v}')]


def facts_of(head):
    """As ktc inspect takes them, from the first line of a file of rows."""
    return re.search(r'sm=\S+?l2=\d+', head)[0]


def capability_of(facts):
    return int(re.search(r'capability=(\d+)', facts)[1])


def target_of(head):
    """The target that rows were measured for."""
    return re.search(r', (sm_\w+)', head)[1]


def schedules(args, facts, path, dims, shape_of):
    """What ktc expects of a compiled model's launches: nanoseconds, splits and the target by shape and candidate."""
    text = subprocess.run([args.ktc, 'inspect', path + '.ktm', '--schedules', '--facts', facts, *dims], check=True, stdout=subprocess.PIPE, text=True).stdout
    result, candidates, shape = {}, {}, None
    for line in text.splitlines():
        if m := re.match(r'  \[(\d+)\] (\S+) "([^"]*)"', line):
            candidates[m[1]] = (m[3], m[2]) if m[2].startswith('sm_') else None
        elif line.startswith('  launch'):
            shape = shape_of({'ints': [int(i) for i in re.findall(r' i\d+=(\d+)', line)]})
        elif (m := re.match(r'    [> ] \[(\d+)\] (\d+) ns(?:, (\d+) splits)?', line)) and shape and candidates[m[1]]:
            candidate, target = candidates[m[1]]
            hidden = HIDDEN if ' gemv ' in candidate and capability_of(facts) >= 90 else 0
            result[(*map(str, shape), candidate)] = (int(m[2]) + hidden, int(m[3] or 1), target)
    return result


def measure(args, name, number, kind, built):
    builder, shape_of = built
    started = time.time()
    path, dims = compiled_model(args, name, number, builder)
    compiled = time.time()
    subprocess.run([args.ktrun, path + '.ktm', '--device', args.device, '--tune', path + '.json', *dims], check=True)
    print(f'{name} {kind}: compiled in {compiled - started:.1f} s, measured in {time.time() - compiled:.1f} s', flush=True)
    with open(path + '.json') as f:
        measured = json.load(f)
    facts = f"sm={measured['sm_count']},shared={measured['shared_per_block']},capability={measured['capability']},l2={measured['l2_bytes']}"
    expected = schedules(args, facts, path, dims, shape_of)
    rows, unknown = [], 0
    for row in measured['rows']:
        shape = shape_of(row)
        if shape is None:
            unknown += 1
        else:
            splits = expected[(*map(str, shape), row['schedule'])][1]
            rows.append((name, kind, *shape, row['schedule'], splits, row['predicted_ns'], row['ns']))
    if unknown:
        print(f'{name} {kind}: {unknown} rows of other kernels', flush=True)
    return rows, f"{measured['machine']}, {measured['sm_count']} multiprocessors, {facts}, {args.target}"


def expected_now(args, facts, wanted):
    """What ktc expects of the models of those sets and kinds: nanoseconds, splits and the target by KEY."""
    os.makedirs(args.work, exist_ok=True)
    result = {}
    for name, models in sets().items():
        for number, (kind, (builder, shape_of)) in enumerate(models):
            if wanted(name, kind):
                path, dims = compiled_model(args, name, number, builder)
                result |= {(name, kind, *key): value for key, value in schedules(args, facts, path, dims, shape_of).items()}
                for ending in ('.onnx', '.ktm'):  # hundreds of megabytes
                    os.remove(path + ending)
    return result


def expect(args):
    with open(args.out, 'w', newline='') as f:
        f.write(f"# no card, {re.search(r'sm=([0-9]+)', args.facts)[1]} multiprocessors, {args.facts}\n")
        writer = csv.writer(f, lineterminator='\n')
        writer.writerow(FIELDS)
        for key, (ns, splits, _) in expected_now(args, args.facts, lambda name, kind: name in args.sets or not args.sets).items():
            writer.writerow([*key, splits, ns, ns])


def read_rows(path):
    with open(path) as f:
        head = f.readline()
        return head, list(csv.DictReader(f))


def by_key(rows):
    return {tuple(r[f] for f in KEY): r for r in rows}


def as_now(rows, now):
    """The rows with what is expected now in the place of what was. A tile whose blocks share nothing is the same launch whether or not
    they might have shared, and of two measurements of one launch the lesser counts: whatever disturbs a launch makes it slower. A
    number of splits that was not measured leaves no row."""
    tile_of = lambda key: (*key[:-1], key[-1].replace(' split', ''))
    by_tile, kept = collections.defaultdict(list), []
    for key, r in by_key(rows).items():
        by_tile[tile_of(key)].append(r)
    for key, r in by_key(rows).items():
        if key not in now:
            continue
        ns, splits, _ = now[key]
        times = [int(s['measured_ns']) for s in by_tile[tile_of(key)] if int(s['splits']) == splits]
        if times:
            kept.append(dict(r, splits=splits, predicted_ns=ns, measured_ns=min(times)))
    return kept


def predicted(args, paths):
    """For each file its first line, its rows as they would run now, and all of them that were recorded where the choice of now was measured too;
    what is wrong with the rows. Each model is compiled once, for all targets and files of the same card."""
    files = [read_rows(path) for path in paths]
    files = [(head, [r for r in rows if not args.sets or r['set'] in args.sets]) for head, rows in files]
    args.target = ','.join(sorted({target_of(head) for head, _ in files}))
    expected = {}
    for facts in {facts_of(head) for head, _ in files}:
        there = {(r['set'], r['kind']) for head, rows in files for r in rows if facts_of(head) == facts}
        expected[facts] = expected_now(args, facts, lambda *model: model in there)
    for head, recorded in files:
        own, there = target_of(head), {(r['set'], r['kind']) for r in recorded}
        # An exact target's machines run the plain target's code as well.
        now = {key: value for key, value in expected[facts_of(head)].items() if key[:2] in there and value[2] in (own, own.rstrip('a'))}
        rows, known = as_now(recorded, now), len(now.keys() & by_key(recorded).keys())
        cheapest = {}
        for key, (ns, *_) in now.items():
            if key[:5] not in cheapest or ns < now[cheapest[key[:5]]][0]:
                cheapest[key[:5]] = key
        measured = by_key(rows)
        unknown = {shape for shape, key in cheapest.items() if key not in measured}
        print(f'{len(rows)} of {known} rows were measured as they would run now, {len(now) - known} others never, nor what is chosen for {len(unknown)} of {len(cheapest)} shapes')
        enough = len(rows) >= LEAST_MEASURED * known and len(unknown) <= (1 - LEAST_MEASURED) * len(cheapest)
        yield (head, [r for r in rows if tuple(r[f] for f in KEY[:5]) not in unknown], recorded,
               [] if enough else [f'fewer than {LEAST_MEASURED:.0%} of the rows or choices: measure again'])


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


def losses(rows, recorded):
    """(loss of the choice against the fastest of all that was recorded, the shape, what was chosen, what is best), the worst first."""
    def by_shape(rows):
        result = collections.defaultdict(list)
        for r in rows:
            result[tuple(r[f] for f in KEY[:5])].append((int(r['predicted_ns']), int(r['measured_ns']), r['candidate']))
        return result
    result, best_of = [], by_shape(recorded)
    for shape, candidates in by_shape(rows).items():
        chosen = min(candidates, key=lambda c: c[0])  # the first of equals, as in the runtime
        best = min(best_of[shape], key=lambda c: c[1])
        result.append((chosen[1] / max(1, best[1]) - 1, shape, chosen, best))
    return sorted(result, key=lambda x: -x[0])


def report(rows, recorded, worst=8):
    """Prints, and returns what misses the goals. `rows` are those of what would run, `recorded` all that was measured."""
    missed = []
    for name in dict.fromkeys((r['set'], r['kind']) for r in rows):
        some = [r for r in rows if (r['set'], r['kind']) == name]
        rho = spearman([int(r['predicted_ns']) for r in some], [int(r['measured_ns']) for r in some])
        lost = losses(some, recorded)
        ratio = statistics.median(int(r['predicted_ns']) / max(1, int(r['measured_ns'])) for r in some)
        print(f'{" ".join(name):24} {len(lost):4} shapes {len(some):5} rows  Spearman {rho:.3f}  expected/measured {ratio:.2f}  '
              f'loss: median {statistics.median(l[0] for l in lost):.1%} 90% {lost[len(lost) // 10][0]:.1%} worst {lost[0][0]:.1%}')
        for what, good in (('Spearman', len(some) < 30 or rho >= GOALS['Spearman']), ('median', statistics.median(l[0] for l in lost) <= GOALS['median']),
                           ('worst', lost[0][0] <= GOALS['worst'])):
            if not good:
                missed.append(f'{name[0]} {name[1]}: {what} misses {GOALS[what]}')
        for loss, shape, chosen, best in lost[:worst]:
            print(f'    {loss:6.1%} {shape[2:]}: {chosen[2]} ({chosen[0]} expected, {chosen[1]} ns), best {best[2]} ({best[1]} ns)')
    return missed


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest='mode', required=True)
    run = sub.add_parser('run')
    run.add_argument('--ktrun', required=True)
    run.add_argument('--out', required=True)
    run.add_argument('--device', default='cuda:0')
    run.add_argument('--most-rows', type=float, default=math.inf, help='only products of at most so many rows')
    run.add_argument('--kinds', default='', help='only those whose kind has a match of this regular expression')
    again = sub.add_parser('predict')
    again.add_argument('rows')
    again.add_argument('--out', required=True)
    check = sub.add_parser('check')
    check.add_argument('rows', nargs='+')
    alone = sub.add_parser('expect')
    alone.add_argument('facts', help='as of ktc inspect: sm=132,shared=232448,capability=90,l2=52428800')
    alone.add_argument('--out', required=True)
    for mode in (run, again, check, alone):
        mode.add_argument('--ktc', required=True)
        mode.add_argument('--work', default=os.path.join(tempfile.gettempdir(), 'kt-cost-model'))
        mode.add_argument('--target', default='sm_90')
        mode.add_argument('--cost-model', default='')
        mode.add_argument('--candidates', default='all')
        mode.add_argument('--sets', nargs='+', default=[])
    sub.add_parser('report').add_argument('rows')
    args = p.parse_args()
    if args.mode == 'expect':
        expect(args)
        return 0
    missed = []
    if args.mode == 'check':
        for _, rows, recorded, wrong in predicted(args, args.rows):
            missed += wrong + report(rows, recorded)
    if args.mode == 'predict':
        [(head, rows, recorded, missed)] = predicted(args, [args.rows])
        report(rows, recorded)
        with open(args.out, 'w', newline='') as f:
            f.write(head)
            writer = csv.DictWriter(f, FIELDS, lineterminator='\n')
            writer.writeheader()
            writer.writerows(rows)
    if args.mode == 'run':
        os.makedirs(args.work, exist_ok=True)
        rows, machine, known = [], '', sets(args.most_rows)
        for name in args.sets or [name for name in known if name != 'few']:
            for number, (kind, built) in enumerate(known[name]):
                if not re.search(args.kinds, kind):
                    continue
                try:
                    more, machine = measure(args, name, number, kind, built)
                except subprocess.CalledProcessError as e:  # what others have measured is still worth having
                    print(f'{name} {kind}: {e}', flush=True)
                    continue
                rows += more
                with open(args.out, 'w', newline='') as f:
                    f.write(f'# {machine}, {time.strftime("%Y-%m-%d")}\n')
                    csv.writer(f, lineterminator='\n').writerows([FIELDS, *rows])
    if args.mode in ('run', 'report'):
        rows = read_rows(args.out if args.mode == 'run' else args.rows)[1]
        missed = report(rows, rows)
    for line in missed:
        print(line)
    return 1 if missed and args.mode == 'check' else 0


if __name__ == '__main__':
    sys.exit(main())
