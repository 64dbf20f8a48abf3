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

/// Products of atoms with their coefficients; the empty product carries the constant. Poison where a coefficient does
/// not fit in 64 bits.
struct Poly : std::map<Atoms, int64_t, AtomsLess> {
  std::optional<Expr::Reason> poison;
};

void addTo(Poly &poly, const Atoms &atoms, int64_t coefficient) {
  int64_t &slot = poly[atoms];
  if (__builtin_add_overflow(slot, coefficient, &slot))
    poly.poison = Expr::Reason::overflow;
  if (slot == 0)
    poly.erase(atoms);
}

/// poly += factor * other
void addTo(Poly &poly, const Poly &other, int64_t factor = 1) {
  for (auto &[atoms, c] : other) {
    int64_t product;
    if (__builtin_mul_overflow(c, factor, &product))
      poly.poison = Expr::Reason::overflow;
    else
      addTo(poly, atoms, product);
  }
  if (other.poison)
    poly.poison = other.poison;
}

Poly toPoly(Expr e);

/// Adds what a node of this kind is to a sum.
void addNode(Poly &poly, Expr::Kind kind, int64_t imm, llvm::ArrayRef<Expr> operands) {
  if (kind == Expr::Kind::Mul) {
    addTo(poly, Atoms(operands.begin(), operands.end()), imm);
    return;
  }
  addTo(poly, Atoms(), imm);
  for (Expr operand : operands)
    addTo(poly, toPoly(operand));
}

Poly toPoly(Expr e) {
  Poly poly;
  poly.poison = e.poison();
  llvm::SmallVector<Expr> operands;
  switch (e.kind()) {
  case Expr::Kind::Const:
  case Expr::Kind::Mul:
  case Expr::Kind::Add:
    for (unsigned i = 0; i < e.numOperands(); ++i)
      operands.push_back(e.operand(i));
    addNode(poly, e.kind(), e.imm(), operands);
    break;
  default:
    addTo(poly, Atoms{e}, 1);
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

/// True when each term of a sum is provably not negative. A minimum that is subtracted is at most either of its
/// operands, a maximum that is added at least either: one of them in its place gives a lower bound. The other way round
/// it is one of the two, so both have to do. `tries` bounds how many such sums are looked at.
static bool termsNonNegative(const Poly &poly, int depth, int &tries) {
  if (poly.poison || --tries < 0)
    return false;
  bool all = llvm::all_of(poly, [](const auto &term) {
    return term.second >= 0 && llvm::all_of(term.first, [](Expr a) { return a.isNonNegative(); });
  });
  if (all || depth == 0)
    return all;
  for (auto &[atoms, c] : poly) {
    if (atoms.size() != 1)
      continue;
    Expr atom = atoms[0];
    if (atom.kind() != Expr::Kind::Min && atom.kind() != Expr::Kind::Max)
      continue;
    auto holdsWith = [&](unsigned i) {
      Poly sum = poly;
      sum.erase(atoms);
      addTo(sum, toPoly(atom.operand(i)), c);
      return termsNonNegative(sum, depth - 1, tries);
    };
    bool either = (atom.kind() == Expr::Kind::Min) == (c < 0);
    if (either ? holdsWith(0) || holdsWith(1) : holdsWith(0) && holdsWith(1))
      return true;
  }
  return false;
}

static bool decideNonNegative(Expr::Kind kind, int64_t imm, llvm::StringRef name, llvm::ArrayRef<Expr> operands) {
  using Kind = Expr::Kind;
  auto is = [&](unsigned i) { return operands[i].isNonNegative(); };
  switch (kind) {
  case Kind::Const:
    return imm >= 0;
  case Kind::Symbol:
    return !name.starts_with("?");
  case Kind::Add: {
    Poly poly;
    addNode(poly, kind, imm, operands);
    int tries = 64;
    return termsNonNegative(poly, 3, tries);
  }
  case Kind::Mul:
    return imm >= 0 && llvm::all_of(operands, [](Expr e) { return e.isNonNegative(); });
  case Kind::FloorDiv:
  case Kind::Min:
    return is(0) && is(1);
  case Kind::Mod:
    return is(1);
  case Kind::Max:
    return is(0) || is(1);
  case Kind::Eq:
  case Kind::Lt:
    return true;
  case Kind::Select:
    return is(1) && is(2);
  case Kind::Poison:
    return false;
  }
  return false;
}

Expr Expr::get(mlir::MLIRContext *context, Kind kind, int64_t imm, llvm::StringRef name,
               llvm::ArrayRef<Expr> operands) {
  llvm::SmallVector<mlir::Attribute> attrs;
  uint64_t weight = 1;
  for (Expr e : operands) {
    if (e.kind() == Kind::Poison)
      return e;
    attrs.push_back(e.attr());
    weight += e.attr().getWeight();
  }
  if (weight > kMaxWeight)
    return poisoned(context, Reason::complexity);
  return ExprAttr::get(context, (int)kind, imm, name, attrs, (uint32_t)weight,
                       decideNonNegative(kind, imm, name, operands));
}

Expr Expr::constant(mlir::MLIRContext *context, int64_t value) { return get(context, Kind::Const, value, "", {}); }
Expr Expr::symbol(mlir::MLIRContext *context, llvm::StringRef name) { return get(context, Kind::Symbol, 0, name, {}); }

std::optional<int64_t> Expr::asConstant() const {
  if (kind() == Kind::Const)
    return imm();
  return std::nullopt;
}

bool Expr::isNonNegative() const { return attr().getNonNegative(); }

std::optional<Expr::Reason> Expr::poison() const {
  if (kind() == Kind::Poison)
    return (Reason)imm();
  return std::nullopt;
}

Expr Expr::poisoned(mlir::MLIRContext *context, Reason reason) {
  return get(context, Kind::Poison, (int64_t)reason, "", {});
}

bool Expr::isMultipleOf(int64_t factor) const {
  if (poison())
    return false;
  if (factor == 1)
    return true;
  for (auto &[atoms, c] : toPoly(*this))
    if (c % factor != 0)
      return false;
  return true;
}

static Expr fromPoly(mlir::MLIRContext *context, const Poly &poly,
                     llvm::function_ref<Expr(Expr::Kind, int64_t, llvm::ArrayRef<Expr>)> make) {
  if (poly.poison)
    return Expr::poisoned(context, *poly.poison);
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
  addTo(poly, toPoly(b));
  return fromPoly(a.context(), poly, MAKE(a.context()));
}
Expr operator-(Expr a, Expr b) {
  // a - min(a, c) = max(a - c, 0): what a slice leaves, in which `a` is there once. Slices of slices stay short.
  if (b.kind() == Expr::Kind::Min && !a.poison() && (b.operand(0) == a || b.operand(1) == a))
    return Expr::max(a - (b.operand(0) == a ? b.operand(1) : b.operand(0)), Expr::constant(a.context(), 0));
  Poly poly = toPoly(a);
  addTo(poly, toPoly(b), -1);
  return fromPoly(a.context(), poly, MAKE(a.context()));
}
Expr operator*(Expr a, Expr b) {
  Poly pa = toPoly(a), pb = toPoly(b), poly;
  poly.poison = pa.poison ? pa.poison : pb.poison;
  // Each term of the result weighs something: what would be refused is not computed.
  if (!poly.poison && pa.size() * pb.size() > Expr::kMaxWeight)
    poly.poison = Expr::Reason::complexity;
  if (poly.poison)
    return Expr::poisoned(a.context(), *poly.poison);
  for (auto &[x, cx] : pa)
    for (auto &[y, cy] : pb) {
      Atoms atoms = x;
      atoms.insert(atoms.end(), y.begin(), y.end());
      llvm::sort(atoms, [](Expr l, Expr r) { return compare(l, r) < 0; });
      Poly term;
      term[atoms] = cx;
      addTo(poly, term, cy);
    }
  return fromPoly(a.context(), poly, MAKE(a.context()));
}
} // namespace kt

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
      return fromPoly(a.context(), quotient, MAKE(a.context()));
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
  case Kind::Poison:
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
  case Kind::Poison:
    return *poison() == Reason::overflow ? "overflow" : *poison() == Reason::rank ? "missing" : "complex";
  }
  return "";
}
