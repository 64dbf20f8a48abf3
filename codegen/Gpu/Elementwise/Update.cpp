//===- Update.cpp - a window of a tensor with room for more ---------------===//
//
// As elementwise work, but elements lie where their window is. What a body reads may be the very memory that its
// result is in, so nothing is said of pointers.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/Pages.h"
#include "codegen/Gpu/Elementwise/Elements.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

class UpdatePart : public ElementsPart {
public:
  UpdatePart(KernelBuilder &k, KernelSink &sink, UpdateOp op)
      : k(k), op(op), body(k, op.getBody(), 0, operandBuffers(k, op)), alignment(alignmentOf(sink, op)) {
    name = "update", lanes = alignment.lanes;
    divide(op.window(), sink);
  }

  void emit(Value item) override {
    SymTensorType type = op.getResult().getType();
    unsigned inner = type.getRank() - 1, axis = op.getAxis();
    Values at = firstOf(k, item);
    Values values = body.emit({}, at, inner, lanes, alignment), place(at);
    place[axis] = k.add(place[axis], k.size(op.getFrom()));
    Value result = k.result(k.resultNumber(op.getResult()));
    auto store = [&] { k.storeTo(elementAt(k, result, type, place), type.getElementType(), values); };
    if (!body.second)
      return store();
    place[axis] = k.add(place[axis], k.fromIndex(body.second));
    k.ifThen(k.cmp(Pred::ult, place[axis], extentOf(k, result, type, axis)), store);
  }

private:
  KernelBuilder &k;
  UpdateOp op;
  BodyEmitter body;
  Alignment alignment;
};

} // namespace

std::unique_ptr<ElementsPart> kt::gpu::updatePart(KernelBuilder &k, KernelSink &sink, UpdateOp op) {
  return std::make_unique<UpdatePart>(k, sink, op);
}
