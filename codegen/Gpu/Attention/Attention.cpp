//===- Attention.cpp - what attention kernels share -----------------------===//

#include "codegen/Gpu/Attention/Attention.h"
#include "codegen/Gpu/Builder/Pages.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Value kt::gpu::headOffset(KernelBuilder &k, ArrayRef<Expr> strides, Value b, Value h) {
  Value start = k.add(k.mul(b, k.size(strides[0])), k.mul(h, k.size(strides[1])));
  return k.add(start, k.size(strides[4]));
}

Value kt::gpu::headStart(KernelBuilder &k, Value buffer, ArrayRef<Expr> strides, Value b, Value h, Value page) {
  int64_t bytes = k.typeOf(buffer).elementBytes();
  if (k.pagedAxis(buffer) < 0)
    return k.at(buffer, headOffset(k, strides, b, h), bytes);
  return k.at(pageAt(k, buffer, page), headOffset(k, strides, k.c(0), h), bytes);
}

Value kt::gpu::pageOfKeys(KernelBuilder &k, const AttentionProblem &p, Value b, Value j, Value end) {
  AttentionOp op = p.op;
  for (Value factor : {op.getKey(), op.getValue()})
    if (Value buffer = k.bufferOf(factor); k.pagedAxis(buffer) >= 0)
      return pageNumber(k, buffer, b, k.max(k.min(j, k.sub(end, 1)), 0));
  return {};
}

Value kt::gpu::scaleOf(KernelBuilder &k, const AttentionProblem::Scales &scales, Value b, Value g, Value j, Value page,
                       Value when) {
  Value buffer = k.bufferOf(scales.tensor), start = headStart(k, buffer, scales.strides, b, g, page);
  Value row = k.pagedAxis(buffer) >= 0 ? rowInPage(k, j) : j;
  Value at = k.at(start, k.mul(row, k.size(scales.strides[2])), 4);
  return k.loadWhen(when, at, k.f32, 1, /*once=*/false)[0];
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
  if (p.low) // the region masks
    return {Value(), keys};
  return {p.from ? end(k, p, last, p.from) : Value(), p.to ? k.min(end(k, p, first, p.to), keys) : keys};
}

Value kt::gpu::seesOnlyLow(KernelBuilder &k, ArrayRef<Value> most, Value words) {
  Value low = k.c(0);
  for (Value m : most) {
    Value high = arith::CmpFOp::create(k.b, k.loc, arith::CmpFPredicate::OGT, m, k.cf(kSeenScore));
    low = k.sel(high, low, k.c(1));
  }
  for (unsigned mask = 1; mask < 32; mask *= 2)
    low = k.or_(low, k.shuffleXor(low, mask));
  k.barrier();
  k.ifThen(k.cmp(Pred::eq, k.and_(k.tid(), 31), 0),
           [&] { k.store(low, k.at(k.sptr(words), k.shr(k.tid(), 5), 4), 4); });
  k.barrier();
  for (unsigned w = 0; w < k.bounds.threads / 32; ++w)
    low = k.or_(low, k.load(k.gep(k.sptr(words), w * 4), k.i32, 4));
  k.barrier();
  return k.cmp(Pred::ne, low, 0);
}

Value kt::gpu::originOf(KernelBuilder &k, Value most) {
  Value none = arith::CmpFOp::create(k.b, k.loc, arith::CmpFPredicate::OEQ, most, k.cf(-INFINITY));
  return k.sel(none, k.cf(0), most);
}

Value kt::gpu::inverseOfSum(KernelBuilder &k, const AttentionProblem &p, Value most, Value sum, ArrayRef<Value> at) {
  Value rescaled = k.cf(1);
  if (AttentionOp op = p.op; !op.getSink().empty()) {
    BodyEmitter body(k, op.getSink(), 0, extraBuffers(k, p));
    Value sink = body.emit(ValueRange(), at), top = originOf(k, k.maxf(most, sink));
    auto exp = [&](Value x) -> Value { return math::ExpOp::create(k.b, k.loc, k.subf(x, top)); };
    rescaled = exp(most);
    sum = k.fma(sum, rescaled, exp(sink));
  }
  Value empty = arith::CmpFOp::create(k.b, k.loc, arith::CmpFPredicate::OEQ, sum, k.cf(0));
  if (!p.zeroEmpty)
    empty = k.and_(empty, k.cmp(Pred::eq, k.size(p.j), 0));
  return k.sel(empty, k.cf(0), k.divf(rescaled, sum));
}

Values kt::gpu::extraBuffers(KernelBuilder &k, const AttentionProblem &p) {
  AttentionOp op = p.op;
  Values list;
  for (Value v : op.getExtras())
    list.push_back(k.bufferOf(v));
  return list;
}

Value kt::gpu::resultBuffer(KernelBuilder &k, const AttentionProblem &p) {
  AttentionOp op = p.op;
  return k.result(k.resultNumber(op.getResult()));
}

LogicalResult kt::gpu::buildAttention(KernelSink &sink, AttentionOp op) {
  FailureOr<AttentionProblem> p = analyzeAttention(op);
  if (failed(p))
    return failure();
  if (sink.has(path::kDecode))
    return buildAttentionDecode(sink, *p);
  artifact::Variant variant;
  if (AttentionMakers makers = makersOf(op)) {
    if (failed(addElementsStage(sink, variant, makers.all(), /*workspace=*/(bool)sink.candidate.getSplits())))
      return failure();
    variant.schedule += ", ";
  }
  return sink.has(path::kFlash) ? buildAttentionTensorCore(sink, *p, std::move(variant))
                                : buildAttentionCudaCore(sink, *p, std::move(variant));
}
