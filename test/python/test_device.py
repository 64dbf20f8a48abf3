"""Tensors on a GPU: on_fake_gpu.py, in a process whose driver is the tests' own."""
import os
import subprocess
import sys
import unittest

import artifacts

DRIVER = os.path.join(os.path.dirname(artifacts.tools() or "."), "test", "runtime", "fake", "libcuda.so.1")


class Device(unittest.TestCase):
    @unittest.skipUnless(os.path.exists(DRIVER), "the stand-in for the driver is not built")
    def test_on_a_gpu_that_is_none(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "on_fake_gpu.py")
        done = subprocess.run([sys.executable, script, "--bin", artifacts.tools()], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_host_is_where_outputs_stay_there(self):
        import ktransformers
        import numpy as np

        x = np.ones((2, 3), np.float32)
        model = ktransformers.Model(artifacts.add(), device="host", threads=1)
        self.assertIsInstance(model.run({"x": x, "y": x}, device_outputs=True)["z"], np.ndarray)
        with self.assertRaisesRegex(ktransformers.UsageError, "where there are no streams"):
            model.run({"x": x, "y": x}, stream=1)


if __name__ == "__main__":
    unittest.main()
