"""A language model with caches of integers: kv_cache.py LIBKTRT MODEL. Forks go on as what they were forked from does, and all as runs that are given their caches."""
import ctypes
import os
import sys
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
import sessions

HEADS, WIDTH = 2, 16


def step(session, tokens, past, caches=None):
    """The last token's logits, and what the run returns of caches."""
    inputs = {'input_ids': np.array([tokens], np.int64), 'attention_mask': np.ones((1, past + len(tokens)), np.int64)}
    outputs = session.run({**inputs, **(caches or {})})
    return outputs['logits'][0, -1].astype(np.float32), {name.replace('present', 'past_key_values'): a for name, a in outputs.items() if name != 'logits'}


def main(library, path):
    model = sessions.Model(ctypes.CDLL(library), path)
    plain, kept = model.session(), model.session(capacity=40)
    caches = {f'past_key_values.{layer}.{kind}': np.zeros((1, HEADS, 0, WIDTH), np.float16) for layer in range(2) for kind in ('key', 'value')}
    wanted, past = [], 0
    for tokens in [3, 5, 7], [11], [13, 2], [9]:
        logits, caches = step(plain, tokens, past, caches)
        past += len(tokens)
        wanted.append(logits)
        assert all(a.dtype == np.float16 and a.shape == (1, HEADS, past, WIDTH) for a in caches.values()), {n: (a.dtype, a.shape) for n, a in caches.items()}
    first = step(kept, [3, 5, 7], 0)[0]
    fork = kept.fork()
    for session in kept, fork:
        got = [first, step(session, [11], 3)[0], step(session, [13, 2], 4)[0], step(session, [9], 6)[0]]
        for a, b in zip(got, wanted):
            np.testing.assert_allclose(a, b, atol=2e-3)  # logits are halves of up to 5, of which half a unit is 2^-9
    kept.reset()
    np.testing.assert_array_equal(step(kept, [3, 5, 7], 0)[0], first)


if __name__ == '__main__':
    main(*sys.argv[1:])
