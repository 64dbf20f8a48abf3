//===- MarkLookups.cpp - weights of which runs read what data says --------===//
//
// An embedding is a table of which a token reads one row. How many bytes a run moves does not follow from its size
// then, nor what keeping it on a device is worth.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_MARKLOOKUPS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// Whether a number of a body is made from an element of a tensor.
bool comesFromData(Value number) {
  SmallVector<Value> next = {number};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!next.empty())
    if (Operation *op = next.pop_back_val().getDefiningOp(); op && seen.insert(op).second) {
      if (isa<ReadOp>(op))
        return true;
      llvm::append_range(next, op->getOperands());
    }
  return false;
}

bool isLookedUp(ConstantOp weight) {
  for (OpOperand &use : weight.getResult().getUses()) {
    Operation *op = use.getOwner();
    if (bodiesOf(op).empty() || use.getOperandNumber() < firstBodyOperand(op))
      return false;
    for (ReadOp read : readsOf(op, use.getOperandNumber() - firstBodyOperand(op)))
      if (llvm::none_of(read.getIndices(), comesFromData))
        return false;
  }
  return !weight->use_empty();
}

struct MarkLookupsPass : kt::impl::MarkLookupsBase<MarkLookupsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    getOperation()->walk([](ConstantOp weight) { weight.setLookedUp(isLookedUp(weight)); });
  }
};

} // namespace
