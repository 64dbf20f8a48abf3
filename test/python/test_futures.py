"""Runs of the Python package in other threads: futures, coroutines, and what ends them."""
import asyncio
import concurrent.futures
import gc
import threading
import time
import unittest
import weakref

import artifacts
import ktransformers
import numpy as np

ENDLESS = 1 << 60


class Case(unittest.TestCase):
    def setUp(self):
        self.model = ktransformers.Model(artifacts.loop(), device="host", threads=1)
        self.session = self.model.session()
        self.x = np.zeros(4, np.float32)
        for target in (self.model, self.session):  # have memory from here on, for which they would wait for other runs
            target.run(self.inputs(1))

    def inputs(self, count):
        return {"count": count, "x": self.x}

    def until_running(self, target=None):
        while repr(target or self.session) != "<ktransformers.Session: running>":
            time.sleep(0.001)


class Futures(Case):
    def test_results(self):
        for target in (self.model, self.session):
            futures = [target.submit(self.inputs(n)) for n in range(5)]
            self.assertIsInstance(futures[0], concurrent.futures.Future)
            concurrent.futures.wait(futures, 30)
            self.assertEqual([f.result()["y"][0] for f in futures], list(range(5)))
        y = np.zeros(4, np.float32)
        self.assertIs(self.session.submit(self.inputs(3), outputs={"y": y}).result(30)["y"], y)
        self.assertEqual(y[0], 3)

    def test_errors(self):
        with self.assertRaisesRegex(ktransformers.UsageError, "inputs are missing") as caught:
            self.model.submit({}).result(30)
        self.assertEqual(caught.exception.status, "usage")

    def test_the_caller_goes_on_meanwhile(self):
        future = self.session.submit(self.inputs(ENDLESS))
        self.until_running()
        waits = self.session.submit(self.inputs(1))
        self.assertFalse(future.cancel())  # it has begun
        self.assertEqual(self.model.run(self.inputs(2))["y"][0], 2)
        taken_back = self.session.submit(self.inputs(ENDLESS))
        self.assertTrue(taken_back.cancel())
        self.session.cancel()
        with self.assertRaisesRegex(ktransformers.FailedError, "cancel"):
            future.result(30)
        self.assertEqual(waits.result(30)["y"][0], 1)

    def test_nobody_is_held(self):
        self.session.submit(self.inputs(1)).result(30)
        before, session = threading.active_count(), weakref.ref(self.session)
        self.session = None
        until = time.monotonic() + 30
        while (session() is not None or threading.active_count() >= before) and time.monotonic() < until:
            gc.collect()
            time.sleep(0.01)
        self.assertIsNone(session())
        self.assertLess(threading.active_count(), before)


class Coroutines(Case):
    def test_results(self):
        async def work():
            sessions = [self.model.session() for _ in range(3)]
            return await asyncio.gather(self.model.run_async(self.inputs(7)), *(s.run_async(self.inputs(n)) for n, s in enumerate(sessions)))

        self.assertEqual([r["y"][0] for r in asyncio.run(work())], [7, 0, 1, 2])

    def test_the_loop_goes_on_meanwhile(self):
        async def work():
            task = asyncio.create_task(self.session.run_async(self.inputs(ENDLESS)))
            for _ in range(20):
                await asyncio.sleep(0.005)
            self.assertFalse(task.done())
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            # It has ended: the session is free, and what comes next is not cancelled.
            self.assertEqual(repr(self.session), "<ktransformers.Session>")
            self.assertEqual((await self.session.run_async(self.inputs(3)))["y"][0], 3)

        asyncio.run(work())

    def test_time_limits(self):
        async def work(target):
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(target.run_async(self.inputs(ENDLESS)), 0.1)
            self.assertEqual(target.run(self.inputs(2))["y"][0], 2)

        asyncio.run(work(self.model))
        asyncio.run(work(self.session))

    def test_what_has_not_begun_never_does(self):
        async def work():
            first = asyncio.create_task(self.session.run_async(self.inputs(ENDLESS)))
            y = np.full(4, -1, np.float32)
            second = asyncio.create_task(self.session.run_async(self.inputs(1), {"y": y}))
            await asyncio.sleep(0.05)
            second.cancel()
            await asyncio.wait([second], timeout=30)
            self.assertTrue(second.cancelled())
            self.assertFalse(first.done())  # another's run goes on
            first.cancel()
            await asyncio.wait([first], timeout=30)
            self.assertTrue((y == -1).all())

        asyncio.run(work())

    def test_only_that_run_is_ended(self):
        for _ in range(200):  # at any time, also when it has just ended
            self.assertEqual(self.session.run(self.inputs(1))["y"][0], 1)

            async def work():
                task = asyncio.create_task(self.session.run_async(self.inputs(200)))
                await asyncio.sleep(0)
                await asyncio.sleep(0.0002)
                task.cancel()
                await asyncio.wait([task], timeout=30)

            asyncio.run(work())

    def test_errors(self):
        with self.assertRaisesRegex(ktransformers.UsageError, "inputs are missing"):
            asyncio.run(self.model.run_async({}))


if __name__ == "__main__":
    unittest.main()
