//===- Elements.cpp - computations beside one another in a grid -----------===//
//
// A kernel of elementwise work and windows has a part of its grid for each: a block finds out by its number which one
// it is of. Shapes and lanes of the parts have nothing to do with each other.
//
//   blocks of the first | blocks of the second | ...
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Elementwise/Elements.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

static constexpr unsigned kThreads = 256;

void ElementsPart::divide(ArrayRef<Expr> sizes, KernelSink &sink) {
  extents.assign(sizes.begin(), sizes.end());
  if (lanes > 1)
    extents.back() = Expr::ceilDiv(extents.back(), sink.number(lanes));
  items = sink.one();
  for (Expr e : extents)
    items = items * e;
}

Values ElementsPart::firstOf(KernelBuilder &k, Value item) const {
  Values at = delinearize(k, item, extents);
  if (lanes > 1)
    at.back() = k.mul(at.back(), lanes);
  return at;
}

Values kt::gpu::operandBuffers(KernelBuilder &k, Operation *op) {
  Values all;
  for (Value v : op->getOperands())
    all.push_back(k.bufferOf(v));
  return all;
}

Alignment kt::gpu::alignmentOf(KernelSink &sink, Operation *op) {
  Alignment alignment = sink.alignment();
  // Of several parts those that need no guard have their vectors whatever it says of the others.
  if (sink.configured("vectors") || besideOf(op).size() > 1)
    alignElements(op, alignment);
  return alignment;
}

LogicalResult kt::gpu::addElementsStage(KernelSink &sink, artifact::Variant &variant, ArrayRef<Operation *> ops,
                                        bool workspace) {
  // Left alone, ptxas saves registers for one block more where an update's places need a few, and spills.
  bool windows = llvm::any_of(ops, llvm::IsaPred<UpdateOp>);
  unsigned minCtas = windows ? 4 : 0;
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads, minCtas, workspace, false, sink.paged});
  // A step's windows are a few elements: what they take is the launch, which can come while the product before ends.
  if (windows)
    k.waitForLaunches(), k.letNextBegin();
  SmallVector<std::unique_ptr<ElementsPart>> parts;
  for (Operation *one : ops) {
    auto generic = dyn_cast<GenericOp>(one);
    parts.push_back(generic ? genericPart(k, sink, generic) : updatePart(k, sink, cast<UpdateOp>(one)));
  }
  // The first block of each part, and behind the last.
  SmallVector<Expr> begins = {sink.number(0)};
  for (auto &part : parts)
    begins.push_back(begins.back() + Expr::ceilDiv(part->items, sink.number(kThreads)));
  auto emit = [&](size_t i) {
    Value block = i ? k.sub(k.ctaX(), k.size(begins[i])) : k.ctaX();
    Value item = k.add(k.mul(block, kThreads), k.tid());
    k.ifThen(k.lt(item, k.size(parts[i]->items)), [&] { parts[i]->emit(item); });
  };
  auto from = [&](auto &self, size_t i) -> void {
    if (i + 1 == parts.size())
      return emit(i);
    k.ifElse(
        k.lt(k.ctaX(), k.size(begins[i + 1])), TypeRange(), [&]() -> Values { return emit(i), Values(); },
        [&]() -> Values { return self(self, i + 1), Values(); });
  };
  from(from, 0);

  for (auto &part : parts)
    variant.schedule += part->name.str() + " lanes=" + std::to_string(part->lanes) + " ";
  variant.schedule += "threads=" + std::to_string(kThreads);
  if (parts.size() > 1)
    variant.schedule += " results=" + std::to_string(parts.size());
  return sink.addStage(variant, k, {begins.back(), sink.one(), sink.one()});
}

LogicalResult kt::gpu::buildElements(KernelSink &sink, Operation *op) {
  artifact::Variant variant;
  if (failed(addElementsStage(sink, variant, besideOf(op))))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}
