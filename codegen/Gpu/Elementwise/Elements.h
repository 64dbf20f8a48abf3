//===- Elements.h - elementwise work as a part of a grid ------------------===//

#ifndef KT_CODEGEN_GPU_ELEMENTWISE_ELEMENTS_H
#define KT_CODEGEN_GPU_ELEMENTWISE_ELEMENTS_H

#include "codegen/Gpu/Builder/Kernels.h"

namespace kt::gpu {

/// One computation of a kernel, which a thread does an item of: some neighbouring elements.
class ElementsPart {
public:
  virtual ~ElementsPart() = default;
  /// The code for item number `item`, which there is.
  virtual void emit(Value item) = 0;

  llvm::StringRef name;
  unsigned lanes = 1;
  Expr items;

protected:
  /// An item for each `lanes` neighbours along the last of `sizes`.
  void divide(llvm::ArrayRef<Expr> sizes, KernelSink &sink);
  /// The first element of item number `item`, as indices.
  Values firstOf(KernelBuilder &k, Value item) const;

private:
  llvm::SmallVector<Expr> extents;
};

std::unique_ptr<ElementsPart> genericPart(KernelBuilder &k, KernelSink &sink, GenericOp op);
std::unique_ptr<ElementsPart> updatePart(KernelBuilder &k, KernelSink &sink, UpdateOp op);

/// The buffers of what a computation reads.
Values operandBuffers(KernelBuilder &k, mlir::Operation *op);
/// What is known to be a multiple of the lanes that the candidate has for `op`.
Alignment alignmentOf(KernelSink &sink, mlir::Operation *op);

} // namespace kt::gpu

#endif
