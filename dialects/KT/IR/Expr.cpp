//===- Expr.cpp - normal form of integer expressions ----------------------===//

#include "dialects/KT/IR/Expr.h"
#include "dialects/KT/IR/ExprPoly.h"
#include "dialects/KT/IR/KTDialect.h"
#include "llvm/ADT/SetVector.h"

using namespace kt;

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

namespace kt {
Expr operator+(Expr a, Expr b) {
  Poly poly = toPoly(a);
  addTo(poly, toPoly(b));
  return fromPoly(a.context(), poly);
}
Expr operator-(Expr a, Expr b) {
  // a - min(a, c) = max(a - c, 0): what a slice leaves, in which `a` is there once. Slices of slices stay short.
  if (b.kind() == Expr::Kind::Min && !a.poison() && (b.operand(0) == a || b.operand(1) == a))
    return Expr::max(a - (b.operand(0) == a ? b.operand(1) : b.operand(0)), Expr::constant(a.context(), 0));
  Poly poly = toPoly(a);
  addTo(poly, toPoly(b), -1);
  return fromPoly(a.context(), poly);
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
  return fromPoly(a.context(), poly);
}
} // namespace kt

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

Expr Expr::withOperands(llvm::function_ref<Expr(Expr)> fn) const {
  switch (kind()) {
  case Kind::Const:
  case Kind::Poison:
  case Kind::Symbol:
    return *this;
  case Kind::Add: {
    Expr sum = constant(context(), imm());
    for (unsigned i = 0; i < numOperands(); ++i)
      sum = sum + fn(operand(i));
    return sum;
  }
  case Kind::Mul: {
    Expr product = constant(context(), imm());
    for (unsigned i = 0; i < numOperands(); ++i)
      product = product * fn(operand(i));
    return product;
  }
  default:
    break;
  }
  Expr a = fn(operand(0)), b = fn(operand(1));
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
    return select(a, b, fn(operand(2)));
  }
}

Expr Expr::substitute(llvm::function_ref<Expr(llvm::StringRef)> fn) const {
  if (kind() == Kind::Symbol) {
    Expr with = fn(name());
    return with ? with : *this;
  }
  return withOperands([&](Expr e) { return e.substitute(fn); });
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
