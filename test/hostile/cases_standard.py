"""What the standard's checker refuses, the compiler refuses: cases as in cases_ktc.py, each names the node."""
import struct

from onnxwire import *

X = [value("x", FLOAT, ["n", 4])]
Y = [value("y", FLOAT, ["n", 4])]
I64 = [value("x", INT64, ["n", 4])]


def versioned(nodes, ir, sets, inputs=X, outputs=Y, initializers=()):
    head = number(1, ir) if ir is not None else b""
    imports = b"".join(chunk(8, chunk(1, domain) + number(2, version)) for domain, version in sets)
    return head + chunk(7, graph(nodes, inputs, outputs, initializers)) + imports


def typed(name, kind, dims, **fields):
    """A tensor whose values are in the fields named."""
    out = b"".join(number(1, d) for d in dims) + number(2, kind) + chunk(8, name)
    for field, values in fields.items():
        if field == "raw_data":
            out += chunk(9, values)
        elif field == "float_data":
            out += chunk(4, struct.pack(f"<{len(values)}f", *values))
        elif field == "double_data":
            out += chunk(10, struct.pack(f"<{len(values)}d", *values))
        else:
            out += chunk({"int32_data": 5, "int64_data": 7, "uint64_data": 11}[field], b"".join(varint(v) for v in values))
    return out


def with_attributes(op, inputs, *attributes):
    """A node with attributes as they are on the wire."""
    return node(op, inputs, ["y"]) + b"".join(chunk(5, a) for a in attributes)


def cases():
    out = []

    def case(name, data, message):
        def run(bench):
            bench.write("bad.onnx", data)
            return bench.run("ktc", "compile", "bad.onnx", "-o", "bad.ktm"), 1, message, "bad.ktm"
        out.append(("ktc standard: " + name, run))

    def one(name, op, inputs, message, ins=X, outs=Y, opset=18, **attributes):
        case(name, model([node(op, inputs, ["y"], **attributes)], ins, outs, opset=opset), message + rf".*\(node '{op.lower()}', {op}, opset {opset}\)")

    neg = [node("Neg", ["x"], ["y"])]
    # Counts.
    one("three inputs to Add", "Add", ["x", "x", "x"], r"Add has 3 inputs: expected at most 2 in operator set 18")
    one("two inputs to ReduceMax before they were axes", "ReduceMax", ["x", "x"], r"ReduceMax has 2 inputs: expected at most 1", opset=17)
    one("an empty name for what is required", "Add", ["x", ""], r"input 1 of Add is missing")
    case("an empty name for a required output", model([node("TopK", ["x", "k"], ["", "y"])], X, [value("y", INT64, ["n", 2])], [tensor("k", INT64, [1], ints=[2])]),
         r"output 0 of TopK is missing.*node 'topk'")
    # Attributes.
    one("concat without axis", "Concat", ["x", "x"], r"attribute axis of Concat is missing")
    one("cast without a type", "Cast", ["x"], r"attribute to of Cast is missing")
    one("an attribute that nothing knows", "Relu", ["x"], r"unknown attribute slope of Relu in operator set 18", slope=0.5)
    one("an attribute of a later operator set", "Shape", ["x"], r"unknown attribute start of Shape in operator set 13", outs=[value("y", INT64, [1])], opset=13, start=1)
    one("an attribute of an earlier operator set", "Unsqueeze", ["x"], r"input 1 of Unsqueeze is missing|unknown attribute axes", opset=13, axes=[0])
    one("an attribute of another kind", "Softmax", ["x"], r"attribute axis of Softmax is a float: expected an integer", axis=1.0)
    one("a number for a list", "Transpose", ["x"], r"attribute perm of Transpose is an integer: expected integers", perm=1)
    case("an attribute twice", model([with_attributes("Softmax", ["x"], attribute("axis", 0), attribute("axis", 1))], X, Y), r"attribute axis of Softmax is given twice.*node 'softmax'")
    case("an attribute without a value", model([with_attributes("Softmax", ["x"], chunk(1, "axis") + number(20, 2))], X, Y), r"attribute axis of Softmax has no value.*node 'softmax'")
    case("an attribute without a kind", model([with_attributes("Softmax", ["x"], chunk(1, "axis") + number(3, 1))], X, Y), r"attribute axis of Softmax is nothing: expected an integer.*node 'softmax'")
    one("a float Mod without fmod", "Mod", ["x", "x"], r"expected fmod = 1 for operands of type f32")
    one("a shift that goes nowhere", "BitShift", ["x", "x"], r"unknown direction 'UP', expected one of LEFT, RIGHT", ins=[value("x", 13, ["n", 4])], outs=[value("y", 13, ["n", 4])], direction="UP")
    # Words and lengths of lists.
    image, kernel, targets = [value("x", FLOAT, [1, 4, 8, 8])], [tensor("k", FLOAT, [4, 1, 3, 3], floats=[0] * 36)], value("t", INT64, [2])
    for op, name, inputs, ins, known in (
            ("Gelu", "approximate", ["x"], X, ()), ("Cast", "round_mode", ["x"], X, ()), ("DepthToSpace", "mode", ["x"], image, ()), ("ConvTranspose", "auto_pad", ["x", "k"], image, kernel),
            ("GridSample", "mode", ["x", "g"], [*image, value("g", FLOAT, [1, 2, 2, 2])], ()), ("GridSample", "padding_mode", ["x", "g"], [*image, value("g", FLOAT, [1, 2, 2, 2])], ()),
            ("Resize", "keep_aspect_ratio_policy", ["x", "", "", "s"], image, [tensor("s", INT64, [4], ints=[1, 4, 4, 4])]),
            ("RoiAlign", "mode", ["x", "r", "b"], [*image, value("r", FLOAT, [1, 4]), value("b", INT64, [1])], ()),
            ("RoiAlign", "coordinate_transformation_mode", ["x", "r", "b"], [*image, value("r", FLOAT, [1, 4]), value("b", INT64, [1])], ()),
            ("NegativeLogLikelihoodLoss", "reduction", ["x", "t"], [value("x", FLOAT, [2, 4]), targets], ()), ("SoftmaxCrossEntropyLoss", "reduction", ["x", "t"], [value("x", FLOAT, [2, 4]), targets], ())):
        more = {"to": 1} if op == "Cast" else {"blocksize": 2} if op == "DepthToSpace" else {}
        case(f"{op} with another {name}", model([node(op, inputs, ["y"], **{name: "zork"}, **more)], ins, [value("y", FLOAT, ["p"])], known, 25),
             rf"unknown {name} 'zork', expected one of .*\(node '{op.lower()}'")
    case("ConvTranspose with one stride for two dimensions", model([node("ConvTranspose", ["x", "k"], ["y"], strides=[2])], image, Y, kernel), r"expected 2 strides but got 1 \(node 'convtranspose'")
    case("a Constant of two values", model([node("Constant", [], ["c"], value_int=1, value_ints=[1, 2]), node("Neg", ["c"], ["y"])], X, Y), r"a Constant has one value but 2 are given \(node 'constant'")
    # Operator sets.
    one("an operator newer than the operator set", "Gelu", ["x"], r"Gelu is not in operator set 19: it exists from 20 on", opset=19)
    one("an operator that was removed", "Upsample", ["x", "x"], r"Upsample is not in operator set 10: it was removed in 10", opset=10)
    case("in a branch", model([node("If", ["b"], ["y"], then_branch=("graph", graph([node("Add", ["x", "x", "x"], ["t"], "inner")], [], [value("t", FLOAT, ["n", 4])])),
                                    else_branch=("graph", graph([node("Neg", ["x"], ["e"])], [], [value("e", FLOAT, ["n", 4])])))], X + [value("b", BOOL, [])], Y),
         r"Add has 3 inputs.*node 'inner'")
    case("in a function", model([node("F", ["x"], ["y"], domain="local")], X, Y, functions=[function("F", ["a"], ["b"], [node("Concat", ["a", "a"], ["b"], "inner")])]),
         r"attribute axis of Concat is missing.*node 'inner'")
    # Types.
    one("a type that the operator does not have", "Sqrt", ["x"], r"input 0 of Sqrt is int64: expected float16, float, double, bfloat16|input 0 of Sqrt is int64: expected float", ins=I64)
    one("a type of a later operator set", "Relu", ["x"], r"input 0 of Relu is int64: expected .*in operator set 13", ins=I64, outs=[value("y", INT64, ["n", 4])], opset=13)
    one("operands of two types", "Add", ["x", "i"], r"input 1 of Add is int64: expected float, the type of input 0", ins=X + [value("i", INT64, [4])])
    one("parts of two types", "Concat", ["x", "i"], r"input 1 of Concat is int64: expected float, the type of input 0", ins=X + [value("i", INT64, [4, 4])], axis=0)
    one("indices that are no integers", "Gather", ["x", "x"], r"input 1 of Gather is float: expected int32, int64")
    # Versions.
    case("no IR version", versioned(neg, None, [("", 18)]), r"the model has no IR version")
    case("an IR version of the future", versioned(neg, 99, [("", 18)]), r"unsupported IR version 99: expected 1 to \d+")
    case("no operator set at all", versioned(neg, 8, []), r"the model imports no operator set, which IR version 8 asks for")
    case("another domain's operator set only", versioned(neg, 8, [("com.microsoft", 1)]), r"no operator set of the domain '' is imported.*node 'neg'")
    case("two operator sets of a domain", versioned(neg, 8, [("", 18), ("ai.onnx", 13)]), r"operator sets 18 and 13 of domain '' are both imported")
    # Tensors.
    add = [node("Add", ["x", "w"], ["y"])]
    for name, w, message in (
            ("integers for floats", typed("w", FLOAT, [4], int32_data=[1, 2, 3, 4]), r"tensor 'w' of float has its values in int32_data: expected raw_data or float_data"),
            ("doubles for floats", typed("w", FLOAT, [4], double_data=[1, 2, 3, 4]), r"tensor 'w' of float has its values in double_data"),
            ("values in two fields", typed("w", FLOAT, [4], float_data=[1, 2, 3, 4], raw_data=bytes(16)), r"tensor 'w' has values in float_data and in raw_data"),
            ("values in no field", typed("w", FLOAT, [4]), r"'w': expected 16 bytes for 4 elements of float but got 0")):
        case(name, model(add, X, Y, [w]), message)
    case("floats for integers", model(add, I64, [value("y", INT64, ["n", 4])], [typed("w", INT64, [4], float_data=[1, 2, 3, 4])]), r"tensor 'w' of int64 has its values in float_data: expected raw_data or int64_data")
    # Ranks, which the standard leaves to its operators: never a crash, and never a message about the compiler's own inside.
    image, u8 = [value("x", FLOAT, [1, 1, 3, 3]), value("w", FLOAT, [1, 1, 2, 2])], [value("x", 2, [1, 1, 3, 3]), value("w", 2, [1, 1, 2, 2])]
    one("a bias with the rank of an image", "Conv", ["x", "w", "x"], r"expected a bias of rank 1 but got rank 4", ins=image, outs=[value("y", FLOAT, ["a"])])
    one("a bias of another length", "Conv", ["x", "w", "b"], r"elements of a bias: expected 1 but got 3", ins=image + [value("b", FLOAT, [3])], outs=[value("y", FLOAT, ["a"])])
    one("a zero point with the rank of an image", "ConvInteger", ["x", "w", "", "x"], r"expected one element or one an output channel for zero points of the weights",
        ins=u8, outs=[value("y", 6, ["a"])])
    one("scores of rank 1", "NegativeLogLikelihoodLoss", ["w", "t"], r"expected scores of rank 2 or more, targets of one rank less and a vector of weights but got ranks 1 and 1",
        ins=[value("w", FLOAT, [4]), value("t", INT64, [4])], outs=[value("y", FLOAT, [])])
    one("a target that is a scalar", "SoftmaxCrossEntropyLoss", ["x", "t"], r"expected scores of rank 2 or more, targets of one rank less and a vector of weights but got ranks 2 and 0",
        ins=X + [value("t", INT64, [])], outs=[value("y", FLOAT, [])])
    one("a scale with the rank of the input", "BatchNormalization", ["x", "x", "x", "x", "x"], r"expected an operand of rank 1 but got rank 2")
    one("a scale of more dimensions", "LayerNormalization", ["x", "w"], r"expected an operand of rank 2 at most but got rank 3", ins=X + [value("w", FLOAT, [1, 1, 4])])
    one("a diagonal that is a matrix", "Trilu", ["x", "k"], r"expected one element for k but got 4", ins=X + [value("k", INT64, [2, 2])])
    return out
