//===- KTIndexing.cpp - sort, scan, scatter, nonzero and suppress ---------===//

#include "dialects/KT/IR/Verify.h"

using namespace mlir;
using namespace kt;

LogicalResult SortOp::verify() {
  SymTensorType in = getInput().getType(), values = getValues().getType(), indices = getIndices().getType();
  if (values.getDims() != indices.getDims())
    return emitOpError() << "expected values and indices of one shape but got " << values << " and " << indices;
  if (in.getRank() < 1 || in.getRank() != values.getRank())
    return emitOpError() << "expected results of the input's rank, at least 1, but got " << in.getRank() << " and "
                         << values.getRank();
  SmallVector<Expr> expected = in.sizes();
  Expr length = expected.back();
  expected.back() = values.dim(values.getRank() - 1);
  if (alwaysBelow(*this, length, expected.back()))
    return emitOpError() << "expected at most " << length.str() << " sorted elements a row but got "
                         << expected.back().str();
  Type i64 = IntegerType::get(getContext(), 64);
  return success(succeeded(verifyDims(*this, "values", values, expected)) &&
                 succeeded(verifyElement(*this, "values", values, in.getElementType())) &&
                 succeeded(verifyElement(*this, "indices", indices, i64)));
}

LogicalResult ScanOp::verify() {
  if (getInput().getType() != getResult().getType())
    return emitOpError() << "expected result type " << getInput().getType() << " but got " << getResult().getType();
  if (getInput().getType().getRank() < 1)
    return emitOpError() << "expected a dimension to go along but got " << getInput().getType();
  if (getKind() != ReduceKind::add && getKind() != ReduceKind::mul)
    return emitOpError() << "expected kind add or mul but got " << stringifyReduceKind(getKind());
  return success();
}

LogicalResult ScatterOp::verify() {
  SymTensorType base = getBase().getType(), indices = getIndices().getType(), updates = getUpdates().getType();
  if (base != getResult().getType())
    return emitOpError() << "expected result type " << base << " but got " << getResult().getType();
  if (indices.getRank() != 2 || !indices.getElementType().isSignlessInteger(64))
    return emitOpError() << "expected indices [rows, depth] of i64 but got " << indices;
  auto depth = indices.dim(1).asConstant();
  if (!depth || *depth < 0 || *depth > base.getRank())
    return emitOpError() << "expected a constant depth of at most " << base.getRank() << " but got "
                         << indices.dim(1).str();
  SmallVector<Expr> rows = base.sizes();
  rows.erase(rows.begin(), rows.begin() + *depth);
  rows.insert(rows.begin(), indices.dim(0));
  if (failed(verifyDims(*this, "updates", updates, rows)) ||
      failed(verifyElement(*this, "updates", updates, base.getElementType())))
    return failure();
  return getSite() ? verifySite(*this, *getSite()) : success();
}

LogicalResult NonzeroOp::verify() {
  SymTensorType in = getInput().getType(), positions = getPositions().getType(), count = getCount().getType();
  if (in.getRank() != 1 || !in.getElementType().isSignlessInteger(1))
    return emitOpError() << "expected a flat i1 tensor but got " << in;
  Type i64 = IntegerType::get(getContext(), 64);
  return success(succeeded(verifyDims(*this, "positions", positions, in.dim(0))) &&
                 succeeded(verifyElement(*this, "positions", positions, i64)) &&
                 succeeded(verifyDims(*this, "count", count, Expr::constant(getContext(), 1))) &&
                 succeeded(verifyElement(*this, "count", count, i64)));
}

LogicalResult SuppressOp::verify() {
  SymTensorType boxes = getBoxes().getType(), scores = getScores().getType(), selected = getSelected().getType(),
                count = getCount().getType();
  Type f32 = Float32Type::get(getContext()), i64 = IntegerType::get(getContext(), 64);
  if (boxes.getRank() != 3 || scores.getRank() != 3 || boxes.getElementType() != f32 ||
      scores.getElementType() != f32 || neverEqual(*this, boxes.dim(2), Expr::constant(getContext(), 4)))
    return emitOpError() << "expected boxes [b, n, 4] and scores [b, c, n] of f32 but got " << boxes << " and "
                         << scores;
  if (failed(verifyDim(*this, "scores", scores, 0, boxes.dim(0))) ||
      failed(verifyDim(*this, "scores", scores, 2, boxes.dim(1))))
    return failure();
  Expr one = Expr::constant(getContext(), 1);
  auto verifyLimit = [&](StringRef what, Value v, Type element) -> LogicalResult {
    auto type = cast<SymTensorType>(v.getType());
    return success(succeeded(verifyDims(*this, what, type, one)) &&
                   succeeded(verifyElement(*this, what, type, element)));
  };
  if (failed(verifyLimit("most", getMost(), i64)) || failed(verifyLimit("overlap", getOverlap(), f32)) ||
      (getLeast() && failed(verifyLimit("least", getLeast(), f32))))
    return failure();
  if (selected.getRank() != 3 || count.getRank() != 2 || selected.getElementType() != i64 ||
      count.getElementType() != i64 || selected.getDims().drop_back() != scores.getDims().drop_back() ||
      count.getDims() != scores.getDims().drop_back())
    return emitOpError() << "expected results [b, c, k] and [b, c] of i64 but got " << selected << " and " << count;
  return success();
}
