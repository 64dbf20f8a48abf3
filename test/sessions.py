"""Compiled models through the C interface of libktrt.so: sessions with and without a state of their own."""
import ctypes
import numpy as np

# kt_type of runtime/include/kt/c_api.h; what numpy lacks is kept as its bits.
TYPES = [np.float32, np.float16, np.uint16, np.float64, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.bool_]


class Tensor(ctypes.Structure):
    _fields_ = [('name', ctypes.c_char_p), ('type', ctypes.c_int), ('rank', ctypes.c_uint32), ('dims', ctypes.POINTER(ctypes.c_int64)),
                ('data', ctypes.c_void_p)]


class Options(ctypes.Structure):
    _fields_ = [('device', ctypes.c_char_p), ('threads', ctypes.c_uint32), ('device_memory', ctypes.c_uint64), ('no_graphs', ctypes.c_int)]


class Failed(AssertionError):
    """What the library says of a call that failed."""


class Model:
    """`library` is libktrt.so as ctypes has it; `check(status)` raises where a call failed, with what else is known of it."""

    def __init__(self, library, path, device='host', graphs=True, check=None):
        self.library, self.handle = library, ctypes.c_void_p()
        library.kt_last_error.restype = ctypes.c_char_p
        library.kt_model_output_count.argtypes = [ctypes.c_void_p]
        library.kt_session_create_with_state.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p]
        self.check = check or self.plain_check
        options = Options(device.encode(), 2 if device == 'host' else 1, 0, not graphs)
        self.check(library.kt_model_load(path.encode(), ctypes.byref(options), ctypes.byref(self.handle)))

    def plain_check(self, status):
        if status:
            raise Failed(self.library.kt_last_error().decode())

    def session(self, capacity=0):
        handle = ctypes.c_void_p()
        self.check(self.library.kt_session_create_with_state(self.handle, capacity, ctypes.byref(handle)))
        return Session(self, handle)

    def free(self):
        self.library.kt_model_free(self.handle)


class Session:
    def __init__(self, model, handle):
        self.model, self.handle = model, handle

    def run(self, inputs):
        """The outputs that the session does not keep, {name: array}."""
        library = self.model.library
        held = [np.ascontiguousarray(a).reshape(a.shape) for a in inputs.values()]  # a scalar stays one
        tensors = (Tensor * len(held))(*[
            Tensor(name.encode(), next(i for i, t in enumerate(TYPES) if t == a.dtype), a.ndim, (ctypes.c_int64 * a.ndim)(*a.shape), a.ctypes.data)
            for name, a in zip(inputs, held)])
        self.model.check(library.kt_session_run(self.handle, tensors, len(held)))
        outputs = (self.output(i) for i in range(library.kt_model_output_count(self.model.handle)))
        return {name: value for name, value in outputs if value is not None}

    def output(self, number):
        t = Tensor()
        self.model.check(self.model.library.kt_session_output(self.handle, number, ctypes.byref(t)))
        dims, kind = t.dims[:t.rank], np.dtype(TYPES[t.type])
        count = int(np.prod(dims, dtype=np.int64))
        if not t.data:
            return t.name.decode(), None if count else np.zeros(dims, kind)
        return t.name.decode(), np.frombuffer(ctypes.string_at(t.data, count * kind.itemsize), kind).reshape(dims)

    def reset(self):
        self.model.check(self.model.library.kt_session_reset(self.handle))

    def fork(self):
        handle = ctypes.c_void_p()
        self.model.check(self.model.library.kt_session_fork(self.handle, ctypes.byref(handle)))
        return Session(self.model, handle)

    def free(self):
        self.model.library.kt_session_free(self.handle)
