//===- Orders.cpp - structured work with its result in another order ------===//

#include "passes/Graph/Orders.h"
#include "passes/Analysis/Bodies.h"

using namespace mlir;
using namespace kt;

void kt::permuteWork(Operation *op, ArrayRef<int64_t> perm) {
  Value result = op->getResult(0);
  auto old = cast<SymTensorType>(result.getType());
  SmallVector<ExprAttr> dims;
  for (int64_t p : perm)
    dims.push_back(old.getDims()[p]);
  for (BodyRef body : bodiesOf(op)) {
    Block &block = body.region->front();
    unsigned first = body.leading + op->getNumOperands();
    SmallVector<Value> fresh;
    for (size_t i = 0; i < perm.size(); ++i)
      fresh.push_back(block.insertArgument(first + perm.size() + i, IndexType::get(op->getContext()), op->getLoc()));
    for (auto [i, p] : llvm::enumerate(perm))
      block.getArgument(first + p).replaceAllUsesWith(fresh[i]);
    block.eraseArguments(first, perm.size());
  }
  result.setType(SymTensorType::get(op->getContext(), dims, old.getElementType()));
}

void kt::readPermuted(Operation *op, unsigned number, ArrayRef<int64_t> perm, SymTensorType type) {
  for (ReadOp read : readsOf(op, number)) {
    SmallVector<Value> at;
    SmallVector<int64_t> check;
    for (auto [i, p] : llvm::enumerate(perm)) {
      at.push_back(read.getIndices()[p]);
      if (read.getCheck() && llvm::is_contained(*read.getCheck(), p))
        check.push_back(i);
    }
    read.getIndicesMutable().assign(at);
    if (read.getCheck())
      read.setCheck(check);
  }
  for (BodyRef body : bodiesOf(op))
    body.region->getArgument(body.leading + number).setType(type);
}

bool kt::isReadByBodies(Value v) {
  return llvm::all_of(v.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    return !bodiesOf(user).empty() && use.getOperandNumber() >= firstBodyOperand(user);
  });
}
