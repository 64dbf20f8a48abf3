//===- AttentionTensorCore.cpp - flash attention in half precision --------===//
//
// A warp owns 16 query rows; blocks of keys and values pass through shared memory, the next ones on their way while the
// current ones are used. Scores never leave registers: their fragments, exponentiated, are the left side of the second
// product. For few queries the keys are split over blocks and a second stage combines. Blocks of keys that none of a
// block's rows sees are not walked; only those at the border of what they see, or of all keys, are masked.
//
// Keys and values that are integers become halves on their way to shared memory, which is exact. Scores are multiplied
// with the keys' scales, and weights with those of values in terms of the largest so far, so that no product of a small
// weight and a small scale is less than a half can be.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Attention/FlashTiles.h"
#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

struct Plan {
  unsigned warps;
  bool aligned, split;
};

/// Left alone, ptxas saves registers for more blocks than pay, and spills: a lone warp may have all that it needs, four
/// with narrow heads 128 each, more where both ends of a span are masked, and of wide heads shared memory has room for
/// two blocks. With a second walk and look-ups of pages, it is two as well.
LaunchBounds boundsOf(const AttentionProblem &p, const Plan &plan, bool paged) {
  int64_t width = p.d + p.e;
  unsigned blocks = width <= 64 ? 4 : width > 192 || (paged && p.low) ? 2 : p.from && p.to ? 3 : 0;
  return {plan.warps * 32, plan.warps == 1 ? 1u : blocks, plan.split, false, paged};
}

class Flash {
public:
  Flash(KernelSink &sink, const AttentionProblem &p, Plan plan)
      : sink(sink), p(p), plan(plan), k(sink.kernel, sink.entryName(), boundsOf(p, plan, sink.paged)), op(p.op),
        type(op.getQuery().getType().scalarType()), score(k, op.getScore(), 1, extraBuffers(k, p)),
        chunksD(rowChunks(p.d)), chunksE(rowChunks(p.e)) {}
  LogicalResult build(artifact::Variant variant);

private:
  Values scores(Value slotK);
  void loadScales(Value b, Value g, Value j0, Value end, Value page, Value slot);
  LogicalResult combineStage(artifact::Variant &variant, Expr splits);
  Expr rowsInAll() { return p.b * p.h * p.i; }

  KernelSink &sink;
  const AttentionProblem &p;
  Plan plan;
  KernelBuilder k;
  AttentionOp op;
  Type type;
  BodyEmitter score;
  unsigned chunksD, chunksE;
  Value slotQ, lane, warp;
};

/// q k^T of this warp's rows and a block of keys: eight accumulator tiles of 16x8.
Values Flash::scores(Value slotK) {
  Values acc(kKeys / 8 * 4, k.cf(0));
  Value a = k.add(slotQ, swizzle(k, chunksD, k.add(k.shl(warp, 4), k.and_(lane, 15)), k.shr(lane, 4)));
  Value row = k.add(k.and_(lane, 7), k.shl(k.shr(lane, 4), 3));
  Value b = k.add(slotK, swizzle(k, chunksD, row, k.and_(k.shr(lane, 3), 1)));
  for (unsigned ks = 0; ks < padTo16(p.d) / 16; ++ks) {
    // A step of two chunks never carries out of the swizzled bits, because rows are powers of two long and aligned.
    Values fa = k.ldmatrix4(k.sptr(k.xor_(a, ks * 32)), false);
    Value base = k.sptr(k.xor_(b, ks * 32));
    for (unsigned j = 0; j < kKeys / 16; ++j) {
      Values fb = k.ldmatrix4(k.gep(base, j * 16 * chunksD * 16), false);
      for (unsigned h = 0; h < 2; ++h) {
        unsigned q = (j * 2 + h) * 4;
        Values out = k.mma(fa, ArrayRef(fb).slice(h * 2, 2), ArrayRef(acc).slice(q, 4), type);
        std::copy(out.begin(), out.end(), acc.begin() + q);
      }
    }
  }
  return acc;
}

/// Leaves those of a block's keys at `slot`, and behind them those of its values.
void Flash::loadScales(Value b, Value g, Value j0, Value end, Value page, Value slot) {
  k.forLoop(k.tid(), k.c(kKeys), k.c(plan.warps * 32), {}, [&](Value i, ValueRange) -> Values {
    Value j = k.add(j0, i), inside = k.lt(j, end), at = k.sptr(k.add(slot, k.shl(i, 2)));
    k.storeElement(scaleOf(k, *p.keyScales, b, g, j, page, inside), at);
    k.storeElement(scaleOf(k, *p.valueScales, b, g, j, page, inside), k.gep(at, kKeys * 4));
    return {};
  });
}

LogicalResult Flash::build(artifact::Variant variant) {
  unsigned rows = plan.warps * 16, bytesQ = rows * chunksD * 16, bytesK = kKeys * chunksD * 16,
           bytesV = kKeys * chunksE * 16, slotBytes = bytesK + bytesV + (p.scaled() ? kKeys * 8 : 0);
  bool ring = bytesQ + 2 * slotBytes <= 99 * 1024;
  unsigned stages = ring ? 2 : 1;
  int64_t shared = bytesQ + stages * slotBytes;
  if (shared > 99 * 1024)
    return failure();
  lane = k.and_(k.tid(), 31), warp = k.shr(k.tid(), 5);
  slotQ = k.shared();
  Value ring0 = k.add(slotQ, bytesQ);

  Expr tiles = Expr::ceilDiv(p.i, sink.number(rows));
  Value b, h, tile;
  if (p.isCausal()) { // what sees most keys first: what comes last is short, and fills the multiprocessors evenly
    Values at = delinearize(k, k.ctaX(), {tiles, p.b, p.h});
    b = at[1], h = at[2], tile = k.sub(k.sub(k.size(tiles), 1), at[0]);
  } else {
    Values at = delinearize(k, k.ctaX(), {p.b, p.h, tiles});
    b = at[0], h = at[1], tile = at[2];
  }
  Value i0 = k.mul(tile, rows), g = k.div(h, p.group);
  Value sizeJ = k.size(p.j);
  copyRows(k, headRows(k, k.bufferOf(op.getQuery()), p.query, b, h, k.size(p.i), p.d), type, i0, rows, slotQ, chunksD,
           plan.aligned);
  Value lastRow = k.sub(k.min(k.add(i0, rows), k.size(p.i)), 1);
  KeyRange some = seenBySome(k, p, i0, lastRow), all = seenByAll(k, p, i0, lastRow);
  Value endJ = p.low ? sizeJ : some.end;
  KeysAndValues keys(k, p, b, g, /*begin=*/{}, endJ, kKeys, sink.paged);
  auto loadKeys = [&](Value j0, Value slot, Value page) {
    if (p.scaled())
      loadScales(b, g, j0, endJ, page, k.add(slot, bytesK + bytesV));
    keys.copy(j0, page, type, slot, {chunksD, chunksE, bytesK}, plan.aligned);
    k.cpAsyncCommit();
  };

  Value firstBlock = some.begin ? k.div(some.begin, kKeys) : k.c(0);
  Value blocks = p.to ? k.div(k.add(some.end, kKeys - 1), kKeys) : k.size(Expr::ceilDiv(p.j, sink.number(kKeys)));
  if (some.begin)
    blocks = k.sel(k.lt(some.begin, some.end), k.sub(blocks, firstBlock), k.c(0));
  if (plan.split) {
    Value splits = k.gridY(), each = k.div(k.sub(k.add(blocks, splits), 1), splits), before = k.mul(k.ctaY(), each);
    firstBlock = k.add(firstBlock, before);
    blocks = k.max(k.min(each, k.sub(blocks, before)), 0);
  }
  unsigned tilesE = padTo16(p.e) / 8;
  Value minus = k.cf(-INFINITY);
  Values nothing(tilesE * 4, k.cf(0));
  nothing.append({minus, minus, k.cf(0), k.cf(0)});
  if (p.scaled()) // what sums are in terms of
    nothing.push_back(k.cf(kLeastScale));
  unsigned numRunning = nothing.size() - tilesE * 4;
  Value row0 = k.add(k.add(i0, k.shl(warp, 4)), k.shr(lane, 2)), column = k.shl(k.and_(lane, 3), 1);
  Value lastI = k.sub(k.size(p.i), 1), lastJ = k.sub(sizeJ, 1);

  bool lowest = mayBeLowest(op);
  // A scale alone waits for the exponential, whose base it changes.
  std::optional<double> plain = plainScale(op);
  Value toPower = k.cf(plain.value_or(1) * kLog2e);
  bool ahead = ring || !p.scaled(); // wide integers leave no registers for what comes later
  auto walkBlock = [&](Value, ValueRange args) {
    Values out(args.take_front(tilesE * 4));
    ValueRange rest = args.drop_front(tilesE * 4);
    RunningRows running{{rest[0], rest[1]}, {rest[2], rest[3]}};
    Value slot = rest[numRunning], j0 = rest[numRunning + 1], nextSlot = slot, nextJ = k.add(j0, kKeys), page, nextPage;
    if (!ahead)
      page = keys.pageOf(j0);
    else if (sink.paged) // looked up a block ahead
      page = rest[numRunning + 2], nextPage = keys.pageOf(k.add(nextJ, ring ? kKeys : 0));
    if (ring) {
      nextSlot = k.sub(k.add(k.shl(ring0, 1), slotBytes), slot);
      loadKeys(nextJ, nextSlot, page);
      k.cpAsyncWait(1);
    } else {
      loadKeys(j0, slot, page);
      k.cpAsyncWait(0);
    }
    k.barrier();
    Values s = scores(slot);
    Value unit, scales = k.sptr(k.add(slot, k.add(k.shl(column, 2), bytesK + bytesV)));
    auto scalesOf = [&](bool ofValues, unsigned tile) {
      return k.loadElements(k.gep(scales, (ofValues ? kKeys * 4 : 0) + tile * 32), k.f32, 2);
    };
    if (p.scaled()) {
      unit = rest[4];
      for (unsigned tile = 0; tile < kKeys / 8; ++tile) {
        Values ofKeys = scalesOf(false, tile);
        for (unsigned q = 0; q < 4; ++q)
          s[tile * 4 + q] = k.mulf(s[tile * 4 + q], ofKeys[q % 2]);
        for (Value v : scalesOf(true, tile)) // read again below: registers are few
          unit = k.maxf(unit, v);
      }
      unit = k.maxf(unit, k.shuffleXor(unit, 1));
      unit = k.maxf(unit, k.shuffleXor(unit, 2));
    }
    // The region sees indices that are always inside; what is not seen counts as minus infinity.
    Alignment provable;
    provable.lanes = 2, provable.mayAssume = false;
    Value ownRow[2];
    KeyRange own[2]; // of the two rows that a thread has scores of
    for (unsigned r = 0; r < 2; ++r) {
      ownRow[r] = k.min(k.add(row0, r * 8), lastI);
      own[r] = seenByAll(k, p, ownRow[r], ownRow[r]);
    }
    bool choose = tilesE <= 16; // wider heads leave no registers for a choice
    auto masked = [&](unsigned q) {
      Value j = k.add(k.add(j0, column), q / 4 * 8 + q % 2);
      return k.sel(own[q / 2 % 2].holds(k, j), s[q], minus);
    };
    for (unsigned q = 0; q < s.size() && !(plain && choose); q += 2) {
      Value jj = k.add(k.add(j0, column), q / 4 * 8), ii = ownRow[q / 2 % 2];
      if (plain) {
        // nothing to do
      } else if (p.j.isMultipleOf(2)) {
        Value safe = k.sel(k.lt(jj, sizeJ), jj, k.c(0));
        Values scored = score.emit({Values{s[q]}, Values{s[q + 1]}}, {b, h, ii, safe}, 3, 2, provable);
        llvm::copy(scored, &s[q]);
      } else {
        for (unsigned e = 0; e < 2; ++e)
          s[q + e] = score.emit(s[q + e], {b, h, ii, k.min(k.add(jj, e), lastJ)});
      }
      for (unsigned e = 0; e < 2 && !choose; ++e)
        s[q + e] = masked(q + e);
    }
    if (choose) {
      Value border = k.lt(all.end, nextJ);
      if (all.begin)
        border = k.or_(border, k.lt(j0, all.begin));
      auto mask = [&] {
        Values list;
        for (unsigned q = 0; q < s.size(); ++q)
          list.push_back(masked(q));
        return list;
      };
      s = k.ifElse(border, SmallVector<Type>(s.size(), k.f32), mask, [&] { return s; });
    }
    Values factor = takeScores(k, s, running, toPower, lowest);
    if (p.scaled()) {
      Value inverse = k.divf(k.cf(1), unit), rescaled = k.mulf(rest[4], inverse);
      for (Value &f : factor)
        f = k.mulf(f, rescaled);
      for (unsigned tile = 0; tile < kKeys / 8; ++tile) {
        Values ofValues = scalesOf(true, tile);
        for (unsigned q = 0; q < 4; ++q)
          s[tile * 4 + q] = k.mulf(s[tile * 4 + q], k.mulf(ofValues[q % 2], inverse));
      }
    }
    for (unsigned q = 0; q < out.size(); ++q)
      out[q] = k.mulf(out[q], factor[q / 2 % 2]);
    Value v = k.add(k.add(slot, bytesK), swizzle(k, chunksE, k.and_(lane, 15), k.shr(lane, 4)));
    for (unsigned j = 0; j < kKeys / 16; ++j) {
      Values fa;
      for (unsigned half = 0; half < 2; ++half)
        for (unsigned r = 0; r < 2; ++r)
          fa.push_back(packHalves(k, type, s[(j * 2 + half) * 4 + r * 2], s[(j * 2 + half) * 4 + r * 2 + 1]));
      for (unsigned e = 0; e < tilesE / 2; ++e) {
        Values fb = k.ldmatrix4(k.gep(k.sptr(k.xor_(v, e * 32)), j * 16 * chunksE * 16), true);
        for (unsigned half = 0; half < 2; ++half) {
          unsigned q = (e * 2 + half) * 4;
          Values next = k.mma(fa, ArrayRef(fb).slice(half * 2, 2), ArrayRef(out).slice(q, 4), type);
          std::copy(next.begin(), next.end(), out.begin() + q);
        }
      }
    }
    k.barrier();
    out.append({running.most[0], running.most[1], running.sum[0], running.sum[1]});
    if (unit)
      out.push_back(unit);
    out.append({nextSlot, nextJ});
    if (nextPage)
      out.push_back(nextPage);
    return out;
  };
  auto walk = [&](Value firstJ, Value count, ValueRange sums) {
    if (ring)
      loadKeys(firstJ, ring0, keys.pageOf(firstJ));
    Values inits(sums);
    inits.append({ring0, firstJ});
    if (sink.paged && ahead)
      inits.push_back(keys.pageOf(k.add(firstJ, ring ? kKeys : 0)));
    Values last = k.forLoop(k.c(0), count, k.c(1), inits, walkBlock);
    k.cpAsyncWait(0);
    last.truncate(sums.size());
    return last;
  };
  Value j0 = k.mul(firstBlock, kKeys);
  Values result;
  if (p.low) // a second time, over all keys, where a row has seen nothing but very low scores
    result = k.forLoop(k.c(0), k.c(2), k.c(1), nothing, [&](Value time, ValueRange sums) {
      Value low = seesOnlyLow(k, {sums[tilesE * 4], sums[tilesE * 4 + 1]}, ring0), again = k.cmp(Pred::eq, time, 1);
      Value count = k.sel(low, k.size(Expr::ceilDiv(p.j, sink.number(kKeys))), k.c(0)), anew = k.and_(again, low);
      Values from;
      for (auto [now, zero] : llvm::zip(sums, nothing))
        from.push_back(k.sel(anew, zero, now));
      return walk(k.sel(again, k.c(0), j0), k.sel(again, count, blocks), from);
    });
  else
    result = walk(j0, blocks, nothing);

  auto sum = [&](unsigned q) { return p.scaled() ? k.mulf(result[q], result[tilesE * 4 + 4]) : result[q]; };
  ArrayRef<Value> rest = ArrayRef(result).drop_front(tilesE * 4);
  unsigned lanes = p.result[3].isConstant(1) && p.e % 2 == 0 && p.result[0].isMultipleOf(2) &&
                           p.result[1].isMultipleOf(2) && p.result[2].isMultipleOf(2)
                       ? 2
                       : 1;
  Type resultType = op.getResult().getType().scalarType();
  for (unsigned r = 0; r < 2; ++r) {
    Value total = rest[2 + r];
    total = k.addf(total, k.shuffleXor(total, 1));
    total = k.addf(total, k.shuffleXor(total, 2));
    Value i = k.add(row0, r * 8), most = k.mulf(rest[r], k.cf(plain.value_or(1))), inverse;
    if (!plan.split) // the second stage knows the whole sum
      inverse = inverseOfSum(k, p, most, total, {b, h, k.min(i, lastI)});
    k.ifThen(k.lt(i, k.size(p.i)), [&] {
      Value row = k.add(k.mul(k.add(k.mul(b, k.size(p.h)), h), k.size(p.i)), i);
      Value slot = k.add(k.mul(row, plan.split ? k.gridY() : k.c(1)), plan.split ? k.ctaY() : k.c(0));
      if (plan.split)
        // Unnormalised sums of e columns, then the maximum and the sum of exponentials.
        k.ifThen(k.cmp(Pred::eq, k.and_(lane, 3), 0), [&] {
          k.storeElements({most, total}, k.gep(k.at(k.workspace(), slot, (padTo16(p.e) + 2) * 4), padTo16(p.e) * 4));
        });
      for (unsigned e = 0; e < tilesE; ++e) {
        Value x = sum(e * 4 + r * 2), y = sum(e * 4 + r * 2 + 1), col = k.add(column, e * 8);
        if (plan.split) {
          k.storeElements(
              {x, y}, k.gep(k.at(k.gep(k.workspace(), e * 32), slot, (padTo16(p.e) + 2) * 4), k.ext(k.shl(column, 2))));
          continue;
        }
        Value at =
            k.add(k.add(headOffset(k, p.result, b, h), k.mul(i, k.size(p.result[2]))), k.mul(col, k.size(p.result[3])));
        Values two{k.convert(k.mulf(x, inverse), resultType), k.convert(k.mulf(y, inverse), resultType)};
        int64_t bytes = elementBytes(resultType);
        for (unsigned v = 0; v < 2; v += lanes) {
          auto store = [&] {
            Value to = k.at(resultBuffer(k, p), v ? k.add(at, k.size(p.result[3])) : at, bytes);
            k.storeElements(ArrayRef(two).slice(v, lanes), to);
          };
          if ((e + 1) * 8 > p.e)
            k.ifThen(k.lt(k.add(col, v), p.e), store);
          else
            store();
        }
      }
    });
  }
  variant.schedule += "attention rows=" + std::to_string(rows) + " keys=" + std::to_string(kKeys) +
                      " stages=" + std::to_string(stages) + (plan.aligned ? "" : " unaligned") +
                      (plan.split ? " split" : "");
  Expr splits = plan.split ? Expr(sink.candidate.getSplits()) : sink.one();
  if (plan.split)
    variant.workspace = sink.pool.add(splits * rowsInAll() * ((padTo16(p.e) + 2) * 4));
  if (failed(sink.addStage(variant, k, {p.b * p.h * tiles, splits, sink.one()}, shared)) ||
      (plan.split && failed(combineStage(variant, splits))))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}

/// A warp adds up the splits of one row, each scaled by its distance from the largest score.
LogicalResult Flash::combineStage(artifact::Variant &variant, Expr splits) {
  KernelBuilder k(sink.kernel, sink.entryName(), {128, 0, true, false, sink.paged});
  unsigned width = padTo16(p.e) + 2;
  // The second grid dimension says how many splits there were; only its first row of blocks works.
  Value row = k.add(k.mul(k.ctaX(), 4), k.shr(k.tid(), 5)), lane = k.and_(k.tid(), 31);
  Type resultType = op.getResult().getType().scalarType();
  k.ifThen(k.and_(k.lt(row, k.size(rowsInAll())), k.cmp(Pred::eq, k.ctaY(), 0)), [&] {
    Value splitCount = k.gridY(), base = k.at(k.workspace(), k.mul(row, splitCount), width * 4);
    unsigned each = (p.e + 31) / 32;
    Values inits(each + 1, k.cf(0));
    inits.push_back(k.cf(-INFINITY));
    Values sums = k.forLoop(k.c(0), splitCount, k.c(1), inits, [&](Value s, ValueRange now) {
      Value part = k.at(base, s, width * 4);
      Values tail = k.loadElements(k.gep(part, (width - 2) * 4), k.f32, 2);
      Value most = k.maxf(now[each + 1], tail[0]);
      Value top = originOf(k, most);
      auto power = [&](Value x) { return k.exp2Flushed(k.mulf(k.subf(x, top), k.cf(kLog2e))); };
      Value old = power(now[each + 1]), fresh = power(tail[0]);
      Values next;
      for (unsigned c = 0; c < each; ++c) {
        Value e = k.min(k.add(lane, c * 32), p.e - 1);
        next.push_back(k.fma(k.load(k.at(part, e, 4), k.f32, 4), fresh, k.mulf(now[c], old)));
      }
      next.push_back(k.fma(tail[1], fresh, k.mulf(now[each], old)));
      next.push_back(most);
      return next;
    });
    Values at = delinearize(k, row, {p.b, p.h, p.i});
    Value inverse = inverseOfSum(k, p, sums[each + 1], sums[each], at);
    Value place = k.add(headOffset(k, p.result, at[0], at[1]), k.mul(at[2], k.size(p.result[2])));
    for (unsigned c = 0; c < each; ++c) {
      Value e = k.add(lane, c * 32);
      k.ifThen(k.lt(e, p.e), [&] {
        Value to = k.at(resultBuffer(k, p), k.add(place, k.mul(e, k.size(p.result[3]))), elementBytes(resultType));
        k.storeElement(k.convert(k.mulf(sums[c], inverse), resultType), to);
      });
    }
  });
  return sink.addStage(variant, k, {Expr::ceilDiv(rowsInAll(), sink.number(4)), splits, sink.one()});
}

} // namespace

LogicalResult kt::gpu::buildAttentionTensorCore(KernelSink &sink, const AttentionProblem &p,
                                                artifact::Variant variant) {
  Alignment copies = sink.alignment();
  bool aligned = sink.configured("async") && p.canAlign(copies), split = (bool)sink.candidate.getSplits();
  AttentionProblem mine = p;
  if (split && p.low) // a split does not know what the others see
    mine.from = mine.to = Expr(), mine.low = false;
  return Flash(sink, mine, {(unsigned)sink.configured("warps"), aligned, split}).build(std::move(variant));
}
