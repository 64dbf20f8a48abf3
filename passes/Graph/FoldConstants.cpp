//===- FoldConstants.cpp - what depends on constants only -----------------===//

#include "dialects/KT/IR/Blobs.h"
#include "dialects/KT/Schedule/Lanes.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Interpreter.h"
#include "passes/Analysis/Permutation.h"
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

ConstantOp kt::makeConstant(OpBuilder &b, Location loc, SymTensorType type, std::shared_ptr<const ComputedBytes> bytes,
                            StringRef name) {
  auto value = computedBlob(b.getContext(), name, std::move(bytes));
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

/// A transposition of a constant that is in memory; null for anything else.
std::shared_ptr<const ComputedBytes> permuted(GenericOp op, ArrayRef<ConstantOp> constants) {
  auto perm = asPermutation(op);
  SymTensorType type = op.getResult().getType();
  if (!perm || perm->empty() || constants.size() != 1)
    return nullptr;
  ConstantBytes from = ConstantOp(constants[0]).contents();
  if (from.areComputed() || !(type.numElements() * type.elementBytes()).isConstant(from.size()))
    return nullptr;
  auto shape = llvm::map_to_vector(type.getDims(), [](ExprAttr dim) { return *Expr(dim).asConstant(); });
  return std::make_shared<PermutedBytes>(ConstantOp(constants[0]).bytes(),
                                         Permutation(shape, *perm, type.elementBytes()));
}

bool fold(GenericOp op, int64_t &budget) {
  SymTensorType type = op.getResult().getType();
  if (!type.hasStaticShape())
    return false;
  int64_t bytes = *type.numElements().asConstant() * type.elementBytes(), inputBytes = 0, freed = 0;
  SmallVector<ConstantOp> constants;
  StringRef name;
  for (Value v : op.getInputs()) {
    ConstantOp constant = constantOf(v);
    if (!constant)
      return false;
    constants.push_back(constant);
    int64_t size = constant.contents().size();
    if (size > inputBytes && constant.getName())
      name = *constant.getName();
    inputBytes += size;
    if (constant->hasOneUse() && v.hasOneUse())
      freed += size;
  }
  if ((bytes > kAlwaysBytes && bytes > kGrowth * inputBytes) || bytes - freed > budget)
    return false;
  OpBuilder b(op);
  auto replaceBy = [&](auto contents) {
    op.replaceAllUsesWith(makeConstant(b, op.getLoc(), type, std::move(contents), name).getResult());
    op.erase();
    budget -= bytes - freed;
    return true;
  };
  if (auto recipe = permuted(op, constants))
    return replaceBy(std::move(recipe));
  auto inputs = llvm::map_to_vector(constants, [](ConstantOp constant) { return constant.bytes(); });
  auto result = interpret(op, inputs);
  return result && replaceBy(std::move(*result));
}

/// The read of a reduction that adds up the elements of one tensor along some of its dimensions, widened to the sum's
/// type, and does nothing else.
ReadOp readOfSum(ReduceOp op) {
  Block &body = op.getBody().front(), &epilogue = op.getEpilogue().front();
  Value element = cast<YieldOp>(body.getTerminator()).getValues()[0];
  if (op.getKind() != ReduceKind::add || !isa<IntegerType>(element.getType()) ||
      cast<YieldOp>(epilogue.getTerminator()).getValues()[0] != epilogue.getArgument(0))
    return {};
  if (Operation *widen = element.getDefiningOp(); isa_and_nonnull<arith::ExtSIOp, arith::ExtUIOp>(widen))
    element = widen->getOperand(0);
  auto read = element.getDefiningOp<ReadOp>();
  // Each index of the body once and over a whole dimension, so that each element of the tensor counts once.
  if (!read || read.getOtherwise() || !isAtOwnIndices(read))
    return {};
  SmallVector<ExprAttr> extents(op.getResult().getType().getDims());
  for (ExprAttr e : op.getExtents().getAsRange<ExprAttr>())
    extents.push_back(e);
  llvm::SmallDenseSet<unsigned> seen;
  for (auto [d, index] : llvm::enumerate(read.getIndices())) {
    unsigned number = cast<BlockArgument>(index).getArgNumber() - op.getInputs().size();
    if (!seen.insert(number).second || extents[number] != cast<SymTensorType>(read.getTensor().getType()).dim(d).attr())
      return {};
  }
  return seen.size() == extents.size() ? read : ReadOp();
}

template <typename From, typename To>
void addUp(ArrayRef<char> bytes, ArrayRef<int64_t> sizes, ArrayRef<int64_t> strides, std::vector<char> &out) {
  auto *from = reinterpret_cast<const From *>(bytes.data());
  auto *to = reinterpret_cast<To *>(out.data());
  int64_t inner = sizes.back(), step = strides.back(), rows = bytes.size() / sizeof(From) / inner;
  SmallVector<int64_t> at(sizes.size() - 1, 0);
  int64_t place = 0;
  for (int64_t row = 0; row < rows; ++row, from += inner) {
    for (int64_t i = 0; i < inner; ++i)
      to[place + i * step] += (To)from[i];
    for (int64_t d = at.size(); d-- > 0;) {
      place += strides[d];
      if (++at[d] < sizes[d])
        break;
      place -= sizes[d] * strides[d], at[d] = 0;
    }
  }
}

/// Column sums of quantised weights: what is known when compiling needs neither a launch nor the weights once more in
/// an order that no product reads.
bool foldSum(ReduceOp op) {
  ReadOp read = readOfSum(op);
  SymTensorType type = op.getResult().getType();
  if (!read || !type.hasStaticShape())
    return false;
  Block &body = op.getBody().front();
  unsigned inputs = op.getInputs().size(), number = cast<BlockArgument>(read.getTensor()).getArgNumber();
  ConstantOp constant = constantOf(op.getInputs()[number]);
  auto from = cast<SymTensorType>(read.getTensor().getType());
  Type sum = body.getTerminator()->getOperand(0).getType();
  if (!constant || !from.hasStaticShape() || from.getRank() == 0 || constant.contents().size() == 0 ||
      type.scalarType() != sum || !sum.isInteger(32))
    return false;
  SmallVector<int64_t> sizes, strides, resultStrides(type.getRank(), 1);
  for (int64_t d = type.getRank() - 1; d-- > 0;)
    resultStrides[d] = resultStrides[d + 1] * *type.dim(d + 1).asConstant();
  for (auto [d, index] : llvm::enumerate(read.getIndices())) {
    unsigned at = cast<BlockArgument>(index).getArgNumber() - inputs;
    sizes.push_back(*from.dim(d).asConstant());
    strides.push_back(at < (unsigned)type.getRank() ? resultStrides[at] : 0);
  }
  // Unsigned, so that sums wrap around.
  std::vector<char> out(*type.numElements().asConstant() * sizeof(uint32_t), 0);
  bool isUnsigned = isa_and_nonnull<arith::ExtUIOp>(body.getTerminator()->getOperand(0).getDefiningOp());
  Type element = read.getResult().getType();
  if (element.isInteger(8) && isUnsigned)
    addUp<uint8_t, uint32_t>(constant.bytes(), sizes, strides, out);
  else if (element.isInteger(8))
    addUp<int8_t, uint32_t>(constant.bytes(), sizes, strides, out);
  else if (element.isInteger(16) && !isUnsigned)
    addUp<int16_t, uint32_t>(constant.bytes(), sizes, strides, out);
  else
    return false;
  OpBuilder b(op);
  StringRef name = constant.getName().value_or("");
  op.replaceAllUsesWith(makeConstant(b, op.getLoc(), type, std::move(out), name).getResult());
  op.erase();
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
        own += constant.contents().size();
    });
    int64_t all = kMostAdded + kGrowth * std::max<int64_t>(own - added, 0) - added, left = all;
    for (GenericOp op : ops)
      fold(op, left);
    // Behind those that make their operands.
    SmallVector<ReduceOp> sums;
    getOperation()->walk([&](ReduceOp op) { sums.push_back(op); });
    for (ReduceOp op : sums)
      foldSum(op);
    added += all - left;
    if (added > 0)
      getOperation()->setAttr(kAddedName, IntegerAttr::get(IntegerType::get(&getContext(), 64), added));
    else
      getOperation()->removeAttr(kAddedName);
  }
};

} // namespace
