//===- ScoreRange.cpp - what masks make of scores -------------------------===//

#include "passes/Analysis/ScoreRange.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/DenseMap.h"
#include <cmath>

using namespace mlir;
using namespace kt;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargest = 1e20; // of what scores are made of, see scoreRange

//===----------------------------------------------------------------------===//
// Comparisons of indices
//===----------------------------------------------------------------------===//

/// row * i + key * j + rest
struct Linear {
  int64_t row = 0, key = 0;
  Expr rest;
};

Linear plus(const Linear &x, const Linear &y, int64_t factor = 1) {
  return {x.row + factor * y.row, x.key + factor * y.key, x.rest + y.rest * factor};
}

/// The comparison of y and x that says the same as this one of x and y; only of those that order signed numbers.
arith::CmpIPredicate mirrored(arith::CmpIPredicate predicate) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::slt:
    return P::sgt;
  case P::sle:
    return P::sge;
  case P::sgt:
    return P::slt;
  case P::sge:
    return P::sle;
  default:
    return predicate;
  }
}

class Indices {
public:
  explicit Indices(AttentionOp op) : op(op), block(&op.getScore().front()) {}
  std::optional<SpanCondition> condition(arith::CmpIOp op);

private:
  std::optional<Linear> linear(Value v, unsigned depth = 0);
  std::optional<Linear> choose(const Linear &x, const Linear &y, bool larger);
  Expr size(unsigned s) { return cast<ExprAttr>(op.getSizes()[s]); }
  Expr constant(int64_t value) { return Expr::constant(op.getContext(), value); }
  /// x >= 0 for every row and key, provably.
  bool nonNegative(const Linear &x) {
    Expr least = x.rest;
    for (auto [factor, extent] : {std::pair{x.row, size(2)}, std::pair{x.key, size(3)}})
      if (factor < 0)
        least = least + (extent - 1) * factor;
    return least.isNonNegative();
  }

  AttentionOp op;
  Block *block;
};

/// The smaller or the larger of two where one is that for every row and key.
std::optional<Linear> Indices::choose(const Linear &x, const Linear &y, bool larger) {
  if (nonNegative(plus(x, y, -1)))
    return larger ? x : y;
  if (nonNegative(plus(y, x, -1)))
    return larger ? y : x;
  return std::nullopt;
}

std::optional<Linear> Indices::linear(Value v, unsigned depth) {
  if (depth > 16)
    return std::nullopt;
  if (auto arg = dyn_cast<BlockArgument>(v)) {
    unsigned fromEnd = block->getNumArguments() - arg.getArgNumber(); // b, h, i, j come last
    if (arg.getOwner() != block || fromEnd > 2)
      return std::nullopt;
    return Linear{fromEnd == 2, fromEnd == 1, constant(0)};
  }
  APInt number;
  if (matchPattern(v, m_ConstantInt(&number)))
    return number.isSignedIntN(62) ? std::optional<Linear>(Linear{0, 0, constant(number.getSExtValue())})
                                   : std::nullopt;
  Operation *def = v.getDefiningOp();
  if (auto size = dyn_cast<SizeOp>(def))
    return Linear{0, 0, size.getValue()};
  if (isa<arith::IndexCastOp, arith::ExtSIOp>(def))
    return linear(def->getOperand(0), depth + 1);
  auto operand = [&](unsigned i) { return linear(def->getOperand(i), depth + 1); };
  if (auto narrow = dyn_cast<arith::TruncIOp>(def)) // positions in 32 bits
    return narrow.getType().getIntOrFloatBitWidth() >= 32 ? operand(0) : std::nullopt;
  if (isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp, arith::MulIOp>(def)) {
    auto x = operand(0), y = operand(1);
    if (!x || !y)
      return std::nullopt;
    if (isa<arith::AddIOp, arith::SubIOp>(def))
      return plus(*x, *y, isa<arith::AddIOp>(def) ? 1 : -1);
    if (isa<arith::MinSIOp, arith::MaxSIOp>(def))
      return choose(*x, *y, isa<arith::MaxSIOp>(def));
    for (auto [a, c] : {std::pair{x, y}, std::pair{y, x}}) {
      if (c->row || c->key)
        continue;
      if (!a->row && !a->key)
        return Linear{0, 0, a->rest * c->rest};
      if (auto factor = c->rest.asConstant(); factor && std::abs(*factor) <= 1)
        return Linear{a->row * *factor, a->key * *factor, a->rest * *factor};
    }
  }
  // A number that wraps where it is negative, which it never is.
  if (auto select = dyn_cast<arith::SelectOp>(def)) {
    auto cmp = select.getCondition().getDefiningOp<arith::CmpIOp>();
    auto x = cmp ? linear(cmp.getLhs(), depth + 1) : std::nullopt,
         y = x ? linear(cmp.getRhs(), depth + 1) : std::nullopt;
    if (!y)
      return std::nullopt;
    bool less = cmp.getPredicate() == arith::CmpIPredicate::slt,
         atLeast = cmp.getPredicate() == arith::CmpIPredicate::sge;
    if ((less || atLeast) && nonNegative(plus(*x, *y, -1)))
      return operand(less ? 2 : 1);
  }
  return std::nullopt;
}

std::optional<SpanCondition> Indices::condition(arith::CmpIOp cmp) {
  // |x| < w is both -w < x and x < w.
  bool both = false;
  Value lhs = cmp.getLhs(), rhs = cmp.getRhs();
  arith::CmpIPredicate predicate = cmp.getPredicate();
  using P = arith::CmpIPredicate;
  if (rhs.getDefiningOp<math::AbsIOp>()) {
    std::swap(lhs, rhs);
    predicate = mirrored(predicate);
  }
  if (auto abs = lhs.getDefiningOp<math::AbsIOp>()) {
    if (predicate != P::slt && predicate != P::sle)
      return std::nullopt;
    both = true;
    lhs = abs.getOperand();
  }
  auto x = linear(lhs), y = linear(rhs);
  if (!x || !y)
    return std::nullopt;
  // In terms of t = j - i: t + rest, or rest - t, compared with zero.
  Linear d = plus(*x, *y, -1);
  if (d.row != -d.key || std::abs(d.key) != 1)
    return std::nullopt;
  Span span;
  if (both) {
    if (y->row || y->key)
      return std::nullopt;
    Expr middle = d.key < 0 ? x->rest : x->rest * -1, reach = predicate == P::slt ? y->rest - 1 : y->rest;
    return SpanCondition{cmp.getResult(), {middle - reach, middle + reach + 1}};
  }
  if (d.key < 0) {
    d = plus({0, 0, constant(0)}, d, -1);
    predicate = mirrored(predicate);
  }
  if (predicate == P::slt || predicate == P::sle) {
    span.to = d.rest * -1 + (predicate == P::sle ? 1 : 0);
  } else if (predicate == P::sgt || predicate == P::sge) {
    span.from = d.rest * -1 + (predicate == P::sgt ? 1 : 0);
  } else {
    return std::nullopt;
  }
  return SpanCondition{cmp.getResult(), span};
}

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

/// What is known of a value: the constant that it is, or between which numbers it lies.
struct Known {
  Attribute constant;
  double least = -kInfinity, most = kLargest;
};

std::optional<double> numberOf(Attribute constant) {
  auto f = dyn_cast_or_null<FloatAttr>(constant);
  return f ? std::optional<double>(f.getValueAsDouble()) : std::nullopt;
}

class Ranges {
public:
  Ranges(Block &block, llvm::function_ref<std::optional<bool>(Value)> decided) : block(block), decided(decided) {}
  Known run() {
    known[block.getArgument(0)] = {{}, -kLargest, kLargest};
    for (Operation &op : block.without_terminator()) {
      Value result = op.getResult(0);
      Known k;
      if (auto truth = decided(result))
        k.constant = IntegerAttr::get(result.getType(), *truth);
      else
        k = evaluate(&op);
      if (auto number = numberOf(k.constant))
        k.least = k.most = *number;
      // The lowest number of a type stands for minus infinity where nothing lower can be written.
      if (result.getType().isF16() && k.most <= -65504)
        k.most = std::min(k.most, -1e38);
      k.least = std::isnan(k.least) ? -kInfinity : k.least;
      k.most = std::isnan(k.most) ? kInfinity : k.most;
      known[result] = k;
    }
    return known.lookup(block.getTerminator()->getOperand(0));
  }

private:
  Known evaluate(Operation *op);
  Known choice(arith::SelectOp op);
  Known product(const Known &x, const Known &y);

  Block &block;
  llvm::function_ref<std::optional<bool>(Value)> decided;
  llvm::DenseMap<Value, Known> known;
};

Known Ranges::choice(arith::SelectOp op) {
  Known c = known.lookup(op.getCondition()), x = known.lookup(op.getTrueValue()), y = known.lookup(op.getFalseValue());
  if (auto truth = dyn_cast_or_null<IntegerAttr>(c.constant))
    return truth.getValue().isZero() ? y : x;
  return {x.constant == y.constant ? x.constant : Attribute(), std::min(x.least, y.least), std::max(x.most, y.most)};
}

Known Ranges::product(const Known &x, const Known &y) {
  for (const auto &[a, b] : {std::pair{x, y}, std::pair{y, x}})
    if (auto c = numberOf(b.constant)) {
      double p = a.least * *c, q = a.most * *c;
      return *c == 0 ? b : Known{{}, std::min(p, q), std::max(p, q)};
    }
  double at[] = {x.least * y.least, x.least * y.most, x.most * y.least, x.most * y.most};
  Known k;
  if (llvm::none_of(at, [](double d) { return std::isnan(d) || std::isinf(d); }))
    k.least = *llvm::min_element(at), k.most = *llvm::max_element(at);
  return k;
}

Known Ranges::evaluate(Operation *op) {
  SmallVector<Known> in;
  SmallVector<Attribute> constants;
  for (Value v : op->getOperands()) {
    in.push_back(known.lookup(v));
    constants.push_back(in.back().constant);
  }
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return choice(select);
  if (isa<arith::AndIOp, arith::OrIOp, arith::MulIOp>(op)) {
    // One side may decide alone.
    for (const Known &k : in) {
      auto c = dyn_cast_or_null<IntegerAttr>(k.constant);
      if (c && (isa<arith::OrIOp>(op) ? c.getValue().isAllOnes() : c.getValue().isZero()))
        return k;
    }
  }
  if (llvm::all_of(constants, [](Attribute a) { return (bool)a; }) && !isa<ReadOp, SizeOp, BoundedOp>(op)) {
    SmallVector<OpFoldResult> folded;
    if (succeeded(op->fold(constants, folded)) && folded.size() == 1) {
      if (auto v = dyn_cast<Value>(folded[0]))
        return known.lookup(v);
      return {cast<Attribute>(folded[0])};
    }
  }
  if (isa<arith::AddFOp>(op))
    return {{}, in[0].least + in[1].least, in[0].most + in[1].most};
  if (isa<arith::SubFOp>(op))
    return {{}, in[0].least - in[1].most, in[0].most - in[1].least};
  if (isa<arith::MulFOp>(op))
    return product(in[0], in[1]);
  if (isa<arith::DivFOp>(op))
    if (auto c = numberOf(in[1].constant); c && *c != 0)
      return {{}, std::min(in[0].least / *c, in[0].most / *c), std::max(in[0].least / *c, in[0].most / *c)};
  if (isa<arith::NegFOp>(op))
    return {{}, -in[0].most, -in[0].least};
  if (isa<arith::MaximumFOp, arith::MaxNumFOp>(op))
    return {{}, std::max(in[0].least, in[1].least), std::max(in[0].most, in[1].most)};
  if (isa<arith::MinimumFOp, arith::MinNumFOp>(op))
    return {{}, std::min(in[0].least, in[1].least), std::min(in[0].most, in[1].most)};
  if (isa<arith::ExtFOp>(op))
    return {{}, in[0].least, in[0].most};
  if (auto narrow = dyn_cast<arith::TruncFOp>(op)) {
    auto rounded = [&](double x) { return FloatAttr::get(narrow.getType(), x).getValueAsDouble(); };
    return {{}, rounded(in[0].least), rounded(in[0].most)};
  }
  if (isa<math::TanhOp>(op))
    return {{}, -1, 1};
  if (isa<math::ExpOp, math::Exp2Op, math::RsqrtOp, math::SqrtOp, math::AbsFOp>(op))
    return {{}, 0, kLargest};
  if (isa<arith::UIToFPOp>(op) && op->getOperand(0).getType().isInteger(1))
    return {{}, 0, 1};
  if (isa<arith::UIToFPOp, arith::SIToFPOp>(op))
    return {{}, -kLargest, kLargest};
  return {};
}

} // namespace

std::optional<Span> SpanCondition::complement() const {
  if (span.from && span.to)
    return std::nullopt;
  return Span{span.to, span.from};
}

SmallVector<SpanCondition> kt::spanConditions(AttentionOp op) {
  SmallVector<SpanCondition> list;
  Indices indices(op);
  for (auto cmp : op.getScore().front().getOps<arith::CmpIOp>())
    if (auto condition = indices.condition(cmp))
      list.push_back(*condition);
  return list;
}

ScoreRange kt::scoreRange(AttentionOp op, llvm::function_ref<std::optional<bool>(Value)> decided) {
  Known score = Ranges(op.getScore().front(), decided).run();
  return {score.least, score.most};
}
