#!/usr/bin/env python3
"""What states.test's model makes of random inputs, against numpy: states.py MODEL.ktm [--outside]. With --outside, write indices that have no room: prints what is said of
them."""
import os
import subprocess
import sys
import tempfile

import numpy as np


def run(model, inputs, expect=0):
    with tempfile.TemporaryDirectory() as work:
        given, made = os.path.join(work, "in.npz"), os.path.join(work, "out.npz")
        np.savez(given, **inputs)
        done = subprocess.run(["ktrun", model, "--device", "host", "--input", "@" + given, "--output", "@" + made], capture_output=True, text=True)
        assert done.returncode == expect, done.stderr
        return done.stderr if expect else dict(np.load(made))


def numbers(sizes, seed):
    random = np.random.default_rng(seed)
    b, c, room, new, seq = sizes
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    at = random.integers(0, room - new + 1, b)
    return dict(cache=draw(b, 2, room, 3), update=draw(b, 2, new, 3), at=at, anywhere=np.resize([room - 1, -2, 3 * room + 1], b), flatcache=draw(b, room, 5).astype(np.float16), flatupdate=draw(b, new, 5).astype(np.float16),
                x=draw(b, c, seq), w=draw(c, 1, 4), bias=draw(c), conv=draw(b, c, 3), y=draw(b, seq, c), last=draw(b, 6, c), q=draw(b, seq, 16), k=draw(b, seq, 8) / 2,
                v=draw(b, seq, 6), state=draw(b, 2, 4, 3), decay=-abs(draw(b, seq, 2)), decays=-abs(draw(b, seq, 8)), beta=abs(draw(b, seq, 1)) / 2)


def scatter(cache, update, at, ring=False):
    out = cache.copy()
    for row, begin in enumerate(at):
        for s in range(update.shape[-2]):
            out[row, ..., (begin + s) % cache.shape[-2] if ring else begin + s, :] = update[row, ..., s, :]
    return out


def conv(x, w, bias, past, dilation=1):
    """[b, c, l]"""
    read = np.concatenate([past, x], 2)
    y = sum(w[None, :, 0, j, None] * read[:, :, j * dilation:j * dilation + x.shape[2]] for j in range(w.shape[2]))
    return y + bias[None, :, None], read[:, :, read.shape[2] - past.shape[2]:]


def attention(i, q, past, decay=None, beta=None, scale=0.5):
    b, seq = i["k"].shape[:2]
    heads = lambda x, size: x.reshape(b, seq, -1, size).astype(np.float64)
    q, k, v = heads(q, 4), heads(i["k"], 4), heads(i["v"], 3)
    out = max(q.shape[2], 2)
    s, y = past.astype(np.float64), np.zeros((b, seq, out, 3))
    for t in range(seq):
        if decay is not None:
            s = s * np.exp(decay[:, t].reshape(b, 2, -1))[..., None]
        new = v[:, t]
        if beta is not None:
            new = beta[:, t, :, None] * (new - np.einsum("bhdm,bhd->bhm", s, k[:, t]))
        s = s + k[:, t, :, :, None] * new[:, :, None]
        of = lambda x: np.repeat(x, out // x.shape[1], 1)
        y[:, t] = scale * np.einsum("bhdm,bhd->bhm", of(s), of(q[:, t]))
    return y.reshape(b, seq, -1), s


def expected(i):
    turned = lambda x: x.swapaxes(1, 2)
    silu, silu_state = conv(i["x"], i["w"], i["bias"], i["conv"])
    dilated, dilated_state = conv(turned(i["y"]), i["w"], 0 * i["bias"], turned(i["last"]), 2)
    zero = 0 * i["state"]
    pairs = dict(silu=(silu / (1 + np.exp(-silu)), silu_state), dilated=(turned(dilated), turned(dilated_state)),
                 gated_delta=attention(i, i["q"], i["state"], i["decay"], i["beta"]), delta=attention(i, i["q"], zero, None, i["beta"], 0.25),
                 gated=attention(i, i["q"], i["state"], i["decays"]), plain=attention(i, i["q"], i["state"]), shared=attention(i, i["q"][..., :4], i["state"]))
    out = dict(linear_cache=scatter(i["cache"], i["update"], i["at"]), ring=scatter(i["cache"], i["update"], i["anywhere"], True),
               flat=scatter(i["flatcache"], i["flatupdate"], 0 * i["at"]))
    for name, (y, state) in pairs.items():
        out[name], out[name + "_state"] = y, state
    return out


def same(got, want, what):
    assert set(got) == set(want), set(got) ^ set(want)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-4, atol=1e-5, err_msg=f"{what}: {name}")


def in_two(model, inputs, first):
    """The model on the first tokens, then on the others with the states that the first run left."""
    along = dict(x=2, y=1, q=1, k=1, v=1, decay=1, decays=1, beta=1)
    part = lambda begin, end: {n: np.take(v, range(begin, end), along[n]) if n in along else v for n, v in inputs.items()}
    a = run(model, part(0, first))
    rest = {**part(first, inputs["q"].shape[1]), "conv": a["silu_state"], "last": a["dilated_state"], "state": a["gated_delta_state"]}
    b = run(model, rest)
    for name, state, axis in (("silu", "silu_state", 2), ("dilated", "dilated_state", 1), ("gated_delta", "gated_delta_state", 1)):
        yield name, np.concatenate([a[name], b[name]], axis)
        yield state, b[state]


def main(model, *options):
    sizes = (3, 6, 9, 5, 7), (1, 32, 16, 1, 1)
    if options:
        for at in (5, -1):
            inputs = numbers(sizes[0], 0)
            inputs["at"][1] = at
            print(run(model, inputs, 1))
        return
    for seed, each in enumerate(sizes):
        inputs = numbers(each, seed)
        same(run(model, inputs), expected(inputs), each)
    inputs = numbers(sizes[0], 2)
    whole = run(model, inputs)
    for first in (2, 6):
        for name, got in in_two(model, inputs, first):
            np.testing.assert_allclose(got, whole[name], rtol=1e-4, atol=1e-5, err_msg=f"{name} in two")


if __name__ == "__main__":
    main(*sys.argv[1:])
