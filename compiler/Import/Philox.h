//===- Philox.h - random numbers without a state --------------------------===//
//
// Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011): a key and a
// counter give four words. It is integer arithmetic alone, so every device and every order draws the same.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_IMPORT_PHILOX_H
#define KT_COMPILER_IMPORT_PHILOX_H

#include "compiler/Import/Body.h"
#include <array>

namespace kt::import {

/// The first of the four words of a counter of four words under a key of two; all are i32.
mlir::Value philox(Body &b, std::array<mlir::Value, 4> counter, std::array<mlir::Value, 2> key);

/// -log(-log(u)) in f32, with u uniform in (0, 1), from a random word: what is added to logarithms of probabilities so
/// that the largest sum is a draw from them (Gumbel).
mlir::Value gumbel(Body &b, mlir::Value word);

} // namespace kt::import

#endif
