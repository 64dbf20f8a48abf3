"""Attention of few queries whose shares of the keys are the blocks of a cluster: the cases of other kernels of it, as code for GPUs that have clusters."""
import re
from cases_attention import attention_case, attention_cases, cache_cases, page_cases
from cases_makers import maker_cases

# By what is beside the cluster: heads of 64 and 128, masks, sinks and windows (where shares have no keys), caches of integers, pages, and operands that are made in the kernel.
NAMES = ('attention_decode', 'attention_decode_alone', 'attention_decode_narrow', 'attention_decode_sink', 'attention_decode_seven', 'attention_decode_window', 'attention_decode_cache',
         'caches_f16_64', 'caches_bf16_window', 'caches_f16_48', 'pages_window', 'made_causal', 'made_sliding', 'made_moved', 'made_windows')


def needs_no_memory(ints, kernel, ptx):
    """Shares meet in shared memory alone."""
    found = re.search(r'\batom\.|\bred\.|membar|fence\.(?!acq_rel\.cta;)', ptx)
    return f'there is {found[0]}' if found else None


def cluster_cases():
    cases = {c.name: c for c in (*attention_cases(), *cache_cases(), *page_cases(), *maker_cases())}
    # Any number of shares that a cluster may have, where there are multiprocessors enough.
    cases['attention_decode_alone'].runs += attention_case('', 'bf16', 128, 128, [(1, 3, 128 * shares + 40) for shares in range(1, 9)], bhsd=True, zero_empty=True).runs
    found = [cases[name].of_target('cluster', 'sm_90a', 'attention decode .*cluster') for name in NAMES]
    for case in found:
        case.check = needs_no_memory
    return found
