//===- TileEpilogue.cpp - what becomes of a tile's sums -------------------===//
//
// A tile's sums go through shared memory, so that threads own neighbouring columns, a band of rows at a time where not
// all fit. A thread takes eight columns as two times four: of every other 32 columns each two fours have changed
// places, so that the fours that neighbouring threads take at once lie in different banks. What the epilogue reads
// beside the sums is on its way some turns before, and what is the same for all rows is read once.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

/// Of a thread.
constexpr unsigned kMostSumsBesideColumns = 64;

/// What a column's place in its row differs by from its number: fours change places in every other 32.
static Value swapOf(KernelBuilder &k, Value column) { return k.and_(k.shr(column, 3), 4); }

void kt::gpu::emitTileEpilogue(KernelBuilder &k, const MmaTile &t, const GemmProblem &p, GemmEpilogue &epilogue,
                               ArrayRef<Value> acc, Layout bLayout, ArrayRef<Value> batch, Value m0, Value n0,
                               Alignment &alignment, unsigned lanes, Value partial) {
  bool byTurns = columnsTakeTurns(t, bLayout);
  unsigned band = t.stagedRows(), rows = t.warpRows * band, pitch = t.stagedPitch(), wm = t.bm / t.warpRows,
           wn = t.bn / t.warpCols;
  Value tid = k.tid(), lane = k.and_(tid, 31), warp = k.shr(tid, 5);
  Value wr = k.div(warp, t.warpCols), wc = k.rem(warp, t.warpCols), row = k.shr(lane, 2), col = k.and_(lane, 3);
  if (t.turned())
    std::swap(row, col);
  row = k.add(k.mul(wr, band), t.turned() ? k.shl(row, 1) : row);
  col = k.shl(col, byTurns ? 2 : 1);
  // Where the thread's column in the warp's first 32 columns is, and where the one in the next 32 would be there.
  Value firstOfWarp = k.mul(wc, wn), rowAt = k.gep(k.sptr(k.shared()), k.shl(k.add(k.mul(row, pitch), firstOfWarp), 2));
  Value places[2];
  for (unsigned next = 0; next < 2; ++next)
    places[next] = k.gep(rowAt, k.shl(k.xor_(col, swapOf(k, k.add(firstOfWarp, next * 32))), 2));
  auto columnAt = [&](unsigned rows, unsigned column) {
    return k.gep(places[column / 32 % 2], (rows * pitch + column) * 4);
  };
  auto sumAt = [&](unsigned i, unsigned j, unsigned e) { return acc[(i * t.ni() + j) * 4 + e]; };
  // The fragments that have rows i * band on of each warp.
  auto storeRows = [&](unsigned i) {
    for (unsigned j = 0; j < t.ni(); ++j)
      for (unsigned h = 0; h < 2; ++h) {
        Value to = columnAt(h * 8, j * 8);
        if (!byTurns)
          k.storeElements({sumAt(i, j, h * 2), sumAt(i, j, h * 2 + 1)}, to);
        else if (j % 2 == 0)
          k.storeElements(
              {sumAt(i, j, h * 2), sumAt(i, j + 1, h * 2), sumAt(i, j, h * 2 + 1), sumAt(i, j + 1, h * 2 + 1)}, to);
      }
  };
  // The same where columns are the fragments' rows: g and g + 8 are neighbours.
  auto storeTurned = [&](unsigned i) {
    for (unsigned eight = 0; eight < band / 8; ++eight)
      for (unsigned panel = 0; panel < t.mi(); ++panel)
        for (unsigned h = 0; h < 2; ++h) {
          unsigned j = i * band / 8 + eight;
          k.storeElements({sumAt(panel, j, h), sumAt(panel, j, 2 + h)}, columnAt(eight * 8 + h, panel * 16));
        }
  };
  // Threads take chunks of eight columns in the second half.
  unsigned chunks = t.bn / p.parts / 8, total = rows * chunks, threads = t.threads();
  Value sizeM = k.size(p.m), sizeN = k.size(p.resultColumns);
  Value firstColumn = p.parts == 1 ? n0 : k.div(n0, p.parts);
  // Row r of pass `pass` is row r % band of warp row r / band.
  struct Place {
    Value r, own, m, n, valid;
  };
  auto placeOf = [&](Value pass, Value q) {
    Value r = k.div(q, chunks), own = k.shl(k.rem(q, chunks), 3);
    Value m = k.add(m0, k.add(k.add(k.mul(k.div(r, band), wm), k.mul(pass, band)), k.rem(r, band))),
          n = k.add(firstColumn, own);
    Value valid = k.and_(k.lt(m, sizeM), k.lt(n, sizeN));
    if (total % threads)
      valid = k.and_(valid, k.lt(q, total));
    return Place{r, own, m, n, valid};
  };
  // What the epilogue reads of tensors as large as the result is on its way some turns before the sums are there: few
  // threads that wait for it in each turn leave memory idle most of the time.
  constexpr unsigned kMostAhead = 4;
  unsigned passes = wm / band, passTurns = llvm::divideCeil(total, threads),
           words = !partial && lanes == 8 ? epilogue.wordsAhead(lanes, alignment) : 0,
           ahead = words ? std::min(kMostAhead, passes * passTurns) : 0;
  // Of the turn that begins at `at`, counted from the first of pass `pass` on, in threads.
  auto loadAhead = [&](unsigned pass, Value at) {
    Value later = k.div(at, passTurns * threads);
    Place place = placeOf(k.add(later, pass), k.add(tid, k.sub(at, k.mul(later, passTurns * threads))));
    Value when = k.and_(place.valid, k.lt(k.add(later, pass), passes));
    return epilogue.loadAhead(when, batch, place.m, place.n, lanes, alignment);
  };
  // The same columns in all turns, that is; sums that are still in registers leave no room for them.
  bool sameColumns =
      !partial && lanes == 8 && threads % chunks == 0 && (passes == 1 || t.mi() * t.ni() * 4 <= kMostSumsBesideColumns);
  Values carried, columns;
  for (unsigned turn = 0; turn < ahead; ++turn)
    carried.append(loadAhead(0, k.c(turn * threads)));
  for (unsigned i = 0; i < passes; ++i) {
    k.barrier();
    auto stage = [&] { t.turned() ? storeTurned(i) : storeRows(i); };
    if (t.producers) // who only copied has no sums, and stores those of others
      k.ifThen(k.lt(tid, t.multiplying()), stage);
    else
      stage();
    k.barrier();
    if (sameColumns && i == 0) {
      Place first = placeOf(k.c(i), tid);
      columns = epilogue.loadColumns(k.lt(first.n, sizeN), batch, first.n, lanes, alignment);
    }
    // A loop, since the epilogue can be long; no loop of a kernel is unrolled (KernelBuilder::forLoop).
    carried = k.forLoop(k.c(0), k.c(total), k.c(threads), carried, [&](Value at, ValueRange read) -> Values {
      auto [r, own, m, n, valid] = placeOf(k.c(i), k.add(tid, at));
      Value c = firstPart(k, p, own), source = k.gep(k.sptr(k.shared()), k.shl(k.mul(r, pitch), 2));
      Values next;
      if (ahead) {
        next.append(read.begin() + words, read.end());
        next.append(loadAhead(i, k.add(at, ahead * threads)));
      }
      epilogue.giveAhead(read.take_front(words), columns, lanes, alignment);
      // The partial sums are padded to whole groups of eight columns.
      auto sumsOf = [&](unsigned part) {
        Value first = k.add(c, part * kPanel), swap = swapOf(k, first);
        Values eight = k.loadElements(k.gep(source, k.shl(k.add(first, swap), 2)), p.accType, 4);
        eight.append(k.loadElements(k.gep(source, k.shl(k.add(first, k.xor_(swap, 4)), 2)), p.accType, 4));
        return eight;
      };
      auto part = [&] {
        for (unsigned i = 0; i < p.parts; ++i)
          k.storeElements(sumsOf(i), partialPlace(k, p, partial, m, k.add(k.add(n0, c), i * kPanel)));
      };
      auto whole = [&] {
        if (lanes > 1) {
          SmallVector<Values> sums;
          for (unsigned i = 0; i < p.parts; ++i)
            sums.push_back(sumsOf(i));
          for (unsigned v = 0; v < 8; v += lanes) {
            Values some;
            for (const Values &of : sums)
              some.append(of.begin() + v, of.begin() + v + lanes);
            auto emit = [&] { epilogue.emit(some, batch, m, k.add(n, v), alignment); };
            if (v)
              k.ifThen(k.lt(k.add(n, v), sizeN), emit);
            else
              emit();
          }
          return;
        }
        Value count = k.min(k.sub(sizeN, n), 8);
        k.forLoop(k.c(0), count, k.c(1), {}, [&](Value e, ValueRange) -> Values {
          Values some;
          for (unsigned i = 0; i < p.parts; ++i) {
            Value first = k.add(c, i * kPanel);
            some.push_back(
                k.loadElement(k.gep(source, k.shl(k.add(first, k.xor_(swapOf(k, first), e)), 2)), p.accType));
          }
          epilogue.emit(some, batch, m, k.add(n, e), alignment);
          return {};
        });
      };
      k.ifThen(valid, [&] { ifSplit(k, partial, part, whole); });
      return next;
    });
  }
  epilogue.giveAhead({}, {}, lanes, alignment);
}
