//===- BlocksTest.cpp - products with weights of few bits on the host -----===//

#include "dialects/KT/IR/WordOrder.h"
#include "test/codegen/HostRunner.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace kt::test;

namespace {

struct Format {
  int bits, group;
  std::string scale;
  bool zeros;
  bool fp8 = false;

  int64_t scaleBytes() const { return scale == "f32" ? 4 : 2; }
  int64_t wordsAt() const { return 16 * (scaleBytes() + zeros); }
  int64_t blockBytes() const { return wordsAt() + group * bits * 2; }
  int64_t groups(int64_t k) const { return (k + group - 1) / group; }
  std::string name() const {
    return std::to_string(bits) + (fp8 ? " bits of a float" : " bits") + ", groups of " + std::to_string(group) +
           ", scales of " + scale + (zeros ? ", zero points" : "");
  }
};

/// A number as the bytes of `type`, and what it is then.
double put(double v, const std::string &type, void *at) {
  float f = v;
  uint16_t half = type == "f16" ? toHalf(f) : toBFloat(f);
  if (type == "f32")
    return std::memcpy(at, &f, 4), f;
  std::memcpy(at, &half, 2);
  return type == "f16" ? fromHalf(half) : fromBFloat(half);
}

/// What a byte of FP8 (OCP E4M3) stands for.
double e4m3(int q) {
  int exponent = q >> 3 & 15;
  double magnitude = exponent ? std::ldexp(1 + (q & 7) / 8.0, exponent - 7) : std::ldexp((q & 7) / 8.0, -6);
  return q & 128 ? -magnitude : magnitude;
}

/// Random weights: panels of blocks, those of some parts by turns, and what they stand for.
struct Weights {
  std::vector<uint8_t> bytes;
  std::vector<std::vector<double>> parts; // [n][k]

  Weights(const Format &f, int64_t n, int64_t k, int64_t numParts = 1)
      : bytes((n + 15) / 16 * numParts * f.groups(k) * f.blockBytes()), parts(numParts, std::vector<double>(n * k)) {
    std::mt19937 random(n + k);
    for (int64_t part = 0; part < numParts; ++part)
      for (int64_t c = 0; c < n; ++c)
        for (int64_t g = 0; g < f.groups(k); ++g) {
          uint8_t *block = &bytes[((c / 16 * numParts + part) * f.groups(k) + g) * f.blockBytes()];
          double scale = put((random() % 100 + 1) * 0.01 / (1 << f.bits), f.scale, block + c % 16 * f.scaleBytes());
          int zero = f.fp8 ? 0 : f.zeros ? random() % (1 << f.bits) : 1 << (f.bits - 1);
          if (f.zeros)
            block[16 * f.scaleBytes() + c % 16] = zero;
          for (int64_t i = 0; i < f.group; ++i) {
            bool inside = g * f.group + i < k;
            int q = inside ? (int)(random() % (1 << f.bits)) : zero;
            if (f.fp8 && (q & 127) == 127) // no number
              q = 0;
            if (inside)
              parts[part][c * k + g * f.group + i] = (f.fp8 ? e4m3(q) : q - zero) * scale;
            kt::WordOrder order{(unsigned)f.bits, f.group};
            uint32_t word;
            uint8_t *place = block + f.wordsAt() + (order.rowOf(i) * 16 + c % 16) * 4;
            std::memcpy(&word, place, 4);
            word |= (uint32_t)q << order.shiftOf(order.numberOf(i));
            std::memcpy(place, &word, 4);
          }
        }
  }
};

/// [m, p2 k] x weights of p1 columns, with a bias of f32; where there are two parts, the first is multiplied by the
/// second. `m` is "p0" or a number.
std::string text(const Format &f, const std::string &lhs, int parts, const std::string &m = "p0", bool turned = false) {
  std::string bits = std::to_string(f.bits), group = std::to_string(f.group);
  std::string l = turned ? "!kt.tensor<[p2, " + m + "] x " + lhs + ">" : "!kt.tensor<[" + m + ", p2] x " + lhs + ">";
  std::string w = "!kt.tensor<[(p1 + 15) floordiv 16" + std::string(parts == 2 ? " * 2" : "") + ", (p2 + " +
                  std::to_string(f.group - 1) + ") floordiv " + group + ", " + std::to_string(f.blockBytes()) +
                  "] x ui8>";
  std::string b = "!kt.tensor<[p1] x f32>", o = "!kt.tensor<[" + m + ", p1] x f32>";
  std::string sums = parts == 2 ? "%g: f32, %u: f32" : "%g: f32";
  return "^bb0(%x: " + l + ", %w: " + w + ", %b: " + b + "):\n %y = kt.matmul %x, %w extras(%b : " + b +
         ") {packed, blocks = #kt.blocks<bits = " + bits + ", group = " + group + ", scale = " + f.scale +
         ", zeros = " + (f.zeros ? "true" : "false") + (f.fp8 ? ", fp8 = true" : "") +
         ">, parts = " + std::to_string(parts) + " : i64, depth = #kt.expr<p2>, maps = [affine_map<(m, n, k) -> " +
         (turned ? "(k, m)" : "(m, k)") +
         ">, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]} : " + l + ", " + w + " -> " + o +
         " epilogue {\n ^bb0(" + sums + ", %B: " + b + ", %j: index, %n: index):\n %0 = kt.read %B[%n] : " + b +
         " -> f32\n %1 = arith.addf %g, %0 : f32\n" +
         (parts == 2 ? " %2 = arith.mulf %1, %u : f32\n kt.yield %2 : f32" : " kt.yield %1 : f32") +
         "\n }\n kt.yield %y : " + o;
}

using Shape = std::array<int64_t, 3>; // m, n, k

void check(const Format &f, const std::string &lhs, const std::vector<Shape> &shapes, int parts = 1,
           const std::string &rows = "p0", bool turned = false) {
  HostKernel kernel(text(f, lhs, parts, rows, turned), 3);
  ASSERT_TRUE(kernel.ok());
  for (auto [m, n, k] : shapes) {
    Weights weights(f, n, k, parts);
    auto bias = randomVector(n);
    int64_t width = lhs == "f32" ? 4 : 2;
    std::vector<uint8_t> left(m * k * width);
    std::vector<double> x = randomVector<double>(m * k);
    for (int64_t r = 0; r < m; ++r)
      for (int64_t i = 0; i < k; ++i)
        x[r * k + i] = put(x[r * k + i], lhs, &left[(turned ? i * m + r : r * k + i) * width]);
    std::vector<float> expected, y(m * n, 7);
    // What an order of additions may make of a sum, by its largest one.
    double most = 0;
    for (int64_t r = 0; r < m; ++r)
      for (int64_t c = 0; c < n; ++c) {
        double sums[2] = {bias[c], 0}, sizes[2] = {};
        for (int part = 0; part < parts; ++part)
          for (int64_t i = 0; i < k; ++i) {
            double term = x[r * k + i] * weights.parts[part][c * k + i];
            sums[part] += term;
            sizes[part] += std::abs(term);
          }
        expected.push_back(parts == 2 ? sums[0] * sums[1] : sums[0]);
        most = std::max(most, parts == 2 ? sizes[0] * sizes[1] : sizes[0]);
      }
    for (size_t target = 0; target < kernel.numTargets(); ++target) {
      kernel.run({left.data(), weights.bytes.data(), bias.data(), y.data()}, {m, n, k}, 1, target);
      expectClose(y, expected, 1e-6 * most + 1e-6, 1e-6,
                  lhs + " x " + f.name() + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k));
    }
  }
}

/// Rows of a tile and between tiles, columns of one panel and of many, depths about a word, a group and a block.
std::vector<Shape> edges(int64_t group) {
  return {{1, 1, 1}, {1, 33, group},     {2, 17, 5},   {3, 16, 0},     {0, 5, 7},    {4, 40, 3 * group + 7},
          {5, 0, 3}, {6, 65, group - 1}, {9, 50, 500}, {100, 30, 333}, {1, 32, 8210}};
}

} // namespace

TEST(HostBlocks, bits_groups_and_zero_points) {
  const std::string types[] = {"f16", "bf16", "f32"};
  int number = 0;
  for (int bits : {2, 4, 8})
    for (int group : {16, 32, 64, 128, 256})
      for (bool zeros : {false, true}) {
        const std::string &scale = types[number % 3], &lhs = types[number++ / 3 % 3];
        check({bits, group, scale, zeros}, lhs, edges(group));
      }
}

TEST(HostBlocks, floats) {
  for (int group : {16, 128})
    check({8, group, "f16", false, true}, group == 16 ? "f32" : "f16", edges(group));
}

TEST(HostBlocks, types_of_scales_and_rows) {
  for (const char *scale : {"f16", "bf16", "f32"})
    for (const char *lhs : {"f16", "bf16", "f32"})
      check({4, 32, scale, true}, lhs, {{1, 48, 100}, {7, 20, 64}});
}

TEST(HostBlocks, parts) {
  for (bool zeros : {false, true})
    check({4, 32, "f16", zeros}, "f32", {{1, 1, 1}, {1, 200, 64}, {3, 17, 45}, {40, 33, 700}, {2, 16, 0}}, 2);
}

TEST(HostBlocks, a_number_of_rows_that_is_known) {
  for (int64_t rows : {1, 2, 3, 5})
    check({4, 64, "f16", false}, "f32", {{rows, 33, 130}, {rows, 16, 4100}}, 1, std::to_string(rows));
}

TEST(HostBlocks, rows_that_do_not_lie_together) {
  check({8, 32, "f32", true}, "f32", {{3, 20, 50}, {12, 40, 64}}, 1, "p0", true);
}
