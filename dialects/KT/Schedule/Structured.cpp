//===- Structured.cpp - elementwise work, reductions and norms in vectors -===//

#include "dialects/KT/Schedule/Structured.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace kt;

static SmallVector<Expr> dims(SymTensorType type, int64_t from, int64_t to) {
  SmallVector<Expr> extents;
  for (int64_t d = from; d < to; ++d)
    extents.push_back(type.dim(d));
  return extents;
}

/// Takes vectors along the last of `groups` if that is a multiple of their length.
static bool takeVectors(Alignment &alignment, unsigned lanes, ArrayRef<Expr> groups) {
  alignment.lanes = lanes;
  if (lanes > 1 && !groups.empty() && alignment.multiple(groups.back()))
    return true;
  alignment.lanes = 1;
  return false;
}

static unsigned length(BodyLanes &body) { return std::distance(body.block().begin(), body.block().end()); }

std::optional<unsigned> kt::turnedDimension(GenericOp op) {
  BodyLanes body(op.getBody(), 0);
  SymTensorType type = op.getResult().getType();
  unsigned rank = type.getRank();
  if (rank < 2)
    return std::nullopt;
  auto reads = llvm::to_vector(body.block().getOps<ReadOp>());
  if (reads.size() != 1 || reads[0].getOtherwise() || reads[0].getIndices().empty())
    return std::nullopt;
  // Every index of the read has to be a plain result index, each used once.
  llvm::SmallDenseSet<Value> seen;
  for (Value v : reads[0].getIndices())
    if (!isa<BlockArgument>(v) || !seen.insert(v).second)
      return std::nullopt;
  for (unsigned d = 0; d + 1 < rank; ++d) {
    if (reads[0].getIndices().back() != body.indexArgument(d) || !seen.contains(body.indexArgument(rank - 1)))
      continue;
    // Short sides leave most of a tile empty: there the plain kernel is as good.
    for (Expr e : {type.dim(d), type.dim(rank - 1)})
      if (std::optional<int64_t> n = e.asConstant(); n && *n < 16)
        return std::nullopt;
    return d;
  }
  return std::nullopt;
}

/// A vector of lanes a thread; short bodies get the 16 bytes that the memory system likes, long ones fewer.
static unsigned flatLanes(BodyLanes &body, SymTensorType type, unsigned inner) {
  unsigned lanes = vectorLanes(body.contiguousReads(inner), type.getElementType());
  unsigned size = length(body);
  return size > 300 ? 1 : size > 100 ? std::min(lanes, 2u) : size > 50 ? std::min(lanes, 4u) : lanes;
}

void kt::alignFlat(GenericOp op, Alignment &alignment) {
  SymTensorType type = op.getResult().getType();
  BodyLanes body(op.getBody(), 0);
  MergedDims space(dims(type, 0, type.getRank()), {{&body, 0u}});
  if (type.getRank() == 0)
    return;
  unsigned inner = type.getRank() - 1, lanes = flatLanes(body, type, inner);
  // One merged dimension needs no divisibility: its last vector may be a partial one.
  if (lanes > 1 && space.groups.size() == 1)
    alignment.lanes = lanes;
  else if (!takeVectors(alignment, lanes, space.groups))
    return;
  body.assumeAligned(inner, alignment);
}

void kt::alignUpdate(UpdateOp op, Alignment &alignment) {
  SymTensorType type = op.getResult().getType();
  BodyLanes body(op.getBody(), 0);
  unsigned inner = type.getRank() - 1;
  alignment.lanes = 1;
  // A window of the innermost dimension begins anywhere.
  if (op.getAxis() != inner && takeVectors(alignment, flatLanes(body, type, inner), type.dim(inner)))
    body.assumeAligned(inner, alignment);
}

void kt::alignElements(Operation *op, Alignment &alignment) {
  if (auto generic = dyn_cast<GenericOp>(op))
    alignFlat(generic, alignment);
  else
    alignUpdate(cast<UpdateOp>(op), alignment);
}

SmallVector<Operation *> kt::besideOf(Operation *op) {
  auto kernel = dyn_cast_or_null<KernelOp>(op->getParentOp());
  SmallVector<Operation *> all = kernel ? kernel.computes() : SmallVector<Operation *>{op};
  if (all.size() > 1 && isa<AttentionOp>(all.back()))
    all.pop_back();
  for (Operation *part : all)
    if (!isa<GenericOp, UpdateOp>(part) ||
        llvm::any_of(part->getOperands(), [](Value v) { return v.getDefiningOp<ComputeOpInterface>(); }))
      return {op};
  return all;
}

/// Of a vector's lane and a thread, together: 256 threads with 8 lanes each take no more than the 48 KB that any block
/// may have.
static constexpr int64_t kMostStateBytes = 24;

/// Bytes of what a thread has of a reduction: a whole word at least, and a position.
static int64_t stateBytes(ReduceOp op) {
  int64_t value = elementBytes(op.getBody().front().getTerminator()->getOperand(0).getType());
  bool isArg = op.getKind() == ReduceKind::argmax || op.getKind() == ReduceKind::argmin;
  return std::max<int64_t>(value, 4) + (isArg ? 4 : 0);
}

bool kt::sharesPass(ArrayRef<ReduceOp> before, ReduceOp next) {
  int64_t bytes = stateBytes(next);
  for (ReduceOp one : before) {
    bytes += stateBytes(one);
    if (one.getResult().getType().getDims() != next.getResult().getType().getDims() ||
        one.getExtents() != next.getExtents())
      return false;
    bool reads = false;
    for (auto [i, v] : llvm::enumerate(next.getInputs())) {
      if (v != one.getResult())
        continue;
      reads = true;
      if (!next.getBody().getArgument(i).use_empty())
        return false;
    }
    if (reads && !readsOwnElements(next, one.getResult()))
      return false;
  }
  return before.empty() || bytes <= kMostStateBytes;
}

SmallVector<ReduceOp> kt::sharedPass(ReduceOp op) {
  SmallVector<ReduceOp> all;
  auto kernel = dyn_cast_or_null<KernelOp>(op->getParentOp());
  for (Operation *compute : kernel ? kernel.computes() : SmallVector<Operation *>{op}) {
    auto next = dyn_cast<ReduceOp>(compute);
    if (!next || !sharesPass(all, next))
      return {op};
    all.push_back(next);
  }
  return all;
}

namespace {
/// The bodies of reductions that share a pass, and their merged dimensions.
struct Reduction {
  SmallVector<BodyLanes, 4> bodies, epilogues;
  unsigned rank, depth;
  MergedDims out, over;
  explicit Reduction(ReduceOp op)
      : bodies(llvm::map_to_vector<4>(sharedPass(op), [](ReduceOp r) { return BodyLanes(r.getBody(), 0); })),
        epilogues(llvm::map_to_vector<4>(sharedPass(op), [](ReduceOp r) { return BodyLanes(r.getEpilogue(), 1); })),
        rank(op.getResult().getType().getRank()), depth(op.getExtents().size()),
        out(dims(op.getResult().getType(), 0, rank), from(0, true)), over(extents(op), from(rank, false)) {}
  static SmallVector<Expr> extents(ReduceOp op) {
    SmallVector<Expr> all;
    for (Attribute a : op.getExtents())
      all.push_back(cast<ExprAttr>(a));
    return all;
  }
  SmallVector<std::pair<BodyLanes *, unsigned>> from(unsigned first, bool withEpilogues) {
    SmallVector<std::pair<BodyLanes *, unsigned>> all;
    for (BodyLanes &body : bodies)
      all.push_back({&body, first});
    if (withEpilogues)
      for (BodyLanes &epilogue : epilogues)
        all.push_back({&epilogue, first});
    return all;
  }
  SmallVector<ReadOp> contiguousReads(unsigned index) {
    SmallVector<ReadOp> all;
    for (BodyLanes &body : bodies)
      llvm::append_range(all, body.contiguousReads(index));
    return all;
  }
};
} // namespace

Expr kt::reducedLength(ReduceOp op) {
  Expr n = Expr::constant(op.getContext(), 1);
  for (Expr e : Reduction::extents(op))
    n = n * e;
  return n;
}

bool kt::reducesRows(ReduceOp op) {
  Reduction r(op);
  auto contiguous = [&](int index) { return index >= 0 && !r.contiguousReads(index).empty(); };
  bool along = r.depth && contiguous(r.rank + r.depth - 1), acrossOutputs = r.rank && contiguous((int)r.rank - 1);
  std::optional<int64_t> outputs = op.getResult().getType().numElements().asConstant(),
                         length = reducedLength(op).asConstant();
  if (!r.depth || (length && *length <= 8))
    return false;
  return along != acrossOutputs ? along : outputs && *outputs <= 256;
}

void kt::alignRows(ReduceOp op, Alignment &alignment) {
  Reduction r(op);
  unsigned inner = r.rank + r.depth - 1;
  unsigned lanes = vectorLanes(r.contiguousReads(inner), IntegerType::get(op.getContext(), 64));
  if (takeVectors(alignment, lanes, r.over.groups))
    for (BodyLanes &body : r.bodies)
      body.assumeAligned(inner, alignment);
}

void kt::alignColumns(ReduceOp op, Alignment &alignment) {
  Reduction r(op);
  if (r.rank == 0)
    return;
  unsigned inner = r.rank - 1, size = 0, lanes = UINT_MAX;
  SmallVector<ReadOp> reads = r.contiguousReads(inner);
  for (auto [body, reduce] : llvm::zip_equal(r.bodies, sharedPass(op))) {
    size += length(body);
    lanes = std::min(lanes, vectorLanes(reads, reduce.getResult().getType().getElementType()));
  }
  if (size >= 60 || reads.empty() || !takeVectors(alignment, lanes, r.out.groups))
    return;
  for (auto *list : {&r.bodies, &r.epilogues})
    for (BodyLanes &body : *list)
      body.assumeAligned(inner, alignment);
}

Expr kt::normalizedLength(NormalizeOp op) {
  SymTensorType type = op.getResult().getType();
  Expr n = Expr::constant(op.getContext(), 1);
  for (Expr e : dims(type, type.getRank() - op.getAxes(), type.getRank()))
    n = n * e;
  return n;
}

GenericOp kt::makerOfRows(NormalizeOp op) {
  if (isa_and_nonnull<KernelOp>(op->getParentOp()))
    for (Value v : op.getInputs())
      if (auto maker = v.getDefiningOp<GenericOp>(); maker && readsOwnElements(op, v))
        return maker;
  return {};
}

NormalizeOp kt::normOfLeft(MatmulOp op) {
  return isa_and_nonnull<KernelOp>(op->getParentOp()) ? op.getLhs().getDefiningOp<NormalizeOp>() : NormalizeOp();
}

FollowedRows kt::followedRows(NormalizeOp op, unsigned threads, std::optional<int64_t> share) {
  // A warp's rows have at most 32 numbers a thread, several rows at most 64: the product before them has no more than
  // twice as many in registers. More than four rows at the same time are more code than they save of waiting.
  constexpr int64_t kHeld = 32, kHeldOfAll = 64, kRows = 4;
  int64_t length = normalizedLength(op).asConstant().value_or(INT64_MAX);
  unsigned ofRow = length <= 32 * kHeld ? 32 : threads, rows = threads / ofRow;
  if (length > ofRow * kHeld)
    return {ofRow, 0, 1, rows};
  bool wide = elementBytes(op.getBody().front().getTerminator()->getOperand(0).getType()) > 4;
  int64_t held = llvm::alignTo(llvm::divideCeil(length, ofRow), 8), wanted = llvm::divideCeil(share.value_or(1), rows);
  unsigned each = wide ? 1 : std::clamp<int64_t>(wanted, 1, std::clamp<int64_t>(kHeldOfAll / held, 1, kRows));
  return {ofRow, kHeld, each, rows * each};
}

void kt::alignRows(NormalizeOp op, Alignment &alignment) {
  SymTensorType type = op.getResult().getType();
  unsigned rank = type.getRank(), first = rank - op.getAxes(), inner = rank - 1;
  BodyLanes body(op.getBody(), 0), epilogue(op.getEpilogue(), 1);
  SmallVector<BodyLanes *> all = {&body, &epilogue};
  SmallVector<ReadOp> reads = body.contiguousReads(inner);
  std::optional<BodyLanes> made;
  if (GenericOp maker = makerOfRows(op)) {
    all.push_back(&made.emplace(maker.getBody(), 0));
    llvm::append_range(reads, made->contiguousReads(inner));
  }
  auto from = [&](unsigned index) {
    return llvm::map_to_vector(all, [&](BodyLanes *lanes) { return std::pair(lanes, index); });
  };
  MergedDims rows(dims(type, 0, first), from(0)), columns(dims(type, first, rank), from(first));
  bool isDouble = op.getBody().front().getTerminator()->getOperand(0).getType().isF64();
  unsigned lanes = std::min(isDouble ? 2u : 8u, vectorLanes(reads, type.getElementType()));
  if (!takeVectors(alignment, lanes, columns.groups))
    return;
  for (BodyLanes *each : all)
    each->assumeAligned(inner, alignment);
}
