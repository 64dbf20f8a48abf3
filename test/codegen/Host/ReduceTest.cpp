//===- ReduceTest.cpp - reductions on the host ----------------------------===//

#include "test/codegen/HostRunner.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kt::test;

/// Reduces [p0, p1, p2] over one dimension: 2 is the contiguous one.
static std::string overDim(const std::string &kind, int dim, const std::string &flags = "") {
  bool arg = kind.starts_with("arg");
  std::string e = arg ? "i64" : "f32", in = "!kt.tensor<[p0, p1, p2] x f32>";
  std::string dims[3] = {"p0", "p1", "p2"};
  std::string kept;
  for (int i = 0; i < 3; ++i)
    if (i != dim)
      kept += (kept.empty() ? "" : ", ") + dims[i];
  std::string out = "!kt.tensor<[" + kept + "] x " + e + ">";
  const char *at[3] = {"%r, %a, %b", "%a, %r, %b", "%a, %b, %r"};
  return "^bb0(%x: " + in + "):\n %y = kt.reduce " + kind + " over [#kt.expr<" + dims[dim] + ">] ins(%x : " + in +
         ") " + flags + " -> " + out + " {\n ^bb0(%X: " + in +
         ", %a: index, %b: index, %r: index):\n %0 = kt.read %X[" + at[dim] + "] : " + in +
         " -> f32\n kt.yield %0 : f32\n } epilogue {\n ^bb0(%s: " + e + ", %X: " + in +
         ", %a: index, %b: index):\n kt.yield %s : " + e + "\n }\n kt.yield %y : " + out;
}

static const std::array<int64_t, 3> shapes[] = {{2, 3, 5}, {1, 1, 1},    {0, 3, 4},    {3, 0, 4},
                                                {3, 4, 0}, {5, 33, 700}, {40, 700, 9}, {1, 1, 100000}};

template <typename Fn> static void eachRow(std::array<int64_t, 3> s, int dim, Fn fn) {
  int64_t stride[3] = {s[1] * s[2], s[2], 1}, out = 0;
  int a = dim == 0 ? 1 : 0, b = dim == 2 ? 1 : 2;
  for (int64_t i = 0; i < s[a]; ++i)
    for (int64_t j = 0; j < s[b]; ++j)
      fn(out++, i * stride[a] + j * stride[b], stride[dim], s[dim]);
}

TEST(HostReduce, sums_over_each_dimension) {
  for (int dim : {0, 1, 2}) {
    HostKernel k(overDim("add", dim), 3);
    ASSERT_TRUE(k.ok());
    std::printf("compile %.1f ms\n", k.compileMs);
    for (auto s : shapes) {
      auto x = randomVector(s[0] * s[1] * s[2]);
      std::vector<float> expected,
          y(s[0] * s[1] * s[2] / std::max<int64_t>(s[dim], 1) + s[0] * s[1] + s[1] * s[2] + s[0] * s[2]);
      eachRow(s, dim, [&](int64_t, int64_t at, int64_t step, int64_t n) {
        double sum = 0;
        for (int64_t i = 0; i < n; ++i)
          sum += x[at + i * step];
        expected.push_back(sum);
      });
      k.run({x.data(), y.data()}, {s[0], s[1], s[2]});
      y.resize(expected.size());
      expectClose(y, expected, 1e-3, 1e-5, "sum over " + std::to_string(dim));
    }
  }
}

/// The sum, the largest and where it is, and the mean of squares less the sum, over the rows or columns of [p0, p1].
static std::string severalOver(bool rows) {
  const std::string in = "!kt.tensor<[p0, p1] x f32>", out = rows ? "p0" : "p1", length = rows ? "p1" : "p0",
                    f32 = "!kt.tensor<[" + out + "] x f32>", i64 = "!kt.tensor<[" + out + "] x i64>";
  auto one = [&](const std::string &name, const std::string &kind, const std::string &body, const std::string &end,
                 bool sum = false) {
    std::string e = kind == "argmax" ? "i64" : "f32", args = "%X: " + in + (sum ? ", %S: " + f32 : "");
    return "  %" + name + " = kt.reduce " + kind + " over [#kt.expr<" + length + ">] ins(%x" + (sum ? ", %sum" : "") +
           " : " + in + (sum ? ", " + f32 : "") + ") -> " + (e == "i64" ? i64 : f32) + " {\n  ^bb0(" + args +
           ", %i: index, %k: index):\n    %0 = kt.read %X[" + (rows ? "%i, %k" : "%k, %i") + "] : " + in + " -> f32\n" +
           body + "  } epilogue {\n  ^bb0(%v: " + e + ", " + args + ", %i: index):\n" + end + "  }\n";
  };
  const std::string same = "    kt.yield %0 : f32\n",
                    square = "    %1 = arith.mulf %0, %0 : f32\n    kt.yield %1 : f32\n",
                    value = "    kt.yield %v : f32\n", place = "    kt.yield %v : i64\n",
                    less = "    %0 = kt.read %S[%i] : " + f32 +
                           " -> f32\n    %1 = arith.subf %v, %0 : f32\n    kt.yield %1 : f32\n";
  return "^bb0(%x: " + in + "):\n" + one("sum", "add", same, value) + one("most", "max", same, value) +
         one("where", "argmax", same, place) + one("rest", "add", square, less, true) +
         "  kt.yield %sum, %most, %where, %rest : " + f32 + ", " + f32 + ", " + i64 + ", " + f32;
}

TEST(HostReduce, several_in_one_pass) {
  for (bool rows : {true, false}) {
    HostKernel k(severalOver(rows), 2);
    ASSERT_TRUE(k.ok());
    for (const kt::artifact::Variant &v : k.getCode().variants)
      EXPECT_EQ(v.stages.size(), 1u) << v.schedule;
    for (auto [n, m] : {std::array<int64_t, 2>{1, 1}, {7, 197}, {197, 7}, {509, 64}, {3, 40000}}) {
      auto x = randomVector(n * m, -2, 3);
      int64_t outputs = rows ? n : m, length = rows ? m : n;
      std::vector<float> sum(outputs), most(outputs), rest(outputs), sums(outputs), largest(outputs), rests(outputs);
      std::vector<int64_t> where(outputs), places(outputs);
      for (int64_t o = 0; o < outputs; ++o) {
        double total = 0, squares = 0;
        largest[o] = -INFINITY;
        for (int64_t i = 0; i < length; ++i) {
          float v = rows ? x[o * m + i] : x[i * m + o];
          total += v, squares += (double)v * v;
          if (v > largest[o])
            largest[o] = v, places[o] = i;
        }
        sums[o] = total, rests[o] = squares - total;
      }
      k.run({x.data(), sum.data(), most.data(), where.data(), rest.data()}, {n, m});
      expectClose(sum, sums, 1e-3, 1e-4, "sum");
      expectClose(rest, rests, 1e-3, 1e-4, "rest");
      EXPECT_EQ(most, largest);
      EXPECT_EQ(where, places);
    }
  }
}

TEST(HostReduce, maximum_of_nan_is_nan) {
  for (int dim : {0, 2}) {
    HostKernel k(overDim("max", dim), 3);
    ASSERT_TRUE(k.ok());
    std::array<int64_t, 3> s = {7, 3, 50};
    auto x = randomVector(s[0] * s[1] * s[2]);
    x[70] = NAN;
    std::vector<float> expected, y;
    eachRow(s, dim, [&](int64_t, int64_t at, int64_t step, int64_t n) {
      float best = -INFINITY;
      for (int64_t i = 0; i < n; ++i)
        best = std::isnan(best) || std::isnan(x[at + i * step]) ? NAN : std::max(best, x[at + i * step]);
      expected.push_back(best);
    });
    y.resize(expected.size());
    k.run({x.data(), y.data()}, {s[0], s[1], s[2]});
    expectClose(y, expected, 0, 0, "max");
  }
}

TEST(HostReduce, argmax_finds_the_first_or_last_winner) {
  for (int dim : {0, 2})
    for (bool last : {false, true})
      for (bool max : {true, false}) {
        HostKernel k(overDim(max ? "argmax" : "argmin", dim, last ? "{select_last}" : ""), 3);
        ASSERT_TRUE(k.ok());
        std::array<int64_t, 3> s = {6, 5, 9};
        auto x = randomVector(s[0] * s[1] * s[2], -3, 3);
        for (float &v : x)
          v = std::round(v);
        x[20] = x[22] = x[20 + 45] = NAN;
        std::vector<int64_t> expected, y;
        eachRow(s, dim, [&](int64_t, int64_t at, int64_t step, int64_t n) {
          int64_t best = 0;
          for (int64_t i = 1; i < n; ++i) {
            float a = x[at + i * step], b = x[at + best * step];
            bool wins =
                std::isnan(b) ? last && std::isnan(a) : std::isnan(a) || (max ? a > b : a < b) || (last && a == b);
            if (wins)
              best = i;
          }
          expected.push_back(best);
        });
        y.resize(expected.size());
        k.run({x.data(), y.data()}, {s[0], s[1], s[2]});
        EXPECT_EQ(y, expected) << dim << last << max;
      }
}

TEST(HostReduce, pools_channels_last_with_padding) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, p1, p2] x f32>):
  %y = kt.reduce max over [#kt.expr<3>] ins(%x : !kt.tensor<[p0, p1, p2] x f32>) -> !kt.tensor<[p0, p1, p2] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1, p2] x f32>, %n: index, %h: index, %c: index, %r: index):
    %c1 = arith.constant 1 : index
    %low = arith.constant 0xFF800000 : f32
    %a = arith.addi %h, %r : index
    %b = arith.subi %a, %c1 : index
    %0 = kt.read %X[%n, %b, %c] else %low : f32 {check = array<i64: 1>} : !kt.tensor<[p0, p1, p2] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%s: f32, %X: !kt.tensor<[p0, p1, p2] x f32>, %n: index, %h: index, %c: index):
    kt.yield %s : f32
  }
  kt.yield %y : !kt.tensor<[p0, p1, p2] x f32>)",
               3);
  ASSERT_TRUE(k.ok());
  EXPECT_NE(k.getCode().variants[0].schedule.find("strips"), std::string::npos);
  int64_t n = 3, h = 11, c = 300;
  auto x = randomVector(n * h * c);
  std::vector<float> y(x.size()), expected(x.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < h; ++j)
      for (int64_t l = 0; l < c; ++l) {
        float best = -INFINITY;
        for (int64_t r = -1; r <= 1; ++r)
          if (j + r >= 0 && j + r < h)
            best = std::max(best, x[(i * h + j + r) * c + l]);
        expected[(i * h + j) * c + l] = best;
      }
  k.run({x.data(), y.data()}, {n, h, c});
  EXPECT_EQ(y, expected);
}

TEST(HostReduce, integers_and_booleans_to_a_scalar) {
  struct Case {
    std::string kind, type;
    int64_t expected;
  };
  for (const Case &c : {Case{"add", "i32", 1 + 3 - 7 + 2},
                        {"mul", "i32", -42},
                        {"max", "i32", 3},
                        {"min", "i32", -7},
                        {"max", "i1", 1},
                        {"min", "i1", 0}}) {
    std::string in = "!kt.tensor<[p0] x " + c.type + ">", out = "!kt.tensor<[] x " + c.type + ">";
    HostKernel k("^bb0(%x: " + in + "):\n %y = kt.reduce " + c.kind + " over [#kt.expr<p0>] ins(%x : " + in + ") -> " +
                     out + " {\n ^bb0(%X: " + in + ", %r: index):\n %0 = kt.read %X[%r] : " + in + " -> " + c.type +
                     "\n kt.yield %0 : " + c.type + "\n } epilogue {\n ^bb0(%s: " + c.type + ", %X: " + in +
                     "):\n kt.yield %s : " + c.type + "\n }\n kt.yield %y : " + out,
                 1);
    ASSERT_TRUE(k.ok());
    std::vector<int32_t> x = {1, 3, -7, 2}, y = {99};
    std::vector<uint8_t> b = {1, 0, 1, 1}, z = {99};
    bool isBool = c.type == "i1";
    k.run({isBool ? (void *)b.data() : x.data(), isBool ? (void *)z.data() : y.data()}, {4});
    EXPECT_EQ(isBool ? z[0] : y[0], c.expected) << c.kind << c.type;
  }
}

// x + 0 is x: the loop passes its value on unchanged, which lowering once lost.
TEST(HostReduce, constant_bodies_without_operands) {
  auto reduce = [](const std::string &kind, const std::string &value) {
    return "^bb0:\n %y = kt.reduce " + kind +
           " over [#kt.expr<p0>] -> !kt.tensor<[p1] x f32> {\n ^bb0(%a: index, %r: index):\n %0 = arith.constant " +
           value +
           " : f32\n kt.yield %0 : f32\n } epilogue {\n ^bb0(%s: f32, %a: index):\n kt.yield %s : f32\n }\n"
           " kt.yield %y : !kt.tensor<[p1] x f32>";
  };
  for (auto [kind, value, expected] :
       {std::tuple("add", "0.0", 0.0f), {"add", "-0.0", 0.0f}, {"add", "2.0", 10.0f}, {"mul", "1.0", 1.0f}}) {
    HostKernel k(reduce(kind, value), 2);
    ASSERT_TRUE(k.ok());
    std::vector<float> y(3);
    k.run({y.data()}, {5, 3});
    expectClose(y, std::vector<float>(3, expected), 0, 0, std::string(kind) + " of " + value);
  }
}

TEST(HostReduce, integer_sum_of_zeros) {
  HostKernel k("^bb0:\n %y = kt.reduce add over [#kt.expr<p0>] -> !kt.tensor<[p1] x i64> {\n ^bb0(%a: index, %r: "
               "index):\n %0 = arith.constant 0 : i64\n kt.yield %0 : i64\n } epilogue {\n ^bb0(%s: i64, %a: "
               "index):\n kt.yield %s : i64\n }\n kt.yield %y : !kt.tensor<[p1] x i64>",
               2);
  ASSERT_TRUE(k.ok());
  std::vector<int64_t> y(3, 7);
  k.run({y.data()}, {5, 3});
  EXPECT_EQ(y, std::vector<int64_t>(3, 0));
}
