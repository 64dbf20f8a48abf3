//===- ExpandMath.h - mathematics as plain arithmetic ---------------------===//
//
// Neither target has a mathematics library to call, so math operations on scalars become arith operations: mostly
// without branches, so that loops around them vectorise. f32 results are within 3 units in the last place (erf: 5), f64
// results within about 1e-13 (powers: to the last place); infinities, NaN and denormals are as in C. Sine, cosine and
// tangent are good up to 1e15.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_COMMON_EXPANDMATH_H
#define KT_CODEGEN_COMMON_EXPANDMATH_H

#include "mlir/IR/Operation.h"
#include "mlir/Pass/Pass.h"

namespace kt::codegen {

struct ExpandMathOptions {
  /// Computes f16 arithmetic in f32 (each operation rounds back).
  bool promoteHalf = true;
  /// The same for bf16, and converts from and to bf16 with integer operations.
  bool promoteBFloat = true;
  /// Makes integer division (not of `index`) by zero and its overflow harmless: x / 0 is x, x % 0 is 0.
  bool guardDivision = false;
};

/// Rewrites the scalar math operations under `root`, float remainders, rounding integer divisions, and conversions of
/// the f8 and f4 kinds. What stays: sqrt, fma, absf, copysign, floor, ceil, trunc, roundeven, integer bit counts
/// (intrinsics on both targets).
mlir::LogicalResult expandMath(mlir::Operation *root, const ExpandMathOptions &options);

/// The same as a pass over any operation.
std::unique_ptr<mlir::Pass> createExpandMathPass(ExpandMathOptions options = {});

} // namespace kt::codegen

#endif
