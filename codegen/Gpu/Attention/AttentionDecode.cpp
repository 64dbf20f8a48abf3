//===- AttentionDecode.cpp - attention of few queries in half precision ---===//
//
// The queries of the heads that share keys are the rows of one tile, so that keys and values are read once for all of
// them; what counts is how fast they come. A block walks a share of the keys through a ring in shared memory, each warp
// with 16 keys of every 64 and with sums of its own. In the end the block adds up those of its warps, and of all shares
// are added up in their order, whoever comes last: by the last block of a tile, which reads them in a workspace, or,
// where a tile's blocks are a cluster, by all of them, each a part of the tile, in one another's shared memory.
//
// Keys and values that are integers have scales, which are asked for a block before. Scores are multiplied with the
// keys' scales, and weights with those of values in terms of the largest so far, so that no product of a small weight
// and a small scale is less than a half can be.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Attention/Decode.h"
#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

static_assert(kMostClusterShares <= artifact::kMostClusterBlocks);

/// Where a decoder's step has it, blocks of the next launches come beside it, whose registers it leaves.
static unsigned minCtasOf(const AttentionProblem &p) { return (p.d + p.e > 128 ? 2 : 3) + (makersOf(p.op) ? 1 : 0); }

Decode::Decode(KernelSink &sink, const AttentionProblem &p)
    : sink(sink), p(p), op(p.op), inCluster(sink.configured("cluster")),
      k(sink.kernel, sink.entryName(),
        {kThreads, minCtasOf(p), /*workspace=*/!inCluster,
         /*counters=*/!inCluster, sink.paged, inCluster ? kMostClusterShares : 0}),
      type(op.getQuery().getType().scalarType()), score(k, op.getScore(), 1, extraBuffers(k, p)),
      tileType(p.scaled() ? k.i8 : type), blockKeys(decodeKeys(p)), chunksD(rowChunks(p.d, p.keyBytes())),
      chunksE(rowChunks(p.e, p.keyBytes())), chunksQ(rowChunks(p.d)), bytesK(blockKeys * chunksD * 16),
      slotBytes(bytesK + blockKeys * chunksE * 16), tilesE(padTo16(p.e) / 8), pitch((padTo16(p.e) + 4) * 4),
      makers(k, sink, p) {}

void Decode::locate() {
  lane = k.and_(k.tid(), 31), warp = k.shr(k.tid(), 5);
  ring = k.shared();
  Values block = delinearize(k, k.ctaX(), {p.b, groups(), tiles()});
  batch = block[0], group = block[1], row0 = k.mul(block[2], kRows);
  rows = k.min(k.sub(k.size(rowsOfGroup()), row0), kRows);
  for (unsigned r = 0; r < 2; ++r)
    own[r] = at(k.min(k.add(k.shr(lane, 2), r * 8), k.sub(rows, 1)));
  if (p.scaled())
    integers.emplace(k, p, type, KeyTile{chunksD, chunksE, bytesK}, lane, warp, warpKeys());
}

/// They are read where they are used, each thread its elements of the products' left side, or made before.
void Decode::loadQueries() {
  if (p.scaled())
    return loadQueriesInFours();
  if (makers.makesQueries()) {
    Value row = k.min(k.and_(lane, 15), k.sub(rows, 1)), slot = queriesAt();
    Value left = k.add(slot, swizzle(k, chunksQ, row, k.shr(lane, 4)));
    for (unsigned step = 0; step < padTo16(p.d) / 16; ++step)
      queries.append(k.ldmatrix4(k.sptr(k.xor_(left, step * 32)), false));
    return;
  }
  Value column = k.shl(k.and_(lane, 3), 1), start[2];
  for (unsigned r = 0; r < 2; ++r) {
    Value row = k.add(headOffset(k, p.query, batch, own[r][1]), k.mul(own[r][2], k.size(p.query[2])));
    start[r] = k.at(k.bufferOf(op.getQuery()), k.add(row, column), 2);
  }
  for (unsigned c = 0; c < padTo16(p.d); c += 8)
    for (unsigned r = 0; r < 2; ++r)
      queries.push_back(c < p.d ? k.load(k.gep(start[r], c * 2), k.i32, 4) : k.c(0));
}

/// A thread's elements of 16 are four neighbours, as they are of a key's bytes.
void Decode::loadQueriesInFours() {
  Value four = k.and_(lane, 3), slot = makers.makesQueries() ? queriesAt() : Value(), start[2];
  for (unsigned r = 0; r < 2 && !slot; ++r) {
    Value row = k.add(headOffset(k, p.query, batch, own[r][1]), k.mul(own[r][2], k.size(p.query[2])));
    start[r] = k.at(k.bufferOf(op.getQuery()), k.add(row, k.shl(four, 2)), 2);
  }
  queries = integers->loadQueries([&](unsigned r, unsigned step) {
    if (!slot)
      return k.gep(start[r], step * 32);
    Value row = k.min(k.add(k.shr(lane, 2), r * 8), k.sub(rows, 1));
    Value chunk = swizzle(k, chunksQ, row, k.add(k.shr(four, 1), step * 2));
    return k.sptr(k.add(k.add(slot, chunk), k.shl(k.and_(four, 1), 3)));
  });
}

void Decode::multiplyKeys(Value slot, Values &s) {
  Value row = k.add(k.mul(warp, warpKeys()), k.add(k.and_(lane, 7), k.shl(k.shr(lane, 4), 3)));
  Value keys = k.add(slot, swizzle(k, chunksD, row, k.and_(k.shr(lane, 3), 1)));
  for (unsigned step = 0; step < padTo16(p.d) / 16; ++step) {
    Value ofStep = k.xor_(keys, step * 32);
    for (unsigned tile = 0; tile < warpKeys() / 8; tile += 2) {
      Values right = k.ldmatrix4(k.sptr(k.add(ofStep, tile * 8 * chunksD * 16)), false);
      for (unsigned half = 0; half < 2; ++half) {
        unsigned q = (tile + half) * 4;
        llvm::copy(k.mma(ArrayRef(queries).slice(step * 4, 4), ArrayRef(right).slice(half * 2, 2),
                         ArrayRef(s).slice(q, 4), type),
                   &s[q]);
      }
    }
  }
}

Values Decode::scores(Value slot, Value j0, ArrayRef<Value> ofKeys) {
  Values s(warpKeys() / 2, k.cf(0));
  if (p.scaled()) {
    integers->multiply(slot, queries, s);
    for (unsigned q = 0; q < s.size(); ++q)
      s[q] = k.mulf(s[q], ofKeys[q / 4 * 2 + q % 2]);
  } else {
    multiplyKeys(slot, s);
  }
  // The region sees indices that are always inside; what is not seen counts as minus infinity.
  Alignment provable;
  provable.lanes = 2, provable.mayAssume = false;
  Value sizeJ = k.size(p.j), lastJ = k.sub(sizeJ, 1);
  Value first = k.add(k.add(j0, k.mul(warp, warpKeys())), k.shl(k.and_(lane, 3), 1));
  bool plain = plainScale(op).has_value();
  for (unsigned r = 0; r < 2; ++r) {
    KeyRange seen = seenByAll(k, p, own[r][2], own[r][2]);
    for (unsigned tile = 0; tile < warpKeys() / 8; ++tile) {
      Value *two = &s[tile * 4 + r * 2], j = k.add(first, tile * 8);
      Values where(own[r]);
      if (plain) {
        // nothing to do
      } else if (p.j.isMultipleOf(2)) {
        where.push_back(k.sel(k.lt(j, sizeJ), j, k.c(0)));
        llvm::copy(score.emit({Values{two[0]}, Values{two[1]}}, where, 3, 2, provable), two);
      } else {
        where.push_back({});
        for (unsigned e = 0; e < 2; ++e) {
          where.back() = k.min(k.add(j, e), lastJ);
          two[e] = score.emit(two[e], where);
        }
      }
      for (unsigned e = 0; e < 2; ++e)
        two[e] = k.sel(seen.holds(k, k.add(j, e)), two[e], k.cf(-INFINITY));
    }
  }
  return s;
}

void Decode::startKeys() {
  KeyRange some = seenBySome(k, p, k.div(row0, p.group), k.div(k.add(row0, k.sub(rows, 1)), p.group));
  Value begin = some.begin ? k.div(some.begin, blockKeys) : k.c(0);
  Value blocks = k.sub(k.div(k.add(some.end, blockKeys - 1), blockKeys), begin);
  if (some.begin)
    blocks = k.sel(k.lt(some.begin, some.end), blocks, k.c(0));
  // Shares differ by a block of keys at most.
  auto shareBefore = [&](Value share) { return k.div(k.mul(blocks, share), k.gridY()); };
  Value before = shareBefore(k.ctaY());
  count = k.sub(shareBefore(k.add(k.ctaY(), 1)), before);
  Value first = k.mul(k.add(begin, before), blockKeys), shareEnd = k.add(first, k.mul(count, blockKeys));
  // Nothing is read behind the share, and nothing that is seen by no row.
  share = {first,       shareEnd, k.min(some.end, shareEnd), ring, {chunksD, chunksE, bytesK}, slotBytes,
           kStages - 1, blockKeys};
  keys.emplace(k, p, batch, group, some.begin, share.end, blockKeys, sink.paged);
  for (unsigned slot = 0; slot < share.slots; ++slot) {
    Value j0 = k.add(first, slot * blockKeys);
    askFor(j0, k.add(ring, slot * slotBytes), keys->pageOf(j0));
  }
  // The weights of the next launches come behind all keys that are asked for.
  k.ifThen(k.cmp(Pred::sle, count, share.slots), [&] { k.letNextBegin(); });
}

/// One group of copies, of nothing behind the share: there may be no slot for it.
void Decode::askFor(Value j0, Value slot, Value page) {
  k.ifThen(k.lt(j0, share.shareEnd), [&] { keys->copy(j0, page, tileType, slot, share.tile, /*aligned=*/true); });
  k.cpAsyncCommit();
}

void Decode::walkKeys() {
  bool lowest = mayBeLowest(op);
  auto loadScales = [&](Value j0) { return integers->loadScales(batch, group, j0, share.end, keys->pageOf(j0)); };
  Value toPower = k.cf(plainScale(op).value_or(1) * kLog2e), minus = k.cf(-INFINITY);
  Values inits(tilesE * 4, k.cf(0));
  inits.append({minus, minus, k.cf(0), k.cf(0), ring, share.first});
  if (sink.paged) // looked up a block ahead
    inits.push_back(keys->pageOf(k.add(share.first, (kStages - 1) * blockKeys)));
  unsigned scalesFrom = inits.size();
  if (p.scaled()) {
    inits.push_back(k.cf(kLeastScale));
    inits.append(loadScales(share.first));
  }
  Values last = k.forLoop(k.c(0), count, k.c(1), inits, [&](Value, ValueRange now) {
    Values sums(now.take_front(tilesE * 4));
    ValueRange rest = now.drop_front(tilesE * 4);
    RunningRows both{{rest[0], rest[1]}, {rest[2], rest[3]}};
    Value slot = rest[4], j0 = rest[5];
    auto ahead = [&](unsigned slots) {
      Value next = k.add(slot, slots * slotBytes), ringEnd = k.add(ring, kStages * slotBytes);
      return k.sel(k.lt(next, ringEnd), next, k.sub(next, kStages * slotBytes));
    };
    k.cpAsyncWait(kStages - 2);
    k.barrier(); // all have the block, and are done with the one before, whose slot is the next one's to fill
    askFor(k.add(j0, (kStages - 1) * blockKeys), ahead(kStages - 1), sink.paged ? rest[6] : Value());
    k.ifThen(k.cmp(Pred::eq, k.add(j0, kStages * blockKeys), share.shareEnd), [&] { k.letNextBegin(); });
    Value nextPage = keys->pageOf(k.add(j0, kStages * blockKeys));
    Values ofKeys, nextScales;
    Value nextUnit, ofValue;
    if (p.scaled()) {
      nextScales = loadScales(k.add(j0, blockKeys));
      ofKeys = integers->ofColumns(now[scalesFrom + 1]);
      ofValue = now[scalesFrom + 2];
      nextUnit = integers->largest(ofValue);
      nextUnit = k.maxf(nextUnit, now[scalesFrom]);
    }
    Values s = scores(slot, j0, ofKeys), factor = takeScores(k, s, both, toPower, lowest);
    if (p.scaled()) {
      Value inverse = k.divf(k.cf(1), nextUnit), rescaled = k.mulf(now[scalesFrom], inverse);
      for (Value &f : factor)
        f = k.mulf(f, rescaled);
      Values ofValues = integers->ofColumns(k.mulf(ofValue, inverse));
      for (unsigned q = 0; q < s.size(); ++q)
        s[q] = k.mulf(s[q], ofValues[q / 4 * 2 + q % 2]);
    }
    for (unsigned q = 0; q < sums.size(); ++q)
      sums[q] = k.mulf(sums[q], factor[q / 2 % 2]);
    for (unsigned part = 0; part < warpKeys(); part += 16) {
      Values left;
      for (unsigned q = part / 2; q < part / 2 + 8; q += 2)
        left.push_back(packHalves(k, type, s[q], s[q + 1]));
      if (p.scaled())
        integers->add(slot, part, left, sums);
      else
        addValues(slot, part, left, sums);
    }
    sums.append({both.most[0], both.most[1], both.sum[0], both.sum[1], ahead(1), k.add(j0, blockKeys)});
    if (nextPage)
      sums.push_back(nextPage);
    if (nextUnit)
      sums.push_back(nextUnit);
    sums.append(nextScales);
    return sums;
  });
  k.cpAsyncWait(0);
  if (p.scaled())
    unit = last[scalesFrom];
  out.assign(last.begin(), last.begin() + tilesE * 4);
  Value *rest = &last[tilesE * 4];
  running = {{rest[0], rest[1]}, {rest[2], rest[3]}};
}

void Decode::addValues(Value slot, unsigned part, ArrayRef<Value> left, Values &sums) {
  Value row = k.add(k.mul(warp, warpKeys()), k.add(k.and_(lane, 15), part));
  Value v = k.add(k.add(slot, bytesK), swizzle(k, chunksE, row, k.shr(lane, 4)));
  for (unsigned e = 0; e < tilesE / 2; ++e) {
    Values right = k.ldmatrix4(k.sptr(k.xor_(v, e * 32)), true);
    for (unsigned half = 0; half < 2; ++half) {
      unsigned q = (e * 2 + half) * 4;
      llvm::copy(k.mma(left, ArrayRef(right).slice(half * 2, 2), ArrayRef(sums).slice(q, 4), type), &sums[q]);
    }
  }
}

LogicalResult Decode::build() {
  locate();
  if (makers) { // no launch but this one writes a state's rows
    startKeys();
    k.waitForLaunches();
    if (makers.makesQueries())
      makers.makeQueries(rows, [&](Value row) { return at(row); }, queriesAt(), chunksQ);
    makers.makeWindows(batch, group, share);
    k.barrier();
    loadQueries();
  } else {
    k.waitForLaunches();
    startKeys();
    loadQueries();
  }
  walkKeys();
  keepWarp();
  if (inCluster)
    addUpInCluster();
  else
    addUpInWorkspace();

  artifact::Variant variant;
  variant.schedule = "attention decode rows=" + std::to_string(kRows) + " keys=" + std::to_string(blockKeys) +
                     " stages=" + std::to_string(kStages) + (inCluster ? " cluster" : " split");
  if (makers)
    variant.schedule += " results=" + std::to_string(makers.count() + 1);
  Expr shares = sink.candidate.getSplits(), none = sink.number(0), blocks = p.b * groups() * tiles();
  if (!inCluster) {
    Expr ofShares = shares * p.b * p.h * p.i * pitch;
    variant.workspace = sink.pool.add(Expr::select(Expr::lt(sink.one(), shares), ofShares, none));
    variant.counters = sink.pool.add(blocks * 4);
  }
  Expr ofQueries = makers.makesQueries() ? beforeQueries() + kRows * chunksQ * 16 : none;
  Expr shared = Expr::max(Expr::max(slots() * slotBytes, ofQueries), sink.number(kWarps * kRows * pitch));
  if (shared.poison() || failed(sink.addStage(variant, k, {blocks, shares, sink.one()})))
    return failure();
  variant.stages.back().shared = sink.pool.add(shared);
  if (inCluster) // all shares of a tile
    variant.stages.back().cluster = sink.pool.add(shares);
  sink.addVariant(std::move(variant));
  return success();
}

LogicalResult kt::gpu::buildAttentionDecode(KernelSink &sink, const AttentionProblem &p) {
  AttentionProblem mine = p;
  if (p.low) // a share does not know what the others see
    mine.from = mine.to = Expr(), mine.low = false;
  return Decode(sink, mine).build();
}
