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

/// A sum that is stored, and a norm of its rows whose end reads the sum again.
static std::string residual(const std::string &kind) {
  const std::string t = "!kt.tensor<[p0, p1] x f32>", g = "!kt.tensor<[p1] x f32>";
  return "^bb0(%a: " + t + ", %b: " + t + ", %g: " + g + "):\n  %r = kt.generic ins(%a, %b : " + t + ", " + t +
         ") -> " + t + " {\n  ^bb0(%A: " + t + ", %B: " + t + R"(, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : )" +
         t + " -> f32\n    %1 = kt.read %B[%i, %j] : " + t + R"( -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  %y = kt.normalize )" +
         kind + " ins(%r, %g : " + t + ", " + g + ") {axes = 1, epsilon = 1.0e-5} -> " + t + " {\n  ^bb0(%R: " + t +
         ", %G: " + g + ", %i: index, %j: index):\n    %0 = kt.read %R[%i, %j] : " + t +
         " -> f32\n    kt.yield %0 : f32\n  } epilogue {\n  ^bb0(%v: f32, %R: " + t + ", %G: " + g +
         ", %i: index, %j: index):\n    %0 = kt.read %G[%j] : " + g + " -> f32\n    %1 = kt.read %R[%i, %j] : " + t +
         R"( -> f32
    %2 = arith.mulf %v, %0 : f32
    %3 = arith.addf %2, %1 : f32
    kt.yield %3 : f32
  }
  kt.yield %r, %y : )" +
         t + ", " + t;
}

TEST(HostNormalize, a_row_made_where_it_is_read) {
  for (std::string kind : {"softmax", "layer", "rms"}) {
    HostKernel k(residual(kind), 2);
    ASSERT_TRUE(k.ok());
    for (const kt::artifact::Variant &v : k.getCode().variants)
      EXPECT_EQ(v.stages.size(), 1u) << v.schedule;
    for (auto [n, m] : {std::array<int64_t, 2>{1, 1}, {7, 197}, {197, 7}, {3, 509}, {0, 40}, {3, 0}, {2, 50000}}) {
      auto a = randomVector(n * m, -4, 6), b = randomVector(n * m, -1, 2, 5), g = randomVector(m, 0.5, 2, 3);
      std::vector<float> r(n * m, 7), y(n * m, 7), sums(n * m), expected(n * m);
      for (int64_t i = 0; i < n * m; ++i)
        sums[i] = a[i] + b[i];
      for (int64_t i = 0; i < n; ++i) {
        const float *row = sums.data() + i * m;
        double max = -INFINITY, mean = 0, squares = 0, sum = 0, var = 0;
        for (int64_t j = 0; j < m; ++j)
          max = std::max<double>(max, row[j]), mean += row[j] / m, squares += (double)row[j] * row[j] / m;
        for (int64_t j = 0; j < m; ++j)
          sum += std::exp(row[j] - max), var += (row[j] - mean) * (row[j] - mean) / m;
        for (int64_t j = 0; j < m; ++j)
          expected[i * m + j] = row[j] + g[j] * (kind == "softmax" ? std::exp(row[j] - max) / sum
                                                 : kind == "layer" ? (row[j] - mean) / std::sqrt(var + 1e-5)
                                                                   : row[j] / std::sqrt(squares + 1e-5));
      }
      k.run({a.data(), b.data(), g.data(), r.data(), y.data()}, {n, m});
      EXPECT_EQ(r, sums) << kind;
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
