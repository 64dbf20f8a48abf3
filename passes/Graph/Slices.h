//===- Slices.h - tensors that have become ranges of another --------------===//

#ifndef KT_PASSES_GRAPH_SLICES_H
#define KT_PASSES_GRAPH_SLICES_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// Whether a slice joins whoever reads `v`, or is an operand that may be one. What the graph results in, what is read
/// on the host, and what has a kernel of its own would need a copy.
bool takesSlices(mlir::Value v);

/// Gives the readers of tensors that have become one, behind one another along a dimension, their ranges of it:
/// products and attention a view, everything else a kt.generic that moves elements and joins it.
class Slices {
public:
  /// New operations come right behind `whole`, which is as long in `dim` as all parts together.
  Slices(mlir::Value whole, unsigned dim);
  /// Replaces `part` by the range from `begin` on.
  void replace(mlir::Value part, int64_t begin);

private:
  bool readInPlace(mlir::OpOperand &use, SymTensorType type, int64_t begin);
  mlir::Value sliceOfView(SymTensorType type, ReshapeOp reshape, int64_t begin);
  mlir::Value viewOf(SymTensorType type);
  mlir::Value slice(mlir::Value from, SymTensorType type, unsigned sliced, int64_t begin);

  mlir::Value whole;
  unsigned dim;
  int64_t size; // of `dim`
  mlir::OpBuilder b;
  llvm::DenseMap<mlir::Type, mlir::Value> views;
  /// By what is cut, the result's type, and from where.
  llvm::DenseMap<std::pair<mlir::Value, std::pair<mlir::Type, int64_t>>, mlir::Value> slices;
};

/// `type` with another size in one dimension.
SymTensorType withDim(SymTensorType type, unsigned dim, int64_t size);

} // namespace kt

#endif
