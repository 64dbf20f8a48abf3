//===- Dequantised.h - what DequantizeLinear computes ---------------------===//

#ifndef KT_PASSES_ANALYSIS_DEQUANTISED_H
#define KT_PASSES_ANALYSIS_DEQUANTISED_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// A scale or zero point of each element of a tensor.
struct QuantParameter {
  /// What one index of it is: the index of the result's dimension `dim` divided by `block`, or 0 where `dim` is -1.
  struct Index {
    int64_t dim, block;
  };
  mlir::Value tensor;
  llvm::SmallVector<Index> at;
};

/// (numbers - zeros) * scales, each element at its own place: integers of 2, 4 or 8 bits of either sign, computed in
/// single precision.
struct Dequantised {
  mlir::Value numbers;
  QuantParameter scales;
  std::optional<QuantParameter> zeros;

  SymTensorType type() const { return llvm::cast<SymTensorType>(numbers.getType()); }
  unsigned bits() const { return type().getElementType().getIntOrFloatBitWidth(); }
  bool isSigned() const { return !type().getElementType().isUnsignedInteger(); }
};

/// What the body of `op` computes, if it is that.
std::optional<Dequantised> dequantisedBy(GenericOp op);

/// Rounds or widens each element of its one operand, in its place.
bool isFloatCast(GenericOp op);

} // namespace kt

#endif
