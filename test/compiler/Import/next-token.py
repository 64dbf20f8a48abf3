"""Tokens that `ktc compile --sample` chooses, against the same choice by sorting: next-token.py GREEDY DRAWN [DRAWN of rank 2] for artifacts whose logits are
their input `x`, of as many tokens as the words after a colon say."""
import os
import subprocess
import sys
import tempfile
import numpy as np


def run(artifact, more=(), **inputs):
    with tempfile.TemporaryDirectory() as work:
        np.savez(os.path.join(work, 'in.npz'), **inputs)
        subprocess.run(['ktrun', artifact, '--device', 'host', '--input', f'@{work}/in.npz', '--output', f'next_token={work}/out.npy'.replace('=', '=@'), *more], check=True)
        return np.load(os.path.join(work, 'out.npy'))


def settings(temperature=1.0, top_k=0, top_p=1.0, seed=0, step=0):
    types = {'temperature': np.float32, 'top_k': np.int32, 'top_p': np.float32, 'seed': np.int64, 'step': np.int64}
    given = {'temperature': temperature, 'top_k': top_k, 'top_p': top_p, 'seed': seed, 'step': step}
    return {f'sampling.{name}': np.array([given[name]], types[name]) for name in types}


def philox(counter, key):
    """Ten rounds of Philox 4x32, by words; the words of the counter may be arrays."""
    c, k, mask = [np.asarray(w, np.uint64) for w in counter], [int(w) for w in key], np.uint64(0xffffffff)
    for _ in range(10):
        p, q = c[0] * np.uint64(0xd2511f53), c[2] * np.uint64(0xcd9e8d57)
        c = [(q >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), q & mask, (p >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), p & mask]
        k = [(k[0] + 0x9e3779b9) & 0xffffffff, (k[1] + 0xbb67ae85) & 0xffffffff]
    return c


def left(row, temperature, top_k, top_p):
    """The tokens that may be drawn, by sorting."""
    order = np.lexsort((np.arange(len(row)), -row))
    order = order[~np.isnan(row[order])]
    order = order[:top_k] if top_k else order
    weights = np.exp((row[order] - row[order[0]]) / np.float64(temperature))
    kept = np.searchsorted(np.cumsum(weights), top_p * weights.sum()) + 1 if top_p < 1 else len(order)
    return order[:kept]


def check_draws(artifact, logits, row_of, **given):
    """Each row's token is the best of those that may be drawn, by the numbers that its seed, step and place give."""
    tokens = run(artifact, x=logits, **settings(**given))
    if tokens.shape != (len(logits), 1):
        raise SystemExit(f'{artifact}: {tokens.shape} tokens of {len(logits)} rows')
    values = {**dict(temperature=1.0, top_k=0, top_p=1.0, seed=0, step=0), **given}
    seed, step = values.pop('seed') & (2**64 - 1), values.pop('step')
    for number, token in enumerate(tokens[:, 0]):
        row = row_of(logits[number]).astype(np.float64)
        words = philox([np.arange(len(row)), np.full(len(row), number), np.full(len(row), step & 0xffffffff), np.full(len(row), step >> 32)], [seed & 0xffffffff, seed >> 32])
        may = left(row, **values)
        score = (row - np.nanmax(row)) / values['temperature'] - np.log(-np.log1p(-(words[0] + 0.5) * 2.0**-32))
        if token not in may or score[token] < score[may].max() - 1e-4:
            raise SystemExit(f'{artifact} {given}: row {number} has {token}, expected {may[score[may].argmax()]} of {sorted(may)[:20]}')
    return tokens


def check_distribution(artifact, dtype, count=20000):
    """As many draws of one row as there are rows, by chi-square with 1 % to be wrong."""
    row = np.array([0, 1, 2, -1, 0.5, 0.25, 1.5, -2, 0.75, 1], dtype)
    logits = np.ascontiguousarray(np.broadcast_to(row, (count, 1, len(row))))
    for given, most in ((dict(temperature=1.0), 21.67), (dict(temperature=0.5), 21.67), (dict(top_k=4), 11.35), (dict(top_p=0.8), 15.1)):
        drawn = np.bincount(run(artifact, x=logits, **settings(seed=7, step=3, **given))[:, 0], minlength=len(row))
        may = left(row.astype(np.float64), given.get('temperature', 1.0), given.get('top_k', 0), given.get('top_p', 1.0))
        weights = np.zeros(len(row))
        weights[may] = np.exp(row[may].astype(np.float64) / given.get('temperature', 1.0))
        expected = weights / weights.sum() * count
        if drawn[expected == 0].any():
            raise SystemExit(f'{artifact} {given}: {drawn} are drawn of {may}')
        chi = (((drawn - expected)**2)[may] / expected[may]).sum()
        if chi > most:
            raise SystemExit(f'{artifact} {given}: {drawn} instead of {expected}, chi-square {chi}')


def check_greedy(artifact, rng):
    logits = rng.integers(-4, 5, (3, 5, 10)).astype(np.float32)
    logits[0, 1, 4], logits[0, 2, :], logits[1, 0, :] = np.nan, np.nan, -np.inf
    logits[1, 1, :], logits[1, 1, 3] = -np.inf, np.nan
    logits[1, 2, :2], logits[1, 2, 2:] = (-0.0, 0.0), -1
    best = np.where(np.isnan(logits), -np.inf, logits).argmax(-1)
    best[0, 2] = -1
    if (tokens := run(artifact, x=logits)).tolist() != best.tolist():
        raise SystemExit(f'{artifact}: {tokens} instead of {best}')
    logits = np.full((1, 1, 10), np.nan, np.float32)
    logits[0, 0, 7] = -np.inf
    if run(artifact, x=logits).item() != 7:
        raise SystemExit(f'{artifact}: what is no number is chosen')


def main(greedy, drawn, flat, half):
    rng = np.random.default_rng(5)
    check_greedy(greedy, rng)
    check_distribution(drawn, np.float32)
    last, whole = (lambda x: x[-1]), (lambda x: x)
    # Ties, also at the limits, in rows of 10; wide rows in both types.
    few, many, halves = rng.integers(-3, 4, (40, 2, 10)).astype(np.float32), rng.normal(0, 3, (6, 1000)).astype(np.float32), rng.normal(0, 3, (6, 3, 300)).astype(np.float16)
    few[0, 1, 3], many[1, ::7], halves[2, 2, :100] = np.nan, np.nan, np.inf
    for k in (0, 1, 2, 5, 9, 10, 50):
        for p in (0.0, 0.3, 0.9, 1.0):
            for temperature in (0.3, 1.0, 2.5):
                given = dict(temperature=temperature, top_k=k, top_p=p, seed=-k - 1, step=(k << 33) + 1)
                check_draws(drawn, few, last, **given)
                if temperature == 1.0:
                    check_draws(flat, many, whole, **given)
                    check_draws(half, halves[[0, 1, 3, 4, 5]], last, **given)
    zero = run(drawn, x=few, **settings(temperature=0))[:, 0]
    if zero.tolist() != np.nanargmax(few[:, 1], -1).tolist():
        raise SystemExit(f'{drawn}: {zero} at a temperature of 0')
    threads = [run(flat, ['--threads', t], x=many, **settings(seed=11, temperature=1.7, top_p=0.95)).tolist() for t in ('1', '4')]
    if threads[0] != threads[1]:
        raise SystemExit(f'{flat}: {threads} with 1 and 4 threads')
    if run(drawn, x=np.full((1, 1, 10), np.nan, np.float32), **settings()).item() != -1:
        raise SystemExit(f'{drawn}: a token is drawn of no number')
    # The paper's own known answers hold for the numbers that all of this is held against.
    if [int(w) for w in philox([0] * 4, [0] * 2)] != [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]:
        raise SystemExit('the numbers of the test are not those of Philox')


main(*sys.argv[1:])
