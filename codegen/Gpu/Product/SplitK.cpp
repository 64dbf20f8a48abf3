//===- SplitK.cpp - splitting the depth of a product over blocks ----------===//
//
// The grid's second dimension is the number of splits. With one, blocks run the epilogue themselves. With more, each
// writes the sums of its part of k to the workspace, [split][m][n padded to 8]; the last block of a tile adds them up
// and runs the epilogue. Both are one function: fewer tiles than multiprocessors is a matter of the shapes of a run.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Gemm.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

void kt::gpu::ifSplit(KernelBuilder &k, Value partial, llvm::function_ref<void()> part,
                      llvm::function_ref<void()> whole) {
  if (!partial)
    return whole();
  auto nothing = [](llvm::function_ref<void()> f) {
    return [f]() -> Values {
      f();
      return {};
    };
  };
  k.ifElse(k.lt(k.c(1), k.gridY()), ArrayRef<Type>(), nothing(part), nothing(whole));
}

Value kt::gpu::splitRange(KernelBuilder &k, const GemmProblem &p, Value &slabs, Value &first) {
  Value splits = k.gridY(), each = k.div(k.sub(k.add(slabs, splits), 1), splits);
  first = k.mul(k.ctaY(), each);
  slabs = k.max(k.min(each, k.sub(slabs, first)), 0);
  return k.gep(partialsOf(k, p), k.mul(k.mul(k.ext(k.size(p.m * p.paddedColumns())), k.ext(k.ctaY())), 4));
}

Value kt::gpu::partialPlace(KernelBuilder &k, const GemmProblem &p, Value partial, Value m, Value n) {
  return k.at(partial, k.add(k.mul(m, k.size(p.paddedColumns())), n), 4);
}

static Expr rowTiles(const GemmProblem &p, const TileShape &t) { return Expr::ceilDiv(p.m, p.number(t.rows)); }
static Expr columnTiles(const GemmProblem &p, const TileShape &t) { return Expr::ceilDiv(p.n, p.number(t.columns)); }

LogicalResult kt::gpu::addProduct(KernelSink &sink, const GemmProblem &p, KernelBuilder &k, std::string schedule,
                                  const TileShape &t, int64_t sharedBytes, Expr most) {
  artifact::Variant variant;
  variant.schedule = std::move(schedule);
  Expr none = sink.number(0), counters = none, splits;
  if (ExprAttr shares = sink.candidate.getSplits()) {
    splits = shares;
    variant.schedule += " split";
    Expr isSplit = Expr::lt(sink.one(), splits);
    variant.workspace =
        sink.pool.add(p.stagedBytes() + Expr::select(isSplit, splits * p.m * p.paddedColumns() * 4, none));
    counters = rowTiles(p, t) * columnTiles(p, t) * p.batches() * 4;
  }
  if (p.isStaged() && !splits)
    variant.workspace = sink.pool.add(p.stagedBytes());
  Follow follow = followOf(sink, p);
  if (follow != Follow::stage)
    variant.schedule += follow == Follow::sharing ? ", blocks share the norm" : ", last block normalizes";
  if (splits || follow != Follow::stage)
    variant.counters = sink.pool.add(counters + rowCounters(sink, p, t) * 4);
  Expr blocks = rowTiles(p, t) * columnTiles(p, t) * p.batches();
  if (most)
    blocks = Expr::min(blocks, splits ? Expr::max(sink.one(), Expr::floorDiv(most, splits)) : most);
  if (sink.leftNorm && !sink.configured("kept")) {
    Alignment alignment = sink.alignment();
    alignRows(sink.leftNorm, alignment);
    std::string product = std::exchange(variant.schedule, "");
    if (failed(addNormStage(sink, variant, sink.leftNorm, normPlan(normalizedLength(sink.leftNorm)), alignment)))
      return failure();
    variant.schedule += ", " + product;
  }
  if (p.widenedFrom && failed(addWideningStage(sink, variant, p)))
    return failure();
  if (p.quantisedFrom && failed(addQuantisingStage(sink, variant, p)))
    return failure();
  if (failed(sink.addStage(variant, k, {blocks, splits ? splits : sink.one(), sink.one()}, sharedBytes)))
    return failure();
  if (sink.follower && follow == Follow::stage) {
    Alignment alignment = sink.alignment();
    alignRows(sink.follower, alignment);
    if (failed(addNormStage(sink, variant, sink.follower, normPlan(normalizedLength(sink.follower)), alignment)))
      return failure();
  }
  sink.addVariant(std::move(variant));
  return success();
}

void kt::gpu::finishTile(KernelBuilder &k, const KernelSink &sink, const GemmProblem &p, GemmEpilogue &epilogue,
                         const TileShape &t, bool split, Value tile, Value m0, Value n0, const Alignment &alignment,
                         unsigned lanes) {
  auto addUp = [&] {
    unsigned width = std::max(lanes, 4u), chunks = t.columns / p.parts / width, count = width * p.parts;
    Value firstColumn = p.parts == 1 ? n0 : k.div(n0, p.parts);
    Value plane = k.mul(k.ext(k.size(p.m * p.paddedColumns())), 4);
    k.forLoop(k.tid(), k.c(t.rows * chunks), k.c(t.threads), {}, [&](Value at, ValueRange) -> Values {
      Value r = k.div(at, chunks), m = k.add(m0, r), own = k.mul(k.rem(at, chunks), width);
      Value n = k.add(firstColumn, own);
      k.ifThen(k.and_(k.lt(m, k.size(p.m)), k.lt(n, k.size(p.resultColumns))), [&] {
        Values inits(count, k.zero(p.accType));
        inits.push_back(partialPlace(k, p, partialsOf(k, p), m, k.add(n0, firstPart(k, p, own))));
        // In the order of k, whoever comes last: the sums are the same in each run. Several are on their way at a time.
        unsigned together = count <= 8 ? 4 : 2;
        Values sums = k.forLoop(k.c(0), k.gridY(), k.c(together), inits, [&](Value split, ValueRange now) {
          Values next(now.take_front(count)), loaded[4];
          for (unsigned ahead = 0; ahead < together; ++ahead) {
            Value there = k.lt(k.add(split, ahead), k.gridY());
            Value from = k.gep(now[count], k.sel(there, k.mul(plane, ahead), k.c64(0)));
            for (unsigned part = 0; part < p.parts; ++part)
              for (Value v : k.loadElements(k.gep(from, part * kPanel * 4), p.accType, width))
                loaded[ahead].push_back(ahead ? k.sel(there, v, k.zero(p.accType)) : v);
          }
          for (unsigned ahead = 0; ahead < together; ++ahead)
            for (auto [sum, v] : llvm::zip(next, loaded[ahead]))
              sum = isa<FloatType>(p.accType) ? k.addf(sum, v) : k.add(sum, v);
          next.push_back(k.gep(now[count], k.mul(plane, together)));
          return next;
        });
        for (unsigned v = 0; v < width; v += lanes) {
          Alignment few = alignment;
          few.lanes = lanes;
          Values some;
          for (unsigned part = 0; part < p.parts; ++part)
            some.append(sums.begin() + part * width + v, sums.begin() + part * width + v + lanes);
          auto emit = [&] { epilogue.emit(some, {}, m, k.add(n, v), few); };
          if (v)
            k.ifThen(k.lt(k.add(n, v), k.size(p.resultColumns)), emit);
          else
            emit();
        }
      });
      return {};
    });
  };
  // Whether this block has finished its tile.
  Value finished;
  if (split) {
    finished = k.ifElse(
        k.lt(k.c(1), k.gridY()), k.i1,
        [&]() -> Values {
          // Behind the counters of rows.
          Value last = k.isLastBlock(k.add(tile, k.size(rowCounters(sink, p, t))), k.gridY());
          k.ifThen(last, addUp);
          return {last};
        },
        [&]() -> Values { return {k.cBool(true)}; })[0];
  }
  finishRows(k, sink, p, t, split, m0, finished);
}
