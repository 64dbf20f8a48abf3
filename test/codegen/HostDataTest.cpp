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

// Rows go where data says, and one that is told a place outside goes nowhere: before or behind the result there is
// nothing that could be written.
TEST(HostUpdate, places_that_are_data) {
  HostKernel k(R"(
^bb0(%n: !kt.tensor<[p0, 3, p2] x f32>, %at: !kt.tensor<[p0] x i64>):
  %r = kt.update axis 0 from #kt.expr<0> count #kt.expr<p0> ins(%n, %at : !kt.tensor<[p0, 3, p2] x f32>, !kt.tensor<[p0] x i64>) -> !kt.tensor<[p1, 3, p2] x f32> {
  ^bb0(%N: !kt.tensor<[p0, 3, p2] x f32>, %A: !kt.tensor<[p0] x i64>, %i: index, %h: index, %d: index):
    %0 = kt.read %N[%i, %h, %d] : !kt.tensor<[p0, 3, p2] x f32> -> f32
    %1 = kt.read %A[%i] : !kt.tensor<[p0] x i64> -> i64
    %place = arith.index_cast %1 : i64 to index
    %moved = arith.subi %place, %i : index
    kt.yield %0, %moved : f32, index
  }
  kt.yield %r : !kt.tensor<[p1, 3, p2] x f32>
)",
               3);
  ASSERT_TRUE(k.ok());
  for (auto [rows, places, columns] : {std::array<int64_t, 3>{4, 5, 7}, {6, 3, 9000}, {1, 1, 1}, {0, 3, 5}}) {
    auto rest = randomVector(rows * 3 * columns);
    std::vector<int64_t> at;
    for (int64_t i = 0; i < rows; ++i)
      at.push_back(i == 1 ? -1 : i == 2 ? places : i == 3 ? places + 1000000 : i % 3 * 2);
    std::vector<float> y(places * 3 * columns, 7), expected = y;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; at[i] >= 0 && at[i] < places && j < 3 * columns; ++j)
        expected[at[i] * 3 * columns + j] = rest[i * 3 * columns + j];
    k.run({rest.data(), at.data(), y.data()}, {rows, places, columns});
    EXPECT_EQ(y, expected);
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
    for (int64_t i = 0; i < n; ++i) {
      x[i] = i * 7 % 3 == 0 || n == 2;
      if (x[i])
        expected.push_back(i);
    }
    int64_t count = expected.size();
    expected.resize(n);
    k.run({x.data(), p.data(), c.data()}, {n});
    EXPECT_EQ(p, expected);
    EXPECT_EQ(c[0], count);
  }
}

namespace {

/// Corner boxes; the numbers of those selected for one class.
std::vector<int64_t> selected(const std::vector<float> &boxes, const float *scores, int64_t n, int64_t most,
                              float overlap, float least) {
  std::vector<int64_t> order, out;
  for (int64_t i = 0; i < n; ++i)
    if (scores[i] > least)
      order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return scores[i] > scores[j]; });
  auto low = [&](int64_t i, int a) { return std::min(boxes[i * 4 + a], boxes[i * 4 + 2 + a]); };
  auto high = [&](int64_t i, int a) { return std::max(boxes[i * 4 + a], boxes[i * 4 + 2 + a]); };
  auto area = [&](int64_t i) { return (high(i, 0) - low(i, 0)) * (high(i, 1) - low(i, 1)); };
  for (int64_t i : order) {
    bool over = false;
    for (int64_t j : out) {
      float sides[2];
      for (int a = 0; a < 2; ++a)
        sides[a] = std::max(0.f, std::min(high(i, a), high(j, a)) - std::max(low(i, a), low(j, a)));
      float common = sides[0] * sides[1];
      over |= common > 0 && common / (area(i) + area(j) - common) > overlap;
    }
    if (!over && (int64_t)out.size() < most)
      out.push_back(i);
  }
  return out;
}

} // namespace

TEST(HostSuppress, selects_like_the_definition) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, p2, 4] x f32>, %s: !kt.tensor<[p0, p1, p2] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>, %l: !kt.tensor<[1] x f32>):
  %p, %c = kt.suppress %x, %s, %m, %o above %l : !kt.tensor<[1] x f32> : !kt.tensor<[p0, p2, 4] x f32>, !kt.tensor<[p0, p1, p2] x f32>, !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[p0, p1, p2] x i64>, !kt.tensor<[p0, p1] x i64>
  kt.yield %p, %c : !kt.tensor<[p0, p1, p2] x i64>, !kt.tensor<[p0, p1] x i64>)",
               3);
  ASSERT_TRUE(k.ok());
  for (auto [b, c, n, limit] : {std::array<int64_t, 4>{2, 3, 40, 100},
                                {1, 2, 3000, 50},
                                {1, 1, 1, 1},
                                {1, 2, 30, 0},
                                {1, 1, 30, -1},
                                {1, 3, 0, 5},
                                {0, 2, 4, 5}}) {
    auto boxes = randomVector(b * n * 4, 0, 50), scores = randomVector(b * c * n, 0, 1, 2);
    for (size_t i = 0; i < scores.size(); ++i)
      scores[i] = i % 17 == 0 ? NAN : std::round(scores[i] * 50) / 50; // ties, and what no threshold lets through
    std::vector<int64_t> most{limit}, p(b * c * n, 9), count(b * c, 9), expected(p.size()), counts(count.size());
    std::vector<float> overlap{0.2f}, least{0.3f};
    for (int64_t r = 0; r < b * c; ++r) {
      std::vector<float> own(boxes.begin() + r / c * n * 4, boxes.begin() + (r / c + 1) * n * 4);
      auto want = selected(own, scores.data() + r * n, n, limit, overlap[0], least[0]);
      std::copy(want.begin(), want.end(), expected.begin() + r * n);
      counts[r] = want.size();
    }
    k.run({boxes.data(), scores.data(), most.data(), overlap.data(), least.data(), p.data(), count.data()}, {b, c, n});
    EXPECT_EQ(p, expected);
    EXPECT_EQ(count, counts);
  }
}
