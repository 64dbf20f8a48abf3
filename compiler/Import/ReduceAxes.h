//===- ReduceAxes.h - the axes of a reduction -----------------------------===//

#ifndef KT_COMPILER_IMPORT_REDUCEAXES_H
#define KT_COMPILER_IMPORT_REDUCEAXES_H

#include "compiler/Import/Node.h"

namespace kt::import {

/// The axes a Reduce* node works on (attribute or input): numbers, or, where only the run knows them, a mark for each
/// dimension and how many there are, if that is known.
struct ReducedAxes {
  llvm::SmallVector<int64_t> fixed;
  llvm::SmallVector<Expr> marks;
  int64_t count = 0;
  bool none() const { return fixed.empty() && marks.empty(); }
};

/// As a node's attribute or input says. Nothing after an error.
std::optional<ReducedAxes> reducedAxes(Node &n);

/// Reduces `v` over them; see reduceOver.
mlir::Value reduceAxes(Node &n, mlir::Value v, const ReducedAxes &axes, bool keepDims, ReduceKind kind,
                       mlir::Type resultElement, llvm::function_ref<mlir::Value(Body &, mlir::Value)> element,
                       llvm::function_ref<mlir::Value(Body &, mlir::Value, Expr)> finish);

} // namespace kt::import

#endif
