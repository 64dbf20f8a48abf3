//===- Generic.cpp - one thread a few neighbouring elements ---------------===//
//
// Elementwise work, broadcasts, gathers, slices, padding and concatenation: the result is cut into vectors along its
// innermost (merged) dimension, and each thread computes one.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Elementwise/Elements.h"
#include "dialects/KT/Schedule/Pages.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

class GenericPart : public ElementsPart {
public:
  GenericPart(KernelBuilder &k, KernelSink &sink, GenericOp op)
      : k(k), op(op), body(k, op.getBody(), 0, operandBuffers(k, op)),
        inPages(sink.paged && readsPages(sink.kernel, op)),
        space(op.getResult().getType().sizes(), {{&body, 0u}}, !inPages), alignment(alignmentOf(sink, op)) {
    if (inPages) // its vectors may be those of dimensions that are one elsewhere
      alignment.lanes = 1;
    name = "generic", lanes = alignment.lanes;
    // One merged dimension needs no divisibility: its last vector may be a partial one.
    partial = lanes > 1 && space.groups.size() == 1 && !space.groups[0].isMultipleOf(lanes);
    all = space.count();
    divide(space.groups, sink);
  }

  void emit(Value item) override {
    Values at = firstOf(k, item);
    if (!partial)
      return store(k.mul(item, lanes), at, lanes);
    Value left = k.sub(k.size(all), at.back());
    k.ifElse(
        k.cmp(Pred::sge, left, lanes), TypeRange(),
        [&]() -> Values { return store(k.mul(item, lanes), at, lanes), Values(); },
        [&]() -> Values {
          k.forLoop(k.c(0), left, k.c(1), {}, [&](Value i, ValueRange) -> Values {
            Value position = k.add(at[0], i);
            return store(position, position, 1), Values();
          });
          return {};
        });
  }

private:
  void store(Value position, ArrayRef<Value> at, unsigned count) {
    int inner = (int)op.getResult().getType().getRank() - 1;
    Values values = body.emit({}, space.expand(k, at), inner, count, alignment);
    k.storeResult(k.resultNumber(op.getResult()), position, values);
  }

  KernelBuilder &k;
  GenericOp op;
  BodyEmitter body;
  bool inPages;
  IndexSpace space;
  Alignment alignment;
  Expr all; // null where there is no dimension
  bool partial = false;
};

} // namespace

std::unique_ptr<ElementsPart> kt::gpu::genericPart(KernelBuilder &k, KernelSink &sink, GenericOp op) {
  return std::make_unique<GenericPart>(k, sink, op);
}

LogicalResult kt::gpu::buildGeneric(KernelSink &sink, GenericOp op) {
  if (std::optional<unsigned> turned = turnedDimension(op); turned && sink.has(path::kDirect) && !sink.paged)
    return buildTranspose(sink, op, *turned);
  return buildElements(sink, op);
}
