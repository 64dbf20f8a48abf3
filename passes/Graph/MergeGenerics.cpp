//===- MergeGenerics.cpp - equal bodies over neighbouring ranges ----------===//
//
//   %q = generic { rotate(m[i, h, d]) } -> [s, 8, 64]          %r = generic { rotate(m[i, h, d]) } -> [s, 10, 64]
//   %k = generic { rotate(m[i, h + 8, d]) } -> [s, 2, 64]  ->  %q = generic { r[i, h, d] }
//                                                              %k = generic { r[i, h + 8, d] }
//
// What follows merged products is often one computation of all that they made: rotations of queries and keys, their
// norms. It is one launch then; what each op resulted in is a slice, which joins its readers.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/EqualBodies.h"
#include "passes/Graph/Orders.h"
#include "passes/Graph/Slices.h"
#include "passes/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace kt {
#define GEN_PASS_DEF_MERGEGENERICS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// Of more ops that read the same tensors not each is compared with each.
constexpr size_t kMostCandidates = 64;
/// Kernels count elements in 32 bits.
constexpr int64_t kMostPositions = (int64_t(1) << 31) - 1;

SymTensorType typeOf(Operation *op) { return cast<SymTensorType>(op->getResult(0).getType()); }

/// What may be merged: more than a movement, which readers take as a view, and read by what takes slices.
bool isCandidate(Operation *op) {
  if (auto generic = dyn_cast<GenericOp>(op); generic && (isMovement(generic) || generic.getInputs().empty()))
    return false;
  return isa<GenericOp, ReduceOp>(op) && takesSlices(op->getResult(0));
}

/// The dimension of its result along which `b` goes on where `a` ends, in all that their bodies read.
std::optional<unsigned> continuedDim(Operation *a, Operation *b) {
  SymTensorType s = typeOf(a), t = typeOf(b);
  if (a->getName() != b->getName() || s.getElementType() != t.getElementType() || s.getRank() != t.getRank() ||
      a->getDiscardableAttrDictionary() != b->getDiscardableAttrDictionary() ||
      a->getPropertiesAsAttribute() != b->getPropertiesAsAttribute())
    return std::nullopt;
  SmallVector<unsigned> differ;
  for (int64_t d = 0; d < s.getRank(); ++d)
    if (s.dim(d) != t.dim(d))
      differ.push_back(d);
  auto continues = [&](unsigned d) {
    auto m = s.dim(d).asConstant(), n = t.dim(d).asConstant();
    if (!m || !n || *m > kMostPositions - *n)
      return false;
    bool shifted = false;
    for (auto [x, y] : llvm::zip_equal(bodiesOf(a), bodiesOf(b))) {
      EqualBodies bodies(a, *x.region, b, *y.region, IndexShift{d, *m});
      if (!bodies.same(x.region->front().getTerminator()->getOperand(0),
                       y.region->front().getTerminator()->getOperand(0)))
        return false;
      shifted |= bodies.isShifted();
    }
    return shifted;
  };
  if (differ.size() == 1)
    return continues(differ[0]) ? std::optional(differ[0]) : std::nullopt;
  for (unsigned d = 0; differ.empty() && d < s.getRank(); ++d)
    if (continues(d))
      return d;
  return std::nullopt;
}

/// The result dimension that each index of `read` goes along, of a range of it or all; -1 where it goes along none.
SmallVector<int64_t> dimsOf(ReadOp read, const BodyRef &body, Operation *op) {
  SmallVector<int64_t> dims;
  for (Value v : read.getIndices()) {
    APInt begin;
    if (auto add = v.getDefiningOp<arith::AddIOp>(); add && matchPattern(add.getRhs(), m_ConstantInt(&begin)))
      v = add.getLhs();
    auto i = plainIndex(v, &body.region->front(), body.leading + op->getNumOperands());
    dims.push_back(i && *i < typeOf(op).getRank() ? (int64_t)*i : -1);
  }
  return dims;
}

/// Those of the first read of operand `number` that goes along each result dimension once; none where there is no such.
SmallVector<int64_t> dimsOfWhole(Operation *op, unsigned number) {
  for (ReadOp read : readsOf(op, number)) {
    SmallVector<int64_t> dims = dimsOf(read, bodiesOf(op).front(), op), sorted;
    llvm::copy_if(dims, std::back_inserter(sorted), [](int64_t d) { return d >= 0; });
    llvm::sort(sorted);
    if (llvm::equal(sorted, llvm::seq<int64_t>(0, typeOf(op).getRank())))
      return dims;
  }
  return {};
}

/// The order in which `b` would go through something that both read as `a` does: dimension i of it now is dimension
/// order[i].
std::optional<SmallVector<int64_t>> orderOf(Operation *a, Operation *b) {
  if (a->getName() != b->getName() || typeOf(a).getRank() != typeOf(b).getRank())
    return std::nullopt;
  for (auto [i, operand] : llvm::enumerate(a->getOperands())) {
    auto same = llvm::find(b->getOperands(), operand);
    if (same == b->operand_end())
      continue;
    SmallVector<int64_t> from = dimsOfWhole(a, i), to = dimsOfWhole(b, same - b->operand_begin());
    if (from.empty() || to.empty())
      continue;
    SmallVector<int64_t> order(typeOf(a).getRank());
    bool together = true;
    for (auto [x, y] : llvm::zip(from, to)) {
      together &= (x >= 0) == (y >= 0);
      if (x >= 0)
        order[x] = y;
    }
    if (together)
      return order;
  }
  return std::nullopt;
}

/// Gives `b` the order in which it goes on in `a`, if there is one; answers along which dimension it does.
std::optional<unsigned> turnedAndContinued(Operation *a, Operation *b) {
  Value result = b->getResult(0);
  if (!isReadByBodies(result))
    return std::nullopt;
  auto order = orderOf(a, b);
  if (!order || llvm::is_sorted(*order))
    return std::nullopt;
  SmallVector<int64_t> back(order->size());
  for (auto [i, p] : llvm::enumerate(*order))
    back[p] = i;
  permuteWork(b, *order);
  auto dim = continuedDim(a, b);
  if (!dim) {
    permuteWork(b, back);
    return std::nullopt;
  }
  for (OpOperand &use : result.getUses())
    readPermuted(use.getOwner(), use.getOperandNumber() - firstBodyOperand(use.getOwner()), *order, typeOf(b));
  return dim;
}

/// Where in each dimension of its operand `op` begins to read, where it does no more than cut.
std::optional<SmallVector<int64_t>> asSlice(GenericOp op) {
  if (!isMovement(op) || op.getInputs().size() != 1)
    return std::nullopt;
  Block &body = op.getBody().front();
  auto read = body.getTerminator()->getOperand(0).getDefiningOp<ReadOp>();
  if (read.getOtherwise() || (int64_t)read.getIndices().size() != op.getResult().getType().getRank())
    return std::nullopt;
  SmallVector<int64_t> begins;
  for (auto [d, v] : llvm::enumerate(read.getIndices())) {
    APInt begin(64, 0);
    if (auto add = v.getDefiningOp<arith::AddIOp>(); add && matchPattern(add.getRhs(), m_ConstantInt(&begin)))
      v = add.getLhs();
    if (plainIndex(v, &body, 1) != (unsigned)d)
      return std::nullopt;
    begins.push_back(begin.getSExtValue());
  }
  return begins;
}

/// `v` + `by`, with one addition of a constant.
Value further(OpBuilder &b, Location loc, Value v, int64_t by) {
  APInt c;
  if (by == 0)
    return v;
  if (auto add = v.getDefiningOp<arith::AddIOp>(); add && matchPattern(add.getRhs(), m_ConstantInt(&c)))
    v = add.getLhs(), by += c.getSExtValue();
  return arith::AddIOp::create(b, loc, v, arith::ConstantIndexOp::create(b, loc, by));
}

/// Has the bodies that see `use`, a slice, read what it was cut from. Those that check an index of a dimension that is
/// cut keep the slice.
void readWhole(OpOperand &use, Value whole, ArrayRef<int64_t> begins) {
  Operation *reader = use.getOwner();
  if (bodiesOf(reader).empty() || use.getOperandNumber() < firstBodyOperand(reader))
    return;
  unsigned number = use.getOperandNumber() - firstBodyOperand(reader);
  SmallVector<ReadOp> reads = readsOf(reader, number);
  auto type = cast<SymTensorType>(whole.getType()), part = cast<SymTensorType>(use.get().getType());
  for (ReadOp read : reads)
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (type.dim(d) != part.dim(d) && read.getOtherwise() &&
          (!read.getCheck() || llvm::is_contained(*read.getCheck(), d)))
        return;
  for (ReadOp read : reads) {
    OpBuilder b(read);
    for (auto [d, begin] : llvm::enumerate(begins))
      read.getIndicesMutable()[d].set(further(b, read.getLoc(), read.getIndices()[d], begin));
  }
  setBodyOperand(reader, number, whole);
}

/// Slices of `whole` join the bodies that read them, which are seen to read one tensor then.
void joinReaders(Value whole) {
  SetVector<Operation *> users(whole.user_begin(), whole.user_end());
  for (Operation *user : users) {
    if (auto reshape = dyn_cast<ReshapeOp>(user)) {
      joinReaders(reshape.getResult());
      continue;
    }
    auto slice = dyn_cast<GenericOp>(user);
    auto begins = slice ? asSlice(slice) : std::nullopt;
    if (!begins)
      continue;
    SetVector<Operation *> readers(slice->user_begin(), slice->user_end());
    for (OpOperand &use : llvm::make_early_inc_range(slice.getResult().getUses()))
      readWhole(use, whole, *begins);
    for (Operation *reader : readers)
      if (!bodiesOf(reader).empty())
        cleanBodyOperands(reader);
    if (slice.use_empty())
      slice.erase();
  }
}

/// Makes `a` and `b`, which goes on along dimension `dim`, one. Both read the same tensors, so that it stands where the
/// first of them stood.
Operation *merge(Operation *a, Operation *b, unsigned dim) {
  OpBuilder builder(a->isBeforeInBlock(b) ? a : b);
  int64_t begin = *typeOf(a).dim(dim).asConstant(), count = begin + *typeOf(b).dim(dim).asConstant();
  Operation *merged = builder.clone(*a);
  merged->setLoc(FusedLoc::get(a->getContext(), {a->getLoc(), b->getLoc()}));
  merged->getResult(0).setType(withDim(typeOf(a), dim, count));
  Slices slices(merged->getResult(0), dim);
  slices.replace(a->getResult(0), 0);
  slices.replace(b->getResult(0), begin);
  a->erase();
  b->erase();
  joinReaders(merged->getResult(0));
  return merged;
}

/// Merges until no two of `ops`, which read the same tensors, go on in each other; answers whether any did.
bool mergeAll(SmallVectorImpl<Operation *> &ops) {
  for (unsigned i = 0; i < ops.size(); ++i)
    for (unsigned j = 0; j < ops.size(); ++j) {
      auto dim = i == j ? std::nullopt : continuedDim(ops[i], ops[j]);
      if (!dim && i != j)
        dim = turnedAndContinued(ops[i], ops[j]);
      if (!dim)
        continue;
      ops[i] = merge(ops[i], ops[j], *dim);
      ops.erase(ops.begin() + j);
      mergeAll(ops);
      return true;
    }
  return false;
}

struct MergeGenericsPass : kt::impl::MergeGenericsBase<MergeGenericsPass> {
  void runOnOperation() override {
    // What has been merged is one tensor to its readers, which may go on in each other now.
    while (isGraph(getOperation()) && mergeOnce())
      ;
  }

  bool mergeOnce() {
    llvm::MapVector<SmallVector<void *>, SmallVector<Operation *>> byInputs;
    getOperation()->walk([&](Operation *op) {
      if (!isCandidate(op))
        return;
      SmallVector<void *> inputs;
      for (Value v : op->getOperands())
        inputs.push_back(v.getAsOpaquePointer());
      llvm::sort(inputs);
      inputs.erase(llvm::unique(inputs), inputs.end());
      inputs.push_back(op->getBlock());
      byInputs[inputs].push_back(op);
    });
    bool changed = false;
    for (auto &[inputs, ops] : byInputs)
      if (ops.size() <= kMostCandidates)
        changed |= mergeAll(ops);
    return changed;
  }
};

} // namespace
