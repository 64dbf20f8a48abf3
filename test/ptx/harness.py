"""Compiles the kernels of cases and runs every variant against a numpy reference, in the interpreter or on what else is a runner."""
import json
import os
import re
import subprocess
import numpy as np
import interp
from kernels import CASES
from paging import Pages

SHARED_BYTES = 99 * 1024
# Facts of a device: SM count, shared bytes a block, compute capability, L2 bytes. Code chooses tiles and splits by the first alone: a few, many (more
# splits) and one, which the smallest problem fills.
DEVICES = [{0: sms, 1: SHARED_BYTES, 2: 89, 3: 32 << 20} for sms in (4, 64, 1)]
MORE_SHARED = {80: 163 * 1024, 90: 227 * 1024}  # of capabilities that have it
BANKS = ('ldmatrix', 'cp.async')  # what has to be free of bank conflicts
NUMPY = {'f32': np.float32, 'f16': np.float16, 'f64': np.float64, 'i8': np.int8, 'i16': np.int16, 'i32': np.int32, 'i64': np.int64,
         'i1': np.bool_, 'ui8': np.uint8, 'bf16': np.uint16}
FAULT = np.dtype([('index', np.int64), ('limit', np.uint32), ('site', np.uint32)])  # artifact::FaultRecord
EPS = {'f32': 2e-6, 'f16': 2e-3, 'bf16': 1.6e-2, 'f64': 1e-12}


class Tensor:
    """An array with a kt element type; bf16 is kept as its bits. `before` are the bits that a result has before anything runs, where it keeps some; others are all ones."""
    before = None

    def __init__(self, values, kind):
        self.kind = kind
        self.bits = interp.f32_to_bf16(np.asarray(values, np.float32)) if kind == 'bf16' else np.ascontiguousarray(values, NUMPY[kind])

    @property
    def values(self):
        return interp.bf16_to_f32(self.bits).reshape(self.bits.shape) if self.kind == 'bf16' else self.bits

    @property
    def shape(self):
        return self.bits.shape


def evaluate(exprs, ints, facts):
    """Values of a kernel's expression pool."""
    out = []
    for op, imm, a, b, c in exprs:
        x, y, z = (out[i] if i >= 0 else None for i in (a, b, c))
        try:
            out.append([lambda: imm, lambda: ints[imm], lambda: facts[imm], lambda: x + y, lambda: x - y, lambda: x * y,
                        lambda: x // y, lambda: -(-x // y), lambda: x % y, lambda: min(x, y), lambda: max(x, y), lambda: int(x == y),
                        lambda: int(x != y), lambda: int(x < y), lambda: int(x <= y), lambda: int(bool(x) and bool(y)),
                        lambda: int(bool(x) or bool(y)), lambda: y if x else z][op]())
        except (ZeroDivisionError, TypeError):
            out.append(None)
    return out


class Case:
    """One kernel of kernels/*.mlir, of the case's name unless `kernel` is another. `runs` are its (ints, inputs, expected): the sizes p0, p1, ... and
    tensors, of which those with `may_be_left` may not be written; or (ints, inputs, expected, faults): the (index, limit, site) of which it has to report one, and the results say nothing. What `banks`
    lists is free of bank conflicts. Variants whose schedule the expression `only` does not match are left out; the interpreter runs blocks in the `order` that interp.launch
    is given. It is compiled with `flags`, for `target` if that is not left to who runs it; `check(ints, kernel, ptx)` says what is wrong with the code of a variant that a run may
    get, or nothing. `pages(ints)` are the sizes that a run has whose states lie in pages, or None where it has none that do."""

    def __init__(self, name, runs, tolerance=None, banks=(), flags=(), check=None, kernel=None, only='', order={}, target='', pages=lambda ints: None):
        self.pages = pages
        self.only, self.order, self.target = only, order, target
        self.name, self.runs, self.tolerance, self.banks = name, runs, tolerance, banks
        self.flags, self.check, self.kernel = tuple(flags), check, kernel or name

    def compiled_with(self, label, flags, check):
        """The same under another name and with other flags of the compiler."""
        return Case(f'{self.name}_{label}', self.runs, self.tolerance, flags=flags, check=check, kernel=self.kernel, pages=self.pages)

    def of_target(self, label, target, only):
        """The same under another name, of code for one target, and of that the variants whose schedule `only` matches."""
        return Case(f'{self.name}_{label}', self.runs, self.tolerance, self.banks, ('--variants=all',), kernel=self.kernel, only=only, target=target, pages=self.pages)


def compile_cases(cases, tool, out, target='sm_89', more=(), library=CASES):
    """Compiles all cases into one folder; answers what kernels.json there says, by name. A case without code is an error."""
    names = [c.name for c in cases]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise SystemExit(f'cases of the same name: {", ".join(twice)}')
    if unknown := sorted({c.kernel for c in cases} - library.texts.keys()):
        raise SystemExit(f'no .mlir file has {", ".join(unknown)}')
    os.makedirs(out, exist_ok=True)
    described = []
    for flags, own in dict.fromkeys((c.flags, c.target) for c in cases):
        with open(f'{out}/all.mlir', 'w') as f:
            f.write(library.module({c.name: c.kernel for c in cases if (c.flags, c.target) == (flags, own)}))
        subprocess.run([tool, f'{out}/all.mlir', '-o', out, f'--target={own or target}', *more, *flags], check=True)
        with open(f'{out}/kernels.json') as f:
            described += json.load(f)
    with open(f'{out}/kernels.json', 'w') as f:
        json.dump(described, f)
    return load_kernels(cases, out)


def load_kernels(cases, out):
    """What compile_cases wrote; it has to have been these very cases."""
    with open(f'{out}/kernels.json') as f:
        kernels = {k['name']: k for k in json.load(f)}
    if differ := sorted(kernels.keys() ^ {c.name for c in cases}):
        raise SystemExit(f'{out}: compiled from other cases; these are in one only: {", ".join(differ)}')
    return kernels


def compare(name, got, want, tolerance):
    a, b = got.values, want.values
    if a.shape != b.shape:
        raise AssertionError(f'{name}: shape {a.shape} instead of {b.shape}')
    if want.kind in EPS:
        a, b = a.astype(np.float64), b.astype(np.float64)
        eps = tolerance or EPS[want.kind]
        finite = b[np.isfinite(b)]
        with np.errstate(invalid='ignore'):
            bad = ~((np.abs(a - b) <= eps * np.abs(b) + eps * max(1.0, np.abs(finite).max(initial=0))) | (a == b) | (np.isnan(a) & np.isnan(b)))
    else:
        bad = a != b
    if bad.any():
        at = tuple(int(x[0]) for x in np.nonzero(bad))
        raise AssertionError(f'{name}: {bad.sum()} of {bad.size} wrong, first at {at}: got {a[at]} expected {b[at]}')


def interpret(out, order={}):
    functions = {}

    def run(stage, arguments, grid, shared, cluster):
        key = stage['file']
        if key not in functions:
            with open(f'{out}/{key}') as f:
                functions[key] = interp.Function(f.read())
        return interp.launch(functions[key], arguments, grid, shared, cluster=cluster, **order)
    run.folder = out
    return run


def devices_of(target):
    """The devices that code for a target, `sm_90a` for one, is run as."""
    capability = int(target.removeprefix('sm_').rstrip('a'))
    return [{**facts, 1: MORE_SHARED.get(capability, SHARED_BYTES), 2: capability} for facts in DEVICES]


def run_case(case, kernel, runner, target='sm_89'):
    """Runs every variant of the case's code, for `target` unless the case says for which, whose guard holds, on every set of inputs, as each device
    would that does not launch what another one does. Answers the number of runs. That is all right only where each function of each variant was launched:
    a variant that no run of its case takes is either not tested or dead code."""
    launched = {(number, at): False for number, v in enumerate(kernel['variants']) if re.search(case.only, v['schedule']) for at in range(len(v['stages']))}
    if not launched:
        raise AssertionError(f'{case.name}: no GPU code')
    count, seen = 0, set()
    for facts in devices_of(case.target or target):
        for which, (ints, inputs, expected, *faults) in enumerate(case.runs):
            in_pages = case.pages(ints)
            both = {False: evaluate(kernel['exprs'], ints, facts), True: evaluate(kernel['exprs'], in_pages, facts) if in_pages else None}
            fits = [both[v['paged']] is not None and (v['guard'] < 0 or bool(both[v['paged']][v['guard']])) for v in kernel['variants']]
            if not any(fits):
                raise AssertionError(f'{case.name} {list(ints)}: no variant takes these sizes')
            for number, variant in enumerate(kernel['variants']):
                values = both[variant['paged']]
                launch = (which, number, *(values and values[g] for stage in variant['stages'] for g in stage['grid']))
                if re.search(case.only, variant['schedule']) and fits[number] and launch not in seen:
                    seen.add(launch)
                    for at in run_variant(case, kernel, number, runner, values, facts, in_pages if variant['paged'] else ints, inputs, expected, faults):
                        launched[number, at] = True
                    count += 1
    if never := [f"{number} ({kernel['variants'][number]['schedule']}) stage {at}" for (number, at), done in launched.items() if not done]:
        raise AssertionError(f'{case.name}: no run of this case launches variant {", ".join(never)}')
    return count


def run_variant(case, kernel, number, runner, values, facts, ints, inputs, expected, faults):
    """One variant on one set of inputs; answers which stages had something to do."""
    variant = kernel['variants'][number]
    label = f"{case.name} {list(ints)} variant {number} ({variant['schedule']})"
    if case.check:
        code = ''
        for s in variant['stages']:
            with open(f"{runner.folder}/{s['file']}") as f:
                code += f.read()
        if wrong := case.check(ints, kernel, code):
            raise AssertionError(f'{label}: {wrong}')
    if variant['paged']:
        axes = kernel['pages']
        pages = Pages(axes, [*inputs, *expected])
        inputs, expected = pages.all(inputs, axes), pages.all(expected, axes[len(inputs):])
    given = [t.bits.reshape(-1).view(np.uint8) for t in inputs]
    buffers = [a.copy() for a in given]
    results = [np.full(t.bits.nbytes, 0xFF, np.uint8) if t.before is None else t.before.reshape(-1).view(np.uint8).copy() for t in expected]
    record = np.zeros(1, FAULT)
    extra = []
    if variant['workspace'] >= 0:
        extra = [np.full(values[variant['workspace']], 0 if variant['workspaceZeroed'] else 0xFF, np.uint8)]
    counters = np.zeros(values[variant['counters']] if variant['counters'] >= 0 else 0, np.uint8)
    if variant['counters'] >= 0:
        extra.append(counters)
    if kernel['reportsFaults']:
        extra.append(record.view(np.uint8))
    if variant['paged']:
        extra.append(pages.table().view(np.uint8))
    done = []
    for at, stage in enumerate(variant['stages']):
        grid = [values[g] for g in stage['grid']]
        shared, cluster = (values[stage[of]] if stage[of] >= 0 else 0 for of in ('shared', 'cluster'))
        if shared > facts[1]:
            raise AssertionError(f'{label}: {shared} bytes of shared memory')
        if 0 in grid:
            continue
        try:
            stats = runner(stage, buffers + results + extra + list(ints), grid, shared, cluster) or {}
        except (interp.PtxError, RuntimeError) as e:
            raise AssertionError(f'{label}: {e}') from e
        done.append(at)
        for what in case.banks:
            if stats.get(what, [0, 0])[1]:
                raise AssertionError(f'{label}: {stats[what][1]} of {stats[what][0]} {what} phases have bank conflicts')
    if not all(np.array_equal(a, b) for a, b in zip(given, buffers)):
        raise AssertionError(f'{label}: writes to an operand')
    if counters.any():
        raise AssertionError(f'{label}: leaves a counter at {counters.view(np.uint32).max()}, which the next launch finds')
    index, limit, site = (int(record[f][0]) for f in FAULT.names)
    if faults and (index, limit, site - 1) not in faults[0]:
        raise AssertionError(f'{label}: reported {(index, limit, site - 1)}, expected one of {faults[0]}')
    if not faults and site:
        raise AssertionError(f'{label}: reported index {index} of {limit} at site {site - 1}, where there is no fault')
    for r, want in zip(results, expected):
        if faults:
            continue
        if getattr(want, 'may_be_left', False) and (r == 0xFF).all():
            continue
        got = Tensor.__new__(Tensor)
        got.kind, got.bits = want.kind, r.view(want.bits.dtype).reshape(want.shape)
        compare(label, got, want, case.tolerance)
    return done
