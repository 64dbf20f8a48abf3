"""Artifacts of language models with caches generate the same tokens in every way that ktrun generate has, and as a loop over plain runs does. Beside each
MODEL.ktm lie MODEL.ktm.greedy and MODEL.ktm.drawn, of the same model, which choose tokens themselves."""
import json
import os
import re
import subprocess
import sys
import tempfile
import numpy as np

PROMPT, COUNT, ROOM = [3, 5, 7, 11, 13], 40, 50
WAYS = [[], ['--plain'], ['--piece', '1'], ['--piece', '3'], ['--capacity', '131'], ['--guess', '3'], ['--guess', '5', '--lookup', '1', '--piece', '2'], ['--no-graphs', '--threads', '1'],
        ['--pages', '0'], ['--pages', '1', '--piece', '2', '--capacity', '120'], ['--pages', '3', '--guess', '3']]


def report(artifact, *more):
    run = subprocess.run(['ktrun', 'generate', artifact, '--device', 'host', '--tokens', ','.join(map(str, PROMPT)), '--max-new', str(COUNT), '--format', 'json',
                          *more], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f'{artifact} {more}: {run.stderr}')
    return json.loads(run.stdout)


def generate(artifact, *more):
    return report(artifact, *more)['tokens']


def check_stop(artifact, tokens, *more):
    """A token that ends it is the last one, the state has what was read before it, and a run that was one too many is nowhere to be seen."""
    stop = tokens[len(tokens) // 2]
    count = tokens.index(stop) + 1
    for ahead in '0', '1':
        ended = report(artifact, '--stop', str(stop), '--ahead', ahead, *more)
        if ended['tokens'] != tokens[:count] or ended['held'] != len(PROMPT) + count - 1 or ended['runs'] != count - 1:
            raise SystemExit(f'{artifact} --ahead {ahead}: {ended} behind {stop} of {tokens}')


def check_chosen(artifact, first, ways):
    """What chooses tokens itself says what the host makes of its logits, greedy; what it draws is the same in all ways."""
    greedy, drawn = artifact + '.greedy', artifact + '.drawn'
    for way in ways + [['--ahead', '0'], ['--ahead', '1'], ['--ahead', '1', '--piece', '2']]:
        for chooses in greedy, drawn:
            if (tokens := generate(chooses, *way)) != first:
                raise SystemExit(f'{chooses} {way}: {tokens} instead of {first}')
    check_stop(greedy, first)
    draws = ['--temperature', '1.5', '--top-k', '40', '--top-p', '0.95', '--seed', '8']
    wanted = generate(drawn, *draws)
    for way in ways + [['--ahead', '1'], ['--threads', '3', '--ahead', '1', '--piece', '1']]:
        if '--guess' not in way and (tokens := generate(drawn, *draws, *way)) != wanted:
            raise SystemExit(f'{drawn} {way}: {tokens} instead of {wanted}')
    check_stop(drawn, wanted, *draws)
    if wanted == generate(drawn, *draws[:-1], '9') or wanted == first:
        raise SystemExit(f'{drawn}: {wanted} whatever the seed')
    if len(set(generate(drawn, '--temperature', '1000'))) < 10:
        raise SystemExit(f'{drawn}: few tokens of many that are equally likely')
    if generate(drawn, '--temperature', '2', '--top-k', '1') != first or generate(drawn, '--temperature', '0.5', '--top-p', '0') != first:
        raise SystemExit(f'{drawn}: the likeliest token is not the only one drawn')
    # At another temperature the host draws from the logits of what is greedy.
    if generate(greedy, *draws) != generate(artifact, *draws):
        raise SystemExit(f'{greedy}: draws other tokens than {artifact}')


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
    # What each run replaces has no way back to before a guess, and caches of fixed size do not grow into pages.
    ways = [w for w in WAYS if not (ports(artifact)[2] and '--guess' in w) and not ('.static.' in artifact and '--pages' in w)]
    for way in ways[1:]:
        if (tokens := generate(artifact, *way)) != first:
            raise SystemExit(f'{artifact} {way}: {tokens} instead of {first}')
    # A token that only repeats is guessed as often as is asked for.
    if len(set(first[1:])) == 1 and (guessing := report(artifact, '--guess', '3'))['runs'] > 3 + (COUNT - 3) // 4:
        raise SystemExit(f'{artifact}: {guessing}')
    if (tokens := by_plain_runs(artifact, 9)) != first[:9]:
        raise SystemExit(f'{artifact}: {first[:9]} instead of {tokens}')
    drawn = [generate(artifact, '--temperature', '2', '--seed', seed) for seed in ('1', '1', '2')]
    if drawn[0] != drawn[1] or drawn[0] == drawn[2] or drawn[0] == first:
        raise SystemExit(f'{artifact}: drawn {drawn}')
    if generate(artifact, '--temperature', '2', '--top-k', '1') != first or generate(artifact, '--temperature', '0.5', '--top-p', '0') != first:
        raise SystemExit(f'{artifact}: the likeliest token is not the only one drawn')
    check_chosen(artifact, first, ways)
