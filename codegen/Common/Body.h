//===- Body.h - inlining scalar bodies into kernels -----------------------===//
//
// Both targets emit the same scalar code for the regions of structured and named ops; only how an element is read
// differs.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_COMMON_BODY_H
#define KT_CODEGEN_COMMON_BODY_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace kt::codegen {

/// How a body's reads and sizes become code.
struct BodyHooks {
  /// An element of operand number `operand` (of the region's op, leading scalars not counted) at `indices`; when
  /// `otherwise` is set, the value where an index of the dimensions in `check` is outside.
  llvm::function_ref<mlir::Value(mlir::OpBuilder &, unsigned operand, ReadOp read, llvm::ArrayRef<mlir::Value> indices,
                                 mlir::Value otherwise)>
      read;
  /// The value of an expression as an index.
  llvm::function_ref<mlir::Value(mlir::OpBuilder &, Expr)> size;
  /// The index that a kt.bounded makes of `value`; what is outside while `when` (null: always) holds goes to the fault
  /// record.
  llvm::function_ref<mlir::Value(mlir::OpBuilder &, BoundedOp, mlir::Value value, mlir::Value when)> bounded;
};

/// Clones `region` at the builder's position with `leading` scalars and `indices` for its arguments; answers the
/// yielded values. What nothing in `loop`, which is around that position and takes a turn at least, changes comes
/// before it: LLVM moves no loads of which it does not know that they take place, such as those behind a check of an
/// index.
llvm::SmallVector<mlir::Value> inlineBody(mlir::OpBuilder &builder, mlir::Region &region, mlir::ValueRange leading,
                                          unsigned numOperands, mlir::ValueRange indices, BodyHooks hooks,
                                          mlir::Operation *loop = nullptr);
/// One of the values that a region without leading scalars yields, and what it needs alone.
mlir::Value inlineOne(mlir::OpBuilder &builder, mlir::Region &region, unsigned number, mlir::ValueRange indices,
                      BodyHooks hooks);

} // namespace kt::codegen

#endif
