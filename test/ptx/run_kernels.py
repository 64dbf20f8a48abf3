#!/usr/bin/env python3
"""Runs every GPU kernel family in the PTX interpreter and compares with numpy: run_kernels.py [kt-compile-kernel [NAME]]. The code is left in
KT_KERNEL_DIR where that is set. The last line counts what ran and was right among the cases that there are."""
import concurrent.futures
import contextlib
import os
import sys
import tempfile
import time
import cases_attention
import cases_conv
import cases_faults
import cases_matmul
import cases_order
import cases_settings
import cases_structured
import harness
import report

FAMILIES = {'generic': cases_structured.generic_cases, 'reduce': cases_structured.reduce_cases, 'normalize': cases_structured.normalize_cases,
            'matmul': cases_matmul.matmul_cases, 'conv': cases_conv.conv_cases, 'attention': cases_attention.attention_cases,
            'order': cases_order.order_cases, 'faults': cases_faults.fault_cases, 'settings': cases_settings.settings_cases}


def families(only=''):
    """The cases of each family, by its name."""
    return {name: [c for c in cases() if only in c.name] for name, cases in FAMILIES.items()}


def all_cases(of):
    return [c for cases in of.values() for c in cases]


def attempt(case):
    """Runs in a process of its own, which got `state` by fork."""
    start = time.time()
    try:
        outcome = report.Outcome(case.name, runs=harness.run_case(case, state.kernels[case.name], harness.interpret(state.folder)))
    except AssertionError as e:
        outcome = report.Outcome(case.name, error=str(e))
    except Exception as e:  # of the interpreter or of a case: it has to name the kernel as well
        outcome = report.Outcome(case.name, error=f'{case.name}: {type(e).__name__}: {e}')
    return outcome, time.time() - start


class state:
    kernels, folder, cases = {}, '', []


def attempt_number(i):
    return attempt(state.cases[i])


def main(argv):
    tool = argv[1] if len(argv) > 1 else 'build/bin/kt-compile-kernel'
    of = families(argv[2] if len(argv) > 2 else '')
    state.cases = all_cases(of)
    with contextlib.ExitStack() as stack:
        state.folder = os.environ.get('KT_KERNEL_DIR') or stack.enter_context(tempfile.TemporaryDirectory())
        state.kernels = harness.compile_cases(state.cases, tool, state.folder)
        outcomes = []
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
            for outcome, seconds in pool.map(attempt_number, range(len(state.cases))):
                k = state.kernels[outcome.name]
                outcomes.append(outcome)
                if outcome.error:
                    print('FAIL', outcome.error, flush=True)
                else:
                    print(f"ok   {outcome.name}: {outcome.runs} runs of {len(k['variants'])} variants, compiled in {k['ms']:.0f} ms, run in {seconds:.1f} s", flush=True)
        return report.summary(of, state.kernels, outcomes)


if __name__ == '__main__':
    sys.exit(main(sys.argv))
