"""What the compiler has to refuse: (name, function of the bench that answers (result, exit status, pattern, file that must not exist...))."""
import os
import struct

from onnxwire import *

X = [value("x", FLOAT, ["n", 4])]
Y = [value("y", FLOAT, ["n", 4])]
W = tensor("w", FLOAT, [4], floats=[1, 2, 3, 4])


def add_model(**kw):
    return model([node("Add", ["x", "w"], ["y"])], X, Y, [W], **kw)


def good_models():
    """Small models of many kinds, to be mutated."""
    shape = tensor("s", INT64, [3], ints=[0, 2, 2])
    then = graph([node("Neg", ["x"], ["t"])], [], [value("t", FLOAT, ["n", 4])])
    other = graph([node("Exp", ["x"], ["e"])], [], [value("e", FLOAT, ["n", 4])])
    body = graph([node("Identity", ["c"], ["c2"]), node("Mul", ["a", "w"], ["a2"])],
                 [value("i", INT64, []), value("c", BOOL, []), value("a", FLOAT, ["n", 4])], [value("c2", BOOL, []), value("a2", FLOAT, ["n", 4])])
    image, out = [value("x", FLOAT, ["n", 2, 8, 8])], [value("y", FLOAT, ["n", 3, "h", "w"])]
    weights = tensor("k", FLOAT, [3, 2, 3, 3], floats=[i / 54 for i in range(54)])
    return {
        "add": add_model(),
        "reshape": model([node("Reshape", ["x", "s"], ["y"])], X, [value("y", FLOAT, ["n", 2, 2])], [shape]),
        "if": model([node("If", ["b"], ["y"], then_branch=("graph", then), else_branch=("graph", other))], X + [value("b", BOOL, [])], Y),
        "loop": model([node("Loop", ["m", "", "x"], ["y"], body=("graph", body))], X + [value("m", INT64, [])], Y, [W]),
        "conv": model([node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3]), node("Relu", ["c"], ["y"])], image, out, [weights]),
        "softmax": model([node("MatMul", ["x", "q"], ["s"]), node("Softmax", ["s"], ["y"], axis=-1)], X, Y, [tensor("q", FLOAT, [4, 4], floats=range(16))]),
        "gather": model([node("Gather", ["x", "i"], ["g"], axis=1), node("Concat", ["g", "x"], ["y"], axis=1)], X, [value("y", FLOAT, ["n", 6])],
                        [tensor("i", INT64, [2], ints=[0, 3])]),
        "slice": model([node("Slice", ["x", "b", "e"], ["p"]), node("Transpose", ["p"], ["t"], perm=[1, 0]), node("ReduceSum", ["t"], ["y"], keepdims=0)], X,
                       [value("y", FLOAT, [])], [tensor("b", INT64, [2], ints=[0, 1]), tensor("e", INT64, [2], ints=[99, 3])]),
        "function": model([node("Twice", ["x"], ["y"], domain="local")], X, Y, functions=[function("Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])])]),
        "data": model([node("NonZero", ["x"], ["y"])], X, [value("y", INT64, [2, "k"])]),
        "gemm": model([node("Gemm", ["x", "q", "w"], ["y"], transB=1, alpha=0.5)], X, Y, [tensor("q", FLOAT, [4, 4], floats=range(16)), W]),
        "transposed": model([node("ConvTranspose", ["x", "k"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1], group=1, dilations=[1, 1])],
                            [value("x", FLOAT, ["n", 3, 4, 4])], out, [weights]),
        "split": model([node("Split", ["x", "s"], ["a", "b"], axis=1), node("Concat", ["b", "a"], ["y"], axis=-1)], X, Y, [tensor("s", INT64, [2], ints=[1, 3])]),
        "pad": model([node("Pad", ["x", "p"], ["y"], mode="reflect")], X, [value("y", FLOAT, ["n", 6])], [tensor("p", INT64, [4], ints=[0, 1, 0, 1])]),
        "topk": model([node("TopK", ["x", "k"], ["v", "y"], axis=1, largest=1, sorted=1)], X, [value("y", INT64, ["n", 2])], [tensor("k", INT64, [1], ints=[2])]),
        "resize": model([node("Resize", ["x", "", "", "s"], ["y"], mode="linear")], image, [value("y", FLOAT, ["n", 2, 16, 16])],
                        [tensor("s", INT64, [4], ints=[1, 2, 16, 16])]),
        "expand": model([node("Unsqueeze", ["x", "a"], ["u"]), node("Expand", ["u", "s"], ["e"]), node("Tile", ["e", "t"], ["l"]), node("Squeeze", ["l", "a"], ["f"]),
                         node("Flatten", ["f"], ["y"], axis=1)], [value("x", FLOAT, [2, 4])], [value("y", FLOAT, ["p", "q"])],
                        [tensor("a", INT64, [1], ints=[0]), tensor("s", INT64, [3], ints=[1, 2, 4]), tensor("t", INT64, [3], ints=[1, 2, 1])]),
        "scatter": model([node("ScatterND", ["x", "i", "u"], ["s"]), node("GatherND", ["s", "i"], ["g"], batch_dims=0), node("CumSum", ["g", "c"], ["y"], exclusive=1)],
                         [value("x", FLOAT, [3, 4])], [value("y", FLOAT, ["p", 4])],
                         [tensor("i", INT64, [2, 1], ints=[0, 2]), tensor("u", FLOAT, [2, 4], floats=range(8)), tensor("c", INT64, [1], ints=[0])]),
        "norm": model([node("LayerNormalization", ["x", "w", "w"], ["l"], axis=-1, epsilon=1e-5), node("ReduceMax", ["l", "c"], ["y"], keepdims=1)], X,
                      [value("y", FLOAT, ["n", 1])], [W, tensor("c", INT64, [1], ints=[1])]),
        "quantised": model([node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=1), node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=1)], X, Y,
                           [tensor("s", FLOAT, [4], floats=[0.1, 0.2, 0.3, 0.4]), tensor("z", INT8, [4], raw=bytes(4))]),
        "onehot": model([node("Cast", ["x"], ["i"], to=7), node("OneHot", ["i", "d", "v"], ["y"], axis=-1)], X, [value("y", FLOAT, ["n", 4, 5])],
                        [tensor("d", INT64, [1], ints=[5]), tensor("v", FLOAT, [2], floats=[0, 1])]),
        "range": model([node("Range", ["a", "b", "c"], ["r"]), node("EyeLike", ["x"], ["e"], k=1), node("ConstantOfShape", ["s"], ["o"]),
                        node("Einsum", ["e", "o"], ["y"], equation="ij,jk->ik")], [value("x", FLOAT, [4, 4])], [value("y", FLOAT, [4, 2]), value("r", INT64, ["k"])],
                       [tensor("a", INT64, [], ints=[0]), tensor("b", INT64, [], ints=[9]), tensor("c", INT64, [], ints=[2]), tensor("s", INT64, [2], ints=[4, 2])]),
        "pool": model([node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], image, [value("y", FLOAT, ["n", 2, 4, 4])]),
    }


def cases():
    out = []

    def case(name, data, message, *flags, status=1):
        def run(bench):
            bench.write("bad.onnx", data)
            return bench.run("ktc", "compile", "bad.onnx", "-o", "bad.ktm", *flags), status, message, "bad.ktm"
        out.append(("ktc " + name, run))

    def custom(name, run):
        out.append(("ktc " + name, run))

    # The file.
    custom("missing file", lambda b: (b.run("ktc", "compile", "none.onnx", "-o", "bad.ktm"), 1, r"cannot read 'none.onnx': No such file", "bad.ktm"))
    custom("a folder", lambda b: (b.run("ktc", "compile", ".", "-o", "bad.ktm"), 1, r"'\.'", "bad.ktm"))
    case("empty file", b"", r"'bad.onnx' is empty")
    case("text", "this is no model\n", r"not an ONNX model")
    case("zeros", bytes(1000), r"not an ONNX model")
    case("truncated", add_model()[:-30], r"is damaged|not an ONNX model")
    case("no graph", number(1, 8) + chunk(8, number(2, 18)), r"no graph")
    case("another program's file", b"\x7fELF" + bytes(range(256)), r"not an ONNX model")

    # The graph.
    case("cycle", model([node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"]), node("Exp", ["b"], ["y"])], X, Y), r"input 'b' is not .*node 'add'")
    case("self loop", model([node("Add", ["x", "y"], ["y"])], X, Y), r"input 'y' is not")
    case("dangling input", model([node("Add", ["x", "nowhere"], ["y"])], X, Y), r"input 'nowhere' is not an initializer, a graph input or the output of an earlier node")
    case("dangling output", model([node("Neg", ["x"], ["z"])], X, Y), r"'y'")
    case("defined twice", model([node("Neg", ["x"], ["y"]), node("Exp", ["x"], ["y"], "again")], X, Y), r"output 'y' is defined twice.*node 'again'")
    case("unsupported nodes, all named",
         model([node("Frobnicate", ["x"], ["a"], "first"), node("Defrobnicate", ["a"], ["y"], "second", domain="acme")], X, Y),
         r"unsupported operators, 2 nodes: Frobnicate \(node 'first'\), acme.Defrobnicate \(node 'second'\)")
    case("function that calls itself", model([node("F", ["x"], ["y"], domain="local")], X, Y,
                                             functions=[function("F", ["a"], ["b"], [node("F", ["a"], ["b"], domain="local")])]), r"calls itself or is nested")
    deep = graph([node("Neg", ["x"], ["d"])], [], [value("d", FLOAT, [])])
    for _ in range(150):
        deep = graph([node("If", ["b"], ["d"], then_branch=("graph", deep), else_branch=("graph", deep[:0] + graph([node("Neg", ["x"], ["d"])], [], [value("d", FLOAT, [])])))],
                     [], [value("d", FLOAT, [])])
    case("nested deeper than the stack", model([node("If", ["b"], ["y"], then_branch=("graph", deep), else_branch=("graph", deep))], X + [value("b", BOOL, [])], Y),
         r"(?s)error: ")
    case("too few inputs", model([node("Add", ["x"], ["y"])], X, Y), r"input 1 of Add is missing: the node has 1 inputs.*node 'add'")
    case("too few inputs, an empty name", model([node("Where", ["b", "", "x"], ["y"])], X + [value("b", BOOL, [])], Y), r"input 1 of Where is missing: the node has 3 inputs.*node 'where'")
    case("more outputs than the operator has", model([node("Neg", ["x"], ["z", "y"])], X, Y), r"Neg has 2 outputs: expected at most 1 in operator set 18 \(node 'neg'")
    case("no input at all", model([node("Concat", [], ["y"], axis=0)], X, Y), r"node 'concat'")
    case("input twice", model([node("Neg", ["x"], ["y"])], X + X, Y), r"'x'")

    # What fuzzers found.
    call = lambda inputs, f: model([node("F", inputs, ["y"], domain="local")], X, Y, functions=[f])
    case("function without the output it names", call(["x"], function("F", ["a"], ["b"], [node("Neg", ["a"], ["c"])])), r"function F has no output 0.*node 'f'")
    case("function whose input the call does not give", call([], function("F", ["x"], ["b"], [node("Neg", ["x"], ["b"])])), r"input 'x' is not .*node 'neg'")
    case("OneHot with two depths", model([node("OneHot", ["i", "d", "v"], ["y"])], [value("i", INT64, ["n"])], Y, [tensor("d", INT64, [2], ints=[4, 5]), tensor("v", FLOAT, [2], floats=[0, 1])]),
         r"expected one element for depth but got 2 \(node 'onehot'")
    indexed = lambda op, i, *more: model([node(op, ["x", "i", *more], ["y"], axis=2)], [value("x", FLOAT, [3, 4, 5]), value("i", INT64, i), *(value(u, FLOAT, [3, 4, 5]) for u in more)], Y)
    case("GatherElements with indices of another rank", indexed("GatherElements", [3, 4]), r"expected rank 3 of input 1 but got 2 \(node 'gatherelements'")
    case("ScatterElements with indices of another rank", indexed("ScatterElements", [3], "u"), r"expected rank 3 of input 1 but got 1 \(node 'scatterelements'")
    case("ScatterElements with updates of another shape", indexed("ScatterElements", [5, 4, 3], "u"), r"dimension 0 of indices and updates: expected 5 but got 3 \(node 'scatterelements'")
    case("LayerNormalization with statistics of no type", model([node("LayerNormalization", ["x", "w"], ["y", "m"], stash_type=0)], [value("x", FLOAT, [2, 4])], Y, [tensor("w", FLOAT, [4], floats=[1] * 4)]),
         r"unsupported stash_type 0 \(node 'layernormalization'")
    case("Resize of a region, antialiased", model([node("Resize", ["x", "r", "", "s"], ["y"], mode="linear", coordinate_transformation_mode="tf_crop_and_resize", antialias=1)], [value("x", FLOAT, [1, 1, 4, 4]), value("r", FLOAT, [8])], Y,
                                                  [tensor("s", INT64, [4], ints=[1, 1, 3, 3])]), r"unsupported antialias with tf_crop_and_resize \(node 'resize'")
    for i in (2, 3, 4):
        case(f"NonMaxSuppression with two numbers as input {i}", model([node("NonMaxSuppression", ["b", "s", *["" if k < i else "two" for k in range(2, i + 1)]], ["y"])],
                                                                       [value("b", FLOAT, [1, 6, 4]), value("s", FLOAT, [1, 1, 6]), value("two", INT64 if i == 2 else FLOAT, [2])], Y), r"elements of a reshape.*\(node 'nonmaxsuppression'")
    case("Scan-8 over numbers without a batch", model([node("Scan", ["", "x"], ["y"], num_scan_inputs=1, body=("graph", graph([node("Neg", ["e"], ["o"])], [value("e", FLOAT, [])], [value("o", FLOAT, [])])))], [value("x", FLOAT, [])], Y, opset=8),
         r"error: .*\(node 'scan'")
    case("Split into other numbers of outputs than the node has", model([node("Split", ["x"], ["y", "z"], num_outputs=3)], [value("x", FLOAT, [6])], Y), r"num_outputs is 3 but the node has 2 outputs \(node 'split'")
    case("attributes beyond 32 bits", model([node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[1 << 62, 1])], [value("x", FLOAT, [1, 1, 8, 8])], Y), r"attribute dilations is 4611686018427387904: expected a number of 32 bits \(node 'maxpool'")
    case("65 dimensions", model([node("Neg", ["x"], ["y"])], [value("x", FLOAT, [1] * 65)], Y), r"input 0 has 65 dimensions: at most 64 are supported \(node 'neg'")
    case("loss of targets of another rank", model([node("NegativeLogLikelihoodLoss", ["x", "t"], ["y"])], [value("x", FLOAT, [4]), value("t", INT64, [])], Y),
         r"expected scores of rank 2 or more.*node 'negativeloglikelihoodloss'")
    case("MaxUnpool of a vector", model([node("MaxUnpool", ["x", "i"], ["y"], kernel_shape=[2])], [value("x", FLOAT, [4]), value("i", INT64, [4])], Y), r"node 'maxunpool'")
    case("ReverseSequence along axis 7", model([node("ReverseSequence", ["x", "l"], ["y"], time_axis=7)], X + [value("l", INT64, ["n"])], Y), r"0 and 1 as batch_axis and time_axis.*node 'reversesequence'")
    case("Attention with caches of rank 1", model([node("Attention", ["q", "q", "q", "", "p", "p"], ["y"])], [value("q", FLOAT, [1, 2, 3, 4]), value("p", FLOAT, [4])], Y, opset=23),
         r"expected rank 4 of input 4 but got 1 \(node 'attention'")
    case("LSTM with a bias of rank 0", model([node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=2)], [value("x", FLOAT, [5, 1, 3]), value("b", FLOAT, [])], Y,
                                             [tensor("w", FLOAT, [1, 8, 3], floats=[0.1] * 24), tensor("r", FLOAT, [1, 8, 2], floats=[0.1] * 16)]), r"expected rank 2 of input 3 but got 0 \(node 'lstm'")
    case("GroupQueryAttention of a packed vector", model([node("GroupQueryAttention", ["x", "", "", "", "", "l", "t"], ["y"], domain="com.microsoft", num_heads=2, kv_num_heads=2)],
                                                         [value("x", FLOAT, [4]), value("l", INT32, [1])], Y, [tensor("t", INT32, [], raw=bytes(4))]), r"node 'groupqueryattention'")
    ms = lambda op, inputs, ranks, constants=(), **kw: model([node(op, inputs, ["y"], domain="com.microsoft", **kw)],
                                                             [value(k, FLOAT, [4] * r) for k, r in ranks.items()], Y, list(constants))
    case("BiasSplitGelu of scalars", ms("BiasSplitGelu", ["x", "b"], {"x": 0, "b": 0}), r"error: .*rank.* \(node 'biassplitgelu'")
    case("BiasSplitGelu that does not broadcast", model([node("BiasSplitGelu", ["x", "b"], ["y"], domain="com.microsoft")], [value("x", FLOAT, [2, 4]), value("b", FLOAT, [3])], Y),
         r"do not broadcast.* \(node 'biassplitgelu'")
    for rank in (0, 1, 4, 6):
        case(f"Attention with a past of rank {rank}", ms("Attention", ["x", "w", "", "", "p"], {"x": 3, "p": rank}, [tensor("w", FLOAT, [4, 12], floats=[0] * 48)], num_heads=1),
             r"expected a tensor of rank 5 but got rank %d \(node 'attention'" % rank)
    for rank in (0, 1, 2, 3, 5):
        case(f"MultiHeadAttention with a past of rank {rank}", ms("MultiHeadAttention", ["x", "x", "x", "", "", "", "p", "p"], {"x": 3, "p": rank}, num_heads=1),
             r"error: .*rank.* \(node 'multiheadattention'")
        case(f"MultiHeadAttention with values of rank {rank}", ms("MultiHeadAttention", ["x", "k", "v"], {"x": 3, "k": 4, "v": rank}, num_heads=1),
             r"expected query, key and value heads of rank 4 but got rank %d \(node 'multiheadattention'" % rank)
    case("MultiHeadAttention with a bias of rank 0", ms("MultiHeadAttention", ["x", "x", "x", "b"], {"x": 3, "b": 0}, num_heads=1), r"\(node 'multiheadattention'")
    case("RotaryEmbedding with caches of rank 0", model([node("RotaryEmbedding", ["x", "c", "c"], ["y"])], [value("x", FLOAT, [1, 2, 4]), value("c", FLOAT, [])], Y, opset=23),
         r"\(node 'rotaryembedding'")
    for rank in (0, 1):
        case(f"GroupQueryAttention with rotary caches of rank {rank}",
             model([node("GroupQueryAttention", ["x", "x", "x", "", "", "l", "t", "c", "c"], ["y"], domain="com.microsoft", num_heads=1, kv_num_heads=1, do_rotary=1)],
                   [value("x", FLOAT, [1, 2, 4]), value("l", INT32, [1]), value("c", FLOAT, [4] * rank)], Y, [tensor("t", INT32, [], raw=bytes(4))]),
             r"\(node 'groupqueryattention'")
    case("IsAllFinite without a second tensor", model([node("IsAllFinite", ["x", ""], ["y"], domain="com.microsoft")], X, [value("y", BOOL, [])]),
         r"input 1 of com.microsoft.IsAllFinite is missing.*\(node 'isallfinite'")
    for missing in (5, 6):
        names = ["s", "z", "q", "s", "z", "q", "s", "z"]
        names[missing] = ""
        case(f"QLinearConcat without input {missing}", model([node("QLinearConcat", names, ["y"], domain="com.microsoft", axis=0)], [value("q", INT8, [4])], [value("y", INT8, [8])],
                                                             [tensor("s", FLOAT, [], floats=[1]), tensor("z", INT8, [], raw=bytes(1))]),
             r"input %d of QLinearConcat is missing \(node 'qlinearconcat'" % missing)
    step = graph([node("Add", ["a", "e"], ["a2"])], [value("a", FLOAT, []), value("e", FLOAT, [])], [value("a2", FLOAT, [])])
    for names in (["", "x"], ["s", ""]):
        case(f"Scan of {names}", model([node("Scan", names, ["y"], num_scan_inputs=1, body=("graph", step))], [value("x", FLOAT, [4]), value("s", FLOAT, [])], [value("y", FLOAT, [])]),
             r"input [01] of Scan is missing.*\(node 'scan'")
    case("MeanVarianceNormalization along an axis twice", model([node("MeanVarianceNormalization", ["x"], ["y"], axes=[1, -1])], X, Y),
         r"axis -1 is given twice \(node 'meanvariancenormalization'")
    case("QGemm of transposed vectors", model([node("QGemm", ["q", "s", "z", "q", "s", "z"], ["y"], domain="com.microsoft", transA=1, transB=1)], [value("q", INT8, [4])], Y,
                                              [tensor("s", FLOAT, [], floats=[1]), tensor("z", INT8, [], raw=bytes(1))]), r"\(node 'qgemm'")
    for rank in (0, 1, 2):
        case(f"QLinearGlobalAveragePool of rank {rank}", model([node("QLinearGlobalAveragePool", ["q", "s", "z", "s", "z"], ["y"], domain="com.microsoft", channels_last=1)],
                                                               [value("q", INT8, [4] * rank)], Y, [tensor("s", FLOAT, [], floats=[1]), tensor("z", INT8, [], raw=bytes(1))]),
             r"got rank %d \(node 'qlinearglobalaveragepool'" % rank)
    case("InstanceNormalization of a vector", model([node("InstanceNormalization", ["x", "w", "w"], ["y"])], [value("x", FLOAT, [4])], Y, [W]), r"rank 1 \(node 'instancenormalization'")
    case("Range of more elements than can be counted", model([node("Range", ["a", "b", "c"], ["y"])], [], Y, [tensor(k, FLOAT, [], floats=[v]) for k, v in (("a", 0), ("b", 1e30), ("c", 1e-30))]),
         r"more elements than 64 bits can count \(node 'range'")

    # Types and shapes.
    case("wrong dtype", model([node("Add", ["x", "i"], ["y"])], X, Y, [tensor("i", INT64, [4], ints=[1, 2, 3, 4])]), r"node 'add'")
    case("strings", model([node("Identity", ["x"], ["y"])], [value("x", STRING, [2])], [value("y", STRING, [2])]), r"string")
    case("an unknown dtype", model([node("Identity", ["x"], ["y"])], [value("x", 99, [2])], [value("y", 99, [2])]), r"type 99|element type")
    case("negative dimension of an input", model([node("Neg", ["x"], ["y"])], [value("x", FLOAT, [-3, 4])], Y), r"-3")
    case("negative dimension of a weight", model([node("Add", ["x", "w"], ["y"])], X, Y, [tensor("w", FLOAT, [-4], floats=[1, 2, 3, 4])]), r"'w'.*-4")
    case("weight larger than its bytes", model([node("Add", ["x", "w"], ["y"])], X, Y, [tensor("w", FLOAT, [400], floats=[1, 2])]),
         r"'w': expected 1600 bytes for 400 elements of float but got 8")
    case("weight of 2^63 elements", model([node("Add", ["x", "w"], ["y"])], X, Y, [tensor("w", FLOAT, [1 << 31, 1 << 32], floats=[1])]), r"'w': too many elements")
    case("shapes that do not broadcast", model([node("Add", ["x", "w"], ["y"])], [value("x", FLOAT, [2, 3])], Y, [W]), r"node 'add'")
    case("factors that do not fit", model([node("MatMul", ["x", "w"], ["y"])], [value("x", FLOAT, [2, 3])], Y, [tensor("w", FLOAT, [4, 4], floats=range(16))]), r"node 'matmul'")
    case("reshape to another number of elements", model([node("Reshape", ["x", "s"], ["y"])], [value("x", FLOAT, [2, 4])], [value("y", FLOAT, [3, 3])],
                                                        [tensor("s", INT64, [2], ints=[3, 3])]), r"node 'reshape'")
    case("concatenation of ranks", model([node("Concat", ["x", "w"], ["y"], axis=0)], X, Y, [W]), r"node 'concat'")

    # Attributes.
    image = [value("x", FLOAT, [1, 2, 8, 8])]
    k = tensor("k", FLOAT, [3, 2, 3, 3], floats=[0] * 54)
    for name, attributes in {"axis of softmax": ("Softmax", dict(axis=7)), "axis of gather": ("Gather", dict(axis=-9)),
                             "permutation": ("Transpose", dict(perm=[0, 0])), "permutation's length": ("Transpose", dict(perm=[0, 1, 2])),
                             "axis of concat": ("Concat", dict(axis=1 << 40)), "type of cast": ("Cast", dict(to=77)),
                             "axis of flatten": ("Flatten", dict(axis=5))}.items():
        op, kw = attributes
        inputs = ["x", "i"] if op == "Gather" else ["x"]
        case("attribute out of range: " + name, model([node(op, inputs, ["y"], **kw)], X, [value("y", FLOAT, [])], [tensor("i", INT64, [1], ints=[0])]), rf"node '{op.lower()}'")
    for name, kw in {"zero stride": dict(strides=[0, 0]), "negative pads": dict(pads=[-9, -9, -9, -9]), "groups": dict(group=5), "no groups": dict(group=0),
                     "kernel": dict(kernel_shape=[0, 3]), "huge dilation": dict(dilations=[1 << 62, 1 << 62]), "three strides": dict(strides=[1, 1, 1]),
                     "auto_pad": dict(auto_pad="SIDEWAYS")}.items():
        case("convolution: " + name, model([node("Conv", ["x", "k"], ["y"], **kw)], image, [value("y", FLOAT, ["a", "b", "c", "d"])], [k]), r"node 'conv'")
    case("pool without a kernel", model([node("MaxPool", ["x"], ["y"])], image, [value("y", FLOAT, ["a", "b", "c", "d"])]), r"node 'maxpool'")
    case("split that does not add up", model([node("Split", ["x", "s"], ["y", "z"], axis=1)], X, Y, [tensor("s", INT64, [2], ints=[3, 3])]), r"node 'split'")
    case("einsum", model([node("Einsum", ["x"], ["y"], equation="ij,->k??")], X, Y), r"node 'einsum'")

    # External data.
    def external(**entries):
        return model([node("Add", ["x", "w"], ["y"])], X, Y, [tensor("w", FLOAT, [4], external=entries)])
    case("external file missing", external(location="weights.bin"), r"'w': cannot read external data 'weights.bin': No such file")
    case("external path leaves the folder", external(location="../../etc/passwd"), r"'w': external data '../../etc/passwd' lies outside the model's folder")
    case("external path absolute", external(location="/etc/passwd"), r"lies outside the model's folder")
    case("external data without a location", external(offset=0), r"'w': external data without a location")
    case("external offset no number", external(location="w.bin", offset="ten"), r"external offset 'ten' is not a number")

    def short_file(b):
        b.write("w.bin", struct.pack("<2f", 1, 2))
        b.write("bad.onnx", external(location="w.bin", offset=0, length=16))
        return b.run("ktc", "compile", "bad.onnx", "-o", "bad.ktm"), 1, r"'w.bin' has 8 bytes", "bad.ktm"
    custom("external file too short", short_file)

    def link(b):
        b.write("inside/bad.onnx", external(location="link.bin"))
        b.write("secret.bin", bytes(16))
        if not os.path.islink(b.path("inside/link.bin")):
            os.symlink("../secret.bin", b.path("inside/link.bin"))
        return b.run("ktc", "compile", "inside/bad.onnx", "-o", "bad.ktm"), 1, r"lies outside the model's folder", "bad.ktm"
    custom("external path through a link", link)

    # The command line and config.yaml.
    def good(name, message, *flags, status=2, files=()):
        def run(b):
            b.write("good.onnx", add_model())
            for file, text in files:
                b.write(file, text)
            return b.run("ktc", "compile", "good.onnx", "-o", "bad.ktm", *flags), status, message, "bad.ktm"
        out.append(("ktc " + name, run))
    good("unknown target", r"unknown target 'sm_1'", "--target", "sm_1")
    good("bad dimension range", r"expected 0 <= LO <= HI but got 'n=8..2'", "--dim", "n=8..2")
    good("bad dimension", r"expected NAME=N or NAME=LO..HI but got 'n'", "--dim", "n")
    good("dimension that does not exist", r"--dim names 'nothing', but the model's dimensions are: n", "--dim", "nothing=3", status=1)
    good("bad size", r"expected a size such as 20GB or 512MiB but got 'lots'", "--max-slice-mem", "lots")
    good("size of 2^70", r"expected a size", "--max-slice-mem", "2000000000000GB")
    good("config missing", r"cannot read 'none.yaml'", "--config", "none.yaml", status=1)
    for name, text, message in [
            ("unknown key", "execution:\n  dynamic_batches: true\n", r"'c.yaml' line 2: unknown key 'execution.dynamic_batches', expected dynamic_batching, max_slice_mem, quant_min_snr or tensor_core_priority"),
            ("unknown section", "exection:\n  dynamic_batching: true\n", r"'c.yaml' line 1: unknown key 'exection'"),
            ("bad boolean", "execution:\n  dynamic_batching: perhaps\n", r"execution.dynamic_batching: expected true or false but got 'perhaps'"),
            ("bad size", "execution:\n  max_slice_mem: 20XB\n", r"execution.max_slice_mem: expected a size"),
            ("bad priority", "execution:\n  tensor_core_priority: urgent\n", r"expected low, normal or high but got 'urgent'"),
            ("no yaml", "execution: [\n", r"'c.yaml'"),
            ("a list", "- execution\n", r"expected a map"),
            ("list for a value", "execution:\n  max_slice_mem: [1, 2]\n", r"expected one value")]:
        good("config.yaml: " + name, message, "--config", "c.yaml", files=[("c.yaml", text)])

    # Writing.
    def written(name, message, output, **kw):
        def run(b):
            b.write("good.onnx", add_model())
            return b.run("ktc", "compile", "good.onnx", "-o", output, **kw), 1, message
        out.append(("ktc " + name, run))
    written("output folder missing", r"none/bad.ktm", "none/bad.ktm")

    def full_device(b):
        # Through a link: if a program replaced what it should only write to, the link would go, not the machine's device.
        b.write("good.onnx", add_model())
        link = b.full_device()
        r = b.run("ktc", "compile", "good.onnx", "-o", "full")
        return r, 1 if os.path.islink(link) else "link", r"cannot write 'full': No space left on device"
    custom("full device", full_device)

    def full_device_text(b):
        b.write("good.onnx", add_model())
        b.full_device()
        return b.run("ktc", "compile", "good.onnx", "-o", "full", "--compile-to=import"), 1, r"cannot write 'full': No space left on device"
    custom("full device, text", full_device_text)

    def full_disk(b):
        b.write("good.onnx", add_model())
        b.write("old.ktm", "precious")
        r = b.run("ktc", "compile", "good.onnx", "-o", "old.ktm", file_bytes=4096)
        kept = open(b.path("old.ktm")).read() == "precious" and not [f for f in os.listdir(b.dir) if f.startswith("old.ktm") and f != "old.ktm" or f.startswith(".old")]
        return r, 1 if kept else 99, r"cannot write 'old.ktm': File too large"
    custom("full disk keeps the old file", full_disk)
    return out
