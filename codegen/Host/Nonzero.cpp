//===- Nonzero.cpp - positions of true elements on the host ---------------===//

#include "codegen/Host/Emit.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

LogicalResult kt::codegen::host::buildNonzero(KernelBuilder &kernel, NonzeroOp op) {
  kernel.schedule = "nonzero";
  // The count has to be written even when there is nothing to look at, so there is always a task.
  kernel.stage({kernel.constant(1), {}}, [&](StageEmitter &e) {
    const Tensor &in = e.operands[0], &positions = e.results[0], &count = e.results[1];
    Type i64 = e.b.getI64Type();
    e.tasks([&](Value) {
      Value n = e.expr(in.type.dim(0));
      // Every position is written where the next true one goes: no branch, and never past element i.
      Value found = e.loop(e.idx(0), n, e.idx(1), e.idx(0), [&](Value i, ValueRange acc) {
        e.store(e.i64(i), positions.pointer, i64, acc[0]);
        Value hit = e.load(in.pointer, in.element(), i);
        return SmallVector<Value>{e.add(acc[0], e.op<arith::IndexCastUIOp>(e.indexType(), hit))};
      })[0];
      e.loop(found, n, [&](Value i) { e.store(e.constant(i64, 0), positions.pointer, i64, i); });
      e.store(e.i64(found), count.pointer, i64, e.idx(0));
    });
  });
  return success();
}
