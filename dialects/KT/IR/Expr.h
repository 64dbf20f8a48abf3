//===- Expr.h - integer expressions over symbols --------------------------===//
//
// A value wrapper over the uniqued ExprAttr with arithmetic that keeps the normal form: a sum of products with integer
// coefficients over atoms (symbols, floor divisions, minima, ...). Equal wrappers are equal numbers.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_IR_EXPR_H
#define KT_DIALECTS_KT_IR_EXPR_H

#include "mlir/IR/Attributes.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <cstdint>
#include <optional>
#include <string>

namespace kt {
class ExprAttr;

class Expr {
public:
  enum class Kind : int {
    Const,  // imm
    Symbol, // name; a leading '?' says that it may be negative, a leading '@' that it is a fact of the device
    Add,    // sum of operands + imm
    Mul,    // imm * product of operands
    FloorDiv,
    Mod,
    Min,
    Max,
    Eq,
    Lt,     // 0 or 1
    Select, // operand 0 != 0 ? operand 1 : operand 2
    Poison  // no number; imm says why. What is computed with it is poison too, unless it does not matter: as the
            // divisor of 0, or as the side of a choice that a constant condition does not take
  };
  /// Why there is no number.
  enum class Reason : int64_t {
    overflow,   // a constant or coefficient in it does not fit in 64 bits; nothing wraps
    complexity, // it would have more parts than kMaxWeight
    rank        // it is the size of a dimension that a tensor does not have
  };
  /// Most parts of an expression, each counted as often as it is read: what walks one takes no longer than that.
  static constexpr uint32_t kMaxWeight = 2048;

  Expr() = default;
  Expr(ExprAttr attr);
  static Expr constant(mlir::MLIRContext *context, int64_t value);
  static Expr symbol(mlir::MLIRContext *context, llvm::StringRef name);

  explicit operator bool() const { return impl != nullptr; }
  ExprAttr attr() const;
  mlir::MLIRContext *context() const;
  Kind kind() const;
  int64_t imm() const;
  llvm::StringRef name() const;
  unsigned numOperands() const;
  Expr operand(unsigned i) const;

  std::optional<int64_t> asConstant() const;
  bool isConstant(int64_t value) const { return asConstant() == value; }
  /// Why the expression is poison; nothing where it is a number.
  std::optional<Reason> poison() const;
  static Expr poisoned(mlir::MLIRContext *context, Reason reason);
  /// Provably >= 0 for all values that symbols can have. Decided once, when the expression is made.
  bool isNonNegative() const;
  /// Every value is a multiple of `factor`, provably.
  bool isMultipleOf(int64_t factor) const;

  bool operator==(const Expr &other) const { return impl == other.impl; }
  bool operator!=(const Expr &other) const { return impl != other.impl; }
  friend Expr operator+(Expr a, Expr b);
  friend Expr operator-(Expr a, Expr b);
  friend Expr operator*(Expr a, Expr b);
  friend Expr operator+(Expr a, int64_t b) { return a + constant(a.context(), b); }
  friend Expr operator-(Expr a, int64_t b) { return a - constant(a.context(), b); }
  friend Expr operator*(Expr a, int64_t b) { return a * constant(a.context(), b); }
  /// Division that rounds to minus infinity. The divisor is taken not to be zero.
  static Expr floorDiv(Expr a, Expr b);
  static Expr ceilDiv(Expr a, Expr b);
  static Expr mod(Expr a, Expr b);
  static Expr min(Expr a, Expr b);
  static Expr max(Expr a, Expr b);
  static Expr eq(Expr a, Expr b);
  static Expr lt(Expr a, Expr b);
  static Expr select(Expr condition, Expr a, Expr b);
  static Expr logicalNot(Expr a);

  /// Calls `fn` with each distinct symbol name, in order of appearance.
  void forEachSymbol(llvm::function_ref<void(llvm::StringRef)> fn) const;
  /// The same computation of other operands, in normal form again.
  Expr withOperands(llvm::function_ref<Expr(Expr)> fn) const;
  /// The expression with symbols replaced; `fn` answers a null Expr to leave one alone.
  Expr substitute(llvm::function_ref<Expr(llvm::StringRef)> fn) const;
  std::string str() const;

  /// A node as given, without simplification; poison where an operand is, or where it would be too heavy.
  static Expr get(mlir::MLIRContext *context, Kind kind, int64_t imm, llvm::StringRef name,
                  llvm::ArrayRef<Expr> operands);

private:
  const void *impl = nullptr; // the attribute's storage
};

} // namespace kt

#endif
