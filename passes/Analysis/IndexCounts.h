//===- IndexCounts.h - numbers that count over a grid ---------------------===//
//
// Exporters spell the indices of a scatter or a gather as tensors of numbers: ranges, broadcast and put beside one
// another. What such an element is at a point of the grid says whether it is an index that counts, which takes no data.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_INDEXCOUNTS_H
#define KT_PASSES_ANALYSIS_INDEXCOUNTS_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// A number, or one more for each step along a dimension of the grid; or else anything that the point's place along
/// some of its dimensions decides.
struct Count {
  bool known = false;
  Expr first; // where it is known
  std::optional<unsigned> dim;
  uint64_t along = ~uint64_t(0); // the dimensions, as bits, where it is not

  static Count number(Expr e) { return {true, e, std::nullopt, 0}; }
  static Count index(mlir::MLIRContext *context, unsigned dim) { return {true, Expr::constant(context, 0), dim, 0}; }
  /// Dimensions that it changes along.
  uint64_t dims() const { return !known ? along : dim ? uint64_t(1) << *dim : 0; }
};

constexpr unsigned kMostGridDims = 63;

/// What an element of `tensor`, of integers, is at each point of a grid of at most kMostGridDims dimensions, where
/// `at`, the element's indices, are counts.
Count countOver(llvm::ArrayRef<Expr> grid, mlir::Value tensor, llvm::ArrayRef<Count> at);

} // namespace kt

#endif
