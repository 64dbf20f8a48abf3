"""Kernels of a product and a norm of its rows: by the last block of a tile of rows and by a stage of its own, with the product's depth shared or not."""
import numpy as np
from cases_matmul import pack, product
from cases_structured import randn
from harness import Case, Tensor


def row_cases():
    cases = []
    for name, kind, n, k, tolerance in (('rows_f16_200_1536', 'f16', 200, 1536, None), ('rows_f32_75_300', 'f32', 75, 300, 2e-5)):
        runs = []
        for m in (1, 7, 70):
            a, w, scale = Tensor(randn(m, k), kind), Tensor(randn(k, n), kind), Tensor(randn(n), 'f32')
            x = Tensor(product(a.values, w.values), kind)
            v = x.values.astype(np.float64)
            if kind == 'f16':
                v = v - v.mean(1, keepdims=True)
            y = v / np.sqrt((v * v).mean(1, keepdims=True) + 1e-5) * scale.values
            runs.append(((m,), [a, Tensor(pack(w.bits), kind), scale], [x, Tensor(y, kind)]))
        cases.append(Case(f'{name}_all', runs, tolerance, flags=('--variants=all',), kernel=name))
    return cases
