//===- Bodies.h - what scalar bodies do -----------------------------------===//
//
// Facts about structured ops that fusion and layout decisions rest on.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_BODIES_H
#define KT_PASSES_ANALYSIS_BODIES_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/AsmState.h"

namespace mlir::func {
class FuncOp;
}

namespace kt {

/// A function that passes work on: its one block and the regions in it hold kt ops over tensors. Any other (a
/// declaration, say) they leave as it is.
bool isGraph(mlir::func::FuncOp func);

/// Moves elements only: one read, yielded as it is (or a constant outside), and index arithmetic.
bool isMovement(GenericOp op);

/// A pure transposition of its one operand: result index i is operand dimension perm[i].
std::optional<llvm::SmallVector<int64_t>> asPermutation(GenericOp op);

/// How many values each index of a body of `op` has, in order.
llvm::SmallVector<Expr> extentsOf(mlir::Operation *op, const BodyRef &body);

/// Roughly, instructions to make one element; transcendental functions weigh more.
unsigned bodyCost(mlir::Region &region);
/// How much code a body becomes, in ops: a power is expanded into very many.
unsigned bodyOps(mlir::Region &region);

/// Bytes of a tensor, to compare with those of another; a dimension that is not known counts as 256.
double typicalBytes(mlir::Value v);

/// Reads of body operand `number` in all bodies of `op`.
llvm::SmallVector<ReadOp> readsOf(mlir::Operation *op, unsigned number);

/// Whether a number of a body is made from an element of a tensor.
bool comesFromData(mlir::Value number);

/// Whether `op` reads body operand `number`, a matrix, in rows that data says, and in no other way.
bool looksUpRows(mlir::Operation *op, unsigned number);

/// Makes `value` body operand `number` of `op`, whose bodies' arguments get its type; reads are as they were.
void setBodyOperand(mlir::Operation *op, unsigned number, mlir::Value value);

/// A constant of these bytes, with the name that its initializer had.
ConstantOp makeConstant(mlir::OpBuilder &b, mlir::Location loc, SymTensorType type, std::vector<char> bytes,
                        llvm::StringRef name);
ConstantOp makeConstant(mlir::OpBuilder &b, mlir::Location loc, SymTensorType type, mlir::AsmResourceBlob bytes,
                        llvm::StringRef name);
/// The same of bytes that are computed where they are read (dialects/KT/IR/Computed.h).
ConstantOp makeConstant(mlir::OpBuilder &b, mlir::Location loc, SymTensorType type,
                        std::shared_ptr<const ComputedBytes> bytes, llvm::StringRef name);

/// Erases computations and views of `func` whose results nothing uses, and what was made for those alone.
void eraseDead(mlir::func::FuncOp func);
/// The same of scalar code.
void eraseDead(mlir::Block &body);

/// Skips views.
mlir::Value throughReshapes(mlir::Value v);

} // namespace kt

#endif
