//===- Scan.cpp - cumulative sums, and positions of true elements ---------===//
//
// One block walks a row in order, a block's width at a time, and carries the total on.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Rows/Scan.h"
#include "codegen/Gpu/Builder/Kernels.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Prefix kt::gpu::scanBlock(KernelBuilder &k, Combiner &combiner, ValueRange state, unsigned threads) {
  Value lane = k.and_(k.tid(), 31), warp = k.shr(k.tid(), 5);
  Values inclusive(state), neutral = combiner.neutral();
  auto select = [&](Value c, ValueRange x, ValueRange y) {
    Values out;
    for (auto [a, b] : llvm::zip(x, y))
      out.push_back(k.sel(c, a, b));
    return out;
  };
  for (unsigned delta = 1; delta < 32; delta *= 2) {
    Values other;
    for (Value v : inclusive)
      other.push_back(k.shuffleUp(v, delta));
    inclusive = select(k.cmp(Pred::sge, lane, delta), combiner.combine(other, inclusive), inclusive);
  }
  Values before;
  for (Value v : inclusive)
    before.push_back(k.shuffleUp(v, 1));
  before = select(k.cmp(Pred::eq, lane, 0), neutral, before);
  Type type = combiner.types()[0];
  int64_t bytes = elementBytes(type);
  k.ifThen(k.cmp(Pred::eq, lane, 31), [&] { k.storeElement(inclusive[0], k.at(k.sptr(k.shared()), warp, bytes)); });
  k.barrier();
  Prefix p{neutral, neutral};
  for (unsigned w = 0; w < threads / 32; ++w) {
    Values one{k.loadElement(k.sptr(w * bytes), type)};
    p.exclusive = select(k.cmp(Pred::sgt, warp, w), combiner.combine(p.exclusive, one), p.exclusive);
    p.total = combiner.combine(p.total, one);
  }
  p.exclusive = combiner.combine(p.exclusive, before);
  k.barrier();
  return p;
}

LogicalResult kt::gpu::buildScan(KernelSink &sink, ScanOp op) {
  constexpr unsigned kThreads = 256;
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads});
  SymTensorType type = op.getInput().getType();
  int64_t rank = type.getRank(), bytes = type.elementBytes();
  if (rank == 0)
    return failure();
  Expr length = type.dim(rank - 1), rows = sink.one();
  for (int64_t d = 0; d + 1 < rank; ++d)
    rows = rows * type.dim(d);
  Combiner combiner(k, op.getKind(), type.scalarType(), false);
  Value n = k.size(length), start = k.mul(k.ctaX(), n);
  k.forLoop(k.c(0), n, k.c(kThreads), combiner.neutral(), [&](Value at, ValueRange carry) {
    Value i = k.add(at, k.tid()), inside = k.lt(i, n);
    Value place = k.add(start, op.getReverse() ? k.sub(k.sub(n, 1), i) : i);
    Value x = k.ifElse(
        inside, combiner.types(),
        [&] { return combiner.single(k.loadElement(k.at(k.buffer(0), place, bytes), type.scalarType()), Value()); },
        [&] { return combiner.neutral(); })[0];
    Prefix p = scanBlock(k, combiner, x, kThreads);
    Values y = combiner.combine(carry, p.exclusive);
    if (!op.getExclusive())
      y = combiner.combine(y, x);
    k.ifThen(inside, [&] { k.storeResult(0, place, combiner.finish(y)); });
    return combiner.combine(carry, p.total);
  });
  artifact::Variant variant;
  variant.schedule = "scan rows threads=256";
  if (failed(sink.addStage(variant, k, {rows, sink.one(), sink.one()}, 32 * combiner.bytes())))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}

LogicalResult kt::gpu::buildNonzero(KernelSink &sink, NonzeroOp op) {
  constexpr unsigned kThreads = 1024;
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads});
  Combiner counter(k, ReduceKind::add, k.i32, false);
  Value n = k.size(op.getInput().getType().dim(0));
  Value count = k.forLoop(k.c(0), n, k.c(kThreads), k.c(0), [&](Value at, ValueRange carry) -> Values {
    Value i = k.add(at, k.tid());
    Value x = k.ifElse(
        k.lt(i, n), k.i32, [&]() -> Values { return {k.convert(k.loadElement(k.at(k.buffer(0), i, 1), k.i1), k.i32)}; },
        [&]() -> Values { return {k.c(0)}; })[0];
    Prefix p = scanBlock(k, counter, x, kThreads);
    k.ifThen(k.cmp(Pred::ne, x, 0),
             [&] { k.store(k.sext(i), k.at(k.result(0), k.add(carry[0], p.exclusive[0]), 8), 8); });
    return {k.add(carry[0], p.total[0])};
  })[0];
  k.forLoop(k.add(count, k.tid()), n, k.c(kThreads), {}, [&](Value i, ValueRange) -> Values {
    k.store(k.c64(0), k.at(k.result(0), i, 8), 8);
    return {};
  });
  k.ifThen(k.cmp(Pred::eq, k.tid(), 0), [&] { k.store(k.sext(count), k.result(1), 8); });
  artifact::Variant variant;
  variant.schedule = "nonzero one block";
  if (failed(sink.addStage(variant, k, {sink.one(), sink.one(), sink.one()}, 32 * 4)))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}
