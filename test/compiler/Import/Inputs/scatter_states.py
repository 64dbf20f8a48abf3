#!/usr/bin/env python3
"""What scatter-states.test's model makes of random inputs, run after run, against numpy: scatter_states.py LIBKTRT MODEL.ktm [SLOTS,BATCH,ROWS]... Without sizes,
also prints what is said of an index that is outside."""
import ctypes
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), *['..'] * 3))
from sessions import Failed, Model

CACHES = dict(next='cache', rows_next='rows', turned_next='turned', ring_next='ring', elements_next='elements', full_next='full')


def empty(slots, b):
    return dict(cache=np.zeros((slots, 6), np.float32), rows=np.zeros((b, slots, 4, 8), np.float16), turned=np.zeros((b, 4, slots, 8), np.float32),
                ring=np.zeros((b, 2, slots, 3), np.float32), elements=np.zeros((b, 4, slots, 8), np.float32), full=np.zeros((b, 4, slots, 8), np.float32))


def numbers(slots, b, n, random):
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    return dict(at=random.integers(-slots, slots, (n, 1)), pairs=np.stack([random.integers(0, b, n), random.integers(-slots, slots, n)], 1), new=draw(n, 6),
                row=draw(n, 4, 8).astype(np.float16), column=draw(n, b, 4, 8),
                begin=random.integers(-3 * slots, 3 * slots, b), part=draw(b, 2, min(n, slots), 3), position=random.integers(-slots, slots, n),
                positions=random.integers(-slots, slots, (b, n)), key=draw(b, 4, n, 8))


def written(caches, i):
    """The caches after a run, row by row as the standard has it."""
    c = {name: v.copy() for name, v in caches.items()}
    for r in range(len(i['new'])):
        c['cache'][i['at'][r, 0]] = i['new'][r]
        c['rows'][tuple(i['pairs'][r])] = i['row'][r]
        c['turned'][:, :, i['at'][r, 0]] = i['column'][r]
        c['elements'][:, :, i['position'][r]] = i['key'][:, :, r]
        for b, positions in enumerate(i['positions']):
            c['full'][b, :, positions[r]] = i['key'][b, :, r]
    for b, begin in enumerate(i['begin']):
        for t in range(i['part'].shape[2]):
            c['ring'][b, :, (begin + t) % c['ring'].shape[2]] = i['part'][b, :, t]
    return c


def same_sums(got, c):
    for name, want in ('sums', c['cache'].sum(1)), ('row_sums', c['rows'].astype(np.float32).sum(3)), ('turned_sums', c['turned'].sum(3)), ('ring_sums', c['ring'].sum(3)), \
            ('elements_sums', c['elements'].sum(3)), ('full_sums', c['full'].sum(3)):
        # Sums of f32, which numpy adds up in another order; the caches themselves are compared exactly.
        np.testing.assert_allclose(got[name], want, rtol=1e-5, atol=1e-5, err_msg=name)


def check(model, slots, b, n, runs, seed):
    random = np.random.default_rng(seed)
    plain, kept, other = model.session(), model.session(slots), model.session(slots)
    ours, theirs = empty(slots, b), empty(slots, b)
    for r in range(runs):
        i, k = numbers(slots, b, n, random), numbers(slots, b, n, random)
        want = written(ours, i)
        got = plain.run({**ours, **i})
        for name, cache in CACHES.items():
            np.testing.assert_array_equal(got[name], want[cache], err_msg=f'{name} of run {r}')
        same_sums(got, want)
        ours, theirs = want, written(theirs, k)
        got = kept.run(i)
        assert not set(got) & set(CACHES), set(got)
        same_sums(got, ours)
        same_sums(other.run(k), theirs)
    fork = kept.fork()
    i, k = numbers(slots, b, n, random), numbers(slots, b, n, random)
    same_sums(fork.run(i), written(ours, i))
    same_sums(kept.run(k), written(ours, k))
    other.reset()
    same_sums(other.run(k), written(empty(slots, b), k))
    for session in plain, kept, other, fork:
        session.free()


def refusals(model):
    """What is said of an index that is outside, and of the run after it."""
    session, i, said = model.session(9), numbers(9, 2, 5, np.random.default_rng(7)), []
    session.run(i)
    outside = {**i, 'at': i['at'].copy()}
    outside['at'][3] = 9
    for inputs in outside, i:
        try:
            session.run(inputs)
        except Failed as e:
            said.append(str(e))
    session.reset()
    same_sums(session.run(i), written(empty(9, 2), i))
    session.free()
    return said


# More rows than slots, none, one, and so many that a table says which is the last.
SIZES = (9, 2, 5), (7, 1, 30), (5, 2, 0), (40, 3, 1), (600, 1, 1500)


def main(library, artifact, *others):
    model = Model(ctypes.CDLL(library), artifact)
    for seed, sizes in enumerate([tuple(map(int, o.split(','))) for o in others] or SIZES):
        check(model, *sizes, runs=3, seed=seed)
    if not others:
        print(*refusals(model), sep='\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
