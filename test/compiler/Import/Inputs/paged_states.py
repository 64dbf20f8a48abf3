#!/usr/bin/env python3
"""What contrib-paged-state.test's model makes of requests that come and go, run after run, against numpy: paged_states.py LIBKTRT MODEL.ktm. Prints what is said of a
table that points outside."""
import ctypes
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), *['..'] * 3))
from paged import BLOCK, HEADS, KV, SIZE, attention
from sessions import Failed, Model

BLOCKS = 12


def empty():
    return dict(keycache=np.zeros((BLOCKS, BLOCK, KV, SIZE), np.float32), valuecache=np.zeros((BLOCKS, BLOCK, KV, SIZE), np.float32))


def step(new, past, table, random):
    """The inputs of a run in which sequence b, which has past[b] tokens in the blocks table[b], adds new[b]."""
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    angles = np.random.default_rng(0).uniform(0, 6, (64, 4))
    pages = np.full((len(new), max(map(len, table))), -1, np.int32)
    for row, blocks in zip(pages, table):
        row[:len(blocks)] = blocks
    tokens = sum(new)
    return dict(q=draw(tokens, HEADS * SIZE), k=draw(tokens, KV * SIZE), v=draw(tokens, KV * SIZE), ends=np.cumsum([0, *new]).astype(np.int32),
                past=np.array(past, np.int32), table=pages, cos=np.cos(angles).astype(np.float32), sin=np.sin(angles).astype(np.float32))


def schedule(random):
    """A prompt, a second one that joins it, tokens of both, and a third one in the blocks that the first has left."""
    yield step([5], [0], [[7, 2]], random)
    yield step([1, 9], [5, 0], [[7, 2], [11, 0, 4]], random)
    yield step([1, 1], [6, 9], [[7, 2], [11, 0, 4]], random)
    yield step([1, 1], [7, 10], [[7, 2], [11, 0, 4]], random)
    yield step([3, 1], [0, 11], [[2], [11, 0, 4]], random)


def follow(caches, i):
    y, keys, values = attention({**i, **caches}, i['q'], i['k'], i['v'], SIZE ** -0.5, rotary=True)
    return y, dict(keycache=keys.astype(np.float32), valuecache=values.astype(np.float32))


def close(got, want):
    # Sums and exponentials of f32 against numbers in double precision.
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def check(model):
    random = np.random.default_rng(3)
    plain, kept, other = model.session(), model.session(BLOCKS), model.session(BLOCKS)
    ours, theirs = empty(), empty()
    for i, k in zip(schedule(random), list(schedule(random))[::-1]):
        got = plain.run({**i, **ours})
        y, ours = follow(ours, i)
        close(got['y'], y)
        close(got['keys'], ours['keycache'])
        close(got['values'], ours['valuecache'])
        got = kept.run(i)
        assert set(got) == {'y'}, set(got)
        close(got['y'], y)
        y, theirs = follow(theirs, k)
        close(other.run(k)['y'], y)
    other.reset()
    i = step([6], [0], [[3, 1]], random)
    close(other.run(i)['y'], follow(empty(), i)[0])
    for session in plain, kept, other:
        session.free()


def check_large(model, threads):
    """A run in a large cache takes no more threads than one in a small one, and far fewer than the cache has elements."""
    random, used = np.random.default_rng(9), []
    i = step([2, 1], [3, 0], [[0, 3], [1]], random)
    for blocks in BLOCKS, 20000:
        session = model.session(blocks)
        session.run(i)
        before = threads()
        session.run(i)
        used.append(threads() - before)
        session.free()
    assert used[0] == used[1] < 20000 * BLOCK, used


def refusals(model):
    """What is said of a table that points outside, and of the run after it."""
    session, random, said = model.session(BLOCKS), np.random.default_rng(5), []
    first = step([2], [0], [[1]], random)
    session.run(first)
    for i in step([2], [2], [[12]], random), first:
        try:
            session.run(i)
        except Failed as e:
            said.append(str(e))
    session.reset()
    close(session.run(first)['y'], follow(empty(), first)[0])
    session.free()
    return said


def main(library, artifact):
    model = Model(ctypes.CDLL(library), artifact)
    check(model)
    print(*refusals(model), sep='\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
