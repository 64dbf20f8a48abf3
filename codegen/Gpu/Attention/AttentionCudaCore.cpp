//===- AttentionCudaCore.cpp - attention in full precision ----------------===//
//
// The same online softmax on the CUDA cores: 32 query rows a block, eight threads a row, blocks of up to 32 keys
// and values in shared memory, from the first that one of the rows sees to the last.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Attention/Attention.h"
#include "codegen/Gpu/Builder/Pages.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

constexpr unsigned kRows = 32, kMostKeys = 32, kThreads = 256, kAcross = kThreads / kRows;

} // namespace

LogicalResult kt::gpu::buildAttentionCudaCore(KernelSink &sink, const AttentionProblem &p, artifact::Variant variant) {
  AttentionOp op = p.op;
  unsigned pitchD = p.d | 1, pitchE = p.e | 1;
  auto sharedWith = [&](unsigned keys) {
    return 4 * (kRows * pitchD + keys * (int64_t)(pitchD + pitchE) + kRows * (keys + 1));
  };
  // Wide heads get fewer keys a block.
  unsigned blockKeys = kMostKeys;
  while (blockKeys > kAcross && sharedWith(blockKeys) > 99 * 1024)
    blockKeys /= 2;
  int64_t shared = sharedWith(blockKeys);
  if (shared > 99 * 1024)
    return failure();
  int64_t offsetK = kRows * pitchD * 4, offsetV = offsetK + blockKeys * pitchD * 4,
          offsetP = offsetV + blockKeys * pitchE * 4;
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads, 2, false, false, sink.paged});
  BodyEmitter score(k, op.getScore(), 1, extraBuffers(k, p));
  Expr tiles = Expr::ceilDiv(p.i, sink.number(kRows));
  Values at = delinearize(k, k.ctaX(), {p.b, p.h, tiles});
  Value b = at[0], h = at[1], tile = at[2];
  if (p.isCausal()) // what sees most keys first
    tile = k.sub(k.sub(k.size(tiles), 1), tile);
  Value i0 = k.mul(tile, kRows), g = k.div(h, p.group);
  auto load = [&](Value factor, ArrayRef<Expr> strides, Value head, Value first, Value rows, int64_t columns,
                  unsigned count, unsigned pitch, int64_t offset, Value page = {}) {
    Value buffer = k.bufferOf(factor);
    Type type = k.typeOf(buffer).scalarType();
    int64_t bytes = elementBytes(type);
    Value base = headStart(k, buffer, strides, b, head, page);
    bool inPages = k.pagedAxis(buffer) >= 0;
    k.forLoop(k.tid(), k.c(count * columns), k.c(kThreads), {}, [&](Value q, ValueRange) -> Values {
      Value r = k.div(q, columns), c = k.sub(q, k.mul(r, columns)), row = k.add(first, r);
      Value place = k.add(k.mul(inPages ? rowInPage(k, row) : row, k.size(strides[2])), k.mul(c, k.size(strides[3])));
      Value v = k.ifElse(
          k.lt(row, rows), type, [&]() -> Values { return {k.loadElement(k.at(base, place, bytes), type)}; },
          [&]() -> Values { return {k.zero(type)}; })[0];
      k.storeElement(k.convert(v, k.f32), k.at(k.sptr(offset), k.add(k.mul(r, pitch), c), 4));
      return {};
    });
  };
  Value lastJ = k.sub(k.size(p.j), 1), y = k.div(k.tid(), kAcross), x = k.rem(k.tid(), kAcross),
        lastI = k.sub(k.size(p.i), 1), i = k.min(k.add(i0, y), lastI);
  KeyRange some = seenBySome(k, p, i0, k.min(k.add(i0, kRows - 1), lastI)), seen = seenByAll(k, p, i, i);
  load(op.getQuery(), p.query, h, i0, k.size(p.i), p.d, kRows, pitchD, 0);
  unsigned own = (p.e + kAcross - 1) / kAcross, keys = blockKeys / kAcross;
  Value minus = k.cf(-INFINITY);
  auto isMinus = [&](Value v) -> Value {
    return arith::CmpFOp::create(k.b, k.loc, arith::CmpFPredicate::OEQ, v, minus);
  };
  auto exp = [&](Value v) -> Value { return math::ExpOp::create(k.b, k.loc, v); };
  Values inits(own, k.cf(0));
  inits.append({minus, k.cf(0)});
  Value endJ = p.low ? k.size(p.j) : some.end;
  auto walkBlock = [&](Value j0, ValueRange now) {
    k.barrier();
    Value page = pageOfKeys(k, p, b, j0, endJ);
    load(op.getKey(), p.key, g, j0, endJ, p.d, blockKeys, pitchD, offsetK, page);
    load(op.getValue(), p.value, g, j0, endJ, p.e, blockKeys, pitchE, offsetV, page);
    k.barrier();
    // Keys x, x + 8, ... of the block, so that neighbouring threads read different banks.
    Values dots = k.forLoop(k.c(0), k.c(p.d), k.c(1), Values(keys, k.cf(0)), [&](Value d, ValueRange sums) {
      Value q = k.load(k.at(k.sptr(0), k.add(k.mul(y, pitchD), d), 4), k.f32, 4);
      Values next;
      for (unsigned e = 0; e < keys; ++e) {
        Value kv = k.load(k.at(k.sptr(offsetK), k.add(k.mul(k.add(x, e * kAcross), pitchD), d), 4), k.f32, 4);
        next.push_back(k.fma(q, kv, sums[e]));
      }
      return next;
    });
    Value most = now[own];
    Values scales; // of the values
    for (unsigned e = 0; e < keys && p.scaled(); ++e) {
      Value j = k.add(k.add(j0, x), e * kAcross), inside = k.lt(j, endJ);
      dots[e] = k.mulf(dots[e], scaleOf(k, *p.keyScales, b, g, j, page, inside));
      scales.push_back(scaleOf(k, *p.valueScales, b, g, j, page, inside));
    }
    for (unsigned e = 0; e < keys; ++e) {
      Value j = k.add(k.add(j0, x), e * kAcross), scored = score.emit(dots[e], {b, h, i, k.min(j, lastJ)});
      dots[e] = k.sel(seen.holds(k, j), scored, minus);
      most = k.maxf(most, dots[e]);
    }
    for (unsigned mask = 1; mask < kAcross; mask *= 2)
      most = k.maxf(most, k.shuffleXor(most, mask));
    Value shift = k.sel(isMinus(most), k.cf(0), most), factor = exp(k.subf(now[own], shift)),
          sum = k.mulf(now[own + 1], factor);
    for (unsigned e = 0; e < keys; ++e) {
      Value w = exp(k.subf(dots[e], shift));
      sum = k.addf(sum, w);
      if (p.scaled())
        w = k.mulf(w, scales[e]);
      k.store(w, k.at(k.sptr(offsetP), k.add(k.mul(y, blockKeys + 1), k.add(x, e * kAcross)), 4), 4);
    }
    k.barrier();
    Values scaled;
    for (unsigned c = 0; c < own; ++c)
      scaled.push_back(k.mulf(now[c], factor));
    Values next = k.forLoop(k.c(0), k.c(blockKeys), k.c(1), scaled, [&](Value j, ValueRange acc) {
      Value w = k.load(k.at(k.sptr(offsetP), k.add(k.mul(y, blockKeys + 1), j), 4), k.f32, 4);
      Values out;
      for (unsigned c = 0; c < own; ++c) {
        Value e = k.min(k.add(x, c * kAcross), p.e - 1);
        out.push_back(k.fma(w, k.load(k.at(k.sptr(offsetV), k.add(k.mul(j, pitchE), e), 4), k.f32, 4), acc[c]));
      }
      return out;
    });
    next.append({most, sum});
    return next;
  };
  Value begin = some.begin ? some.begin : k.c(0);
  if (sink.paged) // a block of keys lies in one page
    begin = k.and_(begin, -(int64_t)blockKeys);
  Values result;
  if (p.low) // a second time, over all keys, where a row has seen nothing but very low scores
    result = k.forLoop(k.c(0), k.c(2), k.c(1), inits, [&](Value time, ValueRange sums) {
      Value low = seesOnlyLow(k, {sums[own]}, k.add(k.shared(), offsetP)), again = k.cmp(Pred::eq, time, 1);
      Value anew = k.and_(again, low);
      Values from;
      for (auto [now, zero] : llvm::zip(sums, inits))
        from.push_back(k.sel(anew, zero, now));
      Value to = k.sel(again, k.sel(low, k.size(p.j), k.c(0)), some.end);
      return k.forLoop(k.sel(again, k.c(0), begin), to, k.c(blockKeys), from, walkBlock);
    });
  else
    result = k.forLoop(begin, some.end, k.c(blockKeys), inits, walkBlock);
  Value sum = result[own + 1];
  for (unsigned mask = 1; mask < kAcross; mask *= 2)
    sum = k.addf(sum, k.shuffleXor(sum, mask));
  Value inverse = inverseOfSum(k, p, result[own], sum, {b, h, i});
  Type resultType = op.getResult().getType().scalarType();
  Value row = k.add(i0, y);
  k.ifThen(k.lt(row, k.size(p.i)), [&] {
    Value start = k.add(headOffset(k, p.result, b, h), k.mul(row, k.size(p.result[2])));
    for (unsigned c = 0; c < own; ++c) {
      Value e = k.add(x, c * kAcross);
      k.ifThen(k.lt(e, p.e), [&] {
        Value to = k.at(resultBuffer(k, p), k.add(start, k.mul(e, k.size(p.result[3]))), elementBytes(resultType));
        k.storeElement(k.convert(k.mulf(result[c], inverse), resultType), to);
      });
    }
  });
  variant.schedule += "attention simt rows=32 keys=" + std::to_string(blockKeys);
  if (failed(sink.addStage(variant, k, {p.b * p.h * tiles, sink.one(), sink.one()}, shared)))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}
