"""pages.py LIBKTRT MODEL OTHER: a model whose cache elementwise work reads, through libktrt.so with a pool and without; and one that cannot have a pool."""
import ctypes
import sys
from ctypes import POINTER, byref, c_float, c_uint64, c_void_p

import numpy as np

from library import F32, OK, Tensor, expect, ints, lib, load, refused


def run(session, x):
    """What y is."""
    feed, y = Tensor(b'x', F32, x.ndim, ints(x.shape), x.ctypes.data), Tensor()
    expect(lib.kt_session_run(session, byref(feed), 1), OK, 'run')
    expect(lib.kt_session_output(session, 1, byref(y)), OK)
    return np.ctypeslib.as_array(ctypes.cast(y.data, POINTER(c_float)), y.dims[:y.rank]).copy()


model, pool, paged, plain = load(sys.argv[2]), c_void_p(), c_void_p(), c_void_p()
expect(lib.kt_pool_create(model, c_uint64(9), byref(pool)), OK)
expect(lib.kt_session_create_in_pool(model, pool, c_uint64(400), byref(paged)), OK)
expect(lib.kt_session_create_with_state(model, c_uint64(400), byref(plain)), OK)
rng = np.random.default_rng(3)
for batch in 2, 1, 3:
    so_far = np.zeros((batch, 2, 0, 6), np.float32)
    for count in 3, 124, 1, 1, 150, 90:
        x = rng.standard_normal((batch, 2, count, 6)).astype(np.float32)
        so_far = np.concatenate([so_far, x], 2)
        for session in paged, plain:
            if not np.array_equal(run(session, x), -so_far):
                raise SystemExit(f'{batch} {so_far.shape}')
    for session in paged, plain:
        expect(lib.kt_session_reset(session), OK)
    expect(lib.kt_pool_unused(pool), 9)
refused(lib.kt_pool_create(load(sys.argv[3]), c_uint64(9), byref(c_void_p())),
        "input 'p' cannot be kept in pages: node 'm': kernel 'reduce_0' has no code for pages")
