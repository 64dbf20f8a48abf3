//===- FollowRows.cpp - a norm behind a product, by its blocks ------------===//
//
// Tiles side by side make a band of whole rows, which a norm can go on with. Either the last block of a band to arrive
// computes it, or all blocks of the band that run then share it. Those wait for one another, but only where every block
// of the band has begun: what runs arrives, whatever else is on the card, and no wait keeps a multiprocessor from a
// block that is waited for. A block that arrives before that ends at once. The last one always stays, so that somebody
// does what is left. Two words of 64 bits a band, zero before and after:
//
//                 high half              low half
//   arrivals      blocks that began      blocks whose sums and tile are in memory
//   shares        blocks that ended      shares that were asked for; the first ones exist
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Gemm.h"
#include "codegen/Gpu/Rows/RowNorm.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {
constexpr int64_t kOneAbove = int64_t(1) << 32; // one in the high half
constexpr int64_t kBandBytes = 16, kSharesWord = 8;
/// Two numbers at the start of shared memory, in turns the share that the block does and the one after it.
constexpr int64_t kPlaces = 16, kOtherPlace = 4;

Expr rowTiles(const GemmProblem &p, const TileShape &t) { return Expr::ceilDiv(p.m, p.number(t.rows)); }
Expr columnTiles(const GemmProblem &p, const TileShape &t) { return Expr::ceilDiv(p.n, p.number(t.columns)); }

Value low(KernelBuilder &k, Value word) { return k.convert(word, k.i32); }
Value high(KernelBuilder &k, Value word) { return k.convert(k.shr(word, 32), k.i32); }

Value bandWords(KernelBuilder &k, const TileShape &t, Value m0) {
  return k.at(k.counters(), k.div(m0, t.rows), kBandBytes);
}

/// What the blocks of a band do when their tiles are there.
void shareRows(KernelBuilder &k, BlockNorm &norm, Value arrivals, Value blocks) {
  Value shares = norm.shares(), sharesWord = k.gep(arrivals, kSharesWord), first = k.cmp(Pred::eq, k.tid(), 0);
  // Answers a share: none, where the number is not less than there are. A block asks until there is none.
  auto ask = [&](Value what) {
    Value before = k.atomicAdd(sharesWord, what), asked = low(k, before);
    Value all = k.add(k.add(asked, high(k, before)), 1);
    // Every share was given, and every block has got none: nobody looks at the words any more.
    k.ifThen(k.cmp(Pred::eq, all, k.add(shares, blocks)), [&] {
      k.store(k.c64(0), arrivals, 8);
      k.store(k.c64(0), sharesWord, 8);
    });
    return asked;
  };
  k.fence();
  k.barrier();
  k.ifThen(first, [&] {
    Value stays = k.cmp(Pred::eq, high(k, k.atomicAdd(arrivals, k.c64(1))), blocks);
    Value share = k.sel(stays, ask(k.sel(stays, k.c64(1), k.c64(kOneAbove))), shares);
    auto incomplete = [&](ValueRange) { return k.cmp(Pred::ne, low(k, k.atomicLoad(arrivals, k.i64)), blocks); };
    k.ifThen(k.lt(share, shares), [&] { k.whileLoop({}, incomplete, [](ValueRange) { return Values(); }); });
    k.store(share, k.sptr(int64_t(0)), 4);
  });
  k.barrier();
  Value share = k.load(k.sptr(int64_t(0)), k.i32, 4);
  k.fence();
  k.whileLoop(
      {share, k.c(kOtherPlace)}, [&](ValueRange now) { return k.lt(now[0], shares); },
      [&](ValueRange now) -> Values {
        // The answer travels while the rows are computed.
        Value next = k.ifElse(
            first, k.i32, [&]() -> Values { return {ask(k.c64(1))}; }, [&]() -> Values { return {k.c(0)}; })[0];
        norm.emit(now[0]);
        Value place = k.sptr(k.add(k.shared(), now[1]));
        k.ifThen(first, [&] { k.store(next, place, 4); });
        k.barrier();
        return {k.load(place, k.i32, 4), k.xor_(now[1], kOtherPlace)};
      });
}
} // namespace

Follow kt::gpu::followOf(const KernelSink &sink, const GemmProblem &p) {
  Follow follow = Follow(sink.configured("follow"));
  bool wholeRows = sink.follower && p.batch.empty() && p.resM == p.resultColumns;
  return wholeRows && (follow == Follow::lastBlock || follow == Follow::sharing) ? follow : Follow::stage;
}

Expr kt::gpu::rowCounters(const KernelSink &sink, const GemmProblem &p, const TileShape &t) {
  Follow follow = followOf(sink, p);
  if (follow == Follow::stage)
    return p.number(0);
  return rowTiles(p, t) * (follow == Follow::sharing ? kBandBytes / 4 : 1);
}

void kt::gpu::startRows(KernelBuilder &k, const KernelSink &sink, const GemmProblem &p, const TileShape &t, Value m0) {
  if (followOf(sink, p) == Follow::sharing)
    k.ifThen(k.cmp(Pred::eq, k.tid(), 0), [&] { k.atomicAdd(bandWords(k, t, m0), k.c64(kOneAbove)); });
}

void kt::gpu::finishRows(KernelBuilder &k, const KernelSink &sink, const GemmProblem &p, const TileShape &t, bool split,
                         Value m0, Value finished) {
  Follow follow = followOf(sink, p);
  if (follow == Follow::stage)
    return;
  Value columns = k.size(columnTiles(p, t));
  std::optional<int64_t> most = t.rows, blocks = columnTiles(p, t).asConstant();
  if (follow == Follow::sharing)
    most = blocks ? std::optional<int64_t>(llvm::divideCeil(t.rows, *blocks)) : std::nullopt;
  Value end = k.min(k.add(m0, t.rows), k.size(p.m));
  BlockNorm norm(k, sink.follower, t.threads, most, kPlaces, m0, end, sink.alignment());
  if (follow == Follow::sharing)
    return shareRows(k, norm, bandWords(k, t, m0), split ? k.mul(columns, k.gridY()) : columns);
  auto goOn = [&] { k.ifThen(k.isLastBlock(k.div(m0, t.rows), columns), [&] { norm.emitAll(); }); };
  if (split)
    k.ifThen(finished, goOn);
  else
    goOn();
}
