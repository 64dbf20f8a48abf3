//===- GemvRingBlocks.cpp - rings of weights of few bits ------------------===//
//
// A slot has a unit's panels as they are in memory, blocks one after the other. Lane 4g + t has the g-th of eight
// groups of columns and the t-th words of a window, so that nothing is exchanged. Sums of a group are multiplied by its
// scales in single precision; groups of 16, of which a step of 32 k's has two, have their weights multiplied before.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Blocks.h"
#include "codegen/Gpu/Product/GemvRing.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

class BlockRing : public Ring {
public:
  BlockRing(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, const GemvTiles &tiles)
      : Ring(k, p, t, part, tiles), blocks(k, p.blocks), order(blocks.order()), columns(t.panels * 2),
        windows(std::max<int64_t>(kStep / order.window(), 1)) {
    panelBytes = k.size(BlocksAttr(p.blocks).panelBytes(p.k));
    chunk = k.shl(lane, 4);
    chunkInSlot = blocks.turned(chunk);
    unsigned groups = 8 / t.panels; // of lanes that share a panel
    Value panel = k.mul(k.div(group, groups), t.panelPitch()), column = k.mul(k.rem(group, groups), columns);
    Value row = k.div(third, order.lanes());
    for (unsigned block = 0; block < t.headers(); ++block) {
      int64_t at = block * blocks.blockBytes();
      auto inSlot = [&](Value inPanel) { return k.add(blocks.turned(inPanel), panel); };
      wordsOf.push_back(inSlot(k.add(k.add(k.shl(row, 6), k.shl(column, 2)), at + blocks.wordsAt())));
      scalesOf.push_back(inSlot(k.add(k.mul(column, blocks.scaleBytes()), at)));
      if (blocks.hasZeros())
        zerosOf.push_back(inSlot(k.add(column, at + blocks.zerosAt())));
    }
  }

  /// A unit of a panel is in one piece. Where all of it is there nothing else is asked; what is behind the last k has
  /// no factors but zeros.
  void copyWeights(const Place &at) override {
    Value panel = k.mul(at.tile, t.panels), offset = k.mul(k.div(at.k0, t.unit()), t.panelBytes());
    Value left = k.sub(panelBytes, offset), to = k.add(at.slot, chunkInSlot);
    Value from = k.gep(part.weights, k.add(k.mul(k.ext(panel), k.ext(panelBytes)), k.ext(k.add(offset, chunk))));
    constexpr unsigned kPiece = 32 * 16;
    auto copy = [&](llvm::function_ref<Value(unsigned, unsigned)> size) {
      for (unsigned q = 0; q < t.panels; ++q)
        for (unsigned first = 0; first < t.panelBytes(); first += kPiece) {
          Value source = k.gep(from, k.add(k.ext(k.mul(panelBytes, q)), k.c64(first)));
          Value slot = k.add(to, q * t.panelPitch() + first);
          if (first + kPiece > t.panelBytes())
            k.cpAsync16When(k.lt(chunk, t.panelBytes() - first), slot, source, size(q, first));
          else
            k.cpAsync16(k.sptr(slot), source, size(q, first));
        }
    };
    Value tileThere = k.lt(at.tile, tiles.end);
    Value whole = k.and_(k.cmp(Pred::sge, left, t.panelBytes()), k.cmp(Pred::sle, k.add(panel, t.panels), panels));
    k.ifElse(
        k.and_(tileThere, whole), {},
        [&]() -> Values {
          copy([&](unsigned, unsigned) { return k.c(16); });
          return {};
        },
        [&]() -> Values {
          copy([&](unsigned q, unsigned first) {
            Value there = k.and_(k.lt(k.add(chunk, first), left), k.lt(k.add(panel, q), panels));
            return sizeWhen(k.and_(tileThere, there));
          });
          return {};
        });
  }

  void multiply(Value slot, Value round, Values &sums) override {
    Values groupSums(inProduct() ? 0 : sums.size(), k.cf(0)), excess(raw() ? fragments * 4 : 0, k.cf(0)), scales, zeros;
    unsigned perGroup = std::max<int64_t>(blocks.group() / kStep, 1), perStep = inProduct() ? 2 : 1; // groups
    for (unsigned number = 0; number < t.unit() / kStep; ++number) {
      if (number % perGroup == 0) {
        scales.clear(), zeros.clear();
        for (unsigned own = 0; own < perStep; ++own) {
          unsigned block = number / perGroup * perStep + own;
          scales.append(blocks.scales(k.sptr(k.add(slot, scalesOf[block])), columns));
          if (blocks.hasZeros())
            zeros.append(blocks.zeros(k.sptr(k.add(slot, zerosOf[block])), columns));
        }
      }
      Values words = loadWords(slot, number);
      SmallVector<Values> left = rowFragments(slot, round, number);
      Values &into = inProduct() ? sums : groupSums;
      auto multiplyHalf = [&](unsigned half, const Values &w, unsigned each, unsigned j, Values &into) {
        for (unsigned f = 0; f < fragments; ++f) {
          unsigned place = (f * each + j) * 4;
          llvm::copy(k.mma(w, ArrayRef(left[f]).slice(half * 2, 2), ArrayRef(into).slice(place, 4), p.lhsType),
                     into.begin() + place);
        }
      };
      for (unsigned half = 0; half < 2; ++half) {
        for (unsigned j = 0; j < t.panels; ++j) {
          Values w(4);
          for (unsigned c = 0; c < 2; ++c)
            for (unsigned e = 0; e < 2; ++e)
              w[e * 2 + c] = weights(words, scales, zeros, number, half * 2 + e, j * 2 + c);
          multiplyHalf(half, w, t.panels, j, into);
        }
        if (raw()) {
          Values w(4);
          for (unsigned e = 0; e < 2; ++e)
            w[e * 2] = w[e * 2 + 1] = blocks.lessExcess(ownPair(number, half * 2 + e));
          multiplyHalf(half, w, 1, 0, excess);
        }
      }
      if (!inProduct() && (number + 1) % perGroup == 0)
        scaleInto(sums, groupSums, excess, scales);
    }
  }

private:
  /// Groups of 16 have other scales in each half of a step: the weights are multiplied by them, not sums.
  bool inProduct() const { return blocks.group() < kStep; }
  /// Of few rows it is quicker to multiply weights with what is too much in them, and that alone as well.
  bool raw() const { return fragments == 1 && !inProduct() && blocks.hasExcess(p.lhsType); }

  /// Adds a group's sums times the scales, and begins the next group.
  void scaleInto(Values &sums, Values &groupSums, Values &excess, ValueRange scales) {
    for (unsigned i = 0; i < sums.size(); ++i) {
      unsigned j = i / 4 % t.panels, c = i % 4 / 2, f = i / 4 / t.panels;
      Value sum = excess.empty() ? groupSums[i] : k.addf(groupSums[i], excess[f * 4 + i % 4]);
      sums[i] = k.fma(sum, scales[j * 2 + c], sums[i]);
      groupSums[i] = k.cf(0);
    }
    excess.assign(excess.size(), k.cf(0));
  }

  /// The words with the lane's eight k's of a step: one window's after the other, a word a column.
  Values loadWords(Value slot, unsigned number) {
    Values words;
    for (unsigned i = 0; i < windows; ++i) {
      int64_t first = number * kStep + i * order.window(), inside = first % blocks.group();
      Value at = k.sptr(k.add(slot, wordsOf[first / blocks.group()]));
      // Whole windows further: turned alike.
      for (Value word : k.loadElements(k.gep(at, inside / order.window() * order.rows() * kRowBytes), k.i32, columns))
        words.push_back(blocks.ownPart(word, third));
    }
    return words;
  }

  /// Which pair of its word has the lane's pair `pair` of four of a step; of longer windows the step has a part.
  unsigned ownPair(unsigned number, unsigned pair) const {
    return number * kStep % order.window() / 8 + pair % (4 / windows);
  }

  /// Two k's of a column: pair `pair` of the lane's four of a step.
  Value weights(ValueRange words, ValueRange scales, ValueRange zeros, unsigned number, unsigned pair, unsigned c) {
    unsigned window = pair / (4 / windows), header = (inProduct() ? window : 0) * columns + c;
    Value word = words[window * columns + c], zero = zeros.empty() ? Value() : zeros[header];
    unsigned own = ownPair(number, pair);
    if (raw())
      return blocks.withExcess(word, own);
    if (!inProduct())
      return blocks.pair(word, own, zero, p.lhsType);
    return blocks.scaledPair(word, own, zero, scales[header], p.lhsType);
  }

  static constexpr unsigned kRowBytes = kPanel * 4; // of words
  Blocks blocks;
  WordOrder order;
  unsigned columns; // of a lane
  unsigned windows; // of a step
  Value panelBytes;
  Value chunk, chunkInSlot;          // the lane's, of each piece of a copy
  Values wordsOf, scalesOf, zerosOf; // of each block of a unit, the lane's first in the slot
};

} // namespace

std::unique_ptr<Ring> kt::gpu::blockRing(KernelBuilder &k, const GemmProblem &p, const GemvTile &t,
                                         const GemvPart &part, const GemvTiles &tiles) {
  return std::make_unique<BlockRing>(k, p, t, part, tiles);
}
