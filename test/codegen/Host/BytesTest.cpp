//===- BytesTest.cpp - products of 8-bit integers on the host -------------===//
//
// Every instruction set has to have the same 32 bits, whatever the signs and however large the numbers.
//
//===----------------------------------------------------------------------===//

#include "test/codegen/HostRunner.h"
#include <gtest/gtest.h>

using namespace kt::test;

namespace {

struct Signs {
  bool lhsUnsigned, rhsUnsigned;
};
constexpr Signs kSigns[] = {{true, false}, {false, false}, {true, true}, {false, true}};

std::string element(bool isUnsigned) { return isUnsigned ? "ui8" : "i8"; }
int32_t number(uint8_t bits, bool isUnsigned) { return isUnsigned ? bits : (int8_t)bits; }

/// Half of them the ends of the types: sums of their products are what 16 bits cannot hold.
std::vector<uint8_t> randomBytes(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  constexpr uint8_t kEnds[] = {0, 127, 128, 255};
  std::vector<uint8_t> bytes(count);
  for (uint8_t &b : bytes)
    b = random() % 2 ? kEnds[random() % 4] : random();
  return bytes;
}

constexpr const char *kEpilogue = " epilogue {\n ^bb0(%a: i32, %i: index, %j: index):\n kt.yield %a : i32\n }\n"
                                  " kt.yield %y : !kt.tensor<[p0, p1] x i32>";

void expectSums(const HostKernel &kernel, const std::vector<uint8_t> &x, std::vector<uint8_t> w,
                const std::vector<int64_t> &ints, const std::vector<int32_t> &expected) {
  // A task alone, and behind another one, whose words it may go on with.
  for (int threads : {1, 0})
    for (size_t target = 0; target < kernel.numTargets(); ++target) {
      std::vector<int32_t> y(expected.size(), 77);
      kernel.run({(void *)x.data(), w.data(), y.data()}, ints, threads, target);
      EXPECT_EQ(y, expected) << "instruction set " << target << ", m, n, k " << ints[0] << " " << ints[1] << " "
                             << ints[2];
    }
}

} // namespace

TEST(HostBytes, packed) {
  for (Signs signs : kSigns) {
    std::string l = "!kt.tensor<[p0, p2] x " + element(signs.lhsUnsigned) + ">",
                r = "!kt.tensor<[(p1 + 15) floordiv 16, p2, 16] x " + element(signs.rhsUnsigned) + ">";
    HostKernel kernel("^bb0(%x: " + l + ", %w: " + r +
                          "):\n %y = kt.matmul %x, %w {packed, depth = #kt.expr<p2>, maps = [affine_map<(m, n, k) -> "
                          "(m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]} : " +
                          l + ", " + r + " -> !kt.tensor<[p0, p1] x i32>" + kEpilogue,
                      3);
    ASSERT_TRUE(kernel.ok());
    for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                           {2, 17, 3},
                           {3, 16, 4},
                           {5, 40, 0},
                           {7, 33, 66},
                           {130, 48, 259},
                           {9, 300, 1025},
                           {140, 70, 1030},
                           {1, 20, 2100}}) {
      std::vector<uint8_t> x = randomBytes(m * k, 1), w((n + 15) / 16 * 16 * k);
      std::vector<uint8_t> columns = randomBytes(n * k, 2);
      for (int64_t c = 0; c < n; ++c)
        for (int64_t i = 0; i < k; ++i)
          w[(c / 16 * k + i) * 16 + c % 16] = columns[c * k + i];
      std::vector<int32_t> expected(m * n);
      for (int64_t row = 0; row < m; ++row)
        for (int64_t c = 0; c < n; ++c)
          for (int64_t i = 0; i < k; ++i)
            expected[row * n + c] +=
                number(x[row * k + i], signs.lhsUnsigned) * number(columns[c * k + i], signs.rhsUnsigned);
      expectSums(kernel, x, w, {m, n, k}, expected);
    }
  }
}

/// The right side computed: its columns side by side, its k's, or neither, since it is every second number of rows.
TEST(HostBytes, strided) {
  for (Signs signs : kSigns)
    for (int layout : {0, 1, 2}) {
      std::string l = "!kt.tensor<[p0, p2] x " + element(signs.lhsUnsigned) + ">", r = std::string("!kt.tensor<[") +
                                                                                       (layout == 0   ? "p2, p1"
                                                                                        : layout == 1 ? "p1, p2"
                                                                                                      : "p2, p1 * 2") +
                                                                                       "] x " +
                                                                                       element(signs.rhsUnsigned) + ">";
      std::string views =
          layout < 2 ? "" : ", views = [#kt.view<none>, #kt.view<[p2, p1] strides [p1 * 2, 2] offset 0>]";
      HostKernel kernel("^bb0(%x: " + l + ", %w: " + r +
                            "):\n %y = kt.matmul %x, %w {depth = #kt.expr<p2>, maps = [affine_map<(m, n, k) -> "
                            "(m, k)>, affine_map<(m, n, k) -> " +
                            (layout == 1 ? "(n, k)" : "(k, n)") + ">, affine_map<(m, n, k) -> (m, n)>]" + views +
                            "} : " + l + ", " + r + " -> !kt.tensor<[p0, p1] x i32>" + kEpilogue,
                        3);
      ASSERT_TRUE(kernel.ok());
      int64_t wide = layout == 2 ? 2 : 1;
      for (auto [m, n, k] : {std::array<int64_t, 3>{1, 5, 7}, {3, 16, 8}, {4, 37, 66}, {6, 33, 1027}}) {
        std::vector<uint8_t> x = randomBytes(m * k, 1), w = randomBytes(n * k * wide, 2);
        std::vector<int32_t> expected(m * n);
        for (int64_t row = 0; row < m; ++row)
          for (int64_t c = 0; c < n; ++c)
            for (int64_t i = 0; i < k; ++i)
              expected[row * n + c] += number(x[row * k + i], signs.lhsUnsigned) *
                                       number(w[layout == 1 ? c * k + i : (i * n + c) * wide], signs.rhsUnsigned);
        expectSums(kernel, x, w, {m, n, k}, expected);
      }
    }
}

/// Rows that are not contiguous along k are copied a byte at a time.
TEST(HostBytes, transposed_left) {
  for (Signs signs : kSigns) {
    std::string l = "!kt.tensor<[p2, p0] x " + element(signs.lhsUnsigned) + ">",
                r = "!kt.tensor<[p2, p1] x " + element(signs.rhsUnsigned) + ">";
    HostKernel kernel("^bb0(%x: " + l + ", %w: " + r +
                          "):\n %y = kt.matmul %x, %w {depth = #kt.expr<p2>, maps = [affine_map<(m, n, k) -> (k, m)>, "
                          "affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]} : " +
                          l + ", " + r + " -> !kt.tensor<[p0, p1] x i32>" + kEpilogue,
                      3);
    ASSERT_TRUE(kernel.ok());
    int64_t m = 11, n = 21, k = 30;
    std::vector<uint8_t> x = randomBytes(m * k, 1), w = randomBytes(n * k, 2);
    std::vector<int32_t> expected(m * n);
    for (int64_t row = 0; row < m; ++row)
      for (int64_t c = 0; c < n; ++c)
        for (int64_t i = 0; i < k; ++i)
          expected[row * n + c] += number(x[i * m + row], signs.lhsUnsigned) * number(w[i * n + c], signs.rhsUnsigned);
    expectSums(kernel, x, w, {m, n, k}, expected);
  }
}
