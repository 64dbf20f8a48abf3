//===- EqualBodies.h - computations that two bodies share -----------------===//

#ifndef KT_PASSES_ANALYSIS_EQUALBODIES_H
#define KT_PASSES_ANALYSIS_EQUALBODIES_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// An index of two bodies that is further by `by` in the second one, which is that much behind in what both read.
struct IndexShift {
  unsigned index; // among the bodies' indices
  int64_t by;
};

/// Compares values of a body of `a` with values of one of `b`. They are the same where they are made by the same
/// operations from the same tensors, and each index of one body takes the place of that with its number in the other;
/// with a shift, at [i + shift] in the first body as at [i] in the second.
class EqualBodies {
public:
  EqualBodies(mlir::Operation *a, mlir::Region &bodyOfA, mlir::Operation *b, mlir::Region &bodyOfB,
              std::optional<IndexShift> shift = {});
  bool same(mlir::Value x, mlir::Value y);
  /// Something depends on the index that is shifted.
  bool isShifted() const { return shifted; }

private:
  struct Side {
    mlir::Operation *op;
    unsigned leading, operands;
    mlir::Region *body;
  };
  static Side sideOf(mlir::Operation *op, mlir::Region &body);
  bool compare(mlir::Value x, mlir::Value y);
  std::optional<int64_t> offsetOf(mlir::Value v, const Side &side) const;

  Side a, b;
  std::optional<IndexShift> shift;
  bool shifted = false;
  llvm::DenseMap<std::pair<mlir::Value, mlir::Value>, bool> known;
};

} // namespace kt

#endif
