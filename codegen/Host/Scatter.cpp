//===- Scatter.cpp - scattered updates on the host ------------------------===//
//
// The base is copied, then each task applies all updates to a range of columns, in order: results do not depend on the
// number of threads.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Combine.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

LogicalResult kt::codegen::host::buildScatter(KernelBuilder &kernel, ScatterOp op) {
  SymTensorType base = op.getBase().getType(), indices = op.getIndices().getType();
  auto depth = indices.dim(1).asConstant();
  if (!depth || *depth > base.getRank())
    return op.emitOpError("expected a constant depth of at most ")
           << base.getRank() << " but got " << indices.dim(1).str();
  Expr one = kernel.constant(1), rest = one;
  for (int64_t d = *depth; d < base.getRank(); ++d)
    rest = rest * base.dim(d);
  constexpr int64_t copyChunk = 65536, columnChunk = 2048;
  kernel.schedule = ("scatter " + stringifyScatterKind(op.getKind())).str();

  Expr total = base.numElements();
  kernel.stage({Expr::ceilDiv(total, kernel.constant(copyChunk)), {}}, [&](StageEmitter &e) {
    const Tensor &in = e.operands[0], &out = e.results[0];
    Type memory = memoryType(in.element());
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.idx(copyChunk)), hi = e.min(e.add(lo, e.idx(copyChunk)), e.expr(total));
      e.loop(lo, hi, [&](Value i) {
        Value v =
            LLVM::LoadOp::create(e.b, e.loc, memory, e.at(in.pointer, in.element(), i), kt::elementBytes(in.element()));
        LLVM::StoreOp::create(e.b, e.loc, v, e.at(out.pointer, out.element(), i), kt::elementBytes(in.element()));
      });
    });
  });

  Combine combine{ReduceKind::add, base.scalarType(), base.getElementType().isUnsignedInteger()};
  switch (op.getKind()) {
  case ScatterKind::mul:
    combine.kind = ReduceKind::mul;
    break;
  case ScatterKind::max:
    combine.kind = ReduceKind::max;
    break;
  case ScatterKind::min:
    combine.kind = ReduceKind::min;
    break;
  default:
    break;
  }
  kernel.stage({Expr::ceilDiv(rest, kernel.constant(columnChunk)), {}}, [&](StageEmitter &e) {
    const Tensor &where = e.operands[1], &updates = e.operands[2], &out = e.results[0];
    Type element = out.element();
    Value columns = e.expr(rest), rows = e.expr(indices.dim(0));
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.idx(columnChunk)), hi = e.min(e.add(lo, e.idx(columnChunk)), columns);
      e.loop(e.idx(0), rows, [&](Value row) {
        Value inside = e.constant(e.b.getI1Type(), 1), offset = e.idx(0);
        for (int64_t d = 0; d < *depth; ++d) {
          Value i = e.toIndex(e.load(where.pointer, where.element(), e.add(e.mul(row, e.idx(*depth)), e.idx(d))));
          Value size = e.expr(base.dim(d));
          if (op.getSite())
            e.watch(i, base.dim(d), *op.getSite(), /*wraps=*/true);
          i = e.select(e.lt(i, e.idx(0)), e.add(i, size), i);
          inside = e.op<arith::AndIOp>(inside, e.cmp(arith::CmpIPredicate::ult, i, size));
          offset = e.add(e.mul(offset, size), i);
        }
        e.ifThen(inside, [&] {
          Value target = e.mul(offset, columns), source = e.mul(row, columns);
          e.loop(lo, hi, [&](Value j) {
            Value x = e.load(updates.pointer, updates.element(), e.add(source, j)), at = e.add(target, j);
            if (op.getKind() != ScatterKind::assign) {
              Value old = e.convert(e.load(out.pointer, element, at), combine.accumulator());
              x = e.convert(combine.apply(e, old, x, false), base.scalarType());
            }
            e.store(x, out.pointer, element, at);
          });
        });
      });
    });
  });
  return success();
}
