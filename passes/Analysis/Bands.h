//===- Bands.h - constant triangles and bands -----------------------------===//
//
// Exporters keep causal masks and windows as tables. One number says as much as such a table: how far right of the
// diagonal a column lies.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_BANDS_H
#define KT_PASSES_ANALYSIS_BANDS_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// A matrix that holds `inside` where from <= column - row < to and `outside` elsewhere; no `from` (or `to`): whatever
/// is left (right).
struct Band {
  int64_t rows, columns;
  std::optional<int64_t> from, to;
  mlir::TypedAttr inside, outside;
};

/// The band that the last two dimensions of a constant are, where all others have one element.
std::optional<Band> bandOf(ConstantOp constant);

} // namespace kt

#endif
