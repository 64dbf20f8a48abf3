//===- Boxes.cpp - rectangles that overlap --------------------------------===//

#include "codegen/Common/Boxes.h"

using namespace mlir;
using namespace kt::codegen;

namespace {

struct Scalars {
  OpBuilder &b;
  Location loc;
  template <typename Op, typename... Args> Value op(Args &&...args) {
    return b.createOrFold<Op>(loc, std::forward<Args>(args)...);
  }
  Value f(double v) { return op<arith::ConstantOp>(b.getF32FloatAttr(v)); }
  Value i(int64_t v, unsigned width) { return op<arith::ConstantOp>(b.getIntegerAttr(b.getIntegerType(width), v)); }
};

} // namespace

Box kt::codegen::boxOf(OpBuilder &b, Location loc, std::array<Value, 4> numbers, bool centred) {
  Scalars s{b, loc};
  Box box;
  for (int axis = 0; axis < 2; ++axis) {
    Value p = numbers[axis], q = numbers[axis + 2];
    if (centred) {
      Value half = s.op<arith::MulFOp>(q, s.f(0.5));
      box.low[axis] = s.op<arith::SubFOp>(p, half), box.high[axis] = s.op<arith::AddFOp>(p, half);
    } else {
      Value ordered = s.op<arith::CmpFOp>(arith::CmpFPredicate::OGE, p, q);
      box.low[axis] = s.op<arith::SelectOp>(ordered, q, p), box.high[axis] = s.op<arith::SelectOp>(ordered, p, q);
    }
  }
  box.area =
      s.op<arith::MulFOp>(s.op<arith::SubFOp>(box.high[0], box.low[0]), s.op<arith::SubFOp>(box.high[1], box.low[1]));
  return box;
}

Value kt::codegen::overlap(OpBuilder &b, Location loc, const Box &x, const Box &y, Value threshold) {
  Scalars s{b, loc};
  auto above = [&](Value p, Value q) { return s.op<arith::CmpFOp>(arith::CmpFPredicate::OGT, p, q); };
  Value side[2], zero = s.f(0), real;
  for (int axis = 0; axis < 2; ++axis) {
    Value low = s.op<arith::SelectOp>(above(x.low[axis], y.low[axis]), x.low[axis], y.low[axis]);
    Value high = s.op<arith::SelectOp>(above(y.high[axis], x.high[axis]), x.high[axis], y.high[axis]);
    side[axis] = s.op<arith::SubFOp>(high, low);
    Value meets = above(high, low);
    real = real ? s.op<arith::AndIOp>(real, meets) : meets;
  }
  Value common = s.op<arith::MulFOp>(side[0], side[1]);
  Value whole = s.op<arith::SubFOp>(s.op<arith::AddFOp>(x.area, y.area), common);
  for (Value v : {common, x.area, y.area, whole})
    real = s.op<arith::AndIOp>(real, above(v, zero));
  return s.op<arith::AndIOp>(real, above(s.op<arith::DivFOp>(common, whole), threshold));
}

Value kt::codegen::rankOf(OpBuilder &b, Location loc, Value score, Value number) {
  Scalars s{b, loc};
  Type i32 = b.getI32Type(), i64 = b.getI64Type();
  Value positive = s.op<arith::AddFOp>(score, s.f(0)); // -0 is equal to 0
  Value bits = s.op<arith::BitcastOp>(i32, positive);
  Value sign = s.op<arith::ShRSIOp>(bits, s.i(31, 32));
  Value ordered = s.op<arith::XOrIOp>(bits, s.op<arith::AndIOp>(sign, s.i(0x7fffffff, 32)));
  Value nan = s.op<arith::CmpFOp>(arith::CmpFPredicate::UNO, score, score);
  ordered = s.op<arith::SelectOp>(nan, s.i(0x7fffffff, 32), ordered);
  Value high = s.op<arith::ShLIOp>(s.op<arith::ExtSIOp>(i64, ordered), s.i(32, 64));
  Value low = s.op<arith::ExtUIOp>(i64, s.op<arith::XOrIOp>(number, s.i(-1, 32)));
  return s.op<arith::OrIOp>(high, low);
}

Value kt::codegen::numberOf(OpBuilder &b, Location loc, Value rank) {
  Scalars s{b, loc};
  return s.op<arith::XOrIOp>(s.op<arith::TruncIOp>(b.getI32Type(), rank), s.i(-1, 32));
}
