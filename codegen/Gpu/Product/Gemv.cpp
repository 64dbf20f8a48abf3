//===- Gemv.cpp - products of few rows ------------------------------------===//
//
// What such a product takes is the time to read its weights, once. The warps of a block share the depth of some panels,
// units of 32 k's in turn; their sums meet in shared memory. How weights come is the difference between CUDA cores
// (GemvInRegisters.cpp), which take any type, and tensor cores (GemvRing.cpp).
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Gemv.h"
#include "codegen/Gpu/Rows/RowNorm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

/// Adds up the warps' sums of each column and runs the epilogue, or stores the block's share of them.
static void emitColumns(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, GemmEpilogue &epilogue,
                        ArrayRef<Value> batch, const GemvSums &of, Alignment &alignment, Value partial) {
  unsigned across = t.columns() / p.parts, plane = t.rows * t.pitch() * 4;
  Value n0 = k.mul(of.tile, t.columns());
  Value total = k.mul(k.min(k.size(p.m), t.rows), across), firstColumn = p.parts == 1 ? n0 : k.div(n0, p.parts);
  k.forLoop(of.number, total, k.c(t.threads()), {}, [&](Value at, ValueRange) -> Values {
    Value m = k.div(at, across), own = k.rem(at, across), c = firstPart(k, p, own), n = k.add(firstColumn, own);
    k.ifThen(k.lt(n, k.size(p.resultColumns)), [&] {
      Value from = k.at(k.sptr(k.add(k.shared(), of.place)), k.add(k.mul(m, t.pitch()), c), 4);
      Values sums;
      for (unsigned q = 0; q < p.parts; ++q) {
        Value sum = k.cf(0);
        for (unsigned w = 0; w < t.warps; ++w)
          sum = k.addf(sum, k.load(k.gep(from, w * plane + q * kPanel * 4), k.f32, 4));
        sums.push_back(sum);
      }
      auto store = [&] {
        for (unsigned q = 0; q < p.parts; ++q)
          k.storeElement(sums[q], partialPlace(k, p, partial, m, k.add(k.add(n0, c), q * kPanel)));
      };
      ifSplit(k, partial, store, [&] { epilogue.emit(sums, batch, m, n, alignment); });
    });
    return {};
  });
}

/// Has all of the left side's rows in shared memory, where the ring reads them, as the norm that makes them does.
static void keepRows(KernelBuilder &k, const KernelSink &sink, const GemmProblem &p, const GemvTile &t) {
  Value start = k.add(k.shared(), t.keptFrom()), rows = k.min(k.size(p.m), t.rows);
  unsigned bytes = t.keptPitch(), zeros = t.keptDepth() - t.kept;
  auto place = [&](Value row, Value column) { return k.at(k.sptr(k.add(start, k.mul(row, bytes))), column, 2); };
  // Weights behind the last k are zeros too, but zero times what is no number is none either.
  if (zeros)
    k.forLoop(k.tid(), k.mul(rows, zeros / 8), k.c(t.threads()), {}, [&](Value at, ValueRange) -> Values {
      Value column = k.add(k.mul(k.rem(at, zeros / 8), 8), t.kept);
      k.storeElements(Values(4, k.c(0)), place(k.div(at, zeros / 8), column));
      return {};
    });
  auto keep = [&](Value row, Value column, ValueRange elements) { k.storeElements(elements, place(row, column)); };
  auto norm = [&](unsigned most) {
    return [&, most]() -> Values {
      BlockNorm(k, sink.leftNorm, t.threads(), most, 0, k.c(0), rows, sink.alignment()).emitAll(keep);
      return {};
    };
  };
  // One row takes as long as it waits: threads that do others beside it would have it wait for theirs.
  if (t.rows > 1)
    k.ifElse(k.cmp(Pred::eq, rows, 1), ArrayRef<Type>(), norm(1), norm(t.rows));
  else
    norm(1)();
}

LogicalResult kt::gpu::buildGemv(KernelSink &sink, const GemmProblem &p, StringRef family) {
  std::string why;
  std::optional<GemvTile> tile = gemvTileOf(sink.candidate, p.weightForm(), &why);
  if (!tile)
    return p.op->emitError() << "no kernel for " << sink.candidate << ": " << why;
  const GemvTile &t = *tile;
  if (t.kept && !(sink.leftNorm && normalizedLength(sink.leftNorm).isConstant(t.kept)))
    return p.op->emitError() << "no kernel for " << sink.candidate << ": no norm makes rows of " << t.kept
                             << " elements";
  bool split = (bool)sink.candidate.getSplits();
  TileShape shape{t.rows, t.columns(), t.threads()};
  // Left alone, ptxas saves registers for a second block where a ring or many rows leave no room for it, and spills.
  unsigned minCtas = t.mma || t.rows > 16 ? 1 : 0;
  KernelBuilder k(sink.kernel, sink.entryName(),
                  {t.threads(), minCtas, split, split || followOf(sink, p) != Follow::stage});
  GemmEpilogue epilogue(k, p);
  Alignment alignment = sink.alignment();

  Value number = k.ctaX(), columnTiles = k.size(Expr::ceilDiv(p.n, p.number(t.columns()))), m0 = k.c(0);
  GemvTiles tiles{number, columnTiles, k.gridX()};
  Values batch;
  if (!p.batch.empty()) { // a block has one tile
    Value matrix = k.div(number, columnTiles);
    tiles.first = k.sub(number, k.mul(matrix, columnTiles));
    tiles.end = k.add(tiles.first, 1), tiles.step = k.c(1);
    batch = delinearize(k, matrix, p.batch);
  }
  unsigned step = t.warps * t.unit();
  Value rounds = k.size(Expr::ceilDiv(p.k, p.number(step))), first = k.c(0), partial;
  if (split) {
    partial = splitRange(k, p, rounds, first);
    first = k.mul(first, step);
  }
  GemvPart part{factorBase(k, p, 1, batch), factorBase(k, p, 0, batch), first,
                k.min(k.add(first, k.mul(rounds, step)), k.size(p.k)), rounds};
  auto wait = [&] {
    k.waitForLaunches();
    if (t.kept)
      keepRows(k, sink, p, t);
  };
  auto start = [&] { startRows(k, sink, p, shape, m0); };
  tiles.apart = t.sumPlaces() > 1 && !split && followOf(sink, p) == Follow::stage;
  auto finish = [&](const GemvSums &sums) {
    k.barrier();
    emitColumns(k, p, t, epilogue, batch, sums, alignment, partial);
    finishTile(k, sink, p, epilogue, shape, split, sums.tile, m0, k.mul(sums.tile, t.columns()), alignment, 1);
  };
  if (t.mma) {
    emitGemvRing(k, p, t, part, tiles, wait, start, finish);
  } else {
    emitGemvInRegisters(k, p, t, part, tiles.first, [&] {
      wait();
      start();
    });
    finish({tiles.first, k.c(0), k.tid()});
  }
  Expr blocks = t.mma && p.batch.empty() ? Expr::symbol(sink.kernel.getContext(), fact::kSmCount) : Expr();
  return addProduct(sink, p, k, family.str() + " " + t.str(), shape, t.sharedBytes(), blocks);
}
