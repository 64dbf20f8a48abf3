"""Several prompts at once are followed by what follows each of them alone: streams.py MODEL.ktm..., with the artifacts that generate.py has as well beside it."""
import json
import subprocess
import sys

EQUAL = [[3, 5, 7, 11, 13], [4, 6, 8, 10, 12], [17, 2, 17, 2, 40]]
RAGGED = [[3, 5, 7, 11, 13], [4, 6], [17, 2, 17, 2, 40, 1, 20, 33, 9], [8]]
COUNT = 16
DRAWS = ['--temperature', '1.5', '--top-k', '40', '--top-p', '0.95', '--seed', '8']


def generate(artifact, prompts, *more):
    tokens = [f'--tokens={",".join(map(str, p))}' for p in prompts]
    run = subprocess.run(['ktrun', 'generate', artifact, '--device', 'host', *tokens, '--max-new', str(COUNT), '--format', 'json', *more], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f'{artifact} {prompts} {more}: {run.stderr}')
    made = json.loads(run.stdout)
    made['tokens'] = made['tokens'] if len(prompts) > 1 else [made['tokens']]
    return made


def expect(got, wanted, what):
    if got != wanted:
        raise SystemExit(f'{what}: got {got}, expected {wanted}')


def check_stop(artifact, prompts, wanted, goes_back, *more):
    """Each stream ends behind its own token; the state has what all of them have."""
    stop = wanted[0][COUNT // 2]
    cut = [tokens[:tokens.index(stop) + 1] if stop in tokens else tokens for tokens in wanted]
    ends = [len(prompt) + len(tokens) - 1 for prompt, tokens in zip(prompts, cut)]
    for way in [], ['--ahead', '0'], ['--ahead', '1'], ['--piece', '2', '--ahead', '1']:
        made = generate(artifact, prompts, '--stop', str(stop), *more, *way)
        expect(made['tokens'], cut, f'{artifact} {prompts} {more} {way} behind {stop}')
        if goes_back or len(set(ends)) == 1:
            expect(made['held'], min(ends), f'{artifact} {prompts} {way}: held')
            # Beside streams that have ended, what is left of a longer prompt is read at once.
            lengths = [len(prompt) for prompt in prompts]
            expect(made['runs'] <= max(ends) - min(lengths) and (len(set(lengths)) > 1 or made['runs'] == max(ends) - lengths[0]), True, f'{artifact} {prompts} {way}: {made}')


def check_padded(artifact):
    wanted = [generate(artifact, [prompt])['tokens'][0] for prompt in RAGGED]
    held = max(map(len, RAGGED)) + COUNT - 1
    for kind in '', '.greedy', '.drawn':
        for way in [], ['--plain'], ['--piece', '2'], ['--ahead', '1'], ['--ahead', '1', '--piece', '4'], ['--no-graphs', '--threads', '1']:
            made = generate(artifact + kind, RAGGED, '--pad', *way)
            expect((made['tokens'], made['held'], made['runs']), (wanted, held, COUNT - 1), f'{artifact}{kind} padded {way}')
        expect(generate(artifact + kind, RAGGED, '--pad', *DRAWS)['tokens'][0], generate(artifact + kind, RAGGED[:1], *DRAWS)['tokens'][0], f'{artifact}{kind} padded and drawn')
    expect(generate(artifact, EQUAL, '--pad')['tokens'], generate(artifact, EQUAL)['tokens'], f'{artifact} padded')


def check(artifact):
    goes_back = ', replaces ' not in subprocess.run(['ktc', 'inspect', artifact], capture_output=True, text=True, check=True).stdout
    for prompts in EQUAL, RAGGED, EQUAL[:1] * 2:
        wanted = [generate(artifact, [prompt])['tokens'][0] for prompt in prompts]
        for kind in '', '.greedy', '.drawn':
            for way in [], ['--plain'], ['--piece', '2'], ['--ahead', '0'], ['--ahead', '1'], ['--capacity', '77', '--no-graphs', '--threads', '1']:
                made = generate(artifact + kind, prompts, *way)
                expect(made['tokens'], wanted, f'{artifact}{kind} {prompts} {way}')
            expect(made['runs'], COUNT - 1 + max(map(len, prompts)) - min(map(len, prompts)), f'{artifact}{kind} {prompts}: runs')
            check_stop(artifact + kind, prompts, wanted, goes_back)
        # Drawn: the first stream's draws are those that it has alone, and no two streams' are the same.
        for kind in '', '.drawn':
            alone, drawn = generate(artifact + kind, prompts[:1], *DRAWS)['tokens'][0], generate(artifact + kind, prompts, *DRAWS)['tokens']
            expect(drawn[0], alone, f'{artifact}{kind} {prompts}: the first stream')
            if len({tuple(tokens) for tokens in drawn}) < len(prompts) or drawn == wanted:
                raise SystemExit(f'{artifact}{kind}: {drawn} of {prompts}')
            for way in ['--plain'], ['--ahead', '1'], ['--piece', '1', '--ahead', '1']:
                expect(generate(artifact + kind, prompts, *DRAWS, *way)['tokens'], drawn, f'{artifact}{kind} {prompts} drawn {way}')
            check_stop(artifact + kind, prompts, drawn, goes_back, *DRAWS)
    # Those that transformers exports heed their mask and positions: with pads in front, one run reads all prompts.
    if 'gpt2' in artifact or 'optimum' in artifact:
        check_padded(artifact)
    # What a stream draws while a longer prompt is read is not what it draws later.
    drawn = generate(artifact + '.drawn', [RAGGED[2], RAGGED[3]], '--temperature', '1000000')['tokens'][1]
    if drawn[:8] == drawn[8:]:
        raise SystemExit(f'{artifact}: {drawn}')


for path in sys.argv[1:]:
    check(path)
