//===- ExprPoly.h - expressions as sums of products -----------------------===//
//
// What the arithmetic of Expr works on, and what solves equations of sizes.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_IR_EXPRPOLY_H
#define KT_DIALECTS_KT_IR_EXPRPOLY_H

#include "dialects/KT/IR/Expr.h"
#include <map>
#include <optional>
#include <vector>

namespace kt {

using Atoms = std::vector<Expr>; // sorted, with repetition

/// A total order that depends on structure only, never on addresses, so that printed expressions are the same in every
/// run.
int compare(Expr a, Expr b);

struct AtomsLess {
  bool operator()(const Atoms &a, const Atoms &b) const;
};

/// Products of atoms with their coefficients; the empty product carries the constant. Poison where a coefficient does
/// not fit in 64 bits or what was added is poison; the coefficients then mean nothing.
struct Poly : std::map<Atoms, int64_t, AtomsLess> {
  std::optional<Expr::Reason> poison;
};

/// poly += coefficient * the product of the atoms
void addTo(Poly &poly, const Atoms &atoms, int64_t coefficient);

/// poly += factor * other
void addTo(Poly &poly, const Poly &other, int64_t factor = 1);

/// Adds what a node of this kind is to a sum.
void addNode(Poly &poly, Expr::Kind kind, int64_t imm, llvm::ArrayRef<Expr> operands);

Poly toPoly(Expr e);

/// The expression of a sum, in normal form; poison where the sum is.
Expr fromPoly(mlir::MLIRContext *context, const Poly &poly);

/// What e is the difference of: two sums that are never negative. Nothing where a term of either sign may be of both,
/// or where the constant in it is no 30-bit number, so that indices of 32 bits can be added to it.
std::optional<std::pair<Expr, Expr>> asDifference(Expr e);

/// a / b where every factor of b is in a; null if not.
std::optional<Atoms> divideAtoms(const Atoms &a, const Atoms &b);

} // namespace kt

#endif
