//===- Sampler.h - one token from logits ----------------------------------===//

#ifndef KT_RUNTIME_GENERATE_SAMPLER_H
#define KT_RUNTIME_GENERATE_SAMPLER_H

#include "kt/Generate.h"

#include <random>

namespace kt::generate {

/// Draws tokens one after the other. The generator of random numbers is the standard's mt19937_64, and numbers are made
/// of its output here, since the standard leaves its distributions to libraries.
class Sampler {
public:
  /// Streams of one seed have sequences of their own.
  explicit Sampler(const Sampling &sampling, uint64_t stream = 0)
      : sampling(sampling), random(sampling.seed + stream * 0x9e3779b97f4a7c15) {}
  /// `logits` are `count` elements of a floating-point type. Code::failed where none of them is a number.
  Result<int64_t> next(DataType type, const void *logits, size_t count);

private:
  int64_t draw();

  Sampling sampling;
  std::mt19937_64 random;
  std::vector<float> values;
  std::vector<uint32_t> order;
};

/// The number of the largest element that is a number, the first of equals; -1 where none is. Types as below.
Result<int64_t> likeliest(DataType type, const void *logits, size_t count);
/// What is said where none of the logits is a number.
Status noNumber();
/// Elements of f32, f16 or bf16 as floats.
Status widen(DataType type, const void *data, size_t count, std::vector<float> &to);

} // namespace kt::generate

#endif
