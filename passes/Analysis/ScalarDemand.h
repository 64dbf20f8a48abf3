//===- ScalarDemand.h - demand inside a body ------------------------------===//
//
// The scalar half of PrecisionDemand: what a body makes of what it reads.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_SCALARDEMAND_H
#define KT_PASSES_ANALYSIS_SCALARDEMAND_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// The demand (bits of PrecisionDemand::Kind) on each scalar of a body of `op` whose yielded value is demanded with
/// `yielded`. Adds what the body itself asks for: angles, integers, steps, comparisons.
llvm::DenseMap<mlir::Value, unsigned> scalarDemand(mlir::Operation *op, BodyRef body, unsigned yielded);

/// May the result of a compute op be far beyond what the operands hold: a square, a power, an exponential or
/// a whole number that nothing bounds again?
bool mayLeaveRange(mlir::Operation *op);

/// Is a tensor made from integers of the model, such as positions and counts? Those need more digits than narrow types
/// have. What integer products add up is not: it stands for a real number.
bool isMadeOfIntegers(mlir::Value v);

/// Does the op subtract a statistic (the result of a reduction) from what it reads.
bool isCentred(mlir::Operation *op);

} // namespace kt

#endif
