//===- MathFunctionsTest.cpp - accuracy of expanded mathematics -----------===//
//
// Sweeps every function of ExpandMath over magnitudes and special values against the C library, through compiled
// kernels.
//
//===----------------------------------------------------------------------===//

#include "test/codegen/HostRunner.h"
#include <cmath>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>

using namespace kt::test;

namespace {

std::string unary(const std::string &op, const std::string &type) {
  std::string t = "!kt.tensor<[p0] x " + type + ">";
  return "^bb0(%x: " + t + "):\n %y = kt.generic ins(%x : " + t + ") -> " + t + " {\n ^bb0(%X: " + t +
         ", %i: index):\n %0 = kt.read %X[%i] : " + t + " -> " + type + "\n %1 = " + op + " %0 : " + type +
         "\n kt.yield %1 : " + type + "\n }\n kt.yield %y : " + t;
}

std::string binary(const std::string &op, const std::string &type) {
  std::string t = "!kt.tensor<[p0] x " + type + ">";
  return "^bb0(%x: " + t + ", %z: " + t + "):\n %y = kt.generic ins(%x, %z : " + t + ", " + t + ") -> " + t +
         " {\n ^bb0(%X: " + t + ", %Z: " + t + ", %i: index):\n %0 = kt.read %X[%i] : " + t + " -> " + type +
         "\n %1 = kt.read %Z[%i] : " + t + " -> " + type + "\n %2 = " + op + " %0, %1 : " + type +
         "\n kt.yield %2 : " + type + "\n }\n kt.yield %y : " + t;
}

template <typename T> std::vector<T> arguments() {
  T inf = std::numeric_limits<T>::infinity(), tiny = std::numeric_limits<T>::denorm_min(),
    least = std::numeric_limits<T>::min();
  std::vector<T> v = {0,
                      -(T)0,
                      1,
                      -1,
                      inf,
                      -inf,
                      (T)NAN,
                      tiny,
                      -tiny,
                      least,
                      -least,
                      std::numeric_limits<T>::max(),
                      -std::numeric_limits<T>::max(),
                      (T)0.5,
                      (T)-0.5,
                      1.5,
                      2.5,
                      -2.5,
                      (T)0.49999997,
                      88.7f,
                      88.8f,
                      -87.4f,
                      -103.9f,
                      -104.1f,
                      709.7,
                      710.5,
                      -745.2,
                      1e5f,
                      -1e5f,
                      1e9f,
                      127.9f,
                      128.1f,
                      -149.2f};
  for (double x : randomVector<double>(20000, -20, 20))
    v.push_back(x);
  for (double x : randomVector<double>(20000, -1.1, 1.1, 5))
    v.push_back(x);
  for (double e : randomVector<double>(20000, -38, 38, 7))
    v.push_back(std::pow(10.0, e)), v.push_back(-std::pow(10.0, e));
  return v;
}

/// The distance in units of the expected value's last place.
template <typename T> double ulps(T a, long double b) {
  T rounded = (T)b;
  if ((std::isnan(a) && std::isnan(rounded)) || a == rounded)
    return 0;
  if (std::isnan(a) || std::isnan(rounded) || std::isinf(a) || std::isinf(rounded))
    return 1e30;
  long double unit = std::nextafter(std::abs(rounded), std::numeric_limits<T>::infinity()) - std::abs(rounded);
  return std::abs((long double)a - b) / unit;
}

using Function = std::function<long double(long double)>;

template <typename T> void check(const std::string &op, Function reference, double most, double range) {
  HostKernel k(unary(op, sizeof(T) == 4 ? "f32" : "f64"), 1);
  ASSERT_TRUE(k.ok());
  std::vector<T> x;
  for (T v : arguments<T>())
    if (!std::isfinite(v) || std::abs(v) <= range)
      x.push_back(v);
  std::vector<T> y(x.size());
  k.run({x.data(), y.data()}, {(int64_t)x.size()});
  double worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < x.size(); ++i)
    if (double u = ulps<T>(y[i], reference(x[i])); u > worst)
      worst = u, where = i;
  std::printf("%-16s %s %10.3g ulp at %g: %.9g, should be %.9Lg\n", op.c_str(), sizeof(T) == 4 ? "f32" : "f64", worst,
              (double)x[where], (double)y[where], reference(x[where]));
  EXPECT_LE(worst, most) << op << " of " << x[where] << " is " << y[where];
  // Zeros keep their sign where the function is odd.
  if (reference(-0.0L) == 0) {
    EXPECT_EQ(std::signbit(y[1]), std::signbit(reference(-0.0L))) << op;
  }
}

struct Case {
  const char *op;
  Function reference;
  double range = 1e39;
};

const std::vector<Case> &cases() {
  static const std::vector<Case> all = {
      {"math.exp", [](long double x) { return std::exp(x); }},
      {"math.exp2", [](long double x) { return std::exp2(x); }},
      {"math.expm1", [](long double x) { return std::expm1(x); }},
      {"math.log", [](long double x) { return std::log(x); }},
      {"math.log2", [](long double x) { return std::log2(x); }},
      {"math.log10", [](long double x) { return std::log10(x); }},
      {"math.log1p", [](long double x) { return std::log1p(x); }},
      {"math.tanh", [](long double x) { return std::tanh(x); }},
      {"math.erf", [](long double x) { return std::erf(x); }},
      {"math.erfc", [](long double x) { return std::erfc(x); }},
      {"math.sqrt", [](long double x) { return std::sqrt(x); }},
      {"math.rsqrt", [](long double x) { return 1 / std::sqrt(x); }},
      {"math.cbrt", [](long double x) { return std::cbrt(x); }},
      {"math.sin", [](long double x) { return std::sin(x); }, 1e9},
      {"math.cos", [](long double x) { return std::cos(x); }, 1e9},
      {"math.tan", [](long double x) { return std::tan(x); }, 1e9},
      {"math.asin", [](long double x) { return std::asin(x); }},
      {"math.acos", [](long double x) { return std::acos(x); }},
      {"math.atan", [](long double x) { return std::atan(x); }},
      {"math.sinh", [](long double x) { return std::sinh(x); }, 700},
      {"math.cosh", [](long double x) { return std::cosh(x); }, 700},
      {"math.asinh", [](long double x) { return std::asinh(x); }},
      {"math.acosh", [](long double x) { return std::acosh(x); }},
      {"math.atanh", [](long double x) { return std::atanh(x); }},
      {"math.ceil", [](long double x) { return std::ceil(x); }},
      {"math.floor", [](long double x) { return std::floor(x); }},
      {"math.round", [](long double x) { return std::round(x); }},
      {"math.roundeven", [](long double x) { return std::nearbyint(x); }},
      {"math.trunc", [](long double x) { return std::trunc(x); }},
      {"math.absf", [](long double x) { return std::abs(x); }},
  };
  return all;
}

template <typename T>
void checkBinary(const std::string &op, std::function<long double(long double, long double)> reference, double most) {
  HostKernel k(binary(op, sizeof(T) == 4 ? "f32" : "f64"), 1);
  ASSERT_TRUE(k.ok());
  T inf = std::numeric_limits<T>::infinity();
  std::vector<T> special = {0,   -(T)0, 1,      -1,       2,       -2,       3, -3,  0.5,  -0.5,
                            inf, -inf,  (T)NAN, (T)1e-30, (T)1e30, -(T)1e30, 7, 2.5, -7.25};
  std::vector<T> x, z;
  for (T a : special)
    for (T b : special)
      x.push_back(a), z.push_back(b);
  auto a = randomVector<T>(20000, -10, 10), b = randomVector<T>(20000, -6, 6, 9);
  x.insert(x.end(), a.begin(), a.end());
  z.insert(z.end(), b.begin(), b.end());
  std::vector<T> y(x.size());
  k.run({x.data(), z.data(), y.data()}, {(int64_t)x.size()});
  double worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < x.size(); ++i)
    if (double u = ulps<T>(y[i], reference(x[i], z[i])); u > worst)
      worst = u, where = i;
  std::printf("%-16s %s %10.3g ulp at %g, %g: %.9g\n", op.c_str(), sizeof(T) == 4 ? "f32" : "f64", worst,
              (double)x[where], (double)z[where], (double)y[where]);
  EXPECT_LE(worst, most) << op << " of " << x[where] << ", " << z[where] << " is " << y[where];
}

} // namespace

TEST(HostMath, f32_within_4_units) {
  for (const Case &c : cases())
    check<float>(c.op, c.reference, c.op == std::string("math.erf") ? 5 : 4, c.range);
}

TEST(HostMath, f64_within_1e_13) {
  for (const Case &c : cases())
    check<double>(c.op, c.reference, 500, c.range);
}

TEST(HostMath, functions_of_two_numbers) {
  auto pow = [](long double x, long double y) { return std::pow(x, y); };
  auto atan2 = [](long double y, long double x) { return std::atan2(y, x); };
  auto fmod = [](long double x, long double y) { return std::fmod(x, y); };
  checkBinary<float>("math.powf", pow, 2);
  checkBinary<double>("math.powf", pow, 2000);
  checkBinary<float>("math.atan2", atan2, 2);
  checkBinary<double>("math.atan2", atan2, 10);
  checkBinary<float>("arith.remf", fmod, 0);
  checkBinary<double>("arith.remf", fmod, 0);
}

TEST(HostMath, small_floats_round_trip) {
  // Every f8 value converts to f32 and back to itself, and rounds to even in between.
  for (std::string type : {"f8E4M3FN", "f8E4M3FNUZ", "f8E5M2", "f8E5M2FNUZ"}) {
    std::string s = "!kt.tensor<[p0] x " + type + ">", f = "!kt.tensor<[p0] x f32>";
    auto cast = [&](const std::string &from, const std::string &to, const std::string &a, const std::string &b,
                    const std::string &op) {
      return "^bb0(%x: " + from + "):\n %y = kt.generic ins(%x : " + from + ") -> " + to + " {\n ^bb0(%X: " + from +
             ", %i: index):\n %0 = kt.read %X[%i] : " + from + " -> " + a + "\n %1 = " + op + " %0 : " + a + " to " +
             b + "\n kt.yield %1 : " + b + "\n }\n kt.yield %y : " + to;
    };
    HostKernel widen(cast(s, f, type, "f32", "arith.extf"), 1), narrow(cast(f, s, "f32", type, "arith.truncf"), 1);
    ASSERT_TRUE(widen.ok() && narrow.ok());
    std::vector<uint8_t> bits(256), back(256);
    for (int i = 0; i < 256; ++i)
      bits[i] = i;
    std::vector<float> wide(256);
    widen.run({bits.data(), wide.data()}, {256});
    narrow.run({wide.data(), back.data()}, {256});
    int nans = 0;
    for (int i = 0; i < 256; ++i) {
      if (std::isnan(wide[i]))
        ++nans;
      else
        EXPECT_EQ(back[i], bits[i]) << type << " " << i << " is " << wide[i];
    }
    EXPECT_EQ(nans, type == "f8E5M2" ? 6 : type == "f8E4M3FN" ? 2 : 1);
    EXPECT_EQ(wide[1], type == "f8E4M3FN"     ? 0x1p-9f
                       : type == "f8E4M3FNUZ" ? 0x1p-10f
                       : type == "f8E5M2"     ? 0x1p-16f
                                              : 0x1p-17f);
    // Halfway between neighbours.
    std::vector<float> middle;
    for (int i = 0; i < 100; ++i)
      middle.push_back((wide[i] + wide[i + 1]) / 2);
    narrow.run({middle.data(), back.data()}, {100});
    for (int i = 0; i < 100; ++i)
      EXPECT_EQ(back[i], i + i % 2) << type << " " << i;
  }
}

TEST(HostMath, half_precision_goes_through_f32) {
  for (std::string type : {"f16", "bf16"}) {
    HostKernel k(unary("math.exp", type), 1);
    ASSERT_TRUE(k.ok());
    std::vector<uint16_t> x, y(1000);
    for (float v : randomVector(1000, -8, 8))
      x.push_back(type == "f16" ? toHalf(v) : toBFloat(v));
    k.run({x.data(), y.data()}, {1000});
    for (int i = 0; i < 1000; ++i) {
      float v = type == "f16" ? fromHalf(x[i]) : fromBFloat(x[i]);
      EXPECT_EQ(y[i], type == "f16" ? toHalf(std::exp(v)) : toBFloat(std::exp(v))) << v;
    }
  }
}
