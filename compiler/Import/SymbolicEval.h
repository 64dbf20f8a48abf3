//===- SymbolicEval.h - what a small tensor holds, in symbols -------------===//
//
// Exporters leave shape arithmetic in the graph: Shape, Gather, Mul, Concat, Reshape. Import makes
// scalar bodies over index arithmetic of them, so one interpreter of bodies over expressions folds all of it.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_IMPORT_SYMBOLICEVAL_H
#define KT_COMPILER_IMPORT_SYMBOLICEVAL_H

#include "dialects/KT/IR/KTDialect.h"
#include <vector>

namespace kt::import {

/// A number: an integer expression (booleans are 0 or 1; also the value of a float that is one exactly), or a float
/// constant.
struct Scalar {
  Expr e;
  double f = 0;
  static Scalar of(Expr e) { return {e, 0}; }
  static Scalar of(double f) { return {Expr(), f}; }
  bool isExpr() const { return (bool)e; }
};
/// Elements in row-major order.
using Contents = std::vector<Scalar>;

/// Tensors with more elements are never evaluated.
constexpr int64_t kMaxEvaluated = 64;

/// The elements of the result of `op` (generic, reduce, reshape, constant), where `known` answers those of its
/// operands, or nothing.
std::optional<Contents> evaluate(mlir::Operation *op, llvm::function_ref<const Contents *(mlir::Value)> known);

/// The elements of a constant tensor's bytes.
std::optional<Contents> contentsOf(SymTensorType type, llvm::ArrayRef<char> bytes);

} // namespace kt::import

#endif
