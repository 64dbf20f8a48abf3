#!/usr/bin/env python3
"""A model of MatMulNBits whose weights are its own, and what it computes.

    nbits.py make TYPE ROWS MODEL.onnx IN.npz OUT.npz    one node for each of the forms below, of activations of TYPE (f32, f16)
    nbits.py check OUT.npz RESULT.npz                    the numbers that a run made"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "hostile"))
import onnxwire as wire

COLUMNS = 37
# bits, block, depth (not always a multiple of the block), packed zero points, bias
FORMS = [
    (bits, block, depth, zeros, bias)
    for bits in (2, 4, 8)
    for block, depth in ((16, 40), (32, 96), (64, 100), (128, 300), (256, 257))
    for zeros, bias in ((False, False), (True, True))
]


def pack(numbers, bits):
    """Rows of numbers as bytes, the lowest bits first."""
    per = 8 // bits
    padded = np.zeros((numbers.shape[0], -(-numbers.shape[1] // per) * per), np.uint8)
    padded[:, : numbers.shape[1]] = numbers
    parts = padded.reshape(numbers.shape[0], -1, per)
    return sum(parts[:, :, i] << (i * bits) for i in range(per)).astype(np.uint8)


def make(kind, rows, model, inputs, outputs):
    dtype = np.dtype({"f32": "f4", "f16": "f2"}[kind])
    element = {"f32": wire.FLOAT, "f16": wire.FLOAT16}[kind]
    random = np.random.default_rng(1)
    nodes, initializers, ins, outs, fed, expected = [], [], [], [], {}, {}

    def constant(name, array):
        initializers.append(wire.tensor(name, wire.UINT8 if array.dtype == np.uint8 else element, array.shape, raw=array.tobytes()))
        return name

    for bits, block, depth, zeros, bias in FORMS:
        name = f"b{bits}g{block}k{depth}{'z' if zeros else ''}"
        blocks = -(-depth // block)
        x = random.standard_normal((int(rows), depth)).astype(dtype)
        q = random.integers(0, 1 << bits, (COLUMNS, blocks * block), np.uint8)
        scales = (random.random((COLUMNS, blocks)) / (1 << bits)).astype(dtype)
        points = random.integers(0, 1 << bits, (COLUMNS, blocks), np.uint8)
        added = random.standard_normal(COLUMNS).astype(dtype)
        operands = [f"x_{name}", constant(f"w_{name}", pack(q, bits).reshape(COLUMNS, blocks, block * bits // 8)), constant(f"s_{name}", scales.reshape(-1))]
        if zeros or bias:
            operands += [constant(f"z_{name}", pack(points, bits).reshape(-1)) if zeros else "", ""]
        if bias:
            operands.append(constant(f"b_{name}", added))
        nodes.append(wire.node("MatMulNBits", operands, [f"y_{name}"], f"node_{name}", "com.microsoft", K=depth, N=COLUMNS, bits=bits, block_size=block))
        ins.append(wire.value(f"x_{name}", element, ["rows", depth]))
        outs.append(wire.value(f"y_{name}", element, ["rows", COLUMNS]))
        off = points if zeros else np.full_like(points, 1 << (bits - 1))
        w = (q.reshape(COLUMNS, blocks, block).astype(float) - off[:, :, None]) * scales[:, :, None].astype(float)
        fed[f"x_{name}"] = x
        expected[f"y_{name}"] = x.astype(float) @ w.reshape(COLUMNS, -1)[:, :depth].T + (added if bias else 0)
    domain = wire.chunk(8, wire.chunk(1, "com.microsoft") + wire.number(2, 1))
    with open(model, "wb") as file:
        file.write(wire.model(nodes, ins, outs, initializers, opset=17) + domain)
    np.savez(inputs, **fed)
    np.savez(outputs, **expected)


def check(expected, result):
    want, got = np.load(expected), np.load(result)
    for name in want.files:
        assert got[name].shape == want[name].shape, f"{name}: {got[name].shape}, expected {want[name].shape}"
        # Sums are of single precision; what an output loses is its own rounding.
        tolerance = {4: 1e-5, 2: 2e-3, 8: 1e-5}[got[name].dtype.itemsize]
        error = np.abs(got[name].astype(float) - want[name])
        assert np.all(error <= tolerance * (np.abs(want[name]) + 1)), f"{name}: off by {error.max()}\n{got[name]}\nexpected\n{want[name]}"


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
