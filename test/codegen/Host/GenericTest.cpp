//===- GenericTest.cpp - elementwise kernels on the host ------------------===//

#include "test/codegen/HostRunner.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kt::test;

TEST(HostGeneric, adds_a_broadcast_bias) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, p1, p2] x f32>, %b: !kt.tensor<[p2] x f32>):
  %r = kt.generic ins(%x, %b : !kt.tensor<[p0, p1, p2] x f32>, !kt.tensor<[p2] x f32>) -> !kt.tensor<[p0, p1, p2] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1, p2] x f32>, %B: !kt.tensor<[p2] x f32>, %i: index, %j: index, %l: index):
    %0 = kt.read %X[%i, %j, %l] : !kt.tensor<[p0, p1, p2] x f32> -> f32
    %1 = kt.read %B[%l] : !kt.tensor<[p2] x f32> -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, p2] x f32>)",
               3);
  ASSERT_TRUE(k.ok());
  std::printf("compile %.1f ms\n", k.compileMs);
  for (auto [a, b, c] :
       {std::array<int64_t, 3>{2, 3, 5}, {1, 1, 1}, {0, 4, 7}, {4, 0, 7}, {4, 7, 0}, {3, 700, 51}, {2, 1, 40000}}) {
    size_t n = a * b * c;
    auto x = randomVector(n), bias = randomVector(c, -1, 1, 2);
    std::vector<float> y(n, -7), expected(n);
    for (size_t i = 0; i < n; ++i)
      expected[i] = x[i] + bias[i % c];
    k.run({x.data(), bias.data(), y.data()}, {a, b, c});
    EXPECT_EQ(y, expected);
  }
}

TEST(HostGeneric, merges_contiguous_dimensions) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, p1, 3] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, p1, 3] x f32>) -> !kt.tensor<[p0, p1, 3] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1, 3] x f32>, %i: index, %j: index, %l: index):
    %0 = kt.read %X[%i, %j, %l] : !kt.tensor<[p0, p1, 3] x f32> -> f32
    %1 = math.tanh %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 3] x f32>)",
               2);
  ASSERT_TRUE(k.ok());
  std::printf("compile %.1f ms\n", k.compileMs);
  EXPECT_NE(k.getCode().variants[0].schedule.find("loops=1"), std::string::npos);
  auto x = randomVector(7 * 9000 * 3, -5, 5);
  std::vector<float> y(x.size()), expected(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    expected[i] = std::tanh((double)x[i]);
  k.run({x.data(), y.data()}, {7, 9000});
  expectClose(y, expected, 0, 4e-7, "tanh");
}

TEST(HostGeneric, pads_and_never_touches_an_empty_tensor) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p0 + 2, p1 + 3] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %i: index, %j: index):
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %v = arith.constant 9.0 : f32
    %a = arith.subi %i, %c1 : index
    %b = arith.subi %j, %c2 : index
    %0 = kt.read %X[%a, %b] else %v : f32 : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0 + 2, p1 + 3] x f32>)",
               2);
  ASSERT_TRUE(k.ok());
  for (auto [a, b] : {std::array<int64_t, 2>{2, 3}, {0, 3}, {3, 0}, {40, 1000}}) {
    auto x = randomVector(a * b);
    std::vector<float> y((a + 2) * (b + 3)), expected((a + 2) * (b + 3), 9);
    for (int64_t i = 0; i < a; ++i)
      for (int64_t j = 0; j < b; ++j)
        expected[(i + 1) * (b + 3) + j + 2] = x[i * b + j];
    k.run({a * b ? x.data() : nullptr, y.data()}, {a, b});
    EXPECT_EQ(y, expected);
  }
}

TEST(HostGeneric, converts_between_storage_types) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0] x f16>, %b: !kt.tensor<[p0] x bf16>, %m: !kt.tensor<[p0] x i1>, %u: !kt.tensor<[p0] x ui8>):
  %r = kt.generic ins(%x, %b, %m, %u : !kt.tensor<[p0] x f16>, !kt.tensor<[p0] x bf16>, !kt.tensor<[p0] x i1>, !kt.tensor<[p0] x ui8>)
      -> !kt.tensor<[p0] x bf16> {
  ^bb0(%X: !kt.tensor<[p0] x f16>, %B: !kt.tensor<[p0] x bf16>, %M: !kt.tensor<[p0] x i1>, %U: !kt.tensor<[p0] x ui8>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f16> -> f16
    %1 = kt.read %B[%i] : !kt.tensor<[p0] x bf16> -> bf16
    %2 = kt.read %M[%i] : !kt.tensor<[p0] x i1> -> i1
    %3 = kt.read %U[%i] : !kt.tensor<[p0] x ui8> -> i8
    %4 = arith.extf %0 : f16 to f32
    %5 = arith.extf %1 : bf16 to f32
    %6 = arith.select %2, %4, %5 : f32
    %7 = arith.uitofp %3 : i8 to f32
    %8 = arith.addf %6, %7 : f32
    %9 = arith.truncf %8 : f32 to bf16
    kt.yield %9 : bf16
  }
  kt.yield %r : !kt.tensor<[p0] x bf16>)",
               1);
  ASSERT_TRUE(k.ok());
  int n = 1003;
  std::vector<uint16_t> x(n), b(n), y(n), expected(n);
  std::vector<uint8_t> m(n), u(n);
  auto f = randomVector(n, -300, 300);
  for (int i = 0; i < n; ++i) {
    x[i] = toHalf(f[i]);
    b[i] = toBFloat(f[n - 1 - i]);
    m[i] = i % 3 == 0;
    u[i] = i * 7;
    expected[i] = toBFloat((m[i] ? fromHalf(x[i]) : fromBFloat(b[i])) + u[i]);
  }
  k.run({x.data(), b.data(), m.data(), u.data(), y.data()}, {n});
  EXPECT_EQ(y, expected);
}

// Nothing but moves: the bits stay bits, also where one read falls back on another.
TEST(HostGeneric, concatenates_bf16) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, 40] x bf16>, %z: !kt.tensor<[p0, 40] x bf16>):
  %r = kt.generic ins(%x, %z : !kt.tensor<[p0, 40] x bf16>, !kt.tensor<[p0, 40] x bf16>) -> !kt.tensor<[p0, 80] x bf16> {
  ^bb0(%X: !kt.tensor<[p0, 40] x bf16>, %Z: !kt.tensor<[p0, 40] x bf16>, %i: index, %j: index):
    %c = arith.constant 40 : index
    %zero = arith.constant 0.0 : bf16
    %0 = kt.read %X[%i, %j] else %zero : bf16 {check = array<i64: 1>} : !kt.tensor<[p0, 40] x bf16> -> bf16
    %1 = arith.subi %j, %c : index
    %2 = kt.read %Z[%i, %1] else %0 : bf16 {check = array<i64: 1>} : !kt.tensor<[p0, 40] x bf16> -> bf16
    kt.yield %2 : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 80] x bf16>)",
               1);
  ASSERT_TRUE(k.ok());
  std::vector<uint16_t> x(3 * 40), z(3 * 40), y(3 * 80), expected(3 * 80);
  for (int i = 0; i < 120; ++i)
    x[i] = 0x7f81 + i, z[i] = 0x1234 + i; // NaNs with a payload among them
  for (int i = 0; i < 240; ++i)
    expected[i] = i % 80 < 40 ? x[i / 80 * 40 + i % 80] : z[i / 80 * 40 + i % 80 - 40];
  k.run({x.data(), z.data(), y.data()}, {3});
  EXPECT_EQ(y, expected);
}

TEST(HostGeneric, survives_division_by_zero) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0] x i32>, %d: !kt.tensor<[p0] x i32>):
  %r = kt.generic ins(%x, %d : !kt.tensor<[p0] x i32>, !kt.tensor<[p0] x i32>) -> !kt.tensor<[p0] x i32> {
  ^bb0(%X: !kt.tensor<[p0] x i32>, %D: !kt.tensor<[p0] x i32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x i32> -> i32
    %1 = kt.read %D[%i] : !kt.tensor<[p0] x i32> -> i32
    %2 = arith.divsi %0, %1 : i32
    %3 = arith.floordivsi %0, %1 : i32
    %4 = arith.addi %2, %3 : i32
    kt.yield %4 : i32
  }
  kt.yield %r : !kt.tensor<[p0] x i32>)",
               1);
  ASSERT_TRUE(k.ok());
  std::vector<int32_t> x = {7, INT32_MIN, -7, 9}, d = {0, -1, 2, 3}, y(4);
  k.run({x.data(), d.data(), y.data()}, {4});
  EXPECT_EQ(y[2], -3 + -4);
  EXPECT_EQ(y[3], 6);
}

TEST(HostGeneric, scalars_and_generators) {
  HostKernel scalar(R"(
^bb0(%x: !kt.tensor<[] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[] x f32>) -> !kt.tensor<[] x f32> {
  ^bb0(%X: !kt.tensor<[] x f32>):
    %0 = kt.read %X[] : !kt.tensor<[] x f32> -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[] x f32>)",
                    0);
  HostKernel iota(R"(
^bb0:
  %r = kt.generic -> !kt.tensor<[p0, p1] x i64> {
  ^bb0(%i: index, %j: index):
    %n = kt.size #kt.expr<p1 * 2 + 1>
    %0 = arith.muli %i, %n : index
    %1 = arith.addi %0, %j : index
    %2 = arith.index_cast %1 : index to i64
    kt.yield %2 : i64
  }
  kt.yield %r : !kt.tensor<[p0, p1] x i64>)",
                  2);
  ASSERT_TRUE(scalar.ok() && iota.ok());
  float x = 3, y = 0;
  scalar.run({&x, &y}, {});
  EXPECT_EQ(y, -3);
  std::vector<int64_t> v(15);
  iota.run({v.data()}, {3, 5});
  for (int i = 0; i < 15; ++i)
    EXPECT_EQ(v[i], i / 5 * 11 + i % 5);
}

TEST(HostGeneric, gathers_with_checked_indices) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, 4] x f32>, %at: !kt.tensor<[p1] x i64>):
  %r = kt.generic ins(%x, %at : !kt.tensor<[p0, 4] x f32>, !kt.tensor<[p1] x i64>) -> !kt.tensor<[p1, 4] x f32> {
  ^bb0(%X: !kt.tensor<[p0, 4] x f32>, %A: !kt.tensor<[p1] x i64>, %i: index, %j: index):
    %none = arith.constant 0.0 : f32
    %0 = kt.read %A[%i] : !kt.tensor<[p1] x i64> -> i64
    %1 = arith.index_cast %0 : i64 to index
    %2 = kt.read %X[%1, %j] else %none : f32 {check = array<i64: 0>} : !kt.tensor<[p0, 4] x f32> -> f32
    kt.yield %2 : f32
  }
  kt.yield %r : !kt.tensor<[p1, 4] x f32>)",
               2);
  ASSERT_TRUE(k.ok());
  auto x = randomVector(20);
  std::vector<int64_t> at = {4, 0, -1, 5, 2, INT64_MAX, INT64_MIN};
  std::vector<float> y(28, 7);
  k.run({x.data(), at.data(), y.data()}, {5, 7});
  for (int i = 0; i < 28; ++i)
    EXPECT_EQ(y[i], at[i / 4] >= 0 && at[i / 4] < 5 ? x[at[i / 4] * 4 + i % 4] : 0) << i;
}

TEST(HostGeneric, computes_in_half_precision) {
  for (std::string t : {"f16", "bf16"}) {
    std::string tensor = "!kt.tensor<[p0] x " + t + ">";
    HostKernel k("^bb0(%x: " + tensor + ", %z: " + tensor + "):\n %r = kt.generic ins(%x, %z : " + tensor + ", " +
                     tensor + ") -> " + tensor + " {\n ^bb0(%X: " + tensor + ", %Z: " + tensor +
                     ", %i: index):\n %0 = kt.read %X[%i] : " + tensor + " -> " + t +
                     "\n %1 = kt.read %Z[%i] : " + tensor + " -> " + t + "\n %c = arith.constant 1.5 : " + t +
                     "\n %2 = arith.mulf %0, %c : " + t + "\n %3 = arith.maximumf %2, %1 : " + t +
                     "\n %4 = arith.cmpf ogt, %3, %c : " + t + "\n %5 = arith.fptosi %3 : " + t +
                     " to i32\n %6 = arith.sitofp %5 : i32 to " + t + "\n %7 = arith.select %4, %6, %3 : " + t +
                     "\n %8 = math.absf %7 : " + t + "\n kt.yield %8 : " + t + "\n }\n kt.yield %r : " + tensor,
                 1);
    ASSERT_TRUE(k.ok());
    auto decode = [&](uint16_t v) { return t == "f16" ? fromHalf(v) : fromBFloat(v); };
    auto encode = [&](float v) { return t == "f16" ? toHalf(v) : toBFloat(v); };
    std::vector<uint16_t> x, z, y(500);
    for (float v : randomVector(500, -9, 9))
      x.push_back(encode(v));
    for (float v : randomVector(500, -9, 9, 2))
      z.push_back(encode(v));
    k.run({x.data(), z.data(), y.data()}, {500});
    for (int i = 0; i < 500; ++i) {
      float m = std::max(decode(encode(decode(x[i]) * 1.5f)), decode(z[i]));
      EXPECT_EQ(decode(y[i]), std::abs(m > 1.5f ? decode(encode((int)m)) : m)) << t << i;
    }
  }
}

TEST(HostGeneric, transposes_in_tiles) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, p1, p2, p3] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, p1, p2, p3] x f32>) -> !kt.tensor<[p3, p0, p2, p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1, p2, p3] x f32>, %d: index, %a: index, %c: index, %b: index):
    %0 = kt.read %X[%a, %b, %c, %d] : !kt.tensor<[p0, p1, p2, p3] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p3, p0, p2, p1] x f32>)",
               4);
  ASSERT_TRUE(k.ok());
  EXPECT_NE(k.getCode().variants[0].schedule.find("tile"), std::string::npos);
  for (auto [a, b, c, d] :
       {std::array<int64_t, 4>{2, 3, 4, 5}, {1, 1, 1, 1}, {0, 2, 3, 4}, {2, 70, 3, 50}, {3, 200, 2, 130}}) {
    auto x = randomVector(a * b * c * d);
    std::vector<float> y(x.size(), 7), expected(x.size());
    for (int64_t i = 0; i < a; ++i)
      for (int64_t j = 0; j < b; ++j)
        for (int64_t l = 0; l < c; ++l)
          for (int64_t m = 0; m < d; ++m)
            expected[((m * a + i) * c + l) * b + j] = x[((i * b + j) * c + l) * d + m];
    k.run({x.data(), y.data()}, {a, b, c, d});
    EXPECT_EQ(y, expected);
  }
}

/// The last task has fewer tiles than the others; here those beyond would be matrices of their own.
TEST(HostGeneric, transposes_each_matrix_of_a_batch) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, p1, p2] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, p1, p2] x f32>) -> !kt.tensor<[p0, p2, p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1, p2] x f32>, %a: index, %c: index, %b: index):
    %0 = kt.read %X[%a, %b, %c] : !kt.tensor<[p0, p1, p2] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p2, p1] x f32>)",
               3);
  ASSERT_TRUE(k.ok());
  EXPECT_NE(k.getCode().variants[0].schedule.find("tile"), std::string::npos);
  for (auto [a, b, c] : {std::array<int64_t, 3>{2, 3, 4}, {0, 2, 3}, {5, 17, 33}, {3, 200, 130}}) {
    auto x = randomVector(a * b * c);
    std::vector<float> y(x.size(), 7), expected(x.size());
    for (int64_t i = 0; i < a; ++i)
      for (int64_t j = 0; j < b; ++j)
        for (int64_t l = 0; l < c; ++l)
          expected[(i * c + l) * b + j] = x[(i * b + j) * c + l];
    k.run({x.data(), y.data()}, {a, b, c});
    EXPECT_EQ(y, expected);
  }
}

TEST(HostGeneric, reports_indices_outside) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0, p1] x f32>, %i: !kt.tensor<[p2] x i64>):
  %r = kt.generic ins(%x, %i : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p2] x i64>) -> !kt.tensor<[p2, p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %I: !kt.tensor<[p2] x i64>, %a: index, %b: index):
    %c = arith.constant 99 : i64
    %0 = kt.read %I[%a] : !kt.tensor<[p2] x i64> -> i64
    %w = arith.cmpi ne, %0, %c : i64
    %1 = kt.bounded %0 below #kt.expr<p0> site 3 when %w {wraps} : i64
    %2 = kt.read %X[%1, %b] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %2 : f32
  }
  kt.yield %r : !kt.tensor<[p2, p1] x f32>)",
               4);
  ASSERT_TRUE(k.ok());
  const int64_t rows = 7, columns = 33, site = 40;
  auto x = randomVector(rows * columns);
  std::vector<int64_t> at(2000);
  for (size_t i = 0; i < at.size(); ++i)
    at[i] = int64_t(i * 5 % (2 * rows)) - rows;
  std::vector<float> y(at.size() * columns), expected(y.size());
  for (int threads : {0, 1, 3})
    for (int64_t bad : {int64_t(0), int64_t(99), rows, -rows - 1, INT64_MAX, INT64_MIN, int64_t(1) << 32}) {
      auto indices = at;
      indices[1234] = bad;
      k.run({x.data(), indices.data(), y.data()}, {rows, columns, (int64_t)at.size(), site}, threads);
      bool fault = bad != 0 && bad != 99;
      EXPECT_EQ(k.faults.site, fault ? site + 1 : 0) << bad;
      EXPECT_EQ(k.faults.index, fault ? bad : 0);
      EXPECT_EQ(k.faults.limit, fault ? rows : 0);
      // What is outside becomes row 0.
      for (size_t i = 0; i < expected.size(); ++i) {
        int64_t row = indices[i / columns];
        row = row < 0 && row >= -rows ? row + rows : row < 0 || row >= rows ? 0 : row;
        expected[i] = x[row * columns + i % columns];
      }
      EXPECT_EQ(y, expected) << bad;
    }
}

TEST(HostGeneric, shares_tasks_with_what_is_beside_it) {
  HostKernel k(R"(
^bb0(%x: !kt.tensor<[p0] x f32>, %y: !kt.tensor<[p1, p2] x f32>):
  %a = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = arith.addf %0, %0 : f32
    kt.yield %1 : f32
  }
  %b = kt.update axis 0 from #kt.expr<p3> count #kt.expr<p1> ins(%y : !kt.tensor<[p1, p2] x f32>) -> !kt.tensor<[p1 + p3, p2] x f32> {
  ^bb0(%Y: !kt.tensor<[p1, p2] x f32>, %i: index, %j: index):
    %0 = kt.read %Y[%i, %j] : !kt.tensor<[p1, p2] x f32> -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  %c = kt.generic ins(%y : !kt.tensor<[p1, p2] x f32>) -> !kt.tensor<[p2, p1] x f32> {
  ^bb0(%Y: !kt.tensor<[p1, p2] x f32>, %i: index, %j: index):
    %0 = kt.read %Y[%j, %i] : !kt.tensor<[p1, p2] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %a, %b, %c : !kt.tensor<[p0] x f32>, !kt.tensor<[p1 + p3, p2] x f32>, !kt.tensor<[p2, p1] x f32>)",
               4);
  ASSERT_TRUE(k.ok());
  EXPECT_EQ(k.getCode().variants[0].stages.size(), 1u);
  for (auto [n, rows, columns, held] : {std::array<int64_t, 4>{1, 1, 1, 1},
                                        {100000, 300, 197, 2},
                                        {0, 5, 7, 3},
                                        {33000, 0, 7, 4},
                                        {0, 0, 0, 0},
                                        {3, 2, 70000, 0}}) {
    auto x = randomVector(n), y = randomVector(rows * columns, -1, 1, 2);
    std::vector<float> b((rows + held) * columns, -7), twice(n), window(b), turned(y.size());
    for (int64_t i = 0; i < n; ++i)
      twice[i] = x[i] + x[i];
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        window[(i + held) * columns + j] = -y[i * columns + j];
        turned[j * rows + i] = y[i * columns + j];
      }
    for (int threads : {0, 1, 3}) {
      std::vector<float> va(n), vb(b), vc(y.size());
      k.run({x.data(), y.data(), va.data(), vb.data(), vc.data()}, {n, rows, columns, held}, threads);
      EXPECT_EQ(va, twice);
      EXPECT_EQ(vb, window);
      EXPECT_EQ(vc, turned);
    }
  }
}
