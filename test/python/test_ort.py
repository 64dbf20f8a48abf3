"""Scripts for onnxruntime run with ktransformers.ort; where onnxruntime is installed, both give the same."""
import os
import shutil
import tempfile
import unittest

import artifacts
import ktransformers
import numpy as np
from ktransformers import ort

try:
    import onnxruntime
except ImportError:
    onnxruntime = None


def onnx_of(name):
    return os.path.join(artifacts.TESTS, "models", name, "model.onnx")


class Sessions(unittest.TestCase):
    def setUp(self):
        self.session = ort.InferenceSession(artifacts.of("bert"), providers=["CPUExecutionProvider"])
        self.inputs, self.outputs = artifacts.references("bert")[0]

    def test_runs(self):
        for inputs, outputs in artifacts.references("bert"):
            got = self.session.run(None, inputs)
            self.assertIsInstance(got, list)
            self.assertIsNone(artifacts.differs(dict(zip(("hidden", "pooled"), got)), outputs))
            for names in (["pooled"], ["pooled", "hidden"], ["hidden", "hidden"]):
                got = self.session.run(names, inputs)
                self.assertEqual(len(got), len(names))
                for name, value in zip(names, got):
                    self.assertIsNone(artifacts.differs({name: value}, {name: outputs[name]}))

    def test_descriptions(self):
        self.assertEqual([(i.name, i.type, i.shape) for i in self.session.get_inputs()],
                         [("input_ids", "tensor(int64)", ["batch", "seq"]), ("attention_mask", "tensor(int64)", ["batch", "seq"])])
        self.assertEqual([(o.name, o.type, o.shape) for o in self.session.get_outputs()],
                         [("hidden", "tensor(float)", ["batch", "seq", 128]), ("pooled", "tensor(float)", ["batch", 128])])
        self.assertEqual(self.session.get_providers(), ["CPUExecutionProvider"])
        self.assertEqual(ort.get_available_providers(), ["CUDAExecutionProvider", "CPUExecutionProvider"])

    def test_bindings(self):
        binding = self.session.io_binding()
        ids = self.inputs["input_ids"].copy()
        binding.bind_cpu_input("input_ids", ids)
        binding.bind_ortvalue_input("attention_mask", ort.OrtValue.ortvalue_from_numpy(self.inputs["attention_mask"]))
        pooled = ort.OrtValue.ortvalue_from_shape_and_type(self.outputs["pooled"].shape, np.float32)
        binding.bind_ortvalue_output("pooled", pooled)
        binding.bind_output("hidden")
        self.session.run_with_iobinding(binding)
        got = binding.copy_outputs_to_cpu()
        self.assertEqual(got[0].ctypes.data, pooled.data_ptr())
        self.assertIsNone(artifacts.differs({"pooled": pooled.numpy(), "hidden": got[1]}, self.outputs))
        self.assertEqual((pooled.shape(), pooled.data_type(), pooled.device_name()), (list(self.outputs["pooled"].shape), "tensor(float)", "cpu"))
        np.testing.assert_array_equal(np.from_dlpack(pooled), pooled.numpy())
        before = pooled.numpy().copy()
        ids[:] = 7  # what is bound is read in each run
        self.session.run_with_iobinding(binding)
        self.assertFalse(np.array_equal(before, pooled.numpy()))
        binding.clear_binding_outputs()
        self.assertEqual(binding.get_outputs(), [])
        binding.clear_binding_inputs()
        with self.assertRaisesRegex(ktransformers.UsageError, "inputs are missing"):
            self.session.run_with_iobinding(binding)

    def test_what_is_refused(self):
        for call, message in (
            (lambda: self.session.run(["nothing"], self.inputs), "no output is called 'nothing', expected 'hidden', 'pooled'"),
            (lambda: self.session.run(None, {}), "inputs are missing"),
            (lambda: self.session.io_binding().bind_cpu_input("x", np.zeros(1)), "no input is called 'x'"),
            (lambda: self.session.io_binding().bind_output("hidden", "cuda"), "memory of 'cuda' is asked for"),
            (lambda: self.session.io_binding().bind_output("hidden", buffer_ptr=64), "by its address"),
            (lambda: ort.InferenceSession(b"bytes"), "given as bytes"),
            (lambda: ort.InferenceSession(artifacts.of("bert"), providers=["TPU"]), "no provider is called 'TPU'"),
        ):
            with self.subTest(message), self.assertRaisesRegex(ktransformers.UsageError, message):
                call()
        with self.assertRaises(TypeError):
            ort.InferenceSession(artifacts.of("bert"), speed=3)

    def test_providers_that_are_not_there(self):
        try:
            ktransformers.Model(artifacts.of("bert"), device="cuda:63")
        except ktransformers.Error as error:
            self.assertEqual(error.status, "failed")
        session = ort.InferenceSession(artifacts.of("bert"), providers=[("CUDAExecutionProvider", {"device_id": 63}), "CPUExecutionProvider"])
        self.assertEqual(session.get_providers(), ["CPUExecutionProvider"])
        with self.assertRaises(ktransformers.FailedError):
            ort.InferenceSession(artifacts.of("bert"), providers=["CUDAExecutionProvider"], provider_options=[{"device_id": 63}])

    def test_options(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = 99  # kept, and nothing else
        session = ort.InferenceSession(artifacts.of("bert"), options, ["CPUExecutionProvider"])
        self.assertIs(session.get_session_options(), options)
        self.assertIn("1 thread", session._model.device)


class Compiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.environment = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(self.environment)))
        os.environ["XDG_CACHE_HOME"] = f"{self.folder}/cache"
        os.environ["PATH"] = f"{artifacts.tools()}:{os.environ['PATH']}"
        os.environ.pop("KTC", None)


class Models(Compiles):
    def artifacts_made(self):
        return sorted(os.listdir(f"{self.folder}/cache/ktransformers"))

    def test_an_onnx_model_is_compiled_once(self):
        path = f"{self.folder}/model.onnx"
        shutil.copy(onnx_of("train_mlp"), path)
        inputs, outputs = artifacts.references("train_mlp")[0]
        for _ in range(2):
            session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
            got = session.run(None, inputs)
            self.assertIsNone(artifacts.differs(dict(zip([o.name for o in session.get_outputs()], got)), outputs))
            self.assertEqual(len(self.artifacts_made()), 1)
        shutil.copy(onnx_of("bert"), path)
        self.assertEqual(len(ort.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()), 2)
        self.assertEqual(len(self.artifacts_made()), 2)

    def test_what_does_not_compile(self):
        path = f"{self.folder}/broken.onnx"
        with open(path, "wb") as f:
            f.write(b"\x08\x07nonsense")
        with self.assertRaisesRegex(ktransformers.FailedError, "broken.onnx' does not compile: .*error"):
            ort.InferenceSession(path)
        self.assertEqual(self.artifacts_made(), [])
        with self.assertRaisesRegex(ktransformers.FailedError, "no such file"):
            ort.InferenceSession(f"{self.folder}/none.onnx")
        os.environ["PATH"] = self.folder
        with self.assertRaisesRegex(ktransformers.UsageError, "ktc, which makes one of it, is not on PATH"):
            ort.InferenceSession(path)


@unittest.skipIf(onnxruntime is None, "onnxruntime is not installed")
class Beside(Compiles):
    def test_same_calls_same_answers(self):
        for name in ("bert", "gpt2_cache", "vit"):
            with self.subTest(name):
                ours = ort.InferenceSession(onnx_of(name), providers=["CPUExecutionProvider"])
                theirs = onnxruntime.InferenceSession(onnx_of(name), providers=["CPUExecutionProvider"])
                for ports in ("get_inputs", "get_outputs"):
                    a, b = getattr(ours, ports)(), getattr(theirs, ports)()
                    self.assertEqual([(p.name, p.type, len(p.shape)) for p in a], [(p.name, p.type, len(p.shape)) for p in b])
                self.assertEqual(ours.get_providers(), theirs.get_providers())
                for inputs, _ in artifacts.references(name):
                    names = [o.name for o in theirs.get_outputs()]
                    want = theirs.run(None, inputs)
                    self.assertIsNone(artifacts.differs(dict(zip(names, ours.run(None, inputs))), dict(zip(names, want))))
                    bound = []
                    for module, session in ((ort, ours), (onnxruntime, theirs)):
                        binding = session.io_binding()
                        for key, value in inputs.items():
                            binding.bind_cpu_input(key, value)
                        first = module.OrtValue.ortvalue_from_shape_and_type(list(want[0].shape), want[0].dtype.type, "cpu", 0)
                        binding.bind_ortvalue_output(names[0], first)
                        session.run_with_iobinding(binding)
                        self.assertEqual(binding.get_outputs()[0].data_ptr(), first.data_ptr())
                        bound.append({names[0]: binding.copy_outputs_to_cpu()[0]})
                    self.assertIsNone(artifacts.differs(*bound))


if __name__ == "__main__":
    unittest.main()
