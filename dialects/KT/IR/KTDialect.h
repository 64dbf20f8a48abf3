//===- KTDialect.h - the kt dialect ---------------------------------------===//
//
// Types, attributes and operators of the graph that ktc compiles. See dialects/KT/README.md for the rationale.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_IR_KTDIALECT_H
#define KT_DIALECTS_KT_IR_KTDIALECT_H

#include "dialects/KT/IR/Computed.h"
#include "dialects/KT/IR/Expr.h"
#include "dialects/KT/IR/WordOrder.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/KT/IR/KTDialect.h.inc"

namespace kt {
/// Width of a packed weight panel: the columns that lie side by side for one k.
constexpr int64_t kPanel = 16;
} // namespace kt

#include "dialects/KT/IR/KTEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/KT/IR/KTAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/KT/IR/KTTypes.h.inc"

namespace kt {
/// A scalar region of a compute op. Its block's arguments: `leading` scalars, the body operands, indices.
struct BodyRef {
  mlir::Region *region;
  unsigned leading;
};
} // namespace kt

#include "dialects/KT/IR/KTInterfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/KT/IR/KTOps.h.inc"

namespace kt {
/// The most products that one may be made of.
constexpr uint64_t kMostParts = 2;
/// On an argument and a result of a graph: the number of the other, which a session may keep in the same memory.
constexpr llvm::StringLiteral kTied = "kt.tied";
/// On such a result: the dimension along which a window of the argument is written. Without one a run replaces all of
/// it.
constexpr llvm::StringLiteral kTiedAxis = "kt.tied_axis";
/// On a result of a graph that no caller sees: the number of the tied result in whose place a session keeps it.
constexpr llvm::StringLiteral kKeptFor = "kt.kept_for";
/// On a result of a graph: the number of the argument that it is the next state of, as the operator that made it says.
constexpr llvm::StringLiteral kNextOf = "kt.next_of";
/// The symbol of how many elements a session has room for along the dimension in which its state grows; 0 where it
/// keeps none.
constexpr llvm::StringLiteral kCapacity = "@capacity";

/// On an arith.truncf in a body: the model asks for this rounding, so it is no detail of storage that fusion may drop.
constexpr llvm::StringLiteral kRounds = "kt.rounds";
/// A score of an attention that is no larger than kMaskedScore weighs exactly nothing beside one above kSeenScore: the
/// exponential of their distance is zero.
constexpr double kMaskedScore = -1e30, kSeenScore = -1e29;
/// The interface's answers, for any op: one that is no computation has no bodies and no factors.
bool isProduct(mlir::Operation *op);
llvm::SmallVector<BodyRef> bodiesOf(mlir::Operation *op);
/// The number of the first operand that bodies see.
unsigned firstBodyOperand(mlir::Operation *op);
/// Result dimension that an index value of a body is, if it is one of the block's own indices; `firstIndex` is the
/// number of that argument.
std::optional<unsigned> plainIndex(mlir::Value v, mlir::Block *block, unsigned firstIndex);
/// The read takes the body's first indices in order (the result's position) and asks for no bounds check.
bool isIdentityRead(ReadOp read, unsigned firstIndex, unsigned rank);
/// `op` reads `v` and each element of it at the place of its result's element that is computed, unchecked; both have
/// the same dimensions.
bool readsOwnElements(mlir::Operation *op, mlir::Value v);
/// A factor as kernels read it: element (i0, i1, ..) lies `offset` + i0 * strides[0] + .. elements from its tensor's
/// start.
struct FactorView {
  llvm::SmallVector<Expr> dims, strides;
  Expr offset;
  /// Nothing but the elements of a tensor of these dimensions, in order.
  bool isDense() const;
};
/// All of a tensor, in order.
FactorView denseView(SymTensorType type);
/// What operand `factor` of a product is: through its view if it has one.
FactorView factorView(mlir::Operation *op, unsigned factor);
/// Makes operand `factor` of `op`, which has `views`, `tensor` seen as `view`.
void setFactor(mlir::Operation *op, unsigned factor, mlir::Value tensor, const FactorView &view);
/// Appends an operand that bodies see and its block argument in each of them; answers its number among the body
/// operands.
unsigned addBodyOperand(mlir::Operation *op, mlir::Value v);
/// Merges body operands that are the same value and drops those that nothing reads; answers whether there were any.
bool cleanBodyOperands(mlir::Operation *op);
/// Bytes of one element in memory; sub-byte types and booleans take one.
int64_t elementBytes(mlir::Type elementType);
/// Adds the arguments a body needs (leading scalar types, operand tensors, then `indices` times index) to a fresh block
/// of `region`.
mlir::Block *addBody(mlir::Region &region, mlir::TypeRange leading, mlir::ValueRange operands, unsigned indices);
} // namespace kt

#endif
