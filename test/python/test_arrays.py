"""Arrays in and out of the Python package: types, sizes, copies, and what is refused before anything runs."""
import array
import subprocess
import sys
import tracemalloc
import unittest
import warnings

import artifacts
import ktransformers
import ml_dtypes
import numpy as np

NUMPY = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
OTHERS = ["bfloat16", "float8_e4m3fn", "float8_e5m2"]


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name) if name in OTHERS else name)


class OnlyDLPack:
    """What another framework's array is to numpy."""

    def __init__(self, held, on_gpu=False):
        self.held, self.on_gpu = held, on_gpu

    def __dlpack__(self, **options):
        if self.on_gpu:
            raise BufferError("not on the CPU")
        return self.held.__dlpack__()

    def __dlpack_device__(self):
        return (2, 0) if self.on_gpu else (1, 0)


class OnlyInterface:
    def __init__(self, held):
        self.held = held
        self.__array_interface__ = held.__array_interface__


class Types(unittest.TestCase):
    def run_all(self, name, dims, shape):
        model = ktransformers.Model(artifacts.copies(name, NUMPY + OTHERS, dims), device="host", threads=1)
        count = int(np.prod(shape))
        inputs = {f"x_{t}": (np.arange(count) % 2 if t == "bool" else np.arange(count) * 3).astype(dtype_of(t)).reshape(shape) for t in NUMPY + OTHERS}
        outputs = model.run(inputs)
        for t in NUMPY + OTHERS:
            got, want = outputs[f"y_{t}"], inputs[f"x_{t}"]
            self.assertEqual((type(got), got.dtype, got.shape), (np.ndarray, dtype_of(t), shape))
            self.assertEqual(got.tobytes(), want.tobytes())
            self.assertTrue(got.flags.owndata and got.flags.writeable and got.flags.c_contiguous)
        self.assertEqual([i.dtype for i in model.inputs], [dtype_of(t) for t in NUMPY + OTHERS])

    def test_every_type(self):
        self.run_all("types", ("n", "m"), (2, 5))

    def test_no_elements(self):
        self.run_all("types", ("n", "m"), (0, 5))
        self.run_all("types", ("n", "m"), (2, 0))

    def test_scalars(self):
        self.run_all("type_scalars", (), ())

    def test_types_of_ml_dtypes_where_it_is_missing(self):
        code = ("import sys; sys.modules['ml_dtypes'] = None\n"
                "import ktransformers, numpy as np\n"
                "model = ktransformers.Model(sys.argv[1], device='host')\n"
                "print(model.inputs[0])\n"
                "for ask in (lambda: model.inputs[0].dtype, lambda: model.run({'x_bfloat16': np.zeros(3)})):\n"
                "    try: ask()\n"
                "    except ktransformers.UsageError as e: print(e.status, e)\n")
        out = subprocess.run([sys.executable, "-c", code, artifacts.copies("brain", ["bfloat16"], ("n",))], capture_output=True, text=True)
        self.assertEqual(out.stderr, "")
        lines = out.stdout.splitlines()
        self.assertEqual(lines[0], "<ktransformers.TensorInfo 'x_bfloat16': bfloat16[n]>")
        self.assertEqual([line.startswith("usage bfloat16 is a type of ml_dtypes, which has to be installed for it") for line in lines[1:]], [True, True])


class Inputs(unittest.TestCase):
    def setUp(self):
        self.model = ktransformers.Model(artifacts.add(), device="host", threads=1)
        self.x = np.arange(6, dtype=np.float32).reshape(2, 3)
        self.twice = 2 * self.x

    def both(self, x):
        np.testing.assert_array_equal(self.model.run({"x": x, "y": x})["z"], self.twice)

    def test_what_numpy_sees(self):
        read_only = self.x.copy()
        read_only.flags.writeable = False
        for x in (self.x, read_only, memoryview(self.x), OnlyInterface(self.x), OnlyDLPack(self.x), self.x.view(np.ma.MaskedArray), list(self.x),
                  [list(row) for row in self.x]):
            with self.subTest(type(x)):
                self.both(x)
        flat = ktransformers.Model(artifacts.copies("flat", ["float32"], ("n",)), device="host")
        np.testing.assert_array_equal(flat.run({"x_float32": array.array("f", [1, 2])})["y_float32"], [1, 2])

    def test_layouts(self):
        odd = np.zeros(25, np.uint8)[1:].view(np.float32).reshape(2, 3)  # at no multiple of its size
        odd[:] = self.x
        for x in (np.asfortranarray(self.x), np.repeat(self.x, 2, axis=1)[:, ::2], self.x[::-1][::-1], self.x.T.copy().T, self.x[:, ::-1].copy()[:, ::-1], odd):
            with self.subTest(x.strides):
                self.both(x)
        broadcast = np.broadcast_to(np.float32(4), (2, 3))
        self.assertTrue((self.model.run({"x": broadcast, "y": broadcast})["z"] == 8).all())

    def test_contiguous_arrays_are_not_copied(self):
        # numpy tells tracemalloc of each array that it makes; 12 MB in, 12 MB out, which the runtime allocates once.
        x = np.ones((1 << 20, 3), np.float32)
        out = self.model.run({"x": x, "y": x})["z"].nbytes
        for value, copies in ((x, 0), (memoryview(x), 0), (OnlyDLPack(x), 0), (np.asfortranarray(x), 1)):
            tracemalloc.start()
            self.model.run({"x": x, "y": value})
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            self.assertAlmostEqual(peak / out, copies, delta=0.1)

    def test_scalars_of_python(self):
        types = ["bool", "int8", "uint64", "float16", "float32", "float64"]
        model = ktransformers.Model(artifacts.copies("pythons", types, ()), device="host", threads=1)
        good = {"x_bool": True, "x_int8": -128, "x_uint64": 2**64 - 1, "x_float16": 1, "x_float32": 0.1, "x_float64": float("inf")}
        got = model.run(good)
        self.assertEqual([got[f"y_{t}"].item() for t in types], [True, -128, 2**64 - 1, 1.0, float(np.float32(0.1)), float("inf")])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of older versions of numpy
            for name, value in (("x_bool", 1), ("x_int8", 128), ("x_int8", 1.0), ("x_int8", True), ("x_uint64", -1), ("x_float16", 1e6), ("x_float16", 2049),
                                ("x_float32", False), ("x_float32", 1j), ("x_float64", 2**2000)):
                with self.subTest(name, value=value), self.assertRaisesRegex(ktransformers.UsageError, f"'{name}': expected {name[2:]}\\[\\] but got"):
                    model.run({**good, name: value})


class Refused(unittest.TestCase):
    def setUp(self):
        self.model = ktransformers.Model(artifacts.add(), device="host", threads=1)
        self.x = np.zeros((2, 3), np.float32)

    def refuses(self, inputs, message):
        with self.assertRaises(ktransformers.UsageError) as caught:
            self.model.run(inputs)
        self.assertEqual(caught.exception.status, "usage")
        self.assertIn(message, str(caught.exception))
        return caught.exception

    def test_names(self):
        self.refuses({}, "inputs are missing: 'x' of float32[n, 3], 'y' of float32[n, 3]")
        self.refuses({"y": self.x}, "an input is missing: 'x' of float32[n, 3]")
        self.refuses({"x": self.x, "a": 1, "b\udcff": 2}, "no input is called 'a', 'b\\udcff', expected 'x', 'y'")
        self.refuses({1: self.x}, "expected the name of an input but got 1")

    def test_types(self):
        for x, got in ((self.x.astype(np.float64), "float64[2, 3]"), (self.x.astype(">f4"), ">f4[2, 3]"), (self.x.astype(np.int32), "int32[2, 3]"),
                       (np.array([["a", "b", "c"]]), "<U1[1, 3]"), (None, "object[]"), (object(), "object[]")):
            self.refuses({"x": x, "y": self.x}, f"input 'x': expected float32[n, 3] but got {got}")

    def test_shapes(self):
        self.refuses({"x": self.x[0], "y": self.x}, "input 'x': expected float32[n, 3] but got float32[3]")
        self.refuses({"x": np.float32(1), "y": self.x}, "input 'x': expected float32[n, 3] but got float32[]")
        self.refuses({"x": self.x[:, :2], "y": self.x}, "'x'")
        self.refuses({"x": self.x[:1], "y": self.x}, "'y'")  # one n for both

    def test_what_is_no_array(self):
        self.refuses({"x": [[1.0], [1.0, 2.0]], "y": self.x}, "input 'x': ")  # older versions of numpy see an array of objects
        self.refuses({"x": OnlyDLPack(self.x, on_gpu=True), "y": self.x}, "input 'x': it is on cuda:0, but the model runs on the host")

        class Interrupted:
            def __array__(self, *_, **__):
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.model.run({"x": Interrupted(), "y": self.x})

    def test_what_is_no_mapping(self):
        for wrong in (3, [self.x], "xy"):
            with self.assertRaisesRegex(TypeError, "expected a mapping from names to arrays"):
                self.model.run(wrong)
        with self.assertRaises(TypeError):
            self.model.run(None)

    def test_a_model_runs_after_what_it_refused(self):
        self.refuses({}, "missing")
        self.assertEqual(self.model.run({"x": self.x, "y": self.x})["z"].shape, (2, 3))

    def test_a_run_that_fails(self):
        inputs = {k: v.copy() for k, v in artifacts.references("bert")[0][0].items()}
        model = ktransformers.Model(artifacts.of("bert"), device="host", threads=1)
        inputs["input_ids"][0, 0] = 1 << 40
        with self.assertRaisesRegex(ktransformers.FailedError, "index .* expected -1000 to 999") as caught:
            model.run(inputs)
        self.assertEqual(caught.exception.status, "failed")
        self.assertIsNone(artifacts.differs(model.run(artifacts.references("bert")[0][0]), artifacts.references("bert")[0][1]))


if __name__ == "__main__":
    unittest.main()
