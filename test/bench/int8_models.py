#!/usr/bin/env python3
"""What integers of 8 bits gain whole models over half precision, in one run.

int8_models.py [bert] [resnet50] [--bin DIR] [--device cuda:0] [--target sm_90a,sm_89] [--batch N] [--seq N] [--layers N] [--seconds S] [--kernels]

bert is BERT-large (24 layers of 1024, 16 heads, 4096 between) for 8 x 128 tokens, written in FP16: as it is, with INT8 weights, and with INT8 activations as well. resnet50 is ResNet-50 for 64 images in
FP16, and the same network with QuantizeLinear and DequantizeLinear around its convolutions as onnxruntime's quantize_static writes them: unsigned activations with a zero point, signed weights with a
scale an output channel, biases of 32 bits. Weights are random; ranges are those of one image on the host. A line for each form: milliseconds of `ktrun --resident --benchmark`, how many times as fast as
FP16 that is, and the cosine of its output and FP16's. `--kernels` lists where the time goes. Needs numpy and onnx."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

HIDDEN, HEADS, BETWEEN, WORDS, POSITIONS = 1024, 16, 4096, 30522, 512
STAGES = [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]  # of ResNet-50: width, blocks, stride of the first one


class Graph:
    """Nodes and initializers of a model in `kind`, FP16 or FP32."""

    def __init__(self, kind):
        self.kind, self.nodes, self.constants, self.random = kind, [], [], np.random.default_rng(7)

    def add(self, op, inputs, name, outputs=None, **attributes):
        self.nodes.append(helper.make_node(op, inputs, outputs or [name], name, **attributes))
        return name

    def constant(self, name, values, kind=None):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, kind or self.kind), name))
        return name

    def normal(self, name, shape, deviation):
        return self.constant(name, self.random.standard_normal(shape, np.float32) * np.float32(deviation))

    def save(self, path, inputs, outputs):
        graph = helper.make_graph(self.nodes, "model", [helper.make_tensor_value_info(*i) for i in inputs], [helper.make_tensor_value_info(*o) for o in outputs], self.constants)
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path


def type_of(kind):
    return TensorProto.FLOAT16 if kind == np.float16 else TensorProto.FLOAT


def linear(g, x, name, inputs, outputs):
    y = g.add("MatMul", [x, g.normal(name + ".weight", (inputs, outputs), inputs**-0.5)], name + ".MatMul")
    return g.add("Add", [y, g.normal(name + ".bias", (outputs,), 0.02)], name + ".Add")


def norm(g, x, name):
    scale = g.constant(name + ".weight", 1 + 0.1 * g.random.standard_normal(HIDDEN))
    return g.add("LayerNormalization", [x, scale, g.normal(name + ".bias", (HIDDEN,), 0.05)], name, axis=-1, epsilon=1e-12)


def bert_layer(g, x, name):
    heads = []
    for which in ("query", "key", "value"):
        y = g.add("Reshape", [linear(g, x, f"{name}.{which}", HIDDEN, HIDDEN), "split"], f"{name}.{which}.split")
        heads.append(g.add("Transpose", [y], f"{name}.{which}.heads", perm=[0, 2, 3, 1] if which == "key" else [0, 2, 1, 3]))
    scores = g.add("Mul", [g.add("MatMul", heads[:2], name + ".scores"), "scale"], name + ".scaled")
    y = g.add("MatMul", [g.add("Softmax", [scores], name + ".softmax", axis=-1), heads[2]], name + ".context")
    y = g.add("Reshape", [g.add("Transpose", [y], name + ".context.rows", perm=[0, 2, 1, 3]), "join"], name + ".context.joined")
    x = norm(g, g.add("Add", [linear(g, y, name + ".output", HIDDEN, HIDDEN), x], name + ".attended"), name + ".norm1")
    y = linear(g, x, name + ".up", HIDDEN, BETWEEN)
    erf = g.add("Add", [g.add("Erf", [g.add("Div", [y, "root"], name + ".div")], name + ".erf"), "one"], name + ".erf1")
    y = g.add("Mul", [g.add("Mul", [y, erf], name + ".gelu2"), "half"], name + ".gelu")
    return norm(g, g.add("Add", [linear(g, y, name + ".down", BETWEEN, HIDDEN), x], name + ".through"), name + ".norm2")


def bert(a, work):
    g = Graph(np.float16)
    for name, values, kind in (("split", [0, 0, HEADS, HIDDEN // HEADS], np.int64), ("join", [0, 0, HIDDEN], np.int64), ("scale", (HIDDEN // HEADS)**-0.5, None), ("root", 2**0.5, None),
                               ("one", 1, None), ("half", 0.5, None), ("zero", [0], np.int64), ("axis", [1], np.int64)):
        g.constant(name, values, kind)
    x = g.add("Gather", [g.normal("words", (WORDS, HIDDEN), 0.5), "input_ids"], "word")
    length = g.add("Gather", [g.add("Shape", ["input_ids"], "shape"), "axis"], "length")
    positions = g.add("Slice", [g.normal("positions", (POSITIONS, HIDDEN), 0.5), "zero", length, "zero"], "position")
    x = norm(g, g.add("Add", [x, positions], "embedded"), "embeddings")
    for i in range(a.layers or 24):
        x = bert_layer(g, x, f"layer{i}")
    g.add("Identity", [x], "output", ["y"])
    path = g.save(f"{work}/bert.onnx", [("input_ids", TensorProto.INT64, ["batch", "seq"])], [("y", TensorProto.FLOAT16, ["batch", "seq", HIDDEN])])
    inputs = {"input_ids": g.random.integers(0, WORDS, (a.batch or 8, a.seq))}
    return [("FP16", path, [], inputs), ("INT8 weights", path, ["--quant", "int8"], inputs), ("INT8 activations", path, ["--activations", "int8"], inputs)]


class Resnet(Graph):
    """With ranges of its tensors, everything between two operators is quantised."""

    def __init__(self, kind, ranges=None):
        super().__init__(kind)
        self.ranges, self.seen, self.dequantised = ranges, [], {}

    def scales(self, name):
        """Of a tensor, unsigned with a zero point, by its range."""
        low, high = self.ranges[name]
        scale = np.float32(max(high - low, 1e-6) / 255)
        return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))

    def through(self, name):
        """A tensor as the next operator reads it."""
        if name not in self.seen:
            self.seen.append(name)
        if self.ranges is None:
            return name
        if name not in self.dequantised:
            scale, zero = self.scales(name)
            pair = [self.constant(name + ".scale", scale, np.float32), self.constant(name + ".zero", zero, np.uint8)]
            quantised = self.add("QuantizeLinear", [name, *pair], name + ".q")
            self.dequantised[name] = self.add("DequantizeLinear", [quantised, *pair], name + ".dq")
        return self.dequantised[name]

    def weights(self, x, name, shape, gain, axis=0):
        """Random weights and biases; the operator's name and what they are called then."""
        taps = int(np.prod(shape)) // shape[axis]
        w = self.random.standard_normal(shape, np.float32) * np.float32(gain * (2 / taps)**0.5)
        b = self.random.standard_normal(shape[axis], np.float32) * np.float32(0.1)
        if self.ranges is None:
            return [self.constant(name + ".weight", w), self.constant(name + ".bias", b)]
        along = [-1 if d == axis else 1 for d in range(len(shape))]
        scale = np.abs(w).max(tuple(d for d in range(len(shape)) if d != axis)) / 127
        both = scale * self.scales(x)[0]
        q = self.constant(name + ".weight.q", np.rint(w / scale.reshape(along)), np.int8)
        w = self.add("DequantizeLinear", [q, self.constant(name + ".weight.scale", scale, np.float32), self.constant(name + ".weight.zero", np.zeros_like(scale), np.int8)], name + ".weight", axis=axis)
        q = self.constant(name + ".bias.q", np.rint(b / both), np.int32)
        return [w, self.add("DequantizeLinear", [q, self.constant(name + ".bias.scale", both, np.float32), self.constant(name + ".bias.zero", np.zeros_like(scale), np.int32)], name + ".bias", axis=0)]

    def conv(self, x, name, inputs, outputs, size, stride=1, relu=True, gain=1.0):
        factors = self.weights(x, name, (outputs, inputs, size, size), gain)
        y = self.add("Conv", [self.through(x), *factors], name, kernel_shape=[size, size], strides=[stride, stride], pads=[size // 2] * 4)
        return self.add("Relu", [y], name + ".relu") if relu else y


def resnet(g, path, batch, every=False):
    x = g.conv("image", "stem", 3, 64, 7, 2)
    x = g.add("MaxPool", [g.through(x)], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for s, (width, blocks, stride) in enumerate(STAGES):
        for b in range(blocks):
            name, step = f"stage{s}.{b}", stride if b == 0 else 1
            y = g.conv(g.conv(x, name + ".conv1", channels, width, 1), name + ".conv2", width, width, 3, step)
            y = g.conv(y, name + ".conv3", width, 4 * width, 1, relu=False, gain=0.5)
            if b == 0:
                x = g.conv(x, name + ".shortcut", channels, 4 * width, 1, step, relu=False)
            x = g.add("Relu", [g.add("Add", [g.through(y), g.through(x)], name + ".add")], name + ".relu")
            channels = 4 * width
    x = g.add("GlobalAveragePool", [g.through(x)], "average")
    x = g.add("Flatten", [g.through(x)], "flat")
    y = g.add("Gemm", [g.through(x), *g.weights(x, "classes", (1000, channels), 0.7)], "gemm", transB=1)
    g.add("Identity", [g.through(y)], "output", ["y"])
    kind = type_of(g.kind)
    seen = [(name, kind, None) for name in g.seen if name != "image"] if every else []
    return g.save(path, [("image", kind, ["batch" if batch is None else batch, 3, 224, 224])], [("y", kind, None), *seen])


def resnet50(a, work):
    image = np.random.default_rng(3).standard_normal((a.batch or 64, 3, 224, 224), np.float32)
    found = run(a, compiled(a, resnet(Resnet(np.float32), f"{work}/ranges.onnx", 1, every=True), [], work, "host"), {"image": image[:1]}, work, "host")
    ranges = {name: (min(float(v.min()), 0), max(float(v.max()), 0)) for name, v in {**found, "image": image[:1]}.items()}
    forms = []
    for name, kind, known in (("FP16", np.float16, None), ("INT8 QDQ", np.float32, ranges)):
        path = resnet(Resnet(kind, known), f"{work}/resnet50{'-qdq' if known else ''}.onnx", None)
        forms.append((name, path, [], {"image": image.astype(kind)}))
    return forms


def compiled(a, model, flags, work, target):
    artifact = f"{work}/model.ktm"
    subprocess.run([f"{a.bin}/ktc", "compile", model, "-o", artifact, "--target", target, *flags], check=True)
    return artifact


def run(a, artifact, inputs, work, device):
    np.savez(f"{work}/in.npz", **inputs)
    subprocess.run([f"{a.bin}/ktrun", artifact, "--device", device, "--input", f"@{work}/in.npz", "--output", f"@{work}/out.npz"], check=True)
    with np.load(f"{work}/out.npz") as outputs:
        return {name: outputs[name] for name in outputs.files}


def milliseconds(a, artifact, work):
    command = [f"{a.bin}/ktrun", artifact, "--device", a.device, "--input", f"@{work}/in.npz", "--benchmark", str(a.seconds), "--benchmark-format", "json"]
    command += ["--resident"] if a.device != "host" else []
    command += ["--profile", f"{work}/trace.json"] if a.kernels else []
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(text[text.index("{\n"):text.rindex("}") + 1])["benchmarks"][0]["real_time"]


def print_kernels(work):
    with open(f"{work}/trace.json", encoding="utf-8") as file:
        events = json.load(file)
    total = {}
    for e in events["traceEvents"] if isinstance(events, dict) else events:
        count, time = total.get(e.get("name", "?"), (0, 0))
        total[e.get("name", "?")] = (count + 1, time + e.get("dur", 0))
    for name, (count, time) in sorted(total.items(), key=lambda kv: -kv[1][1])[:16]:
        print(f"    {name:60} {count:5} x {time / count:8.1f} us = {time / 1e3:8.3f} ms")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="*", choices=[[], "bert", "resnet50"])
    p.add_argument("--bin", default="build/bin")
    p.add_argument("--device", default="cuda:0")
    p.add_argument("--target", default="sm_90a,sm_89")
    p.add_argument("--batch", type=int, help="8 of bert and 64 of resnet50 unless given")
    p.add_argument("--seq", type=int, default=128, help="tokens")
    p.add_argument("--layers", type=int, help="of bert")
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--kernels", action="store_true")
    a = p.parse_args()
    for make in (bert, resnet50):
        if a.models and make.__name__ not in a.models:
            continue
        with tempfile.TemporaryDirectory() as work:
            first = None
            for name, path, flags, inputs in make(a, work):
                artifact = compiled(a, path, flags, work, a.target)
                y = run(a, artifact, inputs, work, a.device)["y"].astype(np.float64).reshape(-1)
                ms = milliseconds(a, artifact, work)
                first = first or (y, ms)
                cosine = y @ first[0] / (np.linalg.norm(y) * np.linalg.norm(first[0]))
                print(f"{make.__name__:9} {name:17} {ms:9.3f} ms  {first[1] / ms:5.2f} x FP16  cosine {cosine:.6f}", flush=True)
                if a.kernels:
                    print_kernels(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
