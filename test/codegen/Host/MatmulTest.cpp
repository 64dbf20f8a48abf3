//===- MatmulTest.cpp - matrix multiplication on the host -----------------===//

#include "test/codegen/HostRunner.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace kt::test;

namespace {

struct Types {
  std::string lhs, rhs, out;
};

/// [p0 batch, p1 m, p3 k] x packed weights, bias and relu in the epilogue.
std::string packedText(const Types &t) {
  std::string acc = t.lhs == "f64" ? "f64" : t.lhs[0] == 'f' || t.lhs[0] == 'b' ? "f32" : "i32";
  std::string l = "!kt.tensor<[p0, p1, p3] x " + t.lhs + ">",
              w = "!kt.tensor<[(p2 + 15) floordiv 16, p3, 16] x " + t.rhs + ">";
  std::string b = "!kt.tensor<[p2] x " + acc + ">", o = "!kt.tensor<[p0, p1, p2] x " + acc + ">";
  std::string add = acc[0] == 'f' ? "arith.addf" : "arith.addi";
  return "^bb0(%x: " + l + ", %w: " + w + ", %b: " + b + "):\n %y = kt.matmul %x, %w extras(%b : " + b +
         ") {packed, depth = #kt.expr<p3>, maps = [affine_map<(b, m, n, k) -> (b, m, k)>, affine_map<(b, m, n, k) -> "
         "(n, k)>, "
         "affine_map<(b, m, n, k) -> (b, m, n)>]} : " +
         l + ", " + w + " -> " + o + " epilogue {\n ^bb0(%a: " + acc + ", %B: " + b +
         ", %i: index, %j: index, %n: index):\n %0 = kt.read %B[%n] : " + b + " -> " + acc + "\n %1 = " + add +
         " %a, %0 : " + acc + "\n kt.yield %1 : " + acc + "\n }\n kt.yield %y : " + o;
}

template <typename T> T encode(double v);
template <> float encode<float>(double v) { return v; }
template <> double encode<double>(double v) { return v; }
template <> uint16_t encode<uint16_t>(double v) { return toHalf(v); }
struct BFloat {
  uint16_t bits;
};
template <> BFloat encode<BFloat>(double v) { return {toBFloat(v)}; }
template <> int8_t encode<int8_t>(double v) { return std::lround(v * 100); }
template <> uint8_t encode<uint8_t>(double v) { return std::lround(v * 100 + 120); }
template <> int32_t encode<int32_t>(double v) { return std::lround(v * 1000); }
template <typename T> double decode(T v) { return v; }
template <> double decode<BFloat>(BFloat v) { return fromBFloat(v.bits); }
template <> double decode<uint16_t>(uint16_t v) { return fromHalf(v); }

template <typename L, typename R, typename A> void checkPacked(const Types &types, double rtol) {
  HostKernel k(packedText(types), 4);
  ASSERT_TRUE(k.ok());
  std::printf("compile %s x %s %.1f ms\n", types.lhs.c_str(), types.rhs.c_str(), k.compileMs);
  for (auto [b, m, n, d] : {std::array<int64_t, 4>{1, 1, 1, 1},
                            {1, 1, 768, 768},
                            {2, 3, 17, 5},
                            {1, 7, 33, 700},
                            {1, 6, 16, 0},
                            {0, 3, 4, 5},
                            {3, 50, 300, 65},
                            {1, 200, 520, 321}}) {
    auto x = randomVector<double>(b * m * d), w = randomVector<double>(n * d, -1, 1, 2), bias = randomVector<double>(n);
    std::vector<L> lhs;
    for (double v : x)
      lhs.push_back(encode<L>(v));
    std::vector<R> rhs((n + 15) / 16 * d * 16);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < d; ++j)
        rhs[(i / 16 * d + j) * 16 + i % 16] = encode<R>(w[i * d + j]);
    std::vector<A> biases, y(b * m * n, 77);
    for (double v : bias)
      biases.push_back(encode<A>(v));
    std::vector<float> expected, actual;
    for (int64_t r = 0; r < b * m; ++r)
      for (int64_t c = 0; c < n; ++c) {
        double sum = (double)biases[c];
        for (int64_t i = 0; i < d; ++i)
          sum += decode(lhs[r * d + i]) * decode(rhs[(c / 16 * d + i) * 16 + c % 16]);
        expected.push_back(sum);
      }
    k.run({lhs.data(), rhs.data(), biases.data(), y.data()}, {b, m, n, d});
    for (A v : y)
      actual.push_back(v);
    expectClose(actual, expected, rtol * std::sqrt(d + 1.0), rtol, types.lhs + " x " + types.rhs);
  }
}

} // namespace

TEST(HostMatmul, packed_f32) { checkPacked<float, float, float>({"f32", "f32", "f32"}, 1e-5); }
TEST(HostMatmul, packed_f16) { checkPacked<uint16_t, uint16_t, float>({"f16", "f16", "f32"}, 1e-5); }
TEST(HostMatmul, packed_f32_with_f16_weights) { checkPacked<float, uint16_t, float>({"f32", "f16", "f32"}, 1e-5); }
TEST(HostMatmul, packed_bf16) { checkPacked<BFloat, BFloat, float>({"bf16", "bf16", "f32"}, 1e-5); }
TEST(HostMatmul, packed_f32_with_i8_weights) { checkPacked<float, int8_t, float>({"f32", "i8", "f32"}, 1e-4); }
TEST(HostMatmul, packed_integers) {
  checkPacked<int8_t, int8_t, int32_t>({"i8", "i8", "i32"}, 1e-7);
  checkPacked<uint8_t, int8_t, int32_t>({"ui8", "i8", "i32"}, 1e-7);
}
TEST(HostMatmul, packed_f64) { checkPacked<double, float, double>({"f64", "f32", "f64"}, 1e-6); }

/// Two products of one left side, whose panels take turns, and one epilogue of both.
TEST(HostMatmul, parts) {
  std::string l = "!kt.tensor<[p0, p2] x f32>", w = "!kt.tensor<[(p1 + 15) floordiv 16 * 2, p2, 16] x f32>";
  std::string bias = "!kt.tensor<[p1] x f32>", o = "!kt.tensor<[p0, p1] x f32>";
  HostKernel k("^bb0(%x: " + l + ", %w: " + w + ", %b: " + bias + "):\n %y = kt.matmul %x, %w extras(%b : " + bias +
                   ") {packed, parts = 2 : i64, depth = #kt.expr<p2>, maps = [affine_map<(m, n, k) -> (m, k)>, "
                   "affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]} : " +
                   l + ", " + w + " -> " + o + " epilogue {\n ^bb0(%g: f32, %u: f32, %B: " + bias +
                   ", %j: index, %n: index):\n %0 = kt.read %B[%n] : " + bias +
                   " -> f32\n %1 = arith.addf %g, %0 : f32\n %2 = arith.mulf %1, %u : f32\n kt.yield %2 : f32\n }\n"
                   " kt.yield %y : " +
                   o,
               3);
  ASSERT_TRUE(k.ok());
  for (auto [m, n, d] : {std::array<int64_t, 3>{1, 1, 1},
                         {1, 770, 64},
                         {3, 17, 5},
                         {7, 33, 700},
                         {6, 16, 0},
                         {0, 5, 5},
                         {5, 0, 3},
                         {200, 521, 321}}) {
    int64_t panels = (n + 15) / 16;
    auto x = randomVector(m * d), bias = randomVector(n);
    std::vector<float> weights[2] = {randomVector(n * d, -1, 1, 2), randomVector(n * d, -1, 1, 3)};
    std::vector<float> rhs(2 * panels * d * 16), y(m * n, 7), expected;
    for (int64_t part = 0; part < 2; ++part)
      for (int64_t c = 0; c < n; ++c)
        for (int64_t i = 0; i < d; ++i)
          rhs[((c / 16 * 2 + part) * d + i) * 16 + c % 16] = weights[part][c * d + i];
    for (int64_t r = 0; r < m; ++r)
      for (int64_t c = 0; c < n; ++c) {
        double sums[2] = {bias[c], 0};
        for (int64_t part = 0; part < 2; ++part)
          for (int64_t i = 0; i < d; ++i)
            sums[part] += (double)x[r * d + i] * weights[part][c * d + i];
        expected.push_back(sums[0] * sums[1]);
      }
    k.run({x.data(), rhs.data(), bias.data(), y.data()}, {m, n, d});
    expectClose(y, expected, 1e-4 * (d + 1), 1e-4, "parts");
  }
}

/// Batched, every operand strided in some way: lhs [b, k, m] or [b, m, k], rhs [b, k, n] or [b, n, k], result [b, m, n]
/// or [m, b, n].
TEST(HostMatmul, dynamic_operands_of_any_layout) {
  for (bool lhsT : {false, true})
    for (bool rhsT : {false, true})
      for (bool swap : {false, true}) {
        std::string l = lhsT ? "!kt.tensor<[p0, p3, p1] x f32>" : "!kt.tensor<[p0, p1, p3] x f32>";
        std::string r = rhsT ? "!kt.tensor<[p0, p2, p3] x f32>" : "!kt.tensor<[p0, p3, p2] x f32>";
        std::string o = swap ? "!kt.tensor<[p1, p0, p2] x f32>" : "!kt.tensor<[p0, p1, p2] x f32>";
        auto map = [](const char *to) { return std::string("affine_map<(b, m, n, k) -> (") + to + ")>"; };
        std::string text =
            "^bb0(%x: " + l + ", %w: " + r + "):\n %y = kt.matmul %x, %w {depth = #kt.expr<p3>, maps = [" +
            map(lhsT ? "b, k, m" : "b, m, k") + ", " + map(rhsT ? "b, n, k" : "b, k, n") + ", " +
            map(swap ? "m, b, n" : "b, m, n") + "]} : " + l + ", " + r + " -> " + o +
            " epilogue {\n ^bb0(%a: f32, %i: index, %j: index, %n: index):\n kt.yield %a : f32\n }\n kt.yield %y : " +
            o;
        HostKernel kernel(text, 4);
        ASSERT_TRUE(kernel.ok());
        for (auto [b, m, n, k] :
             {std::array<int64_t, 4>{2, 3, 5, 7}, {3, 1, 40, 33}, {2, 130, 300, 64}, {1, 20, 15, 400}, {2, 4, 5, 0}}) {
          auto x = randomVector(b * m * k), w = randomVector(b * n * k, -1, 1, 2);
          std::vector<float> y(b * m * n, 7), expected(b * m * n);
          for (int64_t i = 0; i < b; ++i)
            for (int64_t r2 = 0; r2 < m; ++r2)
              for (int64_t c = 0; c < n; ++c) {
                double sum = 0;
                for (int64_t d = 0; d < k; ++d)
                  sum += (double)x[i * m * k + (lhsT ? d * m + r2 : r2 * k + d)] *
                         w[i * n * k + (rhsT ? c * k + d : d * n + c)];
                expected[swap ? (r2 * b + i) * n + c : (i * m + r2) * n + c] = sum;
              }
          kernel.run({x.data(), w.data(), y.data()}, {b, m, n, k});
          expectClose(y, expected, 1e-4, 1e-5, "matmul");
        }
      }
}
