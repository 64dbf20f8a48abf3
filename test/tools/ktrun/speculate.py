"""Language models with the drafts of another one write what they write alone: speculate.py MODEL,.. RIGHT,.. [WRONG,..]

RIGHT are drafts that would say the same, WRONG others."""
import json
import subprocess
import sys

PROMPT, COUNT = '3,5,7,11,13', 40


def generate(artifact, *more):
    run = subprocess.run(['ktrun', 'generate', artifact, '--device', 'host', '--tokens', PROMPT, '--max-new', str(COUNT), '--format', 'json', *more],
                         capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f'{artifact} {more}: {run.stderr}')
    return json.loads(run.stdout)


def check(model, draft, right, guesses, *more):
    alone = generate(model)
    made = generate(model, '--draft', draft, '--guess', str(guesses), *more)
    expected = -(-(COUNT - 1) // (guesses + 1)) if right else made['runs']  # each run says one token more than were guessed
    if made['tokens'] != alone['tokens'] or made['held'] != alone['held'] or made['runs'] != expected:
        raise SystemExit(f'{model} {draft} {guesses} {more}: {made} instead of {alone}, {expected} runs')
    if right != (made['accepted'] == made['guessed']) or made['runs'] + made['accepted'] != COUNT - 1 or not made['guessed']:
        raise SystemExit(f'{model} {draft} {guesses} {more}: {made}')
    # A token that ends it among the guesses is the last one; nothing behind it stays in the state.
    stop = alone['tokens'][17]
    count = alone['tokens'].index(stop) + 1
    made = generate(model, '--draft', draft, '--guess', str(guesses), '--stop', str(stop), *more)
    if made['tokens'] != alone['tokens'][:count] or made['held'] != 5 + count - 1:
        raise SystemExit(f'{model} {draft} {guesses} {more}: {made} behind {stop} of {alone}')


models, *drafts = [argument.split(',') for argument in sys.argv[1:]]
for model in models:
    for draft in drafts[0]:
        check(model, draft, True, 4)
        check(model, draft, True, 1, '--piece', '2')
    for draft in sum(drafts[1:], []):
        check(model, draft, False, 3)
