//===- IndexSpace.h - the loops around a scalar body ----------------------===//
//
// Neighbouring dimensions that every read walks as one become one loop, so elementwise kernels are one-dimensional
// whatever their rank.
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
  IndexSpace(llvm::ArrayRef<Expr> dims, llvm::ArrayRef<BodyUse> uses, bool mayMerge = true);

  /// Extents of the loops, outermost first; at least one.
  llvm::ArrayRef<Expr> loops() const { return extents; }
  Expr total() const;
  /// One index a dimension from one a loop.
  llvm::SmallVector<Value> indices(Emitter &e, ValueRange loopIndices) const;
  /// The dimension whose index moves fastest in the innermost loop, or -1 when there is none.
  int64_t innermostDim() const { return carriers.back(); }
  /// The dimension that gets loop `i`'s index.
  int64_t dimOf(unsigned i) const { return carriers[i]; }

private:
  unsigned rank;
  llvm::SmallVector<Expr> extents;
  llvm::SmallVector<int64_t> carriers; // loop -> dimension that gets its index
};

/// A stage of tasks that are each `chunk` elements of a row-major space of `loops`; `element` gets an index a loop and
/// the element's number.
void forEachInRuns(KernelBuilder &kernel, llvm::ArrayRef<Expr> loops, int64_t chunk,
                   llvm::function_ref<void(StageEmitter &, ValueRange loops, Value position)> element);

/// How many of a region's reads depend on an index argument in their last dimension, and how many only in others.
struct Access {
  int64_t contiguous = 0, strided = 0;
};
Access accessAlong(mlir::Region &region, unsigned arg);
/// True when a read walks `fast` in an outer dimension and `slow` in its last one: a transposition.
bool readsAcross(mlir::Region &region, unsigned fast, unsigned slow);
/// A rough cost of one element, in cheap operations.
int64_t bodyCost(mlir::Region &region);

} // namespace kt::codegen::host

#endif
