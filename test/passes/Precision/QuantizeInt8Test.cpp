//===- QuantizeInt8Test.cpp - floats as INT8, against a plain loop --------===//
//
// The reference goes over a weight element by element, with LLVM's own conversion to single precision, a division and
// the C library's rounding. Everything has to agree in every byte: numbers of all sizes, subnormal ones, zeros of both
// signs, and layouts whose sizes are multiples of nothing.
//
//===----------------------------------------------------------------------===//

#include "passes/Precision/QuantizeInt8.h"
#include "test/passes/Precision/FloatFormats.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <cmath>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <optional>
#include <random>
#include <vector>

namespace kt::test {
namespace {

uint32_t signOf(FloatFormat f) { return 1u << (8 * bytesOf(f) - 1); }
uint32_t infinityOf(FloatFormat f) {
  return f == FloatFormat::f32 ? 0x7f800000 : f == FloatFormat::f16 ? 0x7c00 : 0x7f80;
}

/// A weight's elements as bits, and as bytes from an odd address on.
struct Weight {
  FloatFormat format;
  std::vector<uint32_t> bits;

  std::vector<char> bytes() const {
    std::vector<char> out(1);
    for (uint32_t b : bits)
      out.insert(out.end(), reinterpret_cast<const char *>(&b), reinterpret_cast<const char *>(&b) + bytesOf(format));
    return out;
  }
  float at(int64_t i) const {
    return llvm::APFloat(semanticsOf(format), llvm::APInt(8 * bytesOf(format), bits[i])).convertToFloat();
  }
};

struct Quantized {
  std::vector<char> values;
  std::vector<float> scales;
  RoundingError error;
};

std::optional<Quantized> reference(const Weight &w, int64_t channels, llvm::function_ref<int64_t(int64_t)> channelOf) {
  Quantized out{std::vector<char>(w.bits.size()), std::vector<float>(channels, 0), {}};
  for (int64_t i = 0; i < (int64_t)w.bits.size(); ++i) {
    if (!std::isfinite(w.at(i)))
      return std::nullopt;
    out.scales[channelOf(i)] = std::max(out.scales[channelOf(i)], std::fabs(w.at(i)));
  }
  for (float &s : out.scales)
    s = s > 0 ? s / 127 : 1;
  for (int64_t i = 0; i < (int64_t)w.bits.size(); ++i) {
    float s = out.scales[channelOf(i)];
    out.values[i] = s > 0 ? (char)std::lrint(w.at(i) / s) : 0;
  }
  return out;
}

std::optional<Quantized> quantized(const Weight &w, const Int8Layout &layout) {
  EXPECT_EQ((int64_t)w.bits.size(), layout.blocks() * layout.blockElements());
  std::vector<char> from = w.bytes();
  int64_t elements = layout.blockElements(), bytes = (int64_t)(from.size() - 1) / layout.blocks();
  Quantized out{std::vector<char>(w.bits.size() + 1, 0x55), std::vector<float>(layout.scales() + 1, -1), {}};
  // In any order, as threads come; what it costs comes in two parts.
  RoundingError some;
  for (int64_t block = layout.blocks(); block-- > 0;)
    if (!quantizeBlock(layout, w.format, from.data() + 1 + block * bytes, block, out.values.data() + block * elements,
                       out.scales.data() + layout.channelOf(block), block % 2 ? some : out.error))
      return std::nullopt;
  out.error.add(some);
  EXPECT_EQ(out.values.back(), 0x55);
  EXPECT_EQ(out.scales.back(), -1);
  out.values.pop_back(), out.scales.pop_back();
  return out;
}

void expectEqual(const std::optional<Quantized> &a, const std::optional<Quantized> &b) {
  ASSERT_EQ(a.has_value(), b.has_value());
  if (!a)
    return;
  EXPECT_EQ(a->values, b->values);
  ASSERT_EQ(a->scales.size(), b->scales.size());
  EXPECT_EQ(memcmp(a->scales.data(), b->scales.data(), a->scales.size() * sizeof(float)), 0);
}

/// What rounding cost, element by element, from what was stored. A quotient of single precision is off by up to 2^-17.
void expectError(const Weight &w, const Quantized &q, llvm::function_ref<int64_t(int64_t)> channelOf) {
  std::vector<double> signal(q.scales.size()), noise(q.scales.size());
  double largest = 0, largestInSteps = 0;
  for (int64_t i = 0; i < (int64_t)w.bits.size(); ++i) {
    int64_t c = channelOf(i);
    double scale = q.scales[c], error = w.at(i) - (signed char)q.values[i] * scale;
    if (scale == 0)
      continue; // numbers that are next to nothing
    signal[c] += (double)w.at(i) * w.at(i), noise[c] += error * error;
    largest = std::max(largest, std::fabs(error)), largestInSteps = std::max(largestInSteps, std::fabs(error) / scale);
  }
  double all = 0, lost = 0, worst = 0;
  for (size_t c = 0; c < signal.size(); ++c) {
    all += signal[c], lost += noise[c];
    worst = std::max(worst, noise[c] > 0 ? noise[c] / signal[c] : 0);
  }
  constexpr double kStep = 1e-5;
  EXPECT_NEAR(q.error.signal, all, 1e-5 * all);
  EXPECT_NEAR(q.error.noise, lost, 1e-3 * lost + 1e-9 * all);
  EXPECT_NEAR(std::sqrt(q.error.squareInSteps), largestInSteps, kStep + 1e-5 * largestInSteps);
  EXPECT_NEAR(std::sqrt(q.error.square), largest, 1e-4 * largest + kStep * *llvm::max_element(q.scales));
  if (worst < 1e-8)
    return; // as good as exact, or what quotients' rounding decides
  ASSERT_TRUE(q.error.worstChannel >= 0 && q.error.worstChannel < (int64_t)signal.size());
  EXPECT_NEAR(noise[q.error.worstChannel] / signal[q.error.worstChannel], worst, 2e-3 * worst);
  EXPECT_NEAR(q.error.worstNoise / q.error.worstSignal, worst, 2e-3 * worst);
}

/// A layout with the channel of each of its elements, written down once more.
struct Case {
  Int8Layout layout;
  std::function<int64_t(int64_t)> channelOf;
};

/// Products of `parts`, whose panels take turns.
Case product(int64_t panels, int64_t k, int64_t parts) {
  int64_t channels = panels * 16;
  return {Int8Layout::panels(parts, channels / parts, k, true), [=](int64_t i) {
            int64_t panel = i / (k * 16);
            return panel % parts * (channels / parts) + panel / parts * 16 + i % 16;
          }};
}
/// Convolutions, whose groups follow one another; lanes beyond a group's outputs count to its last one.
Case convolution(int64_t groups, int64_t outputs, int64_t rows) {
  int64_t panels = (outputs + 15) / 16, block = rows * 16;
  return {Int8Layout::panels(groups, outputs, rows, false), [=](int64_t i) {
            int64_t o = i / block % panels * 16 + i % 16;
            return i / (block * panels) * outputs + std::min(o, outputs - 1);
          }};
}
Case table(int64_t count, int64_t length) {
  return {Int8Layout::rows(count, length), [=](int64_t i) { return i / length; }};
}

std::vector<Case> cases() {
  return {product(1, 1, 1),      product(1, 37, 1),     product(5, 3, 1),      product(6, 7, 2),
          product(9, 5, 3),      convolution(1, 16, 4), convolution(1, 21, 9), convolution(3, 5, 7),
          convolution(2, 33, 2), convolution(4, 1, 3),  table(1, 8),           table(7, 16),
          table(3, 31),          table(5, 100),         table(2, 257),         table(40, 9),
          product(2, 150, 1),    table(2, 1500)};
}

struct QuantizeInt8 : testing::TestWithParam<FloatFormat> {
  FloatFormat format = GetParam();
  std::mt19937 random{1};

  /// `draw` for the elements of every layout, several times.
  void compare(llvm::function_ref<uint32_t(int64_t channel)> draw, bool finite = true) {
    for (const Case &c : cases())
      for (int turn = 0; turn < 20; ++turn) {
        Weight w{format, {}};
        for (int64_t i = 0; i < c.layout.blocks() * c.layout.blockElements(); ++i)
          w.bits.push_back(draw(c.channelOf(i)));
        auto expected = reference(w, c.layout.scales(), c.channelOf);
        if (finite)
          EXPECT_TRUE(expected.has_value());
        auto out = quantized(w, c.layout);
        expectEqual(expected, out);
        if (out)
          expectError(w, *out, c.channelOf);
      }
  }
  /// Bits of a finite number below `limit`, with a sign.
  uint32_t below(uint32_t limit) { return (uint32_t)random() % limit | ((uint32_t)random() & signOf(format)); }
};

INSTANTIATE_TEST_SUITE_P(Formats, QuantizeInt8, testing::ValuesIn(kFormats));

TEST_P(QuantizeInt8, AnyFiniteBits) {
  compare([&](int64_t) { return below(infinityOf(format)); });
}

TEST_P(QuantizeInt8, NumbersOfOneSize) {
  // Some binades, so that quotients take all values: where bits are drawn, one large number makes the others zeros.
  uint32_t one = infinityOf(format) / 2, binade = infinityOf(format) & -infinityOf(format);
  compare([&](int64_t) { return below(7 * binade) + (one - 6 * binade); });
}

TEST_P(QuantizeInt8, Subnormal) {
  uint32_t least = infinityOf(format) & -infinityOf(format); // the least normal number
  for (uint32_t limit : {2u, 70u, 200u, 1000u, least, 2 * least})
    compare([&](int64_t) { return below(std::min(limit, 2 * least)); });
}

TEST_P(QuantizeInt8, ZerosOfBothSigns) {
  compare([&](int64_t channel) { return channel % 3 ? below(infinityOf(format) / 2) : below(1); });
}

TEST_P(QuantizeInt8, Halves) {
  auto bitsOf = [&](float v) {
    llvm::APFloat f(v);
    bool inexact;
    f.convert(semanticsOf(format), llvm::APFloat::rmNearestTiesToEven, &inexact);
    EXPECT_FALSE(inexact);
    return (uint32_t)f.bitcastToAPInt().getZExtValue();
  };
  // 127 makes the scale 1.
  Weight w{format, {}};
  for (float v : {127.0f, 0.5f, 1.5f, 2.5f, -1.5f, -2.5f, -126.5f, 126.0f})
    w.bits.push_back(bitsOf(v));
  auto out = quantized(w, Int8Layout::rows(1, 8));
  ASSERT_TRUE(out);
  EXPECT_EQ(out->scales[0], 1);
  EXPECT_EQ(out->values, (std::vector<char>{127, 0, 2, 2, -2, -2, -126, 126}));
}

TEST_P(QuantizeInt8, NothingIsLost) {
  // Whole steps, and a row of zeros, which is no channel without a signal.
  Weight w{format, {}};
  uint32_t one = format == FloatFormat::f32 ? 0x3f800000 : format == FloatFormat::f16 ? 0x3c00 : 0x3f80;
  uint32_t most = format == FloatFormat::f32 ? 0x42fe0000 : format == FloatFormat::f16 ? 0x57f0 : 0x42fe; // 127
  for (int i = 0; i < 16; ++i)
    w.bits.push_back(i == 3 ? most : i < 8 ? one : 0);
  w.bits.resize(32, 0);
  auto out = quantized(w, Int8Layout::rows(2, 16));
  ASSERT_TRUE(out);
  EXPECT_DOUBLE_EQ(out->error.signal, 127 * 127 + 7);
  EXPECT_EQ(out->error.noise, 0);
  EXPECT_EQ(out->error.worstChannel, -1);
  EXPECT_EQ(decibels(out->error.signal, out->error.noise), HUGE_VAL);
}

TEST_P(QuantizeInt8, WhatIsLost) {
  // Steps of 1: eight elements lose a half each, and one row loses nothing.
  Weight w{format, {}};
  uint32_t half = format == FloatFormat::f32 ? 0x3f000000 : format == FloatFormat::f16 ? 0x3800 : 0x3f00;
  uint32_t most = format == FloatFormat::f32 ? 0x42fe0000 : format == FloatFormat::f16 ? 0x57f0 : 0x42fe;
  w.bits.assign(16, 0);
  w.bits[0] = most;
  w.bits.resize(32, half);
  for (int i = 8; i < 16; ++i)
    w.bits[16 + i] = most;
  auto out = quantized(w, Int8Layout::rows(2, 16));
  ASSERT_TRUE(out);
  EXPECT_NEAR(out->error.noise, 8 * 0.25, 1e-6);
  EXPECT_NEAR(out->error.signal, 9 * 127 * 127 + 2, 1e-6);
  EXPECT_EQ(out->error.worstChannel, 1);
  EXPECT_NEAR(out->error.squareInSteps, 0.25, 1e-6);
  EXPECT_NEAR(out->error.square, 0.25, 1e-6);
  EXPECT_NEAR(decibels(1000, 1), 30, 1e-9);
}

TEST_P(QuantizeInt8, EveryHalf) {
  // In rows of 64 neighbours; single precision's upper 16 bits.
  uint32_t step = bytesOf(format) == 4 ? 1 << 16 : 1;
  for (uint32_t begin = 0; begin < infinityOf(format); begin += 64 * step) {
    Weight w{format, {}};
    for (uint32_t i = 0; i < 64; ++i)
      w.bits.push_back((begin + i * step) | (i % 3 ? 0 : signOf(format)));
    expectEqual(reference(w, 1, [](int64_t) { return 0; }), quantized(w, Int8Layout::rows(1, 64)));
  }
}

TEST_P(QuantizeInt8, WhatIsNotFinite) {
  uint32_t infinity = infinityOf(format);
  for (uint32_t bits : {infinity, infinity | signOf(format), infinity + 1, signOf(format) - 1, 2 * signOf(format) - 1})
    for (const Case &c : cases()) {
      int64_t size = c.layout.blocks() * c.layout.blockElements();
      for (int64_t at : {int64_t(0), size / 3, size / 2, size - 1}) {
        Weight w{format, std::vector<uint32_t>(size, 1)};
        w.bits[at] = bits;
        EXPECT_FALSE(quantized(w, c.layout)) << std::hex << bits << " at " << at;
      }
    }
  // Random bits, of which some are infinite or no numbers.
  compare([&](int64_t) { return (uint32_t)random() & (2 * signOf(format) - 1); }, /*finite=*/false);
}

} // namespace
} // namespace kt::test
