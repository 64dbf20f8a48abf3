//===- QuantisedRows.cpp - a product's rows as integers of 8 bits ---------===//
//
// A product of many rows may round them to integers (`int8_rows`), which tensor cores multiply at twice the rate of
// halves. A stage before it does so once: it reads a row, whose largest magnitude is 127 steps, and writes its integers
// and its scale to the workspace,
//
//   integers[m][k], scales[m] (f32)
//
// The weights' words hold k's in the order of fragments of halves (WordOrder.h). Which k is which of an instruction's
// does not matter as long as it is the same one on both sides, so the integers of a window of 16 come in the order of
// the words: those are multiplied as they lie in memory. A column has one scale, so sums stay integers up to the end.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Blocks.h"
#include "codegen/Gpu/Rows/Combine.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

/// Threads of a block, which has a row, and windows of 16 k's that each of them holds. Of longer rows the rest is read
/// again when the largest magnitude is known.
constexpr unsigned kThreads = 128, kHeld = 2;
constexpr int64_t kWindow = 16;
constexpr double kSteps = 127;
/// Rows of smaller magnitude are zero: the inverse of a step is no infinity.
constexpr double kNothing = 0x1p-100;

/// One row by the threads of a block.
class RowQuantiser {
public:
  RowQuantiser(KernelBuilder &k, const GemmProblem &rows, Value row)
      : k(k), rows(rows), row(row), windows(k.shr(k.size(rows.k), 4)),
        from(k.at(factorBase(k, rows, 0, {}), rowOffset(k, rows, row), 2)),
        to(k.gep(k.workspace(), k.mul(k.ext(row), k.ext(k.size(rows.k))))), largest(k, ReduceKind::max, k.f32, false) {}

  void emit() {
    SmallVector<Values> held;
    for (unsigned i = 0; i < kHeld; ++i) {
      SmallVector<Type> types(kWindow, rows.lhsType);
      held.push_back(k.ifElse(
          k.lt(at(i), windows), types, [&] { return load(at(i)); },
          [&] { return Values(kWindow, k.zero(rows.lhsType)); }));
    }
    Value most = k.cf(0);
    for (const Values &window : held)
      most = largestOf(window, most);
    most = k.forLoop(at(kHeld), windows, k.c(kThreads), most,
                     [&](Value window, ValueRange now) -> Values { return {largestOf(load(window), now[0])}; })[0];
    most = acrossBlock(k, largest, most, kThreads, 0)[0];
    Value isNothing = arith::CmpFOp::create(k.b, k.loc, arith::CmpFPredicate::OLT, most, k.cf(kNothing));
    Value inverse = k.sel(isNothing, k.cf(0), k.divf(k.cf(kSteps), most));
    auto store = [&](ArrayRef<Value> window, Value number) {
      k.storeElements(wordsOf(window, inverse), k.at(to, number, kWindow));
    };
    for (unsigned i = 0; i < kHeld; ++i)
      k.ifThen(k.lt(at(i), windows), [&] { store(held[i], at(i)); });
    k.forLoop(at(kHeld), windows, k.c(kThreads), {}, [&](Value window, ValueRange) -> Values {
      store(load(window), window);
      return {};
    });
    k.ifThen(k.cmp(Pred::eq, k.tid(), 0), [&] { storeScale(most, isNothing); });
  }

private:
  Value at(unsigned i) { return k.add(k.tid(), i * kThreads); }
  Values load(Value window) { return k.loadElements(k.at(from, window, kWindow * 2), rows.lhsType, kWindow); }
  Value largestOf(ArrayRef<Value> window, Value most) {
    for (Value x : window)
      most = largest.combine(most, Values{math::AbsFOp::create(k.b, k.loc, k.convert(x, k.f32))})[0];
    return most;
  }

  /// Four words of a window, in the order of a block's.
  Values wordsOf(ArrayRef<Value> window, Value inverse) {
    // Added to this, what is left of a number are its integer's last bits: rounded to the nearest, ties to even.
    Value bias = k.cf(0x1.8p23);
    auto bits = [&](Value x) {
      return LLVM::BitcastOp::create(k.b, k.loc, k.i32, k.fma(k.convert(x, k.f32), inverse, bias));
    };
    Values words;
    for (unsigned t = 0; t < 4; ++t) {
      Value pairs[2];
      for (unsigned e = 0; e < 2; ++e)
        pairs[e] = k.permute(bits(window[t * 2 + e]), bits(window[t * 2 + 8 + e]), 0x0040);
      words.push_back(k.permute(pairs[0], pairs[1], 0x5410));
    }
    return words;
  }

  void storeScale(Value most, Value isNothing) {
    // A row with an infinity is no number at all: which of its sums are infinite the integers do not say.
    Value poison = k.subf(most, most), scale = k.addf(k.divf(most, k.cf(kSteps)), poison);
    Value to = k.at(quantisedScales(k, rows), row, 4);
    k.store(k.sel(isNothing, k.cf(0), scale), to, 4);
    // Scales are read in pairs.
    k.ifThen(k.cmp(Pred::eq, k.add(row, 1), k.size(rows.m)), [&] { k.store(k.cf(0), k.gep(to, 4), 4); });
  }

  KernelBuilder &k;
  const GemmProblem &rows;
  Value row, windows, from, to;
  Combiner largest;
};

} // namespace

void GemmProblem::quantiseRows() {
  quantisedFrom = static_cast<Product &>(*this);
  static_cast<Product &>(*this) = withQuantisedRows();
}

Expr kt::gpu::quantisedBytes(const GemmProblem &p) {
  // Whole chunks: partial sums may follow.
  return Expr::ceilDiv(p.m * p.k + (p.m + p.number(1)) * 4, p.number(16)) * 16;
}

Value kt::gpu::quantisedScales(KernelBuilder &k, const GemmProblem &p) {
  return k.gep(k.workspace(), k.mul(k.ext(k.size(p.m)), k.ext(k.size(p.k))));
}

LogicalResult kt::gpu::addQuantisingStage(KernelSink &sink, artifact::Variant &variant, const GemmProblem &p) {
  GemmProblem rows(*p.quantisedFrom);
  // All stages of a variant get the same arguments.
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads, 0, true, variant.counters != artifact::kNone});
  // Its blocks are small and many: they come where the launch before it leaves room.
  k.waitForLaunches();
  RowQuantiser(k, rows, k.ctaX()).emit();
  return sink.addStage(variant, k, {rows.m, sink.one(), sink.one()}, kThreads / 32 * 4);
}

TileScales::TileScales(KernelBuilder &k, const MmaTile &t, const GemmProblem &p, Value m0, Value n0)
    : k(k), t(t), p(p), m0(m0), n0(n0) {}

bool TileScales::isFew(const MmaTile &t) {
  constexpr unsigned kMostHeld = 32; // registers, beside a loop's
  return t.ni() * 2 + t.mi() * 2 <= kMostHeld;
}

void TileScales::load() {
  Blocks blocks(k, p.blocks);
  Value lane = k.and_(k.tid(), 31), warp = k.shr(k.tid(), 5);
  // Fragment rows g and g + 8 are columns 2g and 2g + 1; a lane's two columns of a fragment are rows of the product.
  Value column = k.shl(k.shr(lane, 2), 1), row = k.shl(k.and_(lane, 3), 1);
  Value firstPanel = k.add(k.shr(n0, 4), k.mul(k.rem(warp, t.warpCols), t.mi()));
  Value firstRow = k.add(m0, k.add(k.mul(k.div(warp, t.warpCols), t.rightRows()), row));
  Value lastPanel = k.sub(k.shr(k.add(k.size(p.n), kPanel - 1), 4), 1);
  Value lastPair = k.and_(k.sub(k.size(p.m), 1), -2);
  Value weights = factorBase(k, p, 1, {}), scales = quantisedScales(k, p);
  for (unsigned i = 0; i < t.mi(); ++i) {
    Value panel = k.min(k.add(firstPanel, i), lastPanel);
    ofColumns.push_back(blocks.scalesOf(k.gep(weights, blocks.panelOffset(panel, p.k)), column, 2));
  }
  for (unsigned j = 0; j < t.ni(); ++j)
    ofRows.push_back(k.loadElements(k.at(scales, k.min(k.add(firstRow, j * 8), lastPair), 4), k.f32, 2));
}

Values TileScales::times(ArrayRef<Value> sums) {
  Values out(sums.size());
  for (unsigned j = 0; j < t.ni(); ++j)
    for (unsigned i = 0; i < t.mi(); ++i)
      for (unsigned e = 0; e < 4; ++e) {
        unsigned at = (i * t.ni() + j) * 4 + e;
        out[at] = k.mulf(k.convert(sums[at], k.f32), k.mulf(ofColumns[i][e / 2], ofRows[j][e % 2]));
      }
  return out;
}
