//===- PackWeights.h - the order of packed weights ------------------------===//

#ifndef KT_PASSES_GRAPH_PACKWEIGHTS_H
#define KT_PASSES_GRAPH_PACKWEIGHTS_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// A constant factor of a product, as it lies: [n, k] or [k, n].
struct ConstantFactor {
  ConstantOp constant;
  int64_t n, k;
  bool nIsFirst;
};

/// The right side of a product if it is a constant matrix that is not packed yet.
std::optional<ConstantFactor> constantFactorOf(MatmulOp op);

/// The columns of the factors, which agree in k, one after the other in panels of [k][16], with zeros behind the last.
std::vector<char> packColumns(mlir::MLIRContext *context, llvm::ArrayRef<ConstantFactor> factors, int64_t elementBytes);

/// The factors of as many parts of a product, which agree in n and k: their panels take turns.
std::vector<char> packParts(mlir::MLIRContext *context, llvm::ArrayRef<ConstantFactor> factors, int64_t elementBytes);

/// Makes `rhs`, of packed columns, the right side of `op`.
void setPackedRhs(MatmulOp op, mlir::Value rhs);

} // namespace kt

#endif
