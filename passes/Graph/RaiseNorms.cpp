//===- RaiseNorms.cpp - norms that were spelled out -----------------------===//
//
//   %v = reduce add { x[i, k] * x[i, k] } epilogue { 1 / sqrt(acc / n + eps) }
//   %r = generic { x[i, j] * v[i] * g[j] }
//     ->  %r = normalize rms { x[i, j] } epilogue { y * g[j] }
//
// and the same of x - mean(x), which is a layer norm. x may be a computation that was inlined into both.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/EqualBodies.h"
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

/// An element at the position of a body: a read, or whatever cheap computation was inlined where it was read.
struct Element {
  Value value;
  Operation *op; // whose first body makes it
};

bool isSame(Element a, Element b) {
  return a.value == b.value || EqualBodies(a.op, a.op->getRegion(0), b.op, b.op->getRegion(0)).same(a.value, b.value);
}

/// What is normalised: x itself or x minus its mean.
struct Centred {
  Element x;
  bool layer = false;
};

/// v, of a body of `op`, as x or x - mean(x)[i].
Centred centred(Value v, Operation *op, int64_t rank) {
  v = stripCasts(v);
  Centred whole{{v, op}, false};
  auto sub = v.getDefiningOp<arith::SubFOp>();
  if (!sub)
    return whole;
  Element x{stripCasts(sub.getLhs()), op};
  Value m = readRow(sub.getRhs(), op, 0, rank);
  auto mean = m ? lastReduce(m, rank, ReduceKind::add) : std::nullopt;
  if (!mean)
    return whole;
  Element element{stripCasts(mean->op.getBody().front().getTerminator()->getOperand(0)), mean->op};
  Block &epilogue = mean->op.getEpilogue().front();
  if (!isSame(x, element) || !isMeanOf(epilogue.getTerminator()->getOperand(0), epilogue.getArgument(0), mean->count))
    return whole;
  return {x, true};
}

bool isSame(const Centred &a, const Centred &b) { return a.layer == b.layer && isSame(a.x, b.x); }

/// The square of something centred: t * t.
std::optional<Centred> matchSquare(Value v, Operation *op, int64_t rank) {
  auto mul = stripCasts(v).getDefiningOp<arith::MulFOp>();
  if (!mul)
    return std::nullopt;
  Centred a = centred(mul.getLhs(), op, rank);
  return isSame(a, centred(mul.getRhs(), op, rank)) ? std::optional(a) : std::nullopt;
}

/// Makes `x` at `b`, of what its block's arguments are there, as a number of type `type`.
Value cloneElement(OpBuilder &b, Value x, IRMapping &map, Type type) {
  SetVector<Operation *> needed;
  SmallVector<Value> from{x};
  while (!from.empty())
    if (Operation *op = from.pop_back_val().getDefiningOp(); op && needed.insert(op))
      llvm::append_range(from, op->getOperands());
  for (Operation &op : *x.getParentBlock())
    if (needed.contains(&op))
      b.clone(op, map);
  Value made = map.lookup(x);
  unsigned width = made.getType().getIntOrFloatBitWidth(), wanted = type.getIntOrFloatBitWidth();
  if (width < wanted)
    return arith::ExtFOp::create(b, x.getLoc(), type, made);
  return width > wanted ? Value(arith::TruncFOp::create(b, x.getLoc(), type, made)) : made;
}

bool raise(GenericOp op) {
  int64_t rank = op.getResult().getType().getRank();
  if (rank < 1)
    return false;
  Block &body = op.getBody().front();
  for (Operation &o : body.without_terminator()) {
    // The product or quotient of something centred and a deviation.
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
      auto reduce = row ? lastReduce(row, rank, ReduceKind::add) : std::nullopt;
      if (!reduce || reduce->count != op.getResult().getType().dim(rank - 1))
        continue;
      Centred element = centred(t, op, rank);
      auto square = matchSquare(reduce->op.getBody().front().getTerminator()->getOperand(0), reduce->op, rank);
      Block &epilogue = reduce->op.getEpilogue().front();
      auto deviation = matchDeviation(epilogue.getTerminator()->getOperand(0), epilogue.getArgument(0), reduce->count);
      if (!square || !isSame(*square, element) || !deviation || deviation->reciprocal != isMul)
        continue;

      OpBuilder b(op);
      Location loc = FusedLoc::get(op.getContext(), {op.getLoc(), reduce->op.getLoc()});
      SmallVector<Value> inputs(op.getInputs().begin(), op.getInputs().end());
      auto norm =
          NormalizeOp::create(b, loc, op.getResult().getType(), inputs,
                              NormKindAttr::get(op.getContext(), element.layer ? NormKind::layer : NormKind::rms),
                              b.getI64IntegerAttr(1), b.getF64FloatAttr(deviation->epsilon));
      Type wide = o.getResult(0).getType().isF64() ? Type(b.getF64Type()) : Type(b.getF32Type());
      auto mapTo = [&](ValueRange arguments) {
        IRMapping map;
        map.map(body.getArguments(), arguments);
        return map;
      };
      Block *start = addBody(norm.getBody(), {}, inputs, rank);
      b.setInsertionPointToStart(start);
      IRMapping map = mapTo(start->getArguments());
      YieldOp::create(b, loc, cloneElement(b, element.x.value, map, wide));
      Block *finish = addBody(norm.getEpilogue(), {wide}, inputs, rank);
      b.setInsertionPointToStart(finish);
      map = mapTo(finish->getArguments().drop_front());
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
      eraseDead(*finish);
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
