//===- KTOps.cpp - the ops and the verifiers of structured ones -----------===//

#include "dialects/KT/IR/Verify.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace kt;

#define GET_OP_CLASSES
#include "dialects/KT/IR/KTOps.cpp.inc"

LogicalResult GenericOp::verify() {
  SymTensorType type = getResult().getType();
  return verifyBody(*this, getBody(), "body", {}, getInputs(), type.getRank(), type.scalarType());
}

SmallVector<Expr> UpdateOp::window() {
  SmallVector<Expr> sizes = getResult().getType().sizes();
  sizes[getAxis()] = getCount();
  return sizes;
}

LogicalResult UpdateOp::verify() {
  SymTensorType type = getResult().getType();
  if ((int64_t)getAxis() < 0 || (int64_t)getAxis() >= type.getRank())
    return emitOpError() << "expected an axis below " << type.getRank() << " but got " << (int64_t)getAxis();
  if (alwaysBelow(*this, type.dim(getAxis()), Expr(getFrom()) + getCount()))
    return emitOpError() << "expected a window within " << type.dim(getAxis()).str() << " but it ends at "
                         << (Expr(getFrom()) + getCount()).str();
  YieldOp yield = yieldOf(getBody());
  if (yield && yield.getValues().size() == 2 && !yield.getValues()[1].getType().isIndex())
    return emitOpError() << "expected to move elements by an index but got " << yield.getValues()[1].getType();
  return verifyBody(*this, getBody(), "body", {}, getInputs(), type.getRank(), type.scalarType(), 2);
}

LogicalResult ReduceOp::verify() {
  SymTensorType type = getResult().getType();
  Expr zero = Expr::constant(getContext(), 0);
  for (auto [i, extent] : llvm::enumerate(getExtents().getAsRange<ExprAttr>()))
    if (alwaysBelow(*this, extent, zero))
      return emitOpError() << "expected extent " << i << " to be 0 or more but got " << Expr(extent).str();
  if (failed(verifyBody(*this, getBody(), "body", {}, getInputs(), type.getRank() + getExtents().size(), {})))
    return failure();
  Type combined = bodyYield(getBody());
  if (!combined.isIntOrFloat())
    return emitOpError() << "expected the body to yield an integer or a floating-point number but it yields "
                         << combined;
  bool arg = getKind() == ReduceKind::argmax || getKind() == ReduceKind::argmin;
  if (getSelectLast() && !arg)
    return emitOpError() << "expected select_last with argmax or argmin but got " << stringifyReduceKind(getKind());
  if (arg)
    combined = IntegerType::get(getContext(), 64);
  return verifyBody(*this, getEpilogue(), "epilogue", {combined}, getInputs(), type.getRank(), type.scalarType());
}

LogicalResult NormalizeOp::verify() {
  SymTensorType type = getResult().getType();
  if ((int64_t)getAxes() < 1 || (int64_t)getAxes() > type.getRank())
    return emitOpError() << "expected 1 to " << type.getRank() << " axes but got " << (int64_t)getAxes();
  if (failed(verifyBody(*this, getBody(), "body", {}, getInputs(), type.getRank(), {})))
    return failure();
  Type x = bodyYield(getBody());
  if (!x.isF32() && !x.isF64())
    return emitOpError() << "expected the body to yield f32 or f64 but it yields " << x;
  return verifyBody(*this, getEpilogue(), "epilogue", {x}, getInputs(), type.getRank(), type.scalarType());
}
