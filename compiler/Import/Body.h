//===- Body.h - writing the scalar bodies of structured ops ---------------===//
//
// The building blocks with which an operator's definition says what an element is. A definition serves every target and
// the shape arithmetic.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_IMPORT_BODY_H
#define KT_COMPILER_IMPORT_BODY_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt::import {

/// True for booleans and ui2 to ui64; scalars themselves are signless, so what matters for an operation is asked of the
/// element type.
inline bool isUnsigned(mlir::Type element) { return element.isUnsignedInteger() || element.isInteger(1); }

/// A place where data becomes an index, by its number in the module's `kt.sites`.
struct Site {
  int64_t number = -1; // none: the data is known to be inside
};

/// Builds one region: scalars in, one scalar yielded.
class Body {
public:
  enum class Cmp { eq, ne, lt, le, gt, ge };

  mlir::OpBuilder &b;
  mlir::Location loc;
  /// The type whose dimensions the region's indices run over.
  SymTensorType result;

  Body(mlir::OpBuilder &b, mlir::Location loc, mlir::Block *block, unsigned leading, unsigned operands,
       SymTensorType result)
      : b(b), loc(loc), result(result), block(block), leading(leading), operands(operands) {}

  /// Leading scalar i: the combined value of an epilogue.
  mlir::Value scalar(unsigned i) { return block->getArgument(i); }
  mlir::Value tensor(unsigned operand) { return block->getArgument(leading + operand); }
  SymTensorType type(unsigned operand) { return mlir::cast<SymTensorType>(tensor(operand).getType()); }
  /// Index i: a result index, or after those a reduction index.
  mlir::Value index(unsigned i);
  llvm::SmallVector<mlir::Value> indices();

  /// Operands whose ranks are not what a definition takes them for are an error of the node, here and below.
  mlir::Value read(unsigned operand, mlir::ValueRange at);
  /// The element, or `otherwise` where an index of `check` is outside.
  mlir::Value readOr(unsigned operand, mlir::ValueRange at, mlir::Value otherwise, llvm::ArrayRef<int64_t> check);
  /// Sizes that only a run knows, with those that they broadcast to: Node::requireReads has the run check them.
  llvm::SmallVector<std::pair<Expr, Expr>> broadcasts;
  /// The index of a broadcast dimension: `at` below `extent`, or 0 where there is but one element.
  mlir::Value broadcastIndex(Expr size, mlir::Value at, Expr extent);
  /// The element that broadcasting (numpy's rule, trailing dimensions aligned) puts at the result's indices.
  mlir::Value readBroadcast(unsigned operand);

  mlir::Value size(Expr e);
  mlir::Value constant(mlir::Type type, double value);
  mlir::Value integer(mlir::Type type, int64_t value);
  mlir::Value idx(int64_t value) { return integer(b.getIndexType(), value); }
  mlir::Value boolean(bool value) { return integer(b.getI1Type(), value); }
  mlir::Value zero(mlir::Type type) { return constant(type, 0); }

  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  /// Integers round to zero and a divisor of 0 gives 0.
  mlir::Value div(mlir::Value x, mlir::Value y, bool isUnsigned = false);
  mlir::Value max(mlir::Value x, mlir::Value y, bool isUnsigned = false);
  mlir::Value min(mlir::Value x, mlir::Value y, bool isUnsigned = false);
  mlir::Value cmp(Cmp kind, mlir::Value x, mlir::Value y, bool isUnsigned = false);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value neg(mlir::Value x);
  mlir::Value abs(mlir::Value x, bool isUnsigned = false);
  mlir::Value logicalAnd(mlir::Value x, mlir::Value y);
  mlir::Value logicalOr(mlir::Value x, mlir::Value y);
  mlir::Value logicalNot(mlir::Value x);
  /// 1 / (1 + exp(-x)).
  mlir::Value sigmoid(mlir::Value x);
  mlir::Value isNan(mlir::Value x) { return cmp(Cmp::ne, x, x); }
  template <typename Op> mlir::Value math(mlir::Value x) { return Op::create(b, loc, x); }
  template <typename Op> mlir::Value math(mlir::Value x, mlir::Value y) { return Op::create(b, loc, x, y); }

  /// Converts between element types as ONNX's Cast does; floats to integers round to zero.
  mlir::Value convert(mlir::Value x, mlir::Type from, mlir::Type to);
  /// A float kept within the finite numbers of a narrow float type; NaN stays.
  mlir::Value saturate(mlir::Value x, mlir::FloatType to);
  enum class Rounding { up, down, nearest };
  /// An f32 as the power of two that stands for it in f8E8M0, by magnitude; ties of `nearest` go up. Infinity and NaN
  /// stay; what overflows becomes infinity or, `saturating`, the largest power.
  mlir::Value roundToPower(mlir::Value x, Rounding rounding, bool saturating);
  /// The type in which values of this element type are computed: f32 for the narrow floats, else itself (signless).
  mlir::Type computeType(mlir::Type element);
  mlir::Value toCompute(mlir::Value x, mlir::Type element);
  mlir::Value fromCompute(mlir::Value x, mlir::Type element);
  mlir::Value toIndex(mlir::Value x, bool isUnsigned = false);
  mlir::Value fromIndex(mlir::Value x, mlir::Type scalar);
  /// A number from data as an index in [0, limit), negative ones counted from the end where it `wraps`. Anything else
  /// fails the run, which names the site.
  mlir::Value bounded(mlir::Value x, Expr limit, Site site, bool wraps = true, mlir::Value when = {});

private:
  bool hasRank(unsigned operand, size_t rank);
  mlir::Block *block;
  unsigned leading, operands;
};

using BodyFn = llvm::function_ref<mlir::Value(Body &)>;

} // namespace kt::import

#endif
