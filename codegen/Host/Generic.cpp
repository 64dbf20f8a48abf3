//===- Generic.cpp - elementwise host kernels -----------------------------===//
//
// A task is a run of the result's elements in memory order, so the split is even whatever the shape. Rows are cut at the run's ends.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/IndexSpace.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

LogicalResult kt::codegen::host::buildGeneric(KernelBuilder &kernel, GenericOp op) {
  SymTensorType type = op.getResult().getType();
  unsigned numInputs = op.getInputs().size();
  SmallVector<Expr> dims;
  for (int64_t d = 0; d < type.getRank(); ++d)
    dims.push_back(type.dim(d));
  IndexSpace space(dims, BodyUse{&op.getBody(), numInputs});
  int64_t chunk = bodyCost(op.getBody()) > 16 ? 16384 : 32768;
  Expr total = space.total();
  kernel.schedule = "generic loops=" + std::to_string(space.loops().size()) + " chunk=" + std::to_string(chunk);

  kernel.stage({Expr::ceilDiv(total, kernel.constant(chunk)), {}}, [&](StageEmitter &e) {
    const Tensor &out = e.results[0];
    auto element = [&](ValueRange loops, Value position) {
      Value v = e.inlineScalar(op.getBody(), {}, 0, numInputs, space.indices(e, loops));
      e.store(v, out.pointer, out.element(), position);
    };
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.idx(chunk)), hi = e.min(e.add(lo, e.idx(chunk)), e.expr(total));
      if (space.loops().size() == 1)
        return e.loop(lo, hi, [&](Value i) { element(i, i); });
      Value row = e.expr(space.loops().back());
      SmallVector<Value> outer;
      for (Expr extent : space.loops().drop_back())
        outer.push_back(e.expr(extent));
      Value first = e.div(lo, row), last = e.div(e.add(hi, e.sub(row, e.idx(1))), row);
      e.loop(first, last, [&](Value r) {
        Value start = e.mul(r, row);
        SmallVector<Value> loops = e.delinearize(r, outer);
        loops.push_back({});
        e.loop(e.max(e.sub(lo, start), e.idx(0)), e.min(e.sub(hi, start), row), [&](Value j) {
          loops.back() = j;
          element(loops, e.add(start, j));
        });
      });
    });
  });
  return success();
}
