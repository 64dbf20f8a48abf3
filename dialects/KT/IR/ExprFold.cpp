//===- ExprFold.cpp - divisions, minima and choices in normal form --------===//

#include "dialects/KT/IR/ExprPoly.h"
#include "dialects/KT/IR/KTDialect.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace kt;

/// The terms of `a` that `b` divides exactly, divided, and the others.
static std::pair<Poly, Poly> splitByDivisor(Expr a, const Atoms &atoms, int64_t coefficient) {
  Poly quotient, rest;
  for (auto &[x, c] : toPoly(a)) {
    auto q = divideAtoms(x, atoms);
    // The one quotient that does not fit stays a division, which the run finds out about.
    bool fits = !(c == INT64_MIN && coefficient == -1);
    if (q && fits && c % coefficient == 0)
      addTo(quotient, *q, c / coefficient);
    else
      addTo(rest, x, c);
  }
  return {quotient, rest};
}

Expr Expr::floorDiv(Expr a, Expr b) {
  auto ca = a.asConstant(), cb = b.asConstant();
  if (a.poison() || cb == 1 || ca == 0)
    return a;
  if (b.poison())
    return b;
  if (ca && cb && *cb != 0) {
    if (*ca == INT64_MIN && *cb == -1)
      return poisoned(a.context(), Reason::overflow);
    int64_t q = *ca / *cb;
    return constant(a.context(), q - ((*ca % *cb != 0) && ((*ca < 0) != (*cb < 0))));
  }
  // A divisor with one term divides out of every term that it divides: (x*y*4 + r) / (4*y) = x + r / (4*y).
  Poly divisor = toPoly(b);
  if (divisor.size() == 1) {
    auto [atoms, coefficient] = *divisor.begin();
    auto [quotient, rest] = splitByDivisor(a, atoms, coefficient);
    if (!quotient.empty()) {
      Expr q = fromPoly(a.context(), quotient);
      return rest.empty() ? q : q + floorDiv(fromPoly(a.context(), rest), b);
    }
  } else if (!divisor.empty()) {
    // A divisor that is a sum: (seq + past) * h / (seq + past). Divide the polynomials by their leading terms.
    Poly remainder = toPoly(a), quotient;
    auto [leadAtoms, leadC] = *divisor.begin();
    for (int guard = 0; guard < 16 && !remainder.empty(); ++guard) {
      auto [x, c] = *remainder.begin();
      auto q = divideAtoms(x, leadAtoms);
      if (!q || (c == INT64_MIN && leadC == -1) || c % leadC != 0)
        break;
      int64_t f = c / leadC;
      addTo(quotient, *q, f);
      Poly part;
      for (auto &[y, cy] : divisor) {
        Atoms product = y;
        product.insert(product.end(), q->begin(), q->end());
        llvm::sort(product, [](Expr l, Expr r) { return compare(l, r) < 0; });
        part[product] = cy;
      }
      if (f == INT64_MIN)
        break;
      addTo(remainder, part, -f);
    }
    if (remainder.empty() && !remainder.poison)
      return fromPoly(a.context(), quotient);
  }
  return get(a.context(), Kind::FloorDiv, 0, "", {a, b});
}

Expr Expr::ceilDiv(Expr a, Expr b) { return floorDiv(a + b - 1, b); }

Expr Expr::mod(Expr a, Expr b) {
  auto ca = a.asConstant(), cb = b.asConstant();
  if (a.poison() || b.poison())
    return a.poison() ? a : b;
  if (cb == 1 || cb == -1)
    return constant(a.context(), 0);
  if (ca && cb && *cb != 0) {
    int64_t r = *ca % *cb;
    return constant(a.context(), r != 0 && ((r < 0) != (*cb < 0)) ? r + *cb : r);
  }
  Poly divisor = toPoly(b);
  if (divisor.size() == 1) {
    auto [quotient, rest] = splitByDivisor(a, divisor.begin()->first, divisor.begin()->second);
    if (rest.empty())
      return constant(a.context(), 0);
    if (!quotient.empty())
      return mod(fromPoly(a.context(), rest), b);
  }
  return get(a.context(), Kind::Mod, 0, "", {a, b});
}

/// For min(1, e) with e a sum of terms that are not negative, all that counts is whether a term is positive: factors
/// and inner minima with 1 say nothing more. Null where e is not such a sum, or already plain.
static Expr positivity(Expr e) {
  Expr plain;
  for (auto &[atoms, c] : toPoly(e)) {
    if (c <= 0 || atoms.empty() || !llvm::all_of(atoms, [](Expr a) { return a.isNonNegative(); }))
      return {};
    Expr term;
    for (Expr atom : atoms) {
      bool capped = atom.kind() == Expr::Kind::Min && (atom.operand(0).isConstant(1) || atom.operand(1).isConstant(1));
      Expr factor = !capped ? atom : atom.operand(0).isConstant(1) ? atom.operand(1) : atom.operand(0);
      term = term ? term * factor : factor;
    }
    bool there = false;
    if (plain)
      for (auto &entry : toPoly(plain))
        there |= toPoly(term).count(entry.first) && toPoly(term).size() == 1;
    if (!there)
      plain = plain ? plain + term : term;
  }
  return plain && plain != e ? plain : Expr();
}

/// Differences of constants may not fit where the constants do.
static std::optional<int> compareConstants(Expr a, Expr b) {
  auto ca = a.asConstant(), cb = b.asConstant();
  if (!ca || !cb)
    return std::nullopt;
  return *ca < *cb ? -1 : *ca > *cb;
}

Expr Expr::min(Expr a, Expr b) {
  if (a.poison() || b.poison())
    return a.poison() ? a : b;
  if (auto order = compareConstants(a, b))
    return *order <= 0 ? a : b;
  if (a == b || b.isConstant(INT64_MAX)) // no number is larger
    return a;
  if (a.isConstant(INT64_MAX) || (b - a).isConstant(0))
    return b;
  if ((b - a).isNonNegative())
    return a;
  if ((a - b).isNonNegative())
    return b;
  for (auto [x, y] : {std::pair{a, b}, std::pair{b, a}})
    if (x.isConstant(1))
      if (Expr plain = positivity(y))
        return min(x, plain);
  if (compare(b, a) < 0)
    std::swap(a, b);
  // min(x, min(x, y)) = min(x, y)
  for (auto [x, y] : {std::pair{a, b}, std::pair{b, a}})
    if (y.kind() == Kind::Min && (y.operand(0) == x || y.operand(1) == x))
      return y;
  return get(a.context(), Kind::Min, 0, "", {a, b});
}

Expr Expr::max(Expr a, Expr b) {
  if (a.poison() || b.poison())
    return a.poison() ? a : b;
  if (auto order = compareConstants(a, b))
    return *order >= 0 ? a : b;
  if (a == b || (a - b).isNonNegative())
    return a;
  if ((b - a).isNonNegative())
    return b;
  // max(0, max(0, x) - c) = max(0, x - c)
  for (auto [zero, y] : {std::pair{a, b}, std::pair{b, a}})
    if (zero.isConstant(0) && y.kind() == Kind::Add && y.numOperands() == 1 && y.imm() < 0 &&
        y.operand(0).kind() == Kind::Max)
      for (unsigned i : {0u, 1u})
        if (y.operand(0).operand(i).isConstant(0))
          return max(y.operand(0).operand(1 - i) + y.imm(), zero);
  if (compare(b, a) < 0)
    std::swap(a, b);
  return get(a.context(), Kind::Max, 0, "", {a, b});
}

/// `e` with each `part` replaced.
static Expr replaced(Expr e, Expr part, Expr by) {
  llvm::DenseMap<Attribute, Expr> known;
  std::function<Expr(Expr)> walk = [&](Expr e) -> Expr {
    if (e == part)
      return by;
    if (!e.numOperands())
      return e;
    auto it = known.find(e.attr());
    if (it != known.end())
      return it->second;
    bool changes = false;
    for (unsigned i = 0; i < e.numOperands(); ++i)
      changes |= walk(e.operand(i)) != e.operand(i);
    Expr out = changes ? e.withOperands(walk) : e;
    return known[e.attr()] = out;
  };
  return walk(e);
}

/// c * x * x * y == 1, of numbers that are not negative: never where c is not 1, else x * y == 1. Null where nothing
/// becomes simpler.
static Expr equalsOne(Expr product) {
  Poly poly = toPoly(product);
  if (poly.size() != 1)
    return {};
  auto &[atoms, coefficient] = *poly.begin();
  if (!llvm::all_of(atoms, [](Expr atom) { return atom.isNonNegative(); }))
    return {};
  MLIRContext *context = product.context();
  if (coefficient != 1)
    return Expr::constant(context, 0);
  Atoms once(atoms);
  once.erase(llvm::unique(once), once.end()); // they are in order
  // Each is 1, so the others are what they are where a symbol among them is.
  Expr one = Expr::constant(context, 1), rest = one;
  for (Expr atom : once)
    rest = rest * atom;
  bool simpler = once.size() < atoms.size();
  for (Expr symbol : once)
    if (symbol.kind() == Expr::Kind::Symbol && once.size() > 1) {
      Expr others = one;
      for (Expr atom : once)
        if (atom != symbol)
          others = others * replaced(atom, symbol, one);
      if (others * symbol != rest)
        return Expr::eq(one, others * symbol);
    }
  return simpler ? Expr::eq(one, rest) : Expr();
}

Expr Expr::eq(Expr a, Expr b) {
  if (a.poison() || b.poison())
    return a.poison() ? a : b;
  if (auto order = compareConstants(a, b))
    return constant(a.context(), *order == 0);
  Expr d = a - b;
  if (auto c = d.asConstant())
    return constant(a.context(), *c == 0);
  // x + c is never 0 for x >= 0 and c > 0, nor is -x - c.
  if ((d - 1).isNonNegative() || (d * -1 - 1).isNonNegative())
    return constant(a.context(), 0);
  for (auto [one, product] : {std::pair{a, b}, std::pair{b, a}})
    if (one.isConstant(1))
      if (Expr simpler = equalsOne(product))
        return simpler;
  if (compare(b, a) < 0)
    std::swap(a, b);
  return get(a.context(), Kind::Eq, 0, "", {a, b});
}

Expr Expr::lt(Expr a, Expr b) {
  if (a.poison() || b.poison())
    return a.poison() ? a : b;
  if (auto order = compareConstants(a, b))
    return constant(a.context(), *order < 0);
  if ((b - a - 1).isNonNegative())
    return constant(a.context(), 1);
  if ((a - b).isNonNegative())
    return constant(a.context(), 0);
  return get(a.context(), Kind::Lt, 0, "", {a, b});
}

Expr Expr::select(Expr condition, Expr a, Expr b) {
  if (condition.poison())
    return condition;
  if (auto c = condition.asConstant())
    return *c ? a : b;
  if (a == b)
    return a;
  if (a.isConstant(1) && b.isConstant(0)) // conditions are 0 or 1 here
    if (condition.kind() == Kind::Eq || condition.kind() == Kind::Lt)
      return condition;
  // What a side is computed where the condition is known there.
  if (condition.kind() == Kind::Eq || condition.kind() == Kind::Lt) {
    Expr whenTrue = replaced(a, condition, constant(a.context(), 1));
    Expr whenFalse = replaced(b, condition, constant(a.context(), 0));
    for (unsigned i : {0u, 1u})
      if (condition.kind() == Kind::Eq && condition.operand(i).kind() == Kind::Symbol &&
          condition.operand(1 - i).asConstant())
        whenTrue = replaced(whenTrue, condition.operand(i), condition.operand(1 - i));
    if (whenTrue != a || whenFalse != b)
      return select(condition, whenTrue, whenFalse);
  }
  // select(x == y, x, y) = y
  if (condition.kind() == Kind::Eq && ((condition.operand(0) == a && condition.operand(1) == b) ||
                                       (condition.operand(0) == b && condition.operand(1) == a)))
    return b;
  // select(x * y == 1, x, x * y) = x * y: of two numbers that are not negative and whose product is 1 each is 1.
  if (condition.kind() == Kind::Eq)
    for (unsigned i : {0u, 1u})
      if (condition.operand(i).isConstant(1) && condition.operand(1 - i) == b && a.isNonNegative() &&
          a.kind() != Kind::Const)
        if (Expr q = floorDiv(b, a); q.isNonNegative() && q * a == b)
          return b;
  return get(a.context(), Kind::Select, 0, "", {condition, a, b});
}
