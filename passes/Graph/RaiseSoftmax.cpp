//===- RaiseSoftmax.cpp - softmaxes that were spelled out -----------------===//
//
//   %m = reduce max { x[i, k] }
//   %e = generic { exp(x[i, j] - m[i]) }
//   %s = reduce add { e[i, k] }
//   %r = generic { e[i, j] / s[i] }        ->   %r = normalize softmax { x[i, j] }
//
// x is any arithmetic, made twice where it is cheap. What a softmax itself does is not done before it:
//
//   %r = normalize softmax { x[i, j] - m[i] }     ->   %r = normalize softmax { x[i, j] }
//
//===----------------------------------------------------------------------===//

#include "passes/Graph/RowMatch.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_RAISESOFTMAX
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// A body's value.
struct In {
  Value v;
  Operation *op;
};

/// Both bodies, which have no leading scalars, make the same number at the same indices.
bool isSame(In a, In b) {
  if (auto x = dyn_cast<BlockArgument>(a.v)) {
    auto y = dyn_cast<BlockArgument>(b.v);
    if (!y || x.getType() != y.getType())
      return false;
    unsigned m = x.getArgNumber(), n = y.getArgNumber();
    if (isa<SymTensorType>(x.getType()))
      return a.op->getOperand(m) == b.op->getOperand(n);
    return m - a.op->getNumOperands() == n - b.op->getNumOperands();
  }
  Operation *x = a.v.getDefiningOp(), *y = b.v.getDefiningOp();
  if (!y || x->getName() != y->getName() || x->getResultTypes() != y->getResultTypes() ||
      x->getNumOperands() != y->getNumOperands() || x->getAttrDictionary() != y->getAttrDictionary() ||
      x->getPropertiesAsAttribute() != y->getPropertiesAsAttribute())
    return false;
  return llvm::all_of(llvm::zip(x->getOperands(), y->getOperands()),
                      [&](auto pair) { return isSame({std::get<0>(pair), a.op}, {std::get<1>(pair), b.op}); });
}

/// x where `v`, in a body of `op` without leading scalars, is x less the largest one of its row; null if it is not.
Value lessMaximum(Value v, Operation *op, int64_t rank) {
  auto sub = stripCasts(v).getDefiningOp<arith::SubFOp>();
  Value row = sub ? readRow(sub.getRhs(), op, 0, rank) : Value();
  auto most = row ? lastReduce(row, rank, ReduceKind::max) : std::nullopt;
  if (!most || most->count != cast<SymTensorType>(op->getResult(0).getType()).dim(rank - 1))
    return {};
  Block &after = most->op.getEpilogue().front();
  Value x = stripCasts(sub.getLhs()), y = stripCasts(most->op.getBody().front().getTerminator()->getOperand(0));
  if (stripCasts(after.getTerminator()->getOperand(0)) != after.getArgument(0))
    return {};
  // Where it is stored, both read it.
  Value read = readHere(x, op, 0, rank);
  return (read && read == readHere(y, most->op, 0, rank)) || isSame({x, op}, {y, most->op}) ? x : Value();
}

/// What `exps` is the exponential of, beside the maximum of a row of that; null if it is none.
Value exponent(GenericOp exps, int64_t rank) {
  auto exp = stripCasts(exps.getBody().front().getTerminator()->getOperand(0)).getDefiningOp<math::ExpOp>();
  return exp ? lessMaximum(exp.getOperand(), exps, rank) : Value();
}

void dropMaximum(NormalizeOp norm) {
  Block &body = norm.getBody().front();
  Operation *yield = body.getTerminator();
  Value v = yield->getOperand(0), x;
  if (norm.getKind() != NormKind::softmax || norm.getAxes() != 1 || !v.getType().isF32() ||
      !(x = lessMaximum(v, norm, norm.getResult().getType().getRank())))
    return;
  OpBuilder b(yield);
  yield->setOperand(0,
                    x.getType().isF32() ? x : arith::ExtFOp::create(b, norm.getLoc(), b.getF32Type(), x).getResult());
  eraseDead(body);
  cleanBodyOperands(norm);
}

/// `quotient` in the body of `op` is an element of a softmax.
bool raise(GenericOp op, arith::DivFOp quotient) {
  int64_t rank = op.getResult().getType().getRank();
  Value e = readHere(quotient.getLhs(), op, 0, rank), row = e ? readRow(quotient.getRhs(), op, 0, rank) : Value();
  auto exps = row ? e.getDefiningOp<GenericOp>() : GenericOp();
  auto sum = exps ? lastReduce(row, rank, ReduceKind::add) : std::nullopt;
  if (!sum || sum->count != op.getResult().getType().dim(rank - 1) ||
      readHere(sum->op.getBody().front().getTerminator()->getOperand(0), sum->op, 0, rank) != e)
    return false;
  Block &after = sum->op.getEpilogue().front();
  Value x = exponent(exps, rank);
  if (!x || x.getType().isF64() || stripCasts(after.getTerminator()->getOperand(0)) != after.getArgument(0))
    return false;

  OpBuilder b(op);
  Location loc = FusedLoc::get(op.getContext(), {op.getLoc(), exps.getLoc(), sum->op.getLoc()});
  unsigned own = exps.getInputs().size();
  SmallVector<Value> inputs(exps.getInputs());
  inputs.append(op.getInputs().begin(), op.getInputs().end());
  auto norm = NormalizeOp::create(b, loc, op.getResult().getType(), inputs,
                                  NormKindAttr::get(op.getContext(), NormKind::softmax), b.getI64IntegerAttr(1),
                                  b.getF64FloatAttr(0));
  Type f32 = b.getF32Type();
  Block *element = addBody(norm.getBody(), {}, inputs, rank);
  b.setInsertionPointToStart(element);
  IRMapping map;
  Block &from = exps.getBody().front();
  for (auto [i, arg] : llvm::enumerate(from.getArguments()))
    map.map(arg, element->getArgument(i < own ? i : i - own + inputs.size()));
  for (Operation &o : from.without_terminator())
    b.clone(o, map);
  Value score = map.lookup(x);
  YieldOp::create(b, loc, score.getType() == f32 ? score : arith::ExtFOp::create(b, loc, f32, score).getResult());
  Block *finish = addBody(norm.getEpilogue(), {f32}, inputs, rank);
  b.setInsertionPointToStart(finish);
  IRMapping end;
  for (auto [i, arg] : llvm::enumerate(op.getBody().front().getArguments()))
    end.map(arg, finish->getArgument(1 + own + i));
  Value y = finish->getArgument(0);
  end.map(quotient.getResult(),
          quotient.getType() == f32 ? y : arith::TruncFOp::create(b, loc, quotient.getType(), y).getResult());
  for (Operation &o : op.getBody().front())
    if (&o != quotient)
      b.clone(o, end);
  op.replaceAllUsesWith(norm.getResult());
  op.erase();
  for (Block *block : {element, finish})
    eraseDead(*block);
  cleanBodyOperands(norm);
  return true;
}

struct RaiseSoftmaxPass : kt::impl::RaiseSoftmaxBase<RaiseSoftmaxPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<GenericOp> ops;
    getOperation()->walk([&](GenericOp op) { ops.push_back(op); });
    for (GenericOp op : ops)
      if (op.getResult().getType().getRank() > 0)
        for (auto quotient : op.getBody().front().getOps<arith::DivFOp>())
          if (raise(op, quotient))
            break;
    getOperation()->walk(dropMaximum);
    // The exponentials and what was summed up of them, where nothing else reads them.
    eraseDead(getOperation());
  }
};

} // namespace
