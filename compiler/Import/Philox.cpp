//===- Philox.cpp - random numbers without a state ------------------------===//

#include "compiler/Import/Philox.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

Value import::philox(Body &b, std::array<Value, 4> counter, std::array<Value, 2> key) {
  Type i32 = b.b.getI32Type(), i64 = b.b.getI64Type();
  auto half = [&](Value product, int64_t shift) -> Value {
    if (shift)
      product = b.math<arith::ShRUIOp>(product, b.integer(i64, shift));
    return arith::TruncIOp::create(b.b, b.loc, i32, product);
  };
  auto times = [&](Value x, uint32_t factor) {
    return b.mul(arith::ExtUIOp::create(b.b, b.loc, i64, x), b.integer(i64, factor));
  };
  auto bits = [&](uint32_t word) { return b.integer(i32, (int32_t)word); };
  auto differ = [&](Value x, Value y) { return b.math<arith::XOrIOp>(x, y); };
  for (unsigned round = 0; round < 10; ++round) {
    Value p = times(counter[0], 0xd2511f53), q = times(counter[2], 0xcd9e8d57);
    counter = {differ(differ(half(q, 32), counter[1]), key[0]), half(q, 0),
               differ(differ(half(p, 32), counter[3]), key[1]), half(p, 0)};
    key = {b.add(key[0], bits(0x9e3779b9)), b.add(key[1], bits(0xbb67ae85))};
  }
  return counter[0];
}

Value import::gumbel(Body &b, Value word) {
  Type f32 = b.b.getF32Type();
  auto c = [&](double v) { return b.constant(f32, v); };
  // 1 - u, kept below 1. Small ones are what large results come from, and a float is fine there.
  Value v = arith::UIToFPOp::create(b.b, b.loc, f32, word);
  v = b.min(b.mul(b.add(v, c(0.5)), c(0x1p-32)), c(1 - 0x1p-24));
  // -log(1 - v), by its series where 1 - v would lose v.
  Value series = b.mul(v, b.add(c(1), b.mul(v, b.add(c(0.5), b.mul(v, b.add(c(1.0 / 3), b.mul(v, c(0.25))))))));
  Value exponential = b.select(b.cmp(Cmp::lt, v, c(0x1p-6)), series, b.neg(b.math<math::LogOp>(b.sub(c(1), v))));
  return b.neg(b.math<math::LogOp>(exponential));
}
