//===- Boxes.h - rectangles that overlap ----------------------------------===//
//
// Scalar code that both targets share, so that they decide alike.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_COMMON_BOXES_H
#define KT_CODEGEN_COMMON_BOXES_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include <array>

namespace kt::codegen {

/// Lower and upper end along two axes, and the area; f32 scalars.
struct Box {
  std::array<mlir::Value, 2> low, high;
  mlir::Value area;
};

/// From the four numbers of a box in memory: opposite corners, or centre and size.
Box boxOf(mlir::OpBuilder &b, mlir::Location loc, std::array<mlir::Value, 4> numbers, bool centred);

/// Intersection over union is above `threshold` (i1).
mlir::Value overlap(mlir::OpBuilder &b, mlir::Location loc, const Box &x, const Box &y, mlir::Value threshold);

/// An i64 that is larger for a better candidate: by score, NaN best, then by the lower number (i32). Never
/// INT64_MIN.
mlir::Value rankOf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value score, mlir::Value number);
/// The number (i32) in what rankOf made.
mlir::Value numberOf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value rank);

} // namespace kt::codegen

#endif
