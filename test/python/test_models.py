"""Models by the Python package: results, what a model says of itself, sessions and their states, errors of loading."""
import ast
import os
import pathlib
import shutil
import tempfile
import unittest

import artifacts
import ktransformers
import numpy as np


class Results(unittest.TestCase):
    def check(self, name):
        model = ktransformers.Model(artifacts.of(name), device="host", threads=2)
        references = artifacts.references(name)
        for inputs, outputs in references + references[:1]:
            got = model.run(inputs)
            self.assertEqual(list(got), [o.name for o in model.outputs])
            self.assertIsNone(artifacts.differs(got, outputs))
        return len(references)

    def test_two_sets_of_shapes_from_one_artifact(self):
        for name in ("bert", "gpt2_cache"):
            with self.subTest(name):
                self.assertEqual(self.check(name), 2)

    def test_halves(self):
        self.check("genai_llama_fp16")

    def test_a_training_step(self):
        self.check("train_mlp")


class Description(unittest.TestCase):
    def test_ports(self):
        model = ktransformers.Model(artifacts.of("gpt2_cache"), device="host")
        ids, past = model.inputs[0], model.inputs[3]
        self.assertEqual((ids.name, ids.dtype, ids.shape, ids.tied), ("input_ids", np.dtype(np.int64), ("batch", "seq"), None))
        self.assertEqual((past.name, past.dtype, past.shape, past.tied), ("past_0_key", np.dtype(np.float32), ("batch", 4, "past", 32), "present_0_key"))
        present = {o.name: o for o in model.outputs}["present_0_key"]
        self.assertEqual((present.shape, present.tied), (("batch", 4, "past + seq", 32), "past_0_key"))
        self.assertEqual(repr(ids), "<ktransformers.TensorInfo 'input_ids': int64[batch, seq]>")

    def test_a_scalar_has_no_dimensions(self):
        model = ktransformers.Model(artifacts.copies("scalars", ["float32"], ()), device="host")
        self.assertEqual(model.inputs[0].shape, ())

    def test_ports_outlive_their_model(self):
        port = ktransformers.Model(artifacts.add(), device="host").inputs[1]
        self.assertEqual((port.name, port.shape), ("y", ("n", 3)))

    def test_representations(self):
        path = artifacts.add()
        model = ktransformers.Model(path, device="host", threads=1)
        self.assertIn("1 thread", model.device)
        self.assertEqual(repr(model), f"<ktransformers.Model {path!r} on {model.device}: inputs x float32[n, 3], y float32[n, 3]; outputs z float32[n, 3]>")
        self.assertEqual(repr(model.session()), "<ktransformers.Session>")
        self.assertEqual(ktransformers.Model.__module__, "ktransformers")

    def test_stubs_say_what_there_is(self):
        folder = pathlib.Path(ktransformers.__file__).parent
        self.assertTrue((folder / "py.typed").exists())
        classes = {c.name: c for c in ast.parse((folder / "_runtime.pyi").read_text()).body if isinstance(c, ast.ClassDef)}
        self.assertEqual(set(classes), {"DeviceArray", "HostMemory", "Model", "Session", "State", "StatePool", "TensorInfo", "TokenGenerator"})
        for name, stub in classes.items():
            self.assertIsNotNone(ast.get_docstring(stub), name)
            there = {n for n in vars(getattr(ktransformers._runtime, name)) if not n.startswith("_")}
            said = {n.name for n in stub.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")}
            said |= {n.target.id for n in stub.body if isinstance(n, ast.AnnAssign)}
            self.assertEqual(there, said)
            for member in there:
                self.assertTrue(getattr(ktransformers._runtime, name).__dict__[member].__doc__, f"{name}.{member}")


class States(unittest.TestCase):
    def setUp(self):
        self.model = ktransformers.Model(artifacts.of("gpt2_cache"), device="host", threads=2)

    def step(self, session, tokens, held):
        """The logits of the last token."""
        count = len(tokens)
        inputs = {"input_ids": np.array([tokens]), "attention_mask": np.ones((1, held + count), np.int64), "position_ids": np.arange(held, held + count)[None]}
        outputs = session.run(inputs)
        self.assertEqual(list(outputs), ["logits"])
        return outputs["logits"][0, -1]

    def test_a_session_goes_on_from_what_it_holds(self):
        whole = self.step(self.model.session(capacity=16), [3, 5, 7, 11], 0)
        session = self.model.session(capacity=16)
        self.step(session, [3, 5], 0)
        self.assertEqual((session.held, session.capacity), (2, 16))
        self.assertEqual(repr(session), "<ktransformers.Session: holds 2 of 16>")
        other = session.fork()
        # Prompts in pieces are products of other sizes, whose sums are added up in another order.
        np.testing.assert_allclose(self.step(session, [7, 11], 2), whole, atol=1e-4)
        np.testing.assert_allclose(self.step(other, [7, 11], 2), whole, atol=1e-4)
        other.truncate(2)
        np.testing.assert_allclose(self.step(other, [7, 11], 2), whole, atol=1e-4)
        other.reset()
        self.assertEqual(other.held, 0)

    def test_the_state_is_an_object(self):
        session = self.model.session(capacity=16)
        state = session.state
        self.step(session, [3, 5, 7], 0)
        self.assertEqual((state.held, state.capacity, repr(state)), (3, 16, "<ktransformers.State: 3 of 16>"))
        other = state.fork()
        state.truncate(2)
        # Two tokens at once and one after the other are sums in other orders.
        np.testing.assert_allclose(self.step(session, [7, 11], 2), self.step(other, [11], 3), atol=1e-4)
        self.assertEqual((session.held, other.state.held), (4, 4))
        state.reset()
        self.assertEqual((state.held, other.held), (0, 4))
        for wrong in (1, 17, -1):
            with self.assertRaises((ktransformers.UsageError, TypeError)):
                state.truncate(wrong)
        self.assertIsNone(self.model.session().state)
        del session  # the state is its own session's
        self.assertEqual(state.capacity, 16)

    def test_outputs_go_into_the_next_call(self):
        names = {o.tied: o.name for o in self.model.outputs if o.tied}
        session, kept = self.model.session(), self.model.session(capacity=16)
        past = {name: np.zeros((1, 4, 0, 32), np.float32) for name in names}
        for held, tokens in ((0, [3, 5]), (2, [7]), (3, [11, 2])):
            inputs = {"input_ids": np.array([tokens]), "attention_mask": np.ones((1, held + len(tokens)), np.int64),
                      "position_ids": np.arange(held, held + len(tokens))[None]}
            outputs = session.run({**inputs, **past})
            past = {name: outputs[output] for name, output in names.items()}
            # A cache with room is walked in other pieces than one without: sums in other orders.
            np.testing.assert_allclose(outputs["logits"][0, -1], self.step(kept, tokens, held), atol=1e-4)

    def test_pages_are_shared_and_given_back(self):
        pool = ktransformers.StatePool(self.model, 4)
        self.assertEqual((pool.pages, pool.unused, pool.rows_of_page), (4, 4, 128))
        self.assertGreater(pool.bytes, 0)
        session = self.model.session(pool=pool)
        self.assertEqual(session.capacity, 4 * 128)
        self.step(session, [3, 5], 0)
        self.assertEqual(repr(pool), "<ktransformers.StatePool: 3 of 4 pages unused>")
        del session
        self.assertEqual(pool.unused, 4)

    def test_what_does_not_fit_changes_nothing(self):
        session = self.model.session(capacity=3)
        self.step(session, [3, 5], 0)
        with self.assertRaises(ktransformers.UsageError):
            self.step(session, [7, 11], 2)
        self.assertEqual(session.held, 2)
        self.step(session, [7], 2)

    def test_what_a_session_keeps_is_not_given(self):
        session = self.model.session(capacity=3)
        with self.assertRaisesRegex(ktransformers.UsageError, "'past_0_key' is given, but the session keeps it"):
            session.run(artifacts.references("gpt2_cache")[0][0])
        with self.assertRaisesRegex(ktransformers.UsageError, "capacity"):
            ktransformers.Model(artifacts.add(), device="host").session(capacity=3)
        with self.assertRaises(ktransformers.UsageError):
            self.model.session().fork()
        with self.assertRaises(ktransformers.UsageError):
            session.truncate(1)
        with self.assertRaisesRegex(ktransformers.UsageError, "another model"):
            ktransformers.Model(artifacts.of("gpt2_cache"), device="host").session(pool=ktransformers.StatePool(self.model, 1))


class Loading(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "damaged.ktm"

    def test_kinds_of_errors(self):
        for kind, status, bases in ((ktransformers.UsageError, "usage", ValueError), (ktransformers.FailedError, "failed", RuntimeError),
                                    (ktransformers.RejectedError, "rejected", ktransformers.Error)):
            self.assertTrue(issubclass(kind, (ktransformers.Error, bases)))
            self.assertEqual(kind.status, status)

    def test_paths(self):
        self.assertEqual(len(ktransformers.Model(pathlib.Path(artifacts.add()), device="host").inputs), 2)
        with self.assertRaisesRegex(ktransformers.FailedError, "/nowhere/model.ktm.*No such file") as caught:
            ktransformers.Model("/nowhere/model.ktm")
        self.assertEqual(caught.exception.status, "failed")

    def test_options(self):
        with self.assertRaisesRegex(ktransformers.UsageError, "unknown device 'tpu'"):
            ktransformers.Model(artifacts.add(), device="tpu")
        for wrong in ({"threads": -1}, {"device_memory": -1}, {"threads": 1.5}, {"device": None}, {"speed": 3}):
            with self.assertRaises(TypeError):
                ktransformers.Model(artifacts.add(), **wrong)
        self.assertIsNone(artifacts.differs(ktransformers.Model(artifacts.of("bert"), "host", 600000).run(artifacts.references("bert")[0][0]),
                                            artifacts.references("bert")[0][1]))

    def test_hostile_files(self):
        with open(artifacts.add(), "rb") as f:
            good = f.read()
        rng = np.random.default_rng(5)
        changed = [good[:len(good) // 2], b"", b"\x00" * 4096, os.urandom(8192)]
        for _ in range(40):  # the metadata, which comes first, is where most of the meaning is
            bytes_ = bytearray(good)
            bytes_[rng.integers(len(good) // 2)] ^= 1 << rng.integers(8)
            changed.append(bytes(bytes_))
        rejected = 0
        for content in changed:
            self.file.write_bytes(content)
            try:
                ktransformers.Model(self.file, device="host")
            except ktransformers.RejectedError as error:
                self.assertEqual(error.status, "rejected")
                rejected += 1
        self.assertGreater(rejected, len(changed) // 2)  # bytes between sections may be anything

    def test_a_file_that_is_cut_under_a_model(self):
        shutil.copy(artifacts.of("bert"), self.file)
        model = ktransformers.Model(self.file, device="host")
        os.truncate(self.file, 5000)
        with self.assertRaises(ktransformers.FailedError):
            model.run(artifacts.references("bert")[0][0])


if __name__ == "__main__":
    unittest.main()
