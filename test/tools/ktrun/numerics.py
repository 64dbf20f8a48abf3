"""numerics.py LIBKTRT MODEL LLAMA: through libktrt.so, sessions with a cache, in one piece and in pages, that look at what they compute."""
import sys
from ctypes import byref, c_char_p, c_uint32, c_uint64, c_void_p

import numpy as np

from library import F32, OK, Generator, Tensor, expect, ints, lib, load, refused

FAILED = 1
lib.kt_session_numerics_warning.restype = c_char_p


def run(session, x):
    feed = Tensor(b'x', F32, x.ndim, ints(x.shape), x.ctypes.data)
    return lib.kt_session_run(session, byref(feed), 1)


def warnings(session):
    return [lib.kt_session_numerics_warning(session, c_uint32(i)).decode() for i in range(2)]


model, pool, paged, plain = load(sys.argv[2]), c_void_p(), c_void_p(), c_void_p()
expect(lib.kt_pool_create(model, c_uint64(9), byref(pool)), OK)
expect(lib.kt_session_create_in_pool(model, pool, c_uint64(400), byref(paged)), OK)
expect(lib.kt_session_create_with_state(model, c_uint64(400), byref(plain)), OK)
for session in plain, paged:
    expect(lib.kt_session_check_numerics(session, 1), OK)
    for count in 3, 124, 20:
        expect(run(session, np.ones((2, 2, count, 6), np.float32)), OK)
    # The second of the batch, its first head, one row behind those that there were: of 148 rows the last.
    x = np.ones((2, 2, 1, 6), np.float32)
    x[1, 0, 0, 4] = 3e38
    for again in range(2):
        expect(run(session, x), FAILED)
        said = lib.kt_last_error().decode()
        place, found = said.split(': result 0, ')
        expect(place.startswith("node 'present': kernel 'update_0' (host-v") and place.endswith('paged)') == (session is paged), True, said)
        expect(found, "f32[2, 2, 148, 6], has 0 NaNs and 1 infinity among 3552 elements, the first at [1, 0, 147, 4], but what it is "
               "made of has none; largest finite 3, f32's is 3.40282e+38")
        expect(lib.kt_session_held(session), 147)
    expect(warnings(session), ['', ''])
    x[1, 0, 0, 4] = np.nan
    expect(run(session, x), OK)
    expect(run(session, np.ones((2, 2, 1, 6), np.float32)), OK)
    wanted = 'has 1 NaN and 0 infinities among {} elements, the first at [{}]; what follows from it is no fault of a node'
    expect(warnings(session), ["input 'x', f32[2, 2, 1, 6], " + wanted.format(24, '1, 0, 0, 4'),
                               "input 'p', which the session keeps, f32[2, 2, 148, 6], " + wanted.format(3552, '1, 0, 147, 4')])
refused(lib.kt_session_check_numerics(plain, 3), 'there is no kt_numerics 3')
refused(lib.kt_session_check_numerics(None, 1), 'the session is null')
expect(lib.kt_session_numerics_warning(None, 0), b'')
llama = load(sys.argv[3])
expect(Generator(llama, capacity=40, check_numerics=2).generate([3, 5, 7], 20), Generator(llama, capacity=40).generate([3, 5, 7], 20))
