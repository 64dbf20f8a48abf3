//===- Int8Places.h - where weights may be INT8 ---------------------------===//

#ifndef KT_PASSES_PRECISION_INT8PLACES_H
#define KT_PASSES_PRECISION_INT8PLACES_H

#include "passes/Analysis/PrecisionDemand.h"
#include "passes/Precision/AccuracyReport.h"
#include "passes/Precision/QuantizeInt8.h"

namespace kt {

/// Why a weight stays as it is, for programs and for people.
struct KeptWide {
  WideReason reason;
  std::string words;
};

/// An operand that is a weight: of a product, of a convolution, or a table that is gathered from.
struct Int8Place {
  ConstantOp constant;
  bool isTable;
  llvm::SmallVector<int64_t> shape; // as a model has it
  int64_t columns = 0;              // of each part of a product, without those that fill panels; 0: as many as scales
  /// How it would be quantised, or why it is not.
  std::optional<Int8Layout> layout;
  std::optional<KeptWide> kept;
};

/// What operand `number` of `op`, which has bodies, is as a weight; nothing where it is none.
std::optional<Int8Place> int8PlaceOf(mlir::Operation *op, unsigned number, const PrecisionDemand &demand);

/// The format of elements that can be quantised.
std::optional<FloatFormat> floatFormatOf(mlir::Type element);

} // namespace kt

#endif
