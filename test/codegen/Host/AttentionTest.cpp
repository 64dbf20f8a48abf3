//===- AttentionTest.cpp - attention on the host --------------------------===//

#include "test/codegen/HostRunner.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kt::test;

namespace {

struct Options {
  std::string type = "f32";
  int64_t group = 1;
  bool headsInside = false; // [b, s, h, d] rather than [b, h, s, d]
  bool zeroEmpty = false;
  std::string d = "p4", e = "p5", i = "p2";
  bool from = false, to = false; // a span instead of a mask, with these ends
  bool low = false;              // the span of a mask of a very low number
  bool sink = false;             // query i of head h has the score 0.5 * h - i more; head 2 has one of minus infinity
};

constexpr const char *kSink = R"( sink {
 ^bb0(%b: index, %h: index, %i: index):
   %two = arith.constant 2 : index
   %half = arith.constant 0.5 : f32
   %low = arith.constant 0xFF800000 : f32
   %0 = arith.index_cast %h : index to i64
   %1 = arith.sitofp %0 : i64 to f32
   %2 = arith.mulf %1, %half : f32
   %3 = arith.index_cast %i : index to i64
   %4 = arith.sitofp %3 : i64 to f32
   %5 = arith.subf %2, %4 : f32
   %6 = arith.cmpi eq, %h, %two : index
   %7 = arith.select %6, %low, %5 : f32
   kt.yield %7 : f32
 })";

/// p0 b, p1 key heads, p2 i, p3 j, p4 d, p5 e. Causal with an offset, so some rows see nothing; or keys i - p6 <= j < i
/// + p7
/// - p6.
std::string text(const Options &o) {
  std::string h = "p1 * " + std::to_string(o.group);
  auto tensor = [&](const std::string &heads, const std::string &rows, const std::string &width) {
    return "!kt.tensor<[p0, " + (o.headsInside ? rows + ", " + heads : heads + ", " + rows) + ", " + width + "] x " +
           o.type + ">";
  };
  std::string map =
      o.headsInside ? "affine_map<(b, h, s, d) -> (b, s, h, d)>" : "affine_map<(b, h, s, d) -> (b, h, s, d)>";
  std::string q = tensor(h, o.i, o.d), k = tensor("p1", "p3", o.d), v = tensor("p1", "p3", o.e),
              r = tensor(h, o.i, o.e);
  std::string maps = map + ", " + map + ", " + map + ", " + map;
  return "^bb0(%q: " + q + ", %k: " + k + ", %v: " + v + "):\n %y = kt.attention %q, %k, %v {maps = [" + maps +
         "], sizes = [#kt.expr<p0>, #kt.expr<" + h + ">, #kt.expr<" + o.i + ">, #kt.expr<p3>, #kt.expr<" + o.d +
         ">, #kt.expr<" + o.e + ">], group = " + std::to_string(o.group) + " : i64" +
         (o.zeroEmpty ? ", zero_empty" : "") + (o.from ? ", span_from = #kt.expr<-1 * p6>" : "") +
         (o.to ? ", span_to = #kt.expr<p7 + -1 * p6>" : "") + (o.low ? ", span_to = #kt.expr<-1>, span_low" : "") +
         "} : " + q + ", " + k + ", " + v + " -> " + r +
         R"( score {
 ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
   %c = arith.constant 0.3 : f32
   %low = arith.constant )" +
         (o.low ? "-3.0e38" : "0xFF800000") + R"( : f32
   %two = arith.constant 2 : index
   %0 = arith.mulf %s, %c : f32
   %1 = arith.addi %j, %two : index
   %2 = arith.cmpi sle, %1, %i : index
   %3 = arith.select %2, %0, %low : f32
   kt.yield %)" +
         (o.from || o.to ? "0" : "3") + " : f32\n }" + (o.sink ? kSink : "") + "\n kt.yield %y : " + r;
}

template <typename T> T encode(float v) { return v; }
template <> uint16_t encode<uint16_t>(float v) { return toHalf(v); }
float decode(float v) { return v; }
float decode(uint16_t v) { return fromHalf(v); }

template <typename T>
void check(const HostKernel &kernel, const Options &o, int64_t b, int64_t g, int64_t ni, int64_t nj, int64_t d,
           int64_t e, int64_t back = 0, int64_t width = 0) {
  auto seen = [&](int64_t i, int64_t j) {
    if (!o.from && !o.to)
      return j + 2 <= i;
    return (!o.from || j >= i - back) && (!o.to || j < i + width - back);
  };
  int64_t h = g * o.group;
  auto at = [&](int64_t heads, int64_t rows, int64_t width, int64_t x, int64_t y, int64_t z) {
    return o.headsInside ? ((x * rows + z) * heads + y) * width : ((x * heads + y) * rows + z) * width;
  };
  std::vector<T> q, k, v;
  for (float x : randomVector(b * h * ni * d, -2, 2))
    q.push_back(encode<T>(x));
  for (float x : randomVector(b * g * nj * d, -2, 2, 2))
    k.push_back(encode<T>(x));
  for (float x : randomVector(b * g * nj * e, -2, 2, 3))
    v.push_back(encode<T>(x));
  std::vector<T> y(b * h * ni * e, 7);
  std::vector<float> expected(y.size()), actual;
  for (int64_t x = 0; x < b; ++x)
    for (int64_t head = 0; head < h; ++head)
      for (int64_t i = 0; i < ni; ++i) {
        std::vector<double> s(nj);
        double sink = o.sink && head != 2 ? 0.5 * head - i : -INFINITY, max = sink;
        for (int64_t j = 0; j < nj; ++j) {
          for (int64_t l = 0; l < d; ++l)
            s[j] += (double)decode(q[at(h, ni, d, x, head, i) + l]) * decode(k[at(g, nj, d, x, head / o.group, j) + l]);
          s[j] = seen(i, j) ? s[j] * 0.3 : o.low ? -3e38 : -INFINITY;
          max = std::max(max, s[j]);
        }
        double sum = max == -INFINITY ? 0 : std::exp(sink - max);
        for (double &p : s)
          sum += p = max == -INFINITY ? 0 : std::exp(p - max);
        for (int64_t l = 0; l < e; ++l) {
          double out = 0;
          for (int64_t j = 0; j < nj; ++j)
            out += s[j] * decode(v[at(g, nj, e, x, head / o.group, j) + l]);
          expected[at(h, ni, e, x, head, i) + l] = sum == 0 ? (o.zeroEmpty || nj == 0 ? 0 : NAN) : out / sum;
        }
      }
  kernel.run({q.data(), k.data(), v.data(), y.data()}, o.from || o.to
                                                           ? std::vector<int64_t>{b, g, ni, nj, d, e, back, width}
                                                           : std::vector<int64_t>{b, g, ni, nj, d, e});
  for (T value : y)
    actual.push_back(decode(value));
  double tolerance = sizeof(T) == 2 ? 2e-3 : 1e-5;
  expectClose(actual, expected, tolerance, tolerance, "attention");
}

} // namespace

TEST(HostAttention, every_size) {
  Options o;
  HostKernel kernel(text(o), 6);
  ASSERT_TRUE(kernel.ok());
  std::printf("compile %.1f ms\n", kernel.compileMs);
  check<float>(kernel, o, 1, 1, 1, 1, 1, 1);
  check<float>(kernel, o, 2, 3, 5, 7, 8, 9);
  check<float>(kernel, o, 1, 2, 100, 300, 33, 20);
  check<float>(kernel, o, 1, 1, 50, 50, 64, 64);
  check<float>(kernel, o, 1, 2, 3, 0, 8, 8); // a sum over no keys
  check<float>(kernel, o, 2, 1, 1, 0, 4, 5);
  check<float>(kernel, o, 1, 1, 60, 0, 8, 40);
  check<float>(kernel, o, 0, 2, 3, 4, 8, 8);
}

TEST(HostAttention, shares_keys_between_heads) {
  Options o;
  o.group = 4;
  o.headsInside = true;
  o.zeroEmpty = true;
  HostKernel kernel(text(o), 6);
  ASSERT_TRUE(kernel.ok());
  check<float>(kernel, o, 2, 2, 1, 17, 16, 16);
  check<float>(kernel, o, 1, 3, 31, 200, 64, 48);
}

TEST(HostAttention, half_storage_and_one_row) {
  Options o;
  o.type = "f16";
  HostKernel many(text(o), 6);
  ASSERT_TRUE(many.ok());
  check<uint16_t>(many, o, 1, 2, 40, 150, 64, 64);
  o.d = o.e = "64";
  o.i = "1";
  HostKernel one(text(o), 6);
  ASSERT_TRUE(one.ok());
  std::printf("compile one row %.1f ms\n", one.compileMs);
  check<uint16_t>(one, o, 2, 2, 1, 150, 64, 64);
}

TEST(HostAttention, counts_a_sink) {
  for (bool zeroEmpty : {false, true}) {
    Options o;
    o.sink = true, o.group = 3, o.zeroEmpty = zeroEmpty;
    HostKernel kernel(text(o), 6);
    ASSERT_TRUE(kernel.ok());
    check<float>(kernel, o, 1, 1, 1, 1, 8, 8);
    check<float>(kernel, o, 2, 1, 7, 150, 8, 9); // the first rows see no key: the sink is all that they have
    check<float>(kernel, o, 1, 2, 60, 300, 16, 24);
    check<float>(kernel, o, 1, 1, 3, 0, 8, 8);
  }
}

TEST(HostAttention, walks_spans_of_keys) {
  for (auto [from, to] : {std::pair{false, true}, std::pair{true, false}, std::pair{true, true}}) {
    Options o;
    o.from = from, o.to = to, o.group = 3, o.zeroEmpty = from;
    HostKernel kernel(text(o), 8);
    ASSERT_TRUE(kernel.ok());
    check<float>(kernel, o, 1, 2, 1, 1, 8, 8, 0, 1);
    check<float>(kernel, o, 2, 1, 7, 7, 8, 8, 0, 1);
    check<float>(kernel, o, 1, 1, 70, 300, 16, 16, -230,
                 1); // behind a past: blocks of rows begin in the middle of a head
    check<float>(kernel, o, 1, 1, 197, 197, 16, 24, 40, 41);
    check<float>(kernel, o, 1, 1, 509, 400, 8, 8, 130, 200);
    check<float>(kernel, o, 1, 1, 5, 300, 8, 8, -295, 0); // sees nothing
    check<float>(kernel, o, 1, 1, 60, 0, 8, 8, 3, 4);
  }
}

TEST(HostAttention, walks_all_keys_of_rows_that_see_low_scores_only) {
  Options o;
  o.low = true;
  HostKernel kernel(text(o), 6);
  ASSERT_TRUE(kernel.ok());
  check<float>(kernel, o, 1, 1, 1, 1, 8, 8);
  check<float>(kernel, o, 1, 2, 7, 150, 8, 8);
  check<float>(kernel, o, 2, 1, 197, 197, 16, 24);
  check<float>(kernel, o, 1, 1, 3, 0, 8, 8);
}
