//===- IndexCases.cpp - comparisons of indices that always come out alike -===//

#include "passes/Analysis/IndexCases.h"
#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Bodies.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace kt;
using arith::CmpIPredicate;

namespace {
constexpr unsigned kMostSplits = 4; // one inside the other
constexpr int64_t kMostApart = 4;   // indices that are cases of their own
// Expressions do not wrap. Neither do sums of indices, nor their multiples by numbers up to this one.
constexpr int64_t kMostConstant = 1 << 20;
} // namespace

IndexCases::IndexCases(Operation *op, const BodyRef &body) : context(op->getContext()) {
  Block &block = body.region->front();
  SmallVector<Expr> extents = extentsOf(op, body);
  unsigned first = block.getNumArguments() - extents.size();
  for (auto [d, extent] : llvm::enumerate(extents)) {
    // No dimension has such a name: they are printed without spaces.
    std::string name = "index " + std::to_string(d);
    Expr index = extent.isConstant(1) ? Expr::constant(context, 0) : Expr::symbol(context, name);
    indices[block.getArgument(first + d)] = index;
    symbols.push_back(name);
    // Of a size that has an index below it, what lies above the index counts up from zero.
    if (extent.kind() == Expr::Kind::Symbol && !sizes.contains(extent.name()))
      sizes[extent.name()] = index + 1 + Expr::symbol(context, "above " + extent.name().str());
  }
}

Expr IndexCases::in(Expr e, const Case &now) const {
  return e.substitute([&](StringRef name) { return now.lookup(name); });
}

Expr IndexCases::positive(Expr difference) {
  Expr zero = Expr::constant(context, 0), answer = Expr::lt(zero, difference);
  if (answer.asConstant() || wanted)
    return answer;
  for (const std::string &name : symbols) {
    Expr index = Expr::symbol(context, name);
    // count - index: positive for those below; index - count: for those above.
    std::optional<int64_t> falling = (difference + index).asConstant(), rising = (difference - index).asConstant();
    int64_t count = falling ? *falling : rising ? 1 - *rising : 0;
    if (count > 0 && count <= kMostApart)
      wanted = {name, count};
  }
  return answer;
}

Expr IndexCases::compare(CmpIPredicate predicate, Expr a, Expr b) {
  Expr one = Expr::constant(context, 1);
  auto isNegative = [&](Expr e) { return (Expr::constant(context, -1) - e).isNonNegative(); };
  switch (predicate) {
  case CmpIPredicate::eq:
    return Expr::eq(a, b);
  case CmpIPredicate::ne:
    return one - Expr::eq(a, b);
  case CmpIPredicate::slt:
    return positive(b - a);
  case CmpIPredicate::sle:
    return one - positive(a - b);
  case CmpIPredicate::sgt:
    return positive(a - b);
  case CmpIPredicate::sge:
    return one - positive(b - a);
  case CmpIPredicate::ult:
    // A negative number counts as one beyond all others.
    for (Expr side : {a, b})
      if (!side.isNonNegative() && !isNegative(side)) {
        (void)positive(side + 1);
        return Expr();
      }
    if (a.isNonNegative() != b.isNonNegative())
      return Expr::constant(context, a.isNonNegative());
    return positive(b - a);
  default:
    return Expr();
  }
}

Expr IndexCases::evaluate(Value value) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  Expr e = compute(value);
  if (e && e.poison())
    e = Expr();
  known[value] = e;
  return e;
}

Expr IndexCases::compute(Value value) {
  if (auto it = indices.find(value); it != indices.end())
    return in(it->second, *current);
  Operation *op = value.getDefiningOp();
  APInt number;
  if (!op)
    return Expr();
  if (matchPattern(value, m_ConstantInt(&number))) {
    std::optional<int64_t> n = number.getBitWidth() == 1 ? number.getZExtValue() : number.trySExtValue();
    return n && std::abs(*n) <= kMostConstant ? Expr::constant(context, *n) : Expr();
  }
  if (auto size = dyn_cast<SizeOp>(op))
    return in(Expr(size.getValue()).substitute([&](StringRef name) { return sizes.lookup(name); }), *current);
  if (auto choice = dyn_cast<arith::SelectOp>(op)) {
    Expr condition = evaluate(choice.getCondition());
    if (!condition)
      return Expr();
    if (std::optional<int64_t> taken = condition.asConstant())
      return evaluate(*taken ? choice.getTrueValue() : choice.getFalseValue());
    Expr a = evaluate(choice.getTrueValue()), b = evaluate(choice.getFalseValue());
    return a && b ? Expr::select(condition, a, b) : Expr();
  }
  if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::MinSIOp, arith::MaxSIOp, arith::AndIOp, arith::OrIOp,
           arith::IndexCastOp, arith::ExtUIOp, arith::CmpIOp>(op))
    return Expr();
  SmallVector<Expr, 2> at;
  for (Value operand : op->getOperands()) {
    at.push_back(evaluate(operand));
    if (!at.back())
      return Expr();
  }
  bool boolean = value.getType().isInteger(1);
  if (!boolean && !value.getType().isIndex() && !value.getType().isInteger(64))
    return Expr(); // narrower ones wrap
  return llvm::TypeSwitch<Operation *, Expr>(op)
      .Case([&](arith::AddIOp) { return boolean ? Expr() : at[0] + at[1]; })
      .Case([&](arith::SubIOp) { return boolean ? Expr() : at[0] - at[1]; })
      .Case([&](arith::MulIOp) { return at[0].asConstant() || at[1].asConstant() ? at[0] * at[1] : Expr(); })
      .Case([&](arith::MinSIOp) { return boolean ? Expr() : Expr::min(at[0], at[1]); })
      .Case([&](arith::MaxSIOp) { return boolean ? Expr() : Expr::max(at[0], at[1]); })
      .Case([&](arith::AndIOp) { return boolean ? at[0] * at[1] : Expr(); })
      .Case([&](arith::OrIOp) { return boolean ? Expr::max(at[0], at[1]) : Expr(); })
      .Case([&](arith::IndexCastOp) { return at[0]; })
      .Case([&](arith::ExtUIOp) { return op->getOperand(0).getType().isInteger(1) ? at[0] : Expr(); })
      .Case([&](arith::CmpIOp cmp) {
        Type type = cmp.getLhs().getType();
        return type.isIndex() || type.isInteger(64) ? compare(cmp.getPredicate(), at[0], at[1]) : Expr();
      })
      .Default([](Operation *) { return Expr(); });
}

std::optional<bool> IndexCases::decide(arith::CmpIOp compare, const Case &now, unsigned depth) {
  current = &now;
  known.clear();
  wanted.reset();
  Expr value = evaluate(compare.getResult());
  if (value)
    if (std::optional<int64_t> answer = value.asConstant())
      return *answer != 0;
  if (!wanted || depth == kMostSplits)
    return std::nullopt;
  Split split = *wanted;
  std::optional<bool> all;
  for (int64_t apart = 0; apart <= split.count; ++apart) {
    Expr number = Expr::constant(context, apart);
    Expr becomes = apart < split.count ? number : Expr::symbol(context, split.symbol) + number;
    auto replace = [&](Expr e) {
      return e.substitute([&](StringRef name) { return name == split.symbol ? becomes : Expr(); });
    };
    Case next;
    for (auto &entry : now)
      next[entry.getKey()] = replace(entry.getValue());
    next.try_emplace(split.symbol, becomes);
    std::optional<bool> here = decide(compare, next, depth + 1);
    if (!here || (all && all != here))
      return std::nullopt;
    all = here;
  }
  return all;
}

std::optional<bool> IndexCases::decide(arith::CmpIOp compare) { return decide(compare, Case(), 0); }
