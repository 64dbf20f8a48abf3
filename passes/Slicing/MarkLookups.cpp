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
