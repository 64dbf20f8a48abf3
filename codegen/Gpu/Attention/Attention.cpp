//===- Attention.cpp - what attention kernels share -----------------------===//

#include "codegen/Gpu/Attention/Attention.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

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
  return sink.has(path::kFlash) ? buildAttentionTensorCore(sink, *p) : buildAttentionCudaCore(sink, *p);
}
