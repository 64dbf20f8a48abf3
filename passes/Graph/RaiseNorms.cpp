//===- RaiseNorms.cpp - norms that were spelled out -----------------------===//
//
//   %v = reduce add { x[i, k] * x[i, k] } epilogue { 1 / sqrt(acc / n + eps) }
//   %r = generic { x[i, j] * v[i] * g[j] }
//     ->  %r = normalize rms { x[i, j] } epilogue { y * g[j] }
//
// and the same of x - mean(x), which is a layer norm.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Graph/RowMatch.h"
#include "passes/Graph/ScalarMatch.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_RAISENORMS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// What is normalised: x itself or x minus its mean.
struct Centred {
  Value x;
  bool layer = false;
};

/// v is x[i, j] or x[i, j] - mean(x)[i] in a body of `op`.
std::optional<Centred> matchCentred(Value v, Operation *op, unsigned leading, int64_t rank) {
  v = stripCasts(v);
  if (Value x = readHere(v, op, leading, rank))
    return Centred{x, false};
  auto sub = v.getDefiningOp<arith::SubFOp>();
  if (!sub)
    return std::nullopt;
  Value x = readHere(sub.getLhs(), op, leading, rank), m = readRow(sub.getRhs(), op, leading, rank);
  if (!x || !m)
    return std::nullopt;
  auto mean = lastReduce(m, rank, ReduceKind::add);
  if (!mean)
    return std::nullopt;
  Value element = mean->op.getBody().front().getTerminator()->getOperand(0);
  Block &epilogue = mean->op.getEpilogue().front();
  if (readHere(element, mean->op, 0, rank) != x ||
      !isMeanOf(epilogue.getTerminator()->getOperand(0), epilogue.getArgument(0), mean->count))
    return std::nullopt;
  return Centred{x, true};
}

bool sameCentred(const Centred &a, const Centred &b) { return a.x == b.x && a.layer == b.layer; }

/// The square of something centred: t * t.
std::optional<Centred> matchSquare(Value v, Operation *op, int64_t rank) {
  v = stripCasts(v);
  auto mul = v.getDefiningOp<arith::MulFOp>();
  if (!mul)
    return std::nullopt;
  auto a = matchCentred(mul.getLhs(), op, 0, rank), b = matchCentred(mul.getRhs(), op, 0, rank);
  return a && b && sameCentred(*a, *b) ? a : std::nullopt;
}

bool raise(GenericOp op) {
  int64_t rank = op.getResult().getType().getRank();
  if (rank < 1)
    return false;
  Block &body = op.getBody().front();
  for (Operation &o : body.without_terminator()) {
    // The product or quotient of something centred and a deviation.
    Value t, d;
    SmallVector<std::pair<Value, Value>, 2> pairs;
    if (auto mul = dyn_cast<arith::MulFOp>(o)) {
      pairs = {{mul.getLhs(), mul.getRhs()}, {mul.getRhs(), mul.getLhs()}};
    } else if (auto div = dyn_cast<arith::DivFOp>(o)) {
      pairs = {{div.getLhs(), div.getRhs()}};
    } else {
      continue;
    }
    bool isMul = isa<arith::MulFOp>(o);
    for (auto [t, d] : pairs) {
      Value row = readRow(d, op, 0, rank);
      auto centred = row ? matchCentred(t, op, 0, rank) : std::nullopt;
      auto reduce = row ? lastReduce(row, rank, ReduceKind::add) : std::nullopt;
      if (!centred || !reduce || reduce->count != op.getResult().getType().dim(rank - 1))
        continue;
      auto square = matchSquare(reduce->op.getBody().front().getTerminator()->getOperand(0), reduce->op, rank);
      Block &epilogue = reduce->op.getEpilogue().front();
      auto deviation = matchDeviation(epilogue.getTerminator()->getOperand(0), epilogue.getArgument(0), reduce->count);
      if (!square || !sameCentred(*square, *centred) || !deviation || deviation->reciprocal != isMul)
        continue;

      OpBuilder b(op);
      Location loc = FusedLoc::get(op.getContext(), {op.getLoc(), reduce->op.getLoc()});
      SmallVector<Value> inputs(op.getInputs().begin(), op.getInputs().end());
      auto norm =
          NormalizeOp::create(b, loc, op.getResult().getType(), inputs,
                              NormKindAttr::get(op.getContext(), centred->layer ? NormKind::layer : NormKind::rms),
                              b.getI64IntegerAttr(1), b.getF64FloatAttr(deviation->epsilon));
      unsigned number = llvm::find(inputs, centred->x) - inputs.begin();
      Type wide = o.getResult(0).getType().isF64() ? Type(b.getF64Type()) : Type(b.getF32Type());
      Block *element = addBody(norm.getBody(), {}, inputs, rank);
      b.setInsertionPointToStart(element);
      Value x = ReadOp::create(b, loc, element->getArgument(number), element->getArguments().drop_front(inputs.size()));
      if (x.getType() != wide)
        x = arith::ExtFOp::create(b, loc, wide, x);
      YieldOp::create(b, loc, x);
      Block *finish = addBody(norm.getEpilogue(), {wide}, inputs, rank);
      b.setInsertionPointToStart(finish);
      IRMapping map;
      for (auto [i, arg] : llvm::enumerate(body.getArguments()))
        map.map(arg, finish->getArgument(i + 1));
      for (Operation &inner : body) {
        if (&inner == &o) {
          Value y = finish->getArgument(0);
          if (y.getType() != o.getResult(0).getType())
            y = arith::TruncFOp::create(b, loc, o.getResult(0).getType(), y);
          map.map(o.getResult(0), y);
          continue;
        }
        b.clone(inner, map);
      }
      op.replaceAllUsesWith(norm.getResult());
      op.erase();
      // Reads of the moments that nothing uses any more fall away, and with them the operands.
      for (Operation &inner : llvm::make_early_inc_range(llvm::reverse(*finish)))
        if (isOpTriviallyDead(&inner))
          inner.erase();
      cleanBodyOperands(norm);
      return true;
    }
  }
  return false;
}

struct RaiseNormsPass : kt::impl::RaiseNormsBase<RaiseNormsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<GenericOp> ops;
    getOperation()->walk([&](GenericOp op) { ops.push_back(op); });
    for (GenericOp op : ops)
      raise(op);
  }
};

} // namespace
