"""Runs PTX on a real GPU through the driver, with the interpreter's interface; and times launches."""
import ctypes
import os
import numpy as np


ZONE = 512  # bytes on both sides of a buffer that no kernel may write


class Attribute(ctypes.Structure):
    """CUlaunchAttribute."""
    _fields_ = [('id', ctypes.c_int), ('value', ctypes.c_uint64 * 8)]


class Config(ctypes.Structure):
    """CUlaunchConfig."""
    _fields_ = [('grid', ctypes.c_uint * 3), ('block', ctypes.c_uint * 3), ('shared', ctypes.c_uint), ('stream', ctypes.c_void_p),
                ('attributes', ctypes.POINTER(Attribute)), ('count', ctypes.c_uint)]


CLUSTER_DIMENSION = 4  # of CUlaunchAttributeID; its value is three unsigned numbers


class CudaError(RuntimeError):
    """The driver's. After most of them nothing else runs in this process."""


class Device:
    def __init__(self):
        self.cu = ctypes.CDLL('libcuda.so.1')
        self.call('cuInit', 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call('cuDeviceGet', ctypes.byref(device), 0)
        self.call('cuDevicePrimaryCtxRetain', ctypes.byref(context), device)
        self.call('cuCtxSetCurrent', context)
        self.sms = self.attribute(device, 16)
        self.capability = 10 * self.attribute(device, 75) + self.attribute(device, 76)
        name = ctypes.create_string_buffer(256)
        self.call('cuDeviceGetName', name, 256, device)
        self.name = name.value.decode()
        self.modules = {}

    def call(self, name, *args):
        status = getattr(self.cu, name)(*args)
        if status:
            text = ctypes.c_char_p()
            self.cu.cuGetErrorString(status, ctypes.byref(text))
            raise CudaError(f"{name}: {(text.value or b'unknown error').decode()}")

    def attribute(self, device, which):
        v = ctypes.c_int()
        self.call('cuDeviceGetAttribute', ctypes.byref(v), which, device)
        return v.value

    def function(self, path, entry, shared):
        if path not in self.modules:
            module = ctypes.c_void_p()
            self.call('cuModuleLoadData', ctypes.byref(module), open(path, 'rb').read() + b'\0')
            self.modules[path] = module
        f = ctypes.c_void_p()
        self.call('cuModuleGetFunction', ctypes.byref(f), self.modules[path], entry.encode())
        if shared > 48 * 1024:
            self.call('cuFuncSetAttribute', f, 8, ctypes.c_int(shared))
        return f

    def alloc(self, bytes):
        p = ctypes.c_uint64()
        self.call('cuMemAlloc_v2', ctypes.byref(p), ctypes.c_size_t(max(bytes, 16)))
        return p.value

    def free(self, p):
        self.call('cuMemFree_v2', ctypes.c_uint64(p))

    def upload(self, p, a):
        if a.nbytes:
            self.call('cuMemcpyHtoD_v2', ctypes.c_uint64(p), ctypes.c_void_p(a.ctypes.data), ctypes.c_size_t(a.nbytes))

    def download(self, a, p):
        if a.nbytes:
            self.call('cuMemcpyDtoH_v2', ctypes.c_void_p(a.ctypes.data), ctypes.c_uint64(p), ctypes.c_size_t(a.nbytes))

    def launch(self, f, args, grid, block, shared, stream=None, cluster=0):
        """`args` are pointers as ints wrapped in c_uint64, integers in c_int32. `cluster`: blocks of one along the grid's second dimension, or 0."""
        pointers = (ctypes.c_void_p * len(args))(*[ctypes.cast(ctypes.byref(a), ctypes.c_void_p) for a in args])
        if cluster:
            attribute = Attribute(CLUSTER_DIMENSION, (ctypes.c_uint64 * 8)(1 | cluster << 32, 1))
            return self.call('cuLaunchKernelEx', ctypes.byref(Config(tuple(grid), tuple(block), shared, stream, ctypes.pointer(attribute), 1)), f, pointers, None)
        self.call('cuLaunchKernel', f, *[ctypes.c_uint(g) for g in grid], *[ctypes.c_uint(b) for b in block], ctypes.c_uint(shared), stream, pointers, None)

    def sync(self):
        self.call('cuCtxSynchronize')

    def runner(self, out):
        """A runner for harness.run_case: copies everything in and out for each stage, and looks at what lies around the buffers."""
        def run(stage, arguments, grid, shared, cluster):
            args, held = [], []
            for a in arguments:
                if isinstance(a, np.ndarray):
                    block = np.full(a.nbytes + 2 * ZONE, 0xA5, np.uint8)
                    block[ZONE:ZONE + a.nbytes] = a
                    p = self.alloc(block.nbytes)
                    self.upload(p, block)
                    held.append((p, a, block))
                    args.append(ctypes.c_uint64(p + ZONE))
                else:
                    args.append(ctypes.c_int32(a))
            self.launch(self.function(f"{out}/{stage['file']}", stage['entry'], shared), args, grid, stage['block'], shared, cluster=cluster)
            self.sync()
            for number, (p, a, block) in enumerate(held):
                self.download(block, p)
                self.free(p)
                if (block[:ZONE] != 0xA5).any() or (block[ZONE + a.nbytes:] != 0xA5).any():
                    raise RuntimeError(f'writes outside of buffer {number}, which has {a.nbytes} bytes')
                a[:] = block[ZONE:ZONE + a.nbytes]
        run.folder = out
        return run

    def graph(self, launches):
        """One graph of `launches`, each behind the one before, and the stream that it was recorded on."""
        stream, graph, ready = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.call('cuStreamCreate', ctypes.byref(stream), 1)  # which waits for no other
        self.call('cuStreamBeginCapture_v2', stream, 2)  # of what this thread launches
        for l in launches:
            self.launch(*l, stream)
        self.call('cuStreamEndCapture', stream, ctypes.byref(graph))
        self.call('cuGraphInstantiateWithFlags', ctypes.byref(ready), graph, ctypes.c_uint64(0))
        self.call('cuGraphDestroy', graph)
        return ready, stream

    def time(self, launches, repeats=20):
        """Median microseconds of running `launches`, a list of (function, args, grid, block, shared), between events. They are a graph: a launch from here takes
        the host longer than many a kernel takes."""
        self.sync()
        graph, stream = self.graph(launches)
        start, end = ctypes.c_void_p(), ctypes.c_void_p()
        self.call('cuEventCreate', ctypes.byref(start), 0)
        self.call('cuEventCreate', ctypes.byref(end), 0)
        times = []
        for _ in range(repeats + 2):
            self.call('cuEventRecord', start, stream)
            self.call('cuGraphLaunch', graph, stream)
            self.call('cuEventRecord', end, stream)
            self.call('cuEventSynchronize', end)
            ms = ctypes.c_float()
            self.call('cuEventElapsedTime', ctypes.byref(ms), start, end)
            times.append(ms.value * 1000)
        for event in (start, end):
            self.call('cuEventDestroy_v2', event)
        self.call('cuGraphExecDestroy', graph)
        self.call('cuStreamDestroy_v2', stream)
        return sorted(times[2:])[repeats // 2]
