//===- Generic.cpp - one thread a few neighbouring elements ---------------===//
//
// Elementwise work, broadcasts, gathers, slices, padding and concatenation: the result is cut into vectors along its
// innermost (merged) dimension, and each thread computes one.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/Kernels.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

constexpr unsigned kThreads = 256;

LogicalResult buildFlat(KernelSink &sink, GenericOp op) {
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads});
  BodyEmitter body(k, op.getBody(), 0, k.operandBuffers());
  SymTensorType type = op.getResult().getType();
  IndexSpace space(type.sizes(), {{&body, 0u}});
  int inner = (int)type.getRank() - 1;
  Alignment alignment = sink.alignment();
  if (sink.configured("vectors"))
    alignFlat(op, alignment);
  unsigned lanes = alignment.lanes;
  SmallVector<Expr> extents = space.groups;
  // One merged dimension needs no divisibility: its last vector may be a partial one.
  bool partial = lanes > 1 && extents.size() == 1 && !extents[0].isMultipleOf(lanes);
  Expr all = inner < 0 ? sink.one() : space.count();
  Expr items = lanes == 1 ? all : partial ? Expr::ceilDiv(all, sink.number(lanes)) : all;
  if (lanes > 1) {
    extents.back() = Expr::ceilDiv(extents.back(), sink.number(lanes));
    items = sink.one();
    for (Expr e : extents)
      items = items * e;
  }

  Value item = k.add(k.mul(k.ctaX(), kThreads), k.tid());
  k.ifThen(k.lt(item, k.size(items)), [&] {
    Values at = delinearize(k, item, extents);
    if (lanes > 1)
      at.back() = k.mul(at.back(), lanes);
    auto full = [&] {
      Values values = body.emit({}, space.expand(k, at), inner, lanes, alignment);
      k.storeResult(0, k.mul(item, lanes), values);
    };
    if (!partial)
      return full();
    Value left = k.sub(k.size(all), at.back());
    k.ifElse(
        k.cmp(Pred::sge, left, lanes), TypeRange(), [&]() -> Values { return full(), Values(); },
        [&]() -> Values {
          k.forLoop(k.c(0), left, k.c(1), {}, [&](Value i, ValueRange) -> Values {
            Value position = k.add(at[0], i);
            k.storeResult(0, position, body.emit(ValueRange(), space.expand(k, position)));
            return {};
          });
          return {};
        });
  });
  artifact::Variant variant;
  variant.schedule = "generic lanes=" + std::to_string(lanes) + " threads=" + std::to_string(kThreads);
  if (failed(sink.addStage(variant, k, {Expr::ceilDiv(items, sink.number(kThreads)), sink.one(), sink.one()})))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}

} // namespace

LogicalResult kt::gpu::buildGeneric(KernelSink &sink, GenericOp op) {
  if (std::optional<unsigned> turned = turnedDimension(op); turned && sink.has(path::kDirect))
    return buildTranspose(sink, op, *turned);
  return buildFlat(sink, op);
}
