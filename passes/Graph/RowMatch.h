//===- RowMatch.h - bodies that read rows ---------------------------------===//
//
// What norms and softmaxes that exporters spelled out are made of: elements read at a body's own position, and
// reductions of the last dimension that are read for a whole row.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_GRAPH_ROWMATCH_H
#define KT_PASSES_GRAPH_ROWMATCH_H

#include "passes/Analysis/Bodies.h"
#include "passes/Graph/ScalarMatch.h"

namespace kt {

/// A reduction over the last dimension of `rank`-dimensional values: its indices are the leading rank - 1, then the
/// reduced one.
struct LastReduce {
  ReduceOp op;
  Expr count;
};

inline std::optional<LastReduce> lastReduce(mlir::Value v, int64_t rank, ReduceKind kind) {
  auto op = throughReshapes(v).getDefiningOp<ReduceOp>();
  if (!op || op.getKind() != kind || op.getExtents().size() != 1 || op.getResult().getType().getRank() != rank - 1)
    return std::nullopt;
  return LastReduce{op, mlir::cast<ExprAttr>(op.getExtents()[0])};
}

/// The operand that a value of a body reads at the body's own position [0, rank); null if it does not.
inline mlir::Value readHere(mlir::Value v, mlir::Operation *op, unsigned leading, int64_t rank) {
  auto read = stripCasts(v).getDefiningOp<ReadOp>();
  if (!read)
    return {};
  unsigned operands = op->getNumOperands();
  if (!isIdentityRead(read, leading + operands, rank))
    return {};
  return op->getOperand(mlir::cast<mlir::BlockArgument>(read.getTensor()).getArgNumber() - leading);
}

/// The operand that a value of a body reads at [i.., 0] or [i..], where i.. are the leading rank - 1 indices.
inline mlir::Value readRow(mlir::Value v, mlir::Operation *op, unsigned leading, int64_t rank) {
  auto read = stripCasts(v).getDefiningOp<ReadOp>();
  if (!read || read.getOtherwise())
    return {};
  unsigned first = leading + op->getNumOperands();
  auto at = read.getIndices();
  if ((int64_t)at.size() != rank && (int64_t)at.size() != rank - 1)
    return {};
  for (int64_t i = 0; i < (int64_t)at.size(); ++i) {
    if (i < rank - 1) {
      if (plainIndex(at[i], read->getBlock(), first) != (unsigned)i &&
          !(read.getTensor().getType().dim(i).isConstant(1)))
        return {};
    } else if (!mlir::matchPattern(at[i], mlir::m_Zero())) {
      return {};
    }
  }
  return op->getOperand(mlir::cast<mlir::BlockArgument>(read.getTensor()).getArgNumber() - leading);
}

} // namespace kt

#endif
