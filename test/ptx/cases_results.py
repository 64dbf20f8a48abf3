"""Kernels with several results: what elementwise work makes and a norm of it, and reductions that share a pass."""
import numpy as np
from cases_structured import randn
from harness import Case, Tensor


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


NORMS = {'layer': lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5),
         'rms': lambda x: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5), 'softmax': softmax}


def residual_runs(kind, norm, shapes, again, ints):
    runs = []
    for n, m in shapes:
        a, b, w = Tensor(randn(n, m), kind), Tensor(randn(n, m), kind), Tensor(randn(m), kind)
        r = Tensor(a.values + b.values + w.values, kind)
        x = r.values.astype(np.float64)
        y = NORMS[norm](x) * w.values + (x if again else 0) if x.size else x
        runs.append(((n, m)[:ints], [a, b, w], [r, Tensor(y, kind)]))
    return runs


def reduction_runs(shapes, kind, axis, results):
    runs = []
    for shape in shapes:
        x = Tensor(randn(*shape) * 3, kind)
        runs.append((shape, [x], results(x.values.astype(np.float64), axis)))
    return runs


def moments(x, axis):
    return [Tensor(x.mean(axis), 'f32'), Tensor((x * x).mean(axis) - x.mean(axis)**2, 'f32')]


def extremes(x, axis):
    return [Tensor(x.min(axis), 'f16'), Tensor(x.max(axis), 'f16'), Tensor(x.argmax(axis), 'i64')]


def one_launch(ints, kernel, ptx):
    """Nothing but what few long rows leave to a second stage is more than one function."""
    several = [v['schedule'] for v in kernel['variants'] if len(v['stages']) > 1 and 'splits' not in v['schedule']]
    return f'more than one launch: {several}' if several else None


def result_cases():
    ragged = ((1, 1), (7, 197), (3, 509), (5, 70), (2, 64), (3, 3000), (1, 9000), (2, 17001), (1, 16640), (0, 40), (3, 0))
    rows = ((1, 7), (7, 197), (509, 64), (197, 1), (3, 3000), (100, 2100), (2, 20000), (1, 20001))
    columns = ((1, 7), (7, 197), (64, 509), (300, 40), (5, 1))
    return [Case('residual_layer_f32', residual_runs('f32', 'layer', ragged, True, 2), 4e-6, check=one_launch),
            Case('residual_rms_f16_768', residual_runs('f16', 'rms', ((1, 768), (7, 768), (0, 768)), False, 1), check=one_launch),
            Case('residual_softmax_f16', residual_runs('f16', 'softmax', ragged, False, 2), check=one_launch),
            Case('moments_rows_f32', reduction_runs(rows, 'f32', 1, moments), 4e-6, flags=('--variants=all',), check=one_launch),
            Case('moments_columns_f32', reduction_runs(columns, 'f32', 0, moments), 4e-6, check=one_launch),
            Case('extremes_rows_f16', reduction_runs(rows, 'f16', 1, extremes), flags=('--variants=all',), check=one_launch),
            Case('extremes_columns_f16', reduction_runs(columns, 'f16', 0, extremes), check=one_launch)]
