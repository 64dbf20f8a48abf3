"""Artifacts of language models with caches generate the same tokens in every way that ktrun generate has, and as a loop over plain runs does."""
import json
import os
import re
import subprocess
import sys
import tempfile
import numpy as np

PROMPT, COUNT, ROOM = [3, 5, 7, 11, 13], 40, 50
WAYS = [[], ['--plain'], ['--piece', '1'], ['--piece', '3'], ['--capacity', '131'], ['--guess', '3'], ['--guess', '5', '--lookup', '1', '--piece', '2'], ['--no-graphs', '--threads', '1']]


def generate(artifact, *more):
    run = subprocess.run(['ktrun', 'generate', artifact, '--device', 'host', '--tokens', ','.join(map(str, PROMPT)), '--max-new', str(COUNT), '--format', 'json',
                          *more], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f'{artifact} {more}: {run.stderr}')
    return json.loads(run.stdout)['tokens']


def ports(artifact):
    """Names, types and shapes of the inputs, which output continues which, and whether one replaces all of it, as ktc inspect prints them."""
    inputs, tied, replaces = {}, {}, False
    for line in subprocess.run(['ktc', 'inspect', artifact], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        if words[:1] == ['input']:
            kind, dims = line.split(' ', 2)[2].split(' in %')[0].rstrip(']').split('[')
            inputs[words[1]] = (kind.strip(), [d.strip() for d in dims.split(',')])
        elif of := re.search(r', (continues|rewrites|replaces) (\S+)', line):
            tied[of[2]] = words[1]
            replaces |= of[1] == 'replaces'
    return inputs, tied, replaces


def by_plain_runs(artifact, count):
    """Each run a process of its own, caches in files."""
    inputs, tied, _ = ports(artifact)
    size = lambda name: int(name) if name.isdigit() else {'max_seq_len': ROOM}.get(name, 0)
    state = {i: np.zeros([1] + [size(d) for d in dims[1:]], np.float32) for i, (_, dims) in inputs.items() if i in tied}
    tokens, held, out = list(PROMPT), 0, []
    with tempfile.TemporaryDirectory() as work:
        while len(out) < count:
            feeds = dict(state)
            for name in inputs:
                if 'position' in name:
                    feeds[name] = np.arange(held, held + len(tokens), dtype=np.int64)[None]
                elif 'mask' in name:
                    feeds[name] = np.ones((1, held + len(tokens)), np.int64)
                elif name in ('write_indices', 'nonpad_kv_seqlen'):
                    feeds[name] = np.array([held + (len(tokens) if name == 'nonpad_kv_seqlen' else 0)])
                elif name not in tied:
                    feeds[name] = np.array([tokens], np.int64)
            np.savez(os.path.join(work, 'in.npz'), **feeds)
            subprocess.run(['ktrun', artifact, '--device', 'host', '--input', f'@{work}/in.npz', '--output', f'@{work}/out.npz'], check=True)
            with np.load(os.path.join(work, 'out.npz')) as result:
                held += len(tokens)
                state = {i: result[o] for i, o in tied.items()}
                tokens = [int(result['logits'].reshape(-1, result['logits'].shape[-1])[-1].argmax())]
            out += tokens
    return out


for artifact in sys.argv[1:]:
    first = generate(artifact)
    if len(first) != COUNT or len(set(first)) == 1 and 'gpt2' not in artifact:
        raise SystemExit(f'{artifact}: {first}')
    # What each run replaces has no way back to before a guess.
    for way in [w for w in WAYS[1:] if not (ports(artifact)[2] and '--guess' in w)]:
        if (tokens := generate(artifact, *way)) != first:
            raise SystemExit(f'{artifact} {way}: {tokens} instead of {first}')
    if (tokens := by_plain_runs(artifact, 9)) != first[:9]:
        raise SystemExit(f'{artifact}: {first[:9]} instead of {tokens}')
    drawn = [generate(artifact, '--temperature', '2', '--seed', seed) for seed in ('1', '1', '2')]
    if drawn[0] != drawn[1] or drawn[0] == drawn[2] or drawn[0] == first:
        raise SystemExit(f'{artifact}: drawn {drawn}')
    if generate(artifact, '--temperature', '2', '--top-k', '1') != first or generate(artifact, '--temperature', '0.5', '--top-p', '0') != first:
        raise SystemExit(f'{artifact}: the likeliest token is not the only one drawn')
