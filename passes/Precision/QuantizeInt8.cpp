//===- QuantizeInt8.cpp - floats as INT8 with scales ----------------------===//
//
// Two passes over a block, which the second one finds in the cache: the largest magnitudes, then the rounding. Both go
// over rows of 16 elements, written as vectors because compilers make vectors of columns of what would be loops. They
// become whatever vectors the CPU has that this is compiled for.
//
//===----------------------------------------------------------------------===//

#include "passes/Precision/QuantizeInt8.h"
#include <cstring>

using namespace kt;

namespace {

template <typename T> using Columns __attribute__((vector_size(kInt8Columns * sizeof(T)))) = T;
using Floats = Columns<float>;
using Words = Columns<uint32_t>;

// What the loops have to know of a format. Magnitudes are compared as integers, whose order is that of the numbers;
// infinities and what is not a number come behind all others.

struct F32 {
  using Magnitude = int32_t;
  static constexpr Magnitude kMagnitude = 0x7fffffff, kInfinity = 0x7f800000;
  static Floats widen(Words bits) { return (Floats)bits; }
};

struct BF16 {
  using Magnitude = int16_t;
  static constexpr Magnitude kMagnitude = 0x7fff, kInfinity = 0x7f80;
  static Floats widen(Words bits) { return (Floats)(bits << 16); }
};

struct F16 {
  using Magnitude = int16_t;
  static constexpr Magnitude kMagnitude = 0x7fff, kInfinity = 0x7c00;
  /// Of finite numbers. A subnormal one gets the exponent of the least normal one, whose leading bit is subtracted
  /// again: CPUs may take a hundred cycles for products of what would be subnormal in single precision.
  static Floats widen(Words bits) {
    constexpr uint32_t kLead = 1 << 23, kRebias = (127 - 15) << 23;
    Words magnitude = (bits & kMagnitude) << 13, subnormal = (Words)(magnitude < kLead);
    Floats value = (Floats)(magnitude + kRebias + (subnormal & kLead)) - (Floats)(subnormal & (kRebias + kLead));
    return (Floats)((Words)value | (bits & 0x8000) << 16);
  }
};

/// The low bytes of quotients rounded to the nearest, ties to even. A sum lies between 2^23 and 2^24, where floats are
/// the integers, and 1.5 * 2^23 is even and a multiple of 256. Quotients reach beyond 127 where a scale is subnormal.
Columns<uint8_t> roundToBytes(Floats quotients) {
  return __builtin_convertvector((Words)(quotients + 0x1.8p23f) & 0xff, Columns<uint8_t>);
}

template <typename F> using Row = Columns<typename F::Magnitude>;

template <typename F> Row<F> load(const char *from) {
  Row<F> row;
  memcpy(&row, from, sizeof row);
  return row;
}

/// The largest magnitude of each column, and of those in `most`.
template <typename F> Row<F> largest(const char *from, int64_t rows, Row<F> most) {
  for (int64_t r = 0; r < rows; ++r) {
    Row<F> row = load<F>(from + r * sizeof(Row<F>)) & F::kMagnitude;
    most = most < row ? row : most;
  }
  return most;
}

template <typename F> void round(const char *from, int64_t rows, Floats divisors, char *to) {
  for (int64_t r = 0; r < rows; ++r) {
    Words bits = __builtin_convertvector(load<F>(from + r * sizeof(Row<F>)), Words);
    Columns<uint8_t> q = roundToBytes(F::widen(bits) / divisors);
    memcpy(to + r * sizeof q, &q, sizeof q);
  }
}

template <typename F> float scaleOf(typename F::Magnitude most) {
  return most ? F::widen(Words{} + (uint32_t)most)[0] / 127 : 1;
}

/// A scale of subnormal numbers may be zero; they round to zeros then.
float divisorOf(float scale) { return scale > 0 ? scale : 1; }

/// Of a panel, whose columns from `own` on are padding.
template <typename F> bool quantizePanel(const char *from, int64_t rows, int64_t own, char *to, float *scales) {
  Row<F> most = largest<F>(from, rows, {});
  for (int64_t c = own; c < kInt8Columns; ++c)
    most[own - 1] = most[own - 1] < most[c] ? most[c] : most[own - 1];
  Floats divisors;
  for (int64_t c = 0; c < kInt8Columns; ++c) {
    int64_t channel = std::min(c, own - 1);
    if (most[channel] >= F::kInfinity)
      return false;
    scales[channel] = scaleOf<F>(most[channel]);
    divisors[c] = divisorOf(scales[channel]);
  }
  round<F>(from, rows, divisors, to);
  return true;
}

template <typename F> bool quantizeRow(const char *from, int64_t length, char *to, float &scale) {
  constexpr int64_t kBytes = sizeof(typename F::Magnitude);
  int64_t rows = length / kInt8Columns, whole = rows * kInt8Columns;
  char rest[kInt8Columns * kBytes] = {}, q[kInt8Columns]; // what is no whole 16, with zeros behind it
  memcpy(rest, from + whole * kBytes, (length - whole) * kBytes);
  Row<F> most = largest<F>(from, rows, largest<F>(rest, 1, {}));
  typename F::Magnitude all = 0;
  for (int64_t c = 0; c < kInt8Columns; ++c)
    all = std::max<typename F::Magnitude>(all, most[c]);
  if (all >= F::kInfinity)
    return false;
  scale = scaleOf<F>(all);
  Floats divisors = Floats{} + divisorOf(scale);
  round<F>(from, rows, divisors, to);
  round<F>(rest, 1, divisors, q);
  memcpy(to + whole, q, length - whole);
  return true;
}

template <typename F>
bool quantize(const Int8Layout &layout, const char *from, int64_t block, char *to, float *scales) {
  int64_t elements = layout.blockElements();
  from += block * elements * sizeof(typename F::Magnitude), to += block * elements;
  if (layout.inRows)
    return quantizeRow<F>(from, layout.length, to, scales[block]);
  int64_t panels = layout.panelsOfGroup();
  int64_t group = layout.byTurns ? block % layout.groups : block / panels;
  int64_t first = (layout.byTurns ? block / layout.groups : block % panels) * kInt8Columns;
  return quantizePanel<F>(from, layout.length, std::min(kInt8Columns, layout.channels - first), to,
                          scales + group * layout.channels + first);
}

} // namespace

bool kt::quantizeBlock(const Int8Layout &layout, FloatFormat format, const char *from, int64_t block, char *to,
                       float *scales) {
  switch (format) {
  case FloatFormat::f32:
    return quantize<F32>(layout, from, block, to, scales);
  case FloatFormat::f16:
    return quantize<F16>(layout, from, block, to, scales);
  case FloatFormat::bf16:
    return quantize<BF16>(layout, from, block, to, scales);
  }
}
