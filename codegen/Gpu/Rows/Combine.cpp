//===- Combine.cpp - the state of a reduction -----------------------------===//

#include "codegen/Gpu/Rows/Combine.h"
#include <limits>

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Combiner::Combiner(KernelBuilder &k, ReduceKind kind, Type element, bool selectLast)
    : k(k), kind(kind), element(element), selectLast(selectLast) {
  // Booleans compare as 0 and 1, and shuffles and shared memory want whole words.
  acc = element.isF16() || element.isBF16() ? k.f32 : isa<IntegerType>(element) && element != k.i64 ? k.i32 : element;
}

SmallVector<Type> Combiner::types() const { return isArg() ? SmallVector<Type>{acc, k.i32} : SmallVector<Type>{acc}; }

Values Combiner::neutral() {
  bool largest = kind == ReduceKind::min || kind == ReduceKind::argmin;
  double infinity = std::numeric_limits<double>::infinity();
  Value v;
  if (kind == ReduceKind::add)
    v = k.zero(acc);
  else if (kind == ReduceKind::mul)
    v = isa<FloatType>(acc) ? k.constantF(1, acc) : k.constant(1, acc);
  else if (isa<FloatType>(acc))
    v = k.constantF(largest ? infinity : -infinity, acc);
  else {
    unsigned bits = element.getIntOrFloatBitWidth();
    int64_t low = bits == 1 ? 0 : -(int64_t)(1ull << (bits - 1)), high = bits == 1 ? 1 : -(low + 1);
    v = k.constant(largest ? high : low, acc);
  }
  return isArg() ? Values{v, k.c(-1)} : Values{v};
}

Values Combiner::single(Value e, Value at) {
  Value v = k.convert(e, acc);
  return isArg() ? Values{v, at} : Values{v};
}

Values Combiner::combine(ValueRange x, ValueRange y) {
  using namespace arith;
  bool isFloat = isa<FloatType>(acc);
  switch (kind) {
  case ReduceKind::add:
    return {isFloat ? k.addf(x[0], y[0]) : k.add(x[0], y[0])};
  case ReduceKind::mul:
    return {isFloat ? k.mulf(x[0], y[0]) : k.mul(x[0], y[0])};
  case ReduceKind::max:
    return {isFloat ? k.maxf(x[0], y[0]) : k.max(x[0], y[0])};
  case ReduceKind::min:
    return {isFloat ? k.bin<MinimumFOp>(x[0], y[0]) : k.min(x[0], y[0])};
  case ReduceKind::argmax:
  case ReduceKind::argmin:
    break;
  }
  bool max = kind == ReduceKind::argmax;
  Value better, tie;
  if (isFloat) {
    auto compare = [&](CmpFPredicate p, Value a, Value b) -> Value { return CmpFOp::create(k.b, k.loc, p, a, b); };
    Value xNan = compare(CmpFPredicate::UNO, x[0], x[0]), yNan = compare(CmpFPredicate::UNO, y[0], y[0]);
    better = k.or_(compare(max ? CmpFPredicate::OGT : CmpFPredicate::OLT, y[0], x[0]),
                   k.and_(yNan, k.xor_(xNan, k.cBool(true))));
    tie = k.or_(compare(CmpFPredicate::OEQ, y[0], x[0]), k.and_(xNan, yNan));
  } else {
    better = k.cmp(max ? Pred::sgt : Pred::slt, y[0], x[0]);
    tie = k.cmp(Pred::eq, y[0], x[0]);
  }
  Value order = k.cmp(selectLast ? Pred::sgt : Pred::slt, y[1], x[1]);
  Value take = k.or_(better, k.and_(tie, order));
  take = k.and_(k.or_(take, k.lt(x[1], 0)), k.cmp(Pred::sge, y[1], 0));
  return {k.sel(take, y[0], x[0]), k.sel(take, y[1], x[1])};
}

Value Combiner::finish(ValueRange state) {
  if (isArg())
    return k.sext(k.max(state[1], 0));
  if (element == k.i1)
    return k.cmp(Pred::ne, state[0], 0);
  return k.convert(state[0], element);
}

Values Combiner::acrossLanes(ValueRange state, unsigned width) {
  Values now(state);
  for (unsigned mask = width / 2; mask; mask /= 2) {
    Values other;
    for (Value v : now)
      other.push_back(k.shuffleXor(v, mask));
    now = combine(now, other);
  }
  return now;
}

Values kt::gpu::acrossBlock(KernelBuilder &k, Combiner &combiner, ValueRange state, unsigned threads, int64_t offset) {
  Values now = combiner.acrossLanes(state);
  unsigned warps = threads / 32;
  if (warps == 1)
    return now;
  Value lane = k.and_(k.tid(), 31), warp = k.shr(k.tid(), 5);
  SmallVector<Type> types = combiner.types();
  SmallVector<int64_t> places;
  for (Type t : types) {
    places.push_back(offset);
    offset += elementBytes(t) * 32;
  }
  k.ifThen(k.cmp(Pred::eq, lane, 0), [&] {
    for (auto [v, place] : llvm::zip(now, places))
      k.storeElement(v, k.at(k.sptr(place), warp, elementBytes(v.getType())));
  });
  k.barrier();
  // Every warp combines the warps' states again, which spares a second barrier.
  Values mine;
  unsigned all = llvm::PowerOf2Ceil(warps);
  Value slot = k.and_(lane, all - 1), there = k.lt(slot, warps);
  for (auto [t, place, none] : llvm::zip(types, places, combiner.neutral())) {
    Value one = k.loadElement(k.at(k.sptr(place), warps == all ? slot : k.min(slot, warps - 1), elementBytes(t)), t);
    mine.push_back(warps == all ? one : k.sel(there, one, none));
  }
  return combiner.acrossLanes(mine, all);
}
