//===- GemvBlocks.cpp - products of few rows with weights of few bits -----===//
//
// On CUDA cores, for left sides of any type: a lane has the words of four columns and the header of their block on
// their way, and multiplies the sum over a word's k's by the scale.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Blocks.h"
#include "codegen/Gpu/Product/GemvUnits.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

class BlockUnits : public GemvUnits {
public:
  BlockUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, Value tile)
      : GemvUnits(k, p, t, part, tile, 4), blocks(k, p.blocks), column(k.shl(k.and_(lane, 3), 2)),
        depth(blocks.firstOf(k.shr(lane, 2))) {
    for (Value number : numbers)
      panels.push_back(k.gep(part.weights, blocks.panelOffset(number, p.k)));
  }

  /// The lane's words and the headers of their blocks. What the words are multiplied with comes when they are.
  Values loadWeights(Value k0) override {
    Value at = k.add(k0, depth), inside = k.rem(at, blocks.group());
    Values unit;
    for (unsigned q = 0; q < t.panels; ++q) {
      Value there = k.lt(at, ends[q]), header = k.gep(panels[q], blocks.blockOffset(at));
      Value words = k.gep(header, k.ext(k.add(blocks.wordOffset(inside), k.shl(column, 2))));
      unit.append(k.loadWhen(there, words, k.i32, columns, true));
      unit.append(k.loadWhen(there, k.at(header, column, blocks.scaleBytes()), blocks.scale(), columns, true));
      if (blocks.hasZeros())
        unit.append(k.loadWhen(there, k.gep(k.at(header, column, 1), blocks.zerosAt()), k.i32, 1, true));
    }
    return unit;
  }

  void multiply(ValueRange unit, Value k0, Values &sums) override {
    unsigned size = unit.size() / t.panels;
    SmallVector<Values> lefts; // of each k of a word
    for (unsigned i = 0; i < blocks.perWord(); ++i)
      for (Value &x : lefts.emplace_back(leftAt(k.add(k.add(k0, depth), blocks.order().offsetOf(i)))))
        x = k.convert(x, k.f32);
    for (unsigned q = 0; q < t.panels; ++q) {
      ValueRange own = unit.slice(q * size, size);
      for (unsigned c = 0; c < columns; ++c) {
        Value zero;
        if (blocks.hasZeros())
          zero = k.and_(k.shr(own[2 * columns], c * 8), 255);
        Values group(t.rows, k.cf(0));
        for (unsigned i = 0; i < blocks.perWord(); ++i) {
          Value w = blocks.single(own[c], k.c(blocks.shiftOf(i)), zero);
          for (unsigned r = 0; r < t.rows; ++r)
            group[r] = k.fma(lefts[i][r], w, group[r]);
        }
        Value scale = k.convert(own[columns + c], k.f32);
        for (unsigned r = 0; r < t.rows; ++r) {
          Value &sum = sums[(q * t.rows + r) * columns + c];
          sum = k.fma(group[r], scale, sum);
        }
      }
    }
  }

private:
  Blocks blocks;
  Value column, depth;
  Values panels;
};

} // namespace

std::unique_ptr<GemvUnits> kt::gpu::blockUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t,
                                               const GemvPart &part, Value tile) {
  return std::make_unique<BlockUnits>(k, p, t, part, tile);
}
