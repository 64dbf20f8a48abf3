"""Compiles textual kernels and runs every variant in the interpreter against a numpy reference."""
import json
import os
import subprocess
import sys
import tempfile
import time
import numpy as np
import interp

FACTS = {0: 4, 1: 99 * 1024, 2: 89, 3: 32 << 20}  # SM count, shared bytes a block, compute capability, L2 bytes
BANKS = ('ldmatrix', 'cp.async')  # what has to be free of bank conflicts
NUMPY = {'f32': np.float32, 'f16': np.float16, 'f64': np.float64, 'i8': np.int8, 'i16': np.int16, 'i32': np.int32, 'i64': np.int64,
         'i1': np.bool_, 'ui8': np.uint8, 'bf16': np.uint16}
FAULT = np.dtype([('index', np.int64), ('limit', np.uint32), ('site', np.uint32)])  # artifact::FaultRecord
EPS = {'f32': 2e-6, 'f16': 2e-3, 'bf16': 1.6e-2, 'f64': 1e-12}


class Tensor:
    """An array with a kt element type; bf16 is kept as its bits."""

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
    """One kernel on one set of inputs. `runs` may hold several (ints, inputs, expected) for the same kernel, or (ints, inputs, expected,
    faults): the (index, limit, site) of which it has to report one, and the results say nothing. It is compiled with `flags`;
    `check(ints, kernel, ptx)` says what is wrong with the code of a variant that a run may get, or nothing."""

    def __init__(self, name, text, runs, tolerance=None, banks=(), variants=None, flags=(), check=None):
        self.name, self.text, self.runs, self.tolerance, self.banks, self.variants = name, text, runs, tolerance, banks, variants
        self.flags, self.check = tuple(flags), check

    def compiled_with(self, label, flags, check):
        """The same under another name and with other flags of the compiler."""
        name = f'{self.name}_{label}'
        return Case(name, self.text.replace(f'@{self.name} ', f'@{name} '), self.runs, self.tolerance, flags=flags, check=check)


def compile_cases(cases, tool, out):
    kernels = {}
    for flags in dict.fromkeys(c.flags for c in cases):
        with open(f'{out}/all.mlir', 'w') as f:
            f.write('module {\n' + '\n'.join(c.text for c in cases if c.flags == flags) + '\n}\n')
        subprocess.run([tool, f'{out}/all.mlir', '-o', out, *flags], check=True)
        kernels.update((k['name'], k) for k in json.load(open(f'{out}/kernels.json')))
    return kernels


def compare(name, got, want, tolerance):
    a, b = got.values, want.values
    if a.shape != b.shape:
        raise AssertionError(f'{name}: shape {a.shape} instead of {b.shape}')
    if want.kind in EPS:
        a, b = a.astype(np.float64), b.astype(np.float64)
        eps = tolerance or EPS[want.kind]
        finite = b[np.isfinite(b)]
        bad = ~((np.abs(a - b) <= eps * np.abs(b) + eps * max(1.0, np.abs(finite).max(initial=0))) | (a == b) | (np.isnan(a) & np.isnan(b)))
    else:
        bad = a != b
    if bad.any():
        at = tuple(int(x[0]) for x in np.nonzero(bad))
        raise AssertionError(f'{name}: {bad.sum()} of {bad.size} wrong, first at {at}: got {a[at]} expected {b[at]}')


def interpret(out):
    functions = {}

    def run(stage, arguments, grid, shared):
        key = stage['file']
        if key not in functions:
            functions[key] = interp.Function(open(f'{out}/{key}').read())
        return interp.launch(functions[key], arguments, grid, shared)
    run.folder = out
    return run


def run_case(case, kernel, runner, facts=FACTS):
    """Runs all variants whose guards hold; answers how many ran. A larger device then gets the variants that are left."""
    ran = set()
    for sms in (facts[0], 64):
        run_on(case, kernel, runner, {**facts, 0: sms}, set(ran) if sms == 64 else set(), ran)
    return len(ran)


def run_on(case, kernel, runner, facts, skip, ran):
    for ints, inputs, expected, *faults in case.runs:
        values = evaluate(kernel['exprs'], ints, facts)
        if not any(v['guard'] < 0 or values[v['guard']] for v in kernel['variants']):
            raise AssertionError(f'{case.name} {list(ints)}: no variant takes these sizes')
        for number, variant in enumerate(kernel['variants']):
            if number in skip or (variant['guard'] >= 0 and not values[variant['guard']]):
                continue
            label = f"{case.name} {list(ints)} variant {number} ({variant['schedule']})"
            if case.check and (wrong := case.check(ints, kernel, ''.join(open(f"{runner.folder}/{s['file']}").read() for s in variant['stages']))):
                raise AssertionError(f'{label}: {wrong}')
            buffers = [t.bits.reshape(-1).view(np.uint8).copy() for t in inputs]
            results = [np.full(t.bits.nbytes, 0xFF, np.uint8) for t in expected]
            record = np.zeros(1, FAULT)
            extra = []
            if variant['workspace'] >= 0:
                extra = [np.full(values[variant['workspace']], 0 if variant['workspaceZeroed'] else 0xFF, np.uint8)]
            if kernel['reportsFaults']:
                extra.append(record.view(np.uint8))
            stats = {}
            for stage in variant['stages']:
                grid = [values[g] for g in stage['grid']]
                shared = values[stage['shared']] if stage['shared'] >= 0 else 0
                if shared > facts[1]:
                    raise AssertionError(f'{label}: {shared} bytes of shared memory')
                if 0 in grid:
                    continue
                try:
                    stats = runner(stage, buffers + results + extra + list(ints), grid, shared)
                except interp.PtxError as e:
                    raise AssertionError(f'{label}: {e}') from None
                if case.banks and stats:
                    for what in case.banks:
                        if stats.get(what, [0, 0])[1]:
                            raise AssertionError(f'{label}: {stats[what][1]} of {stats[what][0]} {what} phases have bank conflicts')
            index, limit, site = (int(record[f][0]) for f in FAULT.names)
            if faults and (index, limit, site - 1) not in faults[0]:
                raise AssertionError(f'{label}: reported {(index, limit, site - 1)}, expected one of {faults[0]}')
            if not faults and site:
                raise AssertionError(f'{label}: reported index {index} of {limit} at site {site - 1}, where there is no fault')
            for r, want in zip(results, expected):
                if faults:
                    continue
                got = Tensor.__new__(Tensor)
                got.kind, got.bits = want.kind, r.view(want.bits.dtype).reshape(want.shape)
                compare(label, got, want, case.tolerance)
            ran.add(number)


def main(families, argv):
    tool = argv[1] if len(argv) > 1 else 'build/bin/kt-compile-kernel'
    only = argv[2] if len(argv) > 2 else ''
    cases = [c for f in families for c in f() if only in c.name]
    keep = os.environ.get('KT_KERNEL_DIR')
    with tempfile.TemporaryDirectory() as temporary:
        out = keep or temporary
        kernels = compile_cases(cases, tool, out)
        failed = 0
        for c in cases:
            start = time.time()
            k = kernels[c.name]
            try:
                if not k['variants']:
                    raise AssertionError(f'{c.name}: no GPU code')
                n = run_case(c, k, interpret(out))
                print(f"ok   {c.name}: {n} of {len(k['variants'])} variants, compiled in {k['ms']:.0f} ms, run in {time.time() - start:.1f} s", flush=True)
            except AssertionError as e:
                failed += 1
                print(f'FAIL {e}', flush=True)
        print(f'{len(cases) - failed} of {len(cases)} kernels right')
        return 1 if failed else 0
