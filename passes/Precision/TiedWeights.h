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

/// The same of rows of few bits and of columns that a product has in few bits.
bool areTied(DequantizeOp table, DequantizeOp product);

/// Reads the element of row `row` and column `column` of a table that is stored as the columns of `weights`, a body's
/// argument, in blocks: as FP32.
mlir::Value readBlocks(mlir::OpBuilder &b, mlir::Location loc, BlocksAttr blocks, mlir::Value weights, mlir::Value row,
                       mlir::Value column);

/// The same of a table that is stored as kt.dequantize has it, of which a body has these arguments; `zeros` may be
/// null.
mlir::Value readRows(mlir::OpBuilder &b, mlir::Location loc, BlocksAttr blocks, mlir::Value numbers, mlir::Value scales,
                     mlir::Value zeros, mlir::Value row, mlir::Value column);

} // namespace kt

#endif
