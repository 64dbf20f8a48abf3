//===- Update.cpp - a window of a tensor with room for more ---------------===//
//
// As elementwise work, in runs of rows, but elements lie where their window is.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/IndexSpace.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

LogicalResult kt::codegen::host::buildUpdate(KernelBuilder &kernel, UpdateOp op) {
  constexpr int64_t kChunk = 16384;
  SmallVector<Expr> window = op.window();
  kernel.schedule = "update chunk=" + std::to_string(kChunk);
  forEachInRuns(kernel, window, kChunk, [&](StageEmitter &e, ValueRange at, Value) {
    const Tensor &result = e.results[0];
    auto loop = cast<scf::ForOp>(e.b.getBlock()->getParentOp());
    SmallVector<Value> values = e.inlineAll(op.getBody(), {}, 0, op.getInputs().size(), at, loop), place(at);
    Value &along = place[op.getAxis()];
    auto store = [&] { e.store(values[0], result.pointer, result.element(), e.linear(result, place)); };
    auto move = [&] {
      along = e.add(along, e.expr(op.getFrom()));
      if (values.size() == 1)
        return Value();
      along = e.add(along, values[1]);
      return e.cmp(arith::CmpIPredicate::ult, along, e.extent(result, op.getAxis()));
    };
    if (op.getAxis() + 1 == window.size() || (values.size() == 2 && !loop.isDefinedOutsideOfLoop(values[1]))) {
      Value inside = move();
      return inside ? e.ifThen(inside, store) : store();
    }
    // Where elements go is the same all along a row: of one that goes nowhere the loop has none.
    e.b.getBlock()->getParentOp()->getParentOfType<LLVM::LLVMFuncOp>().setPassthroughAttr(
        e.b.getStrArrayAttr({kUnswitch}));
    {
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPoint(loop);
      if (Value inside = move())
        loop.setUpperBound(e.select(inside, loop.getUpperBound(), loop.getLowerBound()));
    }
    store();
  });
  return success();
}
