#!/usr/bin/env python3
"""What contrib-experts.test's model makes of random inputs, against numpy: experts.py MODEL.ktm"""
import sys

import numpy as np
from states import run, same

sigmoid = lambda x: 1 / (1 + np.exp(-x))
tanh_gelu = lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


def mixture(x, r, act, w, c, v, d, k, normal):
    """`act` makes what goes into the second product of the first one's result and the token."""
    p = np.exp(r.astype(np.float64))
    p /= p.sum(1, keepdims=True)
    out = np.zeros(x.shape)
    for t in range(len(x)):
        best = np.argsort(-p[t], kind="stable")[:k]
        for e in best:
            y = v[e] @ act(w[e] @ x[t] + c[e], e, t) + d[e]
            out[t] += p[t, e] / (p[t, best].sum() if normal else 1) * y
    return out


def numbers(b, s, seed):
    random = np.random.default_rng(seed)
    shapes = dict(x=(b, s, 8), r=(b * s, 6), w=(6, 10, 8), c=(6, 10), ww=(6, 20, 8), cc=(6, 20), v=(6, 8, 10), d=(6, 8), u=(6, 10, 8), e=(6, 10), flat=(b * s, 8))
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def expected(i):
    x, r, w, c, v, d = (i[n] for n in ("x", "r", "w", "c", "v", "d"))
    flat = x.reshape(-1, 8)

    def limited(h, *_):
        gate, up = np.minimum(h[0::2], 1), np.clip(h[1::2], -1, 1)
        return gate * sigmoid(1.702 * gate) * (up + 1)

    return dict(relu=mixture(flat, r, lambda h, *_: np.maximum(h, 0), w, c, v, d, 1, False).reshape(x.shape),
                gelu=mixture(i["flat"], r, lambda h, *_: tanh_gelu(h), w, 0 * c, v, 0 * d, 3, True),
                swiglu=mixture(flat, r, limited, i["ww"], i["cc"], v, d, 2, True).reshape(x.shape),
                halves=mixture(flat, r, lambda h, *_: tanh_gelu(h[:10]) * h[10:], i["ww"], i["cc"], v, d, 2, False).reshape(x.shape),
                three=mixture(flat, r, lambda h, e, t: h * sigmoid(h) * (i["u"][e] @ flat[t] + i["e"][e]), w, c, v, d, 6, True).reshape(x.shape))


for seed, (b, s) in enumerate([(2, 5), (1, 1)]):
    inputs = numbers(b, s, seed)
    inputs["r"][0, 2] = inputs["r"][0, 4] = 3  # equal ones: the first is taken
    same(run(sys.argv[1], inputs), expected(inputs), (b, s))
