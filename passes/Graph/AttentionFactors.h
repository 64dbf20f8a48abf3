//===- AttentionFactors.h - how q, k and v lie over batches and heads -----===//
//
// Exporters merge batches and heads, split them again, transpose and repeat on the way to the two products of an
// attention. Their layouts say where each factor is read from; what is left to find is how many of the products' batch
// positions are heads.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_GRAPH_ATTENTIONFACTORS_H
#define KT_PASSES_GRAPH_ATTENTIONFACTORS_H

#include "passes/Analysis/Layouts.h"

namespace kt {

/// A factor of one of the two products: its root's layout over the batch dimensions of the iteration space, its rows (i
/// or j) and its columns (d or e), and the constants that it was multiplied with on its way.
struct AttentionFactor {
  mlir::Value root;
  Expr offset;
  Modes batch, row, column;
  llvm::SmallVector<double> scales;
};
/// Operand `operand` of `product`, whose iteration dimensions `row` and `column` are those of the attention. Through
/// movement, and through scales where `scales` says so.
AttentionFactor factorOf(MatmulOp product, unsigned operand, unsigned row, unsigned column, bool scales);
/// The same without looking where the operand comes from.
AttentionFactor plainFactorOf(MatmulOp product, unsigned operand, unsigned row, unsigned column);

/// The factors of an attention over (b, h, i, d), and how many heads share keys.
struct AttentionLayout {
  Expr batches, heads;
  int64_t group = 1;
  AttentionFactor factors[3]; // query, key, value
  FactorView views[3];        // over (b, h or h / group, row, column)
};
/// Finds the number of heads for which all three factors have strides; `guesses` are tried after what the factors'
/// own layouts suggest. Where a factor's movement fits no such number, it is read after it was moved.
std::optional<AttentionLayout> findHeads(llvm::ArrayRef<AttentionFactor> factors, llvm::ArrayRef<AttentionFactor> plain,
                                         Expr total, llvm::ArrayRef<Expr> natural, llvm::ArrayRef<Expr> guesses);
/// What the scores of `product` are to be multiplied with, if anything: the scales of the query and the key. Where one
/// of them has some, the multiplication that the other one's computation ends in is taken from it, which costs nothing
/// more and leaves the two computed alike.
std::optional<double> takeScale(const AttentionLayout &layout, MatmulOp product);

} // namespace kt

#endif
