//===- Verify.h - what the verifiers of the kt ops share ------------------===//
//
// Verifiers look at the whole module, after each phase in ktc and after every pass in kt-opt: equal attributes are
// compared first, which decides almost all. What cannot be decided is taken to hold; a kt.assert checks it in the run.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_IR_VERIFY_H
#define KT_DIALECTS_KT_IR_VERIFY_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// True where two sizes of `op` are different numbers in every run. Inside kt.if and kt.loop that is said of constants
/// only: what no run takes may hold sizes that never fit, with a kt.assert that says so.
bool neverEqual(mlir::Operation *op, Expr a, Expr b);
/// True where `a` is below `b` in every run, with the same exception.
bool alwaysBelow(mlir::Operation *op, Expr a, Expr b);

/// Checks that dimension `i` of `what`, of type `type`, can have `expected` elements.
mlir::LogicalResult verifyDim(mlir::Operation *op, const llvm::Twine &what, SymTensorType type, int64_t i,
                              Expr expected);
/// Checks the rank of `what` and that each dimension can be as in `expected`.
mlir::LogicalResult verifyDims(mlir::Operation *op, const llvm::Twine &what, SymTensorType type,
                               llvm::ArrayRef<Expr> expected);
/// Checks the views of the first `count` operands, as far as it can be told where they reach.
mlir::LogicalResult verifyViews(mlir::Operation *op, unsigned count);
mlir::LogicalResult verifyViewDim(mlir::Operation *op, const llvm::Twine &what, const FactorView &view, unsigned i,
                                  Expr expected);
mlir::LogicalResult verifyElement(mlir::Operation *op, const llvm::Twine &what, SymTensorType type,
                                  mlir::Type expected);
/// Checks packed weights of a product over `depth`: whole blocks of bytes.
mlir::LogicalResult verifyBlocks(mlir::Operation *op, BlocksAttr blocks, SymTensorType weights, mlir::Type lhs,
                                 Expr depth);
/// Checks that `name` reads back as a symbol: a letter or '_', then letters, digits, '_', '.' and '$', all behind a '?'
/// where it may be negative.
mlir::LogicalResult verifySymbol(mlir::Operation *op, llvm::StringRef what, llvm::StringRef name);
/// Sites are numbers that fit the fault record.
mlir::LogicalResult verifySite(mlir::Operation *op, int64_t site);

/// The values that `region` yields; nothing where its block is not there yet or ends otherwise (blocks are verified
/// after the op that holds them).
YieldOp yieldOf(mlir::Region &region);
/// The type of the one scalar that a body yields; null if it does not.
mlir::Type bodyYield(mlir::Region &region);
/// Checks a body: its arguments are `leading` scalars, the operands and the indices, it holds scalar arithmetic and
/// reads, and yields one value of type `yields` (null: any), or up to `most` values.
mlir::LogicalResult verifyBody(mlir::Operation *op, mlir::Region &region, llvm::StringRef what, mlir::TypeRange leading,
                               mlir::ValueRange operands, unsigned indices, mlir::Type yields, unsigned most = 1);

} // namespace kt

#endif
