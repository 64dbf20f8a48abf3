//===- QuantizeInt8.cpp - floats as INT8 with scales ----------------------===//
//
// Two passes over a block, which the second one finds in the cache: the largest magnitudes, then the rounding. Both go
// over rows of 16 elements.
//
//===----------------------------------------------------------------------===//

#include "passes/Precision/FloatVectors.h"
#include <cmath>
#include <limits>

using namespace kt;

namespace {

/// Squares of quotients and of their errors, summed up for each column, and the largest of the latter.
struct Sums {
  Columns<double> signal = {}, noise = {};
  Floats largest = {};
};

/// Rounds quotients to bytes and sums up what that costs. `Wraps`: quotients may lie beyond 127, and bytes are their
/// low ones. Sums are single precision's for a few rows and then double's: converting each element would take as long
/// as the division.
template <typename F, bool Wraps>
KT_INLINE void round(const char *from, int64_t rows, Floats divisors, char *to, Sums &sums) {
  constexpr int64_t kFew = 64;
  // Squares of the least quotients would be subnormal, of which CPUs may take a hundred cycles each.
  constexpr float kNothing = 0x1p-50f;
  for (int64_t begin = 0; begin < rows; begin += kFew) {
    Floats signal = {}, noise = {}, largest = {};
    for (int64_t r = begin, end = std::min(begin + kFew, rows); r < end; ++r) {
      Words bits = bitsOf<F>(load<F>(from + r * sizeof(Row<F>)));
      Floats steps = F::widen(bits) / divisors, integer = steps + kInteger;
      auto q = __builtin_convertvector((Words)integer & 0xff, Columns<uint8_t>);
      memcpy(to + r * sizeof q, &q, sizeof q);
      Floats stored = integer - kInteger;
      if constexpr (Wraps)
        stored = __builtin_convertvector((Columns<int32_t>)((Words)integer << 24) >> 24, Floats);
      steps += kNothing;
      Floats error = steps - stored;
      error *= error;
      signal += steps * steps;
      noise += error;
      largest = largest < error ? error : largest;
    }
    sums.largest = sums.largest < largest ? largest : sums.largest;
    sums.signal += __builtin_convertvector(signal, Columns<double>);
    sums.noise += __builtin_convertvector(noise, Columns<double>);
  }
}

template <typename F> KT_INLINE float scaleOf(typename F::Magnitude most) {
  return most ? F::widen(Words{} + (uint32_t)most)[0] / 127 : 1;
}

/// A scale of subnormal numbers may be zero; they round to zeros then.
float divisorOf(float scale) { return scale > 0 ? scale : 1; }

/// Scales below have lost digits, so that the largest quotient may be more than 127.
constexpr float kLeastWhole = 0x1p-126f;

/// Adds columns up, in pairs: as many additions one after the other as numbers would take far longer in short rows.
template <typename T> KT_INLINE T total(const Columns<T> &columns) {
  T all[kInt8Columns];
  memcpy(all, &columns, sizeof all);
  for (int64_t half = kInt8Columns / 2; half; half /= 2)
    for (int64_t c = 0; c < half; ++c)
      all[c] += all[c + half];
  return all[0];
}

template <typename T> KT_INLINE T mostOf(const Columns<T> &columns) {
  T all[kInt8Columns];
  memcpy(all, &columns, sizeof all);
  for (int64_t half = kInt8Columns / 2; half; half /= 2)
    for (int64_t c = 0; c < half; ++c)
      all[c] = std::max(all[c], all[c + half]);
  return all[0];
}

/// Of a panel, whose columns from `own` on are padding; `channel` is its first one.
template <typename F>
KT_INLINE bool quantizePanel(const char *from, int64_t rows, int64_t own, int64_t channel, char *to, float *scales,
                             RoundingError &error) {
  Row<F> most = largest<F>(from, rows, {});
  for (int64_t c = own; c < kInt8Columns; ++c)
    most[own - 1] = most[own - 1] < most[c] ? most[c] : most[own - 1];
  Floats divisors;
  bool wraps = false;
  for (int64_t c = 0; c < kInt8Columns; ++c) {
    int64_t of = std::min(c, own - 1);
    if (most[of] >= F::kInfinity)
      return false;
    scales[of] = scaleOf<F>(most[of]);
    divisors[c] = divisorOf(scales[of]);
    wraps |= divisors[c] < kLeastWhole;
  }
  Sums sums;
  if (wraps)
    round<F, true>(from, rows, divisors, to, sums);
  else
    round<F, false>(from, rows, divisors, to, sums);
  for (int64_t c = own; c < kInt8Columns; ++c) {
    sums.signal[own - 1] += sums.signal[c], sums.noise[own - 1] += sums.noise[c];
    sums.largest[own - 1] = std::max(sums.largest[own - 1], sums.largest[c]);
  }
  for (int64_t c = 0; c < own; ++c)
    error.addChannel(channel + c, divisors[c], sums.signal[c], sums.noise[c], sums.largest[c]);
  return true;
}

template <typename F>
KT_INLINE bool quantizeRow(const char *from, int64_t length, int64_t channel, char *to, float *scales,
                           RoundingError &error) {
  constexpr int64_t kBytes = sizeof(typename F::Magnitude);
  int64_t rows = length / kInt8Columns, whole = rows * kInt8Columns;
  char rest[kInt8Columns * kBytes] = {}, q[kInt8Columns]; // what is no whole 16, with zeros behind it
  memcpy(rest, from + whole * kBytes, (length - whole) * kBytes);
  Row<F> most = largest<F>(from, rows, largest<F>(rest, 1, {}));
  typename F::Magnitude all = mostOf<typename F::Magnitude>(most);
  if (all >= F::kInfinity)
    return false;
  *scales = scaleOf<F>(all);
  float divisor = divisorOf(*scales);
  Sums sums;
  auto roundRows = [&](const char *rows, int64_t count, char *to) KT_INLINE {
    if (divisor < kLeastWhole)
      round<F, true>(rows, count, Floats{} + divisor, to, sums);
    else
      round<F, false>(rows, count, Floats{} + divisor, to, sums);
  };
  roundRows(from, rows, to);
  if (whole < length) {
    roundRows(rest, 1, q);
    memcpy(to + whole, q, length - whole);
  }
  error.addChannel(channel, divisor, total<double>(sums.signal), total<double>(sums.noise),
                   mostOf<float>(sums.largest));
  return true;
}

template <typename F>
KT_INLINE bool quantize(const Int8Layout &layout, const char *from, int64_t block, char *to, float *scales,
                        RoundingError &error) {
  if (layout.inRows)
    return quantizeRow<F>(from, layout.length, block, to, scales, error);
  int64_t channel = layout.channelOf(block), left = layout.channels - channel % layout.channels;
  return quantizePanel<F>(from, layout.length, std::min(kInt8Columns, left), channel, to, scales, error);
}

} // namespace

void RoundingError::addChannel(int64_t channel, double scale, double squares, double errors, double mostSquared) {
  // Zeros, and numbers without a scale, which are next to nothing: any other channel has an element of 127 steps.
  if (squares < 1)
    return;
  double square = scale * scale;
  addColumn(channel, squares * square, errors * square, mostSquared * square, mostSquared);
}

void RoundingError::addColumn(int64_t channel, double squares, double errors, double mostSquared,
                              double mostSquaredInSteps) {
  // What a quotient of single precision cannot tell is no error.
  constexpr double kExact = 0x1p-60;
  signal += squares;
  if (errors <= squares * kExact)
    return;
  noise += errors;
  squareInSteps = std::max(squareInSteps, mostSquaredInSteps);
  square = std::max(square, mostSquared);
  if (errors * worstSignal > worstNoise * squares)
    worstSignal = squares, worstNoise = errors, worstChannel = channel;
}

void RoundingError::add(const RoundingError &other) {
  signal += other.signal, noise += other.noise;
  square = std::max(square, other.square), squareInSteps = std::max(squareInSteps, other.squareInSteps);
  if (other.worstNoise * worstSignal > worstNoise * other.worstSignal)
    worstSignal = other.worstSignal, worstNoise = other.worstNoise, worstChannel = other.worstChannel;
}

double kt::decibels(double signal, double noise) {
  return noise > 0 ? 10 * std::log10(signal / noise) : std::numeric_limits<double>::infinity();
}

KT_INLINE static bool quantizeAny(const Int8Layout &layout, FloatFormat format, const char *from, int64_t block,
                                  char *to, float *scales, RoundingError &error) {
  switch (format) {
  case FloatFormat::f32:
    return quantize<F32>(layout, from, block, to, scales, error);
  case FloatFormat::f16:
    return quantize<F16>(layout, from, block, to, scales, error);
  case FloatFormat::bf16:
    return quantize<BF16>(layout, from, block, to, scales, error);
  }
}

#ifdef __x86_64__
/// The same for CPUs with vectors of 256 bits, without the fused operations that would round otherwise.
__attribute__((target("avx2"))) static bool quantizeWide(const Int8Layout &layout, FloatFormat format, const char *from,
                                                         int64_t block, char *to, float *scales, RoundingError &error) {
  return quantizeAny(layout, format, from, block, to, scales, error);
}
#endif

bool kt::quantizeBlock(const Int8Layout &layout, FloatFormat format, const char *from, int64_t block, char *to,
                       float *scales, RoundingError &error) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2"))
    return quantizeWide(layout, format, from, block, to, scales, error);
#endif
  return quantizeAny(layout, format, from, block, to, scales, error);
}
