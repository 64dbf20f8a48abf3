//===- DecodeSums.cpp - what warps and shares of few queries add up -------===//

#include "codegen/Gpu/Attention/Decode.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

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
      k.storeElements({most, total}, k.gep(k.sptr(row), pairAt()));
    });
  }
  k.barrier();
}

void Decode::addUp(Value begin, Value end, const Parts &all, Emit emit) {
  // Each thread finds for itself what the parts of its row count: asking for sums and scores at the same time is less
  // than telling one another.
  unsigned fours = p.e / 4, together = std::min(all.most, 16u);
  k.forLoop(k.add(begin, k.tid()), end, k.c(kThreads), {}, [&](Value item, ValueRange) -> Values {
    Value row = k.div(item, fours), column = k.shl(k.rem(item, fours), 2);
    Values inits(5, k.cf(0)); // four columns and the row's own sum
    inits.push_back(k.cf(-INFINITY));
    Values done = k.forLoop(k.c(0), all.count, k.c(together), inits, [&](Value first, ValueRange now) {
      SmallVector<Values> parts, pairs;
      for (unsigned i = 0; i < together; ++i) {
        Value part = k.add(first, i), there = k.lt(part, all.count), from = k.sel(there, part, k.c(0));
        parts.push_back(all.read(from, row, k.shl(column, 2), 4));
        pairs.push_back(all.read(from, row, k.c(all.pairAt), 2));
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

void Decode::addUpWarps(Emit emit) {
  auto ofWarp = [&](Value part, Value row, Value bytes, unsigned n) {
    Value place = k.sptr(k.add(ring, k.add(k.mul(part, kRows * pitch), k.mul(row, pitch))));
    return k.loadElements(k.gep(place, k.ext(bytes)), k.f32, n);
  };
  addUp(k.c(0), k.mul(rows, p.e / 4), {k.c(kWarps), kWarps, ofWarp, pairAt()}, emit);
}

void Decode::keepRow(Value place, unsigned pairAt, Value column, ValueRange four, Value most, Value sum) {
  k.storeElements(four, k.gep(place, k.ext(k.shl(column, 2))));
  k.ifThen(k.cmp(Pred::eq, column, 0), [&] { k.storeElements({most, sum}, k.gep(place, pairAt)); });
}

void Decode::addUpInWorkspace() {
  Value share = k.mul(k.ext(k.gridY()), pitch), isSplit = k.lt(k.c(1), k.gridY());
  // The tile's first row; rows are as far apart as all shares of one take.
  Value tileRow = k.add(k.mul(k.add(k.mul(batch, k.size(groups())), group), k.size(rowsOfGroup())), row0);
  Value left = k.gep(k.workspace(), k.bin<arith::MulIOp>(k.ext(tileRow), share));
  auto ofShare = [&](Value part, Value row) {
    return k.gep(k.gep(left, k.bin<arith::MulIOp>(k.ext(row), share)), k.mul(k.ext(part), pitch));
  };
  auto readShare = [&](Value part, Value row, Value bytes, unsigned n) {
    return k.loadElements(k.gep(ofShare(part, row), k.ext(bytes)), k.f32, n);
  };
  addUpWarps([&](Value row, Value column, ValueRange four, Value most, Value sum) {
    auto keep = [&]() -> Values {
      keepRow(ofShare(k.ctaY(), row), pairAt(), column, four, most, sum);
      return {};
    };
    auto whole = [&]() -> Values {
      store(row, column, four, most, sum);
      return {};
    };
    k.ifElse(isSplit, ArrayRef<Type>(), keep, whole);
  });
  k.ifThen(isSplit, [&] {
    k.ifThen(k.isLastBlock(k.ctaX(), k.gridY()), [&] {
      addUp(k.c(0), k.mul(rows, p.e / 4), {k.gridY(), kMostDecodeShares, readShare, pairAt()},
            [&](Value row, Value column, ValueRange four, Value most, Value sum) {
              store(row, column, four, most, sum);
            });
    });
  });
}

void Decode::addUpInCluster() {
  // The block's sums take the place of its first warp's: who reads that one's columns is who writes them. Score and sum
  // all threads of a row read, so the block's are behind those of the warp.
  unsigned ownPairAt = pairAt() + 8;
  auto own = [&](Value row) { return k.add(ring, k.mul(row, pitch)); };
  addUpWarps([&](Value row, Value column, ValueRange four, Value most, Value sum) {
    keepRow(k.sptr(own(row)), ownPairAt, column, four, most, sum);
  });
  k.clusterArrive();
  k.clusterWait();
  // Each block stores a part of the tile: from all others it reads that alone.
  Value items = k.mul(rows, p.e / 4);
  auto itemsBefore = [&](Value share) { return k.div(k.mul(items, share), k.gridY()); };
  auto readShare = [&](Value part, Value row, Value bytes, unsigned n) {
    return k.loadOfCluster(k.add(k.ofCluster(own(row), part), bytes), n);
  };
  addUp(itemsBefore(k.ctaY()), itemsBefore(k.add(k.ctaY(), 1)), {k.gridY(), kMostClusterShares, readShare, ownPairAt},
        [&](Value row, Value column, ValueRange four, Value most, Value sum) { store(row, column, four, most, sum); });
  k.clusterArrive();
  k.clusterWait(); // what others still read is not given up
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
