//===- Half.h - numbers of 16 bits ----------------------------------------===//

#ifndef KT_RUNTIME_ARTIFACT_HALF_H
#define KT_RUNTIME_ARTIFACT_HALF_H

#include <bit>
#include <cmath>
#include <cstdint>

namespace kt::artifact {

/// The number that the bits of an f16 are.
inline float halfToFloat(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0)
    return std::ldexp(static_cast<float>(mantissa), -24) * (sign ? -1.0f : 1.0f);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

} // namespace kt::artifact

#endif
