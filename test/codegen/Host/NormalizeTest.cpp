//===- NormalizeTest.cpp - softmax and norms on the host ------------------===//

#include "test/codegen/HostRunner.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kt::test;

static std::string text(const std::string &kind) {
  return R"(
^bb0(%x: !kt.tensor<[p0, p1, p2] x f32>, %g: !kt.tensor<[p2] x f32>):
  %y = kt.normalize )" +
         kind + R"( ins(%x, %g : !kt.tensor<[p0, p1, p2] x f32>, !kt.tensor<[p2] x f32>) {axes = 1, epsilon = 1.0e-5}
      -> !kt.tensor<[p0, p1, p2] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1, p2] x f32>, %G: !kt.tensor<[p2] x f32>, %i: index, %j: index, %l: index):
    %0 = kt.read %X[%i, %j, %l] : !kt.tensor<[p0, p1, p2] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1, p2] x f32>, %G: !kt.tensor<[p2] x f32>, %i: index, %j: index, %l: index):
    %0 = kt.read %G[%l] : !kt.tensor<[p2] x f32> -> f32
    %1 = arith.mulf %v, %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %y : !kt.tensor<[p0, p1, p2] x f32>)";
}

TEST(HostNormalize, each_kind_on_ragged_rows) {
  for (std::string kind : {"softmax", "log_softmax", "layer", "rms"}) {
    HostKernel k(text(kind), 3);
    ASSERT_TRUE(k.ok());
    std::printf("compile %s %.1f ms\n", kind.c_str(), k.compileMs);
    for (auto [a, b, n] :
         {std::array<int64_t, 3>{2, 3, 5}, {1, 1, 1}, {0, 2, 3}, {2, 0, 3}, {2, 3, 0}, {3, 7, 768}, {1, 2, 50000}}) {
      auto x = randomVector(a * b * n, -4, 6), g = randomVector(n, 0.5, 2, 3);
      std::vector<float> y(a * b * n, 7), expected(a * b * n);
      for (int64_t r = 0; r < a * b; ++r) {
        const float *row = x.data() + r * n;
        double max = -INFINITY, mean = 0, squares = 0, sum = 0, var = 0;
        for (int64_t i = 0; i < n; ++i)
          max = std::max<double>(max, row[i]), mean += row[i] / n, squares += (double)row[i] * row[i] / n;
        for (int64_t i = 0; i < n; ++i)
          sum += std::exp(row[i] - max), var += (row[i] - mean) * (row[i] - mean) / n;
        for (int64_t i = 0; i < n; ++i) {
          double v = kind == "softmax"       ? std::exp(row[i] - max) / sum
                     : kind == "log_softmax" ? row[i] - max - std::log(sum)
                     : kind == "layer"       ? (row[i] - mean) / std::sqrt(var + 1e-5)
                                             : row[i] / std::sqrt(squares + 1e-5);
          expected[r * n + i] = v * g[i];
        }
      }
      k.run({x.data(), g.data(), y.data()}, {a, b, n});
      expectClose(y, expected, 1e-5, 2e-5, kind);
    }
  }
}

TEST(HostNormalize, softmax_of_infinities) {
  HostKernel k(text("softmax"), 3);
  ASSERT_TRUE(k.ok());
  float inf = INFINITY;
  std::vector<float> x = {1, -inf, 2, -inf, -inf, -inf, 1, NAN, 2}, g(3, 1), y(9);
  k.run({x.data(), g.data(), y.data()}, {1, 3, 3});
  EXPECT_NEAR(y[0], 1 / (1 + std::exp(1.0)), 1e-6);
  EXPECT_EQ(y[1], 0);
  for (int i = 3; i < 9; ++i)
    EXPECT_TRUE(std::isnan(y[i])) << i;
}
