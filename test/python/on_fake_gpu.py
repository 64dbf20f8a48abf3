"""Tensors on a GPU, in and out of the Python package: on_fake_gpu.py --bin DIR. The card is the PTX interpreter over the stand-in for libcuda.so.1 of test/runtime/FakeCuda.cpp, whose
memory is the host's. test_device.py runs this in a process of its own, since a process has one driver."""
import argparse
import asyncio
import ctypes
import gc
import os
import sys
import tempfile
import unittest

import artifacts
import numpy as np

sys.path.insert(1, os.path.join(artifacts.TESTS, "ptx"))
import fake_device  # noqa: E402

BUILD = None
api = ctypes.pythonapi
api.PyCapsule_New.restype = ctypes.py_object
api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
api.PyCapsule_GetPointer.restype = ctypes.c_void_p
api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
                ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class Managed(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class Versioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", DLTensor)]


class Tensor:
    """What another library has on the card. It notes what it is asked; `versioned` is whether it knows version 1."""

    def __init__(self, gpu, array, card=0, versioned=False, strides=None, offset=0, flags=0, code=2):
        pointer = ctypes.c_uint64()
        assert gpu.driver.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(max(array.nbytes + offset, 1))) == 0
        self.gpu, self.address, self.shape, self.card, self.versioned = gpu, pointer.value + offset, array.shape, card, versioned
        self.array = np.frombuffer((ctypes.c_uint8 * array.nbytes).from_address(self.address), array.dtype).reshape(array.shape)
        self.array[...] = array
        self.asked = []
        dims = ctypes.c_int64 * max(array.ndim, 1)
        tensor = DLTensor(pointer.value, 2, card, array.ndim, code, array.itemsize * 8, 1, dims(*array.shape), dims(*strides) if strides else None, offset)
        self.held = Versioned(1, 0, None, None, flags, tensor) if versioned else Managed(tensor, None, None)

    def __dlpack_device__(self):
        return (2, self.card)

    def __dlpack__(self, *, stream=None, **options):
        if options and not self.versioned:
            raise TypeError("unexpected keyword argument")
        self.asked.append((stream, options.get("max_version")))
        return api.PyCapsule_New(ctypes.addressof(self.held), b"dltensor_versioned" if self.versioned else b"dltensor", None)


def seen(array, versioned=False):
    """What a consumer sees in an output on the card, as an array over its memory."""
    name = b"dltensor_versioned" if versioned else b"dltensor"
    capsule = array.__dlpack__(stream=2, max_version=(1, 0) if versioned else None)
    tensor = ctypes.cast(api.PyCapsule_GetPointer(capsule, name), ctypes.POINTER(Versioned if versioned else Managed)).contents.tensor
    assert (tensor.device_type, tensor.device_id, tensor.byte_offset) == (2, 0, 0)
    shape = tensor.shape[: tensor.ndim]
    kind = {(2, 32): np.float32, (0, 64): np.int64}[tensor.code, tensor.bits]
    size = int(np.prod(shape)) * tensor.bits // 8
    view = np.frombuffer((ctypes.c_uint8 * size).from_address(tensor.data), kind).reshape(shape) if size else np.zeros(shape, kind)
    return view.copy(), tensor.data


class OnGpu(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import ktransformers  # after the driver, which is looked for once

        cls.gpu, cls.kt = fake_device.Gpu(BUILD), ktransformers
        artifacts.TARGETS = "sm_89,host"
        cls.model = ktransformers.Model(artifacts.add(), device="cuda:0")
        context = ctypes.c_void_p()
        assert cls.gpu.driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
        assert cls.gpu.driver.cuCtxSetCurrent(context) == 0

    def setUp(self):
        self.x = np.arange(6, dtype=np.float32).reshape(2, 3)

    def tearDown(self):
        self.assertIsNone(self.gpu.wrong)
        self.assertEqual(self.gpu.driver.fakeCudaViolations(), 0)

    def copies(self):
        return [self.gpu.driver.fakeCudaCalls(f"cuMemcpy{way}Async".encode()) for way in ("HtoD", "DtoH", "DtoD")]

    def tensor(self, array, **options):
        return Tensor(self.gpu, array, **options)

    def test_arrays_of_the_host(self):
        self.assertTrue(self.model.device.startswith("cuda:0"))
        z = np.zeros((2, 3), np.float32)
        self.assertIs(self.model.run({"x": self.x, "y": self.x}, {"z": z})["z"], z)
        np.testing.assert_array_equal(z, 2 * self.x)
        for n in (1, 4000):
            x = np.ones((n, 3), np.float32)
            np.testing.assert_array_equal(self.model.run({"x": x, "y": 3 * x})["z"], 4 * x)
        with self.assertRaisesRegex(self.kt.UsageError, r"expected float32\[2, 3\] to write to but got float32\[3, 3\]"):
            self.model.run({"x": self.x, "y": self.x}, {"z": np.zeros((3, 3), np.float32)})

    def test_tensors_are_used_where_they_are(self):
        for versioned in (False, True):
            x, y, z = self.tensor(self.x, versioned=versioned), self.tensor(3 * self.x), self.tensor(0 * self.x, versioned=versioned)
            before = self.copies()
            got = self.model.run({"x": x, "y": y}, {"z": z})
            self.assertIs(got["z"], z)
            np.testing.assert_array_equal(z.array, 4 * self.x)
            self.assertEqual(x.asked, [(1, (1, 0) if versioned else None)])  # ready for the default stream
            self.assertEqual(self.copies(), before)
            x.array[...] = 0  # the next run reads what is there then
            self.model.run({"x": x, "y": self.x}, {"z": z})
            np.testing.assert_array_equal(z.array, self.x)

    def test_outputs_that_stay(self):
        first = self.model.run({"x": self.x, "y": self.x}, device_outputs=True)["z"]
        self.assertIsInstance(first, self.kt.DeviceArray)
        self.assertEqual((first.shape, first.dtype, first.nbytes, first.__dlpack_device__()), ((2, 3), np.float32, 24, (2, 0)))
        self.assertEqual(repr(first), "<ktransformers.DeviceArray on cuda:0: float32[2, 3]>")
        for versioned in (False, True):
            view, address = seen(first, versioned)
            np.testing.assert_array_equal(view, 2 * self.x)
            self.assertEqual(address, first.data_ptr)
        # They go into the next call, and stay as they are.
        value, before = first, self.copies()
        for power in range(2, 6):
            value = self.model.run({"x": value, "y": value}, device_outputs=True)["z"]
            np.testing.assert_array_equal(seen(value)[0], 2**power * self.x)
        self.assertEqual(self.copies(), before)
        np.testing.assert_array_equal(seen(first)[0], 2 * self.x)
        empty = self.model.run({"x": self.x[:0], "y": self.x[:0]}, device_outputs=True)["z"]
        self.assertEqual((empty.shape, empty.nbytes), ((0, 3), 0))
        z = self.tensor(self.x)
        self.assertIs(self.model.run({"x": self.x, "y": self.x}, {"z": z}, device_outputs=True)["z"], z)

    def test_runs_in_other_threads(self):
        x = self.tensor(self.x)
        value = self.model.submit({"x": x, "y": x}, device_outputs=True).result(30)["z"]
        value = asyncio.run(self.model.run_async({"x": value, "y": x}, device_outputs=True, stream=0))["z"]
        np.testing.assert_array_equal(seen(value)[0], 3 * self.x)

    def test_what_is_left_gives_its_memory_back(self):
        model = self.kt.Model(artifacts.add(), device="cuda:0")
        output = model.run({"x": self.x, "y": self.x}, device_outputs=True)["z"]
        capsule, address = output.__dlpack__(), output.data_ptr
        del output, model
        gc.collect()
        self.assertGreaterEqual(self.gpu.driver.fakeCudaBytesFrom(address), 24)  # the capsule's, with the model
        del capsule
        gc.collect()
        self.assertEqual(self.gpu.driver.fakeCudaBytesFrom(address), 0)

    def test_streams(self):
        stream = ctypes.c_void_p()
        self.assertEqual(self.gpu.driver.cuStreamCreate(ctypes.byref(stream), 1), 0)

        class Torch:
            cuda_stream = stream.value

        class Protocol:
            def __cuda_stream__(self):
                return (0, stream.value)

        for given, asked in ((stream.value, stream.value), (Torch(), stream.value), (Protocol(), stream.value), (0, 1), (None, 1)):
            x = self.tensor(self.x)
            np.testing.assert_array_equal(self.model.run({"x": x, "y": self.x}, stream=given)["z"], 2 * self.x)
            self.assertEqual(x.asked, [(asked, None)])
        with self.assertRaises(TypeError):
            self.model.run({"x": self.x, "y": self.x}, stream="default")

    def test_what_is_refused(self):
        good = self.tensor(self.x)
        for x, message in (
            (self.tensor(self.x, card=1), "input 'x': it is on cuda:1, but the model runs on cuda:0"),
            (self.tensor(self.x.astype(np.float64)), r"input 'x': expected float32\[n, 3\] but got float64\[2, 3\]"),
            (self.tensor(self.x.astype(np.int32), code=0), r"input 'x': expected float32\[n, 3\] but got int32\[2, 3\]"),
            (self.tensor(self.x.astype(np.int32), code=77), r"DLPack's type 77 of 32 bits"),
            (self.tensor(self.x[0]), r"expected float32\[n, 3\] but got float32\[3\]"),
            (self.tensor(self.x, strides=(1, 2)), r"got float32\[2, 3\] that is not contiguous"),
            (self.tensor(self.x, offset=4), "4 behind a multiple of 16"),
        ):
            with self.subTest(message), self.assertRaisesRegex(self.kt.UsageError, message):
                self.model.run({"x": x, "y": good})
        freed = self.tensor(self.x)
        self.assertEqual(self.gpu.driver.cuMemFree_v2(ctypes.c_uint64(freed.address)), 0)
        with self.assertRaisesRegex(self.kt.UsageError, "may have been freed"):
            self.model.run({"x": freed, "y": good})
        for z, message in ((self.tensor(self.x, versioned=True, flags=1), "output 'z': .*read-only"), (self.tensor(self.x[:, :2].copy()), r"output 'z': expected float32\[n, 3\]"),
                           (self.tensor(self.x[:1]), r"expected float32\[2, 3\] to write to but got float32\[1, 3\]")):
            with self.subTest(message), self.assertRaisesRegex(self.kt.UsageError, message):
                self.model.run({"x": good, "y": good}, {"z": z})

        class Broken(Tensor):
            def __dlpack__(self, **options):
                raise BufferError("it has a gradient")

        with self.assertRaisesRegex(self.kt.UsageError, "its library does not give its memory: it has a gradient") as caught:
            self.model.run({"x": Broken(self.gpu, self.x), "y": good})
        self.assertIsInstance(caught.exception.__cause__, BufferError)
        output = self.model.run({"x": good, "y": good}, device_outputs=True)["z"]
        for options in ({"copy": True}, {"dl_device": (1, 0)}):
            with self.assertRaises(BufferError):
                output.__dlpack__(**options)
        self.assertIsNotNone(output.__dlpack__(copy=False, dl_device=(2, 0)))
        with self.assertRaisesRegex(self.kt.UsageError, "it is on cuda:0, but the model runs on the host"):
            self.kt.Model(artifacts.add(), device="host").run({"x": output, "y": self.x})

    def test_strides_that_say_nothing_new(self):
        x = self.tensor(self.x, strides=(3, 1))
        np.testing.assert_array_equal(self.model.run({"x": x, "y": x})["z"], 2 * self.x)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--bin", required=True)
    a, rest = p.parse_known_args()
    BUILD = os.path.dirname(os.path.abspath(a.bin))
    with tempfile.TemporaryDirectory(prefix="kt-python-gpu-") as work:
        artifacts.use(a.bin, work)
        unittest.main(argv=[sys.argv[0], *rest])
