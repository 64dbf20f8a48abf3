//===- Expr.cpp - normal form of integer expressions ----------------------===//

#include "dialects/KT/IR/Expr.h"
#include "dialects/KT/IR/KTDialect.h"
#include "llvm/ADT/SetVector.h"
#include <map>

using namespace kt;

namespace {

using Atoms = std::vector<Expr>; // sorted, with repetition

/// A total order that depends on structure only, never on addresses, so that printed expressions are the same in every
/// run.
int compare(Expr a, Expr b) {
  if (a == b)
    return 0;
  if (a.kind() != b.kind())
    return a.kind() < b.kind() ? -1 : 1;
  if (int c = a.name().compare(b.name()))
    return c;
  if (a.imm() != b.imm())
    return a.imm() < b.imm() ? -1 : 1;
  if (a.numOperands() != b.numOperands())
    return a.numOperands() < b.numOperands() ? -1 : 1;
  for (unsigned i = 0; i < a.numOperands(); ++i)
    if (int c = compare(a.operand(i), b.operand(i)))
      return c;
  return 0;
}

struct AtomsLess {
  bool operator()(const Atoms &a, const Atoms &b) const {
    if (a.size() != b.size())
      return a.size() > b.size();
    for (size_t i = 0; i < a.size(); ++i)
      if (int c = compare(a[i], b[i]))
        return c < 0;
    return false;
  }
};

/// Products of atoms with their coefficients; the empty product carries the constant.
using Poly = std::map<Atoms, int64_t, AtomsLess>;

void addTo(Poly &poly, const Atoms &atoms, int64_t coefficient) {
  // Wraps like the runtime's 64-bit numbers would not: such sizes are rejected there, so a wrapped constant is never
  // believed.
  int64_t &slot = poly[atoms];
  slot = (int64_t)((uint64_t)slot + (uint64_t)coefficient);
  if (slot == 0)
    poly.erase(atoms);
}

Poly toPoly(Expr e) {
  Poly poly;
  switch (e.kind()) {
  case Expr::Kind::Const:
    addTo(poly, {}, e.imm());
    break;
  case Expr::Kind::Mul: {
    Atoms atoms;
    for (unsigned i = 0; i < e.numOperands(); ++i)
      atoms.push_back(e.operand(i));
    addTo(poly, atoms, e.imm());
    break;
  }
  case Expr::Kind::Add:
    addTo(poly, {}, e.imm());
    for (unsigned i = 0; i < e.numOperands(); ++i)
      for (auto &[atoms, c] : toPoly(e.operand(i)))
        addTo(poly, atoms, c);
    break;
  default:
    addTo(poly, {e}, 1);
  }
  return poly;
}

/// a / b where every factor of b is in a; null if not.
std::optional<Atoms> divideAtoms(const Atoms &a, const Atoms &b) {
  Atoms rest = a;
  for (Expr factor : b) {
    auto it = llvm::find(rest, factor);
    if (it == rest.end())
      return std::nullopt;
    rest.erase(it);
  }
  return rest;
}

} // namespace

Expr::Expr(ExprAttr attr) : impl(attr ? attr.getAsOpaquePointer() : nullptr) {}

ExprAttr Expr::attr() const { return llvm::cast<ExprAttr>(mlir::Attribute::getFromOpaquePointer(impl)); }
mlir::MLIRContext *Expr::context() const { return attr().getContext(); }
Expr::Kind Expr::kind() const { return (Kind)attr().getKind(); }
int64_t Expr::imm() const { return attr().getImm(); }
llvm::StringRef Expr::name() const { return attr().getSymbol(); }
unsigned Expr::numOperands() const { return attr().getOperands().size(); }
Expr Expr::operand(unsigned i) const { return llvm::cast<ExprAttr>(attr().getOperands()[i]); }

Expr Expr::get(mlir::MLIRContext *context, Kind kind, int64_t imm, llvm::StringRef name,
               llvm::ArrayRef<Expr> operands) {
  llvm::SmallVector<mlir::Attribute> attrs;
  for (Expr e : operands)
    attrs.push_back(e.attr());
  return ExprAttr::get(context, (int)kind, imm, name, attrs);
}

Expr Expr::constant(mlir::MLIRContext *context, int64_t value) { return get(context, Kind::Const, value, "", {}); }
Expr Expr::symbol(mlir::MLIRContext *context, llvm::StringRef name) { return get(context, Kind::Symbol, 0, name, {}); }

std::optional<int64_t> Expr::asConstant() const {
  if (kind() == Kind::Const)
    return imm();
  return std::nullopt;
}

/// True when each term of a sum is provably not negative. A minimum that is subtracted is at most either of its
/// operands, a maximum that is added at least either: one of them in its place gives a lower bound.
static bool termsNonNegative(Expr e, int depth) {
  Poly poly = toPoly(e);
  bool all = llvm::all_of(poly, [](const auto &term) {
    return term.second >= 0 && llvm::all_of(term.first, [](Expr a) { return a.isNonNegative(); });
  });
  if (all || depth == 0)
    return all;
  for (auto &[atoms, c] : poly) {
    if (atoms.size() != 1)
      continue;
    Expr atom = atoms[0];
    if (!(c < 0 && atom.kind() == Expr::Kind::Min) && !(c > 0 && atom.kind() == Expr::Kind::Max))
      continue;
    for (unsigned i : {0u, 1u})
      if (termsNonNegative(e + (atom.operand(i) - atom) * c, depth - 1))
        return true;
  }
  return false;
}

bool Expr::isNonNegative() const {
  switch (kind()) {
  case Kind::Const:
    return imm() >= 0;
  case Kind::Symbol:
    return !name().starts_with("?");
  case Kind::Add:
    return termsNonNegative(*this, 3);
  case Kind::Mul:
    if (imm() < 0)
      return false;
    for (unsigned i = 0; i < numOperands(); ++i)
      if (!operand(i).isNonNegative())
        return false;
    return true;
  case Kind::FloorDiv:
  case Kind::Min:
    return operand(0).isNonNegative() && operand(1).isNonNegative();
  case Kind::Mod:
    return operand(1).isNonNegative();
  case Kind::Max:
    return operand(0).isNonNegative() || operand(1).isNonNegative();
  case Kind::Eq:
  case Kind::Lt:
    return true;
  case Kind::Select:
    return operand(1).isNonNegative() && operand(2).isNonNegative();
  }
  return false;
}

bool Expr::isMultipleOf(int64_t factor) const {
  if (factor == 1)
    return true;
  for (auto &[atoms, c] : toPoly(*this))
    if (c % factor != 0)
      return false;
  return true;
}

static Expr fromPoly(mlir::MLIRContext *context, const Poly &poly,
                     llvm::function_ref<Expr(Expr::Kind, int64_t, llvm::ArrayRef<Expr>)> make) {
  int64_t constantTerm = 0;
  llvm::SmallVector<Expr> terms;
  for (auto &[atoms, c] : poly) {
    if (atoms.empty())
      constantTerm = c;
    else if (atoms.size() == 1 && c == 1)
      terms.push_back(atoms[0]);
    else
      terms.push_back(make(Expr::Kind::Mul, c, atoms));
  }
  if (terms.empty())
    return make(Expr::Kind::Const, constantTerm, {});
  if (terms.size() == 1 && constantTerm == 0)
    return terms[0];
  return make(Expr::Kind::Add, constantTerm, terms);
}

#define MAKE(ctx)                                                                                                      \
  [c = (ctx)](Expr::Kind kind, int64_t imm, llvm::ArrayRef<Expr> operands) {                                           \
    return Expr::get(c, kind, imm, "", operands);                                                                      \
  }

namespace kt {
Expr operator+(Expr a, Expr b) {
  Poly poly = toPoly(a);
  for (auto &[atoms, c] : toPoly(b))
    addTo(poly, atoms, c);
  return fromPoly(a.context(), poly, MAKE(a.context()));
}
Expr operator-(Expr a, Expr b) { return a + b * -1; }
Expr operator*(Expr a, Expr b) {
  Poly pa = toPoly(a), pb = toPoly(b), poly;
  for (auto &[x, cx] : pa)
    for (auto &[y, cy] : pb) {
      Atoms atoms = x;
      atoms.insert(atoms.end(), y.begin(), y.end());
      llvm::sort(atoms, [](Expr l, Expr r) { return compare(l, r) < 0; });
      addTo(poly, atoms, (int64_t)((uint64_t)cx * (uint64_t)cy));
    }
  return fromPoly(a.context(), poly, MAKE(a.context()));
}
} // namespace kt

/// The terms of `a` that `b` divides exactly, divided, and the others.
static std::pair<Poly, Poly> splitByDivisor(Expr a, const Atoms &atoms, int64_t coefficient) {
  Poly quotient, rest;
  for (auto &[x, c] : toPoly(a)) {
    auto q = divideAtoms(x, atoms);
    if (q && c % coefficient == 0)
      addTo(quotient, *q, c / coefficient);
    else
      addTo(rest, x, c);
  }
  return {quotient, rest};
}

Expr Expr::floorDiv(Expr a, Expr b) {
  auto ca = a.asConstant(), cb = b.asConstant();
  if (cb == 1 || ca == 0)
    return a;
  if (ca && cb && *cb != 0) {
    int64_t q = *ca / *cb;
    return constant(a.context(), q - ((*ca % *cb != 0) && ((*ca < 0) != (*cb < 0))));
  }
  // A divisor with one term divides out of every term that it divides: (x*y*4 + r) / (4*y) = x + r / (4*y).
  Poly divisor = toPoly(b);
  if (divisor.size() == 1) {
    auto [atoms, coefficient] = *divisor.begin();
    auto [quotient, rest] = splitByDivisor(a, atoms, coefficient);
    if (!quotient.empty()) {
      Expr q = fromPoly(a.context(), quotient, MAKE(a.context()));
      return rest.empty() ? q : q + floorDiv(fromPoly(a.context(), rest, MAKE(a.context())), b);
    }
  } else if (!divisor.empty()) {
    // A divisor that is a sum: (seq + past) * h / (seq + past). Divide the polynomials by their leading terms.
    Poly remainder = toPoly(a), quotient;
    auto [leadAtoms, leadC] = *divisor.begin();
    for (int guard = 0; guard < 16 && !remainder.empty(); ++guard) {
      auto [x, c] = *remainder.begin();
      auto q = divideAtoms(x, leadAtoms);
      if (!q || c % leadC != 0)
        break;
      int64_t f = c / leadC;
      addTo(quotient, *q, f);
      for (auto &[y, cy] : divisor) {
        Atoms product = y;
        product.insert(product.end(), q->begin(), q->end());
        llvm::sort(product, [](Expr l, Expr r) { return compare(l, r) < 0; });
        addTo(remainder, product, -f * cy);
      }
    }
    if (remainder.empty())
      return fromPoly(a.context(), quotient, MAKE(a.context()));
  }
  return get(a.context(), Kind::FloorDiv, 0, "", {a, b});
}

Expr Expr::ceilDiv(Expr a, Expr b) { return floorDiv(a + b - 1, b); }

Expr Expr::mod(Expr a, Expr b) {
  auto ca = a.asConstant(), cb = b.asConstant();
  if (cb == 1)
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
      return mod(fromPoly(a.context(), rest, MAKE(a.context())), b);
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

Expr Expr::min(Expr a, Expr b) {
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
  if (a == b || (a - b).isNonNegative())
    return a;
  if ((b - a).isNonNegative())
    return b;
  if (compare(b, a) < 0)
    std::swap(a, b);
  return get(a.context(), Kind::Max, 0, "", {a, b});
}

Expr Expr::eq(Expr a, Expr b) {
  Expr d = a - b;
  if (auto c = d.asConstant())
    return constant(a.context(), *c == 0);
  // x + c is never 0 for x >= 0 and c > 0, nor is -x - c.
  if ((d - 1).isNonNegative() || (d * -1 - 1).isNonNegative())
    return constant(a.context(), 0);
  if (compare(b, a) < 0)
    std::swap(a, b);
  return get(a.context(), Kind::Eq, 0, "", {a, b});
}

Expr Expr::lt(Expr a, Expr b) {
  if ((b - a - 1).isNonNegative())
    return constant(a.context(), 1);
  if ((a - b).isNonNegative())
    return constant(a.context(), 0);
  return get(a.context(), Kind::Lt, 0, "", {a, b});
}

Expr Expr::select(Expr condition, Expr a, Expr b) {
  if (auto c = condition.asConstant())
    return *c ? a : b;
  if (a == b)
    return a;
  if (a.isConstant(1) && b.isConstant(0)) // conditions are 0 or 1 here
    if (condition.kind() == Kind::Eq || condition.kind() == Kind::Lt)
      return condition;
  // select(x == y, x, y) = y
  if (condition.kind() == Kind::Eq && ((condition.operand(0) == a && condition.operand(1) == b) ||
                                       (condition.operand(0) == b && condition.operand(1) == a)))
    return b;
  return get(a.context(), Kind::Select, 0, "", {condition, a, b});
}

Expr Expr::logicalNot(Expr a) { return eq(a, constant(a.context(), 0)); }

void Expr::forEachSymbol(llvm::function_ref<void(llvm::StringRef)> fn) const {
  llvm::SetVector<mlir::Attribute> seen;
  std::function<void(Expr)> walk = [&](Expr e) {
    if (!seen.insert(e.attr()))
      return;
    if (e.kind() == Kind::Symbol)
      fn(e.name());
    for (unsigned i = 0; i < e.numOperands(); ++i)
      walk(e.operand(i));
  };
  walk(*this);
}

Expr Expr::substitute(llvm::function_ref<Expr(llvm::StringRef)> fn) const {
  switch (kind()) {
  case Kind::Const:
    return *this;
  case Kind::Symbol: {
    Expr with = fn(name());
    return with ? with : *this;
  }
  case Kind::Add: {
    Expr sum = constant(context(), imm());
    for (unsigned i = 0; i < numOperands(); ++i)
      sum = sum + operand(i).substitute(fn);
    return sum;
  }
  case Kind::Mul: {
    Expr product = constant(context(), imm());
    for (unsigned i = 0; i < numOperands(); ++i)
      product = product * operand(i).substitute(fn);
    return product;
  }
  default:
    break;
  }
  Expr a = operand(0).substitute(fn), b = operand(1).substitute(fn);
  switch (kind()) {
  case Kind::FloorDiv:
    return floorDiv(a, b);
  case Kind::Mod:
    return mod(a, b);
  case Kind::Min:
    return min(a, b);
  case Kind::Max:
    return max(a, b);
  case Kind::Eq:
    return eq(a, b);
  case Kind::Lt:
    return lt(a, b);
  default:
    return select(a, b, operand(2).substitute(fn));
  }
}

std::string Expr::str() const {
  auto atom = [](Expr e) {
    bool bare = e.kind() != Kind::Add && e.kind() != Kind::Mul && e.kind() != Kind::FloorDiv && e.kind() != Kind::Mod;
    return bare ? e.str() : "(" + e.str() + ")";
  };
  auto call = [&](const char *fn) {
    std::string s = std::string(fn) + "(";
    for (unsigned i = 0; i < numOperands(); ++i)
      s += (i ? ", " : "") + operand(i).str();
    return s + ")";
  };
  switch (kind()) {
  case Kind::Const:
    return std::to_string(imm());
  case Kind::Symbol:
    return name().str();
  case Kind::Add: {
    std::string s;
    for (unsigned i = 0; i < numOperands(); ++i)
      s += (i ? " + " : "") + operand(i).str();
    return imm() ? s + " + " + std::to_string(imm()) : s;
  }
  case Kind::Mul: {
    std::string s;
    for (unsigned i = 0; i < numOperands(); ++i)
      s += (i ? " * " : "") + atom(operand(i));
    return imm() == 1 ? s : s + " * " + std::to_string(imm());
  }
  case Kind::FloorDiv:
    return atom(operand(0)) + " floordiv " + atom(operand(1));
  case Kind::Mod:
    return atom(operand(0)) + " mod " + atom(operand(1));
  case Kind::Min:
    return call("min");
  case Kind::Max:
    return call("max");
  case Kind::Eq:
    return call("eq");
  case Kind::Lt:
    return call("lt");
  case Kind::Select:
    return call("select");
  }
  return "";
}
