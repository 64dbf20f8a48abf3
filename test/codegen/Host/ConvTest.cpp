//===- ConvTest.cpp - convolutions on the host ----------------------------===//

#include "test/codegen/HostRunner.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kt::test;

namespace {

struct Conv2d {
  int64_t n, h, w, c, o, groups, kh, kw, stride, pad, dilation, stretch;
  int64_t out(int64_t size, int64_t k) const {
    int64_t seen = (size - 1) * stretch + 1 + 2 * pad - dilation * (k - 1);
    return seen < 1 ? 0 : (seen - 1) / stride + 1;
  }
};

std::string list(int64_t a, int64_t b) { return "array<i64: " + std::to_string(a) + ", " + std::to_string(b) + ">"; }
std::string two(int64_t a) { return list(a, a); }

/// Groups of the packed weights: depthwise ones lie side by side in panels.
int64_t packGroups(const Conv2d &s) { return s.groups > 1 && s.c == s.groups && s.o == s.groups ? 1 : s.groups; }

/// n, h, w, oh, ow are p0..p4; channels are constants, as weights make them.
std::string text(const Conv2d &s, const std::string &type, const std::string &weightType, const std::string &acc) {
  std::string in = "!kt.tensor<[p0, p1, p2, " + std::to_string(s.c) + "] x " + type + ">";
  std::string w = "!kt.tensor<[" + std::to_string(packGroups(s)) + ", " +
                  std::to_string((s.o / packGroups(s) + 15) / 16) + ", " + std::to_string(s.kh * s.kw) + ", " +
                  std::to_string(s.c / s.groups) + ", 16] x " + weightType + ">";
  std::string out = "!kt.tensor<[p0, p3, p4, " + std::to_string(s.o) + "] x " + acc + ">",
              b = "!kt.tensor<[" + std::to_string(s.o) + "] x " + acc + ">";
  std::string add = acc == "f32" ? "arith.addf" : "arith.addi";
  std::string pad = "#kt.expr<" + std::to_string(s.pad) + ">";
  return "^bb0(%x: " + in + ", %w: " + w + ", %b: " + b + "):\n %y = kt.conv %x, %w extras(%b : " + b +
         ") {kernel = " + list(s.kh, s.kw) + ", strides = " + two(s.stride) + ", dilations = " + two(s.dilation) +
         ", input_dilations = " + two(s.stretch) + ", pads = [" + pad + ", " + pad +
         "], groups = " + std::to_string(s.groups) + " : i64} : " + in + ", " + w + " -> " + out +
         " epilogue {\n ^bb0(%a: " + acc + ", %B: " + b +
         ", %n: index, %i: index, %j: index, %c: index):\n %0 = kt.read %B[%c] : " + b + " -> " + acc +
         "\n %1 = " + add + " %a, %0 : " + acc + "\n kt.yield %1 : " + acc + "\n }\n kt.yield %y : " + out;
}

template <typename T> T encode(float v);
template <> float encode<float>(float v) { return v; }
template <> uint16_t encode<uint16_t>(float v) { return toHalf(v); }
template <> int8_t encode<int8_t>(float v) { return std::lround(v * 100); }
template <> uint8_t encode<uint8_t>(float v) { return std::lround(v * 100 + 120); }
template <> int32_t encode<int32_t>(float v) { return std::lround(v * 1000); }
float decode(float v) { return v; }
float decode(int8_t v) { return v; }
float decode(uint8_t v) { return v; }
float decode(uint16_t v) { return fromHalf(v); }

template <typename T, typename W = T, typename A = float>
void check(const Conv2d &s, const std::string &type, const std::string &weightType = "",
           const std::string &acc = "f32") {
  HostKernel k(text(s, type, weightType.empty() ? type : weightType, acc), 5);
  ASSERT_TRUE(k.ok());
  int64_t cg = s.c / s.groups, og = s.o / s.groups, outs = s.o / packGroups(s), panels = (outs + 15) / 16,
          taps = s.kh * s.kw;
  auto wf = randomVector(s.o * cg * taps, -1, 1, 2);
  std::vector<A> bias;
  for (float v : randomVector(s.o))
    bias.push_back(encode<A>(v));
  std::vector<W> w(packGroups(s) * panels * taps * cg * 16);
  auto weight = [&](int64_t o, int64_t c, int64_t tap) -> W & {
    return w[(((o / outs * panels + o % outs / 16) * taps + tap) * cg + c) * 16 + o % outs % 16];
  };
  for (int64_t o = 0; o < s.o; ++o)
    for (int64_t c = 0; c < cg; ++c)
      for (int64_t t = 0; t < taps; ++t)
        weight(o, c, t) = encode<W>(wf[(o * cg + c) * taps + t]);
  for (int64_t shrink : {0, 1}) {
    int64_t n = s.n, h = s.h - shrink, width = s.w - 2 * shrink, oh = s.out(h, s.kh), ow = s.out(width, s.kw);
    std::vector<T> x;
    for (float v : randomVector(n * h * width * s.c))
      x.push_back(encode<T>(v));
    std::vector<A> y(n * oh * ow * s.o, 7);
    std::vector<float> expected(y.size());
    for (int64_t b = 0; b < n; ++b)
      for (int64_t i = 0; i < oh; ++i)
        for (int64_t j = 0; j < ow; ++j)
          for (int64_t o = 0; o < s.o; ++o) {
            double sum = bias[o];
            for (int64_t p = 0; p < s.kh; ++p)
              for (int64_t q = 0; q < s.kw; ++q) {
                int64_t r = i * s.stride - s.pad + p * s.dilation, c = j * s.stride - s.pad + q * s.dilation;
                if (r < 0 || c < 0 || r % s.stretch || c % s.stretch || r / s.stretch >= h || c / s.stretch >= width)
                  continue;
                const T *row = x.data() + ((b * h + r / s.stretch) * width + c / s.stretch) * s.c + o / og * cg;
                for (int64_t l = 0; l < cg; ++l)
                  sum += (double)decode(row[l]) * decode(weight(o, l, p * s.kw + q));
              }
            expected[((b * oh + i) * ow + j) * s.o + o] = sum;
          }
    // Integers are those of every instruction set.
    bool exact = acc == "i32";
    for (int threads : exact ? std::vector<int>{1, 0} : std::vector<int>{1})
      for (size_t target = 0; target < (exact ? k.numTargets() : 1); ++target) {
        k.run({x.data(), w.data(), bias.data(), y.data()}, {n, h, width, oh, ow}, threads, target);
        expectClose(std::vector<float>(y.begin(), y.end()), expected, exact ? 0 : 1e-4, exact ? 0 : 1e-5, "conv");
      }
  }
}

} // namespace

TEST(HostConv, plain) {
  check<float>({2, 9, 11, 5, 33, 1, 3, 3, 1, 1, 1, 1}, "f32");
  check<float>({1, 23, 22, 3, 64, 1, 7, 7, 2, 3, 1, 1}, "f32");
}
TEST(HostConv, pointwise_and_deep) { check<float>({1, 6, 7, 700, 40, 1, 1, 1, 1, 0, 1, 1}, "f32"); }
TEST(HostConv, dilated_and_grouped) {
  check<float>({1, 12, 13, 12, 24, 3, 3, 3, 1, 2, 2, 1}, "f32");
  check<float>({1, 12, 13, 8, 16, 8, 3, 3, 1, 1, 1, 1}, "f32");
}
TEST(HostConv, transposed) { check<float>({2, 5, 6, 7, 9, 1, 4, 4, 1, 2, 1, 2}, "f32"); }
TEST(HostConv, depthwise) {
  check<float>({2, 9, 8, 45, 45, 45, 3, 3, 1, 1, 1, 1}, "f32");
  check<float>({1, 9, 8, 64, 64, 64, 5, 5, 2, 2, 1, 1}, "f32");
}
TEST(HostConv, half_storage) {
  check<uint16_t>({1, 9, 8, 20, 18, 1, 3, 3, 1, 1, 1, 1}, "f16");
  check<uint16_t>({1, 9, 8, 20, 20, 20, 3, 3, 1, 1, 1, 1}, "f16");
}
TEST(HostConv, integers) {
  check<uint8_t, int8_t, int32_t>({1, 9, 8, 20, 18, 1, 3, 3, 1, 1, 1, 1}, "ui8", "i8", "i32");
  check<int8_t, int8_t, int32_t>({1, 9, 8, 20, 20, 20, 3, 3, 1, 1, 1, 1}, "i8", "i8", "i32");
}
/// Few channels, whose taps are copied by lines; more than a block has; groups; dilations; a stretched input; each
/// channel by itself.
TEST(HostConv, integers_of_any_sign) {
  for (const Conv2d &shape : {Conv2d{1, 9, 8, 3, 18, 1, 5, 7, 2, 3, 1, 1},
                              {1, 13, 12, 5, 20, 1, 3, 3, 1, 1, 1, 1},
                              {1, 13, 12, 120, 17, 1, 3, 3, 1, 1, 1, 1},
                              {1, 5, 7, 200, 17, 1, 2, 7, 1, 3, 1, 1},
                              {1, 4, 5, 1030, 16, 1, 1, 2, 1, 1, 1, 1},
                              {2, 6, 7, 24, 36, 3, 3, 3, 1, 2, 2, 1},
                              {1, 5, 6, 10, 9, 1, 4, 4, 1, 2, 1, 2},
                              {1, 9, 8, 21, 21, 21, 3, 3, 1, 1, 1, 1}}) {
    check<uint8_t, int8_t, int32_t>(shape, "ui8", "i8", "i32");
    check<int8_t, int8_t, int32_t>(shape, "i8", "i8", "i32");
    check<uint8_t, uint8_t, int32_t>(shape, "ui8", "ui8", "i32");
    check<int8_t, uint8_t, int32_t>(shape, "i8", "ui8", "i32");
  }
}
