//===- KTOps.td - the operators of the kt dialect -------------------------===//
#ifndef KT_OPS
#define KT_OPS

include "dialects/KT/IR/KTBase.td"
include "dialects/KT/IR/KTInterfaces.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class KT_Op<string mn, list<Trait> traits = []> : Op<KT_Dialect, mn, traits>;

/// A computation: becomes one kernel. Its regions are isolated: they see the operands as block arguments. `says` are the methods of the interface
/// that are not as most have them.
class KT_ComputeOp<string mn, list<string> says = [], list<Trait> traits = []>
    : KT_Op<mn, !listconcat([Pure, IsolatedFromAbove, DeclareOpInterfaceMethods<KT_ComputeOpInterface, says>], traits)> {
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Structured
//===----------------------------------------------------------------------===//

def KT_GenericOp : KT_ComputeOp<"generic", ["bodies"]> {
  let summary = "Computes each element of the result with a scalar body";
  let description = [{
    The body's arguments are the operands, in order, then one `index` a result dimension. It reads operands with `kt.read` at any computed
    index and yields the element. Elementwise work, broadcast, transposition, slices, padding, concatenation, gathers and resizing are all
    of this form and fuse by inlining.

    ```mlir
    %r = kt.generic ins(%x, %b : !kt.tensor<[n, 8] x f32>, !kt.tensor<[8] x f32>) -> !kt.tensor<[n, 8] x f32> {
    ^bb0(%X: !kt.tensor<[n, 8] x f32>, %B: !kt.tensor<[8] x f32>, %i: index, %j: index):
      %0 = kt.read %X[%i, %j] : !kt.tensor<[n, 8] x f32>
      %1 = kt.read %B[%j] : !kt.tensor<[8] x f32>
      %2 = arith.addf %0, %1 : f32
      kt.yield %2 : f32
    }
    ```
  }];
  let arguments = (ins Variadic<KT_SymTensorType>:$inputs);
  let results = (outs KT_SymTensorType:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "(`ins` `(` $inputs^ `:` type($inputs) `)`)? attr-dict `->` type($result) $body";
}

def KT_UpdateOp : KT_ComputeOp<"update", ["bodies"]> {
  let summary = "Computes a window of a tensor, whose other elements stay as they are in memory";
  let description = [{
    As kt.generic, for the elements whose index along dimension `axis` is `from` to `from + count - 1`. The body's index of that dimension counts from
    the window's begin. A second yielded value, an index that is the same for all elements of a row along the last dimension, moves an element further along `axis`; what
    would lie outside is not stored.

    It makes what a graph returns in place of an argument (`kt.tied`). Where a session keeps both in one piece of memory, the other elements are there
    already; where not, the window is all there is. Both are said by one expression, of the symbol `@capacity` (see kt.capacity), so that one kernel serves both.

    ```mlir
    %r = kt.update axis 1 from <select(eq(0, @capacity), 0, past)> count <select(eq(0, @capacity), past + seq, seq)> ins(..) -> !kt.tensor<[b, c, 64] x f16> {..}
    ```
  }];
  let arguments = (ins Variadic<KT_SymTensorType>:$inputs, I64Attr:$axis, KT_ExprAttr:$from, KT_ExprAttr:$count);
  let results = (outs KT_SymTensorType:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`axis` $axis `from` $from `count` $count (`ins` `(` $inputs^ `:` type($inputs) `)`)? attr-dict `->` type($result) $body";
  let extraClassDeclaration = [{
    /// How many elements of each dimension are computed.
    ::llvm::SmallVector<::kt::Expr> window();
  }];
}

def KT_ReduceOp : KT_ComputeOp<"reduce", ["bodies", "epilogueRegion", "mayNarrow"]> {
  let summary = "Combines the elements of a reduction space for each element of the result";
  let description = [{
    `body` arguments: operands, result indices, reduction indices (one `index` an extent); it yields the element to combine. `epilogue`
    arguments: the combined value, operands, result indices; it yields the result's element. The combined value has the type that the body
    yields; for argmax and argmin it is the i64 row-major number of the first (last with `select_last`) winner. An empty reduction space gives the
    neutral element. Floating-point sums may be reassociated. NaN wins max and min.
  }];
  let arguments = (ins Variadic<KT_SymTensorType>:$inputs, KT_ReduceKindAttr:$kind,
                       KT_ExprArrayAttr:$extents, UnitAttr:$select_last);
  let results = (outs KT_SymTensorType:$result);
  let regions = (region SizedRegion<1>:$body, SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $kind `over` $extents (`ins` `(` $inputs^ `:` type($inputs) `)`)? attr-dict `->` type($result) $body `epilogue` $epilogue
  }];
}

def KT_NormalizeOp : KT_ComputeOp<"normalize", ["bodies", "epilogueRegion"]> {
  let summary = "Softmax and mean/variance norms over the trailing dimensions";
  let description = [{
    `body` arguments: operands, one `index` a result dimension; it yields x (f32, or f64). Over the last `axes` dimensions y is
    softmax: exp(x - max) / sum(exp(x - max)); log_softmax: x - max - log(sum); layer: (x - mean) / sqrt(var + epsilon);
    rms: x / sqrt(mean(x^2) + epsilon). `epilogue` arguments: y, operands, indices; it yields the result's element.
  }];
  let arguments = (ins Variadic<KT_SymTensorType>:$inputs, KT_NormKindAttr:$kind, I64Attr:$axes,
                       F64Attr:$epsilon);
  let results = (outs KT_SymTensorType:$result);
  let regions = (region SizedRegion<1>:$body, SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $kind (`ins` `(` $inputs^ `:` type($inputs) `)`)? attr-dict `->` type($result) $body `epilogue` $epilogue
  }];
}

//===----------------------------------------------------------------------===//
// Named
//===----------------------------------------------------------------------===//

def KT_MatmulOp : KT_ComputeOp<"matmul", ["bodies", "numFactors", "epilogueRegion"]> {
  let summary = "A contraction: result[b.., m, n] = sum over k of lhs * rhs";
  let description = [{
    `maps` holds three projected permutations over the iteration space (b.., m, n, k): from it to lhs, rhs and result indices. Batch dimensions may
    be missing from an operand (broadcast). A factor is its operand seen through its entry of `views`, where there are any. The result map has every dimension but k; each result position is one of them. The extents of the
    iteration space follow from the result type and, for k, from `depth`. Accumulates in f32 (f64 for f64, i32 for integers, i64 for those of more than 32 bits). Integers
    of less than 32 bits are widened, each side by its own sign, and sums wrap around.

    With `packed`, rhs is a weight of shape [n ceildiv 16, k, 16] (one batch of weights shared by all; zero-padded), in any element type that
    converts to the accumulator's (f32, f16, bf16, i8); the rhs map is then unused, (b.., m, n, k) -> (n, k).

    Packed weights may be those of several products of one lhs, `parts`: their panels take turns, [n ceildiv 16 * parts, k, 16], and the epilogue makes
    one element of the sums that all parts have at its position, as in silu(x w0) * (x w1).

    Packed weights of few bits are `blocks`, [n ceildiv 16 * parts, k ceildiv group, bytes of a block] of bytes. Factors are the weights that they stand for, each in
    the accumulator's precision or in that of lhs.

    With `int8_rows` a row of lhs may be rounded to integers of 8 bits: its largest magnitude is 127 steps, and integers are multiplied. Weights are blocks of 8 bits without
    zero points then, and all blocks of a column have one scale.

    `epilogue` arguments: an accumulator for each part, `extras`, result indices; it yields the result's element.
  }];
  let arguments = (ins KT_SymTensorType:$lhs, KT_SymTensorType:$rhs, Variadic<KT_SymTensorType>:$extras,
                       AffineMapArrayAttr:$maps, KT_ExprAttr:$depth, UnitAttr:$packed, OptionalAttr<KT_ViewArrayAttr>:$views,
                       DefaultValuedAttr<I64Attr, "1">:$parts, OptionalAttr<KT_BlocksAttr>:$blocks, UnitAttr:$int8_rows);
  let results = (outs KT_SymTensorType:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $lhs `,` $rhs (`extras` `(` $extras^ `:` type($extras) `)`)? attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)
    `epilogue` $epilogue
  }];
  let extraClassDeclaration = [{
    /// Batch dimensions of the iteration space (b.., m, n, k).
    int64_t numBatch() { return getMap(0).getNumDims() - 3; }
    ::mlir::AffineMap getMap(unsigned i);
    /// Extent of an iteration dimension; k is `depth`.
    ::kt::Expr extent(unsigned dim);
    /// The accumulator's type: what the epilogue's first argument is.
    ::mlir::Type accumulatorType();
  }];
}

def KT_ConvOp : KT_ComputeOp<"conv", ["bodies", "numFactors", "epilogueRegion"]> {
  let summary = "A convolution over channels-last tensors with 1 to 3 spatial dimensions";
  let description = [{
    input [n, spatial.., c], weights packed [groups, (o/groups) ceildiv 16, taps, c/groups, 16] (zero-padded; taps row-major over `kernel`), result
    [n, spatial.., o]. The input index along a spatial dimension is (out * stride - pad + tap * dilation), an input position if it is inside and,
    with input dilation d (transposed convolution), divisible by d: then the position is that quotient. Outside is zero. The input is then
    seen as stretched to (size - 1) * d + 1. `pads` holds the leading padding, an expression a spatial dimension; the trailing one follows from
    the result's size. With `views`, the input is its operand seen through their one entry. `epilogue` arguments: the f32 (i32 for integers) sum, `extras`, result indices; it yields the result's element.
  }];
  let arguments = (ins KT_SymTensorType:$input, KT_SymTensorType:$weights, Variadic<KT_SymTensorType>:$extras,
                       DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
                       DenseI64ArrayAttr:$input_dilations, KT_ExprArrayAttr:$pads, I64Attr:$groups,
                       OptionalAttr<KT_ViewArrayAttr>:$views);
  let results = (outs KT_SymTensorType:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $input `,` $weights (`extras` `(` $extras^ `:` type($extras) `)`)? attr-dict `:` type($input) `,` type($weights) `->` type($result)
    `epilogue` $epilogue
  }];
  let extraClassDeclaration = [{
    ::mlir::Type accumulatorType();
    /// The input as it is seen: its operand's type where there is no view.
    ::kt::SymTensorType inputType();
    /// One channel and one output a group: the groups are the columns of the packed panels.
    bool isDepthwise() { return getGroups() > 1 && ::kt::Expr(getWeights().getType().getDims()[0]).isConstant(1); }
  }];
}

def KT_AttentionOp : KT_ComputeOp<"attention", ["bodies", "numFactors"]> {
  let summary = "softmax(score(q k^T)) v, never materialising the scores";
  let description = [{
    `maps` are four projected permutations: (b, h, i, d) -> query indices, (b, g, j, d) -> key indices, (b, g, j, e) -> value indices,
    (b, h, i, e) -> result indices, with g = h floordiv `group`; query, key and value are their operands seen through `views`, where there are any. `sizes` holds the expressions of b, h, i, j, d, e. The `score` region's
    arguments: the f32 product q.k, `extras`, and the indices b, h, i, j; it yields the f32 score (scale, masks and biases are in it).
    With a `sink`, whose arguments are `extras` and the indices b, h, i, each row's softmax has one score more than there are keys, the f32 that the region
    yields: it adds to the sum that all are divided by, and there is no value for it.
    A row whose scores (the sink is one) are all minus infinity gives zeros with `zero_empty`, else NaN; without keys (j = 0) all rows are zeros.
    Row i sees the keys i + `span_from` <= j < i + `span_to`, where these are given: the scores of others are minus infinity, whatever the region yields.
    With `span_low` they are what the region yields, which is below -1e30: nothing beside a score above -1e29, but a row without one is made of all keys.
    With `scales`, whose arguments are `extras` and the indices b, g, j, keys and values are integers of 8 bits: the region yields two f32, what key j's elements
    and value j's are multiplied with. Each is read from one of `extras` at these indices, in any order, and 0. Query and result are of floating-point types.
  }];
  let arguments = (ins KT_SymTensorType:$query, KT_SymTensorType:$key, KT_SymTensorType:$value, Variadic<KT_SymTensorType>:$extras,
                       AffineMapArrayAttr:$maps, KT_ExprArrayAttr:$sizes, I64Attr:$group, UnitAttr:$zero_empty,
                       OptionalAttr<KT_ViewArrayAttr>:$views, OptionalAttr<KT_ExprAttr>:$span_from,
                       OptionalAttr<KT_ExprAttr>:$span_to, UnitAttr:$span_low);
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$query, "::mlir::Value":$key, "::mlir::Value":$value,
                                 "::mlir::ValueRange":$extras, "::mlir::ArrayAttr":$maps, "::mlir::ArrayAttr":$sizes, "::mlir::IntegerAttr":$group,
                                 "::mlir::UnitAttr":$zero_empty, "::mlir::ArrayAttr":$views), [{
    build($_builder, $_state, result, query, key, value, extras, maps, sizes, group, zero_empty, views, nullptr, nullptr, nullptr);
  }]>];
  let results = (outs KT_SymTensorType:$result);
  let regions = (region SizedRegion<1>:$score, MaxSizedRegion<1>:$sink, MaxSizedRegion<1>:$scales);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`extras` `(` $extras^ `:` type($extras) `)`)? attr-dict
    `:` type($query) `,` type($key) `,` type($value) `->` type($result) `score` $score (`sink` $sink^)? (`scales` $scales^)?
  }];
  let extraClassDeclaration = [{
    /// The number of indices that a region of it has.
    unsigned numIndices(::mlir::Region &region) { return &region == &getScore() ? 4 : 3; }
    /// Where the scales of keys (0) or values (1) are: the number among `extras`, and the dimension of it that b, g and j run along.
    struct Scales {
      unsigned extra = 0;
      std::array<unsigned, 3> dims = {};
    };
    Scales scalesOf(unsigned which);
  }];
}

def KT_SortOp : KT_ComputeOp<"sort"> {
  let summary = "The first k elements of each row of the last dimension, in order";
  let description = [{
    Values and their i64 positions; equal elements keep their order (the lower position first). `descending` sorts the largest first. NaN counts as
    larger than every number. k is the results' last dimension.
  }];
  let arguments = (ins KT_SymTensorType:$input, BoolAttr:$descending);
  let results = (outs KT_SymTensorType:$values, KT_SymTensorType:$indices);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($values) `,` type($indices)";
}

def KT_ScanOp : KT_ComputeOp<"scan"> {
  let summary = "Cumulative sum or product along the last dimension";
  let description = [{ `exclusive` leaves an element out of its own sum; `reverse` goes from the last to the first. At least one dimension. }];
  let arguments = (ins KT_SymTensorType:$input, KT_ReduceKindAttr:$kind, UnitAttr:$exclusive, UnitAttr:$reverse);
  let results = (outs KT_SymTensorType:$result);
  let assemblyFormat = "$kind $input attr-dict `:` type($input) `->` type($result)";
}

def KT_ScatterOp : KT_ComputeOp<"scatter"> {
  let summary = "A copy of `base` with `updates` combined in at `indices`";
  let description = [{
    `indices` is [rows, depth] of i64 and addresses the first `depth` dimensions of base, seen with them as they are; `updates` is
    [rows, rest..] with the remaining dimensions of base. Negative indices count from the end; others out of range are ignored, and with a `site` (see
    kt.bounded) fail the run as well. For `assign`, a later row wins over an earlier one.
  }];
  let arguments = (ins KT_SymTensorType:$base, KT_SymTensorType:$indices, KT_SymTensorType:$updates, KT_ScatterKindAttr:$kind,
                       OptionalAttr<I64Attr>:$site);
  let results = (outs KT_SymTensorType:$result);
  let assemblyFormat = [{
    $kind $base `,` $indices `,` $updates attr-dict `:` type($base) `,` type($indices) `,` type($updates) `->` type($result)
  }];
}

def KT_NonzeroOp : KT_ComputeOp<"nonzero"> {
  let summary = "Row-major positions of the true elements of a flat i1 tensor, and how many there are";
  let description = [{
    input [n] x i1; positions [n] x i64 (the first `count` are set, the rest is zero); count [1] x i64.
  }];
  let arguments = (ins KT_SymTensorType:$input);
  let results = (outs KT_SymTensorType:$positions, KT_SymTensorType:$count);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($positions) `,` type($count)";
}

def KT_SuppressOp : KT_ComputeOp<"suppress"> {
  let summary = "The best boxes of each class that overlap no better one";
  let description = [{
    boxes [b, n, 4] and scores [b, c, n] of f32; most [1] x i64; overlap and, where there is one, least [1] x f32. For each (b, c), boxes whose score is
    above `least` (all without it) are taken in the order of falling scores (NaN first; of equal ones the lower number), and a box is selected
    unless its intersection over union with a selected one is above `overlap`, until there are `most`. Boxes are two opposite corners (y, x, y, x) in any
    order, or with `centred` (x, y, width, height). selected [b, c, k] x i64: numbers of boxes, zeros after the last; at most k are
    selected; count [b, c] x i64.
  }];
  let arguments = (ins KT_SymTensorType:$boxes, KT_SymTensorType:$scores, KT_SymTensorType:$most, KT_SymTensorType:$overlap,
                       Optional<KT_SymTensorType>:$least, UnitAttr:$centred);
  let results = (outs KT_SymTensorType:$selected, KT_SymTensorType:$count);
  let assemblyFormat = [{
    $boxes `,` $scores `,` $most `,` $overlap (`above` $least^ `:` type($least))? attr-dict
    `:` type($boxes) `,` type($scores) `,` type($most) `,` type($overlap) `->` type($selected) `,` type($count)
  }];
}

//===----------------------------------------------------------------------===//
// Structural
//===----------------------------------------------------------------------===//

def KT_ConstantOp : KT_Op<"constant", [Pure, ConstantLike]> {
  let summary = "Bytes known at compile time";
  let description = [{
    `value` is a resource of bytes (little-endian, row-major, one element of sub-byte types a byte). `name` is the ONNX initializer's, for
    people. `looked_up`: all who read it read what data says, such as rows of an embedding, so a run reads a part of it.
  }];
  let arguments = (ins ElementsAttr:$value, OptionalAttr<StrAttr>:$name, UnitAttr:$looked_up);
  let results = (outs KT_SymTensorType:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// All of them, in memory from then on: of large constants rather `contents`.
    ::llvm::ArrayRef<char> bytes();
    ::kt::ConstantBytes contents();
  }];
}

def KT_ReshapeOp : KT_Op<"reshape", [Pure]> {
  let summary = "The same bytes under other dimensions";
  let arguments = (ins KT_SymTensorType:$source);
  let results = (outs KT_SymTensorType:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def KT_DequantizeOp : KT_Op<"dequantize", [Pure]> {
  let summary = "What weights of few bits stand for";
  let description = [{
    Element [i, k] of the result is (number k of row i - zero point) * scale, in single precision and then in the result's type, with the scale and the zero point
    of the group of k's. Rows are bytes, [n, k ceildiv group, group * bits / 8]: number k of a row is the `bits` bits from k * bits on, the lowest first.
    `scales` and `zeros` are [n, k ceildiv group]; without zeros they are 2^(bits - 1). It is how weights come from a model; products take them as `blocks`, and what
    else reads them gets a constant.

    ```mlir
    %w = kt.dequantize %q, %scales {bits = 4 : i64, group = 32 : i64} : <[64, 4, 16] x ui8>, <[64, 4] x f16> -> <[64, 128] x f16>
    ```
  }];
  let arguments = (ins KT_SymTensorType:$numbers, KT_SymTensorType:$scales, Optional<KT_SymTensorType>:$zeros, I64Attr:$bits,
                       I64Attr:$group);
  let results = (outs KT_SymTensorType:$result);
  let assemblyFormat = [{
    $numbers `,` $scales (`zeros` $zeros^ `:` type($zeros))? attr-dict `:` type($numbers) `,` type($scales) `->` type($result)
  }];
  let extraClassDeclaration = [{
    /// How a product has these weights.
    ::kt::BlocksAttr blocks();
  }];
  let hasVerifier = 1;
}

def KT_CapacityOp : KT_Op<"capacity", [Pure]> {
  let summary = "The same memory with another extent of one dimension";
  let description = [{
    A tensor that a session keeps has room for more than it holds: `@capacity` elements along the dimension that grows. `@capacity` is 0 for a session
    that keeps nothing, where a tensor is as large as what it holds. Elements beyond the smaller of both extents are not read.

    ```mlir
    %0 = kt.capacity %past : <[b, past, 64] x f16> -> <[b, select(eq(0, @capacity), past, @capacity), 64] x f16>
    ```
  }];
  let arguments = (ins KT_SymTensorType:$source);
  let results = (outs KT_SymTensorType:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def KT_ItemOp : KT_Op<"item"> {
  let summary = "Binds a symbol to an integer element of a tensor, waiting for the device";
  let description = [{ `kt.item %t[3] as "?n" : !kt.tensor<[4] x i64>`. The symbol is known from here on. }];
  let arguments = (ins KT_SymTensorType:$source, I64Attr:$index, StrAttr:$symbol);
  let assemblyFormat = "$source `[` $index `]` `as` $symbol attr-dict `:` type($source)";
  let hasVerifier = 1;
}

def KT_AssertOp : KT_Op<"assert"> {
  let summary = "The run fails unless two expressions are equal";
  let description = [{
    Sides that are never equal are allowed: in a branch they say that no run takes it.
  }];
  let arguments = (ins KT_ExprAttr:$lhs, KT_ExprAttr:$rhs, StrAttr:$message);
  let assemblyFormat = "$lhs `equals` $rhs `,` $message attr-dict";
}

def KT_IfOp : KT_Op<"if", [RecursiveMemoryEffects, NoRegionArguments, SingleBlock]> {
  let summary = "One of two regions, by an expression";
  let description = [{
    Regions may use values from outside. Where the branches yield different dimensions, the result's type has fresh symbols for them, set by the
    branch taken: `symbols` names them and `then_sizes`, `else_sizes` say their values.
  }];
  let arguments = (ins KT_ExprAttr:$condition, StrArrayAttr:$symbols, KT_ExprArrayAttr:$then_sizes, KT_ExprArrayAttr:$else_sizes);
  let results = (outs Variadic<KT_SymTensorType>:$results);
  let regions = (region SizedRegion<1>:$then_region, SizedRegion<1>:$else_region);
  let assemblyFormat = "$condition attr-dict (`->` type($results)^)? `then` $then_region `else` $else_region";
  let hasVerifier = 1;
}

def KT_LoopOp : KT_Op<"loop", [RecursiveMemoryEffects, SingleBlock]> {
  let summary = "Repeats a region";
  let description = [{
    Runs while the iteration number is below `trips` (absent: no bound) and `condition`, evaluated before each iteration, is not zero (absent: always).
    The region's arguments are the carried values; it yields their next values, then one piece for each scan output. Inside, the
    symbol `induction` is the iteration number. Results: the carried values, then the scan outputs, [iterations, piece..]; `iterations` names
    the symbol that is set afterwards. A carried value whose dimensions change has symbols of its own in its type: `symbols` names them,
    `first_sizes` and `next_sizes` give their values before the first and after each iteration (condition may be among them).
    `reverse` lists, a boolean a scan output, whether pieces are stored from last to first.
  }];
  let arguments = (ins Variadic<KT_SymTensorType>:$inits, OptionalAttr<KT_ExprAttr>:$trips, OptionalAttr<KT_ExprAttr>:$condition,
                       StrAttr:$induction, StrAttr:$iterations, StrArrayAttr:$symbols, KT_ExprArrayAttr:$first_sizes,
                       KT_ExprArrayAttr:$next_sizes, DenseBoolArrayAttr:$reverse);
  let results = (outs Variadic<KT_SymTensorType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "(`init` `(` $inits^ `:` type($inits) `)`)? attr-dict (`->` type($results)^)? `do` $body";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Inside bodies
//===----------------------------------------------------------------------===//

def KT_ReadOp : KT_Op<"read", [Pure, AttrSizedOperandSegments]> {
  let summary = "An element of a tensor";
  let description = [{
    `kt.read %x[%i, %j]` asks for indices inside; with `else %v`, the value where any index of the dimensions listed in `check` is outside (all when it
    is absent), and then the tensor is not touched.
  }];
  let arguments = (ins KT_SymTensorType:$tensor, Variadic<Index>:$indices, Optional<AnyType>:$otherwise,
                       OptionalAttr<DenseI64ArrayAttr>:$check);
  let results = (outs AnyType:$result);
  let builders = [
    OpBuilder<(ins "::mlir::Value":$tensor, "::mlir::ValueRange":$indices)>,
    OpBuilder<(ins "::mlir::Value":$tensor, "::mlir::ValueRange":$indices, "::mlir::Value":$otherwise)>];
  let assemblyFormat = "$tensor `[` $indices `]` (`else` $otherwise^ `:` type($otherwise))? attr-dict `:` type($tensor) `->` type($result)";
  let hasVerifier = 1;
}

def KT_SizeOp : KT_Op<"size", [Pure]> {
  let summary = "The value of an expression, as an index";
  let arguments = (ins KT_ExprAttr:$value);
  let results = (outs Index:$result);
  let builders = [OpBuilder<(ins "::kt::Expr":$value)>];
  let assemblyFormat = "$value attr-dict";
  let hasFolder = 1;
}

def KT_BoundedOp : KT_Op<"bounded", [NoMemoryEffect]> {
  let summary = "An index taken from data, in [0, limit)";
  let description = [{
    The value where it is inside; with `wraps`, a value in [-limit, 0) counts from the end. Anything else fails the run, which names the site, the
    value and the limit; what is computed until then goes on with an index that is inside (0 where `limit` is 0). Where `when` is false nothing is
    reported. Not speculatable: moved ahead of its `when` it would report what nobody reads.

    `site` is the number of an entry in the module's `kt.sites`; in a kernel, which several sites may share, it is the number of the integer
    parameter that holds it.

    ```mlir
    %j = kt.bounded %i below #kt.expr<rows> site 3 {wraps} : i64
    ```
  }];
  let arguments = (ins AnyTypeOf<[AnySignlessInteger, Index]>:$value, KT_ExprAttr:$limit, I64Attr:$site, Optional<I1>:$when, UnitAttr:$wraps);
  let results = (outs Index:$result);
  let assemblyFormat = "$value `below` $limit `site` $site (`when` $when^)? attr-dict `:` type($value)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def KT_YieldOp : KT_Op<"yield", [
    Pure, Terminator, ReturnLike,
    ParentOneOf<["GenericOp", "UpdateOp", "ReduceOp", "NormalizeOp", "MatmulOp", "ConvOp", "AttentionOp", "IfOp", "LoopOp", "KernelOp"]>]> {
  let summary = "Ends a region";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

def KT_KernelOp : KT_Op<"kernel", [Symbol, IsolatedFromAbove, SingleBlock]> {
  let summary = "One computation, shared by every launch that does the same";
  let description = [{
    It holds one compute op, or several that are computed together, and a yield of all results: a product and a norm of its rows, or of the rows that it reads; of one shape elementwise work and a norm of what
    it makes, reductions that share a pass; of any shapes elementwise work and windows beside one another. The body's arguments are the operands that none of them makes, in order; what an earlier one has as an operand too
    comes once. Every symbol in it is one of `params`, positional
    integer arguments p0, p1, ... `candidates` are the ways to run it, each target's best first, once the kernel is scheduled.
    `kt.pages` says by operand and then by result along which dimension it is a state that a session may keep in pages, or -1; such a kernel has code for both.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$params, OptionalAttr<KT_CandidateArrayAttr>:$candidates);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $params attr-dict-with-keyword `computes` $body";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The op that the kernel computes; of several the one that says how: the product, the norm of what elementwise work before it makes, the
    /// first reduction, the first window or else the first of what is beside one another.
    ::mlir::Operation *compute();
    /// All of them, in order.
    ::llvm::SmallVector<::mlir::Operation *> computes();
    /// Something in it has a site: it gets the run's fault record.
    bool reportsFaults();
  }];
}

def KT_LaunchOp : KT_Op<"launch", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs a kernel on tensors and integers";
  let description = [{
    `once`: what it computes follows from weights and from sizes of the graph's inputs, so that it need not be done in each run.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<KT_SymTensorType>:$inputs, KT_ExprArrayAttr:$ints, UnitAttr:$once);
  let results = (outs Variadic<KT_SymTensorType>:$results);
  let assemblyFormat = "$kernel (`ins` `(` $inputs^ `:` type($inputs) `)`)? `ints` $ints attr-dict `->` type($results)";
}

#endif
