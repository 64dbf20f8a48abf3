"""A model that chooses: router_model.py OUT.onnx. `before`, `shared` and `router` make scores, `behind` works on what was chosen, as `shared`'s weight does once more."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "hostile"))
import onnxwire as wire  # noqa: E402

rng = np.random.default_rng(0)
weights = {name: (rng.standard_normal(shape) * 0.1).astype("f") for name, shape in {"w.before": (64, 64), "w.shared": (64, 64), "w.router": (64, 8), "w.behind": (64, 64)}.items()}
nodes = [wire.node("MatMul", ["x", "w.before"], ["h"], "before"), wire.node("Tanh", ["h"], ["t"], "tanh"), wire.node("MatMul", ["t", "w.shared"], ["s"], "shared"),
         wire.node("Sigmoid", ["s"], ["g"], "gate"), wire.node("MatMul", ["g", "w.router"], ["logits"], "router"), wire.node("TopK", ["logits", "one"], ["best", "which"], "choose"),
         wire.node("Mul", ["s", "best"], ["y"], "weigh"), wire.node("MatMul", ["y", "w.behind"], ["z"], "behind"), wire.node("Exp", ["z"], ["e"], "exp"),
         wire.node("MatMul", ["e", "w.shared"], ["out"], "again")]
initializers = [wire.tensor(name, wire.FLOAT, w.shape, raw=w.tobytes()) for name, w in weights.items()] + [wire.tensor("one", wire.INT64, [1], ints=[1])]
with open(sys.argv[1], "wb") as file:
    file.write(wire.model(nodes, [wire.value("x", wire.FLOAT, ["n", 64])], [wire.value("out", wire.FLOAT, ["n", 64]), wire.value("which", wire.INT64, ["n", 1])], initializers))
