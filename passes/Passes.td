//===- Passes.td - kt to kt passes ----------------------------------------===//
#ifndef KT_PASSES
#define KT_PASSES

include "mlir/Pass/PassBase.td"

def OutlineKernels : Pass<"kt-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Turns every computation into a launch of a shared kernel";
  let description = [{
    **Requires** compute ops anywhere in functions. **Guarantees** none is left there: each is a `kt.kernel` beside the functions and a `kt.launch`. In a
    kernel every symbolic size is a positional parameter, so computations that differ only in sizes' names share one. **Does not** look into
    what they compute. With `group` ops of one shape that share what they read or make
    become one kernel with several results: a norm joins the product or the elementwise work that makes its rows, reductions join the first of those that share a pass. So do
    elementwise work and windows, of any shapes, that do not read each other and between which nothing is checked or found out.

    ```mlir
    %r = kt.generic ins(%x : !kt.tensor<[batch, 8] x f32>) -> ...
    // becomes
    kt.kernel @generic_0 ["p0"] computes { ^bb0(%X: !kt.tensor<[p0, 8] x f32>): ... }
    %r = kt.launch @generic_0 ins(%x) ints [#kt.expr<batch>] -> ...
    ```
  }];
  let options = [Option<"group", "group", "bool", "false", "kernels may have several results">];
}

def MarkOnce : Pass<"kt-mark-once", "::mlir::ModuleOp"> {
  let summary = "Marks launches that depend on weights and sizes of inputs only";
  let description = [{
    **Requires** outlined kernels. **Guarantees** `once` on every top-level launch whose integers are sizes of inputs, whose operands are constants or
    results of such launches, and whose kernel reports no faults. **Does not** move anything, nor look into branches and loops.

    ```mlir
    %r = kt.launch @generic_0 ints [#kt.expr<seq>] -> !kt.tensor<[seq, seq] x f32>
    // becomes
    %r = kt.launch @generic_0 ints [#kt.expr<seq>] {once} -> !kt.tensor<[seq, seq] x f32>
    ```
  }];
}

def ScheduleKernels : Pass<"kt-schedule-kernels", "::mlir::ModuleOp"> {
  let summary = "Writes on each kernel the ways to run it that may win";
  let description = [{
    **Requires** outlined kernels. **Guarantees** `candidates` on each: for each target those of its family's ways (`passes/Scheduling/Menus.h`) that some
    launch of the module may be run fastest by, on a card with 16 to 256 multiprocessors, each with its guard and its cost
    (`passes/Analysis/CostModel.h`), and enough of them that every launch finds one. **Does not** change what is computed.

    ```mlir
    kt.kernel @matmul_0 ["p0"] computes { ... }
    // becomes
    kt.kernel @matmul_0 ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "mma" {...} splits <...> if <...> costs <...>>, ...]} computes { ... }
    ```
  }];
  let options = [
    ListOption<"targets", "targets", "std::string", "targets: sm_NN, host">,
    Option<"tensorCores", "tensor-cores", "::kt::TensorCorePriority", "::kt::TensorCorePriority::high", "which products run on tensor cores", [{
      ::llvm::cl::values(clEnumValN(::kt::TensorCorePriority::low, "low", "none"), clEnumValN(::kt::TensorCorePriority::normal, "normal", "many aligned rows"),
                         clEnumValN(::kt::TensorCorePriority::high, "high", "all"))}]>,
    Option<"variants", "variants", "::kt::Variants", "::kt::Variants::few", "how many candidates stay", [{
      ::llvm::cl::values(clEnumValN(::kt::Variants::one, "one", "one for all shapes"), clEnumValN(::kt::Variants::few, "few", "those that may win"),
                         clEnumValN(::kt::Variants::all, "all", "every one"))}]>,
    ListOption<"costModel", "cost-model", "int64_t", "numbers in place of those of TargetModel.cpp, as TargetModel::get takes them">];
}

def SolveSizes : Pass<"kt-solve-sizes", "::mlir::ModuleOp"> {
  let summary = "Takes what checks say of the inputs' sizes for granted";
  let description = [{
    **Requires** a graph as import leaves it. **Guarantees** that a symbol of an input that a top-level `kt.assert` pins to a number, or to other inputs'
    symbols, is written so in every type, that constant limits of one, or of a sum, stand in `kt.bounds`, and that a minimum, maximum or choice that a
    check decides is decided everywhere. Binding the inputs checks the first two, by the input's name; checks of the third kind come before all else. **Does not**
    look at checks in branches and loops, nor at numbers that only a run knows.

    ```mlir
    func.func @f(%x: !kt.tensor<[b, s] x f32>) ... { kt.assert <b * 2048> equals <2048>, ... }
    // becomes
    func.func @f(%x: !kt.tensor<[1, s] x f32>) ...
    ```
  }];
}

def FuseBodies : Pass<"kt-fuse-bodies", "::mlir::func::FuncOp"> {
  let summary = "Inlines producers into the scalar bodies that read them";
  let description = [{
    **Requires** nothing. **Guarantees** that element movement (transpositions, slices, concatenations, gathers) and cheap or singly used elementwise work
    has no kernel of its own where its reader has a body, unless that would become too large. Of a window what is new counts. **Does not** compute anything expensive twice.

    ```mlir
    %a = kt.generic ... { exp(x[i]) }
    %r = kt.generic ... { a[i] + y[j] }
    // becomes
    %r = kt.generic ... { exp(x[i]) + y[j] }
    ```
  }];
}

def FuseEpilogues : Pass<"kt-fuse-epilogues", "::mlir::func::FuncOp"> {
  let summary = "Moves elementwise work into the epilogue of what it follows";
  let description = [{
    **Requires** nothing. **Guarantees** that a generic which reads a matmul, convolution, reduction or norm at its own position, and is its only
    reader, has become its epilogue, unless that would become too large, and that a norm of rows works in the shape of what it reads: in a matmul's
    where a view splits the row's number, in that of a moved tensor where a view has merged it. **Does not** move work across reductions.

    ```mlir
    %c = kt.matmul %a, %b ... epilogue { acc }
    %r = kt.generic ... { max(c[i, j], 0) }
    // becomes
    %r = kt.matmul %a, %b ... epilogue { max(acc, 0) }
    ```
  }];
}

def AbsorbLayouts : Pass<"kt-absorb-layouts", "::mlir::func::FuncOp"> {
  let summary = "Makes transpositions disappear into the ops around them";
  let description = [{
    **Requires** nothing. **Guarantees** that a transposition of a factor, or of a product's result, is part of the maps of its matmul, and that an
    elementwise op or reduction followed by a transposition makes its result in that order. **Does not** move transpositions across views.

    ```mlir
    %t = kt.generic ... { x[j, i] }
    %r = kt.matmul %t, %b {maps = [(m, n, k) -> (m, k), ...]}
    // becomes
    %r = kt.matmul %x, %b {maps = [(m, n, k) -> (k, m), ...]}
    ```
  }];
}

def TurnProducts : Pass<"kt-turn-products", "::mlir::func::FuncOp"> {
  let summary = "Products make their results in the order of their one reader";
  let description = [{
    **Requires** nothing. **Guarantees** that a product whose rows a view splits, for one elementwise reader or norm that goes through them in another order,
    has those rows as dimensions of its own and a transposition of its result before that reader, which kt-absorb-layouts makes part of it.
    **Does not** change what is read by several.

    ```mlir
    %c = kt.matmul %x, %w -> [s * b, n]
    %v = kt.reshape %c -> [s, b, n]
    %r = kt.generic { v[j, i, n] + y[i, j, n] } -> [b, s, n]
    // becomes
    %c = kt.matmul %x, %w -> [s, b, n]
    %t = kt.generic { c[j, i, n] } -> [b, s, n]
    %r = kt.generic { t[i, j, n] + y[i, j, n] } -> [b, s, n]
    ```
  }];
}

def CopyScatters : Pass<"kt-copy-scatters", "::mlir::func::FuncOp"> {
  let summary = "Scatters that write a box are choices between two tensors";
  let description = [{
    **Requires** nothing. **Guarantees** that a scatter that assigns, whose index along each dimension is a number or counts up along one dimension of the updates, and is
    inside whatever the sizes are, is a kt.generic of its updates and of what it writes over: x[2:, :] = u as exporters spell it. **Does not** look at data, or at
    steps other than 1.

    ```mlir
    %i = kt.generic { k == 0 ? i + 2 : j } -> [r, c, 2]
    %y = kt.scatter assign %x, %i, %u
    // becomes
    %y = kt.generic { u[i - 2, j] else x[i, j] }
    ```
  }];
}

def ScatterStates : Pass<"kt-scatter-states", "::mlir::func::FuncOp"> {
  let summary = "Caches that are written at places that are data stay where they are";
  let description = [{
    **Requires** that scatters of boxes are no scatters any more (`kt-copy-scatters`). **Guarantees** that a result of the graph which is an argument with rows assigned at indices that are data,
    seen through views or a transposition that brings one dimension to the front, is made by a `kt.update` and that both say so (`kt.tied`): of the rows alone where a session
    keeps the argument, each moved to its place, of the whole where not. Of rows for one place the last one is written, and none whose index is outside. **Does not** touch an argument
    that anything else reads, which might then find what was written over it, nor scatters of single numbers.

    ```mlir
    %next = kt.scatter assign %cache, %i, %u
    // becomes
    %writer = kt.scatter assign %none, %slots, %rows      // of <select(eq(0, @capacity), slots, 0)>
    %place = kt.reduce max over [..]                      // of <select(eq(0, @capacity), 0, rows)>
    %next = kt.update axis 0 from <0> count <select(eq(0, @capacity), slots, rows)> ins(%cache, %u, %writer, %place) { .. }
    ```
  }];
}

def SplitProducts : Pass<"kt-split-products", "::mlir::func::FuncOp"> {
  let summary = "Halves of a product that are read together are products of their own";
  let description = [{
    **Requires** nothing. **Guarantees** that a product of constant weights whose one reader takes an element of each half of its columns at a time, a gate and what it
    multiplies, is two products, of which kt-fuse-epilogues and kt-merge-products make one of parts. **Does not** change what is read otherwise, or copy weights that others read.

    ```mlir
    %c = kt.matmul %x, %w -> [s, 128]
    %r = kt.generic { silu(c[i, j]) * c[i, j + 64] } -> [s, 64]
    // becomes
    %g = kt.matmul %x, %w0 -> [s, 64]
    %u = kt.matmul %x, %w1 -> [s, 64]
    %r = kt.generic { silu(g[i, j]) * u[i, j] } -> [s, 64]
    ```
  }];
}

def AbsorbViews : Pass<"kt-absorb-views", "::mlir::func::FuncOp"> {
  let summary = "Products, convolutions and attention read their factors where they lie";
  let description = [{
    **Requires** attention that was raised. **Guarantees** that a factor which was made by moving elements only (transposed, sliced, selected, split,
    merged, squeezed or repeated, in any order) is its source seen through a view, unless the kernel would lose its aligned copies by that; keys
    and values that were repeated for groups of heads are a `group`. **Does not** look at factors that have a view.

    ```mlir
    %t = kt.generic ... { qkv[b, s, 1, h, d] }
    %r = kt.attention %q, %t, ...
    // becomes
    %r = kt.attention %q, %qkv, ... {views = [..., #kt.view<[b, h, s, 64] strides [s * 2304, 64, 2304, 1] offset 768>, ...]}
    ```
  }];
}

def FoldConstants : Pass<"kt-fold-constants", "::mlir::func::FuncOp"> {
  let summary = "Computes at compile time what depends on constants only";
  let description = [{
    **Requires** nothing. **Guarantees** that a generic whose operands are all constants is a constant, unless that would make the artifact much larger,
    and so is a sum of the integers of a constant along some of its dimensions: what zero points take of quantised weights. **Does not** fold other reductions or
    products.
  }];
}

def HoistConstants : Pass<"kt-hoist-constants", "::mlir::func::FuncOp"> {
  let summary = "Tabulates what bodies compute of constants";
  let description = [{
    **Requires** nothing. **Guarantees** that a body computes nothing that depends only on its indices and on constants, as far as a table of it is
    small: a batch norm's scale and shift are one read each. **Does not** reassociate: results stay the same bits.

    ```mlir
    y = x * (g[c] / sqrt(v[c] + eps))
    // becomes
    y = x * t[c]
    ```
  }];
}

def MergeProducts : Pass<"kt-merge-products", "::mlir::func::FuncOp"> {
  let summary = "Makes one product of several that share their left side";
  let description = [{
    **Requires** fused epilogues. **Guarantees** that products of one left side whose right sides are constants of one type that nothing else reads, and
    whose epilogues differ in constants by column only, or in that some lack a bias or a factor, are one, packed; each former result is a slice, of a view
    in heads where that is how it was read. **Does not** merge what is a result of the graph or read by what takes no slices, nor more than four
    products or 2^31 weights.

    ```mlir
    %q = kt.matmul %x, %wq ... -> [s, 64] epilogue { acc + bq[j] }
    %k = kt.matmul %x, %wk ... -> [s, 16] epilogue { acc + bk[j] }
    // becomes
    %m = kt.matmul %x, %w ... -> [s, 80] epilogue { acc + b[j] }
    %q = kt.generic { m[i, j] }
    %k = kt.generic { m[i, j + 64] }
    ```
  }];
}

def MergeGenerics : Pass<"kt-merge-generics", "::mlir::func::FuncOp"> {
  let summary = "Makes one computation of equal ones over neighbouring ranges";
  let description = [{
    **Requires** fused bodies. **Guarantees** that of two `kt.generic`, or two `kt.reduce`, which compute the same from the same tensors, the one where the other
    ends along one dimension, is left one over both ranges, though bodies read the one in another order than the other; each former result is a slice. **Does not** merge what only moves elements, nor what is a
    result of the graph or read by what takes no slices.

    ```mlir
    %q = kt.generic { f(m[i, h]) } -> [s, 8]
    %k = kt.generic { f(m[i, h + 8]) } -> [s, 2]
    // becomes
    %r = kt.generic { f(m[i, h]) } -> [s, 10]
    %q = kt.generic { r[i, h] }
    %k = kt.generic { r[i, h + 8] }
    ```
  }];
}

def TieStates : Pass<"kt-tie-states", "::mlir::func::FuncOp"> {
  let summary = "Recognises results that go on where an argument ends";
  let description = [{
    **Requires** fused bodies. **Guarantees** that a result of the graph which is one of its arguments up to a position, and as large but in that dimension, is made by a
    `kt.update` of what is new and that both say so (`kt.tied`: the number of the other); that who else reads them reads what is held of a tensor with room for
    `@capacity` elements. A result of an argument's own shape that differs from it in a window alone, which may go on at the begin of a ring, is made the same way, and nobody else reads the argument. What remains is tied without
    a window (no `kt.tied_axis`): a result of an argument's type, computed from it, which the operator that made it (`kt.next_of`) or the names of both, `past..` and `present..`, say is its next
    state. **Does not** ask for names where there is a window.

    ```mlir
    %present = kt.generic { j - past < seq ? new[j - past] : past[j] }
    // becomes
    %stored = kt.capacity %past
    %all = kt.update axis 0 from <select(eq(0, @capacity), 0, past)> count <select(eq(0, @capacity), past + seq, seq)> { .. }
    %present = kt.capacity %all
    ```
  }];
}

def PackWeights : Pass<"kt-pack-weights", "::mlir::func::FuncOp"> {
  let summary = "Stores constant factors of products the way the kernels read them";
  let description = [{
    **Requires** folded constants. **Guarantees** that every matmul with a constant rhs that has no batch dimensions reads it packed in panels of 16
    columns. **Does not** change element types.
  }];
}

def SimplifyBodies : Pass<"kt-simplify-bodies", "::mlir::func::FuncOp"> {
  let summary = "Folds scalar arithmetic inside bodies";
  let description = [{
    **Requires** nothing. **Guarantees** that no narrow float is widened right after it was narrowed, unless the model asks for it (`kt.rounds`), and that casts to index and back are
    gone, and that a second run changes nothing. **Does not** change results beyond keeping more bits in between.
  }];
}

def MergeEqual : Pass<"kt-merge-equal", "::mlir::func::FuncOp"> {
  let summary = "Computes equal things once";
  let description = [{
    **Requires** nothing. **Guarantees** that of equal ops without side effects, equal in their bodies too, one is left, and of equal checks the first; that no
    op is left whose results only such ops use. Takes time linear in the graph.
    **Does not** know that different bodies may compute the same.
  }];
}

def RaiseDequantize : Pass<"kt-raise-dequantize", "::mlir::func::FuncOp"> {
  let summary = "Weights that a model has in few bits stay so";
  let description = [{
    **Requires** what import leaves of DequantizeLinear: one `kt.generic`, with views, transpositions and conversions of floats between it and its readers. **Guarantees** that a product's
    right side that stands for constant integers of 2, 4 or 8 bits is a `kt.dequantize`, where the k's of its groups share scales and zero points and it takes fewer bytes so; and so are tables of which rows are read that
    data says. **Does not** change products whose left side was dequantised from 8 bits as well, nor factors with a batch.
  }];
}

def RaiseNorms : Pass<"kt-raise-norms", "::mlir::func::FuncOp"> {
  let summary = "Recognises layer and RMS norms that were spelled out";
  let description = [{
    **Requires** fused bodies. **Guarantees** that x * rsqrt(mean(x^2) + epsilon), and the same of x - mean(x), in any spelling whose scalar arithmetic
    comes out so, is one `kt.normalize`; an x that was inlined where it was read (rows of an embedding, say) is made in its body. **Does not** look at node
    names or at the exporter.
  }];
}

def RaiseSoftmax : Pass<"kt-raise-softmax", "::mlir::func::FuncOp"> {
  let summary = "Recognises softmaxes that were spelled out";
  let description = [{
    **Requires** fused bodies. **Guarantees** that exponentials of differences from a row's maximum, divided by their sum, are one `kt.normalize softmax`,
    and that a softmax takes no maximum from what it reads but its own. **Does not** raise exponentials without the maximum, which overflow where a softmax does not.
  }];
}

def RaiseAttention : Pass<"kt-raise-attention", "::mlir::func::FuncOp"> {
  let summary = "Recognises softmax(score(q k^T)) v";
  let description = [{
    **Requires** fused bodies. **Guarantees** that a softmax between two products whose scores nothing else reads is one `kt.attention`; scales,
    masks and biases become its score region; scales of queries and keys become one multiplication; a column beside the scores that is dropped after the softmax
    becomes its sink. **Does not** raise when the scores are a result of the graph.
  }];
}

def SpanScores : Pass<"kt-span-scores", "::mlir::func::FuncOp"> {
  let summary = "Turns masks of attention's scores into spans of keys";
  let description = [{
    **Requires** fused bodies. **Guarantees** that comparisons of a key's and a row's number which alone make a score minus infinity are the op's span and
    gone from its score region. A mask of a very low number counts as one where every row provably sees a key and the scores of what it sees are
    provably far above; elsewhere it stays, and the span is `span_low`. **Does not** look at what data decides, which stays in the region.

    ```mlir
    kt.attention ... score { select(j <= i + past, x, -inf) }
    // becomes
    kt.attention ... {span_to = #kt.expr<past + 1>} ... score { x }
    ```
  }];
}

def ConvertPrecision : Pass<"kt-convert-precision", "::mlir::func::FuncOp"> {
  let summary = "Stores activations and weights in another floating-point type";
  let description = [{
    **Requires** packed weights. **Guarantees** that products read factors of the wanted type and that activations are stored in it; sums, norms and bodies
    compute in f32. **Does not** touch the types of the graph's inputs and results and of masks, nor of what rounding would turn into another answer
    (`Analysis/PrecisionDemand.h`): positions and angles, what is cast to integers, quantised, sorted or compared, the products that make those, and
    squares and exponentials on their way into sums.
  }];
  let options = [Option<"to", "to", "std::string", "\"fp16\"", "fp16, bf16 or fp32">];
}

def QuantizeWeights : Pass<"kt-quantize-weights", "::mlir::func::FuncOp"> {
  let summary = "Stores the weights of products, convolutions and tables in INT8, INT4 or FP8";
  let description = [{
    **Requires** packed weights. **Guarantees** that those of products are `blocks` of `bits` bits, and those of convolutions and tables i8 with an f32 scale a channel,
    applied in the epilogue or where they are read. With `int8-rows` blocks of a column share one scale, where that leaves 30 dB, and products say that their rows may be rounded
    to INT8 (`int8_rows`), but for those that reach a router. **Does not** quantise activations itself, nor the weights of products that make angles, integers or routing decisions, nor
    weights that rounding leaves less than `min-snr` of signal to noise.
  }];
  let options = [Option<"bits", "bits", "unsigned", "8", "of a product's weights: 4 or 8">,
                 Option<"group", "group", "int64_t", "128", "weights along k that share a scale, at most">,
                 Option<"fp8", "fp8", "bool", "false", "numbers of 8 bits are floats (E4M3) rather than integers">,
                 Option<"int8Rows", "int8-rows", "bool", "false", "products of integers of 8 bits may round their rows as well">,
                 ListOption<"exclude", "exclude", "std::string", "nodes and weights that stay as they are, as patterns">,
                 Option<"minSnr", "min-snr", "double", "-1", "least signal to noise of a weight, in decibels; 0: any; below: as for its form">];
}

def ShareWeights : Pass<"kt-share-weights", "::mlir::func::FuncOp"> {
  let summary = "Stores tied weights once: tables are read where a product has them";
  let description = [{
    **Requires** packed weights in the type that they keep. **Guarantees** that no table of 1 MiB or more whose rows are, number for number, the columns of a
    product's packed weights is stored beside them. **Does not** look at names, nor at what the exporter wrote once.
  }];
}

def QuantizeCaches : Pass<"kt-quantize-caches", "::mlir::func::FuncOp"> {
  let summary = "What sessions keep of keys and values is integers of 8 bits";
  let description = [{
    **Requires** a graph whose states are tied. **Guarantees** that a state that grows and that attention alone reads, as keys or values of a head in each row, is kept as i8 with a
    scale of f32 a row: the largest magnitude is 127 steps. Windows quantise what is new, and attention multiplies with scales as it reads (`scales`). The values and scales are results of the graph
    that say for which result a session keeps them (`kt.kept_for`); that result itself is made only where none is kept, in the model's own type. Fails
    where there is no such state. **Does not** touch states of fixed size, or keys whose values stay as they are.

    ```mlir
    %all = kt.update axis 2 .. { x }                              // of f16
    %y = kt.attention %q, %all, %values
    // becomes
    %rows = kt.reduce max over [64] { |x| } epilogue { m / 127 }
    %scales = kt.update axis 2 .. { rows }                        // of f32
    %all = kt.update axis 2 .. { roundeven(x / rows) }            // of i8
    %y = kt.attention %q, %all, %values .. scales { scales[b, g, j, 0], .. }
    ```
  }];
}

def MarkLookups : Pass<"kt-mark-lookups", "::mlir::func::FuncOp"> {
  let summary = "Marks weights of which runs read what data says";
  let description = [{
    **Requires** nothing. **Guarantees** `looked_up` on the constants that are read by bodies alone, at places that depend on elements of tensors, and on no others.
    **Does not** change what is computed.

    ```mlir
    %t = kt.constant dense_resource<embedding> : <[32000, 64] x f16>
    // becomes, where a body has %r = kt.read %ids[%i] and kt.read %t[%r, %j] alone
    %t = kt.constant dense_resource<embedding> {looked_up} : <[32000, 64] x f16>
    ```
  }];
}

def SliceGraph : Pass<"kt-slice-graph", "::mlir::func::FuncOp"> {
  let summary = "Numbers the slices in which weights are kept or streamed";
  let description = [{
    **Requires** nothing. **Guarantees** `kt.slice` on every top-level computation, growing from 0 without gaps; constants, views and checks
    go with what is before them. **Does not** reorder.
  }];
  let options = [Option<"maxBytes", "max-bytes", "uint64_t", "0", "most bytes of a slice's weights and live values; 0: fine slices">];
}

#endif
