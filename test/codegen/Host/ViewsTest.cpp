//===- ViewsTest.cpp - factors that are views on the host -----------------===//
//
// Rows that do not go on in each other, parts of wider rows, factors in one tensor, repetitions, channels. Elements
// beside what is read are NaN: nothing looks at them.
//
//===----------------------------------------------------------------------===//

#include "test/codegen/HostRunner.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kt::test;

namespace {

/// Elements of FP32 or FP16, by the type's name.
struct Elements {
  Elements(const std::string &type, size_t n) : half(type == "f16"), bits(half ? 0 : n), halves(half ? n : 0) {}
  bool half;
  std::vector<float> bits;
  std::vector<uint16_t> halves;
  void set(size_t i, float v) {
    if (half)
      halves.at(i) = toHalf(v);
    else
      bits.at(i) = v;
  }
  float operator[](size_t i) const { return half ? fromHalf(halves.at(i)) : bits.at(i); }
  void *data() { return half ? (void *)halves.data() : (void *)bits.data(); }
};

using Numbers = std::vector<int64_t>;

int64_t offsetOf(const Numbers &at, const Numbers &strides, int64_t offset) {
  for (size_t d = 0; d < at.size(); ++d)
    offset += at[d] * strides[d];
  return offset;
}

/// Every index of these sizes.
template <typename F> void forAll(const Numbers &sizes, F f) {
  Numbers at(sizes.size());
  int64_t n = 1;
  for (int64_t s : sizes)
    n *= s;
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i;
    for (size_t d = sizes.size(); d-- > 0;)
      at[d] = rest % sizes[d], rest /= sizes[d];
    f(at);
  }
}

/// A tensor of `n` elements that has numbers where the view is and NaN elsewhere.
Elements only(const std::string &type, size_t n, const Numbers &sizes, const Numbers &strides, int64_t offset,
              unsigned seed) {
  Elements e(type, n);
  for (size_t i = 0; i < n; ++i)
    e.set(i, NAN);
  auto values = randomVector(n, -1, 1, seed);
  forAll(sizes, [&](const Numbers &at) {
    int64_t i = offsetOf(at, strides, offset);
    e.set(i, values[i]);
  });
  return e;
}

std::string tensor(const std::string &dims, const std::string &type) {
  return "!kt.tensor<[" + dims + "] x " + type + ">";
}
std::string view(const std::string &dims, const std::string &strides, const std::string &offset) {
  return "#kt.view<[" + dims + "] strides [" + strides + "] offset " + offset + ">";
}

void expectSums(const Elements &got, const std::vector<float> &want, const std::string &what, double tolerance) {
  std::vector<float> actual;
  for (size_t i = 0; i < want.size(); ++i)
    actual.push_back(got[i]);
  expectClose(actual, want, tolerance, tolerance, what);
}

double toleranceOf(const std::string &type) { return type == "f16" ? 2e-2 : 2e-5; }

const std::string kTruncated = " %t = arith.truncf %s : f32 to f16\n kt.yield %t : f16\n";
std::string yielded(const std::string &type) { return type == "f16" ? kTruncated : " kt.yield %s : f32\n"; }

/// Rows [b, s] of a tensor [s, b, row], times packed weights or plain ones that are a part of wider rows themselves.
void checkRows(const std::string &type, int64_t row, int64_t offset, int packed) {
  const int64_t k = 19, n = 21, wide = 50, first = 3;
  std::string R = std::to_string(row), l = tensor("p1, p0, " + R, type), o = tensor("p0, p1, 21", type);
  std::string w = tensor(packed ? "2, 19, 16" : "19, 50", type);
  HostKernel kernel(
      "^bb0(%x: " + l + ", %w: " + w + "):\n %y = kt.matmul %x, %w {" + (packed ? "packed, " : "") +
          "depth = #kt.expr<19>, maps = [affine_map<(b, m, n, k) -> (b, m, k)>, affine_map<(b, m, n, k) -> " +
          (packed ? "(n, k)" : "(k, n)") + ">, affine_map<(b, m, n, k) -> (b, m, n)>], views = [" +
          view("p0, p1, 19", R + ", p0 * " + R + ", 1", std::to_string(offset)) + ", " +
          (packed ? "#kt.view<none>" : view("19, 21", "50, 1", "3")) + "]} : " + l + ", " + w + " -> " + o +
          " epilogue {\n ^bb0(%s: f32, %i: index, %j: index, %n: index):\n" + yielded(type) + " }\n kt.yield %y : " + o,
      2);
  ASSERT_TRUE(kernel.ok());
  for (auto [b, s] : {std::array<int64_t, 2>{1, 1}, {2, 7}, {7, 2}, {3, 67}, {1, 197}, {2, 197}, {0, 3}, {1, 509}}) {
    Numbers sizes{b, s, k}, strides{row, b * row, 1};
    Elements x = only(type, s * b * row, sizes, strides, offset, 1);
    Elements right = packed ? Elements(type, 2 * k * 16) : only(type, k * wide, {k, n}, {wide, 1}, first, 2);
    if (packed)
      for (int64_t i = 0; i < 2 * k * 16; ++i)
        right.set(i, (i * 37 % 101) / 101.0f - 0.5f);
    Elements y(type, b * s * n);
    std::vector<float> want;
    forAll({b, s, n}, [&](const Numbers &at) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i)
        sum += (double)x[offsetOf({at[0], at[1], i}, strides, offset)] *
               right[packed ? (at[2] / 16 * k + i) * 16 + at[2] % 16 : offsetOf({i, at[2]}, {wide, 1}, first)];
      want.push_back(sum);
    });
    for (int threads : {0, 1, 3}) {
      kernel.run({x.data(), right.data(), y.data()}, {b, s}, threads);
      expectSums(y, want, type + " " + std::to_string(b) + " x " + std::to_string(s), toleranceOf(type));
    }
  }
}

} // namespace

TEST(HostViews, rows_apart) {
  for (std::string type : {"f32", "f16"})
    for (int packed : {0, 1}) {
      checkRows(type, 19, 0, packed);
      checkRows(type, 24, 5, packed);
    }
}

/// Scores of queries and keys that lie in one tensor [b, s, 3, 2, 17].
TEST(HostViews, both_factors_in_one) {
  for (std::string type : {"f32", "f16"}) {
    std::string x = tensor("p0, p1, 102", type), o = tensor("p0, 2, p1, p1", type);
    HostKernel kernel(
        "^bb0(%q: " + x + ", %k: " + x +
            "):\n %y = kt.matmul %q, %k {depth = #kt.expr<17>, maps = [affine_map<(b, h, m, n, k) -> (b, "
            "h, m, k)>, affine_map<(b, h, m, n, k) -> (b, h, n, k)>, affine_map<(b, h, m, n, k) -> (b, h, "
            "m, n)>], views = [" +
            view("p0, 2, p1, 17", "p1 * 102, 17, 102, 1", "0") + ", " +
            view("p0, 2, p1, 17", "p1 * 102, 17, 102, 1", "34") + "]} : " + x + ", " + x + " -> " + o +
            " epilogue {\n ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):\n" + yielded(type) +
            " }\n kt.yield %y : " + o,
        2);
    ASSERT_TRUE(kernel.ok());
    for (auto [b, s] : {std::array<int64_t, 2>{1, 1}, {2, 7}, {1, 197}, {0, 5}, {3, 0}}) {
      Numbers sizes{b, 2, s, 17}, strides{s * 102, 17, 102, 1};
      Elements q = only(type, b * s * 102, sizes, strides, 0, 1), k = only(type, b * s * 102, sizes, strides, 34, 2);
      Elements y(type, b * 2 * s * s);
      std::vector<float> want;
      forAll({b, 2, s, s}, [&](const Numbers &at) {
        double sum = 0;
        for (int64_t d = 0; d < 17; ++d)
          sum += (double)q[offsetOf({at[0], at[1], at[2], d}, strides, 0)] *
                 k[offsetOf({at[0], at[1], at[3], d}, strides, 34)];
        want.push_back(sum);
      });
      kernel.run({q.data(), k.data(), y.data()}, {b, s});
      expectSums(y, want, type, toleranceOf(type));
    }
  }
}

namespace {

struct Factor {
  std::string dims; // of the tensor
  std::string view;
  int64_t heads;
  int64_t row, head, batch, offset; // strides; the batch's is times the number of its rows
};

/// Four heads of queries over two of keys and of values, wherever these lie.
void checkAttention(const std::string &type, const Factor (&f)[3], int64_t d) {
  std::string D = std::to_string(d), o = tensor("p0, p1, 4, " + D, type), t[3], views;
  for (int i = 0; i < 3; ++i)
    t[i] = tensor(f[i].dims, type), views += (i ? ", " : "") + f[i].view;
  const std::string same = "affine_map<(b, h, i, d) -> (b, h, i, d)>";
  HostKernel kernel("^bb0(%q: " + t[0] + ", %k: " + t[1] + ", %v: " + t[2] +
                        "):\n %y = kt.attention %q, %k, %v {group = 2 : i64, maps = [" + same + ", " + same + ", " +
                        same + ", affine_map<(b, h, i, d) -> (b, i, h, d)>], sizes = [#kt.expr<p0>, #kt.expr<4>, " +
                        "#kt.expr<p1>, #kt.expr<p2>, #kt.expr<" + D + ">, #kt.expr<" + D + ">], views = [" + views +
                        "]} : " + t[0] + ", " + t[1] + ", " + t[2] + " -> " + o +
                        " score {\n ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):\n kt.yield %s : f32\n "
                        "}\n kt.yield %y : " +
                        o,
                    3);
  ASSERT_TRUE(kernel.ok());
  for (auto [b, i, j] : {std::array<int64_t, 3>{1, 1, 1}, {2, 7, 7}, {1, 1, 509}, {2, 70, 197}, {3, 2, 70}}) {
    std::vector<Elements> in;
    Numbers strides[3];
    for (int n = 0; n < 3; ++n) {
      int64_t rows = n ? j : i;
      strides[n] = {f[n].batch * rows, f[n].head, f[n].row, 1};
      size_t elements = f[n].batch ? b * rows * f[n].row : rows * f[n].row;
      in.push_back(only(type, elements, {b, f[n].heads, rows, d}, strides[n], f[n].offset, n + 1));
    }
    Elements y(type, b * i * 4 * d);
    std::vector<float> want(b * i * 4 * d);
    forAll({b, i, 4}, [&](const Numbers &at) {
      int64_t group = at[2] / 2;
      std::vector<double> weights(j), sums(d);
      double total = 0, most = -1e30;
      for (int64_t c = 0; c < j; ++c) {
        for (int64_t e = 0; e < d; ++e)
          weights[c] += (double)in[0][offsetOf({at[0], at[2], at[1], e}, strides[0], f[0].offset)] *
                        in[1][offsetOf({at[0], group, c, e}, strides[1], f[1].offset)];
        most = std::max(most, weights[c]);
      }
      for (double &w : weights)
        total += w = std::exp(w - most);
      for (int64_t e = 0; e < d; ++e) {
        for (int64_t c = 0; c < j; ++c)
          sums[e] += weights[c] * in[2][offsetOf({at[0], group, c, e}, strides[2], f[2].offset)];
        want[((at[0] * i + at[1]) * 4 + at[2]) * d + e] = sums[e] / total;
      }
    });
    kernel.run({in[0].data(), in[1].data(), in[2].data(), y.data()}, {b, i, j});
    expectSums(y, want, type + " attention", toleranceOf(type));
  }
}

} // namespace

TEST(HostViews, heads_in_one_tensor) {
  for (std::string type : {"f32", "f16"})
    for (int64_t offset : {0, 1}) {
      // [b, s, offset + (4 + 2 + 2) * 20]
      int64_t row = 160 + offset;
      std::string R = std::to_string(row);
      auto factor = [&](std::string rows, int64_t heads, int64_t first) {
        return Factor{"p0, " + rows + ", " + R,
                      view("p0, " + std::to_string(heads) + ", " + rows + ", 20",
                           rows + " * " + R + ", 20, " + R + ", 1", std::to_string(first + offset)),
                      heads,
                      row,
                      20,
                      row,
                      first + offset};
      };
      checkAttention(type, {factor("p1", 4, 0), factor("p2", 2, 80), factor("p2", 2, 120)}, 20);
    }
}

TEST(HostViews, repeated_keys_and_values) {
  for (std::string type : {"f32", "f16"})
    checkAttention(type,
                   {{"p0, p1, 64", view("p0, 4, p1, 16", "p1 * 64, 16, 64, 1", "0"), 4, 64, 16, 64, 0},
                    {"p2, 16", view("p0, 2, p2, 16", "0, 0, 16, 1", "0"), 2, 16, 0, 0, 0},
                    {"p2, 32", view("p0, 2, p2, 16", "0, 16, 32, 1", "0"), 2, 32, 16, 0, 0}},
                   16);
}

namespace {

/// A convolution over [p0, 9, c] at channels from `offset` of `wide`, of 3 taps with padding.
void checkConv(const std::string &type, int64_t wide, int64_t offset, int64_t c, int64_t o, int64_t groups) {
  bool depthwise = groups == c && groups == o && groups > 1;
  int64_t cg = c / groups, og = o / groups, panels = ((depthwise ? o : og) + 15) / 16;
  auto number = [](int64_t n) { return std::to_string(n); };
  std::string x = tensor("p0, 9, " + number(wide), type), y = tensor("p0, 9, " + number(o), type),
              w = tensor(number(depthwise ? 1 : groups) + ", " + number(panels) + ", 3, " + number(cg) + ", 16", type);
  HostKernel kernel("^bb0(%x: " + x + ", %w: " + w +
                        "):\n %y = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = "
                        "array<i64: 1>, input_dilations = array<i64: 1>, pads = [#kt.expr<1>], groups = " +
                        number(groups) + " : i64, views = [" +
                        view("p0, 9, " + number(c), number(9 * wide) + ", " + number(wide) + ", 1", number(offset)) +
                        "]} : " + x + ", " + w + " -> " + y +
                        " epilogue {\n ^bb0(%s: f32, %i: index, %p: index, %c: index):\n" + yielded(type) +
                        " }\n kt.yield %y : " + y,
                    1);
  ASSERT_TRUE(kernel.ok());
  for (int64_t images : {1, 7, 0}) {
    Numbers strides{9 * wide, wide, 1};
    Elements in = only(type, images * 9 * wide, {images, 9, c}, strides, offset, 1);
    size_t count = (depthwise ? 1 : groups) * panels * 3 * cg * 16;
    Elements weights(type, count), out(type, images * 9 * o);
    for (size_t i = 0; i < count; ++i)
      weights.set(i, (i * 37 % 101) / 101.0f - 0.5f);
    std::vector<float> want;
    forAll({images, 9, o}, [&](const Numbers &at) {
      int64_t group = at[2] / og, column = depthwise ? at[2] : at[2] % og, block = depthwise ? 0 : group;
      double sum = 0;
      for (int64_t t = 0; t < 3; ++t)
        for (int64_t i = 0; i < cg; ++i)
          if (int64_t p = at[1] + t - 1; p >= 0 && p < 9)
            sum += (double)in[offsetOf({at[0], p, group * cg + i}, strides, offset)] *
                   weights[(((block * panels + column / 16) * 3 + t) * cg + i) * 16 + column % 16];
      want.push_back(sum);
    });
    kernel.run({in.data(), weights.data(), out.data()}, {images});
    expectSums(out, want, type + " convolution of " + number(groups) + " groups", toleranceOf(type));
  }
}

} // namespace

TEST(HostViews, channels_of_convolutions) {
  for (std::string type : {"f32", "f16"}) {
    checkConv(type, 40, 8, 16, 24, 1);
    checkConv(type, 21, 3, 16, 24, 1);
    checkConv(type, 29, 5, 12, 18, 3);
    checkConv(type, 29, 5, 24, 24, 24);
  }
}
