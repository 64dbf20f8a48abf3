"""Threads, cancellation, and who keeps what alive."""
import gc
import subprocess
import sys
import threading
import time
import unittest
import warnings

import artifacts
import ktransformers
import numpy as np


def in_threads(work, count=4):
    """Runs work(i) in threads and raises what the first of them raised."""
    errors = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Threads(unittest.TestCase):
    def setUp(self):
        self.model = ktransformers.Model(artifacts.of("bert"), device="host", threads=2)
        self.references = artifacts.references("bert")

    def check(self, run, i):
        for n in range(20):
            inputs, outputs = self.references[(i + n) % 2]
            wrong = artifacts.differs(run(inputs), outputs)
            if wrong:
                raise AssertionError(wrong)

    def test_a_session_each(self):
        in_threads(lambda i: self.check(self.model.session().run, i))

    def test_one_session_for_all(self):
        session = self.model.session()
        in_threads(lambda i: self.check(session.run, i))

    def test_one_model_for_all(self):
        in_threads(lambda i: self.check(self.model.run, i))

    def test_large_outputs(self):
        model = ktransformers.Model(artifacts.add(), device="host", threads=1)

        def work(i):
            for n in range(10):
                x = np.full((100000 + i, 3), i + n, np.float32)
                z = model.run({"x": x, "y": x})["z"]
                if z.shape != x.shape or (z != 2 * (i + n)).any():
                    raise AssertionError("another thread's output")

        in_threads(work)

    def test_loading(self):
        path = artifacts.of("train_mlp")
        in_threads(lambda i: [ktransformers.Model(path, device="host", threads=1) for _ in range(3)])


class Cancellation(unittest.TestCase):
    """A run without an end can only be ended by another thread, which needs the GIL for it."""

    def setUp(self):
        self.model = ktransformers.Model(artifacts.loop(), device="host", threads=1)
        self.x = np.zeros(4, np.float32)

    def endless(self, session):
        with self.assertRaisesRegex(ktransformers.FailedError, "cancel"):
            session.run({"count": 1 << 60, "x": self.x})

    def test_the_gil_is_free_meanwhile(self):
        sessions = [self.model.session() for _ in range(2)]  # side by side: neither ends by itself
        for run in (self.model.run, *(s.run for s in sessions)):
            run({"count": 1, "x": self.x})  # a session's first run decides where weights lie, which waits for those under way
        threads = [threading.Thread(target=self.endless, args=(s,)) for s in sessions]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        np.testing.assert_array_equal(self.model.run({"count": 3, "x": self.x})["y"], np.full(4, 3))
        x = self.x
        with self.assertRaises((ValueError, BufferError)):
            x.resize(1 << 20)  # the runs read it
        self.assertEqual(repr(sessions[0]), "<ktransformers.Session: running>")
        for session, thread in zip(sessions, threads):
            self.assertTrue(thread.is_alive())
            session.cancel()
            thread.join(10)
            self.assertFalse(thread.is_alive())
            np.testing.assert_array_equal(session.run({"count": 3, "x": self.x})["y"], np.full(4, 3))


class Lifetimes(unittest.TestCase):
    def test_outputs_outlive_their_model(self):
        model = ktransformers.Model(artifacts.add(), device="host", threads=1)
        session = model.session()
        x = np.ones((1000, 3), np.float32)
        first, second = session.run({"x": x, "y": x})["z"], session.run({"x": x, "y": 2 * x})["z"]
        del model, session
        gc.collect()
        ktransformers.Model(artifacts.add(), device="host").run({"x": 7 * x, "y": x})
        self.assertTrue((first == 2).all() and (second == 3).all())

    def test_an_output_that_is_an_input_is_another_array(self):
        model = ktransformers.Model(artifacts.copies("same", ["float32"], ("n",)), device="host", threads=1)
        x = np.ones(64, np.float32)
        y = model.run({"x_float32": x})["y_float32"]
        x[:] = 5
        self.assertFalse(np.shares_memory(x, y))
        self.assertTrue((y == 1).all())

    def test_sessions_and_pools_outlive_their_model(self):
        session = ktransformers.Model(artifacts.add(), device="host", threads=1).session()
        pool = ktransformers.StatePool(ktransformers.Model(artifacts.of("gpt2_cache"), device="host"), 2)
        gc.collect()
        self.assertEqual(session.run({"x": np.zeros((0, 3), np.float32), "y": np.zeros((0, 3), np.float32)})["z"].shape, (0, 3))
        self.assertEqual(pool.unused, 2)

    def test_objects_that_were_never_made(self):
        for kind in (ktransformers.Model, ktransformers.Session, ktransformers.State, ktransformers.StatePool, ktransformers.TensorInfo):
            with self.subTest(kind), self.assertRaises(TypeError):
                kind()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with self.assertRaises((TypeError, RuntimeError)):
                ktransformers.Model.__new__(ktransformers.Model).inputs

    def test_arrays_that_go_while_they_are_looked_at(self):
        model = ktransformers.Model(artifacts.add(), device="host", threads=1)
        x = np.ones((2, 3), np.float32)

        class Thief:
            def __array__(self, *_, **__):
                inputs.clear()
                gc.collect()
                return x

        inputs = {"x": Thief(), "y": np.full((2, 3), 4, np.float32)}
        self.assertTrue((model.run(inputs)["z"] == 5).all())

    def test_a_model_that_is_made_again(self):
        model = ktransformers.Model(artifacts.add(), device="host", threads=1)
        for path in (artifacts.of("bert"), "/nowhere.ktm"):
            model.__init__(path)  # __new__ has made it
            self.assertEqual(model.inputs[0].name, "x")

    def test_nothing_is_held_by_what_was_raised_or_returned(self):
        x = np.zeros((2, 3), np.float32)
        model = ktransformers.Model(artifacts.add(), device="host", threads=1)

        def run():
            self.assertEqual(sys.getrefcount(model.run({"x": x, "y": x})["z"]), 1)
            for wrong in ({"x": x}, {"x": x, "y": x[0]}, {"x": x, "y": "?"}):
                try:
                    model.run(wrong)
                except ktransformers.UsageError:
                    pass

        run()
        before = [sys.getrefcount(o) for o in (x, model, x.dtype, "z", ktransformers.UsageError)]
        for _ in range(100):
            run()
        self.assertEqual([sys.getrefcount(o) for o in (x, model, x.dtype, "z", ktransformers.UsageError)], before)

    def test_the_end_of_the_interpreter(self):
        code = ("import sys, threading, ktransformers, numpy as np\n"
                "model = ktransformers.Model(sys.argv[1], device='host')\n"
                "held = [model.session(), model.inputs, model.run({'count': 1, 'x': np.zeros(4, np.float32)})]\n"
                "threading.Thread(target=lambda: held[0].run({'count': 1 << 60, 'x': np.zeros(4, np.float32)}), daemon=True).start()\n"
                "print('done')\n")
        out = subprocess.run([sys.executable, "-c", code, artifacts.loop()], capture_output=True, text=True, timeout=60)
        self.assertEqual((out.returncode, out.stdout, out.stderr), (0, "done\n", ""))


if __name__ == "__main__":
    unittest.main()
