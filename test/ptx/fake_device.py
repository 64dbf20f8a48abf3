"""Compiled models on a GPU that is the PTX interpreter: the runtime as users have it (libktrt.so) over the stand-in for libcuda.so.1 of
test/runtime/FakeCuda.cpp, which hands each launch to this process when its turn in its stream comes, as late as it may. Device memory is host memory: a launch changes it in
place."""
import ctypes
import numpy as np
import interp
import ptxtypes

# kt_type of runtime/include/kt/c_api.h; what numpy lacks is kept as its bits.
TYPES = [np.float32, np.float16, np.uint16, np.float64, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.bool_]
LAUNCH = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint), ctypes.c_uint, ctypes.c_uint,
                          ctypes.POINTER(ctypes.c_uint64))


class Tensor(ctypes.Structure):
    _fields_ = [('name', ctypes.c_char_p), ('type', ctypes.c_int), ('rank', ctypes.c_uint32), ('dims', ctypes.POINTER(ctypes.c_int64)),
                ('data', ctypes.c_void_p)]


class Options(ctypes.Structure):
    _fields_ = [('device', ctypes.c_char_p), ('threads', ctypes.c_uint32), ('device_memory', ctypes.c_uint64), ('no_graphs', ctypes.c_int)]


class Gpu:
    """One a process. `wrong` is what the interpreter found in the latest run, `launches` counts them."""

    def __init__(self, build):
        # The runtime asks the dynamic linker for libcuda.so.1, and gets what was loaded under this name before.
        self.driver = ctypes.CDLL(f'{build}/test/runtime/fake/libcuda.so.1', mode=ctypes.RTLD_GLOBAL)
        self.runtime = ctypes.CDLL(f'{build}/lib/libktrt.so')
        self.runtime.kt_last_error.restype = ctypes.c_char_p
        self.runtime.kt_model_output_count.argtypes = [ctypes.c_void_p]
        self.driver.fakeCudaBytesFrom.restype = self.driver.fakeCudaViolations.restype = ctypes.c_uint64
        self.driver.fakeCudaBytesFrom.argtypes = [ctypes.c_uint64]
        self.hook = LAUNCH(self.launch)
        self.driver.fakeCudaRunKernels(self.hook)
        self.functions, self.wrong, self.launches = {}, None, 0

    def launch(self, module, entry, grid, threads, shared, parameters):
        try:
            key = (module, entry)
            if key not in self.functions:
                self.functions[key] = interp.Function(module.decode())
            f = self.functions[key]
            if f.threads != threads:
                raise ptxtypes.PtxError(f'{f.name} has {f.threads} threads but was launched with {threads}')
            arguments = []
            for number, kind in enumerate(f.params):
                size = ptxtypes.size_of(kind)
                value = parameters[number]
                arguments.append(self.memory(value) if size == 8 else ctypes.c_int32(value).value)
            interp.launch(f, arguments, tuple(grid[:3]), shared, batch_threads=16384)
            self.launches += 1
        except Exception as e:  # it cannot pass through the driver's caller
            self.wrong = self.wrong or f'{type(e).__name__}: {e}'

    def memory(self, address):
        """From an address to the end of its allocation. An empty tensor may have an address behind all."""
        n = self.driver.fakeCudaBytesFrom(address)
        return np.frombuffer((ctypes.c_uint8 * n).from_address(address), np.uint8) if n else np.zeros(0, np.uint8)

    def check(self, status):
        if status or self.wrong:
            raise AssertionError(self.wrong or self.runtime.kt_last_error().decode())
        if self.driver.fakeCudaViolations():
            raise AssertionError('the runtime did what no correct user of the driver does')

    def run(self, path, sets):
        """Loads an artifact and runs it on each set of inputs, {name: array}; answers the outputs of each."""
        self.wrong = None
        model, session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.runtime.kt_model_load(path.encode(), ctypes.byref(Options(b'cuda:0', 1, 0, 1)), ctypes.byref(model)))
        answers = []
        try:
            self.check(self.runtime.kt_session_create(model, ctypes.byref(session)))
            for inputs in sets:
                held = [np.ascontiguousarray(a).reshape(a.shape) for a in inputs.values()]  # a scalar stays one
                tensors = (Tensor * len(held))(*[
                    Tensor(name.encode(), next(i for i, t in enumerate(TYPES) if t == a.dtype), a.ndim, (ctypes.c_int64 * a.ndim)(*a.shape),
                           a.ctypes.data) for name, a in zip(inputs, held)])
                self.check(self.runtime.kt_session_run(session, tensors, len(held)))
                answers.append(dict(self.output(session, i) for i in range(self.runtime.kt_model_output_count(model))))
        finally:
            self.runtime.kt_session_free(session)
            self.runtime.kt_model_free(model)
        return answers

    def output(self, session, number):
        t = Tensor()
        self.check(self.runtime.kt_session_output(session, number, ctypes.byref(t)))
        dims, kind = t.dims[:t.rank], np.dtype(TYPES[t.type])
        raw = ctypes.string_at(t.data, int(np.prod(dims, dtype=np.int64)) * kind.itemsize) if t.data else b''
        return t.name.decode(), np.frombuffer(raw, kind).reshape(dims)
