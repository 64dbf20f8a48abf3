//===- Suppress.cpp - greedy selection of boxes ---------------------------===//
//
// A block is one class of one image. Each thread keeps a list of the candidates that are its; in a round the block
// finds the best one left, and every thread drops from its list what that one suppresses. There are as many rounds as
// boxes selected.
//
//===----------------------------------------------------------------------===//

#include "codegen/Common/Boxes.h"
#include "codegen/Gpu/Builder/Kernels.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;
using codegen::Box;

namespace {

constexpr unsigned kThreads = 512, kWarps = kThreads / 32;

} // namespace

LogicalResult kt::gpu::buildSuppress(KernelSink &sink, SuppressOp op) {
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads, 0, true});
  SymTensorType scores = op.getScores().getType();
  Expr rows = scores.dim(0) * scores.dim(1);
  Value n = k.size(scores.dim(2)), slots = k.size(op.getSelected().getType().dim(2)), row = k.ctaX(),
        image = k.mul(k.div(row, k.size(scores.dim(1))), n);
  Value none = k.c64(INT64_MIN);
  auto wide = [&](Value x) { return k.load(x, k.i64, 8); };
  Value most = k.max(k.min(wide(k.buffer(2)), k.sext(slots)), k.c64(0));
  most = arith::TruncIOp::create(k.b, k.loc, k.i32, most);
  Value threshold = k.load(k.buffer(3), k.f32, 4), least = op.getLeast() ? k.load(k.buffer(4), k.f32, 4) : Value();
  // Entry j of a thread's list lies beside those of its neighbours.
  auto entry = [&](Value j) {
    return k.at(k.workspace(), k.add(k.mul(row, n), k.add(k.mul(j, kThreads), k.tid())), 8);
  };
  auto boxAt = [&](Value rank) {
    Value at = k.mul(k.add(image, codegen::numberOf(k.b, k.loc, rank)), 4);
    Values v = k.loadElements(k.at(k.buffer(0), at, 4), k.f32, 4);
    return codegen::boxOf(k.b, k.loc, {v[0], v[1], v[2], v[3]}, op.getCentred());
  };
  /// The largest of all threads' numbers, for all of them.
  auto largest = [&](Value x) {
    for (unsigned mask = 1; mask < 32; mask *= 2)
      x = k.max(x, k.shuffleXor(x, mask));
    k.ifThen(k.cmp(Pred::eq, k.and_(k.tid(), 31), 0), [&] { k.store(x, k.at(k.sptr(0), k.shr(k.tid(), 5), 8), 8); });
    k.barrier();
    x = k.load(k.sptr(0), k.i64, 8);
    for (unsigned warp = 1; warp < kWarps; ++warp)
      x = k.max(x, k.load(k.sptr(warp * 8), k.i64, 8));
    k.barrier();
    return x;
  };

  // Nothing is looked at where nothing is asked for.
  Value looked = k.sel(k.lt(k.c(0), most), n, k.c(0));
  Values list = k.forLoop(k.tid(), looked, k.c(kThreads), {k.c(0), none}, [&](Value i, ValueRange now) -> Values {
    Value score = k.load(k.at(k.buffer(1), k.add(k.mul(row, n), i), 4), k.f32, 4);
    auto put = [&]() -> Values {
      Value rank = codegen::rankOf(k.b, k.loc, score, i);
      k.store(rank, entry(now[0]), 8);
      return {k.add(now[0], 1), k.max(now[1], rank)};
    };
    if (!least)
      return put();
    Value passes = arith::CmpFOp::create(k.b, k.loc, arith::CmpFPredicate::OGT, score, least);
    return k.ifElse(passes, {k.i32, k.i64}, put, [&]() -> Values { return Values(now); });
  });

  // Rounds: how many are selected, this thread's list, the best rank of all lists.
  Values state{k.c(0), list[0], largest(list[1])};
  auto loop = scf::WhileOp::create(
      k.b, k.loc, TypeRange{k.i32, k.i32, k.i64}, state,
      [&](OpBuilder &, Location, ValueRange v) {
        Value more = k.and_(k.lt(v[0], most), k.cmp(Pred::ne, v[2], none));
        scf::ConditionOp::create(k.b, k.loc, more, v);
      },
      [&](OpBuilder &, Location, ValueRange v) {
        Value best = v[2];
        k.ifThen(k.cmp(Pred::eq, k.tid(), 0), [&] {
          k.store(k.ext(codegen::numberOf(k.b, k.loc, best)), k.at(k.result(0), k.add(k.mul(row, slots), v[0]), 8), 8);
        });
        Box chosen = boxAt(best);
        Values next = k.forLoop(k.c(0), v[1], k.c(1), {k.c(0), none}, [&](Value j, ValueRange now) -> Values {
          Value rank = k.load(entry(j), k.i64, 8);
          Value drop = k.or_(k.cmp(Pred::eq, rank, best), codegen::overlap(k.b, k.loc, chosen, boxAt(rank), threshold));
          return k.ifElse(
              drop, {k.i32, k.i64}, [&]() -> Values { return Values(now); },
              [&]() -> Values {
                k.store(rank, entry(now[0]), 8);
                return {k.add(now[0], 1), k.max(now[1], rank)};
              });
        });
        scf::YieldOp::create(k.b, k.loc, ValueRange{k.add(v[0], 1), next[0], largest(next[1])});
      });
  k.b.setInsertionPointAfter(loop);
  Value count = loop.getResult(0);
  k.ifThen(k.cmp(Pred::eq, k.tid(), 0), [&] { k.store(k.sext(count), k.at(k.result(1), row, 8), 8); });
  k.forLoop(k.add(count, k.tid()), slots, k.c(kThreads), {}, [&](Value i, ValueRange) -> Values {
    k.store(k.c64(0), k.at(k.result(0), k.add(k.mul(row, slots), i), 8), 8);
    return {};
  });
  artifact::Variant variant;
  variant.schedule = "suppress a block a class";
  variant.workspace = sink.pool.add(rows * scores.dim(2) * 8);
  if (failed(sink.addStage(variant, k, {rows, sink.one(), sink.one()}, kWarps * 8)))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}
