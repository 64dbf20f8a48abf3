//===- ExpandFloats.cpp - small float formats in integers -----------------===//
//
// bf16 is the upper half of an f32. The f8 and f4 kinds are decoded by placing their bits in an f32 and scaling, which
// takes care of their denormals, and encoded by rounding the f32's bits (or, below the smallest normal, by adding a
// number that aligns them).
//
//===----------------------------------------------------------------------===//

#include "codegen/Common/MathBuilder.h"
#include <cmath>

using namespace mlir;
using namespace kt::codegen;

namespace {

struct Format {
  int exponent, mantissa, bias;
  bool hasInfinity;          // the largest exponent holds infinity and NaN
  int64_t nan = -1;          // the one NaN (without sign), if that is how the format has it
  int64_t largest;           // bits of the largest finite number
  bool unsignedZero = false; // NaN sits at minus zero
};

Format formatOf(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return {4, 3, 7, false, 0x7f, 0x7e};
  if (isa<Float8E4M3FNUZType>(type))
    return {4, 3, 8, false, 0x80, 0x7f, true};
  if (isa<Float8E5M2Type>(type))
    return {5, 2, 15, true, -1, 0x7b};
  if (isa<Float8E5M2FNUZType>(type))
    return {5, 2, 16, false, 0x80, 0x7f, true};
  return {2, 1, 1, false, -1, 0x7}; // f4E2M1FN
}

} // namespace

Value kt::codegen::extendSmallFloat(OpBuilder &b, Location loc, Value x) {
  MathBuilder m(b, loc, b.getF32Type());
  unsigned width = x.getType().getIntOrFloatBitWidth();
  V raw = m.op<arith::ExtUIOp>(m.bitsType, m.op<arith::BitcastOp>(b.getIntegerType(width), x).v);
  if (isa<BFloat16Type>(x.getType()))
    return m.fromBits(m.shl(raw, 16)).v;
  auto eq = [&](V v, int64_t k) { return m.cmp(arith::CmpIPredicate::eq, v, m.i(k)); };
  if (isa<Float8E8M0FNUType>(x.getType())) {
    V power = m.select(eq(raw, 0), m.f(0x1p-127), m.fromBits(m.shl(raw, 23)));
    return m.select(eq(raw, 255), m.nan(), power).v;
  }
  Format format = formatOf(x.getType());
  int64_t sign = int64_t(1) << (width - 1);
  V magnitude = raw & m.i(sign - 1);
  V value = m.fromBits(m.shl(magnitude, 23 - format.mantissa)) * m.f(std::ldexp(1.0, 127 - format.bias));
  if (format.hasInfinity) {
    V special = m.cmp(arith::CmpIPredicate::sgt, magnitude, m.i(format.largest));
    value = m.select(special, m.select(eq(magnitude, format.largest + 1), m.inf(), m.nan()), value);
  }
  value = m.fromBits(m.bits(value) | m.shl(raw & m.i(sign), 32 - width));
  if (format.nan >= 0)
    value = m.select(eq(format.unsignedZero ? raw : magnitude, format.nan), m.nan(), value);
  return value.v;
}

Value kt::codegen::truncateToSmallFloat(OpBuilder &b, Location loc, Value x, Type to) {
  MathBuilder m(b, loc, b.getF32Type());
  V value = m.wrap(x), raw = m.bits(value);
  unsigned width = to.getIntOrFloatBitWidth();
  auto finish = [&](V bits) {
    Value narrow = arith::TruncIOp::create(b, loc, b.getIntegerType(width), bits.v);
    return Value(arith::BitcastOp::create(b, loc, to, narrow));
  };
  // Adds just under half of the last place kept, and its parity: to nearest, ties to even.
  auto rounded = [&](V bits, int drop) {
    V parity = m.shru(bits, drop) & m.i(1);
    return m.shru(bits + m.i((int64_t(1) << (drop - 1)) - 1) + parity, drop);
  };
  if (isa<BFloat16Type>(to)) {
    V quiet = m.shru(raw, 16) | m.i(0x40);
    return finish(m.select(m.isNan(value), quiet, rounded(raw, 16)));
  }
  if (isa<Float8E8M0FNUType>(to))
    return finish(m.select(m.isNan(value), m.i(255), m.shru(raw, 23) & m.i(255)));

  Format format = formatOf(to);
  V magnitude = raw & m.i(0x7fffffff), absolute = m.fromBits(magnitude);
  int drop = 23 - format.mantissa;
  V normal = rounded(magnitude, drop) - m.i(int64_t(127 - format.bias) << format.mantissa);
  double align = std::ldexp(1.0, 23 + 1 - format.bias - format.mantissa);
  V tiny = m.bits(absolute + m.f(align)) - m.bits(m.f(align));
  V bits = m.select(m.lt(absolute, m.f(std::ldexp(1.0, 1 - format.bias))), tiny, normal);
  int64_t overflow = format.hasInfinity ? format.largest + 1 : format.nan >= 0 ? format.nan : format.largest;
  V tooBig = m.cmp(arith::CmpIPredicate::sgt, bits, m.i(format.largest));
  bits = m.select(tooBig, m.i(overflow), bits);
  int64_t nan = format.nan >= 0 ? format.nan : format.hasInfinity ? format.largest + 3 : format.largest;
  bits = m.select(m.isNan(value), m.i(nan), bits);
  V sign = m.shru(raw & m.i(int64_t(0x80000000)), 32 - width);
  if (format.unsignedZero) {
    V plain = m.cmp(arith::CmpIPredicate::eq, bits, m.i(0)) | m.cmp(arith::CmpIPredicate::eq, bits, m.i(format.nan));
    sign = m.select(plain, m.i(0), sign);
  }
  return finish(bits | sign);
}
