#!/usr/bin/env python3
"""Sequences in pieces through contrib-sliding.test's model: sliding.py MODEL.ktm"""
import sys

import numpy as np
from states import run

KV, HEADS, SIZE, WINDOW = 2, 4, 8, 4


def turned(x, angles, first=0):
    """[batch, tokens, heads, size] at positions `first` and on."""
    a, b = np.split(x, 2, -1)
    c, s = (f(angles[first:first + x.shape[1], None]) for f in (np.cos, np.sin))
    return np.concatenate([a * c - b * s, b * c + a * s], -1)


def whole(q, k, v):
    """All tokens at once; each sees the latest of WINDOW."""
    scores = np.einsum("bthd,bshd->bhts", q, np.repeat(k, HEADS // KV, 2)) * SIZE ** -0.5
    t, s = np.arange(q.shape[1])[:, None], np.arange(q.shape[1])[None]
    weight = np.exp(np.where((s <= t) & (t - s < WINDOW), scores, -np.inf))
    weight /= weight.sum(-1, keepdims=True)
    return np.einsum("bhts,bshd->bthd", weight, np.repeat(v, HEADS // KV, 2)).reshape(*q.shape[:2], -1)


def held(total, room):
    step = room - WINDOW + 1
    return total if total <= room else total - step * -(-(total - room) // step)


def check(model, batch, room, pieces, seed):
    random = np.random.default_rng(seed)
    tokens = sum(pieces)
    draw = lambda heads: random.standard_normal((batch, tokens, heads, SIZE)).astype(np.float32)
    q, k, v, angles = draw(HEADS), draw(KV), draw(KV), random.uniform(0, 6, (64, SIZE // 2)).astype(np.float32)
    turnedk = turned(k, angles)
    want = whole(turned(q, angles), turnedk, v)
    keys, values = (np.full((batch, KV, room, SIZE), 7, np.float32) for _ in "kv")  # what it holds before is of no meaning
    done = 0
    for count in pieces:
        part = lambda x: x[:, done:done + count].reshape(batch, count, -1)
        out = run(model, dict(q=part(q), k=part(k), v=part(v), past_keys=keys, past_values=values, last=np.full(batch, done + count - 1, np.int32),
                              total=np.array(done + count, np.int32), cos=np.cos(angles), sin=np.sin(angles)))
        np.testing.assert_allclose(out["y"], want[:, done:done + count], rtol=1e-4, atol=1e-5, err_msg=f"{pieces}, {room}: tokens from {done}")
        done, keys, values = done + count, out["keys"], out["values"]
        there = held(done, room)
        for got, full in ((keys, turnedk), (values, v)):
            np.testing.assert_allclose(got[:, :, :there], full[:, done - there:done].swapaxes(1, 2), rtol=1e-4, atol=1e-5, err_msg=f"{pieces}, {room}: caches at {done}")


def main(model):
    check(model, 2, 4, [3] + [1] * 9, 0)
    check(model, 2, 7, [9] + [1] * 8, 1)
    check(model, 1, 6, [2, 1, 5, 1, 9, 3], 2)


main(*sys.argv[1:])
