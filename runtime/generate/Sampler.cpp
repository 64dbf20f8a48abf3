//===- Sampler.cpp - one token from logits --------------------------------===//

#include "runtime/generate/Sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

namespace kt::generate {

namespace {
float halfToFloat(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0)
    return std::ldexp(static_cast<float>(mantissa), -24) * (sign ? -1.0f : 1.0f);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}
} // namespace

Status widen(DataType type, const void *data, size_t count, std::vector<float> &to) {
  to.resize(count);
  if (type == DataType::f32) {
    if (count)
      std::memcpy(to.data(), data, count * sizeof(float));
    return {};
  }
  if (type != DataType::f16 && type != DataType::bf16)
    return Status::usage(std::string("logits are ") + name(type) + ", expected f32, f16 or bf16");
  const auto *half = static_cast<const uint16_t *>(data);
  for (size_t i = 0; i < count; ++i)
    to[i] = type == DataType::f16 ? halfToFloat(half[i]) : std::bit_cast<float>(uint32_t(half[i]) << 16);
  return {};
}

Result<int64_t> Sampler::next(DataType type, const void *logits, size_t count) {
  KT_RETURN_IF_ERROR(widen(type, logits, count, values));
  // What is not a number is never the likeliest.
  auto best = std::max_element(values.begin(), values.end(),
                               [](float a, float b) { return std::isnan(a) ? !std::isnan(b) : a < b; });
  if (best == values.end() || std::isnan(*best))
    return Status::failed("no logit is a number");
  if (sampling.temperature <= 0)
    return best - values.begin();
  return draw();
}

/// A token of those that top-k and top-p leave, with the probability that it has among them.
int64_t Sampler::draw() {
  order.resize(values.size());
  std::iota(order.begin(), order.end(), 0u);
  auto likelier = [&](uint32_t a, uint32_t b) {
    float x = std::isnan(values[a]) ? -INFINITY : values[a], y = std::isnan(values[b]) ? -INFINITY : values[b];
    return x != y ? x > y : a < b;
  };
  size_t most = sampling.topK ? std::min<size_t>(sampling.topK, order.size()) : order.size();
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(most), order.end(), likelier);
  double largest = values[order[0]], sum = 0;
  std::vector<double> weights(most);
  for (size_t i = 0; i < most; ++i) {
    double distance = (values[order[i]] - largest) / sampling.temperature;
    weights[i] = std::isnan(distance) ? (i == 0 ? 1 : 0) : std::exp(distance); // infinities less each other
    sum += weights[i];
  }
  double kept = 0;
  size_t count = 0;
  while (count < most && (count == 0 || kept < sampling.topP * sum))
    kept += weights[count++];
  // 53 bits of a double in [0, 1).
  double at = static_cast<double>(random() >> 11) * 0x1p-53 * kept;
  for (size_t i = 0; i + 1 < count; ++i)
    if ((at -= weights[i]) < 0)
      return order[i];
  return order[count - 1];
}

} // namespace kt::generate
