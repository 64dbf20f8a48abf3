//===- FoldConstants.cpp - what depends on constants only -----------------===//

#include "dialects/KT/IR/Blobs.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Interpreter.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_FOLDCONSTANTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

ConstantOp kt::makeConstant(OpBuilder &b, Location loc, SymTensorType type, std::vector<char> bytes, StringRef name) {
  ArrayRef<char> data = bytes;
  // The blob owns the vector: weights are not copied once more.
  AsmResourceBlob blob(
      data, alignof(std::max_align_t), [owner = std::move(bytes)](void *, size_t, size_t) {},
      /*dataIsMutable=*/false);
  return makeConstant(b, loc, type, std::move(blob), name);
}

ConstantOp kt::makeConstant(OpBuilder &b, Location loc, SymTensorType type, AsmResourceBlob bytes, StringRef name) {
  auto raw = RankedTensorType::get({(int64_t)bytes.getData().size()}, b.getI8Type());
  auto value = namedBlob(raw, name, std::move(bytes));
  return ConstantOp::create(b, loc, type, value, name.empty() ? StringAttr() : b.getStringAttr(name));
}

namespace {

constexpr int64_t kAlwaysBytes = 1 << 16; // a result of this size is folded however small its operands are
constexpr int64_t kGrowth = 8;            // else it may be this many times as large as they are (int4 to f32)

/// Folding small constants into large ones, again and again, must not make an artifact of any size of a small model:
/// how many bytes were added is kept on the function from one run of the pass to the next.
constexpr StringRef kAddedName = "kt.folded_bytes";
constexpr int64_t kMostAdded = 64 << 20; // and kGrowth times what the model's own constants have

/// The constant behind a value, through views, with its bytes.
ConstantOp constantOf(Value v) { return throughReshapes(v).getDefiningOp<ConstantOp>(); }

bool fold(GenericOp op, int64_t &budget) {
  SymTensorType type = op.getResult().getType();
  if (!type.hasStaticShape())
    return false;
  int64_t bytes = *type.numElements().asConstant() * type.elementBytes(), inputBytes = 0, freed = 0;
  SmallVector<ArrayRef<char>> inputs;
  StringRef name;
  for (Value v : op.getInputs()) {
    ConstantOp constant = constantOf(v);
    if (!constant)
      return false;
    inputs.push_back(constant.bytes());
    if ((int64_t)constant.bytes().size() > inputBytes && constant.getName())
      name = *constant.getName();
    inputBytes += constant.bytes().size();
    if (constant->hasOneUse() && v.hasOneUse())
      freed += constant.bytes().size();
  }
  if ((bytes > kAlwaysBytes && bytes > kGrowth * inputBytes) || bytes - freed > budget)
    return false;
  auto result = interpret(op, inputs);
  if (!result)
    return false;
  OpBuilder b(op);
  op.replaceAllUsesWith(makeConstant(b, op.getLoc(), type, std::move(*result), name).getResult());
  op.erase();
  budget -= bytes - freed;
  return true;
}

struct FoldConstantsPass : kt::impl::FoldConstantsBase<FoldConstantsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<GenericOp> ops;
    int64_t own = 0, added = 0;
    if (auto before = getOperation()->getAttrOfType<IntegerAttr>(kAddedName))
      added = before.getInt();
    getOperation()->walk([&](Operation *op) {
      if (auto generic = dyn_cast<GenericOp>(op))
        ops.push_back(generic);
      else if (auto constant = dyn_cast<ConstantOp>(op))
        own += constant.bytes().size();
    });
    int64_t all = kMostAdded + kGrowth * std::max<int64_t>(own - added, 0) - added, left = all;
    for (GenericOp op : ops)
      fold(op, left);
    added += all - left;
    if (added > 0)
      getOperation()->setAttr(kAddedName, IntegerAttr::get(IntegerType::get(&getContext(), 64), added));
    else
      getOperation()->removeAttr(kAddedName);
  }
};

} // namespace
