//===- Attention.cpp - what attention kernels share -----------------------===//

#include "codegen/Gpu/Attention/Attention.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Value kt::gpu::headOffset(KernelBuilder &k, ArrayRef<Expr> strides, Value b, Value h) {
  Value start = k.add(k.mul(b, k.size(strides[0])), k.mul(h, k.size(strides[1])));
  return k.add(start, k.size(strides[4]));
}

Value KeyRange::holds(KernelBuilder &k, Value j) const {
  Value below = k.lt(j, end);
  return begin ? k.and_(below, k.cmp(Pred::sge, j, begin)) : below;
}

/// i + offset; the offset is kept within [-rows, keys], where the sum sees the same keys and has 32 bits.
static Value end(KernelBuilder &k, const AttentionProblem &p, Value i, Expr offset) {
  Value v = k.size(offset);
  return k.add(i, offset.asConstant() ? v : k.min(k.max(v, k.sub(k.c(0), k.size(p.i))), k.size(p.j)));
}

KeyRange kt::gpu::seenBySome(KernelBuilder &k, const AttentionProblem &p, Value first, Value last) {
  Value keys = k.size(p.j);
  auto inside = [&](Value j) { return k.min(k.max(j, 0), keys); };
  return {p.from ? inside(end(k, p, first, p.from)) : Value(), p.to ? inside(end(k, p, last, p.to)) : keys};
}

KeyRange kt::gpu::seenByAll(KernelBuilder &k, const AttentionProblem &p, Value first, Value last) {
  Value keys = k.size(p.j);
  return {p.from ? end(k, p, last, p.from) : Value(), p.to ? k.min(end(k, p, first, p.to), keys) : keys};
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
  return sink.has(path::kFlash) ? buildAttentionTensorCore(sink, *p) : buildAttentionCudaCore(sink, *p);
}
