"""Several streams through libktrt.so: library_streams.py LIBKTRT FOLDER. Prompts behind one another, memory and callbacks of each stream, and states of several."""
import sys

from library import ON_TOKEN, OK, PROMPT, Generator, c_uint64, expect, ints, lib, load


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
                (f'there are 3 tokens of {2**60} prompts, but it is not said how many each has', dict(streams=2**60)),
                ('guesses are for one prompt, but there are 3', dict(streams=3, guesses=2))]
    for message, more in refusals:
        g.refuses(message, [3, 4, 5], 1, tokens=None, **more)
    expect(g.generate(PROMPT, 12), wanted[:12], 'one stream again')
    g.free(), f.free()


main(sys.argv[2])
