//===- FloatVectors.h - rows of 16 floats, for loops over weights ---------===//
//
// Written as vectors because compilers make vectors of columns of what would be loops. They become whatever vectors the
// CPU has that a function is compiled for. What the loops have to know of a format is in its class.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_PRECISION_FLOATVECTORS_H
#define KT_PASSES_PRECISION_FLOATVECTORS_H

#include "passes/Precision/QuantizeInt8.h"
#include <cstring>

// Into the functions for each kind of CPU: one by itself would have vectors of 128 bits.
#define KT_INLINE __attribute__((always_inline))

namespace kt {

template <typename T> using Columns __attribute__((vector_size(kInt8Columns * sizeof(T)))) = T;
using Floats = Columns<float>;
using Words = Columns<uint32_t>;

// Magnitudes are compared as integers, whose order is that of the numbers; infinities and what is not a number come
// behind all others.

struct F32 {
  using Magnitude = int32_t;
  static constexpr Magnitude kMagnitude = 0x7fffffff, kInfinity = 0x7f800000;
  KT_INLINE static Floats widen(Words bits) { return (Floats)bits; }
};

struct BF16 {
  using Magnitude = int16_t;
  static constexpr Magnitude kMagnitude = 0x7fff, kInfinity = 0x7f80;
  KT_INLINE static Floats widen(Words bits) { return (Floats)(bits << 16); }
};

struct F16 {
  using Magnitude = int16_t;
  static constexpr Magnitude kMagnitude = 0x7fff, kInfinity = 0x7c00;
  /// Of finite numbers. A subnormal one gets the exponent of the least normal one, whose leading bit is subtracted
  /// again: CPUs may take a hundred cycles for products of what would be subnormal in single precision.
  KT_INLINE static Floats widen(Words bits) {
    constexpr uint32_t kLead = 1 << 23, kRebias = (127 - 15) << 23;
    Words magnitude = (bits & kMagnitude) << 13, subnormal = (Words)(magnitude < kLead);
    Floats value = (Floats)(magnitude + kRebias + (subnormal & kLead)) - (Floats)(subnormal & (kRebias + kLead));
    return (Floats)((Words)value | (bits & 0x8000) << 16);
  }
};

/// Added to a quotient it leaves the nearest integer in the low bits, ties to even: a sum lies between 2^23 and 2^24,
/// where floats are the integers, and 1.5 * 2^23 is even and a multiple of 256.
constexpr float kInteger = 0x1.8p23f;

template <typename F> using Row = Columns<typename F::Magnitude>;

template <typename F> KT_INLINE inline Row<F> load(const char *from) {
  Row<F> row;
  memcpy(&row, from, sizeof row);
  return row;
}

/// The bits of a row, each in a word.
template <typename F> KT_INLINE inline Words bitsOf(Row<F> row) { return __builtin_convertvector(row, Words); }

/// The largest magnitude of each column, and of those in `most`.
template <typename F> KT_INLINE inline Row<F> largest(const char *from, int64_t rows, Row<F> most) {
  for (int64_t r = 0; r < rows; ++r) {
    Row<F> row = load<F>(from + r * sizeof(Row<F>)) & F::kMagnitude;
    most = most < row ? row : most;
  }
  return most;
}

} // namespace kt

#endif
