"""Compiles what the tests of the Python package run, each model once."""
import os
import shutil
import subprocess
import sys

import numpy as np

TESTS = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path[1:1] = [os.path.join(TESTS, "hostile"), os.path.join(TESTS, "e2e")]
import onnxwire as onnx  # noqa: E402
import run_models  # noqa: E402

# The numbers of ONNX's element types.
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11,
         "uint32": 12, "uint64": 13, "bfloat16": 16, "float8_e4m3fn": 17, "float8_e5m2": 19}
TARGETS = "host"
_tools, _work = None, None


def use(tools, work):
    """`tools` has ktc, artifacts go to `work`."""
    global _tools, _work
    _tools, _work = os.path.abspath(tools), work


def tools():
    return _tools


def _compile(model, name):
    path = os.path.join(_work, name + ".ktm")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path):
        done = subprocess.run([f"{_tools}/ktc", "compile", model, "-o", path, "--target", TARGETS], capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"{name}: {done.stderr}")
    return path


def of(name):
    """The artifact of a folder of test/models."""
    return _compile(os.path.join(TESTS, "models", name, "model.onnx"), name)


def learnt():
    """A folder with the language model of examples/learnt, its configuration and its tokenizer."""
    source, folder = os.path.join(TESTS, "..", "examples", "learnt", "model"), os.path.join(_work, "learnt")
    _compile(os.path.join(source, "model.onnx"), "learnt/model")
    for name in ("genai_config.json", "tokenizer.json"):
        shutil.copy(os.path.join(source, name), folder)
    return folder


def references(name):
    """[(inputs, outputs)] of a folder of test/models, one for each set of shapes."""
    folder = os.path.join(TESTS, "models", name)
    return [tuple(dict(np.load(os.path.join(folder, f"{part}{suffix}.npz"))) for part in ("inputs", "outputs"))
            for suffix in ("", "-2") if os.path.exists(os.path.join(folder, f"inputs{suffix}.npz"))]


def differs(got, want):
    """What is wrong with the outputs of a run, or None."""
    if list(got) != list(want) and set(got) != set(want):
        return f"expected {sorted(want)} but got {sorted(got)}"
    return next((wrong for name in want if (wrong := run_models.differs(name, got[name], want[name], ""))), None)


def made(name, nodes, inputs, outputs, initializers=(), opset=21):
    """The artifact of a graph that the test writes; inputs and outputs are (name, dtype, dims)."""
    model = onnx.model(nodes, [onnx.value(n, TYPES[t], d) for n, t, d in inputs], [onnx.value(n, TYPES[t], d) for n, t, d in outputs],
                       initializers, opset)
    path = os.path.join(_work, name + ".onnx")
    with open(path, "wb") as f:
        f.write(model)
    return _compile(path, name)


def add():
    """z = x + y of float32[n, 3]."""
    port = ("float32", ("n", 3))
    return made("add", [onnx.node("Add", ["x", "y"], ["z"])], [("x", *port), ("y", *port)], [("z", *port)])


def copies(name, types, dims):
    """An input and an output of each type, `x_TYPE` and `y_TYPE`, that are equal."""
    return made(name, [onnx.node("Identity", [f"x_{t}"], [f"y_{t}"], name=t) for t in types],
                [(f"x_{t}", t, dims) for t in types], [(f"y_{t}", t, dims) for t in types])


def loop():
    """y = x + 1 + 1 ..., `count` times: a run that takes as long as a test wants it to."""
    body = onnx.graph([onnx.node("Identity", ["go"], ["on"]), onnx.node("Add", ["v", "one"], ["w"])],
                      [onnx.value("i", 7, ()), onnx.value("go", 9, ()), onnx.value("v", 1, (4,))],
                      [onnx.value("on", 9, ()), onnx.value("w", 1, (4,))], [onnx.tensor("one", 1, (1,), floats=[1.0])], name="body")
    return made("loop", [onnx.node("Loop", ["count", "", "x"], ["y"], body=("graph", body))],
                [("count", "int64", ()), ("x", "float32", (4,))], [("y", "float32", (4,))])


def slow():
    """Doubles x to z, of float32[n], and takes as long as `count` says behind that."""
    body = onnx.graph([onnx.node("Identity", ["go"], ["on"]), onnx.node("Add", ["v", "one"], ["w"])],
                      [onnx.value("i", 7, ()), onnx.value("go", 9, ()), onnx.value("v", 1, (1,))],
                      [onnx.value("on", 9, ()), onnx.value("w", 1, (1,))], [onnx.tensor("one", 1, (1,), floats=[1.0])], name="body")
    nodes = [onnx.node("Add", ["x", "x"], ["z"]), onnx.node("ReduceMax", ["z"], ["first"]),
             onnx.node("Loop", ["count", "", "first"], ["y"], body=("graph", body))]
    return made("slow", nodes, [("count", "int64", ()), ("x", "float32", ("n",))], [("z", "float32", ("n",)), ("y", "float32", (1,))])


def nonzero():
    """Where x of float32[n] is not zero, as int64[1, found], and x + x."""
    return made("nonzero", [onnx.node("NonZero", ["x"], ["where"]), onnx.node("Add", ["x", "x"], ["z"])],
                [("x", "float32", ("n",))], [("where", "int64", (1, "found")), ("z", "float32", ("n",))])
