//===- KTOps.cpp - verifiers of the compute ops ---------------------------===//

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace kt;

#define GET_OP_CLASSES
#include "dialects/KT/IR/KTOps.cpp.inc"

/// Checks a body's signature: leading scalars, the operands, the indices, and one yielded value of type `yields` (null:
/// any).
static LogicalResult verifyBody(Operation *op, Region &region, StringRef what, TypeRange leading, ValueRange operands,
                                unsigned indices, Type yields) {
  Block &block = region.front();
  unsigned expected = leading.size() + operands.size() + indices;
  if (block.getNumArguments() != expected)
    return op->emitOpError() << what << " expected " << expected << " arguments but got " << block.getNumArguments();
  for (auto [i, type] : llvm::enumerate(leading))
    if (block.getArgument(i).getType() != type)
      return op->emitOpError() << what << " argument " << i << " expected " << type << " but got "
                               << block.getArgument(i).getType();
  for (auto [i, v] : llvm::enumerate(operands))
    if (block.getArgument(leading.size() + i).getType() != v.getType())
      return op->emitOpError() << what << " argument " << leading.size() + i << " expected " << v.getType()
                               << " but got " << block.getArgument(leading.size() + i).getType();
  for (unsigned i = 0; i < indices; ++i)
    if (!block.getArgument(leading.size() + operands.size() + i).getType().isIndex())
      return op->emitOpError() << what << " argument " << leading.size() + operands.size() + i << " expected index";
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getValues().size() != 1)
    return op->emitOpError() << what << " expected to end in a kt.yield of one value";
  if (yields && yield.getValues()[0].getType() != yields)
    return op->emitOpError() << what << " expected to yield " << yields << " but yields "
                             << yield.getValues()[0].getType();
  return success();
}

static Type bodyYield(Region &region) {
  auto yield = dyn_cast<YieldOp>(region.front().back());
  return yield && yield.getValues().size() == 1 ? yield.getValues()[0].getType() : Type();
}

LogicalResult GenericOp::verify() {
  SymTensorType type = getResult().getType();
  return verifyBody(*this, getBody(), "body", {}, getInputs(), type.getRank(), type.scalarType());
}

LogicalResult ReduceOp::verify() {
  SymTensorType type = getResult().getType();
  for (Attribute a : getExtents())
    if (!isa<ExprAttr>(a))
      return emitOpError() << "expected extents to be expressions";
  if (failed(verifyBody(*this, getBody(), "body", {}, getInputs(), type.getRank() + getExtents().size(), {})))
    return failure();
  bool arg = getKind() == ReduceKind::argmax || getKind() == ReduceKind::argmin;
  Type acc = arg ? IntegerType::get(getContext(), 64) : bodyYield(getBody());
  return verifyBody(*this, getEpilogue(), "epilogue", {acc}, getInputs(), type.getRank(), type.scalarType());
}

LogicalResult NormalizeOp::verify() {
  SymTensorType type = getResult().getType();
  if ((int64_t)getAxes() < 1 || (int64_t)getAxes() > type.getRank())
    return emitOpError() << "expected 1 to " << type.getRank() << " axes but got " << getAxes();
  if (failed(verifyBody(*this, getBody(), "body", {}, getInputs(), type.getRank(), {})))
    return failure();
  Type x = bodyYield(getBody());
  if (!x.isF32() && !x.isF64())
    return emitOpError() << "expected the body to yield f32 or f64 but it yields " << x;
  return verifyBody(*this, getEpilogue(), "epilogue", {x}, getInputs(), type.getRank(), type.scalarType());
}

AffineMap MatmulOp::getMap(unsigned i) { return cast<AffineMapAttr>(getMaps()[i]).getValue(); }

Expr MatmulOp::extent(unsigned dim) {
  AffineMap map = getMap(2);
  if (dim == map.getNumDims() - 1)
    return getDepth();
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    if (map.getDimPosition(i) == dim)
      return getResult().getType().dim(i);
  return {};
}

static Type accumulatorFor(Type element) {
  Builder b(element.getContext());
  if (isa<IntegerType>(element))
    return element.getIntOrFloatBitWidth() > 32 ? b.getI64Type() : b.getI32Type();
  return element.isF64() ? Type(b.getF64Type()) : Type(b.getF32Type());
}

Type MatmulOp::accumulatorType() { return accumulatorFor(getLhs().getType().getElementType()); }

LogicalResult MatmulOp::verify() {
  if (getMaps().size() != 3)
    return emitOpError() << "expected 3 maps but got " << getMaps().size();
  unsigned dims = getMap(0).getNumDims();
  if (dims < 3)
    return emitOpError() << "expected an iteration space of at least 3 dimensions but got " << dims;
  SymTensorType types[] = {getLhs().getType(), getRhs().getType(), getResult().getType()};
  for (unsigned i = 0; i < 3; ++i) {
    if (i == 1 && getPacked())
      continue;
    if (getMap(i).getNumDims() != dims || !getMap(i).isProjectedPermutation())
      return emitOpError() << "expected map " << i << " to be a projected permutation of " << dims << " dimensions";
    if (getMap(i).getNumResults() != types[i].getRank())
      return emitOpError() << "map " << i << " has " << getMap(i).getNumResults() << " results but its tensor has "
                           << types[i].getRank() << " dimensions";
  }
  if (getMap(2).getNumResults() != dims - 1)
    return emitOpError() << "expected the result to have every dimension but k";
  if (getPacked() && (types[1].getRank() != 3 || !types[1].dim(2).isConstant(kPanel)))
    return emitOpError() << "expected packed weights [panels, k, " << kPanel << "] but got " << types[1];
  return verifyBody(*this, getEpilogue(), "epilogue", {accumulatorType()}, getExtras(), types[2].getRank(),
                    types[2].scalarType());
}

Type ConvOp::accumulatorType() { return accumulatorFor(getInput().getType().getElementType()); }

LogicalResult ConvOp::verify() {
  SymTensorType in = getInput().getType(), w = getWeights().getType(), out = getResult().getType();
  int64_t spatial = in.getRank() - 2;
  if (spatial < 1 || spatial > 3)
    return emitOpError() << "expected 1 to 3 spatial dimensions but got " << spatial;
  if (out.getRank() != in.getRank())
    return emitOpError() << "expected the result to have rank " << in.getRank() << " but got " << out.getRank();
  for (auto list : {getKernel(), getStrides(), getDilations(), getInputDilations()})
    if ((int64_t)list.size() != spatial || llvm::any_of(list, [](int64_t v) { return v < 1; }))
      return emitOpError() << "expected " << spatial << " positive kernel, stride and dilation sizes";
  if ((int64_t)getPads().size() != spatial)
    return emitOpError() << "expected " << spatial << " pads but got " << getPads().size();
  if (w.getRank() != 5 || !w.dim(4).isConstant(kPanel))
    return emitOpError() << "expected packed weights [groups, panels, taps, channels, " << kPanel << "] but got " << w;
  if (!w.dim(0).isConstant(getGroups()) && !(isDepthwise() && w.dim(3).isConstant(1)))
    return emitOpError() << "expected packed weights of " << getGroups() << " groups but got " << w;
  return verifyBody(*this, getEpilogue(), "epilogue", {accumulatorType()}, getExtras(), out.getRank(),
                    out.scalarType());
}

LogicalResult AttentionOp::verify() {
  if (getMaps().size() != 4 || getSizes().size() != 6)
    return emitOpError() << "expected 4 maps and 6 sizes but got " << getMaps().size() << " and " << getSizes().size();
  SymTensorType types[] = {getQuery().getType(), getKey().getType(), getValue().getType(), getResult().getType()};
  for (unsigned i = 0; i < 4; ++i) {
    AffineMap map = cast<AffineMapAttr>(getMaps()[i]).getValue();
    if (map.getNumDims() != 4 || !map.isPermutation() || types[i].getRank() != 4)
      return emitOpError() << "expected map " << i << " to be a permutation of 4 dimensions";
  }
  Type f32 = Float32Type::get(getContext());
  return verifyBody(*this, getScore(), "score", {f32}, getExtras(), 4, f32);
}

LogicalResult SortOp::verify() {
  if (getValues().getType().getDims() != getIndices().getType().getDims())
    return emitOpError() << "expected values and indices of one shape";
  if (getInput().getType().getRank() < 1 || getInput().getType().getRank() != getValues().getType().getRank())
    return emitOpError() << "expected results of the input's rank";
  return success();
}

LogicalResult ScanOp::verify() {
  if (getInput().getType() != getResult().getType())
    return emitOpError() << "expected result type " << getInput().getType() << " but got " << getResult().getType();
  if (getKind() != ReduceKind::add && getKind() != ReduceKind::mul)
    return emitOpError() << "expected kind add or mul";
  return success();
}

LogicalResult ScatterOp::verify() {
  if (getBase().getType() != getResult().getType())
    return emitOpError() << "expected result type " << getBase().getType() << " but got " << getResult().getType();
  if (getIndices().getType().getRank() != 2 || !getIndices().getType().getElementType().isInteger(64))
    return emitOpError() << "expected indices [rows, depth] of i64 but got " << getIndices().getType();
  return success();
}

LogicalResult NonzeroOp::verify() {
  if (getInput().getType().getRank() != 1 || !getInput().getType().getElementType().isInteger(1))
    return emitOpError() << "expected a flat i1 tensor but got " << getInput().getType();
  return success();
}

LogicalResult SuppressOp::verify() {
  auto is = [](SymTensorType t, int64_t rank, auto isElement) {
    return t.getRank() == rank && isElement(t.getElementType());
  };
  auto isFloat = [](Type t) { return t.isF32(); };
  auto isNumber = [](Type t) { return t.isInteger(64); };
  SymTensorType boxes = getBoxes().getType(), scores = getScores().getType(), selected = getSelected().getType();
  if (!is(boxes, 3, isFloat) || !boxes.dim(2).isConstant(4) || !is(scores, 3, isFloat))
    return emitOpError() << "expected boxes [b, n, 4] and scores [b, c, n] of f32 but got " << boxes << " and "
                         << scores;
  if (!is(getMost().getType(), 1, isNumber) || !is(getOverlap().getType(), 1, isFloat) ||
      (getLeast() && !is(getLeast().getType(), 1, isFloat)))
    return emitOpError() << "expected limits [1] of i64, f32 and f32";
  if (!is(selected, 3, isNumber) || !is(getCount().getType(), 2, isNumber) ||
      selected.getDims().drop_back() != scores.getDims().drop_back() ||
      getCount().getType().getDims() != scores.getDims().drop_back())
    return emitOpError() << "expected results [b, c, k] and [b, c] of i64 but got " << selected << " and "
                         << getCount().getType();
  return success();
}
