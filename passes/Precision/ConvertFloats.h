//===- ConvertFloats.h - floats in another type ---------------------------===//

#ifndef KT_PASSES_PRECISION_CONVERTFLOATS_H
#define KT_PASSES_PRECISION_CONVERTFLOATS_H

#include "passes/Precision/QuantizeInt8.h"

namespace kt {

/// The `count` numbers of format `from` at `source`, of any alignment, to `out` in format `to`: the nearest one, ties
/// to even, except that what FP16 cannot hold becomes its largest number. False where one is infinite or not a number;
/// what is written then means nothing.
bool convertFinite(FloatFormat from, FloatFormat to, const char *source, int64_t count, char *out);

} // namespace kt

#endif
