//===- AttentionDecode.cpp - attention of few queries in half precision ---===//
//
// The queries of the heads that share keys are the rows of one tile, so that keys and values are read once for all of
// them; what counts is how fast they come. A block walks a share of the keys through a ring in shared memory, each warp
// with 16 keys of every 64 and with sums of its own. In the end the block adds up those of its warps, and the last
// block of a tile those of all shares, in their order: whoever comes last, the result is the same.
//
// Keys and values that are integers have scales, which are asked for a block before. Scores are multiplied with the
// keys' scales, and weights with those of values in terms of the largest so far, so that no product of a small weight
// and a small scale is less than a half can be.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Attention/DecodeIntegers.h"
#include "codegen/Gpu/Attention/DecodeMakers.h"
#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

constexpr unsigned kRows = kDecodeRows, kWarps = 4, kThreads = kWarps * 32, kMostShares = kMostDecodeShares,
                   kStages = kDecodeStages;

/// Where a decoder's step has it, blocks of the next launches come beside it, whose registers it leaves.
unsigned minCtasOf(const AttentionProblem &p) { return (p.d + p.e > 128 ? 2 : 3) + (makersOf(p.op) ? 1 : 0); }

class Decode {
public:
  Decode(KernelSink &sink, const AttentionProblem &p)
      : sink(sink), p(p), op(p.op),
        k(sink.kernel, sink.entryName(), {kThreads, minCtasOf(p), /*workspace=*/true, /*counters=*/true, sink.paged}),
        type(op.getQuery().getType().scalarType()), score(k, op.getScore(), 1, extraBuffers(k, p)),
        tileType(p.scaled() ? k.i8 : type), blockKeys(decodeKeys(p)), chunksD(rowChunks(p.d, p.keyBytes())),
        chunksE(rowChunks(p.e, p.keyBytes())), chunksQ(rowChunks(p.d)), bytesK(blockKeys * chunksD * 16),
        slotBytes(bytesK + blockKeys * chunksE * 16), tilesE(padTo16(p.e) / 8), pitch((padTo16(p.e) + 4) * 4),
        makers(k, sink, p) {}
  LogicalResult build();

private:
  /// Sums of a row that belong together: its exponentials' products with values, and behind those the score that they
  /// are distances from and their own sum.
  using Place = llvm::function_ref<Value(Value part, Value row)>;
  using Emit = llvm::function_ref<void(Value row, Value column, ValueRange four, Value most, Value sum)>;
  /// Adds up `count` parts, at most `most`, of each of the tile's rows, and emits four columns at a time.
  void addUp(Value count, unsigned most, Place place, Emit emit);

  void locate();
  /// What the block has of the keys, and copies of the first of these.
  void startKeys();
  void askFor(Value j0, Value slot, Value page);
  void loadQueries();
  void loadQueriesInFours();
  void walkKeys();
  /// Adds to `s` the products of the warp's rows with its keys in the block at `slot`.
  void multiplyKeys(Value slot, Values &s);
  /// Adds to `sums` what 16 keys from `part` on weigh, `left`, times their values.
  void addValues(Value slot, unsigned part, ArrayRef<Value> left, Values &sums);
  /// Scores of this warp's keys in the block at `slot`, whose first one is `j0`: accumulator tiles of 16x8.
  Values scores(Value slot, Value j0, ArrayRef<Value> ofKeys);
  void keepWarp();
  void store(Value row, Value column, ValueRange four, Value most, Value sum);

  Expr rowsOfGroup() { return p.i * p.group; }
  Expr groups() { return Expr::floorDiv(p.h, sink.number(p.group)); }
  /// As many slots of the ring as are used, of which the last is still empty when the keys before are asked for.
  Expr slots() {
    Expr blocks = Expr::ceilDiv(Expr::ceilDiv(p.j, sink.number(blockKeys)), sink.candidate.getSplits());
    return Expr::min(sink.number(kStages), Expr::max(blocks, sink.one()));
  }
  /// Bytes before the queries that are made here: they are in the slot that is empty, or behind a ring that has none.
  Expr beforeQueries() { return Expr::min(slots(), sink.number(kStages - 1)) * slotBytes; }
  /// The same where the device is not known, but the shares are.
  Value queriesAt() {
    Value blocks = k.size(Expr::ceilDiv(p.j, sink.number(blockKeys)));
    Value most = k.div(k.add(blocks, k.sub(k.gridY(), 1)), k.gridY());
    return k.add(ring, k.mul(k.min(k.max(most, 1), kStages - 1), slotBytes));
  }
  Expr tiles() { return Expr::ceilDiv(rowsOfGroup(), sink.number(kRows)); }
  unsigned warpKeys() const { return blockKeys / kWarps; }
  /// Batch, head and query of a row of the tile.
  Values at(Value row) {
    Value r = k.add(row0, row);
    return {batch, k.add(k.mul(group, p.group), k.rem(r, p.group)), k.div(r, p.group)};
  }

  KernelSink &sink;
  const AttentionProblem &p;
  AttentionOp op;
  KernelBuilder k;
  Type type;
  BodyEmitter score;
  Type tileType; // of the ring's keys and values
  unsigned blockKeys, chunksD, chunksE, chunksQ, bytesK, slotBytes, tilesE, pitch;
  DecodeMakers makers;

  Value ring; // in shared memory
  DecodeShare share;
  Value count; // of its blocks of keys
  std::optional<KeysAndValues> keys;
  std::optional<DecodeIntegers> integers; // where keys and values are
  Value lane, warp, batch, group, row0, rows;
  Values own[2];  // where a thread's rows are
  Values queries; // fragments
  Values out;
  Value unit; // of integers: what sums are in terms of
  RunningRows running;
};

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

/// Leaves what the warp has in shared memory.
void Decode::keepWarp() {
  k.barrier(); // nobody reads keys and values any more
  Value place = k.add(ring, k.mul(warp, kRows * pitch)), column = k.shl(k.and_(lane, 3), 1);
  for (unsigned r = 0; r < 2; ++r) {
    Value total = k.addf(running.sum[r], k.shuffleXor(running.sum[r], 1));
    total = k.addf(total, k.shuffleXor(total, 2));
    Value row = k.add(place, k.mul(k.add(k.shr(lane, 2), r * 8), pitch));
    for (unsigned e = 0; e < tilesE && !unit; ++e)
      k.storeElements({out[e * 4 + r * 2], out[e * 4 + r * 2 + 1]}, k.sptr(k.add(row, k.shl(k.add(column, e * 8), 2))));
    for (unsigned e = 0; e < tilesE && unit; e += 2) { // four neighbours, of two tiles
      Values four = DecodeIntegers::neighbours(out, e, r);
      for (Value &v : four)
        v = k.mulf(v, unit);
      k.storeElements(four, k.sptr(k.add(row, k.add(k.shl(column, 3), e * 32))));
    }
    k.ifThen(k.cmp(Pred::eq, k.and_(lane, 3), 0), [&] {
      Value most = k.mulf(running.most[r], k.cf(plainScale(op).value_or(1)));
      k.storeElements({most, total}, k.gep(k.sptr(row), tilesE * 32));
    });
  }
  k.barrier();
}

void Decode::addUp(Value count, unsigned most, Place place, Emit emit) {
  // Each thread finds for itself what the parts of its row count: asking for sums and scores at the same time is less
  // than telling one another.
  unsigned fours = p.e / 4, together = std::min(most, 16u);
  k.forLoop(k.tid(), k.mul(rows, fours), k.c(kThreads), {}, [&](Value item, ValueRange) -> Values {
    Value row = k.div(item, fours), column = k.shl(k.rem(item, fours), 2);
    Values inits(5, k.cf(0)); // four columns and the row's own sum
    inits.push_back(k.cf(-INFINITY));
    Values done = k.forLoop(k.c(0), count, k.c(together), inits, [&](Value first, ValueRange now) {
      SmallVector<Values> parts, pairs;
      for (unsigned i = 0; i < together; ++i) {
        Value part = k.add(first, i), there = k.lt(part, count), from = place(k.sel(there, part, k.c(0)), row);
        parts.push_back(k.loadElements(k.gep(from, k.ext(k.shl(column, 2))), k.f32, 4));
        pairs.push_back(k.loadElements(k.gep(from, tilesE * 32), k.f32, 2));
        parts.back().push_back(pairs.back()[1]);
        for (Value &v : parts.back())
          v = k.sel(there, v, k.cf(0));
        pairs.back()[0] = k.sel(there, pairs.back()[0], k.cf(-INFINITY));
      }
      Value top = now[5];
      for (const Values &pair : pairs)
        top = k.maxf(top, pair[0]);
      Value from = originOf(k, top);
      auto weightOf = [&](Value score) { return k.exp2Flushed(k.mulf(k.subf(score, from), k.cf(kLog2e))); };
      Values next;
      for (Value v : now.take_front(5))
        next.push_back(k.mulf(v, weightOf(now[5])));
      for (auto [part, pair] : llvm::zip(parts, pairs)) {
        Value weight = weightOf(pair[0]);
        for (auto [sum, v] : llvm::zip(next, part))
          sum = k.fma(v, weight, sum);
      }
      next.push_back(top);
      return next;
    });
    emit(row, column, ValueRange(done).take_front(4), done[5], done[4]);
    return {};
  });
}

void Decode::store(Value row, Value column, ValueRange four, Value most, Value sum) {
  Values where = at(row);
  Value inverse = inverseOfSum(k, p, most, sum, where);
  Value start = k.add(headOffset(k, p.result, where[0], where[1]), k.mul(where[2], k.size(p.result[2])));
  Type resultType = op.getResult().getType().scalarType();
  Values list;
  for (Value v : four)
    list.push_back(k.convert(k.mulf(v, inverse), resultType));
  bool together = p.result[3].isConstant(1) &&
                  llvm::all_of(ArrayRef(p.result).take_front(3), [](Expr stride) { return stride.isMultipleOf(4); });
  for (unsigned c = 0; c < 4; c += together ? 4 : 1) {
    Value place = k.add(start, k.mul(k.add(column, c), k.size(p.result[3])));
    k.storeElements(ArrayRef(list).slice(c, together ? 4 : 1),
                    k.at(resultBuffer(k, p), place, elementBytes(resultType)));
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
  Value share = k.mul(k.ext(k.gridY()), pitch), isSplit = k.lt(k.c(1), k.gridY());
  // The tile's first row; rows are as far apart as all shares of one take.
  Value tileRow = k.add(k.mul(k.add(k.mul(batch, k.size(groups())), group), k.size(rowsOfGroup())), row0);
  Value left = k.gep(k.workspace(), k.bin<arith::MulIOp>(k.ext(tileRow), share));
  auto ofShare = [&](Value part, Value row) {
    return k.gep(k.gep(left, k.bin<arith::MulIOp>(k.ext(row), share)), k.mul(k.ext(part), pitch));
  };
  auto ofWarp = [&](Value part, Value row) {
    return k.sptr(k.add(ring, k.add(k.mul(part, kRows * pitch), k.mul(row, pitch))));
  };
  auto finish = [&](Value row, Value column, ValueRange four, Value most, Value sum) {
    store(row, column, four, most, sum);
  };
  addUp(k.c(kWarps), kWarps, ofWarp, [&](Value row, Value column, ValueRange four, Value most, Value sum) {
    auto keep = [&]() -> Values {
      Value place = ofShare(k.ctaY(), row);
      k.storeElements(four, k.gep(place, k.ext(k.shl(column, 2))));
      k.ifThen(k.cmp(Pred::eq, column, 0), [&] { k.storeElements({most, sum}, k.gep(place, tilesE * 32)); });
      return {};
    };
    auto whole = [&]() -> Values {
      finish(row, column, four, most, sum);
      return {};
    };
    k.ifElse(isSplit, ArrayRef<Type>(), keep, whole);
  });
  k.ifThen(isSplit, [&] {
    k.ifThen(k.isLastBlock(k.ctaX(), k.gridY()), [&] { addUp(k.gridY(), kMostShares, ofShare, finish); });
  });

  artifact::Variant variant;
  variant.schedule = "attention decode rows=" + std::to_string(kRows) + " keys=" + std::to_string(blockKeys) +
                     " stages=" + std::to_string(kStages) + " split";
  if (makers)
    variant.schedule += " results=" + std::to_string(makers.count() + 1);
  Expr shares = sink.candidate.getSplits(), none = sink.number(0), blocks = p.b * groups() * tiles();
  variant.workspace = sink.pool.add(Expr::select(Expr::lt(sink.one(), shares), shares * p.b * p.h * p.i * pitch, none));
  variant.counters = sink.pool.add(blocks * 4);
  Expr ofQueries = makers.makesQueries() ? beforeQueries() + kRows * chunksQ * 16 : none;
  Expr shared = Expr::max(Expr::max(slots() * slotBytes, ofQueries), sink.number(kWarps * kRows * pitch));
  if (shared.poison() || failed(sink.addStage(variant, k, {blocks, shares, sink.one()})))
    return failure();
  variant.stages.back().shared = sink.pool.add(shared);
  sink.addVariant(std::move(variant));
  return success();
}

} // namespace

LogicalResult kt::gpu::buildAttentionDecode(KernelSink &sink, const AttentionProblem &p) {
  AttentionProblem mine = p;
  if (p.low) // a share does not know what the others see
    mine.from = mine.to = Expr(), mine.low = false;
  return Decode(sink, mine).build();
}
