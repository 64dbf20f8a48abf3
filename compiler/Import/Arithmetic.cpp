//===- Arithmetic.cpp - where whole numbers are not like floats -----------===//
//
// Powers, quotients, remainders and shifts: exact and wrapping for integers of every width, as the standard says for
// floats.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"
#include <cmath>

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

//===----------------------------------------------------------------------===//
// Pow
//===----------------------------------------------------------------------===//

/// What a negative exponent leaves of a whole number: nothing, but of 1 and -1.
Value inversePower(Body &b, Value x, bool oddExponent) {
  Type t = x.getType();
  Value one = b.integer(t, 1), zero = b.integer(t, 0), minus = b.integer(t, -1);
  return b.select(b.cmp(Cmp::eq, x, one), one, b.select(b.cmp(Cmp::eq, x, minus), oddExponent ? minus : one, zero));
}

/// x^exponent by repeated squaring.
Value multiplied(Body &b, Value x, int64_t exponent) {
  Value result;
  for (Value square = x; exponent; square = exponent > 1 ? b.mul(square, square) : square, exponent >>= 1)
    if (exponent & 1)
      result = result ? b.mul(result, square) : square;
  return result ? result : b.constant(x.getType(), 1);
}

/// A power of whole numbers, modulo 2^64 and so modulo any narrower type; `x` and `y` are of these element types. The
/// standard has signed ones only, to the power of any.
Value wholePower(Body &b, Value x, Type xElement, Value y, Type yElement) {
  Type i64 = b.b.getI64Type();
  Value base = b.convert(x, xElement, i64), e = b.convert(y, yElement, i64);
  if (yElement.isUnsignedInteger(64)) {
    // Odd numbers have an order that divides 2^62, even ones are 0 long before: so is the exponent without its sign.
    constexpr int64_t kOrder = int64_t(1) << 62;
    Value folded = b.math<arith::OrIOp>(b.math<arith::AndIOp>(e, b.integer(i64, kOrder - 1)), b.integer(i64, kOrder));
    e = b.select(b.cmp(Cmp::lt, e, b.integer(i64, 0)), folded, e);
  }
  return b.convert(b.math<math::IPowIOp>(base, e), i64, xElement);
}

/// A power of a float and a whole number: its sign does not depend on what a float can hold of the exponent.
Value mixedPower(Body &b, Value x, Value y, Type yElement) {
  Type f64 = b.b.getF64Type();
  Value base = b.convert(x, x.getType(), f64), r;
  if (yElement.getIntOrFloatBitWidth() < 64)
    return b.convert(b.math<math::PowFOp>(base, b.convert(y, yElement, f64)), f64, x.getType());
  Value odd = b.cmp(Cmp::ne, b.math<arith::AndIOp>(y, b.integer(y.getType(), 1)), b.integer(y.getType(), 0));
  r = b.math<math::PowFOp>(b.abs(base), b.convert(y, yElement, f64));
  return b.convert(b.select(odd, b.math<math::CopySignOp>(r, base), r), f64, x.getType());
}

Value power(Node &n, Body &b, Value x, Value y, std::optional<double> exponent) {
  // Values come in compute type; that of narrow floats is f32.
  Type xElement = n.element(0), yElement = n.element(1), type = x.getType();
  if (isa<FloatType>(yElement))
    yElement = y.getType();
  bool whole = exponent && std::trunc(*exponent) == *exponent && std::fabs(*exponent) < 9e15;
  if (!isa<FloatType>(type)) {
    constexpr double kUnrolled = 64;
    if (whole && *exponent < 0)
      return inversePower(b, x, (int64_t)*exponent & 1);
    if (whole && *exponent <= kUnrolled)
      return multiplied(b, x, (int64_t)*exponent);
    if (isa<IntegerType>(yElement))
      return wholePower(b, x, xElement, y, yElement);
    Type f64 = b.b.getF64Type(), i64 = b.b.getI64Type();
    Value real = b.math<math::PowFOp>(b.convert(x, xElement, f64), b.convert(y, yElement, f64));
    Value exact = wholePower(b, x, xElement, b.convert(y, yElement, i64), i64);
    return b.select(b.cmp(Cmp::eq, b.math<math::TruncOp>(y), y), exact, b.convert(real, f64, xElement));
  }
  // Small whole powers are products: fast, and right for negative bases.
  if (exponent && (*exponent == 1 || *exponent == 2 || (*exponent == 3 && !type.isF64())))
    return multiplied(b, x, (int64_t)*exponent);
  if (exponent && *exponent == 0.5)
    return b.math<math::SqrtOp>(x);
  if (exponent && *exponent == -0.5 && !type.isF64())
    return b.math<math::RsqrtOp>(x);
  if (exponent && (double)(float)*exponent == *exponent)
    return b.math<math::PowFOp>(x, b.constant(type, *exponent));
  if (isa<IntegerType>(yElement))
    return mixedPower(b, x, y, yElement);
  if (yElement.isF64() && !type.isF64()) // rounded once, at the end
    return b.convert(b.math<math::PowFOp>(b.convert(x, type, yElement), y), yElement, type);
  return b.math<math::PowFOp>(x, b.convert(y, yElement, type));
}

LogicalResult pow(Node &n) {
  std::optional<double> exponent = n.constFloat(n.in(1));
  return n.set(n.map(n.element(0), {n.in(0), secondOperand(n)},
                     [&](Body &b, ArrayRef<Value> x) { return power(n, b, x[0], x[1], exponent); }));
}

//===----------------------------------------------------------------------===//
// Div, Mod, BitShift
//===----------------------------------------------------------------------===//

LogicalResult sameTypes(Node &n) {
  if (n.element(0) != n.element(1))
    return n.error("expected operands of one type but got " + n.typeText(0) + " and " + n.typeText(1));
  return success();
}

/// Sizes are divided when shapes are bound, and where a divisor is 0 then there is no result.
LogicalResult checkDivisors(Node &n) {
  const Contents *divisors = isa<IntegerType>(n.element(1)) ? n.known(n.in(1)) : nullptr;
  if (!divisors)
    return success();
  Expr zero = n.expr(0), empty = Expr::eq(n.type(0).numElements(), zero);
  for (const Scalar &s : SmallVector<Scalar>(divisors->begin(), divisors->end())) {
    if (!s.isExpr())
      continue;
    Expr isZero = Expr::eq(s.e, zero);
    if (isZero.isConstant(1) && !empty.isConstant(1))
      return n.error("division by zero");
    if (failed(
            n.require(Expr::select(empty, zero, isZero), zero, "divisors of 0, of which '" + s.e.str() + "' is one")))
      return failure();
  }
  return success();
}

LogicalResult div(Node &n) {
  if (failed(sameTypes(n)) || failed(checkDivisors(n)))
    return failure();
  return n.set(n.map(n.element(0), {n.in(0), secondOperand(n)},
                     [&](Body &b, ArrayRef<Value> x) { return b.div(x[0], x[1], isUnsigned(n.element(0))); }));
}

/// x - floor(x / y) y of floats: the sign of y, which zeros have, too.
Value flooredRemainder(Body &b, Value x, Value y) {
  Value zero = b.constant(x.getType(), 0), r = b.math<arith::RemFOp>(x, y);
  Value wrong = b.cmp(Cmp::ne, b.cmp(Cmp::lt, r, zero), b.cmp(Cmp::lt, y, zero));
  return b.select(b.cmp(Cmp::eq, r, zero), b.math<math::CopySignOp>(r, y), b.select(wrong, b.add(r, y), r));
}

Value modulo(Node &n, Body &b, Value x, Value y) {
  if (isa<FloatType>(x.getType())) // fmod: the sign of x
    return n.attrInt("fmod", 0) ? b.math<arith::RemFOp>(x, y) : flooredRemainder(b, x, y);
  Value zero = b.integer(x.getType(), 0), isZero = b.cmp(Cmp::eq, y, zero);
  Value safe = b.select(isZero, b.integer(x.getType(), 1), y);
  if (isUnsigned(n.element(0)))
    return b.math<arith::RemUIOp>(x, safe);
  // -1 divides everything; the machine's instruction overflows there.
  safe = b.select(b.cmp(Cmp::eq, y, b.integer(x.getType(), -1)), b.integer(x.getType(), 1), safe);
  Value r = b.math<arith::RemSIOp>(x, safe);
  if (n.attrInt("fmod", 0))
    return r;
  // The sign of y.
  Value wrong = b.logicalAnd(b.cmp(Cmp::ne, r, zero),
                             b.logicalOr(b.logicalAnd(b.cmp(Cmp::lt, r, zero), b.cmp(Cmp::gt, y, zero)),
                                         b.logicalAnd(b.cmp(Cmp::gt, r, zero), b.cmp(Cmp::lt, y, zero))));
  return b.select(wrong, b.add(r, y), r);
}
LogicalResult mod(Node &n) {
  if (failed(sameTypes(n)) || failed(checkDivisors(n)))
    return failure();
  if (isa<FloatType>(n.element(0)) && !n.attrInt("fmod", 0) && n.opset < 28)
    return n.error("expected fmod = 1 for operands of type " + n.typeText(0));
  return n.set(n.map(n.element(0), {n.in(0), secondOperand(n)},
                     [&](Body &b, ArrayRef<Value> x) { return modulo(n, b, x[0], x[1]); }));
}

LogicalResult shift(Node &n) {
  if (failed(sameTypes(n)))
    return failure();
  auto direction = n.attrWord("direction", {"LEFT", "RIGHT"});
  if (!direction)
    return failure();
  return n.set(n.map(n.element(0), {n.in(0), secondOperand(n)}, [&](Body &b, ArrayRef<Value> v) {
    // A shift by the width or more leaves copies of the sign to the right, of numbers that have one, and else 0. So
    // does a negative one, which is a large one without its sign.
    Value x = v[0], y = v[1], none = b.integer(y.getType(), 0);
    int64_t width = x.getType().getIntOrFloatBitWidth();
    Value in = b.cmp(Cmp::lt, y, b.integer(y.getType(), width), true);
    if (*direction == "RIGHT" && !isUnsigned(n.element(0)))
      return b.math<arith::ShRSIOp>(x, b.select(in, y, b.integer(y.getType(), width - 1)));
    Value safe = b.select(in, y, none);
    Value r = *direction == "RIGHT" ? b.math<arith::ShRUIOp>(x, safe) : b.math<arith::ShLIOp>(x, safe);
    return b.select(in, r, b.integer(x.getType(), 0));
  }));
}

} // namespace

void import::registerArithmetic(OpTable &t) {
  t["BitShift"] = {shift, 2};
  t["Div"] = {div, 2};
  t["Mod"] = {mod, 2};
  t["Pow"] = {pow, 2};
}
