//===- Once.h - what no run has to repeat ---------------------------------===//
//
// Masks, positions, rotary angles and whatever else follows from weights and from sizes of inputs.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_ONCE_H
#define KT_PASSES_ANALYSIS_ONCE_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"

namespace kt {

class OnceFacts {
public:
  /// Of what is no graph nothing is known.
  explicit OnceFacts(mlir::func::FuncOp graph);

  /// Whether nothing but sizes of inputs occurs in an expression. They are all that is known when a run is planned;
  /// other symbols are bound while it runs.
  bool known(ExprAttr e) const;
  /// Whether a computation follows from weights and sizes of inputs: one at the graph's top level, with all that it
  /// reads.
  bool isOnce(mlir::Operation *compute) const { return once.contains(compute); }

private:
  llvm::StringSet<> sizes;
  llvm::DenseSet<mlir::Operation *> once;
};

} // namespace kt

#endif
