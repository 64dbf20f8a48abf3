//===- ConvertFloats.cpp - floats in another type -------------------------===//

#include "passes/Precision/ConvertFloats.h"
#include "passes/Precision/FloatVectors.h"

using namespace kt;

namespace {

template <typename To> KT_INLINE Row<To> narrow(Floats values) {
  Words bits = (Words)values;
  if constexpr (std::is_same_v<To, F32>)
    return (Row<To>)bits;
  if constexpr (std::is_same_v<To, BF16>)
    return __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, Row<To>);
  // Below the least normal number the addition of a half rounds; elsewhere the carry goes into the exponent.
  constexpr uint32_t kLargest = 0x477fe000, kLeastNormal = 0x38800000, kRebias = 0x38000000;
  Words magnitude = bits & 0x7fffffff, over = (Words)(magnitude > kLargest);
  magnitude = (magnitude & ~over) | (over & kLargest);
  Words subnormal = (Words)(magnitude < kLeastNormal),
        small = (Words)((Floats)magnitude + 0.5f) - (Words)(Floats{} + 0.5f);
  Words normal = (magnitude - kRebias + 0xfff + (magnitude >> 13 & 1)) >> 13;
  return __builtin_convertvector((bits >> 16 & 0x8000) | (small & subnormal) | (normal & ~subnormal), Row<To>);
}

template <typename From, typename To> KT_INLINE bool convert(const char *source, int64_t count, char *out) {
  constexpr int64_t kFrom = sizeof(typename From::Magnitude), kTo = sizeof(typename To::Magnitude);
  Row<From> most = {};
  auto one = [&](const char *from, char *to) KT_INLINE {
    Row<From> row = load<From>(from), magnitude = row & From::kMagnitude;
    most = most < magnitude ? magnitude : most;
    Row<To> result = narrow<To>(From::widen(bitsOf<From>(row)));
    memcpy(to, &result, sizeof result);
  };
  int64_t whole = count / kInt8Columns * kInt8Columns, left = count - whole;
  for (int64_t i = 0; i < whole; i += kInt8Columns)
    one(source + i * kFrom, out + i * kTo);
  if (left) {
    char from[kInt8Columns * kFrom] = {}, to[kInt8Columns * kTo];
    memcpy(from, source + whole * kFrom, left * kFrom);
    one(from, to);
    memcpy(out + whole * kTo, to, left * kTo);
  }
  for (int64_t c = 0; c < kInt8Columns; ++c)
    if (most[c] >= From::kInfinity)
      return false;
  return true;
}

template <typename From> KT_INLINE bool convertFrom(FloatFormat to, const char *source, int64_t count, char *out) {
  switch (to) {
  case FloatFormat::f32:
    return convert<From, F32>(source, count, out);
  case FloatFormat::f16:
    return convert<From, F16>(source, count, out);
  case FloatFormat::bf16:
    return convert<From, BF16>(source, count, out);
  }
}

KT_INLINE bool convertAny(FloatFormat from, FloatFormat to, const char *source, int64_t count, char *out) {
  switch (from) {
  case FloatFormat::f32:
    return convertFrom<F32>(to, source, count, out);
  case FloatFormat::f16:
    return convertFrom<F16>(to, source, count, out);
  case FloatFormat::bf16:
    return convertFrom<BF16>(to, source, count, out);
  }
}

#ifdef __x86_64__
__attribute__((target("avx2"))) bool convertWide(FloatFormat from, FloatFormat to, const char *source, int64_t count,
                                                 char *out) {
  return convertAny(from, to, source, count, out);
}
#endif

} // namespace

bool kt::convertFinite(FloatFormat from, FloatFormat to, const char *source, int64_t count, char *out) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2"))
    return convertWide(from, to, source, count, out);
#endif
  return convertAny(from, to, source, count, out);
}
