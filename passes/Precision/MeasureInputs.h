//===- MeasureInputs.h - outputs that say what products are given ---------===//

#ifndef KT_PASSES_PRECISION_MEASUREINPUTS_H
#define KT_PASSES_PRECISION_MEASUREINPUTS_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace kt {

/// Calls `visit` with each product of a graph and its number.
void forEachProduct(mlir::func::FuncOp func, llvm::function_ref<void(MatmulOp op, unsigned number)> visit);

/// Adds an output for each product of constant packed weights, with the sums of InputMoments.h. Those inside of loops
/// and branches have none, nor those whose left side is a view.
void measureInputs(mlir::func::FuncOp func);

} // namespace kt

#endif
