//===- Body.cpp - inlining scalar bodies into kernels ---------------------===//

#include "codegen/Common/Body.h"
#include "mlir/Analysis/SliceAnalysis.h"

using namespace mlir;
using namespace kt;

/// Clones the ops for which `isNeeded`; answers what the region's values have become.
static IRMapping inlineOps(OpBuilder &builder, Region &region, ValueRange leading, unsigned numOperands,
                           ValueRange indices, codegen::BodyHooks hooks, Operation *loop,
                           llvm::function_ref<bool(Operation *)> isNeeded) {
  Block &block = region.front();
  IRMapping map;
  auto isInLoop = [&](Value v) {
    return loop->isProperAncestor(v.getParentBlock()->getParentOp()) || v.getParentBlock()->getParentOp() == loop;
  };
  for (auto [i, v] : llvm::enumerate(leading))
    map.map(block.getArgument(i), v);
  for (auto [i, v] : llvm::enumerate(indices))
    map.map(block.getArgument(leading.size() + numOperands + i), v);
  for (Operation &op : block.without_terminator()) {
    if (!isNeeded(&op))
      continue;
    OpBuilder::InsertionGuard guard(builder);
    if (loop && llvm::none_of(op.getOperands(), [&](Value v) { return map.contains(v) && isInLoop(map.lookup(v)); }))
      builder.setInsertionPoint(loop);
    if (auto read = dyn_cast<ReadOp>(op)) {
      SmallVector<Value> at;
      for (Value v : read.getIndices())
        at.push_back(map.lookup(v));
      Value otherwise = read.getOtherwise() ? map.lookup(read.getOtherwise()) : Value();
      unsigned operand = cast<BlockArgument>(read.getTensor()).getArgNumber() - leading.size();
      map.map(read.getResult(), hooks.read(builder, operand, read, at, otherwise));
    } else if (auto bounded = dyn_cast<BoundedOp>(op)) {
      Value when = bounded.getWhen() ? map.lookup(bounded.getWhen()) : Value();
      map.map(bounded.getResult(), hooks.bounded(builder, bounded, map.lookup(bounded.getValue()), when));
    } else if (auto size = dyn_cast<SizeOp>(op)) {
      map.map(size.getResult(), hooks.size(builder, size.getValue()));
    } else {
      builder.clone(op, map);
    }
  }
  return map;
}

SmallVector<Value> codegen::inlineBody(OpBuilder &builder, Region &region, ValueRange leading, unsigned numOperands,
                                       ValueRange indices, BodyHooks hooks, Operation *loop) {
  IRMapping map =
      inlineOps(builder, region, leading, numOperands, indices, hooks, loop, [](Operation *) { return true; });
  SmallVector<Value> yielded;
  for (Value v : cast<YieldOp>(region.front().getTerminator()).getValues())
    yielded.push_back(map.lookup(v));
  return yielded;
}

Value codegen::inlineOne(OpBuilder &builder, Region &region, unsigned number, ValueRange indices, BodyHooks hooks) {
  Value v = cast<YieldOp>(region.front().getTerminator()).getValues()[number];
  llvm::SetVector<Operation *> needed;
  if (Operation *def = v.getDefiningOp()) {
    BackwardSliceOptions options;
    options.inclusive = true;
    options.filter = [&](Operation *op) { return op->getBlock() == &region.front(); };
    (void)getBackwardSlice(def, &needed, options);
  }
  unsigned numOperands = region.front().getNumArguments() - indices.size();
  IRMapping map = inlineOps(builder, region, {}, numOperands, indices, hooks, nullptr,
                            [&](Operation *op) { return needed.contains(op); });
  return map.lookup(v);
}
