//===- MathFunctions.cpp - formulas of the mathematical functions ---------===//
//
// Coefficients are those of Cephes (f32 exp and log, f64 arc tangent) and FreeBSD's msun (the rest), or Taylor series
// where the interval is small enough. Numbers are taken apart and put together in integers, never through conversions
// that NaN would make undefined.
//
//===----------------------------------------------------------------------===//

#include "codegen/Common/MathBuilder.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <cmath>

using namespace mlir;
using namespace kt::codegen;

namespace {

constexpr double kLn2Hi = 6.93147180369123816490e-01, kLn2Lo = 1.90821492927058770002e-10;

/// x rounded to an integer, as a float and as bits. |x| must be below 2^22 (2^51).
struct Rounded {
  V number, integer;
};
Rounded roundSmall(MathBuilder &m, V x) {
  // Adding 1.5 * 2^(mantissa bits) leaves the integer in the low bits.
  double magic = m.isDouble() ? 0x1.8p52 : 0x1.8p23;
  V shifted = x + m.f(magic);
  return {shifted - m.f(magic), m.bits(shifted) - m.bits(m.f(magic))};
}

V powerOfTwo(MathBuilder &m, V n) {
  return m.fromBits(m.shl(n + m.i(m.isDouble() ? 1023 : 127), m.isDouble() ? 52 : 23));
}

/// x * 2^n where 2^n itself may be out of range.
V scale(MathBuilder &m, V x, V n) {
  V half = m.shr(n, 1);
  return x * powerOfTwo(m, half) * powerOfTwo(m, n - half);
}

V clamp(MathBuilder &m, V x, double lo, double hi) {
  // Written so that NaN passes.
  x = m.select(m.gt(x, m.f(hi)), m.f(hi), x);
  return m.select(m.lt(x, m.f(lo)), m.f(lo), x);
}

/// exp(r) - 1 for |r| <= ln(2) / 2.
V expm1Small(MathBuilder &m, V r) {
  if (!m.isDouble()) {
    V p = m.poly(
        r, {5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4});
    return m.fma(p, r * r, r);
  }
  SmallVector<double> c;
  double factorial = 1;
  for (int k = 2; k <= 13; ++k)
    c.push_back(1 / (factorial *= k));
  return m.fma(m.poly(r, c), r * r, r);
}

struct Reduced {
  V n, r;
};
/// x = n ln 2 + r
Reduced reduceByLn2(MathBuilder &m, V x) {
  Rounded n = roundSmall(m, x * m.f(1.44269504088896340736));
  V hi = m.f(m.isDouble() ? -kLn2Hi : -0.693359375), lo = m.f(m.isDouble() ? -kLn2Lo : 2.12194440e-4);
  return {n.integer, m.fma(n.number, lo, m.fma(n.number, hi, x))};
}

/// A positive number as 2^exponent (1 + f) with 1 + f between sqrt(1/2) and sqrt(2). Zero, infinity and NaN give
/// nonsense.
struct Split {
  V exponent, f;
};
Split split(MathBuilder &m, V x) {
  bool d = m.isDouble();
  V tiny = m.lt(x, m.f(d ? 0x1p-1022 : 0x1p-126));
  x = m.select(tiny, x * m.f(d ? 0x1p54 : 0x1p25), x);
  // Subtracting sqrt(1/2)'s bits first puts the cut between exponents there.
  int64_t root = d ? 0x3fe6a09e667f3bcd : 0x3f3504f3;
  int shift = d ? 52 : 23;
  V bits = m.bits(x) - m.i(root);
  V exponent = m.shr(bits, shift);
  V mantissa = (bits & m.i((int64_t(1) << shift) - 1)) + m.i(root);
  V f = m.fromBits(mantissa) - m.f(1);
  V e = exponent - m.select(tiny, m.i(d ? 54 : 25), m.i(0));
  // Small integers to floats by the magic number: AVX2 has no conversion from 64-bit integers.
  double magic = d ? 0x1.8p52 : 0x1.8p23;
  return {m.fromBits(e + m.bits(m.f(magic))) - m.f(magic), f};
}

/// log(1 + f) = f - f^2/2 + tail, for the f of split().
V logTail(MathBuilder &m, V f) {
  if (!m.isDouble())
    return f * f * f *
           m.poly(f, {3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1,
                      -1.2420140846e-1, 1.1676998740e-1, -1.1514610310e-1, 7.0376836292e-2});
  V s = f / (m.f(2) + f), z = s * s;
  V r = z * m.poly(z, {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                       2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                       1.479819860511658591e-01});
  return s * (m.f(0.5) * f * f + r);
}

/// The logarithm's values outside the positive numbers.
V logSpecials(MathBuilder &m, V x, V result) {
  result = m.select(m.eq(x, m.inf()), x, result);
  result = m.select(m.eq(x, m.f(0)), -m.inf(), result);
  // Written so that NaN takes it too.
  return m.select(m.cmp(arith::CmpFPredicate::UGE, x, m.f(0)), m.select(m.isNan(x), x, result), m.nan());
}

/// log(1 + f) * scale in two parts, and exponent * (hi + lo) added.
V logScaled(MathBuilder &m, V x, double factor, double hi, double lo) {
  Split s = split(m, x);
  V tail = logTail(m, s.f) - m.f(0.5) * s.f * s.f;
  // f has few bits to lose when multiplied by the factor's upper half.
  double factorHi = (double)(float)factor;
  if (!m.isDouble())
    factorHi = std::ldexp(std::round(std::ldexp(factor, 11)), -11);
  V k = m.f(factorHi), kl = m.f(factor - factorHi);
  V low = m.fma(tail, m.f(factor), m.fma(s.f, kl, s.exponent * m.f(lo)));
  return logSpecials(m, x, m.fma(s.exponent, m.f(hi), m.fma(s.f, k, low)));
}

} // namespace

V kt::codegen::mathExp(MathBuilder &m, V x) {
  x = m.isDouble() ? clamp(m, x, -746, 710) : clamp(m, x, -104.5, 89);
  Reduced a = reduceByLn2(m, x);
  return scale(m, expm1Small(m, a.r) + m.f(1), a.n);
}

V kt::codegen::mathExp2(MathBuilder &m, V x) {
  x = m.isDouble() ? clamp(m, x, -1076, 1025) : clamp(m, x, -151, 129);
  Rounded n = roundSmall(m, x);
  return scale(m, expm1Small(m, (x - n.number) * m.f(0.693147180559945309417)) + m.f(1), n.integer);
}

V kt::codegen::mathExpm1(MathBuilder &m, V x) {
  V y = m.isDouble() ? clamp(m, x, -80, 710) : clamp(m, x, -40, 89);
  Reduced a = reduceByLn2(m, y);
  // 2^n p + (2^n - 1), halved and doubled so that the largest n is in range.
  V power = powerOfTwo(m, a.n - m.i(1));
  V result = m.fma(power, expm1Small(m, a.r), power - m.f(0.5)) * m.f(2);
  // Keeps the sign of zero and tiny numbers as they are.
  return m.select(m.lt(m.abs(x), m.f(m.isDouble() ? 1e-17 : 1e-9)), x, result);
}

V kt::codegen::mathLog(MathBuilder &m, V x) {
  Split s = split(m, x);
  V lo = m.f(m.isDouble() ? kLn2Lo : -2.12194440e-4), hi = m.f(m.isDouble() ? kLn2Hi : 0.693359375);
  V tail = m.fma(s.exponent, lo, logTail(m, s.f)) - m.f(0.5) * s.f * s.f;
  return logSpecials(m, x, m.fma(s.exponent, hi, s.f + tail));
}

V kt::codegen::mathLog2(MathBuilder &m, V x) { return logScaled(m, x, 1.44269504088896340736, 1, 0); }

V kt::codegen::mathLog10(MathBuilder &m, V x) {
  double hi = m.isDouble() ? 3.01029995663611771306e-01 : 0.301025390625;
  double lo = m.isDouble() ? 3.69423907715893078616e-13 : 4.605038981195214e-6;
  return logScaled(m, x, 0.434294481903251827651, hi, lo);
}

V kt::codegen::mathLog1p(MathBuilder &m, V x) {
  V u = m.f(1) + x;
  V lost = x - (u - m.f(1)); // what the addition rounded away
  V result = mathLog(m, u);
  V exact = m.eq(u, m.f(0)) | m.eq(u, m.inf());
  result = m.select(exact, result, result + lost / u);
  return m.select(m.lt(m.abs(x), m.f(m.isDouble() ? 1e-17 : 1e-9)), x, result);
}

V kt::codegen::mathTanh(MathBuilder &m, V x) {
  V e = mathExpm1(m, m.abs(x) * m.f(-2));
  return m.copysign(-e / (e + m.f(2)), x);
}

static V erfcTail(MathBuilder &m, V a);

V kt::codegen::mathErf(MathBuilder &m, V x) {
  V a = m.abs(x);
  if (!m.isDouble()) {
    // A rational fit of erf(x) / x over x^2 whose coefficients are all positive, so nothing cancels; 1 from 3.9 on.
    V t = m.select(m.gt(a, m.f(3.9)), m.f(3.9), a), s = t * t;
    V p = m.poly(s, {1.12837917, 0.192282985, 0.0555162628, 0.00418169693, 0.000403600415, 6.50997443e-06});
    V q = m.poly(s, {1, 0.503739776, 0.117112718, 0.0161804602, 0.00140215826, 7.05504439e-05, 2.44512303e-07});
    V r = t * (p / q);
    return m.copysign(m.select(m.gt(a, m.f(3.9)) | m.gt(r, m.f(1)), m.f(1), r), x);
  }
  V s = x * x;
  V r = m.poly(s, {1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
                   -5.77027029648944159157e-03, -2.37630166566501626084e-05});
  V q = m.poly(s, {1, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
                   1.32494738004321644526e-04, -3.96022827877536812320e-06});
  V small = m.fma(x, r / q, x);
  V big = m.copysign(m.f(1) - erfcTail(m, a), x);
  return m.select(m.lt(a, m.f(0.84375)), small, big);
}

/// erfc of a >= 0.84375.
static V erfcTail(MathBuilder &m, V a) {
  V t = a - m.f(1);
  V p = m.poly(t, {-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
                   3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02,
                   -2.16637559486879084300e-03});
  V q = m.poly(t, {1, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
                   1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02});
  V middle = m.f(1 - 8.45062911510467529297e-01) - p / q;
  V z = m.f(1) / (a * a);
  V r1 = m.poly(z, {-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01,
                    -6.23753324503260060396e+01, -1.62396669462573470355e+02, -1.84605092906711035994e+02,
                    -8.12874355063065934246e+01, -9.81432934416914548592e+00});
  V s1 = m.poly(z, {1, 1.96512716674392571292e+01, 1.37657754143519042600e+02, 4.34565877475229228821e+02,
                    6.45387271733267880336e+02, 4.29008140027567833386e+02, 1.08635005541779435134e+02,
                    6.57024977031928170135e+00, -6.04244152148580987438e-02});
  V r2 = m.poly(z, {-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01,
                    -1.60636384855821916062e+02, -6.37566443368389627722e+02, -1.02509513161107724954e+03,
                    -4.83519191608651397019e+02});
  V s2 = m.poly(z, {1, 3.03380607434824582924e+01, 3.25792512996573918826e+02, 1.53672958608443695994e+03,
                    3.19985821950859553908e+03, 2.55305040643316442583e+03, 4.74528541206955367215e+02,
                    -2.24409524465858183362e+01});
  V ratio = m.select(m.lt(a, m.f(1 / 0.35)), r1 / s1, r2 / s2);
  // exp(-a^2) in two factors: the upper half of a squares exactly.
  V hi = m.fromBits(m.bits(a) & m.i(int64_t(0xffffffff00000000)));
  V tail = mathExp(m, -(hi * hi) - m.f(0.5625)) * mathExp(m, (hi - a) * (hi + a) + ratio) / a;
  tail = m.select(m.gt(a, m.f(28)), m.f(0), tail);
  return m.select(m.lt(a, m.f(1.25)), middle, tail);
}

V kt::codegen::mathErfc(MathBuilder &m, V x) {
  V a = m.abs(x), tail = erfcTail(m, a);
  V outer = m.select(m.lt(x, m.f(0)), m.f(2) - tail, tail);
  return m.select(m.lt(a, m.f(0.84375)), m.f(1) - mathErf(m, x), outer);
}

//===----------------------------------------------------------------------===//
// Functions for f64
//===----------------------------------------------------------------------===//

namespace {

struct Quadrant {
  V sine, cosine, number; // of the remainder; the number's low two bits count quarter turns
};
Quadrant quarterTurns(MathBuilder &m, V x) {
  // Three parts of pi/2 with fused multiplications leave a remainder that is good for |x| up to about 1e15.
  V n = x * m.f(6.36619772367581343076e-01);
  double magic = 0x1.8p52;
  V shifted = n + m.f(magic);
  V count = shifted - m.f(magic);
  V r = m.fma(count, m.f(-1.57079632679489655800e+00), x);
  r = m.fma(count, m.f(-6.12323399573676603587e-17), r);
  r = m.fma(count, m.f(1.49738490485916983e-33), r);
  V z = r * r;
  V s = m.poly(z, {-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
                   2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10});
  V c = m.poly(z, {4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
                   -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11});
  return {m.fma(s * z, r, r), m.fma(c, z * z, m.f(1) - m.f(0.5) * z), m.bits(shifted)};
}

V turn(MathBuilder &m, const Quadrant &q, int64_t shift) {
  V number = q.number + m.i(shift);
  V odd = m.cmp(arith::CmpIPredicate::ne, number & m.i(1), m.i(0));
  V v = m.select(odd, q.cosine, q.sine);
  return m.fromBits(m.bits(v) ^ m.shl(number & m.i(2), 62));
}

} // namespace

V kt::codegen::mathSin(MathBuilder &m, V x) {
  // The reduction loses the sign of zero.
  return m.select(m.eq(x, m.f(0)), x, turn(m, quarterTurns(m, x), 0));
}
V kt::codegen::mathCos(MathBuilder &m, V x) { return turn(m, quarterTurns(m, x), 1); }
V kt::codegen::mathTan(MathBuilder &m, V x) {
  Quadrant q = quarterTurns(m, x);
  return m.select(m.eq(x, m.f(0)), x, turn(m, q, 0) / turn(m, q, 1));
}

V kt::codegen::mathAtan(MathBuilder &m, V x) {
  V a = m.abs(x);
  V large = m.gt(a, m.f(2.41421356237309504880)), middle = m.gt(a, m.f(0.66));
  V t = m.select(large, m.f(-1) / a, m.select(middle, (a - m.f(1)) / (a + m.f(1)), a));
  t = m.select(m.eq(a, m.inf()), m.f(0), t);
  V base = m.select(large, m.f(1.57079632679489661923), m.select(middle, m.f(0.78539816339744830962), m.f(0)));
  V low = m.select(large, m.f(6.123233995736765886130e-17), m.select(middle, m.f(3.061616997868382943065e-17), m.f(0)));
  V z = t * t;
  V p = m.poly(z, {-6.485021904942025371773e1, -1.228866684490136173410e2, -7.500855792314704667340e1,
                   -1.615753718733365076637e1, -8.750608600031904122785e-1});
  V q = m.poly(z, {1.945506571482613964425e2, 4.853903996359136964868e2, 4.328810604912902668951e2,
                   1.650270098316988542046e2, 2.485846490142306297962e1, 1});
  return m.copysign(base + (m.fma(t * z, p / q, t) + low), x);
}

V kt::codegen::mathAtan2(MathBuilder &m, V y, V x) {
  V ax = m.abs(x), ay = m.abs(y);
  V ratio = ay / ax;
  ratio = m.select(m.eq(ay, ax), m.select(m.eq(ay, m.f(0)), m.f(0), m.f(1)), ratio); // 0/0 and inf/inf
  V angle = mathAtan(m, ratio);
  V negative = m.cmp(arith::CmpIPredicate::slt, m.bits(x), m.i(0)); // -0 too
  angle = m.select(negative, m.f(3.14159265358979323846) - angle, angle);
  angle = m.copysign(angle, y);
  return m.select(m.isNan(x) | m.isNan(y), x + y, angle);
}

V kt::codegen::mathAsin(MathBuilder &m, V x) { return mathAtan(m, x / m.sqrt((m.f(1) - x) * (m.f(1) + x))); }

V kt::codegen::mathAcos(MathBuilder &m, V x) {
  V inside = m.cmp(arith::CmpFPredicate::OLE, m.abs(x), m.f(1));
  return m.select(inside, m.f(2) * mathAtan(m, m.sqrt((m.f(1) - x) / (m.f(1) + x))), m.nan());
}

V kt::codegen::mathSinh(MathBuilder &m, V x) {
  V e = mathExpm1(m, m.abs(x));
  V r = m.f(0.5) * (e + e / (e + m.f(1)));
  return m.copysign(m.select(m.eq(e, m.inf()), e, r), x);
}

V kt::codegen::mathCosh(MathBuilder &m, V x) {
  V e = mathExp(m, m.abs(x));
  return m.f(0.5) * (e + m.f(1) / e);
}

V kt::codegen::mathAsinh(MathBuilder &m, V x) {
  V a = m.abs(x), square = a * a;
  V r = mathLog1p(m, a + square / (m.f(1) + m.sqrt(m.f(1) + square)));
  V large = mathLog(m, a) + m.f(0.693147180559945309417);
  return m.copysign(m.select(m.gt(a, m.f(1e8)), large, r), x);
}

V kt::codegen::mathAcosh(MathBuilder &m, V x) {
  V t = x - m.f(1);
  V r = mathLog1p(m, t + m.sqrt(t * m.f(2) + t * t));
  r = m.select(m.gt(x, m.f(1e8)), mathLog(m, x) + m.f(0.693147180559945309417), r);
  return m.select(m.lt(x, m.f(1)), m.nan(), r);
}

V kt::codegen::mathAtanh(MathBuilder &m, V x) {
  V a = m.abs(x);
  return m.copysign(m.f(0.5) * mathLog1p(m, m.f(2) * a / (m.f(1) - a)), x);
}

V kt::codegen::mathCbrt(MathBuilder &m, V x) {
  V a = m.abs(x);
  V y = mathExp(m, mathLog(m, a) * m.f(1.0 / 3));
  y = y - (y * y * y - a) / (m.f(3) * y * y); // one Newton step repairs what the logarithm lost
  V plain = m.eq(a, m.f(0)) | m.eq(a, m.inf()) | m.isNan(x);
  return m.select(plain, x, m.copysign(y, x));
}

namespace {
/// A number in two parts, the second below the last bit of the first.
struct Pair {
  V high, low;
};
/// x + y for |x| >= |y|, exactly.
Pair sumOf(V x, V y) {
  V high = x + y;
  return {high, y - (high - x)};
}

/// The logarithm of a positive double to about 66 bits: log(1 + f) = 2/3 s (3 + s^2 + ..) with s = f / (2 + f).
Pair logPair(MathBuilder &m, V x) {
  Split e = split(m, x);
  Pair d = sumOf(m.f(2), e.f);
  V sh = e.f / d.high, sl = m.fma(-sh, d.low, m.fma(-sh, d.high, e.f)) / d.high;
  V square = sh * sh, squareLow = m.fma(sh, sh, -square) + m.f(2) * sh * sl;
  SmallVector<double> c; // of s^4 and on
  for (int k = 5; k <= 27; k += 2)
    c.push_back(3.0 / k);
  V tail = m.fma(square * square, m.poly(square, c), squareLow);
  Pair inner = sumOf(m.f(3), square);
  inner = sumOf(inner.high, inner.low + tail);
  V ph = sh * inner.high, pl = m.fma(sh, inner.high, -ph) + m.fma(sh, inner.low, sl * inner.high);
  // By 2/3, itself in two parts.
  constexpr double kTwoThirds = 2.0 / 3, kRest = 0x1.5555555555555p-55;
  V lh = ph * m.f(kTwoThirds), ll = m.fma(ph, m.f(kTwoThirds), -lh) + m.fma(ph, m.f(kRest), pl * m.f(kTwoThirds));
  // The exponent times ln 2, whose upper part has few enough bits for that to be exact, is 0 or the larger one.
  Pair sum = sumOf(e.exponent * m.f(kLn2Hi), lh);
  return sumOf(sum.high, sum.low + m.fma(e.exponent, m.f(kLn2Lo), ll));
}

/// a^y for a >= 0 to less than one unit in the last place.
V accuratePower(MathBuilder &m, V a, V y) {
  Pair l = logPair(m, a);
  V lh = logSpecials(m, a, l.high);
  V ph = y * lh, pl = m.fma(y, lh, -ph) + y * l.low;
  // Beyond what a double holds, and for logarithms that are infinite, the lower part says nothing.
  pl = m.select(m.lt(m.abs(ph), m.f(746)), pl, m.f(0));
  ph = clamp(m, ph, -746, 710);
  Rounded n = roundSmall(m, ph * m.f(1.44269504088896340736));
  V rh = m.fma(n.number, m.f(-kLn2Hi), ph), rl = m.fma(n.number, m.f(-kLn2Lo), pl);
  V x = rh + rl, rest = rl - (x - rh);
  SmallVector<double> c;
  double factorial = 1;
  for (int k = 2; k <= 13; ++k)
    c.push_back(1 / (factorial *= k));
  V tail = x * x * m.poly(x, c);
  Pair one = sumOf(m.f(1), x);
  return scale(m, one.high + (one.low + m.fma(rest, one.high, tail)), n.integer);
}
} // namespace

V kt::codegen::mathPow(MathBuilder &m, V x, V y, bool accurate) {
  V one = m.f(1), zero = m.f(0), a = m.abs(x);
  V r = accurate ? accuratePower(m, a, y) : mathExp(m, y * mathLog(m, a));
  V half = y * m.f(0.5);
  V integer = m.eq(m.trunc(y), y), odd = integer & m.cmp(arith::CmpFPredicate::ONE, m.trunc(half), half);
  V negative = m.cmp(arith::CmpIPredicate::slt, m.bits(x), m.i(0));
  V finite = m.lt(a, m.inf()) & m.gt(a, zero);
  V notReal = negative & finite & m.cmp(arith::CmpFPredicate::ONE, m.trunc(y), y) & m.lt(m.abs(y), m.inf());
  r = m.select(notReal, m.nan(), m.select(odd & negative, -r, r));
  V infinite = m.eq(m.abs(y), m.inf());
  r = m.select(infinite & m.eq(a, one), one, r);
  return m.select(m.eq(y, zero) | m.eq(x, one), one, r);
}

V kt::codegen::mathFmod(MathBuilder &m, V x, V y) {
  V a = m.abs(x), d = m.abs(y);
  V bad = m.eq(a, m.inf()) | m.eq(d, m.f(0)) | m.isNan(x) | m.isNan(y);
  a = m.select(bad, m.f(0), a);
  d = m.select(bad, m.f(1), d);
  OpBuilder &b = m.b;
  Location loc = m.loc;
  auto loop = scf::WhileOp::create(
      b, loc, TypeRange{m.type}, ValueRange{a.v},
      [&](OpBuilder &inner, Location, ValueRange args) {
        Value more = arith::CmpFOp::create(inner, loc, arith::CmpFPredicate::OGE, args[0], d.v);
        scf::ConditionOp::create(inner, loc, more, args);
      },
      [&](OpBuilder &inner, Location, ValueRange args) {
        // d * 2^k with the exponent of the remainder, or half of that: subtracting it rounds nothing.
        MathBuilder n(inner, loc, m.type);
        V r = n.wrap(args[0]), divisor = n.wrap(d.v);
        int mantissa = n.isDouble() ? 52 : 23;
        V k = n.shru(n.bits(r), mantissa) - n.shru(n.bits(divisor), mantissa);
        V shifted = scale(n, divisor, k);
        shifted = n.select(n.gt(shifted, r), shifted * n.f(0.5), shifted);
        scf::YieldOp::create(inner, loc, (r - shifted).v);
      });
  b.setInsertionPointAfter(loop);
  return m.select(bad, m.select(m.isNan(x) | m.isNan(y), x + y, m.nan()), m.copysign(m.wrap(loop.getResult(0)), x));
}
