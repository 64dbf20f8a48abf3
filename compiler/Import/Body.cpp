//===- Body.cpp - writing the scalar bodies of structured ops -------------===//

#include "compiler/Import/Body.h"
#include <cmath>

using namespace mlir;
using namespace kt;
using namespace kt::import;

SmallVector<Value> Body::indices() {
  SmallVector<Value> all;
  for (unsigned i = leading + operands; i < block->getNumArguments(); ++i)
    all.push_back(block->getArgument(i));
  return all;
}

Value Body::index(unsigned i) {
  if (leading + operands + i < block->getNumArguments())
    return block->getArgument(leading + operands + i);
  emitError(loc) << "expected operands of more dimensions: there is none of number " << i;
  return idx(0);
}

bool Body::hasRank(unsigned operand, size_t rank) {
  if ((size_t)type(operand).getRank() == rank)
    return true;
  emitError(loc) << "expected an operand of rank " << rank << " but got rank " << type(operand).getRank();
  return false;
}

Value Body::read(unsigned operand, ValueRange at) {
  if (!hasRank(operand, at.size()))
    return zero(type(operand).scalarType());
  return ReadOp::create(b, loc, tensor(operand), at);
}

Value Body::readOr(unsigned operand, ValueRange at, Value otherwise, ArrayRef<int64_t> check) {
  if (!hasRank(operand, at.size()))
    return otherwise;
  auto read = ReadOp::create(b, loc, tensor(operand), at, otherwise);
  read.setCheckAttr(b.getDenseI64ArrayAttr(check));
  return read;
}

Value Body::broadcastIndex(Expr d, Value at, Expr extent) {
  if (d == extent)
    return at;
  if (d.isConstant(1))
    return idx(0);
  broadcasts.push_back({d, extent});
  return min(at, size(d - 1)); // 1 or the result's size, known only at run time
}

Value Body::readBroadcast(unsigned operand) {
  SymTensorType from = type(operand);
  int64_t shift = result.getRank() - from.getRank();
  if (shift < 0) {
    emitError(loc) << "expected an operand of rank " << result.getRank() << " at most but got rank " << from.getRank();
    return zero(from.scalarType());
  }
  SmallVector<Value> at;
  for (int64_t i = 0; i < from.getRank(); ++i)
    at.push_back(broadcastIndex(from.dim(i), index(i + shift), result.dim(i + shift)));
  return read(operand, at);
}

Value Body::size(Expr e) {
  if (auto c = e.asConstant())
    return idx(*c);
  return SizeOp::create(b, loc, e);
}

Value Body::constant(Type type, double value) {
  if (auto f = dyn_cast<FloatType>(type))
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(f, value));
  // The nearest that there is: -inf starts a maximum.
  if (std::isnan(value))
    return integer(type, 0);
  if (value <= -0x1p63 || value >= 0x1p63) {
    unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
    bool isUnsigned = type.isUnsignedInteger();
    APInt most = isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
    APInt least = isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width);
    return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value < 0 ? least : most));
  }
  return integer(type, (int64_t)value);
}

Value Body::integer(Type type, int64_t value) {
  if (isa<FloatType>(type))
    return constant(type, (double)value);
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
}

static bool isFloat(Value v) { return isa<FloatType>(v.getType()); }

Value Body::add(Value x, Value y) {
  return isFloat(x)                 ? math<arith::AddFOp>(x, y)
         : x.getType().isInteger(1) ? logicalOr(x, y)
                                    : math<arith::AddIOp>(x, y);
}
Value Body::sub(Value x, Value y) { return isFloat(x) ? math<arith::SubFOp>(x, y) : math<arith::SubIOp>(x, y); }
Value Body::mul(Value x, Value y) { return isFloat(x) ? math<arith::MulFOp>(x, y) : math<arith::MulIOp>(x, y); }

Value Body::div(Value x, Value y, bool isUnsigned) {
  if (isFloat(x))
    return math<arith::DivFOp>(x, y);
  // Division by zero and the overflow of MIN / -1 trap on x86: both get a defined result without a branch.
  Value one = integer(x.getType(), 1), isZero = cmp(Cmp::eq, y, integer(x.getType(), 0));
  if (isUnsigned)
    return select(isZero, integer(x.getType(), 0), math<arith::DivUIOp>(x, select(isZero, one, y)));
  Value isMinusOne = cmp(Cmp::eq, y, integer(x.getType(), -1));
  Value safe = select(logicalOr(isZero, isMinusOne), one, y);
  Value q = math<arith::DivSIOp>(x, safe);
  return select(isZero, integer(x.getType(), 0), select(isMinusOne, neg(x), q));
}

Value Body::max(Value x, Value y, bool isUnsigned) {
  return isFloat(x)   ? math<arith::MaximumFOp>(x, y)
         : isUnsigned ? math<arith::MaxUIOp>(x, y)
                      : math<arith::MaxSIOp>(x, y);
}
Value Body::min(Value x, Value y, bool isUnsigned) {
  return isFloat(x)   ? math<arith::MinimumFOp>(x, y)
         : isUnsigned ? math<arith::MinUIOp>(x, y)
                      : math<arith::MinSIOp>(x, y);
}

Value Body::cmp(Cmp kind, Value x, Value y, bool isUnsigned) {
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  constexpr F floats[] = {F::OEQ, F::UNE, F::OLT, F::OLE, F::OGT, F::OGE};
  constexpr I sints[] = {I::eq, I::ne, I::slt, I::sle, I::sgt, I::sge};
  constexpr I uints[] = {I::eq, I::ne, I::ult, I::ule, I::ugt, I::uge};
  if (isFloat(x))
    return arith::CmpFOp::create(b, loc, floats[(int)kind], x, y);
  return arith::CmpIOp::create(b, loc, (isUnsigned ? uints : sints)[(int)kind], x, y);
}

Value Body::select(Value condition, Value x, Value y) { return arith::SelectOp::create(b, loc, condition, x, y); }
Value Body::neg(Value x) { return isFloat(x) ? math<arith::NegFOp>(x) : sub(integer(x.getType(), 0), x); }
Value Body::abs(Value x, bool isUnsigned) {
  if (isFloat(x))
    return math<math::AbsFOp>(x);
  return isUnsigned ? x : max(x, neg(x));
}
Value Body::logicalAnd(Value x, Value y) { return math<arith::AndIOp>(x, y); }
Value Body::logicalOr(Value x, Value y) { return math<arith::OrIOp>(x, y); }
Value Body::logicalNot(Value x) { return math<arith::XOrIOp>(x, boolean(true)); }
Value Body::sigmoid(Value x) {
  Value one = constant(x.getType(), 1);
  return div(one, add(one, math<math::ExpOp>(neg(x))));
}

Value Body::saturate(Value x, FloatType to) {
  llvm::APFloat largest = llvm::APFloat::getLargest(to.getFloatSemantics());
  bool lost;
  largest.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lost);
  double limit = largest.convertToDouble();
  return min(max(x, constant(x.getType(), -limit)), constant(x.getType(), limit));
}

Value Body::roundToPower(Value x, Rounding rounding, bool saturating) {
  Type i32 = b.getI32Type();
  auto k = [&](int64_t v) { return integer(i32, v); };
  Value magnitude = math<arith::AndIOp>(arith::BitcastOp::create(b, loc, i32, x), k(0x7fffffff)), v = magnitude;
  if (rounding == Rounding::up)
    v = add(v, k(0x7fffff));
  else if (rounding == Rounding::nearest) // half of the smallest power, a denormal, is a tie that stays
    v = add(v, select(cmp(Cmp::lt, v, k(0x800000)), k(0x3fffff), k(0x400000)));
  v = math<arith::AndIOp>(v, k(0x7f800000));
  if (saturating)
    v = min(v, k(0x7f000000));
  return select(cmp(Cmp::lt, magnitude, k(0x7f800000)), arith::BitcastOp::create(b, loc, b.getF32Type(), v), x);
}

Type Body::computeType(Type element) {
  if (isa<FloatType>(element))
    return element.isF64() ? element : Type(b.getF32Type());
  if (auto i = dyn_cast<IntegerType>(element))
    return b.getIntegerType(i.getWidth());
  return element;
}
Value Body::toCompute(Value x, Type element) { return convert(x, element, computeType(element)); }
Value Body::fromCompute(Value x, Type element) { return convert(x, computeType(element), element); }

Value Body::convert(Value x, Type from, Type to) {
  if (from == to)
    return x;
  auto fromFloat = dyn_cast<FloatType>(from), toFloat = dyn_cast<FloatType>(to);
  if (fromFloat && toFloat) {
    if (fromFloat.getWidth() <= 8 && !to.isF32()) // all 8-bit kinds widen to f32, and from there
      return convert(convert(x, from, b.getF32Type()), b.getF32Type(), to);
    if (fromFloat.getWidth() < toFloat.getWidth())
      return arith::ExtFOp::create(b, loc, to, x);
    if (fromFloat.getWidth() > toFloat.getWidth())
      return arith::TruncFOp::create(b, loc, to, x);
    return convert(convert(x, from, b.getF32Type()), b.getF32Type(), to); // f16 <-> bf16 and among the 8-bit kinds
  }
  Type toScalar = to.isIntOrFloat() && !toFloat ? b.getIntegerType(to.getIntOrFloatBitWidth()) : to;
  if (fromFloat) {
    if (to.isInteger(1))
      return cmp(Cmp::ne, x, zero(from));
    if (!from.isF32() && !from.isF64())
      return convert(convert(x, from, b.getF32Type()), b.getF32Type(), to);
    // Narrow integers wrap through i64, as the reference does for values out of range; NaN becomes the smallest number
    // there.
    Type i64 = b.getI64Type();
    double limit = 9223372036854774784.0; // the largest double below 2^63
    Value clamped =
        select(cmp(Cmp::lt, x, constant(from, limit)), x, constant(from, from.isF64() ? limit : 9223371487098961920.0));
    Value safe = select(cmp(Cmp::ge, clamped, constant(from, -9223372036854775808.0)), clamped,
                        constant(from, -9223372036854775808.0));
    if (to.isUnsignedInteger(64)) {
      Value big = cmp(Cmp::ge, x, constant(from, 9223372036854775808.0));
      Value high =
          arith::FPToSIOp::create(b, loc, i64, select(big, sub(x, constant(from, 9223372036854775808.0)), zero(from)));
      return select(big, math<arith::XOrIOp>(high, integer(i64, INT64_MIN)),
                    arith::FPToSIOp::create(b, loc, i64, safe));
    }
    Value wide = arith::FPToSIOp::create(b, loc, i64, safe);
    return toScalar == i64 ? wide : arith::TruncIOp::create(b, loc, toScalar, wide);
  }
  if (toFloat) {
    if (!to.isF32() && !to.isF64())
      return convert(convert(x, from, b.getF32Type()), b.getF32Type(), to);
    return isUnsigned(from) ? Value(arith::UIToFPOp::create(b, loc, to, x))
                            : Value(arith::SIToFPOp::create(b, loc, to, x));
  }
  if (to.isInteger(1))
    return cmp(Cmp::ne, x, integer(x.getType(), 0));
  unsigned a = from.getIntOrFloatBitWidth(), c = to.getIntOrFloatBitWidth();
  if (a == c)
    return x;
  if (a > c)
    return arith::TruncIOp::create(b, loc, toScalar, x);
  return isUnsigned(from) ? Value(arith::ExtUIOp::create(b, loc, toScalar, x))
                          : Value(arith::ExtSIOp::create(b, loc, toScalar, x));
}

Value Body::toIndex(Value x, bool isUnsigned) {
  if (x.getType().isIndex())
    return x;
  return isUnsigned ? Value(arith::IndexCastUIOp::create(b, loc, b.getIndexType(), x))
                    : Value(arith::IndexCastOp::create(b, loc, b.getIndexType(), x));
}
Value Body::fromIndex(Value x, Type scalar) {
  if (scalar.isIndex())
    return x;
  if (isa<FloatType>(scalar))
    return convert(fromIndex(x, b.getI64Type()), b.getI64Type(), scalar);
  return arith::IndexCastOp::create(b, loc, scalar, x);
}

Value Body::bounded(Value x, Expr limit, Site site, bool wraps, Value when) {
  if (site.number >= 0)
    return BoundedOp::create(b, loc, b.getIndexType(), x, limit.attr(), site.number, when, wraps);
  Value i = toIndex(x);
  return wraps ? select(cmp(Cmp::lt, i, idx(0)), add(i, size(limit)), i) : i;
}
