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

/// Bytes that the epilogue reads beside an element, of tensors as large as the result.
int64_t bytesBeside(const Product &p) {
  Expr elements = cast<SymTensorType>(p.op->getResult(0).getType()).numElements();
  int64_t bytes = 0;
  for (ReadOp read : p.epilogue->getOps<ReadOp>())
    if (auto type = cast<SymTensorType>(read.getTensor().getType()); type.numElements() == elements)
      bytes += elementBytes(type.getElementType());
  return bytes;
}
} // namespace

CostModel::BlockTimes CostModel::timesOf(OfCard full, OfCard alone, OfCard resident, int64_t store) const {
  return {pick(full), pick(alone), number(store), pick(resident), pick([&](const CardModel &c) {
            return std::clamp<int64_t>((alone(c) + full(c) / 2) / full(c), 1, std::min<int64_t>(resident(c), 4));
          })};
}

/// What a slab's weights of 8 bits take to become halves on their way into shared memory: on an H200 what whole kernels
/// took more than those of halves, less what their way through shared memory accounts for.
static int64_t widening(const MmaTile &t, const CardModel &c) { return per((int64_t)t.bn * t.bk * 9, c.fma); }

/// What warps take to make fragments of a slab's weights in registers: seven instructions for four that become halves,
/// three for eight that stay integers, and each warp along the rows does it again. Tensor cores go on meanwhile.
static int64_t making(const MmaTile &t, const CardModel &c) {
  if (!t.turned())
    return 0;
  int64_t weights = (int64_t)t.bn * t.bk * t.warpRows;
  return per(t.elementBytes == 1 ? weights * 3 / 4 : weights * 7 / 2, c.fma);
}

CostModel::BlockTimes CostModel::warpgroupTimes(const MmaTile &t, bool widens, unsigned lanes) const {
  // Shared memory takes what is copied and gives each warpgroup its part of the left factor and all of the right one;
  // that it is nine tenths as fast as for loads is what whole kernels of seven tiles have in common.
  int64_t flops = 2ll * t.bm * t.bn * t.bk, store = lanes >= 4 ? 60 : lanes == 2 ? 100 : 180;
  int64_t left = !t.turned() ? t.rowsBytes() : t.elementBytes == 1 ? t.blocksBytes() : 2 * t.blocksBytes();
  int64_t groups = t.multiplying() / 128;
  int64_t moved =
      left + groups * t.rightRows() * t.rowBytes() + t.slabBytes() + (widens ? (int64_t)t.bn * t.bk * 2 : 0);
  auto full = [&](const CardModel &c) {
    int64_t rate = t.elementBytes == 1 ? 2 * c.wgmma : c.wgmma;
    // Whoever waits for a slot, and says that it was read, does nothing else meanwhile.
    return std::max({per(flops, rate), per(moved * 10 / 9, c.shared), per(t.slabBytes(), c.l2), making(t, c)}) +
           (widens ? widening(t, c) : 0) + (t.producers ? target.constants().barrier * 3 / 4 : 0);
  };
  // Their copies take a quarter longer to arrive. A warp's instructions for a slab are in one order: where it makes
  // fragments those are more than what lies between two barriers else. Without barriers for all, where others copy,
  // three fifths of that are left.
  int64_t making = !t.turned() ? 0 : t.elementBytes == 1 ? t.steps() : 4 * t.steps();
  auto alone = [&](const CardModel &c) {
    int64_t chain = !making ? 0 : t.producers ? making * c.step * 3 / 5 : making * c.step + target.constants().barrier;
    return std::max({full(c), c.latency * 5 / 4 / (t.stages - 2), chain});
  };
  auto resident = [&](const CardModel &c) { return c.resident(t.sharedBytes(), t.threads(), t.registers()); };
  return timesOf(full, alone, resident, store);
}

CostModel::Block CostModel::block(const MmaTile &t, bool async, bool widens, unsigned lanes) const {
  unsigned width = std::max(lanes, 4u);
  if (t.warpgroups)
    return {t.bm, t.bn, t.bk, t.threads(), width, warpgroupTimes(t, widens, lanes)};
  unsigned warps = t.threads() / 32;
  int64_t flops = 2ll * t.bm * t.bn * t.bk, steps = t.steps();
  // A warp's words are read once for each step that they are of.
  int64_t left = t.turned() && t.elementBytes == 2 ? (int64_t)t.leftRows() * t.bk / 2 : t.leftRows() * t.rowBytes();
  int64_t fragments = (int64_t)warps * (left + t.rightRows() * t.rowBytes()) + t.slabBytes();
  auto products = [&](const CardModel &c) { return per(flops, t.elementBytes == 1 ? c.int8() : c.mma); };
  auto full = [&, this](const CardModel &c) {
    int64_t busy = target.overlapped(products(c), std::max(per(fragments, c.shared), making(t, c)));
    // Elements that come one at a time: eight loads and their conditions for each copy.
    return std::max(busy, per(t.slabBytes(), c.l2)) + (async ? 0 : per(t.slabBytes(), c.l2) * 3) +
           (widens ? widening(t, c) : 0);
  };
  auto alone = [&, this](const CardModel &c) {
    // One warp has one of four tensor cores; nobody works while a block waits at its barrier.
    int64_t tensor = products(c) * 4 / std::min(warps, 4u), wait = c.latency / (t.stages - 1);
    int64_t chain = std::max({full(c), steps * c.step, tensor}) + target.constants().barrier;
    return std::max(chain, async ? wait : c.latency * 2);
  };
  auto resident = [&](const CardModel &c) { return c.resident(t.sharedBytes(), t.threads(), t.registers()); };
  int64_t store = lanes >= 4 ? 60 : lanes == 2 ? 100 : 180;
  return {t.bm, t.bn, t.bk, t.threads(), width, timesOf(full, alone, resident, store)};
}

CostModel::Block CostModel::block(const SimtTile &t, unsigned accBytes, bool vectors, unsigned lanes) const {
  int64_t flops = 2ll * t.bm * t.bn * t.bk, bytes = (int64_t)(t.bm + t.bn) * t.bk * accBytes;
  auto full = [&](const CardModel &c) {
    // Doubles run at a 32nd of the rate on most cards; operands that are not read in vectors cost their instructions.
    int64_t work = per(flops, c.fma) * (accBytes == 8 ? 32 : 1) * 5 / 4;
    return std::max(work, per(bytes, c.l2)) + (vectors ? 0 : work / 2);
  };
  auto alone = [&](const CardModel &c) { return std::max(full(c), c.latency); };
  unsigned registers = (t.tm * t.tn + t.tm + t.tn) * std::max(1u, accBytes / 4) + 40;
  auto resident = [&](const CardModel &c) { return c.resident(t.sharedBytes(accBytes), t.threads(), registers); };
  int64_t store = lanes >= 4 ? 60 : 120;
  return {t.bm, t.bn, t.bk, t.threads(), std::max(lanes, 4u), timesOf(full, alone, resident, store)};
}

/// A block with no more shared memory leaves room on a multiprocessor for one of the next launch, which otherwise
/// begins to read when this one ends: on an H200 a product with a norm before it takes 2 us less behind such a one. How
/// much it is here depends on what comes next, which is not known.
constexpr int64_t kBesideAnother = 88'000, kCrowding = 500'000;

CostModel::Block CostModel::block(const GemvTile &t, const Product &p) const {
  // A round of the block's warps, a unit each.
  unsigned depth = t.warps * t.unit();
  int64_t weights = (int64_t)t.warps * t.unitBytes(),
          left = t.kept ? 0 : (int64_t)t.rows * depth * elementBytes(p.lhsType);
  int64_t flops = 2ll * t.rows * t.columns() * depth;
  // Weights in blocks take instructions: of a warp's unit so many, each as much as 64 operations.
  int64_t widening = t.form.bits ? (int64_t)t.warps * (75 + 90 * t.panels) * t.unit() / 128 * 64 : 0;
  // Of up to four rows; of more, two panels save reads of them, which the model does not know.
  unsigned waits = t.mma && t.rows <= 4 ? 100 + 5 * t.panels * (16 - std::min(t.warps, 16u)) : 100;
  auto full = [&](const CardModel &c) {
    return std::max({per(weights + left, c.l2) * (300 + waits) / 400, per(widening, c.fma),
                     t.mma ? per(flops, c.mma) : per(flops, c.fma) * 3 / 2});
  };
  // Each warp waits for memory, but for several rounds at a time.
  auto alone = [&](const CardModel &c) { return std::max(full(c), c.latency / t.ahead); };
  // There are no more blocks with a ring than multiprocessors.
  auto resident = [&](const CardModel &c) {
    return t.mma ? 1 : c.resident(t.sharedBytes(), t.threads(), t.registers());
  };
  // A thread adds up all warps' sums of a column.
  BlockTimes times = timesOf(full, alone, resident, 60 + 10 * t.warps);
  bool crowds = t.mma && !t.kept && t.sharedBytes() > kBesideAnother;
  Block block{t.rows, t.columns(), depth, t.threads(), 4, times, t.onTheWay(), weights, waits, crowds};
  block.goesOn = t.mma && t.form.bits && p.batch.empty();
  return block;
}

Expr CostModel::addingUp(const Product &p, const Block &b, Expr splits) const {
  // What blocks write counts twice: in a cache full of other things, something has to leave for it. The last block of a
  // tile then reads all of the tile's sums. Its threads wait for one after the other, in a cache that answers in a
  // third of the time that memory takes.
  Expr written =
      Expr::floorDiv(p.m * p.n * splits * (2 * 4 * 1000), smCount() * pick([](const CardModel &c) { return c.dram; }));
  Expr turns = Expr::ceilDiv(Expr::min(p.m, number(b.bm)) * (b.bn / b.width), number(b.threads));
  Expr read = turns * splits * pick([](const CardModel &c) { return c.latency / 3; });
  return written + read + target.constants().arrival;
}

Expr CostModel::memory(Expr bytes) const {
  return Expr::floorDiv(bytes * 1000, smCount() * pick([](const CardModel &c) { return c.dram; }));
}

Expr CostModel::start() const {
  // Before the first slab lie the launch's arguments, and addresses and data that no cache has yet.
  constexpr int64_t kLatencies = 4;
  return pick([](const CardModel &c) { return c.latency * kLatencies; });
}

Expr CostModel::rounds(Expr blocks, Expr slabs, const BlockTimes &t) const {
  // The fullest multiprocessor decides: with many blocks by its throughput, with few by how long they wait. Blocks that
  // are there together hide their slabs' waiting from one another, not their ends.
  Expr most = Expr::ceilDiv(blocks, smCount()), turns = Expr::ceilDiv(most, t.resident);
  // Half of what lies before the first slab is there again for each further turn.
  Expr again = Expr::floorDiv(start(), number(2));
  return Expr::max(most * (slabs * t.full + t.epilogue) + again, turns * (slabs * t.alone + t.epilogue + again)) +
         again;
}

CostModel::ProductCost CostModel::contraction(const Product &p, const Block &b, bool mayShare) const {
  Expr tiles = Expr::ceilDiv(p.m, number(b.bm)) * Expr::ceilDiv(p.n, number(b.bn)) * p.batches(), one = number(1);
  Expr slabs = Expr::ceilDiv(p.k, number(b.bk));
  // Rows of a tile that the result does not have are not stored.
  BlockTimes times = b.times;
  int64_t beside = bytesBeside(p);
  times.epilogue = Expr::min(p.m, number(b.bm)) * b.bn *
                       (b.times.epilogue + pick([&](const CardModel &c) { return per(beside, c.dram); })) +
                   pick([](const CardModel &c) { return c.latency; });
  bool sharedRight = llvm::all_of(p.rhsBatch, [](Expr e) { return e.isConstant(0); });
  Expr right = p.rightBytes(), left = p.m * p.k * elementBytes(p.lhsType);
  Expr result = p.m * p.resultColumns *
                (elementBytes(cast<SymTensorType>(p.op->getResult(0).getType()).getElementType()) + beside);
  Expr moved = memory(p.batches() * (left + result) + (sharedRight ? right : p.batches() * right));
  // No more is on its way than there is.
  Expr onTheWay = number(b.onTheWay);
  if (b.onTheWay)
    onTheWay = Expr::min(onTheWay, Expr::ceilDiv(tiles, smCount()) * slabs * b.slabBytes);
  // Panels that go straight into registers come a tenth faster than through shared memory. Memory that is asked for
  // little at a time gives less: a quarter of what its latency holds is lost to waiting, and more by few warps.
  auto waited = [&](Expr blocks) {
    if (!b.onTheWay)
      return moved;
    Expr perSm = Expr::min(Expr::floorDiv(blocks * onTheWay, smCount()), times.resident * onTheWay);
    Expr lost = moved * pick([&](const CardModel &c) { return c.latency * c.dram / 4000 * b.waits / 100; });
    return Expr::floorDiv(moved * 9, number(10)) + Expr::floorDiv(lost, Expr::max(perSm, one));
  };
  // Where launches overlap, a launch begins with what is on its way when the one before it ends: of what lies between
  // two products that takes a part, the longer the less memory waits.
  Expr launch = number(target.constants().launch);
  if (b.onTheWay) {
    const CostConstants &c = target.constants();
    Expr hidden = Expr::floorDiv(onTheWay * (10ll * c.hidden), pick([](const CardModel &c) { return c.dram; }));
    launch = Expr::select(Expr::lt(Expr::symbol(context, fact::kCapability), number(90)), launch,
                          Expr::max(number(c.left), number(c.between) - hidden) + (b.crowds ? kCrowding : 0));
  }
  // A block with a ring goes on with its next tile, whose weights are on their way: nothing begins again.
  auto busy = [&](Expr blocks, Expr slabs) {
    if (!b.goesOn)
      return rounds(blocks, slabs, times);
    constexpr int64_t kTile = 300'000;
    return Expr::ceilDiv(blocks, smCount()) * (slabs * times.alone + kTile) + start();
  };
  auto launched = [&](Expr work, Expr blocks) { return Expr::max(work, waited(blocks)) + launch; };
  Expr alone = launched(busy(tiles, slabs), tiles);
  // Blocks that share a depth fill the device at most once, so they change nothing here.
  Expr turns = Expr::ceilDiv(tiles, smCount() * times.resident);
  if (!mayShare)
    return {nanoseconds(alone), {}, turns};
  // Rounded down: one block too many makes a further round.
  Expr room = Expr::floorDiv(smCount() * times.filling, Expr::max(tiles, one));
  Expr most = Expr::max(one, Expr::min(number(kMostSplits), Expr::min(room, Expr::floorDiv(p.k, number(kLeastShare)))));
  Expr share = Expr::ceilDiv(slabs, most), adding = addingUp(p, b, most);
  // Tiles that leave room for others have a multiprocessor each, so that slabs are what is saved, as far as memory is
  // not slower. Grids and workspaces ask this too: a comparison of both whole times would be too long for them.
  Expr saved = (slabs - share) * times.alone, above = slabs * times.alone + times.epilogue + start() - moved;
  Expr pays = Expr::lt(adding, Expr::min(saved, above));
  Expr together = launched(busy(tiles * most, share), tiles * most) + adding;
  return {nanoseconds(Expr::select(pays, together, alone)), Expr::select(pays, most, one), turns};
}

CostModel::ProductCost CostModel::product(const Product &p, const MmaTile &t, bool async, unsigned lanes,
                                          bool mayShare) const {
  bool widens = p.packed && !p.blocks && elementBytes(p.rhsType) < elementBytes(p.lhsType);
  return contraction(p, block(t, async, widens, lanes), mayShare);
}

CostModel::ProductCost CostModel::product(const Product &p, const SimtTile &t, bool vectors, unsigned lanes,
                                          bool mayShare) const {
  return contraction(p, block(t, elementBytes(p.accType), vectors, lanes), mayShare);
}

CostModel::ProductCost CostModel::product(const Product &p, const GemvTile &t, bool mayShare) const {
  return contraction(p, block(t, p), mayShare);
}

CostModel::BlockTimes CostModel::flashTimes(const AttentionProblem &p, unsigned warps, bool async) const {
  int64_t width = p.d + p.e, flops = 2ll * warps * 16 * kKeys * width, bytes = kKeys * width * 2;
  auto full = [&](const CardModel &c) {
    // Each warp reads all keys and values from shared memory. The exponentials, which have units of their own, add a
    // fifth.
    int64_t busy = target.overlapped(per(flops, c.mma), per((warps + 1) * bytes, c.shared)) * 6 / 5;
    return std::max(busy, per(bytes, c.l2)) + (async ? 0 : per(bytes, c.l2) * 3);
  };
  auto alone = [&](const CardModel &c) {
    int64_t chain = width / 16 * (kKeys / 16) * c.step / 2 + 3 * target.constants().barrier;
    // Half a kilobyte goes with each copy of a warp; a lone one copies in a loop, and waits for addresses.
    int64_t copies = bytes / (warps * 512) * (c.latency / 40) + (warps == 1 ? c.latency : 0);
    return std::max({full(c), chain + copies, async ? 0 : c.latency * 2});
  };
  // Whatever the rows of a block, each warp has 16 of them to divide and store.
  auto epilogue = [&](const CardModel &c) { return c.latency + p.e * 6000; };
  int64_t shared = (warps * 16 * p.d + 2 * kKeys * width) * 2;
  unsigned registers = std::min<unsigned>(255, p.e / 2 + 100);
  auto resident = [&](const CardModel &c) { return c.resident(shared, warps * 32, registers); };
  return {pick(full), pick(alone), pick(epilogue), pick(resident), {}};
}

/// Keys that a tile of few rows walks: no more than their window has, but for a share, which cannot use one of very low
/// scores.
static Expr walkedBy(const AttentionProblem &p) {
  return p.from && p.to && !p.low ? Expr::min(p.j, p.to - p.from + kKeys) : p.j;
}

static Expr decodeTiles(const AttentionProblem &p) {
  MLIRContext *context = p.j.context();
  Expr groups = Expr::floorDiv(p.h, Expr::constant(context, p.group));
  return p.b * groups * Expr::ceilDiv(p.i * p.group, Expr::constant(context, kDecodeRows));
}

/// Keys and values, each read once.
static Expr keyBytes(const AttentionProblem &p) {
  Expr groups = Expr::floorDiv(p.h, Expr::constant(p.j.context(), p.group));
  return p.b * groups * walkedBy(p) * ((p.d + p.e) * p.keyBytes() + (p.scaled() ? 8 : 0));
}

Expr CostModel::keySplits(const AttentionProblem &p, unsigned warps) const {
  // Blocks that a multiprocessor does not hold at the same time are a further turn; each has at least four blocks of
  // keys.
  Expr blocks = p.b * p.h * Expr::ceilDiv(p.i, number(warps * 16));
  Expr room = Expr::floorDiv(smCount() * flashTimes(p, warps, true).resident, Expr::max(blocks, number(1)));
  Expr deep = Expr::floorDiv(walkedBy(p), number(kKeys * 4));
  return Expr::max(number(1), Expr::min(number(kMostKeySplits), Expr::min(room, deep)));
}

Expr CostModel::flash(const AttentionProblem &p, unsigned warps, bool async, Expr splits) const {
  Expr blocks = p.b * p.h * Expr::ceilDiv(p.i, number(warps * 16)), slabs = Expr::ceilDiv(p.j, number(kKeys));
  if (splits)
    blocks = blocks * splits, slabs = Expr::ceilDiv(slabs, splits);
  Expr total =
      Expr::max(rounds(blocks, slabs, flashTimes(p, warps, async)), memory(keyBytes(p))) + target.constants().launch;
  if (splits)
    total = total +
            Expr::floorDiv(p.b * p.h * p.i * splits * (p.e * 8 * 1000),
                           smCount() * pick([](const CardModel &c) { return c.l2; })) +
            target.constants().launch;
  return nanoseconds(total);
}

CostModel::BlockTimes CostModel::decodeTimes(const AttentionProblem &p) const {
  int64_t width = p.d + p.e, keys = decodeKeys(p), bytes = keys * width * p.keyBytes(),
          flops = 2 * kDecodeRows * keys * width;
  auto full = [&](const CardModel &c) {
    // What is copied to shared memory is read from there once.
    return std::max(target.overlapped(per(flops, c.mma), per(2 * bytes, c.shared)), per(bytes, c.l2));
  };
  auto alone = [&](const CardModel &c) {
    int64_t chain = (p.d / 16 + p.e / 32) * c.step / 2 + 2 * target.constants().barrier;
    return std::max({full(c), chain, c.latency / (kDecodeStages - 1)});
  };
  auto epilogue = [&](const CardModel &c) { return c.latency; };
  auto resident = [&](const CardModel &c) { return c.resident(kDecodeStages * bytes, 128, 255); };
  return {pick(full), pick(alone), pick(epilogue), pick(resident), {}};
}

Expr CostModel::decodeShares(const AttentionProblem &p) const {
  // One block a multiprocessor has enough on its way (on an H200 two take as long, and more shares longer to add up);
  // of 1,100 keys shares of 256 take 0.7 us more than such of 128, and those of 64 as long.
  Expr room = Expr::floorDiv(smCount(), Expr::max(decodeTiles(p), number(1)));
  Expr deep = Expr::floorDiv(walkedBy(p), number(kLeastDecodeShare));
  return Expr::max(number(1), Expr::min(number(kMostDecodeShares), Expr::min(room, deep)));
}

Expr CostModel::decodeWalk(const AttentionProblem &p, Expr shares) const {
  Expr slabs = Expr::ceilDiv(Expr::ceilDiv(walkedBy(p), number(decodeKeys(p))), shares);
  return Expr::max(rounds(decodeTiles(p) * shares, slabs, decodeTimes(p)), memory(keyBytes(p)));
}

Expr CostModel::decodeInCluster(const AttentionProblem &p, Expr shares) const {
  // All blocks meet twice, and in between each reads what the others have. Not measured: each meeting counts as two
  // barriers of a block, and the reading as one in the second-level cache.
  Expr adding = pick([&](const CardModel &c) { return c.latency / 3 + 4 * target.constants().barrier; });
  return nanoseconds(decodeWalk(p, shares) + adding + target.constants().launch);
}

Expr CostModel::decode(const AttentionProblem &p, Expr shares) const {
  // The last block of a tile waits for all shares of a row, sixteen at a time, and knows by then that it is the last.
  Expr adding = pick([](const CardModel &c) { return c.latency / 3; }) * Expr::ceilDiv(shares, number(16)) +
                target.constants().arrival;
  return nanoseconds(decodeWalk(p, shares) + Expr::select(Expr::lt(number(1), shares), adding, number(0)) +
                     target.constants().launch);
}

Expr CostModel::attention(const AttentionProblem &p) const {
  Expr flops = p.b * p.h * p.i * p.j * (2 * (p.d + p.e));
  return nanoseconds(Expr::floorDiv(flops * 2000, smCount() * pick([](const CardModel &c) { return c.fma; })) +
                     target.constants().launch);
}

Expr CostModel::stream(Expr bytes, int64_t percent) const {
  return nanoseconds(Expr::floorDiv(memory(bytes) * 100, number(percent)) + target.constants().launch);
}

Expr CostModel::waits(Expr times) const {
  return nanoseconds(times * pick([](const CardModel &c) { return c.latency; }));
}

Expr CostModel::cached(Expr bytes) const {
  return Expr::floorDiv(bytes, smCount() * pick([](const CardModel &c) { return c.l2; }));
}
