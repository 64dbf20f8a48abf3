//===- ExprPoly.cpp - expressions as sums of products ---------------------===//

#include "dialects/KT/IR/ExprPoly.h"

using namespace kt;

int kt::compare(Expr a, Expr b) {
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

bool kt::AtomsLess::operator()(const Atoms &a, const Atoms &b) const {
  if (a.size() != b.size())
    return a.size() > b.size();
  for (size_t i = 0; i < a.size(); ++i)
    if (int c = compare(a[i], b[i]))
      return c < 0;
  return false;
}

void kt::addTo(Poly &poly, const Atoms &atoms, int64_t coefficient) {
  int64_t &slot = poly[atoms];
  if (__builtin_add_overflow(slot, coefficient, &slot))
    poly.poison = Expr::Reason::overflow;
  if (slot == 0)
    poly.erase(atoms);
}

void kt::addTo(Poly &poly, const Poly &other, int64_t factor) {
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

void kt::addNode(Poly &poly, Expr::Kind kind, int64_t imm, llvm::ArrayRef<Expr> operands) {
  if (kind == Expr::Kind::Mul) {
    addTo(poly, Atoms(operands.begin(), operands.end()), imm);
    return;
  }
  addTo(poly, Atoms(), imm);
  for (Expr operand : operands)
    addTo(poly, toPoly(operand));
}

Poly kt::toPoly(Expr e) {
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

Expr kt::fromPoly(mlir::MLIRContext *context, const Poly &poly) {
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
      terms.push_back(Expr::get(context, Expr::Kind::Mul, c, "", atoms));
  }
  if (terms.empty())
    return Expr::get(context, Expr::Kind::Const, constantTerm, "", {});
  if (terms.size() == 1 && constantTerm == 0)
    return terms[0];
  return Expr::get(context, Expr::Kind::Add, constantTerm, "", terms);
}

std::optional<std::pair<Expr, Expr>> kt::asDifference(Expr e) {
  Poly poly = toPoly(e), sums[2];
  if (poly.poison)
    return std::nullopt;
  for (auto &[atoms, c] : poly) {
    if (c == INT64_MIN || (atoms.empty() && std::abs(c) >= 1 << 30) ||
        llvm::any_of(atoms, [](Expr atom) { return !atom.isNonNegative(); }))
      return std::nullopt;
    addTo(sums[c < 0], atoms, std::abs(c));
  }
  return std::pair{fromPoly(e.context(), sums[0]), fromPoly(e.context(), sums[1])};
}

std::optional<Atoms> kt::divideAtoms(const Atoms &a, const Atoms &b) {
  Atoms rest = a;
  for (Expr factor : b) {
    auto it = llvm::find(rest, factor);
    if (it == rest.end())
      return std::nullopt;
    rest.erase(it);
  }
  return rest;
}
