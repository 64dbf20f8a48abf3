//===- Structured.cpp - elementwise work, reductions and norms in vectors -===//

#include "dialects/KT/Schedule/Structured.h"

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
static unsigned flatLanes(BodyLanes &body, GenericOp op, unsigned inner) {
  unsigned lanes = vectorLanes(body.contiguousReads(inner), op.getResult().getType().getElementType());
  unsigned size = length(body);
  return size > 300 ? 1 : size > 100 ? std::min(lanes, 2u) : size > 50 ? std::min(lanes, 4u) : lanes;
}

void kt::alignFlat(GenericOp op, Alignment &alignment) {
  SymTensorType type = op.getResult().getType();
  BodyLanes body(op.getBody(), 0);
  MergedDims space(dims(type, 0, type.getRank()), {{&body, 0u}});
  if (type.getRank() == 0)
    return;
  unsigned inner = type.getRank() - 1, lanes = flatLanes(body, op, inner);
  // One merged dimension needs no divisibility: its last vector may be a partial one.
  if (lanes > 1 && space.groups.size() == 1)
    alignment.lanes = lanes;
  else if (!takeVectors(alignment, lanes, space.groups))
    return;
  body.assumeAligned(inner, alignment);
}

namespace {
/// A reduction's bodies and merged dimensions.
struct Reduction {
  BodyLanes body, epilogue;
  unsigned rank, depth;
  MergedDims out, over;
  explicit Reduction(ReduceOp op)
      : body(op.getBody(), 0), epilogue(op.getEpilogue(), 1), rank(op.getResult().getType().getRank()),
        depth(op.getExtents().size()), out(dims(op.getResult().getType(), 0, rank), {{&body, 0u}, {&epilogue, 0u}}),
        over(extents(op), {{&body, rank}}) {}
  static SmallVector<Expr> extents(ReduceOp op) {
    SmallVector<Expr> all;
    for (Attribute a : op.getExtents())
      all.push_back(cast<ExprAttr>(a));
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
  auto contiguous = [&](int index) { return index >= 0 && !r.body.contiguousReads(index).empty(); };
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
  unsigned lanes = vectorLanes(r.body.contiguousReads(inner), IntegerType::get(op.getContext(), 64));
  if (takeVectors(alignment, lanes, r.over.groups))
    r.body.assumeAligned(inner, alignment);
}

void kt::alignColumns(ReduceOp op, Alignment &alignment) {
  Reduction r(op);
  if (r.rank == 0)
    return;
  unsigned inner = r.rank - 1;
  SmallVector<ReadOp> reads = r.body.contiguousReads(inner);
  if (length(r.body) >= 60 || reads.empty() ||
      !takeVectors(alignment, vectorLanes(reads, op.getResult().getType().getElementType()), r.out.groups))
    return;
  r.body.assumeAligned(inner, alignment);
  r.epilogue.assumeAligned(inner, alignment);
}

Expr kt::normalizedLength(NormalizeOp op) {
  SymTensorType type = op.getResult().getType();
  Expr n = Expr::constant(op.getContext(), 1);
  for (Expr e : dims(type, type.getRank() - op.getAxes(), type.getRank()))
    n = n * e;
  return n;
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
  MergedDims rows(dims(type, 0, first), {{&body, 0u}, {&epilogue, 0u}});
  MergedDims columns(dims(type, first, rank), {{&body, first}, {&epilogue, first}});
  bool isDouble = op.getBody().front().getTerminator()->getOperand(0).getType().isF64();
  unsigned lanes = std::min(isDouble ? 2u : 8u, vectorLanes(body.contiguousReads(inner), type.getElementType()));
  if (!takeVectors(alignment, lanes, columns.groups))
    return;
  body.assumeAligned(inner, alignment);
  epilogue.assumeAligned(inner, alignment);
}
