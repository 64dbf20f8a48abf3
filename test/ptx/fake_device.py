"""Compiled models on a GPU that is the PTX interpreter: the runtime as users have it (libktrt.so) over the stand-in for libcuda.so.1 of
test/runtime/FakeCuda.cpp, which hands each launch to this process when its turn in its stream comes, as late as it may. Device memory is host memory: a launch changes it in
place."""
import ctypes
import os
import sys
import numpy as np
import interp
import ptxtypes

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from sessions import Failed, Model

LAUNCH = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint), ctypes.c_uint, ctypes.c_uint, ctypes.c_uint,
                          ctypes.POINTER(ctypes.c_uint64))


class Gpu:
    """One a process. `wrong` is what the interpreter found in the latest run, `launches` and `threads` count what there has been of either; `clusters` are the sizes that launches had, 0 of those without."""

    def __init__(self, build):
        # The runtime asks the dynamic linker for libcuda.so.1, and gets what was loaded under this name before.
        self.driver = ctypes.CDLL(f'{build}/test/runtime/fake/libcuda.so.1', mode=ctypes.RTLD_GLOBAL)
        self.runtime = ctypes.CDLL(f'{build}/lib/libktrt.so')
        self.runtime.kt_last_error.restype = ctypes.c_char_p
        self.driver.fakeCudaBytesFrom.restype = self.driver.fakeCudaViolations.restype = self.driver.fakeCudaCalls.restype = ctypes.c_uint64
        self.driver.fakeCudaBytesFrom.argtypes = [ctypes.c_uint64]
        self.hook = LAUNCH(self.launch)
        self.driver.fakeCudaRunKernels(self.hook)
        self.functions, self.wrong, self.launches, self.threads, self.clusters = {}, None, 0, 0, set()

    def launch(self, module, entry, grid, threads, shared, cluster, parameters):
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
            interp.launch(f, arguments, tuple(grid[:3]), shared, batch_threads=16384, cluster=cluster)
            self.launches += 1
            self.clusters.add(cluster)
            self.threads += grid[0] * grid[1] * grid[2] * threads
        except Exception as e:  # it cannot pass through the driver's caller
            self.wrong = self.wrong or f'{type(e).__name__}: {e}'

    def memory(self, address):
        """From an address to the end of its allocation. An empty tensor may have an address behind all."""
        n = self.driver.fakeCudaBytesFrom(address)
        return np.frombuffer((ctypes.c_uint8 * n).from_address(address), np.uint8) if n else np.zeros(0, np.uint8)

    def check(self, status):
        if self.wrong:
            raise AssertionError(self.wrong)
        if status:
            raise Failed(self.runtime.kt_last_error().decode())
        if self.driver.fakeCudaViolations():
            raise AssertionError('the runtime did what no correct user of the driver does')

    def load(self, path):
        self.wrong = None
        return Model(self.runtime, path, 'cuda:0', graphs=False, check=self.check)

    def run(self, path, sets):
        """Loads an artifact and runs it on each set of inputs, {name: array}; answers the outputs of each."""
        model = self.load(path)
        session = model.session()
        try:
            return [session.run(inputs) for inputs in sets]
        finally:
            session.free()
            model.free()
