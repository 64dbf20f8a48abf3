//===- MathBuilder.h - formulas in C++ that build arith -------------------===//
//
// A thin value wrapper with operators, so that the expansions of mathematical functions read like their formulas.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_COMMON_MATHBUILDER_H
#define KT_CODEGEN_COMMON_MATHBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

namespace kt::codegen {

class MathBuilder;

/// A scalar under construction: a float, an integer or a truth value.
struct V {
  MathBuilder *m = nullptr;
  mlir::Value v;
  mlir::Type type() const { return v.getType(); }
  bool isFloat() const { return mlir::isa<mlir::FloatType>(v.getType()); }
};

class MathBuilder {
public:
  MathBuilder(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type floatType)
      : b(builder), loc(loc), type(floatType), bitsType(builder.getIntegerType(floatType.getIntOrFloatBitWidth())) {}
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Type type;     // f32 or f64
  mlir::Type bitsType; // i32 or i64
  bool isDouble() const { return type.isF64(); }

  template <typename Op, typename... Args> V op(Args &&...args) {
    return {this, b.createOrFold<Op>(loc, std::forward<Args>(args)...)};
  }
  V wrap(mlir::Value v) { return {this, v}; }
  V f(double value) { return wrap(mlir::arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value))); }
  V i(int64_t value) { return wrap(mlir::arith::ConstantOp::create(b, loc, b.getIntegerAttr(bitsType, value))); }
  V nan() { return f(std::numeric_limits<double>::quiet_NaN()); }
  V inf() { return f(std::numeric_limits<double>::infinity()); }
  V bits(V x) { return op<mlir::arith::BitcastOp>(bitsType, x.v); }
  V fromBits(V x) { return op<mlir::arith::BitcastOp>(type, x.v); }
  V fma(V x, V y, V z) { return op<mlir::math::FmaOp>(x.v, y.v, z.v); }
  V abs(V x) { return op<mlir::math::AbsFOp>(x.v); }
  V sqrt(V x) { return op<mlir::math::SqrtOp>(x.v); }
  V trunc(V x) { return op<mlir::math::TruncOp>(x.v); }
  V copysign(V magnitude, V sign) { return op<mlir::math::CopySignOp>(magnitude.v, sign.v); }
  V select(V c, V x, V y) { return op<mlir::arith::SelectOp>(c.v, x.v, y.v); }
  V cmp(mlir::arith::CmpFPredicate p, V x, V y) { return op<mlir::arith::CmpFOp>(p, x.v, y.v); }
  V cmp(mlir::arith::CmpIPredicate p, V x, V y) { return op<mlir::arith::CmpIOp>(p, x.v, y.v); }
  V eq(V x, V y) { return cmp(mlir::arith::CmpFPredicate::OEQ, x, y); }
  V lt(V x, V y) { return cmp(mlir::arith::CmpFPredicate::OLT, x, y); }
  V gt(V x, V y) { return cmp(mlir::arith::CmpFPredicate::OGT, x, y); }
  V isNan(V x) { return cmp(mlir::arith::CmpFPredicate::UNO, x, x); }
  V shl(V x, int64_t n) { return op<mlir::arith::ShLIOp>(x.v, constantLike(x, n).v); }
  V shr(V x, int64_t n) { return op<mlir::arith::ShRSIOp>(x.v, constantLike(x, n).v); }
  V shru(V x, int64_t n) { return op<mlir::arith::ShRUIOp>(x.v, constantLike(x, n).v); }
  V constantLike(V x, int64_t n) {
    return wrap(mlir::arith::ConstantOp::create(b, loc, b.getIntegerAttr(x.type(), n)));
  }
  /// c[0] + x * (c[1] + x * ...)
  V poly(V x, llvm::ArrayRef<double> c) {
    V r = f(c.back());
    for (double k : llvm::reverse(c.drop_back()))
      r = fma(r, x, f(k));
    return r;
  }
};

#define KT_MATH_OPERATOR(SYMBOL, FLOAT, INT)                                                                           \
  inline V operator SYMBOL(V x, V y) {                                                                                 \
    return x.isFloat() ? x.m->op<mlir::arith::FLOAT>(x.v, y.v) : x.m->op<mlir::arith::INT>(x.v, y.v);                  \
  }
KT_MATH_OPERATOR(+, AddFOp, AddIOp)
KT_MATH_OPERATOR(-, SubFOp, SubIOp)
KT_MATH_OPERATOR(*, MulFOp, MulIOp)
KT_MATH_OPERATOR(/, DivFOp, DivSIOp)
#undef KT_MATH_OPERATOR
inline V operator&(V x, V y) { return x.m->op<mlir::arith::AndIOp>(x.v, y.v); }
inline V operator|(V x, V y) { return x.m->op<mlir::arith::OrIOp>(x.v, y.v); }
inline V operator^(V x, V y) { return x.m->op<mlir::arith::XOrIOp>(x.v, y.v); }
inline V operator-(V x) { return x.m->op<mlir::arith::NegFOp>(x.v); }

// The functions, for f32 and f64 (MathFunctions.cpp). Those in the second group are meant for f64: f32 goes through it.
V mathExp(MathBuilder &m, V x);
V mathExp2(MathBuilder &m, V x);
V mathExpm1(MathBuilder &m, V x);
V mathLog(MathBuilder &m, V x);
V mathLog2(MathBuilder &m, V x);
V mathLog10(MathBuilder &m, V x);
V mathLog1p(MathBuilder &m, V x);
V mathTanh(MathBuilder &m, V x);
V mathErf(MathBuilder &m, V x);

V mathErfc(MathBuilder &m, V x);
V mathSin(MathBuilder &m, V x);
V mathCos(MathBuilder &m, V x);
V mathTan(MathBuilder &m, V x);
V mathAtan(MathBuilder &m, V x);
V mathAtan2(MathBuilder &m, V y, V x);
V mathAsin(MathBuilder &m, V x);
V mathAcos(MathBuilder &m, V x);
V mathSinh(MathBuilder &m, V x);
V mathCosh(MathBuilder &m, V x);
V mathAsinh(MathBuilder &m, V x);
V mathAcosh(MathBuilder &m, V x);
V mathAtanh(MathBuilder &m, V x);
V mathCbrt(MathBuilder &m, V x);
/// `accurate`: to less than one unit in the last place of an f64, rather than of an f32 computed in f64.
V mathPow(MathBuilder &m, V x, V y, bool accurate);
/// C's fmod, exactly, by shifted subtraction.
V mathFmod(MathBuilder &m, V x, V y);

/// f8, f4 and bf16 values from and to f32 with integer operations (ExpandFloats.cpp).
mlir::Value extendSmallFloat(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
mlir::Value truncateToSmallFloat(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Type to);

} // namespace kt::codegen

#endif
