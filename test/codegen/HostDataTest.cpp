//===- HostDataTest.cpp - sort, scan, scatter and nonzero on the host -----===//

#include "HostRunner.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>

using namespace kt::test;

static bool sortsBefore(float a, float b, bool descending) {
  auto less = [](float x, float y) { return std::isnan(y) ? !std::isnan(x) : x < y; };
  return descending ? less(b, a) : less(a, b);
}

TEST(HostSort, first_elements_in_stable_order) {
  for (bool descending : {false, true}) {
    std::string text = R"(
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %v, %i = kt.sort %x {descending = )" +
                       std::string(descending ? "true" : "false") + R"(} : !kt.tensor<[p0, p1] x f32>
      -> !kt.tensor<[p0, p2] x f32>, !kt.tensor<[p0, p2] x i64>
  kt.yield %v, %i : !kt.tensor<[p0, p2] x f32>, !kt.tensor<[p0, p2] x i64>)";
    HostKernel k(text, 3);
    ASSERT_TRUE(k.ok());
    std::printf("compile %.1f ms\n", k.compileMs);
    for (auto [rows, n, keep] : {std::array<int64_t, 3>{3, 10, 10},
                                 {2, 1, 1},
                                 {0, 5, 5},
                                 {2, 5, 0},
                                 {2, 0, 0},
                                 {5, 1000, 1000},
                                 {4, 1000, 7},
                                 {3, 40, 33},
                                 {1, 5000, 2000}}) {
      auto x = randomVector(rows * n, -20, 20);
      for (float &v : x)
        v = std::round(v); // many equal elements
      if (x.size() > 20)
        x[3] = x[11] = NAN, x[5] = -0.0f, x[6] = 0, x[7] = INFINITY, x[8] = -INFINITY;
      std::vector<float> v(rows * keep, 99), values;
      std::vector<int64_t> i(rows * keep, 99), indices;
      for (int64_t r = 0; r < rows; ++r) {
        std::vector<int64_t> order(n);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(),
                         [&](int64_t a, int64_t b) { return sortsBefore(x[r * n + a], x[r * n + b], descending); });
        for (int64_t j = 0; j < keep; ++j)
          indices.push_back(order[j]), values.push_back(x[r * n + order[j]]);
      }
      k.run({x.data(), v.data(), i.data()}, {rows, n, keep});
      EXPECT_EQ(i, indices) << rows << "x" << n << " keep " << keep;
      expectClose(v, values, 0, 0, "sorted");
    }
  }
}

TEST(HostScan, every_direction) {
  for (std::string flags : {"", "{exclusive}", "{reverse}", "{exclusive, reverse}"})
    for (std::string kind : {"add", "mul"}) {
      HostKernel k(
          "^bb0(%x: !kt.tensor<[p0, p1] x f32>):\n %y = kt.scan " + kind + " %x " + flags +
              " : !kt.tensor<[p0, p1] x f32> -> !kt.tensor<[p0, p1] x f32>\n kt.yield %y : !kt.tensor<[p0, p1] x f32>",
          2);
      ASSERT_TRUE(k.ok());
      for (auto [rows, n] : {std::array<int64_t, 2>{3, 10}, {1, 1}, {0, 4}, {4, 0}, {70, 500}}) {
        auto x = randomVector(rows * n, 0.5, 1.5);
        std::vector<float> y(x.size(), 7), expected(x.size());
        for (int64_t r = 0; r < rows; ++r) {
          float acc = kind == "add" ? 0 : 1;
          for (int64_t i = 0; i < n; ++i) {
            int64_t at = r * n + (flags.find("reverse") != std::string::npos ? n - 1 - i : i);
            float next = kind == "add" ? acc + x[at] : acc * x[at];
            expected[at] = flags.find("exclusive") != std::string::npos ? acc : next;
            acc = next;
          }
        }
        k.run({x.data(), y.data()}, {rows, n});
        EXPECT_EQ(y, expected);
      }
    }
}

TEST(HostScatter, every_kind) {
  for (std::string kind : {"assign", "add", "mul", "max", "min"}) {
    HostKernel k(
        "^bb0(%b: !kt.tensor<[p0, p1, p2] x f32>, %i: !kt.tensor<[p3, 2] x i64>, %u: !kt.tensor<[p3, p2] x f32>):\n"
        " %y = kt.scatter " +
            kind +
            " %b, %i, %u : !kt.tensor<[p0, p1, p2] x f32>, !kt.tensor<[p3, 2] x i64>, !kt.tensor<[p3, p2] x f32> -> "
            "!kt.tensor<[p0, p1, p2] x f32>\n kt.yield %y : !kt.tensor<[p0, p1, p2] x f32>",
        4);
    ASSERT_TRUE(k.ok());
    for (auto [a, b, c, n] :
         {std::array<int64_t, 4>{3, 4, 5, 7}, {2, 3, 5000, 4}, {3, 4, 5, 0}, {0, 4, 5, 2}, {3, 4, 0, 2}}) {
      auto base = randomVector(a * b * c), updates = randomVector(n * c, -1, 1, 2);
      std::vector<int64_t> at;
      for (int64_t i = 0; i < n; ++i) {
        at.push_back(i == 1 ? 17 : (i * 2) % 3 - (i == 2 ? 3 : 0)); // one outside, one from the end
        at.push_back(i % 2);
      }
      std::vector<float> y(base.size(), 7), expected = base;
      for (int64_t i = 0; i < n; ++i) {
        int64_t p = at[2 * i] < 0 ? at[2 * i] + a : at[2 * i], q = at[2 * i + 1];
        if (p < 0 || p >= a || q >= b)
          continue;
        for (int64_t j = 0; j < c; ++j) {
          float &to = expected[(p * b + q) * c + j], u = updates[i * c + j];
          to = kind == "assign" ? u
               : kind == "add"  ? to + u
               : kind == "mul"  ? to * u
               : kind == "max"  ? std::max(to, u)
                                : std::min(to, u);
        }
      }
      k.run({base.data(), at.data(), updates.data(), y.data()}, {a, b, c, n});
      EXPECT_EQ(y, expected) << kind;
    }
  }
}

TEST(HostNonzero, positions_and_count) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0] x i1>):
  %p, %c = kt.nonzero %x : !kt.tensor<[p0] x i1> -> !kt.tensor<[p0] x i64>, !kt.tensor<[1] x i64>
  kt.yield %p, %c : !kt.tensor<[p0] x i64>, !kt.tensor<[1] x i64>)",
               1);
  ASSERT_TRUE(k.ok());
  for (int64_t n : {0, 1, 2, 1000}) {
    std::vector<uint8_t> x(n);
    std::vector<int64_t> p(n, 9), c(1, 9), expected;
    for (int64_t i = 0; i < n; ++i)
      if ((x[i] = i * 7 % 3 == 0 || n == 2))
        expected.push_back(i);
    int64_t count = expected.size();
    expected.resize(n);
    k.run({x.data(), p.data(), c.data()}, {n});
    EXPECT_EQ(p, expected);
    EXPECT_EQ(c[0], count);
  }
}
