//===- Scan.cpp - cumulative sums and products on the host ----------------===//

#include "codegen/Host/Combine.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

LogicalResult kt::codegen::host::buildScan(KernelBuilder &kernel, ScanOp op) {
  SymTensorType type = op.getInput().getType();
  if (type.getRank() < 1)
    return op.emitOpError("expected at least one dimension");
  Expr one = kernel.constant(1), length = type.dim(type.getRank() - 1), rows = one;
  for (int64_t d = 0; d + 1 < type.getRank(); ++d)
    rows = rows * type.dim(d);
  Expr share = Expr::max(Expr::floorDiv(kernel.constant(16384), Expr::max(length, one)), one);
  Combine combine{op.getKind(), type.scalarType()};
  kernel.schedule = "scan";
  kernel.stage({Expr::ceilDiv(rows, share), {}}, [&](StageEmitter &e) {
    const Tensor &in = e.operands[0], &out = e.results[0];
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.expr(share)), hi = e.min(e.add(lo, e.expr(share)), e.expr(rows)), n = e.expr(length);
      e.loop(lo, hi, [&](Value row) {
        Value base = e.mul(row, n), last = e.sub(n, e.idx(1));
        e.loop(e.idx(0), n, e.idx(1), combine.neutral(e), [&](Value i, ValueRange acc) {
          Value at = e.add(base, op.getReverse() ? e.sub(last, i) : i);
          Value next = combine.apply(e, acc[0], e.load(in.pointer, in.element(), at), false);
          e.store(e.convert(op.getExclusive() ? acc[0] : next, type.scalarType()), out.pointer, out.element(), at);
          return SmallVector<Value>{next};
        });
      });
    });
  });
  return success();
}
