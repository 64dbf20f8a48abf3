//===- CostModel.cpp - what launches of candidates take -------------------===//

#include "passes/Analysis/CostModel.h"

using namespace mlir;
using namespace kt;

namespace {
/// A block that has fewer k's is not worth its share of the sums.
constexpr int64_t kLeastShare = 256;
constexpr int64_t kMostSplits = 16, kMostKeySplits = 64;
constexpr int64_t kKeys = 64; // of a block of attention

int64_t per(int64_t amount, int64_t rate) { return amount * 1000 / rate; }
} // namespace

CostModel::BlockTimes CostModel::warpgroupTimes(const MmaTile &t, unsigned lanes) const {
  // Shared memory takes what is copied and gives each warpgroup its rows and all columns; that it is nine tenths as
  // fast as for loads is what whole kernels of seven tiles have in common.
  int64_t flops = 2ll * t.bm * t.bn * t.bk, store = (int64_t)t.bm * t.bn * (lanes >= 4 ? 60 : lanes == 2 ? 100 : 180);
  int64_t moved = (int64_t)t.warpRows / 4 * (64 + t.bn) * t.bk * 2 + t.slabBytes();
  auto full = [&](const CardModel &c) {
    return std::max({per(flops, c.wgmma), per(moved * 10 / 9, c.shared), per(t.slabBytes(), c.l2 * 5 / 4)});
  };
  auto alone = [&](const CardModel &c) { return std::max(full(c), c.latency / (t.stages - 2)); };
  auto resident = [&](const CardModel &c) { return c.resident(t.sharedBytes(), t.threads(), t.registers()); };
  return {pick(full), pick(alone), pick([&](const CardModel &c) { return store + c.latency; }), pick(resident),
          pick([&](const CardModel &c) {
            return std::clamp<int64_t>((alone(c) + full(c) / 2) / full(c), 1, std::min<int64_t>(resident(c), 4));
          })};
}

CostModel::BlockTimes CostModel::times(const MmaTile &t, bool async, unsigned lanes) const {
  if (t.warpgroups)
    return warpgroupTimes(t, lanes);
  unsigned warps = t.threads() / 32;
  int64_t flops = 2ll * t.bm * t.bn * t.bk, steps = t.bk / 16;
  int64_t fragments = (int64_t)warps * (t.bm / t.warpRows + t.bn / t.warpCols) * t.bk * 2 + t.slabBytes();
  auto full = [&, this](const CardModel &c) {
    int64_t busy = target.overlapped(per(flops, c.mma), per(fragments, c.shared));
    // Elements that come one at a time: eight loads and their conditions for each copy.
    return std::max(busy, per(t.slabBytes(), c.l2)) + (async ? 0 : per(t.slabBytes(), c.l2) * 3);
  };
  auto alone = [&, this](const CardModel &c) {
    // One warp has one of four tensor cores.
    int64_t tensor = per(flops, c.mma) * 4 / std::min(warps, 4u);
    int64_t chain = std::max(steps * c.step, tensor) + target.constants().barrier, wait = c.latency / (t.stages - 1);
    return std::max({full(c), chain, async ? wait : c.latency * 2});
  };
  auto resident = [&](const CardModel &c) { return c.resident(t.sharedBytes(), t.threads(), t.registers()); };
  int64_t store = (int64_t)t.bm * t.bn * (lanes >= 4 ? 60 : lanes == 2 ? 100 : 180);
  return {pick(full), pick(alone), pick([&](const CardModel &c) { return store + c.latency; }), pick(resident),
          pick([&](const CardModel &c) {
            return std::clamp<int64_t>((alone(c) + full(c) / 2) / full(c), 1, std::min<int64_t>(resident(c), 4));
          })};
}

CostModel::BlockTimes CostModel::times(const SimtTile &t, unsigned accBytes, bool vectors, unsigned lanes) const {
  int64_t flops = 2ll * t.bm * t.bn * t.bk, bytes = (int64_t)(t.bm + t.bn) * t.bk * accBytes;
  auto full = [&](const CardModel &c) {
    // Doubles run at a 32nd of the rate on most cards; operands that are not read in vectors cost their instructions.
    int64_t work = per(flops, c.fma) * (accBytes == 8 ? 32 : 1) * 5 / 4;
    return std::max(work, per(bytes, c.l2)) + (vectors ? 0 : work / 2);
  };
  auto alone = [&](const CardModel &c) { return std::max(full(c), c.latency); };
  unsigned registers = (t.tm * t.tn + t.tm + t.tn) * std::max(1u, accBytes / 4) + 40;
  auto resident = [&](const CardModel &c) { return c.resident(t.sharedBytes(accBytes), t.threads(), registers); };
  int64_t store = (int64_t)t.bm * t.bn * (lanes >= 4 ? 60 : 120);
  return {pick(full), pick(alone), pick([&](const CardModel &c) { return store + c.latency; }), pick(resident),
          pick([&](const CardModel &c) {
            return std::clamp<int64_t>((alone(c) + full(c) / 2) / full(c), 1, std::min<int64_t>(resident(c), 4));
          })};
}

Expr CostModel::splits(const Product &p, unsigned bm, unsigned bn, Expr filling) const {
  Expr tiles = Expr::ceilDiv(p.m, number(bm)) * Expr::ceilDiv(p.n, number(bn));
  // Rounded down: one block too many makes a further round.
  Expr room = Expr::floorDiv(smCount() * filling, Expr::max(tiles, number(1)));
  Expr deep = Expr::floorDiv(p.k, number(kLeastShare));
  return Expr::max(number(1), Expr::min(number(kMostSplits), Expr::min(room, deep)));
}

Expr CostModel::splits(const Product &p, const MmaTile &t, bool async) const {
  return splits(p, t.bm, t.bn, times(t, async, 8).filling);
}

Expr CostModel::splits(const Product &p, const SimtTile &t) const {
  return splits(p, t.bm, t.bn, times(t, elementBytes(p.accType), true, 4).filling);
}

Expr CostModel::memory(Expr bytes) const {
  return Expr::floorDiv(bytes * 1000, smCount() * pick([](const CardModel &c) { return c.dram; }));
}

Expr CostModel::rounds(Expr blocks, Expr slabs, const BlockTimes &t) const {
  // The fullest multiprocessor decides: with many blocks by its throughput, with few by how long they wait. Blocks that
  // are there together hide one another's start and end.
  Expr most = Expr::ceilDiv(blocks, smCount()), turns = Expr::ceilDiv(most, t.resident);
  Expr latency = pick([](const CardModel &c) { return c.latency; });
  return Expr::max(most * slabs * t.full + turns * t.epilogue, turns * (slabs * t.alone + t.epilogue)) + latency;
}

Expr CostModel::contraction(const Product &p, unsigned bm, unsigned bn, unsigned bk, const BlockTimes &t,
                            Expr splits) const {
  Expr tiles = Expr::ceilDiv(p.m, number(bm)) * Expr::ceilDiv(p.n, number(bn)) * p.batches();
  Expr slabs = Expr::ceilDiv(p.k, number(bk));
  if (splits)
    slabs = Expr::ceilDiv(slabs, splits);
  Expr work = rounds(splits ? tiles * splits : tiles, slabs, t);
  bool sharedRight = llvm::all_of(p.rhsBatch, [](Expr e) { return e.isConstant(0); });
  Expr right = p.n * p.k * elementBytes(p.rhsType), left = p.m * p.k * elementBytes(p.lhsType);
  Expr result =
      p.m * p.resultColumns * elementBytes(cast<SymTensorType>(p.op->getResult(0).getType()).getElementType());
  Expr bytes = p.batches() * (left + result) + (sharedRight ? right : p.batches() * right);
  Expr total = Expr::max(work, memory(bytes)) + target.constants().launch;
  if (splits) {
    // Partial sums are written by all, and those of a tile read again by its last block, which hardly overlaps its
    // loads: half the rate that the cache has for one multiprocessor.
    Expr l2 = pick([](const CardModel &c) { return c.l2; });
    Expr written = Expr::floorDiv(p.m * p.n * 4 * splits * 1000, smCount() * l2);
    Expr read = Expr::floorDiv(splits * (int64_t(bm) * bn * 8 * 1000), l2);
    total = total + Expr::select(Expr::lt(number(1), splits), written + read + target.constants().arrival, number(0));
  }
  return nanoseconds(total);
}

Expr CostModel::product(const Product &p, const MmaTile &t, bool async, unsigned lanes, Expr splits) const {
  return contraction(p, t.bm, t.bn, t.bk, times(t, async, lanes), splits);
}

Expr CostModel::product(const Product &p, const SimtTile &t, bool vectors, unsigned lanes, Expr splits) const {
  return contraction(p, t.bm, t.bn, t.bk, times(t, elementBytes(p.accType), vectors, lanes), splits);
}

Expr CostModel::keySplits(const AttentionProblem &p, unsigned warps) const {
  // Four blocks an SM, at least four blocks of keys each.
  Expr blocks = p.b * p.h * Expr::ceilDiv(p.i, number(warps * 16));
  Expr room = Expr::floorDiv(smCount() * 4, Expr::max(blocks, number(1)));
  // Rows see no more keys than their window has; a split cannot use one of very low scores.
  Expr walked = p.from && p.to && !p.low ? Expr::min(p.j, p.to - p.from + kKeys) : p.j;
  Expr deep = Expr::floorDiv(walked, number(kKeys * 4));
  return Expr::max(number(1), Expr::min(number(kMostKeySplits), Expr::min(room, deep)));
}

Expr CostModel::flash(const AttentionProblem &p, unsigned warps, bool async, Expr splits) const {
  unsigned rows = warps * 16;
  int64_t flops = 2ll * rows * kKeys * (p.d + p.e), bytes = kKeys * (p.d + p.e) * 2;
  // The exponentials take about as long as the products.
  auto full = [&](const CardModel &c) {
    return std::max(2 * per(flops, c.mma), per(bytes, c.l2)) + (async ? 0 : per(bytes, c.l2) * 3);
  };
  auto alone = [&](const CardModel &c) {
    int64_t chain = (p.d + p.e) / 16 * (kKeys / 16) * c.step / 2 + 10 * target.constants().barrier;
    return std::max({full(c) * 4 / std::min(warps, 4u), chain, async ? 0 : c.latency * 2});
  };
  int64_t shared = (rows * p.d + 2 * kKeys * (p.d + p.e)) * 2;
  unsigned registers = std::min<unsigned>(255, p.e / 2 + 100);
  auto resident = [&](const CardModel &c) { return c.resident(shared, warps * 32, registers); };
  BlockTimes t{pick(full), pick(alone), pick([](const CardModel &c) { return c.latency; }), pick(resident), {}};
  Expr blocks = p.b * p.h * Expr::ceilDiv(p.i, number(rows)), slabs = Expr::ceilDiv(p.j, number(kKeys));
  if (splits)
    blocks = blocks * splits, slabs = Expr::ceilDiv(slabs, splits);
  Expr total = rounds(blocks, slabs, t) + target.constants().launch;
  if (splits)
    total = total +
            Expr::floorDiv(p.b * p.h * p.i * splits * (p.e * 8 * 1000),
                           smCount() * pick([](const CardModel &c) { return c.l2; })) +
            target.constants().launch;
  return nanoseconds(total);
}

Expr CostModel::attention(const AttentionProblem &p) const {
  Expr flops = p.b * p.h * p.i * p.j * (2 * (p.d + p.e));
  return nanoseconds(Expr::floorDiv(flops * 2000, smCount() * pick([](const CardModel &c) { return c.fma; })) +
                     target.constants().launch);
}

Expr CostModel::stream(Expr bytes, int64_t percent) const {
  return nanoseconds(Expr::floorDiv(memory(bytes) * 100, number(percent)) + target.constants().launch);
}

Expr CostModel::cached(Expr bytes) const {
  return Expr::floorDiv(bytes, smCount() * pick([](const CardModel &c) { return c.l2; }));
}
