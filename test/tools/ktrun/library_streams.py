"""Several streams through libktrt.so: library_streams.py LIBKTRT FOLDER. Prompts behind one another, memory and callbacks of each stream, and states of several."""
import sys

from library import FAILED, ON_TOKEN, OK, PROMPT, Generator, byref, c_uint64, expect, ints, lib, load, refused, request


def generate(g, prompts, count, **more):
    """The tokens of each stream."""
    room = max(len(prompts), lib.kt_generator_streams(g.handle))
    made, tokens = (c_uint64 * room)(), ints([-1] * room * count)
    g.generate(sum(prompts, []), count, streams=len(prompts), prompt_counts=(c_uint64 * len(prompts))(*map(len, prompts)) if prompts else None, counts=made, tokens=tokens,
               room=len(tokens), **more)
    return [tokens[i * count:i * count + made[i]] for i in range(room)]


def check_padded(model):
    """What has pads in front goes on, is forked and truncated as other streams are."""
    prompts, more = [[3, 5, 7, 11, 13], [4, 6], [9]], [[1, 2, 3], [], [5]]
    alone, wanted = [Generator(model, capacity=40) for _ in prompts], []
    for one, prompt, behind in zip(alone, prompts, more):
        wanted.append([one.generate(prompt, 4), one.generate(behind, 4)])
    g = Generator(model, capacity=40)
    expect(generate(g, prompts, 4, pad=1), [first for first, _ in wanted], 'padded')
    expect(g.held(), 8)
    f = g.fork()
    for one in g, f:
        expect(generate(one, more, 4, pad=1), [then for _, then in wanted], 'goes on behind pads')
    expect(g.truncate(6), OK)
    for one, prompt in zip(alone, prompts):
        expect(one.truncate(len(prompt) + 1), OK)
    expect(generate(g, [[1, 2]] * 3, 4), [one.generate([1, 2], 4) for one in alone], 'truncated behind pads')
    g.reset()
    expect(generate(g, prompts[::-1], 4, pad=1), [first for first, _ in wanted[::-1]], 'padded otherwise')
    g.reset()
    expect(generate(g, prompts, 4), [first for first, _ in wanted], 'no pads any more')
    for one in g, f, *alone:
        one.free()


def check_goes_on(model, stays, **options):
    """Streams that have ended at different lengths go on as they do alone, whatever the state can; a request that fails leaves it as it was, where that can be."""
    prompts, more = [[3, 5, 7, 11, 13], [4, 6], [9, 8, 7]], [[1, 2, 3], [], [5]]
    wanted = []
    for prompt, behind in zip(prompts, more):
        g = Generator(model, **options)
        wanted.append([g.generate(prompt, 6), g.generate(behind, 6)])
        g.free()
    g = Generator(model, **options)
    expect(generate(g, prompts, 6), [first for first, _ in wanted], options)
    held, seen = g.held(), []
    expect(held, 7 if stays else 0, options)
    cancel = ON_TOKEN(lambda stream, token, context: seen.append(token) or len(seen) < 4 or lib.kt_generator_cancel(g.handle) is not None)
    failing = request([], 9, on_token=cancel, tokens=None)
    refused(lib.kt_generator_generate(g.handle, byref(failing), None), 'the run was cancelled', FAILED)
    if lib.kt_generator_streams(g.handle) == 0:  # it holds nothing now
        expect(generate(g, prompts, 6), [first for first, _ in wanted], options)
    expect(g.held(), held, options)
    expect(generate(g, more, 6, piece=2), [then for _, then in wanted], options)
    g.free()


def main(folder):
    model = load(f'{folder}/model.ktm')
    wanted = Generator(model).generate(PROMPT, 15)
    prompts = [PROMPT, [4, 6], [9, 8, 7]]
    alone = [wanted[:12]] + [Generator(model).generate(prompt, 12) for prompt in prompts[1:]]
    flat, counts = sum(prompts, []), (c_uint64 * 3)(*map(len, prompts))
    g, made, seen = Generator(model, capacity=40), (c_uint64 * 3)(), [[], [], []]
    heard = ON_TOKEN(lambda stream, token, context: seen[stream].append(token) is None and (stream != 1 or len(seen[1]) < 5))
    several = dict(streams=3, prompt_counts=counts, counts=made, tokens=ints([-1] * 36), room=36)
    expect(g.generate(flat, 12, on_token=heard, **several)[:12], wanted[:12], 'the first stream')
    expect((list(made), g.result.count), ([12, 5, 12], 29))
    expect((several['tokens'][12:18], several['tokens'][24:]), (alone[1][:5] + [-1], alone[2]), 'the others')
    expect(seen, [alone[0], alone[1][:5], alone[2]], 'callbacks')
    expect((g.held(), lib.kt_generator_streams(g.handle)), (6, 3))
    # All go on, each from its own latest token.
    f = g.fork()
    for one in g, f:
        tokens = ints([-1] * 9)
        expect(one.generate([], 3, counts=made, tokens=tokens, room=9)[:3], wanted[12:15], 'goes on')
        expect((list(made), tokens[3:6]), ([3] * 3, alone[1][5:8]))
    g.refuses('there are 1 prompts, but the state has 3 streams', [3], 2)
    g.refuses('the memory for tokens has room for 5, expected at least 3 times 2', [], 2, room=5)
    expect(g.truncate(2), OK)
    g.refuses('prompt 1: the prompt has no tokens', [3, 4], 2, streams=3, prompt_counts=(c_uint64 * 3)(1, 0, 1), tokens=None)
    expect(g.generate([PROMPT[2], 5, 7], 1, streams=3, counts=made, tokens=tokens, room=9) and tokens[2], alone[2][0], 'behind what was truncated')
    g.reset()
    expect((g.held(), lib.kt_generator_streams(g.handle)), (0, 0))
    refusals = [('there are 3 tokens of 2 prompts, but it is not said how many each has', dict(streams=2)),
                ('prompt 1 has 3 tokens, but 2 are left of 3', dict(streams=2, prompt_counts=(c_uint64 * 2)(1, 3))),
                ('the prompts have 2 tokens together, but there are 3', dict(streams=2, prompt_counts=(c_uint64 * 2)(1, 1))),
                (f'there are {2**60} prompts, expected at most {2**20}', dict(streams=2**60)),
                ('guesses are for one prompt, but there are 3', dict(streams=3, guesses=2))]
    for message, more in refusals:
        g.refuses(message, [3, 4, 5], 1, tokens=None, **more)
    expect(g.generate(PROMPT, 12), wanted[:12], 'one stream again')
    g.free(), f.free()
    check_padded(load(f'{folder}/draft.ktm'))
    check_goes_on(model, True, capacity=40)
    check_goes_on(model, False, plain=1)
    check_goes_on(load(f'{folder}/static.ktm'), True, capacity=40)
    check_goes_on(load(f'{folder}/hybrid.ktm'), False, capacity=40)


main(sys.argv[2])
