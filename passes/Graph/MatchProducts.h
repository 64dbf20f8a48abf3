//===- MatchProducts.h - products that differ by column only --------------===//

#ifndef KT_PASSES_GRAPH_MATCHPRODUCTS_H
#define KT_PASSES_GRAPH_MATCHPRODUCTS_H

#include "passes/Analysis/PrecisionDemand.h"
#include "passes/Graph/PackWeights.h"

namespace kt {

/// A product with constant weights of its own, and where its columns are.
struct Product {
  mutable MatmulOp op; // a handle
  ConstantFactor weights;
  unsigned column; // result dimension
  unsigned demand; // on the result, see PrecisionDemand
};

/// What an epilogue of several products has in its place: an operation of the first one's body, and in the order of
/// products the constants that take turns along the columns.
struct ByColumn {
  mlir::Operation *op;                       // a read of constants at the column, or an arith.constant
  llvm::SmallVector<mlir::Value> tensors;    // of reads
  llvm::SmallVector<mlir::Attribute> values; // of constants
  unsigned dim = 0;                          // of the tensors, which the column indexes
};

/// A product whose constant weights nothing else reads. One that makes an angle, a number or a choice of experts keeps
/// its precision, which others would have to share.
std::optional<Product> productOf(MatmulOp op, const PrecisionDemand &demand);

/// Products that agree in all but their columns.
bool agree(const Product &a, const Product &b);

/// Walks the epilogues of `first` and `other` side by side. They are the same computation where all that differs are
/// constants by column, which are added to `found` (for each operation of the first, in order).
bool matchEpilogues(const Product &first, const Product &other, llvm::SmallVectorImpl<ByColumn> &found);

/// Gives the epilogue of `p` the biases and factors that it lacks to be the same computation as that of `like`: -0.0
/// and 1.0, which change no number. False, and nothing done, where that is not all that it lacks.
bool completeEpilogue(const Product &p, const Product &like);

} // namespace kt

#endif
