"""Models of at most a megabyte that ask for much: deep, long, wide, of absurd sizes. Each is a function of how large it is to be."""
import itertools
import struct

from onnxwire import *

I64 = lambda name, *ints: tensor(name, INT64, [len(ints)], ints=ints)
SCALAR = lambda name, n: tensor(name, INT64, [], ints=[n])
F = lambda name, dims: value(name, FLOAT, dims)
BIG = 1 << 62


def chain(op, n, make=None, dims=("n", 4), out=("n", 4), more_inputs=(), init=(), kind=FLOAT, outkind=None):
    """x through n nodes, each of which reads the one before."""
    nodes, last = [], "x"
    for i in range(n):
        name = "y" if i == n - 1 else f"v{i}"
        nodes += make(last, name, i) if make else [node(op, [last], [name], f"n{i}")]
        last = name
    return model(nodes, [value("x", kind, dims), *more_inputs], [value("y", outkind or kind, out)], init)


def one(op, inputs, dims, init=(), more=(), opset=18, out=(), outkind=FLOAT, kind=FLOAT, **attributes):
    """One node."""
    return model([node(op, inputs, ["y"], **attributes)], [value("x", kind, dims), *more], [value("y", outkind, out)], init, opset)


def cheap():
    """Chains of every cheap kind."""
    out = {}
    for op in ("Neg", "Identity", "Abs", "Relu", "Exp", "Floor", "Sigmoid", "Not", "Cast", "Clip", "Dropout", "IsNaN"):
        if op in ("Not",):
            out[op] = lambda n, op=op: chain(op, n, kind=BOOL)
        elif op == "Cast":
            out[op] = lambda n: chain(op, n, lambda a, b, i: [node("Cast", [a], [b], f"n{i}", to=(1, 10, 1, 11)[i % 4] if b != "y" else 1)])
        elif op == "IsNaN":
            continue
        else:
            out[op] = lambda n, op=op: chain(op, n)
    for op in ("Add", "Mul", "Sub", "Max", "Pow", "Div", "PRelu"):
        out[op + " of itself"] = lambda n, op=op: chain(op, n, lambda a, b, i: [node(op, [a, a], [b], f"n{i}")])
        out[op + " of a weight"] = lambda n, op=op: chain(op, n, lambda a, b, i: [node(op, [a, "w"], [b], f"n{i}")], init=[tensor("w", FLOAT, [4], floats=[1, 2, 3, 4])])
    out["Where"] = lambda n: chain("Where", n, lambda a, b, i: [node("Where", ["c", a, "x"], [b], f"n{i}")], more_inputs=[value("c", BOOL, ["n", 4])])
    out["Sum of four"] = lambda n: chain("Sum", n, lambda a, b, i: [node("Sum", [a, a, "x", a], [b], f"n{i}")])
    out["Transpose"] = lambda n: chain("Transpose", 2 * (n // 2), lambda a, b, i: [node("Transpose", [a], [b], f"n{i}", perm=[1, 0])])
    out["Reshape"] = lambda n: chain("Reshape", 2 * (n // 2), lambda a, b, i: [node("Reshape", [a, "s" if i % 2 else "t"], [b], f"n{i}")], init=[I64("s", -1, 4), I64("t", -1)])
    out["Unsqueeze, Squeeze"] = lambda n: chain("", n // 2, lambda a, b, i: [node("Unsqueeze", [a, "a"], [b + "u"], f"u{i}"), node("Squeeze", [b + "u", "a"], [b], f"s{i}")], init=[I64("a", 0)])
    out["Slice"] = lambda n: chain("Slice", n, lambda a, b, i: [node("Slice", [a, "b", "e", "a"], [b], f"n{i}")], init=[I64("b", 0), I64("e", -1), I64("a", 1)], dims=("n", n + 4))
    out["Slice of a symbol"] = lambda n: chain("Slice", n, lambda a, b, i: [node("Slice", [a, "b", "e", "a"], [b], f"n{i}")], init=[I64("b", 1), I64("e", BIG), I64("a", 0)])
    out["Pad"] = lambda n: chain("Pad", n, lambda a, b, i: [node("Pad", [a, "p"], [b], f"n{i}")], init=[I64("p", 1, 0, 0, 1)])
    out["Concat with itself, Slice"] = lambda n: chain("", n // 2, lambda a, b, i: [node("Concat", [a, a], [b + "c"], f"c{i}", axis=1), node("Slice", [b + "c", "b", "e", "a"], [b], f"s{i}")],
                                                    init=[I64("b", 2), I64("e", 6), I64("a", 1)])
    out["Concat doubling"] = lambda n: chain("Concat", min(n, 40), lambda a, b, i: [node("Concat", [a, a], [b], f"n{i}", axis=0)])
    out["Concat growing"] = lambda n: chain("Concat", n, lambda a, b, i: [node("Concat", [a, "x"], [b], f"n{i}", axis=0)])
    out["Gather"] = lambda n: chain("Gather", n, lambda a, b, i: [node("Gather", [a, "i"], [b], f"n{i}", axis=1)], init=[I64("i", 3, 2, 1, 0)])
    out["Expand"] = lambda n: chain("Expand", n, lambda a, b, i: [node("Expand", [a, "s"], [b], f"n{i}")], init=[I64("s", 1, 4)])
    out["Tile"] = lambda n: chain("Tile", min(n, 60), lambda a, b, i: [node("Tile", [a, "s"], [b], f"n{i}")], init=[I64("s", 2, 1)])
    out["ReduceSum"] = lambda n: chain("", n // 2, lambda a, b, i: [node("ReduceSum", [a], [b + "r"], f"r{i}", keepdims=1), node("Add", [a, b + "r"], [b], f"a{i}")])
    out["Softmax"] = lambda n: chain("Softmax", n)
    out["LayerNormalization"] = lambda n: chain("", n, lambda a, b, i: [node("LayerNormalization", [a, "w"], [b], f"n{i}")], init=[tensor("w", FLOAT, [4], floats=[1, 2, 3, 4])])
    out["MatMul"] = lambda n: chain("MatMul", n, lambda a, b, i: [node("MatMul", [a, "w"], [b], f"n{i}")], init=[tensor("w", FLOAT, [4, 4], floats=range(16))])
    out["CumSum"] = lambda n: chain("CumSum", n, lambda a, b, i: [node("CumSum", [a, "a"], [b], f"n{i}")], init=[SCALAR("a", 0)])
    out["TopK"] = lambda n: chain("TopK", n, lambda a, b, i: [node("TopK", [a, "k"], [b, b + "i"], f"n{i}")], init=[I64("k", 4)])
    out["ScatterND"] = lambda n: chain("ScatterND", n, lambda a, b, i: [node("ScatterND", [a, "i", "u"], [b], f"n{i}")], init=[tensor("i", INT64, [1, 1], ints=[0]), tensor("u", FLOAT, [1, 4], floats=[1, 2, 3, 4])])
    out["QuantizeLinear"] = lambda n: chain("", n // 2, lambda a, b, i: [node("QuantizeLinear", [a, "s"], [b + "q"], f"q{i}"), node("DequantizeLinear", [b + "q", "s"], [b], f"d{i}")],
                                            init=[tensor("s", FLOAT, [], floats=[0.1])])
    out["Conv"] = lambda n: chain("Conv", n, lambda a, b, i: [node("Conv", [a, "k"], [b], f"n{i}")], dims=(1, 2, 8, 8), init=[tensor("k", FLOAT, [2, 2, 1, 1], floats=range(4))])
    return {"a chain of " + k: v for k, v in out.items()}


def shapes():
    """Sizes that depend on sizes."""
    out = {}
    get = lambda a, b, i: [node("Shape", [a], [b + "s"], f"h{i}")]
    arithmetic = lambda op, **kw: (lambda n: model(
        [node("Shape", ["x"], ["v0"])] + [node(op, [f"v{i}", "c"], [f"v{i + 1}"], f"n{i}", **kw) for i in range(n)] + [node("Expand", ["x", f"v{n}"], ["y"])],
        [F("x", ["n", "m"])], [F("y", ["p", "q"])], [I64("c", 3, 5)]))
    for op in ("Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"):
        out[op] = arithmetic(op)
    mixed = ("Add", "Div", "Mul", "Mod", "Max", "Min", "Sub")
    out["every kind"] = lambda n: model(
        [node("Shape", ["x"], ["v0"])] + [node(mixed[i % 7], [f"v{i}", "s" if i % 3 else "c"], [f"v{i + 1}"], f"n{i}") for i in range(n)] + [node("ConstantOfShape", [f"v{n}"], ["y"])],
        [F("x", ["n", "m"])], [F("y", ["p", "q"])], [I64("c", 3, 5), I64("s", 7, 11)])
    out["themselves"] = lambda n: model(
        [node("Shape", ["x"], ["v0"])] + [node(mixed[i % 7], [f"v{i}", f"v{max(0, i - 1)}"], [f"v{i + 1}"], f"n{i}") for i in range(n)] + [node("ConstantOfShape", [f"v{n}"], ["y"])],
        [F("x", ["n", "m"])], [F("y", ["p", "q"])], [])
    out["Concat doubling a shape"] = lambda n: model(
        [node("Shape", ["x"], ["v0"])] + [node("Concat", [f"v{i}", f"v{i}"], [f"v{i + 1}"], f"n{i}", axis=0) for i in range(min(n, 50))] +
        [node("ReduceProd", [f"v{min(n, 50)}"], ["y"])], [F("x", ["n", "m"])], [value("y", INT64, [])])
    out["Shape, Gather, Unsqueeze, Concat, Reshape"] = lambda n: chain("", n // 6, lambda a, b, i: [
        node("Shape", [a], [b + "s"], f"s{i}"), node("Gather", [b + "s", "zero"], [b + "g"], f"g{i}"), node("Unsqueeze", [b + "g", "axis"], [b + "u"], f"u{i}"),
        node("Concat", [b + "u", "four"], [b + "c"], f"c{i}", axis=0), node("Reshape", [a, b + "c"], [b + "r"], f"r{i}"), node("Exp", [b + "r"], [b], f"e{i}")],
        init=[SCALAR("zero", 0), I64("axis", 0), I64("four", 4)])
    out["NonZero of NonZero"] = lambda n: chain("", n // 2, lambda a, b, i: [node("NonZero", [a], [b + "z"], f"z{i}"), node("Cast", [b + "z"], [b], f"c{i}", to=1)], out=("p", "q"))
    out["Unique of Unique"] = lambda n: chain("Unique", n, lambda a, b, i: [node("Unique", [a], [b], f"n{i}")], out=("p",))
    out["Resize by 1.5"] = lambda n: chain("Resize", n, lambda a, b, i: [node("Resize", [a, "", "f"], [b], f"n{i}")], init=[tensor("f", FLOAT, [2], floats=[1.5, 0.5])])
    out["pooling of pooling"] = lambda n: chain("MaxPool", n, lambda a, b, i: [node("MaxPool", [a], [b], f"n{i}", kernel_shape=[3], strides=[2], pads=[1, 1])], dims=(1, 1, "n"), out=(1, 1, "m"))
    out["Compress of Compress"] = lambda n: chain("Compress", n, lambda a, b, i: [node("Compress", [a, "c"], [b], f"n{i}", axis=1)], more_inputs=[value("c", BOOL, [4])])
    out["Slices by data"] = lambda n: chain("Slice", n, lambda a, b, i: [node("Slice", [a, "s", "e", "zero"], [b], f"n{i}")], more_inputs=[value("s", INT64, [1]), value("e", INT64, [1])], init=[I64("zero", 0)])
    out["many symbols"] = lambda n: model(
        [node("Concat", [f"x{i}" for i in range(n)], ["c"], axis=0), node("Add", ["c", "c"], ["y"])], [F(f"x{i}", [f"n{i}"]) for i in range(n)], [F("y", ["p"])])
    out["a product of many symbols"] = lambda n: model([node("Reshape", ["x", "s"], ["y"])], [F("x", [f"n{i}" for i in range(n)])], [F("y", ["p"])], [I64("s", -1)])
    return {"sizes through " + k: v for k, v in out.items()}


def wide():
    out = {}
    out["inputs and outputs"] = lambda n: model([node("Neg", [f"x{i}"], [f"y{i}"]) for i in range(n)], [F(f"x{i}", ["n", 4]) for i in range(n)], [F(f"y{i}", ["n", 4]) for i in range(n)])
    out["outputs of one value"] = lambda n: model([node("Exp", ["x"], ["e"])] + [node("Identity", ["e"], [f"y{i}"]) for i in range(n)], [F("x", ["n"])], [F(f"y{i}", ["n"]) for i in range(n)])
    out["inputs of a Sum"] = lambda n: model([node("Sum", [f"x{i}" for i in range(n)], ["y"])], [F(f"x{i}", [4]) for i in range(n)], [F("y", [4])])
    out["inputs of a Concat"] = lambda n: model([node("Concat", ["x"] * n, ["c"], axis=0), node("Exp", ["c"], ["y"])], [F("x", [1])], [F("y", ["p"])])
    out["outputs of a Split"] = lambda n: model([node("Split", ["x"], [f"y{i}" for i in range(n)], axis=0, num_outputs=n)], [F("x", [n])], [F(f"y{i}", [1]) for i in range(n)])
    out["Split and Concat"] = lambda n: model([node("Split", ["x"], [f"v{i}" for i in range(n)], axis=0, num_outputs=n), node("Concat", [f"v{n - 1 - i}" for i in range(n)], ["c"], axis=0),
                                               node("Exp", ["c"], ["y"])], [F("x", [n])], [F("y", [n])])
    out["products with a number"] = lambda n: model([node("Mul", ["x", f"c{i}"], [f"y{i}"]) for i in range(n)], [F("x", ["n"])], [F(f"y{i}", ["n"]) for i in range(n)], [tensor(f"c{i}", FLOAT, [], floats=[1 + i / 7]) for i in range(n)])
    unary = ("Neg", "Exp", "Sin", "Cos", "Tanh", "Abs", "Floor", "Relu")
    out["different bodies"] = lambda n: model([node(unary[i >> 3 * k & 7], [f"v{i}_{k}" if k else "x"], [f"v{i}_{k + 1}" if k < 4 else f"y{i}"]) for i in range(n) for k in range(5)], [F("x", ["n"])], [F(f"y{i}", ["n"]) for i in range(n)])
    out["different transpositions"] = lambda n: model([node("Transpose", ["x"], [f"y{i}"], perm=list(p)) for i, p in enumerate(itertools.islice(itertools.permutations(range(8)), n))], [F("x", [2] * 8)],
                                                      [F(f"y{i}", [2] * 8) for i in range(n)])
    out["readers of one value"] = lambda n: model([node("Exp", ["x"], ["e"])] + [node("Add", ["e", f"v{i - 1}" if i else "x"], [f"v{i}" if i < n - 1 else "y"], f"n{i}") for i in range(n)], [F("x", ["n"])], [F("y", ["n"])])
    out["Fibonacci sums"] = lambda n: model([node("Add", [f"v{i - 1}" if i else "x", f"v{i - 2}" if i > 1 else "x"], [f"v{i}" if i < n - 1 else "y"], f"n{i}") for i in range(n)], [F("x", ["n"])], [F("y", ["n"])])
    out["a tree of Adds"] = lambda n: model([node("Exp", ["x"], [f"l{i}"], f"e{i}") for i in range(n)] + [node("Add", [f"l{2 * i}", f"l{2 * i + 1}"], [f"l{n + i}" if i < n - 2 else "y"], f"a{i}")
                                            for i in range(n - 1)], [F("x", ["n"])], [F("y", ["n"])])
    out["weights"] = lambda n: model([node("Add", [f"v{i - 1}" if i else "x", f"w{i}"], [f"v{i}" if i < n - 1 else "y"], f"n{i}") for i in range(n)], [F("x", ["n"])], [F("y", ["n"])],
                                     [tensor(f"w{i}", FLOAT, [1], floats=[i]) for i in range(n)])
    out["weights that nothing reads"] = lambda n: model([node("Neg", ["x"], ["y"])], [F("x", ["n"])], [F("y", ["n"])], [tensor(f"w{i}", FLOAT, [1], floats=[i]) for i in range(n)])
    out["letters in a name"] = lambda n: model([node("Neg", ["x"], ["y" * n], "n" * n)], [F("x", ["d" * n])], [F("y" * n, ["d" * n])])
    out["letters in an operator"] = lambda n: model([node("N" * n, ["x"], ["y"])], [F("x", [1])], [F("y", [1])])
    out["axes of a Transpose"] = lambda n: one("Transpose", ["x"], [1] * min(n, 65536), perm=list(range(min(n, 65536)))[::-1], out=[1])
    out["dimensions"] = lambda n: one("Exp", ["x"], [1] * n, out=[1])
    out["dimensions of 2"] = lambda n: one("Exp", ["x"], [2] * min(n, 62), out=[1])
    out["dimensions, broadcast"] = lambda n: model([node("Add", ["x", "z"], ["y"])], [F("x", [2, 1] * (n // 2)), F("z", [1, 2] * (n // 2))], [F("y", [1])])
    out["dimensions of a sum"] = lambda n: one("ReduceSum", ["x"], [1] * n, out=[1])
    out["dimensions of a Pad"] = lambda n: one("Pad", ["x", "p"], [1] * n, [I64("p", *[1] * (2 * n))], out=[1])
    out["dimensions of a Slice"] = lambda n: one("Slice", ["x", "b", "e"], [3] * n, [I64("b", *[1] * n), I64("e", *[2] * n)], out=[1])
    out["dimensions of a Tile"] = lambda n: one("Tile", ["x", "r"], [1] * n, [I64("r", *[1] * (n - 1), 2)], out=[1])
    out["dimensions of an Expand"] = lambda n: one("Expand", ["x", "r"], [1], [I64("r", *[1] * (n - 1), 2)], out=[1])
    out["dimensions of a Reshape"] = lambda n: one("Reshape", ["x", "r"], ["n"], [I64("r", -1, *[1] * n)], out=[1])
    out["dimensions of an Unsqueeze"] = lambda n: one("Unsqueeze", ["x", "r"], ["n"], [I64("r", *range(n))], out=[1])
    out["symbolic dimensions"] = lambda n: one("Exp", ["x"], [f"d{i}" for i in range(n)], out=["a"])
    out["dimensions of a Resize"] = lambda n: one("Resize", ["x", "", "", "s"], [1] * n, [I64("s", *[2] * n)], mode="linear", out=[1])
    out["dimensions of a GatherND"] = lambda n: one("GatherND", ["x", "i"], [1] * n, [tensor("i", INT64, [1, n], ints=[0] * n)], out=[1])
    out["dimensions of a MaxPool"] = lambda n: one("MaxPool", ["x"], [1, 1] + [2] * n, kernel_shape=[2] * n, out=[1])
    out["dimensions of a Conv"] = lambda n: one("Conv", ["x", "w"], [1, 1] + [1] * n, [tensor("w", FLOAT, [1, 1] + [1] * n, floats=[1])], out=[1])
    out["dimensions of a MatMul"] = lambda n: one("MatMul", ["x", "x"], [1] * n, out=[1])
    out["dimensions of a TopK"] = lambda n: one("TopK", ["x", "k"], [1] * n, [I64("k", 1)], out=[1])
    out["dimensions of a NonZero"] = lambda n: one("NonZero", ["x"], [1] * n, out=["a", "b"], outkind=INT64)
    out["dimensions of a BatchNormalization"] = lambda n: one("BatchNormalization", ["x", "w", "w", "w", "w"], [1] * n, [tensor("w", FLOAT, [1], floats=[1])], out=[1])
    out["dimensions of an Einsum"] = lambda n: one("Einsum", ["x"], [2] * n, equation="".join(chr(97 + i % 26) if i < 26 else chr(65 + i % 26) for i in range(min(n, 52))) + "->", out=[])
    out["factors of an Einsum"] = lambda n: one("Einsum", ["x"] * n, [2, 2], equation=",".join(["ij"] * n) + "->ij", out=[2, 2])
    out["letters of an equation"] = lambda n: one("Einsum", ["x"], [2, 2], equation="i" * n + "->i", out=[2])
    out["factors of an Einsum with a letter each"] = lambda n: one("Einsum", ["x"] * min(n, 51), [2, 2], equation=",".join(chr(97 + i) + chr(98 + i) if i < 25 else "za" if i == 25 else chr(39 + i) + chr(40 + i)
                                                                   for i in range(min(n, 51)) if i != 51) + "->a", out=[2])
    out["numbers of a constant"] = lambda n: model([node("Constant", [], ["c"], value_ints=list(range(n))), node("Gather", ["c", "x"], ["y"])], [value("x", INT64, ["n"])], [value("y", INT64, ["n"])])
    out["axes of a sum"] = lambda n: one("ReduceSum", ["x"], ["n", 4], opset=11, axes=[i % 2 for i in range(n)], out=[1])
    out["pads of a Pad"] = lambda n: one("Pad", ["x"], ["n", 4], opset=2, pads=[1] * n, out=[1])
    out["attributes"] = lambda n: model([chunk(1, "x") + chunk(2, "y") + chunk(3, "n") + chunk(4, "Neg") + b"".join(chunk(5, attribute(f"a{i}", i)) for i in range(n))], [F("x", ["n"])], [F("y", ["n"])])
    out["attributes of one name"] = lambda n: model([chunk(1, "x") + chunk(2, "y") + chunk(3, "n") + chunk(4, "LeakyRelu") + chunk(5, attribute("alpha", 1.0)) * n], [F("x", ["n"])], [F("y", ["n"])])
    out["operator sets"] = lambda n: model([node("Neg", ["x"], ["y"])], [F("x", ["n"])], [F("y", ["n"])]) + b"".join(chunk(8, chunk(1, f"d{i}") + number(2, 1)) for i in range(n))
    out["unsupported operators"] = lambda n: model([node(f"Frob{i}", ["x"], [f"y{i}"]) for i in range(n)], [F("x", ["n"])], [F("y0", ["n"])])
    out["errors"] = lambda n: model([node("Add", ["x", f"w{i}"], [f"y{i}"], f"n{i}") for i in range(n)], [F("x", ["n"])], [F("y0", ["n"])])
    out["mistakes"] = lambda n: model([node("Add", ["x", "i"], [f"y{i}"], f"n{i}") for i in range(n)], [F("x", ["n"])], [F("y0", ["n"])], [I64("i", 1)])
    out["mistakes, each of one before"] = lambda n: model([node("Add", [f"y{i - 1}" if i else "x", "i"], [f"y{i}"], f"n{i}") for i in range(n)], [F("x", ["n"])], [F(f"y{n - 1}", ["n"])], [I64("i", 1)])
    return {"many " + k: v for k, v in out.items()}


def nested():
    out = {}
    scalar = [value("t", FLOAT, [])]

    def ifs(depth, both):
        g = graph([node("Neg", ["x"], ["t"])], [], [F("t", ["n"])])
        for _ in range(depth):
            g = graph([node("If", ["b"], ["t"], then_branch=("graph", g), else_branch=("graph", g if both else graph([node("Exp", ["x"], ["t"])], [], [F("t", ["n"])])))], [], [F("t", ["n"])])
        return g
    two = lambda a, b: model([node("If", ["b"], ["y"], then_branch=("graph", a), else_branch=("graph", b))], [F("x", ["n"]), value("b", BOOL, [])], [F("y", ["n"])])
    out["Ifs in Ifs"] = lambda n: two(ifs(min(n, 40), False), ifs(1, False))
    out["Ifs in both branches"] = lambda n: two(ifs(min(13, max(2, n.bit_length() - 2)), True), ifs(1, True))
    leaf = graph([node("Neg", ["x"], ["t"])], [], [F("t", ["n"])])
    out["Ifs in a row"] = lambda n: model([node("If", ["b"], [f"v{i}" if i < n - 1 else "y"], f"n{i}", then_branch=("graph", graph([node("Neg", [f"v{i - 1}" if i else "x"], ["t"])], [], [F("t", ["n"])])),
                                                else_branch=("graph", leaf)) for i in range(n)], [F("x", ["n"]), value("b", BOOL, [])], [F("y", ["n"])])

    def loop(body, name, into, carried):
        return node("Loop", ["m", "", carried], [into], name, body=("graph", body))

    def body(nodes, result):
        return graph([node("Identity", ["c"], ["c2"]), *nodes], [value("i", INT64, []), value("c", BOOL, []), F("a", ["n"])], [value("c2", BOOL, []), F(result, ["n"])])
    loops = lambda depth: body([node("Neg", ["a"], ["r"])], "r") if depth == 0 else body([loop(loops(depth - 1), f"l{depth}", "r", "a")], "r")
    m = [F("x", ["n"]), value("m", INT64, [])]
    out["Loops in Loops"] = lambda n: model([loop(loops(min(n, 25)), "l", "y", "x")], m, [F("y", ["n"])])
    out["Loops in a row"] = lambda n: model([loop(body([node("Neg", ["a"], ["r"])], "r"), f"l{i}", f"v{i}" if i < n - 1 else "y", f"v{i - 1}" if i else "x") for i in range(n)], m, [F("y", ["n"])])
    out["nodes in a Loop"] = lambda n: model([loop(body([node("Exp", [f"v{i - 1}" if i else "a"], [f"v{i}" if i < n - 1 else "r"], f"n{i}") for i in range(n)], "r"), "l", "y", "x")], m, [F("y", ["n"])])

    def carrying(n):
        names = [f"a{i}" for i in range(n)]
        b = graph([node("Identity", ["c"], ["c2"])] + [node("Neg", [a], [a + "r"]) for a in names], [value("i", INT64, []), value("c", BOOL, [])] + [F(a, ["n"]) for a in names],
                  [value("c2", BOOL, [])] + [F(a + "r", ["n"]) for a in names])
        return model([node("Loop", ["m", "", *["x"] * n], [f"y{i}" for i in range(n)], body=("graph", b))], m, [F(f"y{i}", ["n"]) for i in range(n)])
    out["values in a Loop"] = carrying
    scan = lambda: graph([node("Add", ["s", "e"], ["s2"]), node("Identity", ["s2"], ["o"])], [F("s", []), F("e", [])], [F("s2", []), F("o", [])])
    out["Scans in a row"] = lambda n: model([node("Scan", ["z", f"v{i - 1}" if i else "x"], [f"f{i}", f"v{i}" if i < n - 1 else "y"], f"s{i}", num_scan_inputs=1, body=("graph", scan())) for i in range(n)],
                                            [F("x", ["n"]), F("z", [])], [F("y", ["n"])])

    def functions(depth, fan):
        """Each calls the one below `fan` times."""
        fs = [function("F0", ["a"], ["b"], [node("Neg", ["a"], ["b"])])]
        for d in range(1, depth):
            fs.append(function(f"F{d}", ["a"], ["b"], [node(f"F{d - 1}", [f"v{i - 1}" if i else "a"], [f"v{i}" if i < fan - 1 else "b"], domain="local") for i in range(fan)]))
        return model([node(f"F{depth - 1}", ["x"], ["y"], domain="local")], [F("x", ["n"])], [F("y", ["n"])], functions=fs)
    out["functions that call two"] = lambda n: functions(60, 2)
    out["functions that call ten"] = lambda n: functions(60, 10)
    out["functions that call a thousand"] = lambda n: functions(4, 1000)
    out["calls of a function"] = lambda n: model([node("F", [f"v{i - 1}" if i else "x"], [f"v{i}" if i < n - 1 else "y"], f"n{i}", domain="local") for i in range(n)], [F("x", ["n"])], [F("y", ["n"])],
                                                 functions=[function("F", ["a"], ["b"], [node("Neg", ["a"], ["b"])])])
    out["functions of constants"] = lambda n: model([node("F", ["x"], ["y"], domain="local")], [F("x", ["n"])], [F("y", ["n"])],
                                                    functions=[function("F", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])])] * n)
    out["empty functions that call ten"] = lambda n: model([node("F50", ["x"], ["y"], domain="local"), node("Neg", ["x"], ["z"])], [F("x", ["n"])], [F("z", ["n"])], functions=[
        function("F0", ["a"], ["b"], [node("Identity", ["a"], ["b"])])] + [function(f"F{d}", ["a"], ["b"], [node(f"F{d - 1}", ["a"], [f"u{i}" if i else "b"], domain="local") for i in range(10)]) for d in range(1, 51)])
    out["SequenceInserts"] = lambda n: model([node("SequenceEmpty", [], ["s0"])] + [node("SequenceInsert", [f"s{i}", "x"], [f"s{i + 1}"], f"n{i}") for i in range(n)] +
                                             [node("ConcatFromSequence", [f"s{n}"], ["y"], axis=0)], [F("x", [1])], [F("y", ["p"])])
    out["SequenceInserts at the front"] = lambda n: model([node("SequenceEmpty", [], ["s0"])] + [node("SequenceInsert", [f"s{i}", "x", "zero"], [f"s{i + 1}"], f"n{i}") for i in range(n)] +
                                             [node("SequenceAt", [f"s{n}", "zero"], ["y"])], [F("x", [1])], [F("y", ["p"])], [SCALAR("zero", 0)])
    out["a sequence in 10^9 parts"] = lambda n: model([node("SplitToSequence", ["x", "one"], ["s"], axis=0), node("ConcatFromSequence", ["s"], ["y"], axis=0)], [F("x", [10**9])], [F("y", ["p"])], [SCALAR("one", 1)])
    out["a constant sequence in many parts"] = lambda n: model([node("ConstantOfShape", ["big"], ["c"]), node("SplitToSequence", ["c", "one"], ["s"], axis=0), node("ConcatFromSequence", ["s"], ["d"], axis=0),
                                                                node("Add", ["d", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])], [I64("big", 10**8), SCALAR("one", 1)])
    open_if = lambda i: node("If", [f"b{i}"], [f"q{i}"], f"if{i}", then_branch=("graph", graph([node("Squeeze", ["x", "zero"], ["t"])], [], [F("t", ["k"])])),
                             else_branch=("graph", graph([node("Identity", ["x"], ["t"])], [], [F("t", ["n", "k"])])))
    out["Ifs that nothing decides"] = lambda n: model([open_if(i) for i in range(n)], [F("x", ["n", 4])] + [value(f"b{i}", BOOL, []) for i in range(n)], [F("q0", ["n", 4])], [I64("zero", 0)])
    out["15 Ifs in a long model"] = lambda n: model([open_if(i) for i in range(15)] + [node("Exp", [f"v{i - 1}" if i else "x"], [f"v{i}" if i < n - 1 else "y"], f"n{i}") for i in range(n)],
                                                 [F("x", ["n", 4])] + [value(f"b{i}", BOOL, []) for i in range(15)], [F("y", ["n", 4])] + [F(f"q{i}", ["n", 4]) for i in range(15)], [I64("zero", 0)])
    return {"nested: " + k: v for k, v in out.items()}


def absurd():
    """One node each that asks for much."""
    out = {}
    add = lambda name, data: out.__setitem__(name, lambda n: data)
    image = [1, 1, 8, 8]
    kernel = lambda dims: tensor("w", FLOAT, dims, floats=[0.5] * (dims[0] * dims[1] * dims[2] * dims[3]))
    for name, kw in {"dilations": dict(dilations=[BIG, BIG]), "dilations of 2^31": dict(dilations=[1 << 31, 1]), "pads": dict(pads=[BIG] * 4), "pads of 2^30": dict(pads=[1 << 30] * 4), "strides": dict(strides=[BIG, BIG]),
                     "groups": dict(group=BIG), "no groups": dict(group=0), "a kernel that is not": dict(kernel_shape=[BIG, BIG]), "negative pads": dict(pads=[-BIG] * 4), "no strides": dict(strides=[0, 0])}.items():
        add(f"Conv with {name}", one("Conv", ["x", "w"], image, [kernel([1, 1, 3, 3])], out=image, **kw))
        add(f"ConvTranspose with {name}", one("ConvTranspose", ["x", "w"], image, [kernel([1, 1, 3, 3])], out=image, **kw))
        if "group" not in name:
            kw.setdefault("kernel_shape", [3, 3])
            add(f"MaxPool with {name}", one("MaxPool", ["x"], image, out=image, **kw))
            add(f"AveragePool with {name}", one("AveragePool", ["x"], image, opset=19, out=image, **kw))
            add(f"LpPool with {name}", one("LpPool", ["x"], image, out=image, p=3, **kw))
    add("MaxPool of a kernel of 10^5", one("MaxPool", ["x"], [1, 1, 10**6], kernel_shape=[10**5], out=image))
    add("AveragePool of a kernel of 10^5", one("AveragePool", ["x"], [1, 1, 10**6], kernel_shape=[10**5], pads=[5, 5], count_include_pad=1, out=image))
    add("Conv of 200 x 200 taps", one("Conv", ["x", "w"], [1, 1, 300, 300], [kernel([1, 1, 200, 200])], out=image))
    add("Conv of 400 groups", one("Conv", ["x", "w"], [1, 400, 8, 8], [kernel([400, 1, 3, 3])], group=400, out=image))
    add("depthwise Conv, dilated by 10^6", one("Conv", ["x", "w"], [1, 4, 8, 8], [kernel([4, 1, 3, 3])], group=4, dilations=[10**6, 10**6], pads=[10**6] * 4, out=image))
    add("output_padding", one("ConvTranspose", ["x", "w"], image, [kernel([1, 1, 3, 3])], output_padding=[BIG, BIG], out=image))
    add("output_shape", one("ConvTranspose", ["x", "w"], image, [kernel([1, 1, 3, 3])], output_shape=[BIG, BIG], out=image))
    for size in (10**6, 1 << 31, 10**10, BIG):
        s = f" of {size}"
        add("ConstantOfShape" + s, model([node("ConstantOfShape", ["s"], ["c"]), node("Add", ["c", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])], [I64("s", size)]))
        add("ConstantOfShape, itself the output" + s, model([node("ConstantOfShape", ["s"], ["y"])], [], [F("y", ["p"])], [I64("s", size)]))
        add("ConstantOfShape of two" + s, model([node("ConstantOfShape", ["s"], ["c"]), node("ReduceSum", ["c"], ["d"]), node("Add", ["d", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])], [I64("s", size, size)]))
        add("Range" + s, model([node("Range", ["zero", "s", "one"], ["c"]), node("Gather", ["c", "x"], ["y"])], [value("x", INT64, [1])], [value("y", INT64, ["p"])], [SCALAR("zero", 0), SCALAR("s", size), SCALAR("one", 1)]))
        add("Range of floats" + s, model([node("Range", ["zero", "s", "one"], ["c"]), node("Add", ["c", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])],
                                         [tensor("zero", FLOAT, [], floats=[0]), tensor("s", FLOAT, [], floats=[float(size)]), tensor("one", FLOAT, [], floats=[1e-30])]))
        add("OneHot" + s, model([node("OneHot", ["x", "s", "v"], ["y"])], [value("x", INT64, [4])], [F("y", ["p", "q"])], [I64("s", size), tensor("v", FLOAT, [2], floats=[0, 1])]))
        add("OneHot of known indices" + s, model([node("OneHot", ["i", "s", "v"], ["c"]), node("Add", ["c", "x"], ["y"])], [F("x", [1])], [F("y", ["p", "q"])], [I64("i", 1, 2), I64("s", size), tensor("v", FLOAT, [2], floats=[0, 1])]))
        add("Expand" + s, one("Expand", ["x", "s"], [1], [I64("s", size)], out=["p"]))
        add("Expand of a constant" + s, model([node("Expand", ["w", "s"], ["c"]), node("Exp", ["c"], ["d"]), node("Add", ["d", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])], [tensor("w", FLOAT, [1], floats=[1]), I64("s", size)]))
        add("Tile" + s, one("Tile", ["x", "s"], [2], [I64("s", size)], out=["p"]))
        add("Tile of a constant" + s, model([node("Tile", ["w", "s"], ["c"]), node("Neg", ["c"], ["d"]), node("Add", ["d", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])], [tensor("w", FLOAT, [1], floats=[1]), I64("s", size)]))
        add("Pad" + s, one("Pad", ["x", "s"], [2], [I64("s", size, 0)], out=["p"]))
        add("Pad by reflection" + s, one("Pad", ["x", "s"], [2], [I64("s", size, 0)], mode="reflect", out=["p"]))
        add("Resize" + s, one("Resize", ["x", "", "", "s"], [1, 1, 4], [I64("s", 1, 1, size)], mode="cubic", out=["p"]))
        add("Resize with antialiasing" + s, one("Resize", ["x", "", "", "s"], [1, 1, size], [I64("s", 1, 1, 2)], mode="linear", antialias=1, out=["p"]))
        add("Resize of a constant" + s, model([node("Resize", ["w", "", "", "s"], ["c"], mode="linear"), node("Add", ["c", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])], [tensor("w", FLOAT, [1, 1, 2], floats=[1, 2]), I64("s", 1, 1, size)]))
        add("EyeLike" + s, model([node("EyeLike", ["x"], ["e"], dtype=1), node("MatMul", ["e", "x"], ["y"])], [F("x", [size, size])], [F("y", ["p", "q"])]))
        add("TopK" + s, one("TopK", ["x", "k"], [size], [I64("k", size)], out=["p"]))
        add("TopK of a symbol" + s, one("TopK", ["x", "k"], ["n"], [I64("k", size)], out=["p"]))
        add("RoiAlign" + s, model([node("RoiAlign", ["x", "r", "b"], ["y"], sampling_ratio=size, output_height=2, output_width=2)], [F("x", image), F("r", ["k", 4]), value("b", INT64, ["k"])], [F("y", ["k", 1, 2, 2])]))
        add("RoiAlign into" + s, model([node("RoiAlign", ["x", "r", "b"], ["y"], output_height=size, output_width=2)], [F("x", image), F("r", ["k", 4]), value("b", INT64, ["k"])], [F("y", ["k", 1, 2, 2])]))
        weights = [tensor("w", FLOAT, [1, 8, 3], floats=[0.1] * 24), tensor("r", FLOAT, [1, 8, 2], floats=[0.1] * 16)]
        add("LSTM over" + s, model([node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2)], [F("x", [size, 1, 3])], [F("y", ["s", 1, 1, 2])], weights))
        add("LSTM hidden" + s, model([node("LSTM", ["x", "w", "r"], ["y"], hidden_size=size)], [F("x", ["s", 1, 3])], [F("y", ["s", 1, 1, 2])], weights))
        add("Scan over" + s, model([node("Scan", ["z", "x"], ["f", "y"], num_scan_inputs=1, body=("graph", graph([node("Add", ["s", "e"], ["t"]), node("Neg", ["t"], ["o"])], [F("s", []), F("e", [])], [F("t", []), F("o", [])])))],
                                   [F("x", [size]), F("z", [])], [F("y", ["n"])]))
        add("Loop of a known count" + s, model([node("Loop", ["m", "", "x"], ["y"], body=("graph", graph([node("Identity", ["c"], ["c2"]), node("Neg", ["a"], ["r"])],
                                               [value("i", INT64, []), value("c", BOOL, []), F("a", ["n"])], [value("c2", BOOL, []), F("r", ["n"])])))], [F("x", ["n"])], [F("y", ["n"])], [SCALAR("m", size)]))
        add("Loop over constants" + s, model([node("Loop", ["m", "", "w"], ["l"], body=("graph", graph([node("Identity", ["c"], ["c2"]), node("Neg", ["a"], ["r"])],
                                               [value("i", INT64, []), value("c", BOOL, []), F("a", [1])], [value("c2", BOOL, []), F("r", [1])]))), node("Add", ["l", "x"], ["y"])], [F("x", ["n"])], [F("y", ["n"])],
                                               [SCALAR("m", size), tensor("w", FLOAT, [1], floats=[1])]))
        add("Loop that collects" + s, model([node("Loop", ["m", ""], ["l"], body=("graph", graph([node("Identity", ["c"], ["c2"]), node("Cast", ["i"], ["r"], to=1)],
                                               [value("i", INT64, []), value("c", BOOL, [])], [value("c2", BOOL, []), F("r", [])]))), node("Add", ["l", "x"], ["y"])], [F("x", [1])], [F("y", ["n"])], [SCALAR("m", size)]))
        add("CumSum over" + s, one("CumSum", ["x", "a"], [size], [SCALAR("a", 0)], out=["p"]))
        add("Softmax over" + s, one("Softmax", ["x"], [2, size], out=["p", "q"]))
        add("DFT over" + s, one("DFT", ["x", "", "a"], [1, size, 1], [SCALAR("a", 1)], opset=20, out=["p", "q", 2]))
        add("window of" + s, model([node("HannWindow", ["s"], ["h"]), node("Mul", ["h", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])], [SCALAR("s", size)]))
        add("mel weights of" + s, model([node("MelWeightMatrix", ["a", "s", "r", "lo", "hi"], ["h"]), node("Mul", ["h", "x"], ["y"])], [F("x", [1])], [F("y", ["p", "q"])],
                                        [SCALAR("a", 8), SCALAR("s", size), SCALAR("r", 8192), tensor("lo", FLOAT, [], floats=[0]), tensor("hi", FLOAT, [], floats=[4096])]))
        add("RandomNormal" + s, model([node("RandomNormal", [], ["r"], shape=[size]), node("Add", ["r", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])]))
        add("SpaceToDepth" + s, one("SpaceToDepth", ["x"], image, blocksize=size, out=image))
        add("DepthToSpace" + s, one("DepthToSpace", ["x"], image, blocksize=size, out=image))
        add("Flatten" + s, one("Flatten", ["x"], image, axis=size, out=["p", "q"]))
        add("Split into" + s, model([node("Split", ["x"], ["y", "z"], num_outputs=size)], [F("x", [8])], [F("y", ["p"])]))
        add("LRN" + s, one("LRN", ["x"], image, size=size, out=image))
        add("GroupNormalization" + s, one("InstanceNormalization", ["x", "w", "w"], [1, 1, size], [tensor("w", FLOAT, [1], floats=[1])], out=["p"]))
        add("Gemm" + s, one("Gemm", ["x", "x"], [size, size], out=["p"]))
        add("GatherElements" + s, model([node("GatherElements", ["x", "i"], ["y"], axis=0)], [F("x", [size]), value("i", INT64, [size])], [F("y", ["p"])]))
        add("GridSample" + s, model([node("GridSample", ["x", "g"], ["y"])], [F("x", image), F("g", [1, size, size, 2])], [F("y", image)]))
        add("Col2Im" + s, one("Col2Im", ["x", "i", "b"], [1, 9, 4], [I64("i", size, size), I64("b", 3, 3)], out=image))
        add("CenterCropPad" + s, one("CenterCropPad", ["x", "s"], [8], [I64("s", size)], out=["p"]))
        add("Attention" + s, model([node("Attention", ["x", "x", "x"], ["y"], q_num_heads=size, kv_num_heads=size)], [F("x", [1, 4, 8])], [F("y", [1, 4, 8])], opset=23))
        add("Trilu" + s, one("Trilu", ["x", "k"], [4, 4], [SCALAR("k", size)], out=[4, 4]))
        add("ReduceSum of" + s, one("ReduceSum", ["x"], [size, 2], out=[]))
        add("Einsum of" + s, one("Einsum", ["x", "x"], [size, size], equation="ij,jk->ik", out=["p", "q"]))
        add("Unfolded negative steps" + s, one("Slice", ["x", "b", "e", "a", "t"], ["n"], [I64("b", -1), I64("e", -size), I64("a", 0), I64("t", -size)], out=["p"]))
    add("a window of BlackmanWindow by a DFT of constants", model([node("BlackmanWindow", ["s"], ["h"]), node("Unsqueeze", ["h", "a"], ["u"]), node("DFT", ["u"], ["d"], axis=1), node("ReduceSum", ["d"], ["r"]), node("Add", ["r", "x"], ["y"])],
                                                                  [F("x", [1])], [F("y", ["p"])], [SCALAR("s", 100000), I64("a", 0, 2)], opset=18))
    return out


def folding():
    """Constants that are computed while compiling."""
    out = {}
    big = lambda n, size, op, **kw: model([node("ConstantOfShape", ["s"], ["v0"], value=("tensor", tensor("", FLOAT, [1], floats=[1.5])))] +
                                          [node(op, [f"v{i}"] * (2 if op in ("Mul", "Add", "MatMul") else 1), [f"v{i + 1}"], f"n{i}", **kw) for i in range(n)] +
                                          [node("ReduceSum", [f"v{n}"], ["r"]), node("Add", ["r", "x"], ["y"])], [F("x", [1])], [F("y", ["p", "q"])], [I64("s", *size)])
    for op in ("Mul", "Exp", "CumSum", "Softmax", "Transpose", "MatMul"):
        if op == "CumSum":
            continue
        out[f"{op} of a million, many times"] = lambda n, op=op: big(n, [1000, 1000], op)
    out["MatMul of two weights, many times"] = lambda n: model(
        [node("MatMul", [f"v{i - 1}" if i else "w", "w"], [f"v{i}"], f"n{i}") for i in range(n)] + [node("Add", [f"v{n - 1}", "x"], ["y"])], [F("x", [1])], [F("y", [300, 300])],
        [tensor("w", FLOAT, [300, 300], raw=struct.pack("<f", 0.01) * 90000)])
    out["Concat doubling a weight"] = lambda n: model([node("Concat", [f"v{i - 1}" if i else "w"] * 2, [f"v{i}"], f"n{i}", axis=0) for i in range(40)] + [node("Add", ["v39", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])],
                                                      [tensor("w", FLOAT, [4], floats=[1, 2, 3, 4])])
    out["Concat doubling and Exp"] = lambda n: model(sum([[node("Concat", [f"v{i - 1}" if i else "w"] * 2, [f"c{i}"], f"c{i}", axis=0), node("Exp", [f"c{i}"], [f"v{i}"], f"e{i}")] for i in range(40)], []) +
                                                     [node("Add", ["v39", "x"], ["y"])], [F("x", [1])], [F("y", ["p"])], [tensor("w", FLOAT, [4], floats=[1, 2, 3, 4])])
    out["Tile doubling and Neg, each used"] = lambda n: model(sum([[node("Tile", [f"v{i - 1}" if i else "w", "two"], [f"v{i}"], f"t{i}"), node("ReduceSum", [f"v{i}"], [f"s{i}"], f"s{i}")] for i in range(40)], []) +
                                                              [node("Sum", [f"s{i}" for i in range(40)] + ["x"], ["y"])], [F("x", [1])], [F("y", ["p"])], [tensor("w", FLOAT, [4], floats=[1, 2, 3, 4]), I64("two", 2)])
    out["Shape of Shape of Shape"] = lambda n: chain("Shape", n, lambda a, b, i: [node("Shape", [a], [b], f"n{i}")], outkind=INT64, out=[1])
    out["Conv of two weights, many times"] = lambda n: model([node("Conv", [f"v{i - 1}" if i else "w", "k"], [f"v{i}"], f"n{i}", pads=[1, 1, 1, 1]) for i in range(n)] + [node("Add", [f"v{n - 1}", "x"], ["y"])],
                                                             [F("x", [1])], [F("y", [1, 4, 100, 100])], [tensor("w", FLOAT, [1, 4, 100, 100], raw=struct.pack("<f", 0.01) * 40000), tensor("k", FLOAT, [4, 4, 3, 3], floats=[0.1] * 144)])
    out["a Range, squared many times"] = lambda n: model([node("Range", ["zero", "s", "one"], ["v0"])] + [node("Mul", [f"v{i}", f"v{i}"], [f"v{i + 1}"], f"n{i}") for i in range(n)] +
                                                         [node("Gather", [f"v{n}", "x"], ["y"])], [value("x", INT64, [1])], [value("y", INT64, ["p"])], [SCALAR("zero", 0), SCALAR("s", 10**6), SCALAR("one", 1)])
    return {"folded: " + k: v for k, v in out.items()}


def kernels():
    """Many kernels that differ."""
    out = {}
    out["Convs"] = lambda n: model([node("Conv", [f"v{i - 1}" if i else "x", f"k{i}"], [f"v{i}" if i < n - 1 else "y"], f"n{i}", pads=[1, 1, 1, 1]) for i in range(n)],
                                   [F("x", [1, 1, 8, 8])], [F("y", [1, n, 8, 8])], [tensor(f"k{i}", FLOAT, [i + 2, i + 1, 3, 3], raw=bytes(36 * (i + 1) * (i + 2))) for i in range(n)])
    out["sizes of Exp"] = lambda n: model([node("Exp", [f"x{i}"], [f"y{i}"], f"n{i}") for i in range(n)], [F(f"x{i}", [i + 2, 3]) for i in range(n)], [F(f"y{i}", [i + 2, 3]) for i in range(n)])
    out["sizes of Softmax"] = lambda n: model([node("Softmax", [f"x{i}"], [f"y{i}"], f"n{i}") for i in range(n)], [F(f"x{i}", ["n", i + 2]) for i in range(n)], [F(f"y{i}", ["n", i + 2]) for i in range(n)])
    out["sizes of MatMul"] = lambda n: model([node("MatMul", [f"x{i}", f"z{i}"], [f"y{i}"], f"n{i}") for i in range(n)], [F(f"{a}{i}", [i + 2, i + 2]) for i in range(n) for a in "xz"], [F(f"y{i}", [i + 2, i + 2]) for i in range(n)])
    return {"different " + k: v for k, v in out.items()}


def groups():
    """Name of a group -> (its models by name, how many nodes or parts a model of a megabyte has)."""
    return {"chains": (cheap(), 20000), "shapes": (shapes(), 20000), "wide": (wide(), 10000), "nested": (nested(), 5000), "absurd": (absurd(), 1), "folded": (folding(), 1000), "kernels": (kernels(), 50)}
