//===- IndexSpace.h - the loops around a scalar body ----------------------===//
//
// Neighbouring dimensions that every read walks as one become one loop, so elementwise kernels are one-dimensional whatever their rank.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_INDEXSPACE_H
#define KT_CODEGEN_HOST_INDEXSPACE_H

#include "codegen/Host/Emit.h"

namespace kt::codegen::host {

/// A region and the number of its first index argument.
struct BodyUse {
  mlir::Region *region;
  unsigned firstIndex;
};

/// Loops over a list of dimensions, some merged.
class IndexSpace {
public:
  /// `uses[i].firstIndex` is the argument of dimension 0.
  IndexSpace(llvm::ArrayRef<Expr> dims, llvm::ArrayRef<BodyUse> uses);

  /// Extents of the loops, outermost first; at least one.
  llvm::ArrayRef<Expr> loops() const { return extents; }
  Expr total() const;
  /// One index a dimension from one a loop.
  llvm::SmallVector<Value> indices(Emitter &e, ValueRange loopIndices) const;
  /// The dimension whose index moves fastest in the innermost loop, or -1 when there is none.
  int64_t innermostDim() const { return carriers.back(); }

private:
  unsigned rank;
  llvm::SmallVector<Expr> extents;
  llvm::SmallVector<int64_t> carriers; // loop -> dimension that gets its index
};

/// Elements between neighbours along argument `arg` in each read of the region that depends on it: 0 for none, 1 only if all reads are
/// contiguous or do not use it, null when it is not a plain index.
struct Access {
  int64_t contiguous = 0, strided = 0;
};
Access accessAlong(mlir::Region &region, unsigned arg);
/// A rough cost of one element, in cheap operations.
int64_t bodyCost(mlir::Region &region);

} // namespace kt::codegen::host

#endif
