#!/usr/bin/env python3
"""What contrib-paged-latent.test's model makes of requests that come and go, run after run, against numpy: paged_latent.py LIBKTRT MODEL.ktm"""
import ctypes
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), *['..'] * 3))
from sessions import Model

BLOCK, HEADS, SIZE, BLOCKS = 4, 4, 24, 12


def empty():
    return dict(cache=np.zeros((BLOCKS, BLOCK, 1, SIZE), np.float32), other=np.zeros((BLOCKS, BLOCK, 1, SIZE), np.float32))


def step(new, past, table, random, limits=(0, 0, 0)):
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    angles, tokens = np.random.default_rng(0).uniform(0, 6, (64, 4)), sum(new)
    slots = [table[b][p // BLOCK] * BLOCK + p % BLOCK for b in range(len(new)) for p in range(past[b], past[b] + new[b])]
    return dict(q=draw(tokens, HEADS * SIZE), k=draw(tokens, SIZE), ends=np.cumsum([0, *new]).astype(np.int32), past=np.array(past, np.int32),
                table=np.array(table, np.int32), cos=np.cos(angles).astype(np.float32), sin=np.sin(angles).astype(np.float32), slots=np.array(slots, np.int32),
                sinks=draw(HEADS), qnorm=1 + draw(SIZE) / 4, knorm=1 + draw(SIZE) / 4, limits=np.array(limits, np.int32))


def schedule(random):
    """Limits that are not known, too large, and just right."""
    yield step([5], [0], [[7, 2]], random)
    yield step([1, 9], [5, 0], [[7, 2, -1], [11, 0, 4]], random, (20, 30, 0))
    yield step([1, 1], [6, 9], [[7, 2, -1], [11, 0, 4]], random, (1, 10, 10))
    yield step([3, 1], [0, 10], [[2, -1, -1], [11, 0, 4]], random, (0, 11, 2))


def turned(x, at, i, first, interleaved):
    """x [heads, SIZE] with 8 columns from `first` on turned by the angles of position `at`."""
    x, c, s = x.copy(), i['cos'][at], i['sin'][at]
    a, b = (slice(first, first + 8, 2), slice(first + 1, first + 8, 2)) if interleaved else (slice(first, first + 4), slice(first + 4, first + 8))
    x[:, a], x[:, b] = x[:, a] * c - x[:, b] * s, x[:, b] * c + x[:, a] * s
    return x


def attention(i, cache, width, scale, first, interleaved=False, norms=False, sinks=None, softcap=0, window=0):
    q, k, cache = i['q'].reshape(-1, HEADS, SIZE).astype(np.float64), i['k'].reshape(-1, 1, SIZE).astype(np.float64), cache.astype(np.float64)
    if norms:
        q, k = (x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * i[w] for x, w in ((q, 'qnorm'), (k, 'knorm')))
    place = lambda b, p: (i['table'][b, p // BLOCK], p % BLOCK)
    y = np.zeros((len(q), HEADS, width))
    where = [(b, i['past'][b] + t - i['ends'][b]) for b in range(len(i['past'])) for t in range(i['ends'][b], i['ends'][b + 1])]
    for t, (b, p) in enumerate(where):
        cache[place(b, p)] = turned(k[t], p, i, first, interleaved)
    for t, (b, p) in enumerate(where):
        rows = cache[tuple(np.array([place(b, j) for j in range(max(0, p + 1 - window) if window else 0, p + 1)]).T)][:, 0]
        scores = turned(q[t], p, i, first, interleaved) @ rows.T * scale
        scores = softcap * np.tanh(scores / softcap) if softcap else scores
        weight = np.exp(scores)
        y[t] = weight @ rows[:, :width] / (weight.sum(1) + (0 if sinks is None else np.exp(sinks)))[:, None]
    return y.reshape(len(q), -1), cache.astype(np.float32)


def follow(caches, i):
    y, cache = attention(i, caches['cache'], 16, 0.3, 16)
    z, other = attention(i, caches['other'], SIZE, SIZE ** -0.5, 8, interleaved=True, norms=True, sinks=i['sinks'], softcap=4, window=5)
    return y, z, dict(cache=cache, other=other)


def close(got, want):
    # Sums and exponentials of f32 against numbers in double precision.
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def check(model):
    random = np.random.default_rng(3)
    plain, kept = model.session(), model.session(BLOCKS)
    caches = empty()
    for i in schedule(random):
        got = plain.run({**i, **caches})
        y, z, caches = follow(caches, i)
        for name, want in ('y', y), ('z', z), ('latent', caches['cache']), ('others', caches['other']):
            close(got[name], want)
        got = kept.run(i)
        assert set(got) == {'y', 'z'}, set(got)
        close(got['y'], y)
        close(got['z'], z)
    plain.free(), kept.free()


if __name__ == '__main__':
    check(Model(ctypes.CDLL(sys.argv[1]), sys.argv[2]))
