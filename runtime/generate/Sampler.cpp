//===- Sampler.cpp - one token from logits --------------------------------===//

#include "runtime/generate/Sampler.h"
#include "runtime/artifact/Half.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

namespace kt::generate {

namespace {
/// Bits of a floating-point number as an unsigned one in the same order; 0 for what is not a number. `infinity` are the
/// bits of that.
template <typename Bits> Bits ordered(Bits bits, Bits infinity) {
  constexpr auto sign = static_cast<Bits>(Bits(1) << (8 * sizeof(Bits) - 1));
  auto magnitude = static_cast<Bits>(bits & ~sign);
  Bits key = magnitude == 0 ? sign : bits & sign ? static_cast<Bits>(~bits) : static_cast<Bits>(bits | sign);
  return magnitude > infinity ? Bits(0) : key;
}

/// A hundred thousand and more a token: a loop that vectorises, and one that ends at the first.
template <typename Bits> int64_t largest(const Bits *values, size_t count, Bits infinity) {
  Bits most = 0;
  for (size_t i = 0; i < count; ++i)
    most = std::max(most, ordered(values[i], infinity));
  for (size_t i = 0; most && i < count; ++i)
    if (ordered(values[i], infinity) == most)
      return static_cast<int64_t>(i);
  return -1;
}

Status unsupported(DataType type) {
  return Status::usage(std::string("logits are ") + name(type) + ", expected f32, f16 or bf16");
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
    return unsupported(type);
  const auto *half = static_cast<const uint16_t *>(data);
  for (size_t i = 0; i < count; ++i)
    to[i] = type == DataType::f16 ? artifact::halfToFloat(half[i]) : std::bit_cast<float>(uint32_t(half[i]) << 16);
  return {};
}

Status noNumber() { return Status::failed("no logit is a number"); }

Result<int64_t> likeliest(DataType type, const void *logits, size_t count) {
  switch (type) {
  case DataType::f32:
    return largest(static_cast<const uint32_t *>(logits), count, uint32_t(0x7f800000));
  case DataType::f16:
    return largest(static_cast<const uint16_t *>(logits), count, uint16_t(0x7c00));
  case DataType::bf16:
    return largest(static_cast<const uint16_t *>(logits), count, uint16_t(0x7f80));
  default:
    return unsupported(type);
  }
}

Result<int64_t> Sampler::next(DataType type, const void *logits, size_t count) {
  auto best = likeliest(type, logits, count);
  if (best.ok() && *best < 0)
    return noNumber();
  if (!best.ok() || sampling.temperature <= 0)
    return best;
  KT_RETURN_IF_ERROR(widen(type, logits, count, values));
  return draw();
}

/// A token of those that top-k and top-p leave, with the probability that it has among them. Of a vocabulary's tokens
/// only so many are sorted as it takes to come to the one that is drawn.
int64_t Sampler::draw() {
  order.resize(values.size());
  std::iota(order.begin(), order.end(), 0u);
  auto likelier = [&](uint32_t a, uint32_t b) {
    float x = std::isnan(values[a]) ? -INFINITY : values[a], y = std::isnan(values[b]) ? -INFINITY : values[b];
    return x != y ? x > y : a < b;
  };
  size_t sorted = 0;
  auto ranked = [&](size_t i) {
    while (i >= sorted) {
      auto begin = order.begin() + static_cast<ptrdiff_t>(sorted);
      sorted = std::min(order.size(), std::max<size_t>(64, 4 * sorted));
      auto end = order.begin() + static_cast<ptrdiff_t>(sorted);
      std::nth_element(begin, end - 1, order.end(), likelier);
      std::sort(begin, end, likelier);
    }
    return order[i];
  };
  uint32_t first = ranked(0);
  auto weight = [&](uint32_t token) {
    double distance = (static_cast<double>(values[token]) - values[first]) / sampling.temperature;
    return std::isnan(distance) ? (token == first ? 1 : 0) : std::exp(distance); // infinities less each other
  };
  size_t most = sampling.topK ? std::min<size_t>(sampling.topK, order.size()) : order.size();
  double sum = 0;
  for (size_t i = 0; i < most; ++i)
    sum += weight(sampling.topK ? ranked(i) : static_cast<uint32_t>(i));
  double kept = sum;
  size_t count = most;
  if (sampling.topP < 1)
    for (kept = 0, count = 0; count < most && (count == 0 || kept < sampling.topP * sum); ++count)
      kept += weight(ranked(count));
  // 53 bits of a double in [0, 1).
  double at = static_cast<double>(random() >> 11) * 0x1p-53 * kept;
  size_t chosen = 0;
  double own = weight(first);
  while (at >= own && chosen + 1 < count) {
    at -= own;
    own = weight(ranked(chosen + 1));
    if (own == 0) // the sum was rounded: what cannot be is not drawn
      break;
    ++chosen;
  }
  return ranked(chosen);
}

} // namespace kt::generate
