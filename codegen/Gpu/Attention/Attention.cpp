//===- Attention.cpp - what attention kernels share -----------------------===//

#include "codegen/Gpu/Attention/Attention.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

FailureOr<AttentionProblem> kt::gpu::analyzeAttention(AttentionOp op) {
  AttentionProblem p;
  p.op = op;
  Expr sizes[6];
  for (auto [i, a] : llvm::enumerate(op.getSizes()))
    sizes[i] = Expr(cast<ExprAttr>(a));
  p.b = sizes[0], p.h = sizes[1], p.i = sizes[2], p.j = sizes[3];
  std::optional<int64_t> d = sizes[4].asConstant(), e = sizes[5].asConstant();
  if (!d || !e)
    return failure();
  p.d = *d, p.e = *e, p.group = op.getGroup(), p.zeroEmpty = op.getZeroEmpty();
  auto strides = [&](unsigned map, const FactorView &view) {
    AffineMap m = cast<AffineMapAttr>(op.getMaps()[map]).getValue();
    SmallVector<Expr> list(4, Expr::constant(op.getContext(), 0));
    for (unsigned i = 0; i < 4; ++i)
      list[m.getDimPosition(i)] = view.strides[i];
    list.push_back(view.offset);
    return list;
  };
  p.query = strides(0, factorView(op, 0)), p.key = strides(1, factorView(op, 1));
  p.value = strides(2, factorView(op, 2)), p.result = strides(3, denseView(op.getResult().getType()));
  return p;
}

Value kt::gpu::headOffset(KernelBuilder &k, ArrayRef<Expr> strides, Value b, Value h) {
  Value start = k.add(k.mul(b, k.size(strides[0])), k.mul(h, k.size(strides[1])));
  return k.add(start, k.size(strides[4]));
}

Value kt::gpu::inverseOfSum(KernelBuilder &k, const AttentionProblem &p, Value sum) {
  Value empty = arith::CmpFOp::create(k.b, k.loc, arith::CmpFPredicate::OEQ, sum, k.cf(0));
  if (!p.zeroEmpty)
    empty = k.and_(empty, k.cmp(Pred::eq, k.size(p.j), 0));
  return k.sel(empty, k.cf(0), k.divf(k.cf(1), sum));
}

Values kt::gpu::extraPointers(KernelBuilder &k, unsigned first, unsigned count) {
  Values list;
  for (unsigned i = 0; i < count; ++i)
    list.push_back(k.buffer(first + i));
  return list;
}

LogicalResult kt::gpu::buildAttention(KernelSink &sink, AttentionOp op) {
  FailureOr<AttentionProblem> p = analyzeAttention(op);
  if (failed(p))
    return failure();
  Type q = op.getQuery().getType().scalarType(), kt = op.getKey().getType().scalarType(),
       v = op.getValue().getType().scalarType();
  bool half = (q.isF16() || q.isBF16()) && q == kt && q == v;
  if (half && p->d <= 256 && p->e <= 256 && sink.options.tensorCores != TensorCorePriority::low &&
      failed(buildAttentionTensorCore(sink, *p)))
    return failure();
  return sink.complete() ? success() : buildAttentionCudaCore(sink, *p);
}
