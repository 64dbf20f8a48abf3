"""Caches in pages through libktrt.so: library_pages.py LIBKTRT FOLDER, where the folder has the artifacts that library.test compiles. Whatever pages hold them, the
tokens are those of caches in one piece."""
import sys
from ctypes import byref, c_uint64, c_void_p

from library import OK, USAGE, Generator, Result, Session, c_uint32, expect, ints, lib, load, refused, request

for name in 'pages', 'unused', 'bytes', 'page_rows':
    getattr(lib, f'kt_pool_{name}').restype = c_uint64
ROWS = lib.kt_pool_page_rows()
PROMPT = [1 + (7 * i) % 40 for i in range(ROWS - 8)]


class Pool:
    def __init__(self, model, pages):
        self.handle = c_void_p()
        expect(lib.kt_pool_create(model, c_uint64(pages), byref(self.handle)), OK, 'a pool')
        expect((lib.kt_pool_pages(self.handle), self.unused()), (pages, pages))

    def unused(self):
        return lib.kt_pool_unused(self.handle)

    def free(self):
        lib.kt_pool_free(self.handle)


def check_alone(model, wanted):
    """A page for each 128 tokens, taken when the first of them comes; prompts in pieces; to and fro."""
    pool = Pool(model, 5)
    expect(lib.kt_pool_bytes(pool.handle) > 0 and lib.kt_pool_bytes(pool.handle) % 6, 0)
    g = Generator(model, pool=pool.handle, capacity=600)
    for piece in 0, 50, 1:
        expect(pool.unused(), 5)
        expect(g.generate(PROMPT, 5, piece=piece), wanted[:5], f'pieces of {piece}')
        expect(pool.unused(), 4)
        expect(g.generate([], 5), wanted[5:10], 'over the border')
        expect((g.held(), pool.unused()), (ROWS + 1, 3))
        expect(g.generate([], 180), wanted[10:190])
        expect((g.held(), pool.unused()), (ROWS + 181, 2))
        # What is forgotten gives its pages back, and what is held goes on.
        expect(g.truncate(ROWS), OK)
        expect(pool.unused(), 4)
        expect(g.generate(wanted[8:9], 10), wanted[9:19], 'on the border')
        expect(g.truncate(20), OK)
        expect(pool.unused(), 4)
        expect(g.generate(PROMPT[20:], 20), wanted[:20], 'behind a piece of the first page')
        g.reset()
    expect(g.generate(PROMPT, 40, guesses=4), wanted[:40], 'guesses')
    g.free()
    expect(pool.unused(), 5)
    pool.free()


def check_forks(model, wanted):
    """Full pages are shared until somebody writes in one."""
    pool = Pool(model, 7)
    g = Generator(model, pool=pool.handle)
    expect(g.generate(PROMPT, 150), wanted[:150])
    expect((g.held(), pool.unused()), (ROWS + 141, 4))
    f = g.fork()
    expect(pool.unused(), 3)
    expect(f.generate([], 5), wanted[150:155], 'a fork')
    expect(g.generate([], 5), wanted[150:155], 'what was forked')
    # Back into a page that both have: who writes there has another one from then on.
    expect(f.truncate(ROWS - 8), OK)
    expect(pool.unused(), 4)
    # The token behind the prompt is another one, and so is all that follows.
    changed = (wanted[0] + 1) % 40
    other = Generator(model).generate(PROMPT + [changed], 30)
    expect(f.generate([changed], 30), other, 'something else behind the same begin')
    expect(pool.unused(), 2)
    expect(g.generate([], 20), wanted[155:175], 'the page that was shared is as it was')
    h = f.fork()
    expect(pool.unused(), 1)
    f.free()
    expect(pool.unused(), 2)
    last = h.generate([], 3)
    expect(last, Generator(model).generate(PROMPT + [changed] + other, 3), 'a fork of a fork, alone')
    # The one that is left writes in its pages itself.
    expect(h.truncate(ROWS - 8), OK)
    expect(h.generate(wanted[:1], 20), wanted[1:21])
    h.free()
    expect(pool.unused(), 4)
    # On the border there is nothing to copy.
    expect(g.truncate(ROWS), OK)
    expect(pool.unused(), 6)
    f = g.fork()
    expect(pool.unused(), 6)
    for one in f, g:
        expect(one.generate(wanted[8:10], 10), wanted[10:20], 'apart from the border on')
    expect(pool.unused(), 4)
    f.free(), g.free()
    expect(pool.unused(), 7)
    pool.free()


def check_full(model, wanted):
    """What finds no page is refused, says what fits, and may be done once there are pages again."""
    pool = Pool(model, 3)
    g, f = (Generator(model, pool=pool.handle) for _ in range(2))
    expect((g.generate(PROMPT, 5), f.generate(PROMPT, 5)), (wanted[:5], wanted[:5]))
    # Two that write by turns.
    for at in range(5, 9):
        expect(g.generate([], 1), wanted[at:at + 1])
        expect(f.generate([], 1) if at < 8 else [], wanted[at:at + 1] if at < 8 else [])
    expect((g.held(), f.held(), pool.unused()), (ROWS, ROWS - 1, 1))
    expect(g.generate([], 6), wanted[9:15])
    expect(f.generate([], 1), wanted[8:9])
    full = ', which the session keeps: 0 of the pool\'s 3 pages are free, so that 0 more fit but this run adds 1'
    expect(lib.kt_generator_generate(f.handle, byref(request([], 4)), byref(Result())), USAGE)
    if not lib.kt_last_error().decode().endswith(full):
        raise SystemExit(lib.kt_last_error())
    expect((f.held(), pool.unused()), (ROWS, 0))
    refused(lib.kt_generator_fork(g.handle, byref(c_void_p())), 'no page is free for a fork: 1 are needed, and 0 of the pool\'s 3 are free')
    expect(g.truncate(ROWS), OK)
    expect(f.generate([], 1) + f.generate([], 10), wanted[9:20], 'there is a page again')
    g.reset()
    # Half of what a prompt needs is nothing at all.
    expect(lib.kt_generator_generate(g.handle, byref(request(PROMPT * 3, 0)), byref(Result())), USAGE)
    expect((g.held(), pool.unused()), (0, 1))
    expect(lib.kt_last_error().decode().endswith(f'1 of the pool\'s 3 pages are free, so that {ROWS} more fit but this run adds {3 * len(PROMPT)}'), True)
    expect(g.generate(PROMPT, 9), wanted[:9])
    g.free(), f.free()
    expect(pool.unused(), 3)
    pool.free()


def check_streams(model, wanted):
    """Streams have pages of their own, and forks share those of all."""
    prompts = [PROMPT, PROMPT[3:], [5, 6, 7]]
    alone = [Generator(model).generate(prompt, 140) for prompt in prompts]
    pool = Pool(model, 15)
    g, tokens, counts = Generator(model, pool=pool.handle), ints([-1] * 420), (c_uint64 * 3)(*map(len, prompts))
    g.generate(sum(prompts, []), 140, streams=3, prompt_counts=counts, tokens=tokens, room=420, counts=(c_uint64 * 3)())
    expect([tokens[at:at + 140] for at in (0, 140, 280)], alone)
    expect(alone[0], wanted[:140])
    held = g.held()
    f = g.fork()
    expect(lib.kt_pool_pages(pool.handle) - pool.unused(), 3 * (-(-held // ROWS) + (1 if held % ROWS else 0)))
    more = []
    for one in f, g:
        tokens = ints([-1] * 12)
        one.generate([], 4, tokens=tokens, room=12, counts=(c_uint64 * 3)())
        more.append(tokens[:])
    expect(more[0], more[1])
    f.free(), g.reset()
    expect(pool.unused(), 15)
    # Another number of streams has another table.
    expect(g.generate(PROMPT, 30), wanted[:30])
    expect(pool.unused(), 13)
    g.free(), pool.free()


def main(folder):
    model, another = load(f'{folder}/draft.ktm'), load(f'{folder}/grown.ktm')
    wanted = Generator(model).generate(PROMPT, 190)
    check_alone(model, wanted)
    check_forks(model, wanted)
    check_full(model, wanted)
    check_streams(model, wanted)
    # The pool and the model may go before what is in it.
    gone = load(f'{folder}/draft.ktm')
    pool = Pool(gone, 2)
    g = Generator(gone, pool=pool.handle)
    pool.free(), lib.kt_model_free(gone)
    expect(g.generate(PROMPT, 20), wanted[:20])
    g.free()
    # Sessions with a loop of their own, of a model whose caches are of another size.
    pool, one, other = Pool(another, 3), c_void_p(), c_void_p()
    expect(lib.kt_session_create_in_pool(another, pool.handle, c_uint64(0), byref(one)), OK)
    expect(lib.kt_session_capacity(one), 3 * ROWS)
    s, t = Session(another, 60), Session.__new__(Session)
    t.model, t.handle = another, one
    expect(t.write([3, 5, 7], 20), s.write([3, 5, 7], 20), 'sessions')
    expect(lib.kt_session_fork(one, byref(other)), OK)
    expect(pool.unused(), 1)
    # A run that fails on its way.
    expect((t.run([99]), t.held(), pool.unused()), (1, 22, 1))
    expect(t.write([4], 5), s.write([4], 5), 'after a fault')
    lib.kt_session_free(one), lib.kt_session_free(other)
    expect(pool.unused(), 3)
    refused(lib.kt_session_create_in_pool(model, pool.handle, c_uint64(0), byref(one)), 'the pool is of another model than the session')
    refused(lib.kt_session_create_in_pool(model, None, c_uint64(0), byref(one)), 'the pool is null')
    refused(lib.kt_pool_create(None, c_uint64(1), byref(one)), 'the model is null')
    refused(lib.kt_pool_create(model, c_uint64(1), None), 'where the pool goes is null')
    for pages in 0, 2**31:
        refused(lib.kt_pool_create(model, c_uint64(pages), byref(one)), f'a pool of {pages} pages: expected 1 to 2^30')
    refused(lib.kt_pool_create(load(f'{folder}/static.ktm'), c_uint64(1), byref(one)),
            'pages are for states that grow, but no output of the model continues an input in this way')
    lib.kt_pool_free(None)
    expect((lib.kt_pool_pages(None), lib.kt_pool_unused(None), lib.kt_pool_bytes(None)), (0, 0, 0))


if __name__ == '__main__':
    main(sys.argv[2])
