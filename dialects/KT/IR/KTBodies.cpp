//===- KTBodies.cpp - the scalar regions of compute ops -------------------===//
//
// What passes need to treat the regions of all compute ops alike: where they are, which operands they see, adding and
// dropping those.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace kt;

#include "dialects/KT/IR/KTInterfaces.cpp.inc"

SmallVector<BodyRef> GenericOp::bodies() { return {{&getBody(), 0}}; }
SmallVector<BodyRef> UpdateOp::bodies() { return {{&getBody(), 0}}; }
SmallVector<BodyRef> ReduceOp::bodies() { return {{&getBody(), 0}, {&getEpilogue(), 1}}; }
SmallVector<BodyRef> NormalizeOp::bodies() { return {{&getBody(), 0}, {&getEpilogue(), 1}}; }
SmallVector<BodyRef> MatmulOp::bodies() { return {{&getEpilogue(), (unsigned)getParts()}}; }
SmallVector<BodyRef> ConvOp::bodies() { return {{&getEpilogue(), 1}}; }
SmallVector<BodyRef> AttentionOp::bodies() {
  SmallVector<BodyRef> all;
  for (Region *region : {&getSink(), &getScales()})
    if (!region->empty())
      all.push_back({region, 0});
  all.push_back({&getScore(), 1});
  return all;
}

unsigned MatmulOp::numFactors() { return 2; }
unsigned ConvOp::numFactors() { return 2; }
unsigned AttentionOp::numFactors() { return 3; }

Region *ReduceOp::epilogueRegion() { return &getEpilogue(); }
Region *NormalizeOp::epilogueRegion() { return &getEpilogue(); }
Region *MatmulOp::epilogueRegion() { return &getEpilogue(); }
Region *ConvOp::epilogueRegion() { return &getEpilogue(); }

/// A sum may be larger than all that it adds up.
bool ReduceOp::mayNarrow() { return false; }

bool kt::isProduct(Operation *op) {
  auto compute = dyn_cast<ComputeOpInterface>(op);
  return compute && compute.isProduct();
}

SmallVector<BodyRef> kt::bodiesOf(Operation *op) {
  auto compute = dyn_cast<ComputeOpInterface>(op);
  return compute ? compute.bodies() : SmallVector<BodyRef>();
}

unsigned kt::firstBodyOperand(Operation *op) {
  auto compute = dyn_cast<ComputeOpInterface>(op);
  return compute ? compute.numFactors() : 0;
}

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

std::optional<unsigned> kt::plainIndex(Value v, Block *block, unsigned firstIndex) {
  auto arg = dyn_cast<BlockArgument>(v);
  if (!arg || arg.getOwner() != block || arg.getArgNumber() < firstIndex)
    return std::nullopt;
  return arg.getArgNumber() - firstIndex;
}

bool kt::isIdentityRead(ReadOp read, unsigned firstIndex, unsigned rank) {
  if (read.getOtherwise() || read.getIndices().size() != rank)
    return false;
  for (auto [i, v] : llvm::enumerate(read.getIndices()))
    if (plainIndex(v, read->getBlock(), firstIndex) != (unsigned)i &&
        !(read.getTensor().getType().dim(i).isConstant(1) && matchPattern(v, m_Zero())))
      return false;
  return true;
}

bool kt::readsOwnElements(Operation *op, Value v) {
  auto type = cast<SymTensorType>(op->getResult(0).getType());
  unsigned rank = type.getRank(), first = firstBodyOperand(op);
  if (type.getDims() != cast<SymTensorType>(v.getType()).getDims() ||
      llvm::is_contained(op->getOperands().take_front(first), v))
    return false;
  bool found = false;
  for (unsigned i = first; i < op->getNumOperands(); ++i) {
    if (op->getOperand(i) != v)
      continue;
    for (BodyRef body : bodiesOf(op))
      for (Operation *user : body.region->getArgument(body.leading + i - first).getUsers()) {
        found = true;
        unsigned indices = body.leading + op->getNumOperands() - first;
        if (!isIdentityRead(cast<ReadOp>(user), indices, rank))
          return false;
      }
  }
  return found;
}
