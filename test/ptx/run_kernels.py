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
import cases_beside
import cases_blocks
import cases_clusters
import cases_conv
import cases_faults
import cases_gemv
import cases_integers
import cases_makers
import cases_matmul
import cases_order
import cases_producers
import cases_quantised
import cases_results
import cases_rows
import cases_settings
import cases_states
import cases_structured
import cases_views
import harness
import interp
import kernels as kernel_files
import report

FAMILIES = {'generic': cases_structured.generic_cases, 'reduce': cases_structured.reduce_cases, 'normalize': cases_structured.normalize_cases,
            'matmul': cases_matmul.matmul_cases, 'gemv': cases_gemv.gemv_cases, 'blocks': cases_blocks.block_cases, 'conv': cases_conv.conv_cases, 'attention': cases_attention.attention_cases, 'pages': cases_attention.page_cases, 'caches': cases_attention.cache_cases,
            'makers': cases_makers.maker_cases, 'clusters': cases_clusters.cluster_cases, 'integers': cases_integers.integer_cases, 'quantised': cases_quantised.quantised_cases, 'producers': cases_producers.producer_cases,
            'views': cases_views.view_cases, 'order': cases_order.order_cases, 'rows': cases_rows.row_cases, 'results': cases_results.result_cases,
            'states': cases_states.state_cases, 'beside': cases_beside.beside_cases, 'faults': cases_faults.fault_cases, 'settings': cases_settings.settings_cases}


def families(only=''):
    """The cases of each family, by its name: those of names that have `only` in them."""
    of = {name: cases() for name, cases in FAMILIES.items()}
    if unused := sorted(kernel_files.CASES.texts.keys() - {c.kernel for c in all_cases(of)}):
        raise SystemExit(f'no case runs {", ".join(unused)}')
    return {name: [c for c in cases if only in c.name] for name, cases in of.items()}


def all_cases(of):
    return [c for cases in of.values() for c in cases]


class state:
    """What the processes get by fork."""
    tool, folder, kernels, cases = '', '', {}, []


def with_lines(case, message):
    """What is wrong with the case, said of the same code with line tables: it names the lines that built the instructions."""
    with tempfile.TemporaryDirectory() as out:
        kernels = harness.compile_cases([case], state.tool, out, more=['--line-tables'])
        try:
            harness.run_case(case, kernels[case.name], harness.interpret(out, case.order))
        except AssertionError as e:
            return str(e)
    return message


def attempt(case):
    start = time.time()
    try:
        outcome = report.Outcome(case.name, runs=harness.run_case(case, state.kernels[case.name], harness.interpret(state.folder, case.order)))
    except AssertionError as e:
        outcome = report.Outcome(case.name, error=with_lines(case, str(e)) if isinstance(e.__cause__, interp.PtxError) else str(e))
    except Exception as e:  # of the interpreter or of a case: it has to name the kernel as well
        outcome = report.Outcome(case.name, error=f'{case.name}: {type(e).__name__}: {e}')
    return outcome, time.time() - start


def attempt_number(i):
    return attempt(state.cases[i])


def main(argv):
    state.tool = argv[1] if len(argv) > 1 else 'build/bin/kt-compile-kernel'
    of = families(argv[2] if len(argv) > 2 else '')
    state.cases = all_cases(of)
    with contextlib.ExitStack() as stack:
        state.folder = os.environ.get('KT_KERNEL_DIR') or stack.enter_context(tempfile.TemporaryDirectory())
        state.kernels = harness.compile_cases(state.cases, state.tool, state.folder)
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
