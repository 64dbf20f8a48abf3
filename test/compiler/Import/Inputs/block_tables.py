#!/usr/bin/env python3
"""A model of GatherBlockQuantized in all its forms, with indices that count from the end and some that are outside, and what it computes.

    block_tables.py make COUNT MODEL.onnx IN.npz OUT.npz
    block_tables.py tied WAY COUNT MODEL.onnx IN.npz OUT.npz    of an embedding whose numbers make the logits as well: 'contrib' (GatherBlockQuantized and MatMulNBits), 'qdq' (DequantizeLinear), and 'other', where one
                                                                number differs
    block_tables.py check OUT.npz RESULT.npz                    the numbers that a run made
    block_tables.py bytes LEAST MOST INSPECTED.json             of all weights"""
import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "hostile"))
import onnxwire as wire
from qdq_weights import BFLOAT16, INT4, UINT4, bf16, packed

FLOAT8, FLOAT4 = 17, 23
FLOATS = {"f32": wire.FLOAT, "f16": wire.FLOAT16, "bf16": BFLOAT16}
# Data, bits, shape of the table, block, axis that is gathered, axis of blocks, zero points, type of scales.
FORMS = [(data, bits, (50, columns), block, 0, 1, zeros, "f32" if zeros else "f16")
         for data, bits in (("u8", 2), ("u8", 4), ("u8", 8), ("u4", 4), ("i4", 4))
         for columns, block in ((96, 16), (96, 32), (100, 64), (100, 128), (520, 512))
         for zeros in (False, True)]
FORMS += [("u4", 4, (40, 32), 16, 1, 0, True, "f32"), ("i4", 4, (40, 32), 16, 1, 1, False, "f32"), ("u8", 4, (40, 32), 16, 0, -1, True, "bf16"), ("u4", 4, (6, 5, 32), 16, 0, 2, True, "f16"),
          ("u8", 4, (6, 5, 32), 16, 0, 2, True, "f32"), ("i4", 4, (6, 20, 7), 16, 2, 1, True, "f32"), ("u8", 8, (6, 20, 7), 16, 0, 1, False, "f16"), ("u8", 2, (9, 36, 8), 16, 0, 1, True, "f32"),
          ("f8", 8, (20, 32), 16, 0, 1, False, "f32"), ("f8", 8, (20, 32), 0, 0, 1, False, "f16")]


def float8(codes):
    """Numbers of e4m3fn."""
    sign, exponent, mantissa = np.where(codes >> 7, -1.0, 1.0), codes >> 3 & 15, codes & 7
    return sign * np.where(exponent, (1 + mantissa / 8) * 2.0 ** (exponent.astype(int) - 7), mantissa / 8 * 2.0**-6)


def make(count, model, inputs, outputs):
    random, chosen = np.random.default_rng(5), np.random.default_rng(6)
    nodes, initializers, outs, expected = [], [], [], {}
    ids = chosen.integers(-6, 6, int(count))
    outside = np.where(np.arange(int(count)) % 3 == 1, 1000, ids)
    for data, bits, shape, block, gather, axis, zeros, kind in FORMS:
        name = f"{data}_{bits}_{'x'.join(map(str, shape))}_g{block}_{gather}_{axis}{'_z' if zeros else ''}_{kind}"
        at, long = axis % len(shape), block or shape[axis]
        signed, code = data == "i4", {"u8": wire.UINT8, "u4": UINT4, "i4": INT4, "f8": FLOAT8}[data]
        low = -8 if signed else 0
        few = [-(-d // long) if i == at else d for i, d in enumerate(shape)]
        q = random.integers(0, 120, shape) if data == "f8" else random.integers(low, low + (1 << bits), shape)
        z = random.integers(low, low + (1 << bits), few) if zeros else np.full(few, 1 << bits - 1 if data == "u8" else 0)
        scales = np.asarray((random.random(few) + 0.1) / (1 << bits))
        scales = {"f32": lambda a: a.astype(np.float32), "f16": lambda a: a.astype(np.float16), "bf16": bf16}[kind](scales)
        raw = (scales.view(np.uint32) >> 16).astype(np.uint16).tobytes() if kind == "bf16" else scales.tobytes()
        stored = lambda a: list(a.shape[:-1]) + [-(-a.shape[-1] * bits // 8) if data == "u8" else a.shape[-1]]
        in_rows = lambda a: b"".join(packed(row, bits) for row in a.reshape(-1, a.shape[-1])) if data == "u8" else packed(a, bits)
        initializers += [wire.tensor(f"q_{name}", code, stored(q), raw=in_rows(q)), wire.tensor(f"s_{name}", FLOATS[kind], few, raw=raw)]
        if zeros:
            initializers.append(wire.tensor(f"z_{name}", code, stored(z), raw=in_rows(z)))
        nodes.append(wire.node("GatherBlockQuantized", [f"q_{name}", "outside" if zeros else "ids", f"s_{name}"] + ([f"z_{name}"] if zeros else []), [f"y_{name}"], f"gather_{name}", "com.microsoft",
                               block_size=block, bits=bits, gather_axis=gather, quantize_axis=axis))
        spread = lambda p: np.take(np.repeat(p, long, at), range(shape[at]), at)
        w = (float8(q) if data == "f8" else q - spread(z)) * spread(scales).astype(float)
        rows = outside if zeros else ids
        y = np.take(w, np.where(np.abs(rows) < 100, rows, 0), gather)
        y *= (np.abs(rows) < 100).reshape([-1 if i == gather else 1 for i in range(len(shape))])
        outs.append(wire.value(f"y_{name}", FLOATS[kind], [("count" if i == gather else d) for i, d in enumerate(shape)]))
        expected[f"y_{name}"] = y
    domain = wire.chunk(8, wire.chunk(1, "com.microsoft") + wire.number(2, 1))
    with open(model, "wb") as file:
        file.write(wire.model(nodes, [wire.value("ids", wire.INT64, ["count"]), wire.value("outside", wire.INT64, ["count"])], outs, initializers, opset=21) + domain)
    np.savez(inputs, ids=ids, outside=outside)
    np.savez(outputs, **expected)


def tied(way, count, model, inputs, outputs):
    random, (rows, columns, block) = np.random.default_rng(7), (3001, 768, 32)
    q, z = random.integers(0, 16, (rows, columns)), random.integers(0, 16, (rows, columns // block))
    scales = ((random.random(z.shape) + 0.1) / 64).astype(np.float32)
    in_rows = lambda a: b"".join(packed(row, 4) for row in a)
    head = q.copy()
    head[-1, -1] ^= way == "other"
    if way == "qdq":
        initializers = [wire.tensor("q", UINT4, q.shape, raw=packed(q, 4)), wire.tensor("s", wire.FLOAT, z.shape, raw=scales.tobytes()), wire.tensor("z", UINT4, z.shape, raw=packed(z, 4))]
        nodes = [wire.node("DequantizeLinear", ["q", "s", "z"], ["w"], "widen", axis=1, block_size=block), wire.node("Gather", ["w", "ids"], ["x"], "embed"), wire.node("Tanh", ["x"], ["t"], "tanh"),
                 wire.node("Transpose", ["w"], ["wt"], "turn", perm=[1, 0]), wire.node("MatMul", ["t", "wt"], ["logits"], "head")]
    else:
        initializers = [wire.tensor("q", wire.UINT8, [rows, columns // block, block // 2], raw=in_rows(head)), wire.tensor("s", wire.FLOAT, z.shape, raw=scales.tobytes()),
                        wire.tensor("z", wire.UINT8, [rows, z.shape[1] // 2], raw=in_rows(z)), wire.tensor("shape", wire.INT64, [2], ints=[rows, columns // 2]),
                        wire.tensor("e", wire.UINT8, [rows, columns // block, block // 2], raw=in_rows(q))]
        nodes = [wire.node("Reshape", ["e" if way == "other" else "q", "shape"], ["flat"], "flatten"),
                 wire.node("GatherBlockQuantized", ["flat", "ids", "s", "z"], ["x"], "embed", "com.microsoft", block_size=block, bits=4, gather_axis=0, quantize_axis=1), wire.node("Tanh", ["x"], ["t"], "tanh"),
                 wire.node("MatMulNBits", ["t", "q", "s", "z"], ["logits"], "head", "com.microsoft", K=columns, N=rows, bits=4, block_size=block)]
    domain = wire.chunk(8, wire.chunk(1, "com.microsoft") + wire.number(2, 1))
    with open(model, "wb") as file:
        file.write(wire.model(nodes, [wire.value("ids", wire.INT64, ["count"])], [wire.value("x", wire.FLOAT, ["count", columns]), wire.value("logits", wire.FLOAT, ["count", rows])], initializers, opset=21) + domain)
    w, h = ((a - np.repeat(z, block, 1)) * np.repeat(scales, block, 1).astype(float) for a in (q, head))
    ids = np.random.default_rng(8).integers(-rows, rows, int(count))
    np.savez(inputs, ids=ids)
    np.savez(outputs, x=w[ids], logits=np.tanh(w[ids]) @ h.T)


def bytes(least, most, inspected):
    with open(inspected, encoding="utf-8") as file:
        found = json.load(file)["weight_bytes"]
    assert int(least) <= found <= int(most), f"weights of {found} bytes"


def check(expected, result):
    want, got = np.load(expected), np.load(result)
    for name in want.files:
        y = got[name]
        tolerance = {"<f4": 1e-5 if name == "logits" else 1e-6, "<f2": 2**-11, "|V2": 2**-8}[y.dtype.str]
        y = (y.view(np.uint16).astype(np.uint32) << 16).view(np.float32) if y.dtype.kind == "V" else y
        assert y.shape == want[name].shape, f"{name}: {y.shape}, expected {want[name].shape}"
        error = np.abs(y.astype(float) - want[name])
        assert np.all(error <= tolerance * (np.abs(want[name]) + (1 if name == "logits" else 1e-2))), f"{name}: off by {error.max()}\n{y}\nexpected\n{want[name]}"


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
