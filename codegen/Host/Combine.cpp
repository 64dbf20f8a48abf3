//===- Combine.cpp - the scalar operation of a reduction ------------------===//

#include "codegen/Host/Combine.h"
#include <limits>

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

Type Combine::accumulator() const {
  if (isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32)
    return Float32Type::get(element.getContext());
  return element;
}

Value Combine::neutral(Emitter &e) const {
  Type type = accumulator();
  if (kind == ReduceKind::add)
    return e.constant(type, 0);
  if (kind == ReduceKind::mul)
    return e.constant(type, 1);
  if (isa<FloatType>(type)) {
    double inf = std::numeric_limits<double>::infinity();
    return e.constant(type, isMax() ? -inf : inf);
  }
  unsigned width = type.getIntOrFloatBitWidth();
  bool asUnsigned = isUnsigned || width == 1;
  APInt v = isMax() ? (asUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width))
                    : (asUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width));
  return arith::ConstantOp::create(e.b, e.loc, IntegerAttr::get(type, v));
}

Value Combine::apply(Emitter &e, Value acc, Value x, bool reassociate) const {
  x = e.convert(x, accumulator());
  bool isFloat = isa<FloatType>(accumulator()), asUnsigned = isUnsigned || accumulator().isInteger(1);
  auto flags = reassociate ? arith::FastMathFlags::reassoc : arith::FastMathFlags::none;
  auto attr = arith::FastMathFlagsAttr::get(e.b.getContext(), flags);
  switch (kind) {
  case ReduceKind::add:
    return isFloat ? Value(arith::AddFOp::create(e.b, e.loc, acc, x, attr)) : e.add(acc, x);
  case ReduceKind::mul:
    return isFloat ? Value(arith::MulFOp::create(e.b, e.loc, acc, x, attr)) : e.mul(acc, x);
  case ReduceKind::max:
    return isFloat ? e.op<arith::MaximumFOp>(acc, x) : asUnsigned ? e.op<arith::MaxUIOp>(acc, x) : e.max(acc, x);
  default:
    return isFloat ? e.op<arith::MinimumFOp>(acc, x) : asUnsigned ? e.op<arith::MinUIOp>(acc, x) : e.min(acc, x);
  }
}

Value Combine::better(Emitter &e, Value best, Value x) const {
  using FP = arith::CmpFPredicate;
  using IP = arith::CmpIPredicate;
  x = e.convert(x, accumulator());
  if (!isa<FloatType>(accumulator())) {
    bool asUnsigned = isUnsigned || accumulator().isInteger(1);
    IP p = isMax() ? (selectLast ? (asUnsigned ? IP::uge : IP::sge) : (asUnsigned ? IP::ugt : IP::sgt))
                   : (selectLast ? (asUnsigned ? IP::ule : IP::sle) : (asUnsigned ? IP::ult : IP::slt));
    return e.cmp(p, x, best);
  }
  // The unordered comparison lets NaN win; then a best that is NaN stays, unless the last one is wanted.
  FP p = isMax() ? (selectLast ? FP::UGE : FP::UGT) : (selectLast ? FP::ULE : FP::ULT);
  Value wins = e.op<arith::CmpFOp>(p, x, best);
  Value keeps = selectLast
                    ? e.op<arith::AndIOp>(e.op<arith::CmpFOp>(FP::UNO, best, best), e.op<arith::CmpFOp>(FP::ORD, x, x))
                    : e.op<arith::CmpFOp>(FP::UNO, best, best);
  Value no = e.op<arith::XOrIOp>(keeps, e.constant(e.b.getI1Type(), 1));
  return e.op<arith::AndIOp>(wins, no);
}
