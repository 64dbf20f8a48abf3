"""Where outputs of the Python package are: in the caller's arrays, or in new ones that the model has written itself."""
import array
import gc
import threading
import time
import unittest

import artifacts
import ktransformers
import numpy as np

N = 1 << 16  # floats: more than is copied


def aligned(count, offset=0):
    """float32[count] that begins `offset` bytes behind a multiple of 64."""
    memory = np.zeros(count * 4 + 128, np.uint8)
    begin = -memory.ctypes.data % 64 + offset
    return memory[begin : begin + count * 4].view(np.float32)


class Given(unittest.TestCase):
    def setUp(self):
        self.model = ktransformers.Model(artifacts.add(), device="host", threads=1)
        self.x = np.arange(6, dtype=np.float32).reshape(2, 3)

    def test_arrays_of_the_caller(self):
        for z in (np.zeros((2, 3), np.float32), aligned(6).reshape(2, 3), aligned(6, 4).reshape(2, 3)):
            for factor in (1, 2):
                got = self.model.run({"x": self.x, "y": factor * self.x}, {"z": z})
                self.assertIs(got["z"], z)
                np.testing.assert_array_equal(z, (1 + factor) * self.x)
        flat = ktransformers.Model(artifacts.copies("flat", ["float32"], ("n",)), device="host")
        given = array.array("f", [0, 0])
        self.assertIs(flat.run({"x_float32": np.ones(2, np.float32)}, outputs={"y_float32": given})["y_float32"], given)
        self.assertEqual(list(given), [1, 1])

    def test_the_model_writes_there_itself(self):
        model = ktransformers.Model(artifacts.slow(), device="host", threads=1)
        session = model.session()
        z, x = aligned(N), np.ones(N, np.float32)
        failed = []

        def run():
            try:
                session.run({"count": 1 << 60, "x": x}, {"z": z})
            except ktransformers.FailedError as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        until = time.monotonic() + 30
        while not z.all() and time.monotonic() < until:
            time.sleep(0.01)
        self.assertTrue(thread.is_alive())  # nothing has been copied behind the run, which goes on
        session.cancel()
        thread.join(30)
        self.assertEqual(len(failed), 1)
        self.assertTrue((z == 2).all())

    def test_in_the_memory_of_an_input(self):
        x, y = aligned(6).reshape(2, 3), np.ones((2, 3), np.float32)
        x[:] = self.x
        self.model.run({"x": x, "y": y}, {"z": x})
        np.testing.assert_array_equal(x, self.x + 1)
        both = aligned(9).reshape(3, 3)
        both[:] = np.arange(9).reshape(3, 3)
        self.model.run({"x": both[:2], "y": y}, {"z": both[1:]})
        np.testing.assert_array_equal(both[1:], np.arange(6).reshape(2, 3) + 1)
        same = ktransformers.Model(artifacts.copies("same", ["float32"], ("n",)), device="host", threads=1)
        given = np.zeros(64, np.float32)
        same.run({"x_float32": np.full(64, 3, np.float32)}, {"y_float32": given})
        self.assertTrue((given == 3).all())

    def test_sizes_that_are_data(self):
        model = ktransformers.Model(artifacts.nonzero(), device="host", threads=1)
        x, where = np.array([0, 1, 0, 2], np.float32), np.zeros((1, 2), np.int64)
        got = model.run({"x": x}, {"where": where})
        self.assertIs(got["where"], where)
        np.testing.assert_array_equal(where, [[1, 3]])
        np.testing.assert_array_equal(got["z"], 2 * x)
        with self.assertRaisesRegex(ktransformers.UsageError, r"output 'where': expected int64\[1, 2\] to write to but got int64\[1, 3\]"):
            model.run({"x": x}, {"where": np.zeros((1, 3), np.int64)})

    def test_what_is_refused(self):
        read_only, fortran = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32, order="F")
        read_only.flags.writeable = False
        for z, message in (
            (np.zeros((2, 3)), r"expected float32\[n, 3\] but got float64\[2, 3\]"),
            (np.zeros((2, 4), np.float32), r"expected float32\[n, 3\] but got float32\[2, 4\]"),
            (np.zeros(6, np.float32), r"expected float32\[n, 3\] but got float32\[6\]"),
            (np.zeros((3, 3), np.float32), r"expected float32\[2, 3\] to write to but got float32\[3, 3\]"),
            (read_only, "this one is read-only"),
            (fortran, "this one is not contiguous"),
            (np.zeros((2, 6), np.float32)[:, ::2], "this one is not contiguous"),
            ([[0.0] * 3] * 2, "expected an array to write to but got list"),
            (None, "expected an array to write to but got NoneType"),
        ):
            with self.subTest(message), self.assertRaisesRegex(ktransformers.UsageError, "output 'z': .*" + message) as caught:
                self.model.run({"x": self.x, "y": self.x}, {"z": z})
            self.assertEqual(caught.exception.status, "usage")
        for outputs, message in (({"q": self.x}, "no output is called 'q', expected 'z'"), ({1: self.x}, "expected the name of an output but got 1")):
            with self.assertRaisesRegex(ktransformers.UsageError, message):
                self.model.run({"x": self.x, "y": self.x}, outputs)
        with self.assertRaisesRegex(TypeError, "expected a mapping"):
            self.model.run({"x": self.x, "y": self.x}, [self.x])
        two = ktransformers.Model(artifacts.nonzero(), device="host", threads=1)
        self.assertEqual(self.model.run({"x": self.x, "y": self.x})["z"].shape, (2, 3))
        memory = aligned(4)
        with self.assertRaisesRegex(ktransformers.UsageError, "overlap"):
            two.run({"x": np.array([0, 1, 0, 2], np.float32)}, {"z": memory, "where": memory.view(np.int64).reshape(1, 2)})

    def test_what_a_session_keeps(self):
        session = ktransformers.Model(artifacts.of("gpt2_cache"), device="host", threads=1).session(capacity=8)
        with self.assertRaisesRegex(ktransformers.UsageError, "output 'present_0_key' is given memory, but the session keeps it"):
            session.run({"input_ids": np.ones((1, 1), np.int64), "attention_mask": np.ones((1, 1), np.int64), "position_ids": np.zeros((1, 1), np.int64)},
                        {"present_0_key": np.zeros((1, 4, 1, 32), np.float32)})
        self.assertEqual(session.held, 0)

    def test_arrays_are_not_resized_meanwhile(self):
        session = ktransformers.Model(artifacts.slow(), device="host", threads=1).session()
        z = np.zeros(64, np.float32)
        thread = threading.Thread(target=lambda: self.assertRaises(ktransformers.FailedError, session.run, {"count": 1 << 60, "x": np.ones(64, np.float32)}, {"z": z}))
        thread.start()
        time.sleep(0.1)
        with self.assertRaises((ValueError, BufferError)):
            z.resize(1 << 20)
        session.cancel()
        thread.join(30)
        self.assertFalse(thread.is_alive())


class New(unittest.TestCase):
    def setUp(self):
        self.model = ktransformers.Model(artifacts.copies("doubled", ["float32"], ("n",)), device="host", threads=1)
        self.add = ktransformers.Model(artifacts.add(), device="host", threads=1)

    def test_large_ones_keep_their_memory(self):
        x = np.ones((N, 3), np.float32)
        got = [self.add.run({"x": x, "y": factor * x})["z"] for factor in range(4)]
        self.assertEqual(len({z.ctypes.data for z in got}), 4)
        for factor, z in enumerate(got):
            self.assertEqual((type(z), z.dtype, z.shape, z.ctypes.data % 64), (np.ndarray, np.float32, (N, 3), 0))
            self.assertTrue(z.flags.writeable and z.flags.c_contiguous)
            self.assertTrue((z == 1 + factor).all())
        view = got[2][5:7]
        del got, z, self.add
        gc.collect()
        self.assertTrue((view == 3).all())

    def test_sizes_that_are_data(self):
        model = ktransformers.Model(artifacts.nonzero(), device="host", threads=1)
        for count in (3, N):
            x = np.ones(count, np.float32)
            got = model.run({"x": x})
            np.testing.assert_array_equal(got["where"], np.arange(count)[None])
            np.testing.assert_array_equal(got["z"], 2 * x)

    def test_small_ones_are_of_numpy(self):
        x = np.ones((2, 3), np.float32)
        self.assertTrue(self.add.run({"x": x, "y": x})["z"].flags.owndata)

    def test_an_input_that_is_an_output_too(self):
        x = np.ones(N, np.float32)
        y = self.model.run({"x_float32": x})["y_float32"]
        self.assertFalse(np.shares_memory(x, y))
        x[:] = 5
        self.assertTrue((y == 1).all())


if __name__ == "__main__":
    unittest.main()
