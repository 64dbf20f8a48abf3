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
    SmallVector<Value> values = e.inlineAll(op.getBody(), {}, 0, op.getInputs().size(), at), place(at);
    Value &along = place[op.getAxis()];
    along = e.add(along, e.expr(op.getFrom()));
    auto store = [&] { e.store(values[0], result.pointer, result.element(), e.linear(result, place)); };
    if (values.size() == 1)
      return store();
    along = e.add(along, values[1]);
    e.ifThen(e.cmp(arith::CmpIPredicate::ult, along, e.extent(result, op.getAxis())), store);
  });
  return success();
}
