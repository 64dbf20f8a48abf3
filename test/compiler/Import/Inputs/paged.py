#!/usr/bin/env python3
"""What contrib-paged.test's model makes of random inputs, against numpy: paged.py MODEL.ktm [--outside]. With --outside, tables, lengths and slots that point outside: prints
what is said of them."""
import sys

import numpy as np
from states import run, same

BLOCK, KV, HEADS, SIZE = 4, 2, 4, 8


def numbers(new, past, pages, blocks, seed, behind=0):
    """`new` tokens of sequences that have `past`; `behind` tokens belong to none."""
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    tokens, batch = sum(new) + behind, len(new)
    table = random.permutation(blocks)[:batch * pages].reshape(batch, pages).astype(np.int32)
    slots = [table[b, p // BLOCK] * BLOCK + p % BLOCK for b in range(batch) for p in range(past[b], past[b] + new[b])]
    slots[0] = -1  # that key is not stored
    for b in range(batch):  # what no token needs is not mapped
        table[b, -(-(new[b] + past[b]) // BLOCK):] = -1
    angles = random.uniform(0, 6, (16, 4))
    return dict(q=draw(tokens, HEADS * SIZE), k=draw(tokens, KV * SIZE), v=draw(tokens, KV * SIZE), packed=draw(tokens, (HEADS + 2 * KV) * SIZE),
                keycache=draw(blocks, BLOCK, KV, SIZE), valuecache=draw(blocks, BLOCK, KV, SIZE), ends=np.cumsum([0, *new]).astype(np.int32),
                past=np.array(past, np.int32), table=table, cos=np.cos(angles).astype(np.float32), sin=np.sin(angles).astype(np.float32),
                slots=np.array(slots + [-1] * behind, np.int32), sinks=draw(HEADS), qnorm=1 + draw(SIZE) / 4, knorm=1 + draw(SIZE) / 4,
                limits=np.array([max(new), max(n + p for n, p in zip(new, past))], np.int32))


def attention(i, q, k, v, scale, rotary=False, norms=False, mapped=False, softcap=0, window=0, sinks=None):
    q, k, v = (x.reshape(len(x), -1, SIZE).astype(np.float64) for x in (q, k, v))
    keys, values, y = i["keycache"].astype(np.float64), i["valuecache"].astype(np.float64), np.zeros((len(q), HEADS, SIZE))
    if norms:
        q, k = (x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * i[w] for x, w in ((q, "qnorm"), (k, "knorm")))
    where = [(b, i["past"][b] + t - i["ends"][b]) for b in range(len(i["past"])) for t in range(i["ends"][b], i["ends"][b + 1])]
    place = lambda b, p: (i["table"][b, p // BLOCK], p % BLOCK)
    if rotary:
        def turned(x):
            x = x.copy()
            for t, (_, p) in enumerate(where):
                a, b, c, s = x[t, :, :SIZE // 2].copy(), x[t, :, SIZE // 2:].copy(), i["cos"][p], i["sin"][p]
                x[t] = np.concatenate([a * c - b * s, b * c + a * s], -1)
            return x
        q, k = turned(q), turned(k)
    for t, (b, p) in enumerate(where):
        to = divmod(i["slots"][t], BLOCK) if mapped else place(b, p)
        if not mapped or i["slots"][t] >= 0:
            keys[to], values[to] = k[t], v[t]
    for t, (b, p) in enumerate(where):
        seen = range(max(0, p + 1 - window) if window else 0, p + 1)
        at = tuple(np.array([place(b, j) for j in seen]).T)
        for h in range(HEADS):
            s = scale * keys[at][:, h // 2] @ q[t, h]
            s = softcap * np.tanh(s / softcap) if softcap else s
            weight = np.exp(s)
            y[t, h] = weight @ values[at][:, h // 2] / (weight.sum() + (np.exp(sinks[h]) if sinks is not None else 0))
    return y.reshape(len(q), -1), keys, values


def expected(i):
    cut = (HEADS * SIZE, (HEADS + KV) * SIZE)
    first = attention(i, i["q"], i["k"], i["v"], SIZE ** -0.5, rotary=True, norms=True, softcap=5)
    second = attention(i, *np.split(i["packed"], cut, 1), 0.5, mapped=True, window=3, sinks=i["sinks"])
    return dict(zip(("y", "keys", "values", "mapped", "mappedkeys", "mappedvalues"), first + second))


SETS = [dict(new=[3, 1, 4], past=[5, 0, 9], pages=4, blocks=15), dict(new=[1, 1], past=[6, 3], pages=2, blocks=5), dict(new=[7], past=[0], pages=3, blocks=4),
        dict(new=[3, 0, 2], past=[1, 4, 2], pages=2, blocks=9, behind=2)]


def main(model, *options):
    if options:
        for name, at, value in (("table", (0, 1), 9), ("table", (0, 1), -1), ("past", 1, 17), ("ends", 2, 9), ("slots", 1, 36), ("slots", 1, -2), ("ends", 0, 1), ("ends", 2, 2),
                                ("past", 2, 13), ("limits", 0, 3), ("limits", 1, 12)):
            inputs = numbers([3, 1, 4], [5, 0, 9], 4, 12, 0)
            inputs["keycache"], inputs["valuecache"] = inputs["keycache"][:9], inputs["valuecache"][:9]
            inputs["table"] %= 9
            inputs["slots"] %= 36
            inputs[name][at] = value
            print(run(model, inputs, 1))
        return
    for seed, each in enumerate(SETS):
        inputs = numbers(**each, seed=seed)
        same(run(model, inputs), expected(inputs), each)


if __name__ == "__main__":
    main(*sys.argv[1:])
