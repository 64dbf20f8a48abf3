#!/usr/bin/env python3
"""A model of products whose weights come out of DequantizeLinear, activations being floats, and what it computes.

    qdq_weights.py make ROWS MODEL.onnx IN.npz OUT.npz    one product for each of the forms below
    qdq_weights.py check OUT.npz RESULT.npz               the numbers that a run made
    qdq_weights.py blocks GRAPH.mlir                      the weights that keep their bits are those that can, in groups that take the fewest bytes"""
import collections
import os
import re
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "hostile"))
import onnxwire as wire

BFLOAT16, UINT4, INT4, UINT2, INT2 = 16, 21, 22, 25, 26
KINDS = {"u8": (wire.UINT8, 8, False), "i8": (wire.INT8, 8, True), "u4": (UINT4, 4, False), "i4": (INT4, 4, True), "u2": (UINT2, 2, False), "i2": (INT2, 2, True)}
COLUMNS = 20


class Form:
    """`scales`: 'block' of `block` k's, 'channel', 'tensor', 'row' (one a k), 'across' (in blocks of columns), 'flat' (in rows of all elements, which are reshaped), 'line' (the same of one dimension). `way`: how weights lie and
    reach the product: 'kn' MatMul, 'nk' through a Transpose, 'gemm' Gemm's transB, 'one' with a batch of 1, 'two' with one of 2. `float`: of scales; weights of bf16 are cast to f32, and so are those of
    f16 if `cast`. `group`: in which the graph has them; 0: they are widened."""

    def __init__(self, kind, scales, block, depth, way="kn", zeros=False, float="f32", cast=False, group=0):
        self.kind, self.scales, self.block, self.depth, self.way, self.zeros, self.float, self.cast, self.group = kind, scales, block, depth, way, zeros, float, cast, group
        self.name = f"{kind}_{scales}{block}_k{depth}_{way}{'_z' if zeros else ''}_{float}{'_cast' if cast else ''}"


FORMS = [Form(kind, "block", block, depth, way, zeros, float, group=block)
         for i, (kind, zeros) in enumerate((kind, zeros) for kind in KINDS for zeros in (False, True))
         for j, (block, depth, float) in enumerate(((16, 64, "f32"), (32, 96, "f16"), (128, 256, "f32"), (64, 100, "f32")))
         for way in [("kn", "nk", "gemm")[(i + j) % 3]]]
FORMS += [Form(kind, scales, 0, depth, way, zeros, float, group=group)
          for kind, zeros in (("i8", False), ("u8", True), ("i4", False), ("u4", True), ("i2", False))
          for scales, depth, way, float, group in (("channel", 256, "kn", "f32", 256), ("channel", 96, "nk", "f16", 32), ("tensor", 300, "gemm", "f32", 64), ("channel", 1024, "one", "f32", 256))]
FORMS += [Form("i4", "block", 512, 1024, group=256), Form("u4", "block", 48, 144, "nk", True, group=16), Form("i4", "block", 512, 100, group=128), Form("u8", "block", 64, 40, zeros=True, group=16),
          Form("i4", "flat", 32, 96, "nk", True, group=32), Form("u4", "flat", 64, 128, "nk", group=64), Form("i4", "flat", 64, 96, "nk"),
          Form("u4", "line", 32, 96, "nk", True, group=32), Form("i4", "line", 64, 96, "nk"),
          Form("i4", "block", 32, 64, float="bf16", group=32), Form("u4", "channel", 0, 64, "nk", True, float="bf16", group=64), Form("i4", "block", 32, 64, "nk", float="f16", cast=True, group=32),
          # What groups cannot say.
          Form("i4", "block", 8, 64), Form("u4", "block", 20, 60, zeros=True), Form("i8", "row", 0, 64), Form("i4", "across", 16, 64), Form("u8", "block", 16, 64, "two", True)]


def bf16(a):
    """Rounded to bfloat16, as floats."""
    bits = a.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def packed(q, bits):
    """Elements in order, the lowest bits first."""
    flat, per = (q.reshape(-1).astype(int) & (1 << bits) - 1), 8 // bits
    flat = np.concatenate([flat, np.zeros(-len(flat) % per, int)]).reshape(-1, per)
    return sum(flat[:, i] << i * bits for i in range(per)).astype(np.uint8).tobytes()


def parameters(form, random):
    """Numbers, scales and zero points [k, n], and what the node has of the latter two, with its axis and block size, for weights [k, n]."""
    _, bits, signed = KINDS[form.kind]
    low = -(1 << bits - 1) if signed else 0
    k, n = form.depth, COLUMNS
    shape = {"block": (-(-k // max(form.block, 1)), n), "channel": (n,), "tensor": (), "row": (k,), "across": (k, -(-n // max(form.block, 1))), "flat": (k * n // max(form.block, 1), 1), "line": (k * n // max(form.block, 1), 1)}[form.scales]
    q = random.integers(low, low + (1 << bits), (k, n))
    scales = (random.random(shape) + 0.1) / (1 << bits)
    scales = {"f32": lambda a: a.astype(np.float32), "f16": lambda a: a.astype(np.float16), "bf16": bf16}[form.float](np.asarray(scales))
    zeros = random.integers(low, low + (1 << bits), shape) if form.zeros else np.zeros(shape, int)
    spread = {"block": lambda p: np.repeat(p, form.block, 0)[:k], "channel": lambda p: np.broadcast_to(p, (k, n)), "tensor": lambda p: np.broadcast_to(p, (k, n)),
              "row": lambda p: np.broadcast_to(p[:, None], (k, n)), "across": lambda p: np.repeat(p, form.block, 1)[:, :n], "flat": lambda p: np.repeat(p, form.block, 1).reshape(n, k).T, "line": lambda p: np.repeat(p, form.block, 1).reshape(n, k).T}[form.scales]
    return q, scales, zeros, (q - spread(np.asarray(zeros))) * spread(scales).astype(float)


def make(rows, model, inputs, outputs):
    random, activations = np.random.default_rng(3), np.random.default_rng(4)  # weights do not depend on the rows
    nodes, initializers, ins, outs, fed, expected = [], [], [], [], {}, {}
    for form in FORMS:
        code, bits, _ = KINDS[form.kind]
        element = wire.FLOAT16 if form.float == "f16" and not form.cast else wire.FLOAT
        scale = {"f32": wire.FLOAT, "f16": wire.FLOAT16, "bf16": BFLOAT16}[form.float]
        q, scales, zeros, w = parameters(form, random)
        axis, attributes = {"channel": 1, "across": 1}.get(form.scales, 0), {}
        turned = form.way in ("nk", "gemm")
        if form.scales in ("block", "across", "line"):
            attributes["block_size"] = form.block
        if turned and form.scales not in ("flat", "line"):
            q, axis = q.T, 1 - axis
            if scales.ndim == 2:
                scales, zeros = scales.T, zeros.T
        if form.scales == "line":
            q, axis, scales, zeros = q.T.reshape(-1), 0, scales.reshape(-1), zeros.reshape(-1)
        if form.scales == "flat":  # [groups, block], with a scale a row
            q, axis, scales, zeros = q.T.reshape(-1, form.block), 0, scales.reshape(-1), zeros.reshape(-1)
        if form.way in ("one", "two"):
            batch = 1 if form.way == "one" else 2
            q, axis = np.stack([q] * batch), axis + 1
            if scales.ndim == 2:
                scales, zeros = np.stack([scales] * batch), np.stack([zeros] * batch)
        if form.scales != "tensor":
            attributes["axis"] = axis if len(form.name) % 2 else axis - q.ndim
        x = activations.standard_normal((int(rows), form.depth)).astype(np.float16 if element == wire.FLOAT16 else np.float32)
        name = form.name
        raw = (scales.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes() if form.float == "bf16" else np.ascontiguousarray(scales).tobytes()
        initializers += [wire.tensor(f"q_{name}", code, q.shape, raw=packed(q, bits)), wire.tensor(f"s_{name}", scale, scales.shape, raw=raw)]
        operands = [f"q_{name}", f"s_{name}"]
        if form.zeros:
            initializers.append(wire.tensor(f"z_{name}", code, zeros.shape, raw=packed(zeros, bits)))
            operands.append(f"z_{name}")
        nodes.append(wire.node("DequantizeLinear", operands, [f"d_{name}"], f"dequantise_{name}", **attributes))
        weights = f"d_{name}"

        def then(op, *more, **attributes):
            nonlocal weights
            nodes.append(wire.node(op, [weights, *more], [f"{op}_{name}"], f"{op}_{name}".lower(), **attributes))
            weights = f"{op}_{name}"

        if form.scales in ("flat", "line"):
            initializers.append(wire.tensor(f"shape_{name}", wire.INT64, [2], ints=[COLUMNS, form.depth]))
            then("Reshape", f"shape_{name}")
        if form.float == "bf16" or form.cast:
            then("Cast", to=wire.FLOAT)
        if form.way == "nk":
            then("Transpose", perm=[1, 0])
        attributes = {"transB": 1} if form.way == "gemm" else {}
        nodes.append(wire.node("Gemm" if form.way == "gemm" else "MatMul", [f"x_{name}", weights], [f"y_{name}"], f"product_{name}", **attributes))
        ins.append(wire.value(f"x_{name}", element, ["rows", form.depth]))
        outs.append(wire.value(f"y_{name}", element, ([1] if form.way == "one" else [2] if form.way == "two" else []) + ["rows", COLUMNS]))
        fed[f"x_{name}"] = x
        y = x.astype(float) @ w
        expected[f"y_{name}"] = y[None] if form.way == "one" else np.stack([y] * 2) if form.way == "two" else y
        # What rounding of each weight to half precision may cost, which a model may do or not.
        expected[f"lost_{name}"] = (np.abs(x.astype(float)) @ np.abs(w)) * {"f32": 0, "f16": 2**-11, "bf16": 2**-8}[form.float]
    with open(model, "wb") as file:
        file.write(wire.model(nodes, ins, outs, initializers, opset=25))
    np.savez(inputs, **fed)
    np.savez(outputs, **expected)


def check(expected, result):
    want, got = np.load(expected), np.load(result)
    for name in got.files:
        assert got[name].shape == want[name].shape, f"{name}: {got[name].shape}, expected {want[name].shape}"
        tolerance = {4: 2e-5, 2: 2e-3}[got[name].dtype.itemsize] * (np.abs(want[name]) + 1) + want["lost_" + name[2:]]
        error = np.abs(got[name].astype(float) - want[name])
        assert np.all(error <= tolerance), f"{name}: off by {error.max()}\n{got[name]}\nexpected\n{want[name]}"


def blocks(graph):
    with open(graph, encoding="utf-8") as file:
        found = collections.Counter((int(bits), int(group), scale) for bits, group, scale in re.findall(r"blocks = #kt.blocks<bits = (\d+), group = (\d+), scale = (\w+)", file.read()))
    wanted = collections.Counter((KINDS[form.kind][1], form.group, form.float) for form in FORMS if form.group)
    assert found == wanted, f"missing {wanted - found}, more than expected {found - wanted}"


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
