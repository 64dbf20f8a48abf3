//===- PrecisionDemand.h - which values may be narrowed -------------------===//
//
// Rounding an activation costs accuracy; rounding an angle, an index or the score that chooses an expert costs the
// answer. This analysis follows backwards what such values are made of, through bodies, products, views, branches and
// loops, and says which tensors have to keep the type that they have.
//
// Where demand stops: a product whose result is demanded reads its factors in full, but what a factor was made of is
// an activation again, unless nothing but demanded elementwise work uses it. So a network that ends in the choice of a
// class is narrow up to its last product. Angles are exact from the positions on, through products too, up to what
// other work shares. A choice that steers further products is
// worth more: the stream of sums that a router reads through norms is not rounded in storage either. What products add
// to it is an activation.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_PRECISIONDEMAND_H
#define KT_PASSES_ANALYSIS_PRECISIONDEMAND_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace kt {

/// On an operation of a body that makes steps of a number: the model does not ask for them. It is how the number is
/// stored, and what is near another one stays so.
constexpr llvm::StringLiteral kStored = "kt.stored";

class PrecisionDemand {
public:
  enum Kind : unsigned {
    /// Becomes an integer, a step or a quantised number.
    Number = 1,
    /// Its order among others decides: it is sorted, is searched for its largest, or is compared.
    Order = 2,
    /// The same, and further products work on what was chosen.
    Route = 4,
    /// A product that makes one of the above reads it.
    Factor = 8,
    /// Norms and sums of it are what a router reads.
    Stream = 16,
    /// Out of the range of narrow types though the result is not: squares, exponentials and what sums are made of.
    Range = 32,
    /// Becomes an angle, a remainder: of a large number only the last digits count.
    Angle = 64,
    /// What angles are made of, through products, as long as nothing else uses it.
    Origin = 128,
    /// All that concerns the value itself wherever else it is used.
    Exact = Number | Order | Route | Angle,
  };

  /// Analyses a whole function. What it answers holds until the function changes.
  explicit PrecisionDemand(mlir::func::FuncOp func);

  /// The kinds of demand on a tensor, 0 if it may be narrowed.
  unsigned of(mlir::Value v) const { return demand.lookup(v); }

  /// Constants that have to keep their type: a rounded table of activations is one rounding among many, whatever is
  /// made of its rows.
  bool isExactTable(mlir::Value v) const { return of(v) & (Exact | Factor | Origin); }

  /// A matmul, convolution or attention that has to read its factors as they are: for what is made of its result, or
  /// because a factor is made of the model's integers.
  bool isExactProduct(mlir::Operation *op) const { return exactProducts.contains(op); }

  /// A product that a router's scores are made of, however far behind: what rounding does to it may change which
  /// further products there are.
  bool isBeforeRouter(mlir::Operation *op) const { return beforeRouters.contains(op); }

private:
  class Solver;
  llvm::DenseMap<mlir::Value, unsigned> demand;
  llvm::DenseSet<mlir::Operation *> exactProducts, routers, beforeRouters;
};

} // namespace kt

#endif
