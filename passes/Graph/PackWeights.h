//===- PackWeights.h - the order of packed weights ------------------------===//

#ifndef KT_PASSES_GRAPH_PACKWEIGHTS_H
#define KT_PASSES_GRAPH_PACKWEIGHTS_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// A constant factor of a product, as it lies: [n, k] or [k, n], or the numbers of weights of few bits.
struct ConstantFactor {
  ConstantOp constant;
  int64_t n, k;
  bool nIsFirst;
  DequantizeOp quantized; // null for one that is as it is

  /// How a product has it in memory where it is of few bits; else null.
  BlocksAttr blocks() const { return quantized ? DequantizeOp(quantized).blocks() : BlocksAttr(); }
};

/// Whether all that a dequantisation reads is constant, through reshapes.
bool isConstant(DequantizeOp op);

/// The right side of a product if it is a constant matrix that is not packed yet.
std::optional<ConstantFactor> constantFactorOf(MatmulOp op);

/// A constant of the factors' columns, in panels of 16: of several `asParts`, which agree in n, panels take turns, else
/// columns come one after the other. They agree in k, type and blocks. Zeros stand behind the last column.
mlir::Value packedConstant(mlir::OpBuilder &b, mlir::Location loc, llvm::ArrayRef<ConstantFactor> factors, bool asParts,
                           llvm::StringRef name);

/// Makes `rhs`, of packed columns like `factor`, the right side of `op`.
void setPackedRhs(MatmulOp op, mlir::Value rhs, const ConstantFactor &factor);

} // namespace kt

#endif
