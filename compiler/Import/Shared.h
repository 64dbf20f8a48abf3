//===- Shared.h - building blocks that several families use ---------------===//
//
// Products, convolutions, pools, reductions, quantisation, resizing and loops as functions of values, for operators
// that combine them.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_IMPORT_SHARED_H
#define KT_COMPILER_IMPORT_SHARED_H

#include "compiler/Import/Node.h"

namespace kt::import {

//===----------------------------------------------------------------------===//
// Contract.cpp
//===----------------------------------------------------------------------===//

/// numpy's matmul: vectors become matrices for the product and lose that dimension again.
mlir::Value matmulLike(Node &n, mlir::Value lhs, mlir::Value rhs, bool transposeLhs = false, bool transposeRhs = false,
                       mlir::Type result = {});

/// What convolutions and pools say of their windows.
struct Window {
  llvm::SmallVector<int64_t> kernel, strides, dilations;
  llvm::SmallVector<Expr> padBegin, padEnd, out;
};
/// Reads the attributes; `in` are the spatial sizes.
std::optional<Window> windowOf(Node &n, llvm::ArrayRef<Expr> in, llvm::ArrayRef<int64_t> kernel);

/// Has a convolution of constant weights over few channels be one over whole chunks of them, if that is not too many
/// products more: those of a step become channels, and zeros. Changes its input, which is padded with `padding` or zero
/// then, its weights and its window; or nothing.
void fillChannels(Node &n, mlir::Value &x, mlir::Value &w, Window &window, mlir::Value padding);
/// Convolves `x` [n, c, spatial..] with `w` [o, c/g, k..] as the node's attributes say; integers give an i32
/// `resultElement`. Pads with zero, or with the element of `padding`, a tensor of one element.
mlir::Value convOf(Node &n, mlir::Value x, mlir::Value w, mlir::Value bias, mlir::Type resultElement,
                   mlir::Value padding = {});

enum class Pool { max, average, lp };
/// Pools `x` [n, c, spatial..] as the node's attributes say; `where`, for max, gets the flat index of each maximum in
/// `x`.
mlir::Value poolOf(Node &n, mlir::Value x, Pool kind, mlir::Value *where = nullptr);

//===----------------------------------------------------------------------===//
// Elementwise.cpp
//===----------------------------------------------------------------------===//

/// The second operand of two that broadcast; before opset 7 an axis says which dimension of the first one its first
/// dimension is.
mlir::Value secondOperand(Node &n);

//===----------------------------------------------------------------------===//
// Reduce.cpp
//===----------------------------------------------------------------------===//

/// Reduces `v` over `axes` (sorted). `element` sees the value in compute type; `finish` the combined value and the
/// number of elements.
mlir::Value reduceOver(Node &n, mlir::Value v, llvm::ArrayRef<int64_t> axes, bool keepDims, ReduceKind kind,
                       mlir::Type resultElement, llvm::function_ref<mlir::Value(Body &, mlir::Value)> element,
                       llvm::function_ref<mlir::Value(Body &, mlir::Value, Expr)> finish, bool selectLast = false);

/// Softmax or log-softmax along `axis`, or, `flat`, over all dimensions from it.
mlir::Value softmaxOf(Node &n, mlir::Value v, NormKind kind, int64_t axis, bool flat);

/// y = norm(x) * scale + bias over the last dimensions; scale and bias (null: none) broadcast from the right.
mlir::Value normWith(Node &n, mlir::Value x, NormKind kind, int64_t axes, double epsilon, mlir::Value scale,
                     mlir::Value bias, mlir::Type resultElement);

//===----------------------------------------------------------------------===//
// Data.cpp
//===----------------------------------------------------------------------===//

/// Row-major positions of the true elements, as [count].
std::pair<mlir::Value, Expr> truePositions(Node &n, mlir::Value v);

//===----------------------------------------------------------------------===//
// Shape.cpp
//===----------------------------------------------------------------------===//

/// Expressions as an i64 tensor [count], or, `scalar`, as one without dimensions.
mlir::Value sizesTensor(Node &n, llvm::ArrayRef<Expr> sizes, bool scalar);

/// Whether the number of axes in input i, if it is there, is known; else an error, since the result's rank depends on
/// it.
bool countsAxes(Node &n, unsigned i);

/// An axes input whose elements only the run knows; null otherwise.
std::optional<llvm::SmallVector<Expr>> unknownAxes(Node &n, unsigned i);

//===----------------------------------------------------------------------===//
// Quantize.cpp
//===----------------------------------------------------------------------===//

/// Where scales and zero points lie: of rank 0 or one element, along `axis`, or, with `block`, one for `block` elements
/// along it.
struct QuantAxis {
  int64_t axis = 1, block = 0;
};
/// (x - zero) * scale in `element`; `zero` may be null.
mlir::Value dequantize(Node &n, mlir::Value x, mlir::Value scale, mlir::Value zero, mlir::Type element,
                       QuantAxis at = {});
/// saturate(round(x / scale) + zero) in `element`; `zero` may be null.
mlir::Value quantize(Node &n, mlir::Value x, mlir::Value scale, mlir::Value zero, mlir::Type element, QuantAxis at = {},
                     bool saturate = true);

//===----------------------------------------------------------------------===//
// IntegerProducts.cpp
//===----------------------------------------------------------------------===//

/// (lhs - lhsZero) times (rhs - rhsZero) in i32; zero points, which may be null, are scalars, or lie along rows of lhs
/// and columns of rhs.
mlir::Value integerProduct(Node &n, mlir::Value lhs, mlir::Value lhsZero, mlir::Value rhs, mlir::Value rhsZero,
                           bool transposeRhs = false);
/// The convolution of (x - xZero) with (w - wZero) in i32. Outside, x is its zero point.
mlir::Value integerConv(Node &n, mlir::Value x, mlir::Value xZero, mlir::Value w, mlir::Value wZero);
/// The product of two matrices, or a convolution and its bias, which may be null, where both sides were dequantised and
/// tensor cores can multiply the integers: the sums of these times both scales. Nothing where that is not so; null
/// after an error.
std::optional<mlir::Value> dequantisedProduct(Node &n, mlir::Value lhs, mlir::Value rhs, bool transposeRhs);
std::optional<mlir::Value> dequantisedConv(Node &n, mlir::Value x, mlir::Value w, mlir::Value bias);
/// A zero point or scale as a column (of lhs, one a row) or a row (of rhs, one a column); scalars stay.
mlir::Value alongRows(Node &n, mlir::Value zero, bool lhs);

//===----------------------------------------------------------------------===//
// Attention.cpp
//===----------------------------------------------------------------------===//

/// Queries, keys or values: of rank 4, [batch, heads, sequence, size] or, not `headsFirst`, [batch, sequence, heads,
/// size].
struct Heads {
  mlir::Value v;
  bool headsFirst = false;
  Expr batch() const { return Node::type(v).dim(0); }
  Expr heads() const { return Node::type(v).dim(headsFirst ? 1 : 2); }
  Expr sequence() const { return Node::type(v).dim(headsFirst ? 2 : 1); }
  Expr size() const { return Node::type(v).dim(3); }
};
/// A view of [batch, sequence, heads * size]. Null after an error.
Heads splitHeads(Node &n, mlir::Value v, int64_t heads);
/// The same elements with heads first.
mlir::Value headsFirst(Node &n, Heads h);

/// Computes a score from the f32 product; indices are batch, head, query and key, operands the extras.
using ScoreFn = llvm::function_ref<mlir::Value(Body &, mlir::Value product)>;
/// Computes one score more a row, for which there is no value; indices are batch, head and query.
using SinkFn = llvm::function_ref<mlir::Value(Body &)>;
/// softmax(score(q k^T)) v, in the layout of q.
Heads attend(Node &n, Heads q, Heads k, Heads v, mlir::ValueRange extras, bool zeroEmpty, ScoreFn score,
             SinkFn sink = {});
/// Multiplies by `scale`, or by 1 / sqrt(size) where it is 0; then softcap * tanh(x / softcap) unless that is 0.
mlir::Value scaled(Body &b, mlir::Value product, double scale, Expr size, double softcap);
/// An element of a tensor that broadcasts to [batch, heads, queries, keys]; `outside` behind the end of its last
/// dimension.
mlir::Value readMask(Body &b, unsigned operand, Expr keys, mlir::Value outside);

/// Rotates pairs of the first `rotated` (0: all) elements of each head. `positions` [batch, sequence] index the caches
/// [positions, rotated / 2]; null: the caches are [batch, sequence, rotated / 2].
mlir::Value rotate(Node &n, Heads x, mlir::Value cos, mlir::Value sin, mlir::Value positions, bool interleaved,
                   int64_t rotated);

//===----------------------------------------------------------------------===//
// ControlFlow.cpp
//===----------------------------------------------------------------------===//

/// A loop's region as its body says it: what is carried on, what is stacked, and whether another iteration follows
/// (null: always).
struct LoopYield {
  llvm::SmallVector<mlir::Value> carried, pieces;
  Expr next;
};
using LoopBody = llvm::function_ref<llvm::FailureOr<LoopYield>(mlir::ValueRange carried, Expr induction)>;
/// Repeats `body` while the iteration number is below `trips` (null: no bound) and the condition, at first `first`
/// (null: always), holds. `body` may be called more than once: carried values whose dimensions change get symbols for
/// them. Answers the carried values, then the stacked pieces, [iterations, piece..], where `reverse` asks for it from
/// last to first.
llvm::FailureOr<llvm::SmallVector<mlir::Value>> loop(Node &n, mlir::ValueRange inits, Expr trips, Expr first,
                                                     llvm::ArrayRef<bool> reverse, LoopBody body);

} // namespace kt::import

#endif
