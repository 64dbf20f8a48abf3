//===- IndexCases.h - comparisons of indices that always come out alike ---===//
//
// What exporters compute of positions (is a token next to the one before it?) is often the same for all of them, but
// only once a case is looked at: the first element apart from the others.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_INDEXCASES_H
#define KT_PASSES_ANALYSIS_INDEXCASES_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace kt {

/// Follows index arithmetic of one body through cases. Every index is below its extent, so there is one of each.
class IndexCases {
public:
  IndexCases(mlir::Operation *op, const BodyRef &body);

  /// What `compare`, a comparison in the body, is for all values of the indices and sizes; nothing where that differs
  /// or is not known.
  std::optional<bool> decide(mlir::arith::CmpIOp compare);

private:
  /// Indices below `count` and the others are to be looked at apart.
  struct Split {
    std::string symbol;
    int64_t count;
  };
  using Case = llvm::StringMap<Expr>; // what symbols of indices are in terms of others

  std::optional<bool> decide(mlir::arith::CmpIOp compare, const Case &now, unsigned depth);
  /// A number of the body as an expression; null where it is none of indices and sizes.
  Expr evaluate(mlir::Value value);
  Expr compute(mlir::Value value);
  Expr compare(mlir::arith::CmpIPredicate predicate, Expr a, Expr b);
  /// 0 < `difference`, or a split that would tell.
  Expr positive(Expr difference);
  Expr in(Expr e, const Case &now) const;

  mlir::MLIRContext *context;
  llvm::DenseMap<mlir::Value, Expr> indices;
  llvm::StringMap<Expr> sizes;
  llvm::SmallVector<std::string> symbols; // of indices

  const Case *current = nullptr;
  llvm::DenseMap<mlir::Value, Expr> known; // in the current case
  std::optional<Split> wanted;
};

} // namespace kt

#endif
