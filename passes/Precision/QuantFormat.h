//===- QuantFormat.h - how weights are stored in few bits -----------------===//

#ifndef KT_PASSES_PRECISION_QUANTFORMAT_H
#define KT_PASSES_PRECISION_QUANTFORMAT_H

#include <cstdint>
#include <optional>

namespace kt {

/// What a user asks of the weights of products: integers of `bits` bits, 4 or 8, or numbers of FP8 (E4M3), of which
/// `group` along k share a scale. Convolutions and tables have INT8 then. No bits: weights are as they are.
struct QuantFormat {
  unsigned bits = 0;
  int64_t group = 0;
  bool fp8 = false; // of 8 bits

  explicit operator bool() const { return bits; }
  bool operator==(const QuantFormat &) const = default;

  static QuantFormat int8() { return {8, 128}; }
  static QuantFormat int4() { return {4, 32}; }
  static QuantFormat ofFp8() { return {8, 128, true}; }
};

/// Weights with less signal to noise, in decibels, are stored in more bits unless a user says otherwise ("Weights of
/// few bits" in docs/design.md says why).
constexpr double leastSignalToNoise(unsigned bits) { return bits == 4 ? 12 : 25; }
/// The same with what a user says, which is of any form.
constexpr double leastSignalToNoise(unsigned bits, std::optional<double> asked) {
  return asked ? *asked : leastSignalToNoise(bits);
}

} // namespace kt

#endif
