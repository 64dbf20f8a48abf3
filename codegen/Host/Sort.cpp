//===- Sort.cpp - sorting rows on the host --------------------------------===//
//
// Elements become 64-bit integers that order like them (reversed for descending order), paired with their positions. A
// short result is kept sorted by insertion while the row streams by; otherwise a bottom-up merge sort moves the pairs
// between two arrays. Both keep the order of equal elements.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Emit.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

namespace {

constexpr int64_t kShort = 32; // the longest result made by insertion

class SortEmitter {
public:
  SortEmitter(KernelBuilder &kernel, SortOp op);
  void build();

private:
  /// The number that orders like `x`.
  Value keyOf(StageEmitter &e, Value x);
  void insertion(StageEmitter &e, Value base, Value n, Value k);
  void mergeSort(StageEmitter &e, Value base, Value n);
  void merge(StageEmitter &e, Value source, Value target, Value lo, Value mid, Value hi);
  Value key(StageEmitter &e, Value array, Value i) { return e.load(array, i64, e.mul(i, e.idx(2))); }
  Value position(StageEmitter &e, Value array, Value i) {
    return e.load(array, i64, e.add(e.mul(i, e.idx(2)), e.idx(1)));
  }
  void put(StageEmitter &e, Value array, Value i, Value key, Value position) {
    e.store(key, array, i64, e.mul(i, e.idx(2)));
    e.store(position, array, i64, e.add(e.mul(i, e.idx(2)), e.idx(1)));
  }

  KernelBuilder &kernel;
  SortOp op;
  SymTensorType type;
  Type i64;
  Expr length, kept, rows;
};

SortEmitter::SortEmitter(KernelBuilder &kernel, SortOp op)
    : kernel(kernel), op(op), type(op.getInput().getType()), i64(IntegerType::get(op.getContext(), 64)),
      rows(kernel.constant(1)) {
  int64_t last = type.getRank() - 1;
  length = type.dim(last);
  kept = op.getValues().getType().dim(last);
  for (int64_t d = 0; d < last; ++d)
    rows = rows * type.dim(d);
}

Value SortEmitter::keyOf(StageEmitter &e, Value x) {
  bool isUnsigned = type.getElementType().isUnsignedInteger();
  Value key;
  if (isa<FloatType>(x.getType())) {
    Type f64 = e.b.getF64Type();
    Value wide = e.op<arith::AddFOp>(e.convert(x, f64), e.constant(f64, 0)); // -0 becomes +0: they are equal
    Value bits = e.op<arith::BitcastOp>(i64, wide);
    Value sign = e.op<arith::ShRSIOp>(bits, e.constant(i64, 63));
    Value mask = arith::ConstantOp::create(e.b, e.loc, e.b.getI64IntegerAttr(INT64_MAX));
    key = e.op<arith::XOrIOp>(bits, e.op<arith::AndIOp>(sign, mask));
    Value nan = e.op<arith::CmpFOp>(arith::CmpFPredicate::UNO, wide, wide);
    key = e.select(nan, mask, key);
  } else {
    key = e.convert(x, i64, isUnsigned);
    if (isUnsigned && type.getElementType().getIntOrFloatBitWidth() == 64)
      key = e.op<arith::XOrIOp>(key, Value(arith::ConstantOp::create(e.b, e.loc, e.b.getI64IntegerAttr(INT64_MIN))));
  }
  return op.getDescending() ? e.op<arith::XOrIOp>(key, e.constant(i64, -1)) : key;
}

void SortEmitter::build() {
  Expr one = kernel.constant(1);
  Expr share = Expr::max(Expr::floorDiv(kernel.constant(4096), Expr::max(length, one)), one);
  kernel.schedule = "sort";
  // Two arrays of pairs; insertion needs one slot more than it keeps.
  Expr half = length * 16 + 64;
  Expr scratch = half * 2 + (kShort + 2) * 16;
  kernel.stage({Expr::ceilDiv(rows, share), scratch}, [&](StageEmitter &e) {
    Value n = e.expr(length), k = e.expr(kept);
    const Tensor &in = e.operands[0], &values = e.results[0], &indices = e.results[1];
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.expr(share)), hi = e.min(e.add(lo, e.expr(share)), e.expr(rows));
      e.loop(lo, hi, [&](Value row) {
        Value base = e.mul(row, n), out = e.mul(row, k);
        Value isShort = e.op<arith::AndIOp>(e.cmp(arith::CmpIPredicate::sle, k, e.idx(kShort)), e.lt(k, n));
        e.ifElse(isShort, [&] { insertion(e, base, n, k); }, [&] { mergeSort(e, base, n); });
        e.coldLoop(e.idx(0), e.min(k, n), [&](Value i) {
          Value at = position(e, e.scratch, i), to = e.add(out, i);
          e.store(at, indices.pointer, indices.element(), to);
          e.store(e.load(in.pointer, in.element(), e.add(base, e.toIndex(at))), values.pointer, values.element(), to);
        });
      });
    });
  });
}

/// The k first pairs, sorted, at the start of scratch memory.
void SortEmitter::insertion(StageEmitter &e, Value base, Value n, Value k) {
  const Tensor &in = e.operands[0];
  Value zero = e.idx(0), one = e.idx(1);
  e.coldLoop(zero, n, [&](Value i) {
    Value x = keyOf(e, e.load(in.pointer, in.element(), e.add(base, i)));
    Value have = e.min(i, k);
    Value full = e.cmp(arith::CmpIPredicate::sge, i, k);
    Value last = e.max(e.sub(have, one), zero);
    auto enters = e.choose(
        full, [&] { return e.lt(x, key(e, e.scratch, last)); }, [&] { return e.constant(e.b.getI1Type(), 1); });
    enters = e.op<arith::AndIOp>(enters, e.lt(zero, k));
    e.ifThen(enters, [&] {
      // Larger ones move up; equal ones stay before the newcomer.
      Value top = e.select(full, last, have);
      auto place = e.whileLoop(
          top,
          [&](ValueRange v) {
            return e.choose(
                e.lt(zero, v[0]), [&] { return e.lt(x, key(e, e.scratch, e.sub(v[0], one))); },
                [&] { return e.constant(e.b.getI1Type(), 0); });
          },
          [&](ValueRange v) {
            Value below = e.sub(v[0], one);
            put(e, e.scratch, v[0], key(e, e.scratch, below), position(e, e.scratch, below));
            return SmallVector<Value>{below};
          });
      put(e, e.scratch, place[0], x, e.i64(i));
    });
  });
}

/// All pairs, sorted, at the start of scratch memory.
void SortEmitter::mergeSort(StageEmitter &e, Value base, Value n) {
  const Tensor &in = e.operands[0];
  Value zero = e.idx(0);
  Value first = e.scratch, second = e.atBytes(e.scratch, e.add(e.mul(n, e.idx(16)), e.idx(64)));
  e.coldLoop(zero, n,
             [&](Value i) { put(e, first, i, keyOf(e, e.load(in.pointer, in.element(), e.add(base, i))), e.i64(i)); });
  // Two passes at a time, so that the result ends where it started.
  auto pass = [&](Value source, Value target, Value width) {
    Value twice = e.mul(width, e.idx(2));
    e.loop(zero, n, twice,
           [&](Value lo) { merge(e, source, target, lo, e.min(e.add(lo, width), n), e.min(e.add(lo, twice), n)); });
  };
  e.whileLoop(
      e.idx(1), [&](ValueRange v) { return e.lt(v[0], n); },
      [&](ValueRange v) {
        pass(first, second, v[0]);
        Value wider = e.mul(v[0], e.idx(2));
        pass(second, first, wider);
        return SmallVector<Value>{e.mul(wider, e.idx(2))};
      });
}

void SortEmitter::merge(StageEmitter &e, Value source, Value target, Value lo, Value mid, Value hi) {
  Value one = e.idx(1);
  e.loop(lo, hi, one, ValueRange{lo, mid}, [&](Value out, ValueRange at) {
    Value left = at[0], right = at[1];
    Value hasLeft = e.lt(left, mid), hasRight = e.lt(right, hi);
    // Reads stay inside even when one side is used up.
    Value l = e.select(hasLeft, left, lo), r = e.select(hasRight, right, lo);
    Value smaller = e.lt(key(e, source, r), key(e, source, l));
    Value no = e.op<arith::XOrIOp>(hasLeft, e.constant(e.b.getI1Type(), 1));
    Value takeRight = e.op<arith::AndIOp>(hasRight, e.op<arith::OrIOp>(no, smaller));
    Value from = e.select(takeRight, r, l);
    put(e, target, out, key(e, source, from), position(e, source, from));
    Value step = e.op<arith::IndexCastUIOp>(e.indexType(), takeRight);
    return SmallVector<Value>{e.add(left, e.sub(one, step)), e.add(right, step)};
  });
}

} // namespace

LogicalResult kt::codegen::host::buildSort(KernelBuilder &kernel, SortOp op) {
  SortEmitter(kernel, op).build();
  return success();
}
