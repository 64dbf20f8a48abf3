//===- Update.cpp - a window of a tensor with room for more ---------------===//
//
// As elementwise work, but elements lie where their window is. What a body reads may be the very memory that its
// result is in, so nothing is said of pointers.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/Kernels.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

static constexpr unsigned kThreads = 256;

LogicalResult kt::gpu::buildUpdate(KernelSink &sink, UpdateOp op) {
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads});
  BodyEmitter body(k, op.getBody(), 0, k.operandBuffers());
  SymTensorType type = op.getResult().getType();
  unsigned inner = type.getRank() - 1, axis = op.getAxis();
  Alignment alignment = sink.alignment();
  if (sink.configured("vectors"))
    alignUpdate(op, alignment);
  unsigned lanes = alignment.lanes;
  SmallVector<Expr> extents = op.window();
  if (lanes > 1)
    extents.back() = Expr::ceilDiv(extents.back(), sink.number(lanes));
  Expr items = sink.one();
  for (Expr e : extents)
    items = items * e;

  Value item = k.add(k.mul(k.ctaX(), kThreads), k.tid());
  k.ifThen(k.lt(item, k.size(items)), [&] {
    Values at = delinearize(k, item, extents);
    if (lanes > 1)
      at.back() = k.mul(at.back(), lanes);
    Values values = body.emit({}, at, inner, lanes, alignment), place(at);
    place[axis] = k.add(place[axis], k.size(op.getFrom()));
    auto store = [&] { k.storeResult(0, linearIndex(k, type, place), values); };
    if (!body.second)
      return store();
    place[axis] = k.add(place[axis], k.fromIndex(body.second));
    k.ifThen(k.cmp(Pred::ult, place[axis], k.size(type.dim(axis))), store);
  });
  artifact::Variant variant;
  variant.schedule = "update lanes=" + std::to_string(lanes) + " threads=" + std::to_string(kThreads);
  if (failed(sink.addStage(variant, k, {Expr::ceilDiv(items, sink.number(kThreads)), sink.one(), sink.one()})))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}
