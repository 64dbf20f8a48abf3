//===- TiedWeights.h - tables whose rows are a product's columns ----------===//

#ifndef KT_PASSES_PRECISION_TIEDWEIGHTS_H
#define KT_PASSES_PRECISION_TIEDWEIGHTS_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/Builders.h"

namespace kt {

/// Whether the rows of a table of a mebibyte or more are, number for number, the columns of a product's packed weights
/// [panels, k, 16]: a language model's embedding and the weights that make its logits often are. Smaller ones save
/// little for rows whose elements are 16 apart.
bool areTied(ConstantOp table, ConstantOp panels);

/// Reads the element of row `row` and column `column` of a table that is stored as the columns of `weights`, a body's
/// argument, in blocks without zero points: as FP32.
mlir::Value readBlocks(mlir::OpBuilder &b, mlir::Location loc, BlocksAttr blocks, mlir::Value weights, mlir::Value row,
                       mlir::Value column);

} // namespace kt

#endif
