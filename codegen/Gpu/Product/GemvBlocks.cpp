//===- GemvBlocks.cpp - products of few rows with weights of few bits -----===//
//
// On CUDA cores, for left sides of any type: a lane has the words of four columns and the header of their block on
// their way, and multiplies the sum over a word's k's by the scale.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Blocks.h"
#include "codegen/Gpu/Product/Gemv.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

class BlockUnits {
public:
  BlockUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, Value tile)
      : k(k), p(p), t(t), blocks(k, p.blocks), end(part.end) {
    Value lane = k.and_(k.tid(), 31), count = k.shr(k.add(k.size(p.n), 15), 4);
    column = k.shl(k.and_(lane, 3), 2), depth = k.mul(k.shr(lane, 2), blocks.perWord());
    for (unsigned q = 0; q < t.panels; ++q) {
      Value number = k.add(k.mul(tile, t.panels), q);
      panels.push_back(blocks.panelAt(part.weights, number, p.k));
      ends.push_back(k.sel(k.lt(number, count), end, k.c(0)));
    }
    for (unsigned r = 0; r < t.rows; ++r) {
      valid.push_back(k.lt(k.c(r), k.size(p.m)));
      rows.push_back(k.at(part.left, rowOffset(k, p, k.c(r)), elementBytes(p.lhsType)));
    }
  }
  static constexpr unsigned kColumns = 4;
  unsigned sumCount() const { return t.panels * t.rows * kColumns; }

  /// The lane's words of the unit from `k0` on and their headers: zeros behind the end.
  Values load(Value k0) {
    Value at = k.add(k0, depth), inside = k.rem(at, blocks.group());
    Values unit;
    for (unsigned q = 0; q < t.panels; ++q) {
      Value there = k.lt(at, ends[q]), header = blocks.blockAt(panels[q], at);
      Value words = k.gep(header, k.ext(k.add(blocks.wordOffset(inside), k.shl(column, 2))));
      unit.append(k.loadWhen(there, words, k.i32, kColumns, true));
      unit.append(k.loadWhen(there, k.at(header, column, blocks.scaleBytes()), blocks.scale(), kColumns, true));
      if (blocks.hasZeros())
        unit.append(k.loadWhen(there, k.gep(k.at(header, column, 1), blocks.zerosAt()), k.i32, 1, true));
    }
    return unit;
  }

  void multiply(ValueRange unit, Value k0, Values &sums) {
    unsigned size = unit.size() / t.panels;
    SmallVector<Values> lefts; // of each k of a word
    for (unsigned i = 0; i < blocks.perWord(); ++i)
      lefts.push_back(leftAt(k.add(k.add(k0, depth), i)));
    for (unsigned q = 0; q < t.panels; ++q) {
      ValueRange own = unit.slice(q * size, size);
      for (unsigned c = 0; c < kColumns; ++c) {
        Value zero;
        if (blocks.hasZeros())
          zero = k.and_(k.shr(own[2 * kColumns], c * 8), 255);
        Values group(t.rows, k.cf(0));
        for (unsigned i = 0; i < blocks.perWord(); ++i) {
          Value w = blocks.single(own[c], k.c(blocks.shiftOf(i)), zero);
          for (unsigned r = 0; r < t.rows; ++r)
            group[r] = k.fma(lefts[i][r], w, group[r]);
        }
        Value scale = k.convert(own[kColumns + c], k.f32);
        for (unsigned r = 0; r < t.rows; ++r) {
          Value &sum = sums[(q * t.rows + r) * kColumns + c];
          sum = k.fma(group[r], scale, sum);
        }
      }
    }
  }

private:
  Values leftAt(Value kk) {
    Value there = k.lt(kk, end), offset = k.mul(k.ext(k.mul(kk, k.size(p.lhsK))), elementBytes(p.lhsType));
    Values elements;
    for (unsigned r = 0; r < t.rows; ++r)
      elements.push_back(
          k.convert(k.loadWhen(k.and_(there, valid[r]), k.gep(rows[r], offset), p.lhsType, 1, false)[0], k.f32));
    return elements;
  }

  KernelBuilder &k;
  const GemmProblem &p;
  const GemvTile &t;
  Blocks blocks;
  Value end, column, depth;
  Values panels, ends, rows, valid;
};

} // namespace

void kt::gpu::emitGemvBlocks(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part,
                             Value tile, function_ref<void()> wait) {
  BlockUnits units(k, p, t, part, tile);
  unsigned step = t.warps * t.unit();
  Value k0 = k.add(part.first, k.mul(k.shr(k.tid(), 5), t.unit()));
  Values state(units.sumCount(), k.cf(0));
  // Nothing that runs writes weights: they are on their way while launches before this one end.
  for (unsigned a = 0; a < t.ahead; ++a)
    state.append(units.load(k.add(k0, a * step)));
  unsigned size = (state.size() - units.sumCount()) / t.ahead;
  wait();
  state.push_back(k0);
  Values done = k.forLoop(k.c(0), part.rounds, k.c(t.ahead), state, [&](Value, ValueRange now) -> Values {
    Values sums(now.take_front(units.sumCount())), loaded;
    Value k0 = now.back();
    for (unsigned a = 0; a < t.ahead; ++a) {
      units.multiply(now.slice(sums.size() + a * size, size), k.add(k0, a * step), sums);
      loaded.append(units.load(k.add(k0, (t.ahead + a) * step)));
    }
    sums.append(loaded);
    sums.push_back(k.add(k0, t.ahead * step));
    return sums;
  });
  done.resize(units.sumCount());
  storeLaneSums(k, p, t, BlockUnits::kColumns, done,
                k.gep(k.sptr(k.shared()), k.mul(k.shr(k.tid(), 5), t.rows * t.pitch() * 4)));
}
