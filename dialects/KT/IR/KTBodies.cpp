//===- KTBodies.cpp - the scalar regions of compute ops -------------------===//
//
// What passes need to treat the regions of all compute ops alike: where they are, which operands they see, adding and
// dropping those.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace kt;

bool kt::isCompute(Operation *op) {
  return isa<GenericOp, ReduceOp, NormalizeOp, MatmulOp, ConvOp, AttentionOp, SortOp, ScanOp, ScatterOp, NonzeroOp,
             SuppressOp>(op);
}
bool kt::isProduct(Operation *op) { return isa<MatmulOp, ConvOp, AttentionOp>(op); }

Block *kt::addBody(Region &region, TypeRange leading, ValueRange operands, unsigned indices) {
  Block *block = &region.emplaceBlock();
  Location loc = region.getLoc();
  for (Type type : leading)
    block->addArgument(type, loc);
  for (Value v : operands)
    block->addArgument(v.getType(), loc);
  for (unsigned i = 0; i < indices; ++i)
    block->addArgument(IndexType::get(region.getContext()), loc);
  return block;
}

SmallVector<BodyRef> kt::bodiesOf(Operation *op) {
  if (auto generic = dyn_cast<GenericOp>(op))
    return {{&generic.getBody(), 0}};
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return {{&reduce.getBody(), 0}, {&reduce.getEpilogue(), 1}};
  if (auto normalize = dyn_cast<NormalizeOp>(op))
    return {{&normalize.getBody(), 0}, {&normalize.getEpilogue(), 1}};
  if (auto matmul = dyn_cast<MatmulOp>(op))
    return {{&matmul.getEpilogue(), 1}};
  if (auto conv = dyn_cast<ConvOp>(op))
    return {{&conv.getEpilogue(), 1}};
  if (auto attention = dyn_cast<AttentionOp>(op))
    return {{&attention.getScore(), 1}};
  return {};
}

unsigned kt::firstBodyOperand(Operation *op) { return isa<MatmulOp, ConvOp>(op) ? 2 : isa<AttentionOp>(op) ? 3 : 0; }

unsigned kt::addBodyOperand(Operation *op, Value v) {
  unsigned number = op->getNumOperands() - firstBodyOperand(op);
  op->insertOperands(op->getNumOperands(), v);
  for (BodyRef body : bodiesOf(op))
    body.region->front().insertArgument(body.leading + number, v.getType(), op->getLoc());
  return number;
}

bool kt::cleanBodyOperands(Operation *op) {
  unsigned first = firstBodyOperand(op);
  SmallVector<BodyRef> bodies = bodiesOf(op);
  if (bodies.empty())
    return false;
  bool changed = false;
  for (unsigned i = op->getNumOperands() - first; i-- > 0;) {
    // An earlier operand that is the same value takes over.
    for (unsigned j = 0; j < i; ++j)
      if (op->getOperand(first + j) == op->getOperand(first + i)) {
        for (BodyRef body : bodies)
          body.region->getArgument(body.leading + i).replaceAllUsesWith(body.region->getArgument(body.leading + j));
        break;
      }
    if (llvm::any_of(bodies, [&](BodyRef body) { return !body.region->getArgument(body.leading + i).use_empty(); }))
      continue;
    for (BodyRef body : bodies)
      body.region->front().eraseArgument(body.leading + i);
    op->eraseOperand(first + i);
    changed = true;
  }
  return changed;
}
