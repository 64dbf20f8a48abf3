"""libktrt.so through its C API (runtime/include/kt/c_api.h), with numpy arrays. Types that numpy lacks are raw bytes (V1, V2)."""
import ctypes

import numpy as np

# In the order of kt_type.
TYPES = ["f32", "f16", "bf16", "f64", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "bool", "f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz",
         "i4", "u4", "i2", "u2", "f4e2m1", "f8e8m0", "c64", "c128", "string"]
NUMPY = {"f32": "f4", "f16": "f2", "bf16": "V2", "f64": "f8", "bool": "?", "c64": "c8", "c128": "c16"}


def dtype_of(kind):
    return np.dtype(NUMPY.get(kind) or (f"{kind[0]}{int(kind[1:]) // 8}" if kind[0] in "iu" and int(kind[1:]) >= 8 else "V1"))


class Tensor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("type", ctypes.c_int), ("rank", ctypes.c_uint32), ("dims", ctypes.POINTER(ctypes.c_int64)),
                ("data", ctypes.c_void_p)]


class Options(ctypes.Structure):
    _fields_ = [("device", ctypes.c_char_p), ("threads", ctypes.c_uint32), ("device_memory", ctypes.c_uint64), ("no_graphs", ctypes.c_int)]


class Failure(Exception):
    """What kt_last_error says."""


class Runtime:
    def __init__(self, library):
        self.library = ctypes.CDLL(library)
        self.library.kt_last_error.restype = ctypes.c_char_p
        self.library.kt_model_device.restype = ctypes.c_char_p
        for name in ("model_input_count", "model_output_count"):
            getattr(self.library, "kt_" + name).argtypes = [ctypes.c_void_p]
        for name in ("model_output", "session_output"):
            getattr(self.library, "kt_" + name).argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(Tensor)]
        for name in ("model_free", "session_free", "model_device"):
            getattr(self.library, "kt_" + name).argtypes = [ctypes.c_void_p]

    def check(self, status):
        if status:
            raise Failure(self.library.kt_last_error().decode(errors="replace"))

    def load(self, path, device, threads):
        return Model(self, path, Options(device.encode(), threads, 0, 0))


class Model:
    """A loaded artifact with one session."""

    def __init__(self, runtime, path, options):
        self.runtime, self.model, self.session = runtime, ctypes.c_void_p(), ctypes.c_void_p()
        lib = runtime.library
        runtime.check(lib.kt_model_load(path.encode(), ctypes.byref(options), ctypes.byref(self.model)))
        self.device = lib.kt_model_device(self.model).decode()
        try:
            runtime.check(lib.kt_session_create(self.model, ctypes.byref(self.session)))
        except Failure:
            lib.kt_model_free(self.model)
            raise

    def close(self):
        self.runtime.library.kt_session_free(self.session)
        self.runtime.library.kt_model_free(self.model)

    def run(self, inputs):
        """`inputs`: [(name, type, array)]. Answers the outputs in the same form; the arrays are copies."""
        lib, tensors = self.runtime.library, (Tensor * max(1, len(inputs)))()
        kept = []
        for tensor, (name, kind, array) in zip(tensors, inputs):
            data = np.ascontiguousarray(array)
            dims = (ctypes.c_int64 * max(1, array.ndim))(*array.shape)
            kept.append((data, dims))
            tensor.name, tensor.type, tensor.rank = name.encode(), TYPES.index(kind), array.ndim
            tensor.dims, tensor.data = dims, data.ctypes.data
        self.runtime.check(lib.kt_session_run(self.session, tensors, ctypes.c_uint32(len(inputs))))
        outputs = []
        for i in range(lib.kt_model_output_count(self.model)):
            t = Tensor()
            self.runtime.check(lib.kt_session_output(self.session, i, ctypes.byref(t)))
            kind, shape = TYPES[t.type], tuple(t.dims[d] for d in range(t.rank))
            size = int(np.prod(shape, dtype=np.int64)) * dtype_of(kind).itemsize
            raw = ctypes.string_at(t.data, size) if size else b""
            outputs.append((t.name.decode(), kind, np.frombuffer(raw, dtype_of(kind)).reshape(shape)))
        return outputs
