//===- MeasureInputs.cpp - outputs that say what products are given -------===//

#include "passes/Precision/MeasureInputs.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "passes/Precision/InputMoments.h"

using namespace mlir;
using namespace kt;

void kt::forEachProduct(func::FuncOp func, function_ref<void(MatmulOp op, unsigned number)> visit) {
  unsigned number = 0;
  func.walk([&](MatmulOp op) { visit(op, number++); });
}

/// Whether the left side is read as it is, by plain dimensions.
static bool hasPlainLhs(MatmulOp op) {
  if (op.getViews() && !cast<ViewAttr>((*op.getViews())[0]).isNone())
    return false;
  AffineMap map = op.getMap(0);
  return cast<SymTensorType>(op.getLhs().getType()).getRank() == map.getNumResults() &&
         llvm::all_of(map.getResults(), [](AffineExpr e) { return isa<AffineDimExpr>(e); });
}

/// The sums over all dimensions but k.
static Value sumsOfSquares(MatmulOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  Value lhs = op.getLhs();
  auto type = cast<SymTensorType>(lhs.getType());
  AffineMap map = op.getMap(0);
  unsigned depth = map.getNumDims() - 1;
  SmallVector<Attribute> extents;
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    if (map.getDimPosition(i) != depth)
      extents.push_back(type.getDims()[i]);
  auto result = SymTensorType::get(b.getContext(), {op.getDepthAttr()}, b.getF32Type());
  auto sums = ReduceOp::create(b, loc, result, lhs, ReduceKind::add, b.getArrayAttr(extents));
  {
    Block *body = addBody(sums.getBody(), {}, lhs, 1 + extents.size());
    OpBuilder inner = OpBuilder::atBlockEnd(body);
    SmallVector<Value> at;
    unsigned next = 2; // behind the operand and k
    for (unsigned i = 0; i < map.getNumResults(); ++i)
      at.push_back(body->getArgument(map.getDimPosition(i) == depth ? 1 : next++));
    Value x = ReadOp::create(inner, loc, body->getArgument(0), at);
    if (!x.getType().isF32())
      x = arith::ExtFOp::create(inner, loc, inner.getF32Type(), x);
    YieldOp::create(inner, loc, arith::MulFOp::create(inner, loc, x, x).getResult());
  }
  Block *end = addBody(sums.getEpilogue(), b.getF32Type(), lhs, 1);
  OpBuilder inner = OpBuilder::atBlockEnd(end);
  YieldOp::create(inner, loc, end->getArgument(0));
  return sums.getResult();
}

void kt::measureInputs(func::FuncOp func) {
  SmallVector<std::pair<unsigned, Value>> all;
  forEachProduct(func, [&](MatmulOp op, unsigned number) {
    Type element = cast<SymTensorType>(op.getLhs().getType()).getElementType();
    bool isFloat = element.isF32() || element.isF16() || element.isBF16();
    if (op->getParentOp() == func && op.getPacked() && isFloat && hasPlainLhs(op))
      all.emplace_back(number, sumsOfSquares(op));
  });
  Builder b(func.getContext());
  Operation *end = func.getBody().front().getTerminator();
  for (auto [number, sums] : all) {
    StringAttr name = b.getStringAttr(kMomentsOutput + std::to_string(number));
    auto attributes = b.getDictionaryAttr(b.getNamedAttr("kt.name", name));
    LogicalResult added = func.insertResult(func.getNumResults(), sums.getType(), attributes);
    assert(succeeded(added));
    (void)added;
    end->insertOperands(end->getNumOperands(), sums);
  }
}
