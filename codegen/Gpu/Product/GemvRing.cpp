//===- GemvRing.cpp - products of few rows on tensor cores ----------------===//
//
// A multiprocessor of a large card has to have more bytes on their way than registers hold, all the time: while one
// tile's sums are added up and, where launches overlap, while the launch before ends. So a block copies asynchronously
// through all of its shared memory, over the ends of tiles, and there is one block a multiprocessor. Each warp has a
// ring of its own, slots of a unit of weights and the rows' elements of the same k's, and waits for no other warp. Rows
// that the block normalizes itself are all in shared memory instead.
//
// The panels are the left factor and the rows the right one. A fragment of mma.m16n8k16 asks lane 4g + t for its rows g
// and g + 8 and four k's. Which columns are rows g and which k's are the t-th is free as long as both factors agree. Of
// panels of elements lane 4g + t takes the eight k's from 8t on, which of a row are 16 bytes, and the g-th of eight
// groups of columns: two of its loads make pairs of k's of one column. Blocks are in the order of fragments.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/GemvRing.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Ring::Ring(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, const GemvTiles &tiles)
    : k(k), p(p), t(t), part(part), tiles(tiles), fragments((t.rows + 7) / 8), lane(k.and_(k.tid(), 31)),
      warp(k.shr(k.tid(), 5)), group(k.shr(lane, 2)), third(k.and_(lane, 3)) {
  begin = k.add(k.shared(), k.add(k.mul(warp, t.ahead * t.slotBytes()), t.sumBytes()));
  end = k.add(begin, t.ahead * t.slotBytes());
  firstK = k.add(part.first, k.mul(warp, t.unit()));
  lastK = k.add(firstK, k.mul(k.sub(part.rounds, 1), step()));
  panels = k.shr(k.add(k.size(p.n), 15), 4);
  Value first = k.rem(group, std::min(t.rows, 8u)); // lanes beyond copy what is further along k
  for (unsigned f = 0; f < fragments; ++f) {
    Value row = k.add(first, f * 8), there = k.lt(row, k.size(p.m));
    // Rows that are not there begin where the first does.
    rows.push_back(k.at(part.left, k.add(rowOffset(k, p, k.sel(there, row, k.c(0))), k.mul(third, 8)), 2));
    rowEnds.push_back(k.sel(there, part.end, k.c(0)));
  }
  // The chunk of 16 bytes that a lane loads, or gives ldmatrix the address of.
  Value row = k.rem(fragmentOrder() ? lane : group, std::min(t.rows, 8u)),
        chunk = fragmentOrder() ? k.shr(lane, 3) : third;
  rowsInSlot = k.add(k.mul(k.add(k.mul(row, 4), chunkOf(row, chunk)), 16), t.rowsInSlot());
  if (t.kept)
    keptRows = k.add(k.add(k.shared(), t.keptFrom()),
                     k.add(k.mul(row, t.keptPitch()), k.mul(k.add(firstK, k.mul(chunk, 8)), 2)));
}

Ring::Place Ring::next(const Place &at) {
  Value last = k.cmp(Pred::sge, at.k0, lastK);
  return {k.sel(last, firstK, k.add(at.k0, step())), k.sel(last, k.add(at.tile, tiles.step), at.tile), bump(at.slot)};
}

Value Ring::bump(Value slot) {
  Value behind = k.add(slot, t.slotBytes());
  return k.sel(k.cmp(Pred::eq, behind, end), begin, behind);
}

void Ring::copyRows(const Place &at) {
  Value exists = k.lt(at.tile, tiles.end);
  // Of few rows a copy of all lanes has several steps.
  unsigned steps = t.unit() / kStep, lanes = std::min(t.rows, 8u) * 4, together = std::min(32 / lanes, steps);
  Value own = k.mul(k.div(lane, lanes), kStep); // the lane's first k among them
  Value place = k.add(k.sub(lane, third), chunkOf(k.rem(group, std::min(t.rows, 8u)), third));
  for (unsigned number = 0; number < steps; number += together) {
    Value from = k.add(k.add(at.k0, own), number * kStep), k0 = k.add(from, k.mul(third, 8));
    for (unsigned f = 0; f < fragments; ++f) {
      Value to = k.add(at.slot, k.add(k.mul(place, 16), t.rowsInSlot() + number * t.rows * kStep * 2 + f * 512));
      Value source = k.gep(rows[f], k.ext(k.shl(from, 1))), size = sizeWhen(k.and_(exists, k.lt(k0, rowEnds[f])));
      if (lanes * together < 32)
        k.cpAsync16When(k.lt(lane, lanes * together), to, source, size);
      else
        k.cpAsync16(k.sptr(to), source, size);
    }
  }
}

SmallVector<Values> Ring::rowFragments(Value slot, Value round, unsigned number) {
  SmallVector<Values> left;
  Value base = k.sptr(t.kept ? k.add(keptRows, k.mul(round, step() * 2)) : k.add(slot, rowsInSlot));
  for (unsigned f = 0; f < fragments; ++f) {
    unsigned at = t.kept ? f * 8 * t.keptPitch() + number * kStep * 2 : number * t.rows * kStep * 2 + f * 512;
    Value from = k.gep(base, at);
    left.push_back(fragmentOrder() ? k.ldmatrix4(from, false) : k.loadElements(from, k.i32, 4));
  }
  return left;
}

void Ring::store(ValueRange sums, Value from) {
  // Of each fragment a lane has rows 2t and 2t + 1 of columns 2j and 2j + 1 of its group.
  Value place = k.gep(k.sptr(k.add(k.shared(), from)), k.mul(warp, t.rows * t.pitch() * 4));
  for (unsigned f = 0; f < fragments; ++f)
    for (unsigned h = 0; h < 2; ++h) {
      Value row = k.add(k.shl(third, 1), f * 8 + h);
      Values columns;
      for (unsigned j = 0; j < t.panels; ++j)
        for (unsigned c = 0; c < 2; ++c)
          columns.push_back(sums[(f * t.panels + j) * 4 + c * 2 + h]);
      k.ifThen(k.lt(row, k.size(p.m)), [&] {
        k.storeElements(columns, k.at(place, k.add(k.mul(row, t.pitch()), k.mul(group, t.panels * 2)), 4));
      });
    }
}

namespace {

/// Of panels of elements.
class PanelRing : public Ring {
public:
  PanelRing(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, const GemvTiles &tiles)
      : Ring(k, p, t, part, tiles), bytes(t.form.bytes), words(t.panels * bytes / 2) {
    unsigned groups = 8 / t.panels; // of lanes that share a panel
    Value column = k.add(k.mul(k.div(group, groups), kStep * kPanel * bytes), k.mul(k.rem(group, groups), words * 4));
    for (unsigned i = 0; i < 4; ++i)
      weightsInSlot.push_back(k.add(rowInUnit(k.add(k.shl(third, 3), i)), column));
  }

  void copyWeights(const Place &at) override {
    unsigned line = kPanel * bytes, each = line / 16, chunks = kStep * each; // of a row and a panel
    Value there = k.lt(at.tile, tiles.end);
    for (unsigned first = 0; first < chunks * t.panels; first += 32) {
      Value chunk = k.add(lane, first % chunks), row = k.div(chunk, each), column = k.mul(k.rem(chunk, each), 16);
      Value panel = k.add(k.mul(at.tile, t.panels), first / chunks);
      Value from = k.add(k.mul(k.ext(k.add(k.mul(panel, k.size(p.k)), at.k0)), line), k.ext(k.mul(chunk, 16)));
      Value exists = k.and_(k.and_(there, k.lt(panel, panels)), k.lt(k.add(at.k0, row), part.end));
      Value to = k.add(k.add(rowInUnit(row), column), first / chunks * kStep * line);
      k.cpAsync16(k.sptr(k.add(at.slot, to)), k.gep(part.weights, from), sizeWhen(exists));
    }
  }

  void multiply(Value slot, Value round, Values &sums) override {
    Values weights;
    for (unsigned i = 0; i < kLoads; ++i) {
      Value at = k.sptr(k.add(slot, weightsInSlot[i % 4]));
      weights.append(k.loadElements(k.gep(at, i / 4 * 4 * kPanel * bytes), k.i32, words));
    }
    SmallVector<Values> left = rowFragments(slot, round, 0);
    for (unsigned half = 0; half < 2; ++half)
      for (unsigned j = 0; j < t.panels; ++j) {
        Values w = pairs(weights, half * 2, j);
        w.append(pairs(weights, half * 2 + 1, j));
        for (unsigned f = 0; f < fragments; ++f) {
          unsigned place = (f * t.panels + j) * 4;
          llvm::copy(k.mma(w, ArrayRef(left[f]).slice(half * 2, 2), ArrayRef(sums).slice(place, 4), p.lhsType),
                     sums.begin() + place);
        }
      }
  }

private:
  static constexpr unsigned kLoads = 8; // of four k's each
  /// Where a row of a unit's panel is. Eight lanes that copy fill a line of 128 bytes, and so do the rows 8t + i of all
  /// t that a load takes: in different lines, and turned by t inside them.
  Value rowInUnit(Value row) {
    Value i = k.and_(row, 7), turned = k.xor_(k.and_(i, 3), k.shr(row, 3));
    return k.mul(k.add(k.and_(row, ~3), turned), kPanel * bytes);
  }

  /// Of the lane's columns 2j and 2j + 1, the two k's of loads 2 pair and 2 pair + 1.
  Values pairs(ValueRange weights, unsigned pair, unsigned j) {
    unsigned word = j * bytes / 2;
    Value x = weights[2 * pair * words + word], y = weights[(2 * pair + 1) * words + word];
    if (bytes == 1) {
      Value both = k.permute(x, y, j % 2 ? 0x7362 : 0x5140);
      return {widenBytes(k, both, 0, p.lhsType), widenBytes(k, both, 1, p.lhsType)};
    }
    return {k.permute(x, y, 0x5410), k.permute(x, y, 0x7632)};
  }

  unsigned bytes, words; // of a weight, and in each load of a lane
  Values weightsInSlot;  // where a lane's part of rows 8t to 8t + 3 is; four rows further they repeat
};

} // namespace

std::unique_ptr<Ring> kt::gpu::panelRing(KernelBuilder &k, const GemmProblem &p, const GemvTile &t,
                                         const GemvPart &part, const GemvTiles &tiles) {
  return std::make_unique<PanelRing>(k, p, t, part, tiles);
}

/// Whether the next launch may only begin when all weights were asked for: its own would be in their way. What reads
/// rows that a ring makes of kept ones begins early: attention has its keys on their way then.
static bool beginsLate(const GemvTile &t) { return !t.kept; }

void kt::gpu::emitGemvRing(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part,
                           const GemvTiles &tiles, function_ref<void()> wait, function_ref<void()> start,
                           function_ref<void(const GemvSums &)> finish) {
  std::unique_ptr<Ring> made = p.blocks ? blockRing(k, p, t, part, tiles) : panelRing(k, p, t, part, tiles);
  Ring &ring = *made;
  // Nothing that runs writes weights: they are on their way while launches before this one end. With the first of the
  // groups that are counted come all that were copied before.
  SmallVector<Ring::Place> places = {ring.start()};
  auto beginAfter = [&](const Ring::Place &next) {
    if (beginsLate(t))
      k.ifThen(k.cmp(Pred::sge, next.tile, tiles.end), [&] { k.letNextBegin(); });
  };
  for (unsigned a = 0; a < t.ahead; ++a) {
    ring.copyWeights(places.back());
    if (t.kept)
      k.cpAsyncCommit();
    places.push_back(ring.next(places.back()));
  }
  beginAfter(places.back());
  wait();
  if (!t.kept)
    for (unsigned a = 0; a < t.ahead; ++a) {
      ring.copyRows(places[a]);
      k.cpAsyncCommit();
    }
  // Warps that finish a tile while others go on: as many as have some of its columns, and other ones for the next tile.
  unsigned columns = t.rows * t.columns() / p.parts, finishing = tiles.apart ? (columns + 31) / 32 * 32 : 0;
  bool others = finishing && finishing < t.threads();
  // What comes next is copied into the slot that was read last.
  auto flat = [](const Ring::Place &to) { return Values{to.k0, to.tile, to.slot}; };
  Values first = flat(places.back());
  first.append({k.c(0), k.tid()});
  k.forLoop(tiles.first, tiles.end, tiles.step, first, [&](Value tile, ValueRange now) -> Values {
    start();
    Value place = now[3], number = now[4];
    Values inits(ring.sumCount(), k.cf(0));
    inits.append(now.begin(), now.begin() + 3);
    Values done = k.forLoop(k.c(0), part.rounds, k.c(1), inits, [&](Value round, ValueRange now) -> Values {
      Values sums(now.take_front(ring.sumCount()));
      ValueRange rest = now.drop_front(sums.size());
      Ring::Place to{rest[0], rest[1], rest[2]};
      // The lanes' copies are seen by all of them; later all have read them.
      k.cpAsyncWait(t.ahead - 1);
      k.warpBarrier();
      ring.multiply(to.slot, round, sums);
      k.warpBarrier();
      ring.copyWeights(to);
      if (!t.kept)
        ring.copyRows(to);
      k.cpAsyncCommit();
      Ring::Place next = ring.next(to);
      beginAfter(next);
      sums.append(flat(next));
      return sums;
    });
    ring.store(ValueRange(done).take_front(ring.sumCount()), place);
    finish({tile, place, number});
    Values next(ValueRange(done).drop_front(ring.sumCount()));
    if (tiles.apart) // who stores sums in this place again has met those who finish this tile at the next one's barrier
      next.push_back(k.sub(k.c(t.sumPlaceBytes()), place));
    else {
      k.barrier(); // nobody needs the sums any more
      next.push_back(place);
    }
    Value later = k.sub(number, finishing);
    next.push_back(others ? k.sel(k.lt(later, k.c(0)), k.add(later, t.threads()), later) : number);
    return next;
  });
  k.cpAsyncWait(0);
}
