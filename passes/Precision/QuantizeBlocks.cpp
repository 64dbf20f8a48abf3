//===- QuantizeBlocks.cpp - floats as numbers of few bits, in blocks ------===//
//
// A block at a time, which stays in the first cache: its largest elements, the scales, the rounding. A column is a lane
// all the time, so that the words of 16 columns, too, are made by vectors.
//
//===----------------------------------------------------------------------===//

#include "passes/Precision/QuantizeBlocks.h"
#include "dialects/KT/IR/WordOrder.h"
#include "passes/Precision/FloatVectors.h"

using namespace kt;

// One result on all CPUs, also on those that have fused operations.
#pragma clang fp contract(off)

namespace {

constexpr int64_t kMostGroup = 256;

/// Of INT4: what the element of largest magnitude is taken for, in eighths of the largest step. Beyond 1 it is cut off.
/// Of Gaussian, Laplacian and uniform numbers in groups of 16 to 256, as many as sixty leave 0.03 dB less noise.
constexpr float kCandidates[] = {0.875f, 0.92f, 0.96f, 1.0f, 1.05f, 1.1f, 1.17f, 1.25f, 1.35f};

/// Magnitudes below are zeros: quotients of a scale that is normal are normal.
constexpr float kNothing = 0x1p-100f;

KT_INLINE Floats least(Floats a, Floats b) { return a < b ? a : b; }
KT_INLINE Floats most(Floats a, Floats b) { return a > b ? a : b; }
KT_INLINE Floats choose(Columns<int32_t> where, Floats a, Floats b) { return where ? a : b; }

KT_INLINE bool any(Columns<int32_t> where) {
  int32_t all[kInt8Columns], some = 0;
  memcpy(all, &where, sizeof all);
  for (int32_t one : all)
    some |= one;
  return some;
}

/// The rows of a block that there are.
template <typename F> struct Source {
  const char *from;
  int64_t rows;

  KT_INLINE Floats operator[](int64_t r) const { return F::widen(bitsOf<F>(load<F>(from + r * sizeof(Row<F>)))); }
};

/// The element of largest magnitude of each column, the positive one of two; 0 where there is nothing.
template <typename F> KT_INLINE Floats extremes(const Source<F> &source) {
  Floats low = {}, high = {};
  for (int64_t r = 0; r < source.rows; ++r)
    low = least(low, source[r]), high = most(high, source[r]);
  Floats extreme = choose(high >= -low, high, low);
  return choose(most(extreme, -extreme) < kNothing, Floats{}, extreme);
}

/// The scales of INT4 that leave least of sum(h (w - q s)^2). For integers q the best scale is sum(h w q) / sum(h q^2),
/// and leaves sum(h w^2) - sum(h w q)^2 / sum(h q^2). What varies is which integers: those nearest to the quotients by
/// a candidate.
template <typename F, bool Weighted>
KT_INLINE Floats bestScales(const Source<F> &source, Floats extreme, const float *importance) {
  Floats unit = extreme / -8.0f, inverse = choose(extreme == 0.0f, Floats{}, 1.0f / unit);
  Floats units[kMostGroup];
  for (int64_t r = 0; r < source.rows; ++r)
    units[r] = source[r] * inverse;
  Floats gain = {}, best = Floats{} + 1.0f;
  for (float candidate : kCandidates) {
    Floats products = {}, squares = {};
    for (int64_t r = 0; r < source.rows; ++r) {
      Floats q = most(least(units[r] * candidate, Floats{} + 7.0f), Floats{} - 8.0f) + kInteger - kInteger;
      Floats weighted = q;
      if constexpr (Weighted)
        weighted *= importance[r];
      products += units[r] * weighted;
      squares += q * weighted;
    }
    Floats scale = products / choose(squares > 0.0f, squares, Floats{} + 1.0f), gained = products * scale;
    auto better = gained > gain;
    gain = choose(better, gained, gain), best = choose(better, scale, best);
  }
  return unit * best;
}

/// As FP16, to the nearest, ties to even. What is subnormal there is rounded up: it has few digits, and a scale that is
/// too small cuts off what is largest. Each value as single precision has it, its bits, and whether all have digits
/// enough.
struct Halves {
  Floats values;
  Columns<uint16_t> bits;
  bool fit;
};
KT_INLINE Halves toHalves(Floats values) {
  constexpr uint32_t kRebias = (127 - 15) << 23, kBeyond = kRebias + (31 << 23);
  constexpr float kNormal = 0x1p-14f, kUnit = 0x1p-24f, kLeast = 32 * kUnit;
  Words word = (Words)values, sign = word & 0x80000000;
  Floats magnitude = (Floats)(word & 0x7fffffff);
  Words normal = ((Words)magnitude + 0xfff + (word >> 13 & 1)) & ~0x1fffu;
  // Halves have units of 2^-24 in single precision.
  Floats units = (magnitude + 0.5f - 0.5f) / kUnit;
  units = choose(units * kUnit < magnitude, units + 1.0f, units);
  auto isNormal = magnitude >= kNormal;
  Words rounded = (Words)choose(isNormal, (Floats)normal, units * kUnit);
  Words bits = isNormal ? (normal - kRebias) >> 13 : __builtin_convertvector(units, Words);
  return {(Floats)(rounded | sign), __builtin_convertvector(bits | sign >> 16, Columns<uint16_t>),
          !any((magnitude < kLeast) | (normal >= kBeyond))};
}

/// Squares of quotients and of their errors, summed up for each column, and the largest of the latter.
struct Sums {
  Floats signal = {}, noise = {}, largest = {};
};

/// What numbers of a format are: the bits of those nearest to some quotients, and their values.
struct Rounded {
  Words bits;
  Floats values;
};

/// Integers from 0 up, the middle of which is 0.
template <int Bits> struct Integers {
  static constexpr int kBits = Bits;
  static constexpr uint32_t kZero = 1 << (Bits - 1);

  static KT_INLINE Rounded nearest(Floats steps) {
    Floats integer = most(least(steps, Floats{} + (kZero - 1.0f)), Floats{} - (float)kZero) + kInteger;
    return {((Words)integer + kZero) & ((1 << Bits) - 1), integer - kInteger};
  }
};

/// E4M3: four bits of mantissa with the first one, down to units of 2^-9; 448 is the largest.
struct Fp8 {
  static constexpr int kBits = 8;
  static constexpr uint32_t kZero = 0;
  static constexpr float kLargest = 448;

  static KT_INLINE Rounded nearest(Floats steps) {
    constexpr float kNormal = 0x1p-6f, kUnits = 0x1.8p14f; // 1.5 * 2^23 units of 2^-9
    constexpr uint32_t kRebias = (127 - 7) << 23;
    Words sign = (Words)steps & 0x80000000;
    Floats magnitude = least((Floats)((Words)steps & 0x7fffffff), Floats{} + kLargest);
    Words normal = ((Words)magnitude + 0x7ffff + ((Words)magnitude >> 20 & 1)) & ~0xfffffu;
    Floats units = magnitude + kUnits; // the last bits of its mantissa count units
    auto isNormal = magnitude >= kNormal;
    Floats value = choose(isNormal, (Floats)normal, units - kUnits);
    Words bits = isNormal ? (normal - kRebias) >> 20 : (Words)units & 0xf;
    return {bits | sign >> 24, (Floats)((Words)value | sign)};
  }
};

/// Rounds a row's quotients and sums up what that costs.
template <typename Numbers> KT_INLINE Words round(Floats row, Floats scale, Sums &sums) {
  // Squares of the least quotients would be subnormal, of which CPUs may take a hundred cycles each.
  Floats steps = row / scale + 0x1p-50f;
  Rounded rounded = Numbers::nearest(steps);
  Floats error = steps - rounded.values;
  error *= error;
  sums.signal += steps * steps;
  sums.noise += error;
  sums.largest = most(sums.largest, error);
  return rounded.bits;
}

/// Rounds a block and writes its words; numbers behind its rows are zero.
template <typename Numbers, typename F>
KT_INLINE Sums writeWords(const Source<F> &source, int64_t group, Floats scale, char *to) {
  constexpr int Bits = Numbers::kBits;
  const WordOrder order{Bits, group};
  int64_t offsets[32 / Bits];
  for (unsigned i = 0; i < 32 / Bits; ++i)
    offsets[i] = order.offsetOf(i);
  Sums sums;
  for (int64_t row = 0; row < group * Bits / 32; ++row, to += sizeof(Words)) {
    int64_t first = order.firstOf(row);
    Words words = {};
    for (unsigned i = 0; i < 32 / Bits; ++i) {
      int64_t k = first + offsets[i];
      Words q = Words{} + Numbers::kZero;
      if (k < source.rows)
        q = round<Numbers>(source[k], scale, sums);
      words |= q << order.shiftOf(i);
    }
    memcpy(to, &words, sizeof words);
  }
  return sums;
}

/// What the element of largest magnitude of a group of 8-bit numbers becomes.
template <typename Numbers> constexpr float largestOf() { return 127; }
template <> constexpr float largestOf<Fp8>() { return Fp8::kLargest; }

/// What the columns of a panel have of everything.
struct Totals {
  Columns<double> signal = {}, noise = {}, largest = {};
  Floats largestInSteps = {};

  KT_INLINE void add(const Sums &sums, Floats scale) {
    auto square = __builtin_convertvector(scale, Columns<double>);
    square *= square;
    signal += __builtin_convertvector(sums.signal, Columns<double>) * square;
    noise += __builtin_convertvector(sums.noise, Columns<double>) * square;
    largestInSteps = most(largestInSteps, sums.largest);
    auto error = __builtin_convertvector(sums.largest, Columns<double>) * square;
    largest = largest > error ? largest : error;
  }
};

template <typename Numbers, typename F, bool Weighted>
KT_INLINE Blocked quantize(const BlockFormat &blocks, const char *from, int64_t k, const float *importance, char *to,
                           int64_t channel, RoundingError &error) {
  Totals totals;
  Floats ofColumn = {};
  if (blocks.perColumn)
    ofColumn = extremes(Source<F>{from, k});
  for (int64_t begin = 0; begin < k; begin += blocks.group, to += blocks.blockBytes()) {
    Source<F> source{from + begin * sizeof(Row<F>), std::min(blocks.group, k - begin)};
    if (any(__builtin_convertvector(largest<F>(source.from, source.rows, {}) >= F::kInfinity, Columns<int32_t>)))
      return Blocked::notFinite;
    Floats extreme = blocks.perColumn ? ofColumn : extremes(source), scale;
    if constexpr (Numbers::kBits == 4)
      scale = bestScales<F, Weighted>(source, extreme, importance ? importance + begin : nullptr);
    else
      scale = most(extreme, -extreme) / largestOf<Numbers>();
    scale = choose(extreme == 0.0f, Floats{} + 1.0f, scale);
    if (blocks.halfScales) {
      Halves halves = toHalves(scale);
      if (!halves.fit)
        return Blocked::noScale;
      scale = halves.values;
      memcpy(to, &halves.bits, sizeof halves.bits);
    } else {
      memcpy(to, &scale, sizeof scale);
    }
    Sums sums = writeWords<Numbers>(source, blocks.group, scale, to + kInt8Columns * blocks.scaleBytes());
    totals.add(sums, choose(extreme == 0.0f, Floats{}, scale)); // what is nothing loses nothing
  }
  for (int64_t c = 0; c < kInt8Columns; ++c)
    error.addColumn(channel + c, totals.signal[c], totals.noise[c], totals.largest[c], totals.largestInSteps[c]);
  return Blocked::done;
}

template <typename F>
KT_INLINE Blocked quantizeAs(const BlockFormat &blocks, const char *from, int64_t k, const float *importance, char *to,
                             int64_t channel, RoundingError &error) {
  if (blocks.fp8)
    return quantize<Fp8, F, false>(blocks, from, k, nullptr, to, channel, error);
  if (blocks.bits == 8)
    return quantize<Integers<8>, F, false>(blocks, from, k, nullptr, to, channel, error);
  if (importance)
    return quantize<Integers<4>, F, true>(blocks, from, k, importance, to, channel, error);
  return quantize<Integers<4>, F, false>(blocks, from, k, nullptr, to, channel, error);
}

KT_INLINE Blocked quantizeAny(const BlockFormat &blocks, FloatFormat format, const char *from, int64_t k,
                              const float *importance, char *to, int64_t channel, RoundingError &error) {
  switch (format) {
  case FloatFormat::f32:
    return quantizeAs<F32>(blocks, from, k, importance, to, channel, error);
  case FloatFormat::f16:
    return quantizeAs<F16>(blocks, from, k, importance, to, channel, error);
  case FloatFormat::bf16:
    return quantizeAs<BF16>(blocks, from, k, importance, to, channel, error);
  }
}

#ifdef __x86_64__
/// The same for CPUs with vectors of 256 bits.
__attribute__((target("avx2"))) Blocked quantizeWide(const BlockFormat &blocks, FloatFormat format, const char *from,
                                                     int64_t k, const float *importance, char *to, int64_t channel,
                                                     RoundingError &error) {
  return quantizeAny(blocks, format, from, k, importance, to, channel, error);
}
#endif

} // namespace

BlockFormat BlockFormat::fitting(int64_t k) const {
  constexpr int64_t kLeastGroup = 16;
  BlockFormat best = *this;
  for (BlockFormat other = *this; other.group >= kLeastGroup; other.group /= 2)
    if (other.panelBytes(k) < best.panelBytes(k))
      best = other;
  return best;
}

Blocked kt::quantizePanel(const BlockFormat &blocks, FloatFormat format, const char *from, int64_t k,
                          const float *importance, char *to, int64_t channel, RoundingError &error) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2"))
    return quantizeWide(blocks, format, from, k, importance, to, channel, error);
#endif
  return quantizeAny(blocks, format, from, k, importance, to, channel, error);
}
