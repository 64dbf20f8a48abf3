#!/usr/bin/env python3
"""Writes every node test of the `onnx` package with one thing changed: a dimension, a type, an attribute, an input or an output.

    build/onnx/VERSION/bin/python test/fuzz/variants.py FOLDER [--seed N] [--fraction F]     (after scripts/install-onnx.sh build/onnx)
    build-fuzz/bin/fuzz_importer FOLDER/*        (or fuzz_passes; the shell may want xargs)

Some 190,000 models, of which the importer takes a thousand a second: what a fuzzer finds by chance, such as an operator that believes two
inputs to be of one rank, is here in order."""
import argparse
import copy
import itertools
import math
import os
import random

from onnx import AttributeProto, TensorProto, defs, helper
from onnx.backend.test.case.node import collect_testcases

FAR, MOST = 1 << 62, (1 << 63) - 1
NUMBERS = [-MOST - 1, -1000, -2, -1, 0, 1, 2, 3, 7, 100, 1 << 31, MOST]
REALS = [float("nan"), float("inf"), -1e38, -1.0, 0.0, 1e-40, 2.5]
WORDS = [b"", b"x", b"NOTSET", b"VALID", b"SAME_UPPER", b"nearest", b"linear", b"cubic", b"none", b"add", b"mul", b"max", b"min", b"sum", b"mean", b"reflect", b"edge",
         b"wrap", b"constant", b"zeros", b"border", b"tf_crop_and_resize", b"align_corners", b"bidirectional", b"reverse", b"DCR", b"CRD", b"tanh"]
TYPES = [1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 14, 16, 17, 21, 22]
SMALL = [(TensorProto.FLOAT, d) for d in ([], [0], [1], [2, 3])] + [(TensorProto.INT64, d) for d in ([], [1], [2])] + [(TensorProto.INT8, []), (TensorProto.UINT8, [1]), (TensorProto.BOOL, [2, 2])]


def lists_like(old):
    n = len(old)
    yield from ([], old[:-1], old + [1], old[::-1], old + old)
    yield from ([v] * n for v in (-MOST - 1, -1, 0, 7, 1000, 1 << 31, FAR, MOST))


def values_of(kind, old=None):
    """What an attribute of this kind may be set to."""
    if kind == AttributeProto.INT:
        return NUMBERS
    if kind == AttributeProto.INTS:
        return list(lists_like(list(old))) if old else [[], [0], [1], [-1], [1, 1], [0, 0], [2, 2], [1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
    return {AttributeProto.FLOAT: REALS, AttributeProto.STRING: WORDS, AttributeProto.FLOATS: [[], [0.0], [1.0, 2.0]]}.get(kind, [])


def shapes_like(dims):
    yield from ([], [2], dims[:-1], dims[1:], dims + [1], [1] + dims, dims + [2, 3], [3] * len(dims), [0] * len(dims), [f"q{i}" for i in range(len(dims))], ["z"] + dims)
    if dims:
        yield [0] + dims[1:]


def of_inputs(model):
    for i, port in enumerate(model.graph.input):
        if not port.type.HasField("tensor_type"):
            continue
        kind, dims = port.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in port.type.tensor_type.shape.dim]
        for shape in shapes_like(dims):
            new = copy.deepcopy(model)
            new.graph.input[i].CopyFrom(helper.make_tensor_value_info(port.name, kind, shape))
            yield new
        for other in TYPES:
            new = copy.deepcopy(model)
            new.graph.input[i].type.tensor_type.elem_type = other
            yield new
        known = [3 if isinstance(d, str) else d for d in dims]
        count = math.prod(known)
        if kind in (TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.DOUBLE, TensorProto.BOOL) and count <= 64:
            for v, shape in itertools.product((0, 1, -1, 2, 3, 100, 1 << 40, -FAR), (known, [count + 1])):
                v = v & 1 if kind == TensorProto.BOOL else max(min(v, 2**31 - 1), -2**31) if kind == TensorProto.INT32 else v
                new = copy.deepcopy(model)
                del new.graph.input[i]
                new.graph.initializer.append(helper.make_tensor(port.name, kind, shape, [v] * math.prod(shape)))
                yield new


def of_node(model, j):
    node = model.graph.node[j]
    for a, old in enumerate(node.attribute):
        for v in values_of(old.type, old.ints):
            new = copy.deepcopy(model)
            new.graph.node[j].attribute[a].CopyFrom(helper.make_attribute(old.name, v, attr_type=old.type))
            yield new
        new = copy.deepcopy(model)
        del new.graph.node[j].attribute[a]
        yield new
    for i, j2 in itertools.product(range(len(node.input)), range(-1, len(node.input))):
        new = copy.deepcopy(model)
        new.graph.node[j].input[i] = node.input[j2] if j2 >= 0 else ""
        yield new
    try:
        schema = defs.get_schema(node.op_type, next(o.version for o in model.opset_import if o.domain == node.domain), node.domain)
    except (defs.SchemaError, StopIteration):
        return
    more = range(len(node.output), min(schema.max_output, 4))
    for name, declared in schema.attributes.items():
        for v in values_of(int(declared.type.value)) if all(a.name != name for a in node.attribute) else []:
            for outputs in {0, len(more)}:
                new = copy.deepcopy(model)
                new.graph.node[j].attribute.append(helper.make_attribute(name, v, attr_type=int(declared.type.value)))
                new.graph.node[j].output.extend(f"more{k}" for k in more[:outputs])
                yield new
    for at in range(len(node.input), min(schema.max_input, 8)):
        for (kind, shape), known in itertools.product(SMALL, (False, True)):
            new = copy.deepcopy(model)
            new.graph.node[j].input.extend([""] * (at - len(node.input)) + ["more"])
            if known:
                new.graph.initializer.append(helper.make_tensor("more", kind, shape, [1] * math.prod(shape)))
            else:
                new.graph.input.append(helper.make_tensor_value_info("more", kind, shape))
            yield new


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--fraction", type=float, default=1.0, help="write only so many of them")
    a = p.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    chance, seen = random.Random(a.seed), set()
    for case in collect_testcases(None):
        model = case.model
        if model.ByteSize() > 3000 or len(model.graph.node) > 6:
            continue
        for output in model.graph.output: # what follows from a change is the importer's business
            if output.type.HasField("tensor_type"):
                output.type.tensor_type.ClearField("shape")
        variants = itertools.chain(of_inputs(model), *(of_node(model, j) for j in range(len(model.graph.node))))
        for number, variant in enumerate(variants):
            data = variant.SerializeToString()
            if len(data) > 4096 or data in seen or chance.random() >= a.fraction:
                continue
            seen.add(data)
            with open(os.path.join(a.folder, f"{case.name}.{number}"), "wb") as f:
                f.write(data)
    print(f"{len(seen)} models")


if __name__ == "__main__":
    main()
