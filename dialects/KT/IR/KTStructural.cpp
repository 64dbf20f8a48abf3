//===- KTStructural.cpp - constants, views and reads ----------------------===//

#include "dialects/KT/IR/Verify.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace kt;

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

llvm::ArrayRef<char> ConstantOp::bytes() { return bytesInMemory(getValue()); }

ConstantBytes ConstantOp::contents() { return ConstantBytes(getValue()); }

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

LogicalResult ConstantOp::verify() {
  SymTensorType type = getResult().getType();
  if (!type.hasStaticShape())
    return emitOpError() << "expected a constant shape but got " << type;
  Expr expected = type.numElements() * type.elementBytes();
  uint64_t size = contents().size();
  if (!expected.isConstant(size))
    return emitOpError() << "expected " << (expected.poison() ? "more than 2^63" : expected.str()) << " bytes but got "
                         << size;
  return success();
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getSource().getType() == getResult().getType())
    return getSource();
  if (auto inner = getSource().getDefiningOp<ReshapeOp>()) {
    setOperand(inner.getSource());
    return getResult();
  }
  return {};
}

LogicalResult ReshapeOp::verify() {
  SymTensorType from = getSource().getType(), to = getResult().getType();
  if (from.getElementType() != to.getElementType())
    return emitOpError() << "expected element type " << from.getElementType() << " but got " << to.getElementType();
  if (from.getDims() == to.getDims())
    return success();
  if (Expr a = from.numElements(), b = to.numElements(); neverEqual(*this, a, b))
    return emitOpError() << "expected " << a.str() << " elements but got " << b.str();
  return success();
}

LogicalResult CapacityOp::verify() {
  SymTensorType from = getSource().getType(), to = getResult().getType();
  unsigned differ = 0;
  if (from.getRank() == to.getRank())
    for (int64_t i = 0; i < from.getRank(); ++i)
      differ += from.dim(i) != to.dim(i);
  if (from.getElementType() != to.getElementType() || from.getRank() != to.getRank() || differ > 1)
    return emitOpError() << "expected types that differ in one dimension but got " << from << " and " << to;
  return success();
}

//===----------------------------------------------------------------------===//
// Inside bodies
//===----------------------------------------------------------------------===//

void ReadOp::build(OpBuilder &builder, OperationState &state, Value tensor, ValueRange indices) {
  build(builder, state, cast<SymTensorType>(tensor.getType()).scalarType(), tensor, indices, Value(), {});
}

void ReadOp::build(OpBuilder &builder, OperationState &state, Value tensor, ValueRange indices, Value otherwise) {
  build(builder, state, cast<SymTensorType>(tensor.getType()).scalarType(), tensor, indices, otherwise, {});
}

LogicalResult ReadOp::verify() {
  SymTensorType type = getTensor().getType();
  auto operand = dyn_cast<BlockArgument>(getTensor());
  if (!operand || operand.getOwner() != (*this)->getBlock() ||
      !isa<ComputeOpInterface>(operand.getOwner()->getParentOp()))
    return emitOpError() << "expected an operand of the computation whose body it is in";
  if ((int64_t)getIndices().size() != type.getRank())
    return emitOpError() << "expected " << type.getRank() << " indices but got " << getIndices().size();
  if (getResult().getType() != type.scalarType())
    return emitOpError() << "expected result type " << type.scalarType() << " but got " << getResult().getType();
  if (getOtherwise() && getOtherwise().getType() != type.scalarType())
    return emitOpError() << "expected else value of type " << type.scalarType() << " but got "
                         << getOtherwise().getType();
  if (auto check = getCheck()) // kept: the optional has to outlive the loop over what it holds
    for (int64_t d : *check)
      if (d < 0 || d >= type.getRank())
        return emitOpError() << "expected checked dimensions below " << type.getRank() << " but got " << d;
  return success();
}

void SizeOp::build(OpBuilder &builder, OperationState &state, Expr value) {
  build(builder, state, builder.getIndexType(), value.attr());
}

OpFoldResult SizeOp::fold(FoldAdaptor) {
  if (auto c = Expr(getValue()).asConstant())
    return IntegerAttr::get(IndexType::get(getContext()), *c);
  return {};
}

OpFoldResult BoundedOp::fold(FoldAdaptor adaptor) {
  auto value = dyn_cast_if_present<IntegerAttr>(adaptor.getValue());
  std::optional<int64_t> limit = Expr(getLimit()).asConstant();
  if (!value || !limit)
    return {};
  int64_t i = value.getType().isIndex() ? value.getInt() : value.getValue().getSExtValue();
  if (getWraps() && i < 0)
    i += *limit;
  return i >= 0 && i < *limit ? IntegerAttr::get(IndexType::get(getContext()), i) : OpFoldResult();
}

LogicalResult BoundedOp::verify() {
  // An i1 holds no index, and its sign bit would be read as one.
  if (getValue().getType().isInteger(1))
    return emitOpError() << "expected an integer of more than 1 bit";
  return verifySite(*this, getSite());
}
