//===- QuantizeBlocksTest.cpp - floats in blocks, against plain loops -----===//
//
// The reference goes over a column element by element, with LLVM's own conversions and the same arithmetic in the same
// order, and reads numbers bit by bit. What a scale is worth is asked in double precision as well.
//
//===----------------------------------------------------------------------===//

#include "passes/Precision/QuantizeBlocks.h"
#include "dialects/KT/IR/WordOrder.h"
#include "test/passes/Precision/FloatFormats.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#pragma clang fp contract(off)

namespace kt::test {
namespace {

uint32_t bitsOf(float value, const llvm::fltSemantics &semantics) {
  llvm::APFloat f(value);
  bool inexact;
  f.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &inexact);
  return f.bitcastToAPInt().getZExtValue();
}
float valueOf(uint32_t bits, const llvm::fltSemantics &semantics) {
  return llvm::APFloat(semantics, llvm::APInt(llvm::APFloat::semanticsSizeInBits(semantics), bits)).convertToFloat();
}
/// Numbers below the normal ones are rounded up.
float toHalf(float value) {
  if (std::fabs(value) < 0x1p-14f)
    return std::copysign(std::ceil(std::fabs(value) * 0x1p24f) * 0x1p-24f, value);
  return valueOf(bitsOf(value, llvm::APFloat::IEEEhalf()), llvm::APFloat::IEEEhalf());
}

/// A panel of `format`, [k][16].
struct Panel {
  FloatFormat format;
  int64_t k;
  std::vector<uint32_t> bits;

  Panel(FloatFormat format, int64_t k, llvm::function_ref<float(int64_t k, int64_t column)> draw)
      : format(format), k(k) {
    for (int64_t i = 0; i < k * 16; ++i)
      bits.push_back(bitsOf(draw(i / 16, i % 16), semanticsOf(format)));
  }
  float at(int64_t kk, int64_t column) const { return valueOf(bits[kk * 16 + column], semanticsOf(format)); }
  /// From an odd address on.
  std::vector<char> bytes() const {
    std::vector<char> out(1);
    for (uint32_t b : bits)
      out.insert(out.end(), reinterpret_cast<const char *>(&b), reinterpret_cast<const char *>(&b) + bytesOf(format));
    return out;
  }
};

struct Stored {
  BlockFormat format;
  std::vector<char> bytes;
  RoundingError error;

  float scale(int64_t g, int64_t column) const {
    const char *block = bytes.data() + g * format.blockBytes();
    uint32_t bits = 0;
    memcpy(&bits, block + column * format.scaleBytes(), format.scaleBytes());
    return valueOf(bits, format.halfScales ? llvm::APFloat::IEEEhalf() : llvm::APFloat::IEEEsingle());
  }
  /// Number `i` of a group, without the zero point, as the dialect describes words.
  int number(int64_t g, int64_t i, int64_t column) const {
    const char *block = bytes.data() + g * format.blockBytes() + 16 * format.scaleBytes();
    kt::WordOrder order{format.bits, format.group};
    uint32_t word;
    memcpy(&word, block + (order.rowOf(i) * 16 + column) * 4, 4);
    return (int)(word >> order.shiftOf(order.numberOf(i)) & ((1 << format.bits) - 1)) - (1 << (format.bits - 1));
  }
};

Blocked store(const Panel &panel, const BlockFormat &format, Stored &out, const float *importance = nullptr) {
  std::vector<char> from = panel.bytes();
  int64_t bytes = format.panelBytes(panel.k);
  out = {format, std::vector<char>(bytes + 2, 0x55), {}};
  Blocked done =
      quantizePanel(format, panel.format, from.data() + 1, panel.k, importance, out.bytes.data() + 1, 32, out.error);
  EXPECT_EQ(out.bytes.front(), 0x55);
  EXPECT_EQ(out.bytes.back(), 0x55);
  out.bytes.erase(out.bytes.begin());
  return done;
}

/// The scale of a group of one column, before it is rounded.
float scaleOf(llvm::ArrayRef<float> w, unsigned bits, const float *importance) {
  float low = 0, high = 0;
  for (float v : w)
    low = std::min(low, v), high = std::max(high, v);
  float extreme = high >= -low ? high : low;
  if (std::fabs(extreme) < 0x1p-100f)
    return 1;
  if (bits == 8)
    return std::fabs(extreme) / 127;
  float unit = extreme / -8, inverse = 1 / unit, gain = 0, best = 1;
  for (float candidate : {0.875f, 0.92f, 0.96f, 1.0f, 1.05f, 1.1f, 1.17f, 1.25f, 1.35f}) {
    float products = 0, squares = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      float x = w[i] * inverse, q = std::nearbyint(std::min(std::max(x * candidate, -8.0f), 7.0f));
      float weighted = importance ? q * importance[i] : q;
      products += x * weighted, squares += q * weighted;
    }
    float scale = products / (squares > 0 ? squares : 1);
    if (products * scale > gain)
      gain = products * scale, best = scale;
  }
  return unit * best;
}

void expectEqual(const Panel &panel, const Stored &stored, const float *importance = nullptr) {
  const BlockFormat &format = stored.format;
  int middle = 1 << (format.bits - 1);
  double signal = 0, noise = 0, largest = 0, steps = 0, worst = 0, most = 0;
  constexpr double kStep = 1e-5; // quotients of single precision are off by up to 2^-17
  for (int64_t c = 0; c < 16; ++c) {
    double own = 0, lost = 0;
    for (int64_t g = 0; g < format.groupsOf(panel.k); ++g) {
      std::vector<float> w;
      for (int64_t kk = g * format.group; kk < std::min((g + 1) * format.group, panel.k); ++kk)
        w.push_back(panel.at(kk, c));
      float scale = scaleOf(w, format.bits, importance ? importance + g * format.group : nullptr);
      ASSERT_EQ(stored.scale(g, c), format.halfScales ? toHalf(scale) : scale) << g << " " << c;
      scale = stored.scale(g, c);
      most = std::max<double>(most, std::fabs(scale));
      for (int64_t i = 0; i < format.group; ++i) {
        float x = i < (int64_t)w.size() ? w[i] : 0;
        int q = std::nearbyint(std::min(std::max(x / scale, (float)-middle), middle - 1.0f));
        ASSERT_EQ(stored.number(g, i, c), q) << g << " " << i << " " << c << " " << x << " " << scale;
        double error = x - (double)q * scale;
        own += (double)x * x, lost += error * error;
        largest = std::max(largest, std::fabs(error)), steps = std::max(steps, std::fabs(error / scale));
      }
    }
    signal += own, noise += lost;
    worst = std::max(worst, own > 0 ? lost / own : 0);
  }
  EXPECT_NEAR(stored.error.signal, signal, 1e-5 * signal);
  EXPECT_NEAR(stored.error.noise, noise, 1e-3 * noise + 1e-9 * signal);
  EXPECT_NEAR(std::sqrt(stored.error.squareInSteps), steps, kStep * (1 + steps));
  EXPECT_NEAR(std::sqrt(stored.error.square), largest, 1e-3 * largest + kStep * most);
  if (worst < 1e-8)
    return;
  EXPECT_NEAR(stored.error.worstNoise / stored.error.worstSignal, worst, 1e-3 * worst);
  EXPECT_TRUE(stored.error.worstChannel >= 32 && stored.error.worstChannel < 48);
}

struct QuantizeBlocks : testing::TestWithParam<FloatFormat> {
  std::mt19937 random{1};
  float gauss() { return std::normal_distribution<float>(0, 0.03f)(random); }
};

INSTANTIATE_TEST_SUITE_P(Formats, QuantizeBlocks, testing::ValuesIn(kFormats));

TEST_P(QuantizeBlocks, EveryFormat) {
  for (unsigned bits : {4, 8})
    for (int64_t group : {16, 32, 64, 128, 256})
      for (bool halves : {false, true})
        for (int64_t k : {7, 16, 33, 128, 255, 256, 257, 600}) {
          Panel panel(GetParam(), k, [&](int64_t, int64_t) { return gauss() + (random() % 2 ? 0.1f : -0.1f); });
          Stored stored;
          ASSERT_EQ(store(panel, {bits, group, halves}, stored), Blocked::done);
          expectEqual(panel, stored);
        }
}

TEST_P(QuantizeBlocks, Fp8IsNearest) {
  Panel panel(GetParam(), 100, [&](int64_t, int64_t c) { return std::ldexp(gauss(), 6 - (int)(random() % (c + 1))); });
  Stored stored;
  ASSERT_EQ(store(panel, {8, 32, true, true}, stored), Blocked::done);
  const llvm::fltSemantics &semantics = llvm::APFloat::Float8E4M3FN();
  double signal = 0, noise = 0;
  for (int64_t c = 0; c < 16; ++c)
    for (int64_t k = 0; k < 100; ++k) {
      float scale = stored.scale(k / 32, c), x = panel.at(k, c) / scale;
      llvm::APFloat nearest(std::min(std::max(x, -448.0f), 448.0f));
      bool inexact;
      nearest.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &inexact);
      int bits = nearest.bitcastToAPInt().getZExtValue();
      ASSERT_EQ(stored.number(k / 32, k % 32, c) + 128, bits) << k << " " << c << " " << x;
      double error = panel.at(k, c) - nearest.convertToDouble() * scale;
      signal += (double)panel.at(k, c) * panel.at(k, c), noise += error * error;
    }
  EXPECT_NEAR(stored.error.noise, noise, 1e-3 * noise);
  EXPECT_GT(decibels(signal, noise), 28);
  // The largest one is 448 of its group's scale.
  Panel two(GetParam(), 16, [](int64_t k, int64_t) { return k == 3 ? -7.0f : k == 5 ? 1.0f : 0.0f; });
  ASSERT_EQ(store(two, {8, 16, true, true}, stored), Blocked::done);
  EXPECT_EQ(stored.scale(0, 0), 1.0f / 64);
  EXPECT_EQ(stored.number(0, 3, 0) + 128, 0xfe);
  EXPECT_EQ(stored.number(0, 5, 0) + 128, 0x68);
  EXPECT_EQ(stored.error.noise, 0);
}

TEST_P(QuantizeBlocks, NumbersOfAllSizes) {
  // Magnitudes of a few binades around one that differs by column, outliers of both signs, zeros.
  for (int turn = 0; turn < 50; ++turn)
    for (unsigned bits : {4, 8}) {
      auto draw = [&](int64_t, int64_t c) {
        int kind = random() % 8;
        return kind == 0 ? 0.0f : kind == 1 ? -0.0f : std::ldexp(gauss(), (int)c - 8 + (int)(random() % 6));
      };
      Panel panel(GetParam(), 100, draw);
      Stored stored;
      ASSERT_EQ(store(panel, {bits, 32, false}, stored), Blocked::done);
      expectEqual(panel, stored);
    }
}

TEST_P(QuantizeBlocks, EvenlySpacedNumbersAreExact) {
  for (int sign : {-1, 1}) {
    Panel panel(GetParam(), 64, [&](int64_t k, int64_t) { return sign * (float)(k % 16 - 8) / 64; });
    Stored stored;
    ASSERT_EQ(store(panel, {4, 16, true}, stored), Blocked::done);
    EXPECT_EQ(stored.error.noise, 0);
    EXPECT_EQ(stored.error.worstChannel, -1);
    EXPECT_EQ(stored.scale(0, 0), sign / 64.0f);
    EXPECT_EQ(stored.number(0, 0, 0), -8);
  }
}

TEST_P(QuantizeBlocks, TheSearchLeavesLittle) {
  // Against a hundred scales in double precision, and against the largest magnitude as seven steps.
  double left = 0, exhaustive = 0, simple = 0, all = 0;
  Panel panel(GetParam(), 1024, [&](int64_t, int64_t) { return gauss(); });
  Stored stored;
  ASSERT_EQ(store(panel, {4, 128, true}, stored), Blocked::done);
  for (int64_t c = 0; c < 16; ++c)
    for (int64_t g = 0; g < 8; ++g) {
      float most = 0;
      for (int64_t i = 0; i < 128; ++i)
        most = std::max(most, std::fabs(panel.at(g * 128 + i, c)));
      auto errorOf = [&](double scale, int least) {
        double sum = 0;
        for (int64_t i = 0; i < 128; ++i) {
          double w = panel.at(g * 128 + i, c),
                 e = w - std::clamp(std::nearbyint(w / scale), (double)least, 7.0) * scale;
          sum += e * e;
        }
        return sum;
      };
      double best = HUGE_VAL;
      for (int i = 0; i < 100; ++i)
        for (int sign : {-1, 1})
          best = std::min(best, errorOf(sign * most / 8 * (0.5 + i * 0.008), -8));
      exhaustive += best, simple += errorOf(most / 7, -7), left += errorOf(stored.scale(g, c), -8);
      for (int64_t i = 0; i < 128; ++i)
        all += (double)panel.at(g * 128 + i, c) * panel.at(g * 128 + i, c);
    }
  EXPECT_LT(decibels(exhaustive, left), 0.1);
  EXPECT_LT(decibels(left, simple), -1);
  EXPECT_NEAR(stored.error.noise, left, 1e-3 * left);
  EXPECT_NEAR(decibels(all, left), 20.3, 0.3);
}

TEST_P(QuantizeBlocks, Importance) {
  Panel panel(GetParam(), 96, [&](int64_t, int64_t) { return gauss(); });
  std::vector<float> importance(96, 1);
  Stored alike, unlike, plain;
  ASSERT_EQ(store(panel, {4, 32, true}, plain), Blocked::done);
  ASSERT_EQ(store(panel, {4, 32, true}, alike, importance.data()), Blocked::done);
  EXPECT_EQ(alike.bytes, plain.bytes);
  for (int64_t k = 0; k < 96; ++k)
    importance[k] = k % 5 ? 1e-3f : 10;
  ASSERT_EQ(store(panel, {4, 32, true}, unlike, importance.data()), Blocked::done);
  expectEqual(panel, unlike, importance.data());
  auto errorOf = [&](const Stored &stored) {
    double sum = 0;
    for (int64_t k = 0; k < 96; ++k)
      for (int64_t c = 0; c < 16; ++c) {
        double e = panel.at(k, c) - (double)stored.number(k / 32, k % 32, c) * stored.scale(k / 32, c);
        sum += e * e * importance[k];
      }
    return sum;
  };
  EXPECT_LT(errorOf(unlike), 0.8 * errorOf(plain));
  // Inputs that are always zero say nothing.
  std::fill(importance.begin(), importance.end(), 0);
  ASSERT_EQ(store(panel, {4, 32, true}, unlike, importance.data()), Blocked::done);
  expectEqual(panel, unlike, importance.data());
}

TEST_P(QuantizeBlocks, NothingStaysNothing) {
  for (unsigned bits : {4, 8})
    for (bool halves : {false, true}) {
      Panel panel(GetParam(), 40, [&](int64_t k, int64_t c) {
        return c == 3 && k == 20 ? 0.5f : k % 2 ? -0.0f : 0.0f;
      });
      Stored stored;
      ASSERT_EQ(store(panel, {bits, 16, halves}, stored), Blocked::done);
      EXPECT_EQ(stored.scale(0, 3), 1);
      EXPECT_EQ(stored.scale(1, 2), 1);
      for (int64_t i = 0; i < 48; ++i)
        for (int64_t c = 0; c < 16; ++c)
          EXPECT_EQ(stored.number(i / 16, i % 16, c) != 0, c == 3 && i == 20);
      EXPECT_NEAR(stored.error.signal, 0.25, 1e-6);
      EXPECT_LT(stored.error.noise, 1e-6);
    }
}

TEST_P(QuantizeBlocks, ScalesBeyondHalves) {
  Stored stored;
  auto all = [&](float value) {
    return Panel(GetParam(), 20, [=](int64_t k, int64_t c) { return c == 15 && k == 19 ? value : 0.0f; });
  };
  for (unsigned bits : {4, 8}) {
    float steps = bits == 4 ? 8 : 127;
    for (float scale : {0x1p-14f, 0x1p-15f, 0x1.23456p-16f, 0x1.8p-18f, 0x1p-19f}) {
      EXPECT_EQ(store(all(steps * scale), {bits, 16, true}, stored), Blocked::done);
      expectEqual(all(steps * scale), stored);
    }
    EXPECT_EQ(store(all(steps * 0x1p-20f), {bits, 16, true}, stored), Blocked::noScale);
    EXPECT_EQ(store(all(steps * 0x1p-20f), {bits, 16, false}, stored), Blocked::done);
    expectEqual(all(steps * 0x1p-20f), stored);
  }
  if (GetParam() == FloatFormat::f16)
    return;
  for (float value : {1e7f, 3e38f, 1e-25f})
    for (unsigned bits : {4, 8}) {
      EXPECT_EQ(store(all(value), {bits, 16, true}, stored), Blocked::noScale);
      EXPECT_EQ(store(all(-value), {bits, 16, false}, stored), Blocked::done);
      expectEqual(all(-value), stored);
    }
  // Numbers so small that quotients by their scale would be none.
  EXPECT_EQ(store(all(1e-35f), {4, 16, true}, stored), Blocked::done);
  EXPECT_EQ(stored.scale(1, 15), 1);
  EXPECT_EQ(stored.number(1, 3, 15), 0);
  EXPECT_EQ(stored.error.signal, 0);
}

TEST_P(QuantizeBlocks, WhatIsNotFinite) {
  for (float value : {HUGE_VALF, -HUGE_VALF, NAN})
    for (unsigned bits : {4, 8})
      for (int64_t at : {0, 15, 16, 39}) {
        Panel panel(GetParam(), 40, [&](int64_t k, int64_t c) { return k == at && c == at % 16 ? value : 1.0f; });
        Stored stored;
        EXPECT_EQ(store(panel, {bits, 16, true}, stored), Blocked::notFinite);
      }
}

TEST(BlockFormat, GroupsFit) {
  auto fitting = [](unsigned bits, int64_t group, int64_t k) { return BlockFormat{bits, group}.fitting(k).group; };
  EXPECT_EQ(fitting(4, 32, 4096), 32);
  EXPECT_EQ(fitting(8, 128, 4096), 128);
  EXPECT_EQ(fitting(8, 128, 64), 64);
  EXPECT_EQ(fitting(8, 128, 3), 16);
  EXPECT_EQ(fitting(8, 128, 192), 64); // two groups of 128 would be 256
  EXPECT_EQ(fitting(4, 32, 33), 16);
  EXPECT_EQ((BlockFormat{4, 32, true}.panelBytes(4096)), 128 * (32 + 256));
  EXPECT_EQ((BlockFormat{8, 128, false}.panelBytes(130)), 2 * (64 + 2048));
}

} // namespace
} // namespace kt::test
