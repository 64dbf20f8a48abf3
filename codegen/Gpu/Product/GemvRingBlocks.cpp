//===- GemvRingBlocks.cpp - rings of weights of few bits ------------------===//
//
// A slot has the words of a unit, two rows of words a line of 128 bytes, then the headers of the unit's blocks. Lane 4g
// + t has the g-th of eight groups of columns and the t-th words of a window, so that nothing is exchanged. Sums of a
// group are multiplied by its scales in single precision; groups of 16, of which a step of 32 k's has two, have their
// weights multiplied before.
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
        perWord(blocks.perWord()), windows(std::max<int64_t>(kStep / order.window(), 1)),
        panelWords(t.unit() / perWord * kRowBytes), region(t.headers() * blocks.blockBytes()) {
    panelBytes = k.size(BlocksAttr(p.blocks).panelBytes(p.k));
    for (unsigned first = 0; first * 16 < region * t.panels; first += 32)
      pieces.push_back(pieceAt(k.add(lane, first)));
    unsigned groups = 8 / t.panels; // of lanes that share a panel
    Value panel = k.div(group, groups), column = k.mul(k.rem(group, groups), columns);
    for (unsigned i = 0; i < windows; ++i) {
      Value row = k.add(k.div(third, order.lanes()), i * order.rows());
      Value inRow = k.add(blocks.chunkOffset(row, k.shr(column, 2)), k.shl(k.and_(column, 3), 2));
      wordsInSlot.push_back(k.add(inRow, k.mul(panel, panelWords)));
    }
    unsigned scaleBytes = blocks.scaleBytes();
    scalesInSlot = k.add(k.mul(panel, t.headers() * t.form.headerBytes), t.weightBytes());
    zerosInSlot = k.add(k.add(scalesInSlot, column), kPanel * scaleBytes);
    scalesInSlot = k.add(scalesInSlot, k.mul(column, scaleBytes));
  }

  /// A unit of a panel is in one piece. Where all of it is there nothing else is asked; what is behind the last k has
  /// no factors but zeros.
  void copyWeights(const Place &at) override {
    Value panel = k.mul(at.tile, t.panels), offset = k.mul(k.div(at.k0, t.unit()), region);
    Value left = k.sub(panelBytes, offset);
    Value from = k.gep(part.weights, k.add(k.mul(k.ext(panel), k.ext(panelBytes)), k.ext(offset)));
    auto copy = [&](llvm::function_ref<Value(const Piece &)> size) {
      for (auto [i, piece] : llvm::enumerate(pieces)) {
        Value to = k.add(at.slot, piece.to), source = k.gep(from, k.ext(piece.from));
        if ((i + 1) * 512 > region * t.panels)
          k.cpAsync16When(k.lt(lane, region * t.panels / 16 - i * 32), to, source, size(piece));
        else
          k.cpAsync16(k.sptr(to), source, size(piece));
      }
    };
    Value tileThere = k.lt(at.tile, tiles.end);
    Value whole = k.and_(k.cmp(Pred::sge, left, region), k.cmp(Pred::sle, k.add(panel, t.panels), panels));
    k.ifElse(
        k.and_(tileThere, whole), {},
        [&]() -> Values {
          copy([&](const Piece &) { return k.c(16); });
          return {};
        },
        [&]() -> Values {
          copy([&](const Piece &piece) {
            Value there = k.and_(k.lt(piece.inPanel, left), k.lt(k.add(panel, piece.panel), panels));
            return sizeWhen(k.and_(tileThere, there));
          });
          return {};
        });
  }

  void multiply(Value slot, Value round, Values &sums) override {
    Values groupSums(inProduct() ? 0 : sums.size(), k.cf(0)), scales, zeros, bases;
    for (Value words : wordsInSlot)
      bases.push_back(k.sptr(k.add(slot, words)));
    Value scalesAt = k.sptr(k.add(slot, scalesInSlot)), zerosAt = k.sptr(k.add(slot, zerosInSlot));
    unsigned perGroup = std::max<int64_t>(blocks.group() / kStep, 1), perStep = inProduct() ? 2 : 1; // groups
    for (unsigned number = 0; number < t.unit() / kStep; ++number) {
      if (number % perGroup == 0) {
        scales.clear(), zeros.clear();
        for (unsigned own = 0; own < perStep; ++own) {
          unsigned header = (number / perGroup * perStep + own) * t.form.headerBytes;
          scales.append(blocks.scales(k.gep(scalesAt, header), columns));
          zeros.append(blocks.zeros(k.gep(zerosAt, header), columns));
        }
      }
      Values words = loadWords(bases, number);
      SmallVector<Values> left = rowFragments(slot, round, number);
      Values &into = inProduct() ? sums : groupSums;
      for (unsigned half = 0; half < 2; ++half)
        for (unsigned j = 0; j < t.panels; ++j) {
          Values w(4);
          for (unsigned c = 0; c < 2; ++c)
            for (unsigned e = 0; e < 2; ++e)
              w[e * 2 + c] = weights(words, scales, zeros, number, half * 2 + e, j * 2 + c);
          for (unsigned f = 0; f < fragments; ++f) {
            unsigned place = (f * t.panels + j) * 4;
            llvm::copy(k.mma(w, ArrayRef(left[f]).slice(half * 2, 2), ArrayRef(into).slice(place, 4), p.lhsType),
                       into.begin() + place);
          }
        }
      if (!inProduct() && (number + 1) % perGroup == 0)
        scaleInto(sums, groupSums, scales);
    }
  }

private:
  static constexpr unsigned kRowBytes = kPanel * 4; // of words

  /// Whether weights are multiplied by their scales rather than sums: where groups are shorter than a product.
  bool inProduct() const { return blocks.group() < kStep; }

  /// Adds a group's sums times the scales, and begins the next group.
  void scaleInto(Values &sums, Values &groupSums, ValueRange scales) {
    for (unsigned i = 0; i < sums.size(); ++i) {
      unsigned j = i / 4 % t.panels, c = i % 4 / 2;
      sums[i] = k.fma(groupSums[i], scales[j * 2 + c], sums[i]);
      groupSums[i] = k.cf(0);
    }
  }

  /// Sixteen bytes of a unit: of which panel, where in it, where from the unit's begin in memory, and in the slot.
  struct Piece {
    Value panel, inPanel, from, to;
  };
  Piece pieceAt(Value chunk) {
    Piece piece;
    piece.panel = k.div(chunk, region / 16);
    piece.inPanel = k.mul(k.rem(chunk, region / 16), 16);
    piece.from = k.add(k.mul(piece.panel, panelBytes), piece.inPanel);
    Value block = k.div(piece.inPanel, blocks.blockBytes()), inside = k.rem(piece.inPanel, blocks.blockBytes());
    Value header = k.add(k.mul(k.add(k.mul(piece.panel, t.headers()), block), t.form.headerBytes), t.weightBytes());
    Value word = k.sub(inside, t.form.headerBytes);
    Value row = k.add(k.mul(block, blocks.group() / perWord), k.shr(word, 6));
    Value words = k.add(blocks.chunkOffset(row, k.and_(k.shr(word, 4), 3)), k.mul(piece.panel, panelWords));
    piece.to = k.sel(k.lt(inside, t.form.headerBytes), k.add(header, inside), words);
    return piece;
  }

  /// The words with the lane's eight k's of a step: one window's after the other, a word a column.
  Values loadWords(ValueRange bases, unsigned number) {
    Values words;
    int64_t row = number * kStep / order.window() * order.rows();
    for (Value base : bases) {
      Values some = k.loadElements(k.gep(base, row * kRowBytes), k.i32, columns);
      for (Value word : some)
        words.push_back(blocks.ownPart(word, third));
    }
    return words;
  }

  /// Two k's of a column: pair `pair` of the lane's four of a step.
  Value weights(ValueRange words, ValueRange scales, ValueRange zeros, unsigned number, unsigned pair, unsigned c) {
    unsigned perWindow = 4 / windows, window = pair / perWindow, header = (inProduct() ? window : 0) * columns + c;
    Value word = words[window * columns + c], zero = zeros.empty() ? Value() : zeros[header];
    // Of longer windows the step has a part.
    unsigned own = number * kStep % order.window() / 8 + pair % perWindow;
    if (!inProduct())
      return blocks.pair(word, own, zero, p.lhsType);
    return blocks.scaledPair(word, own, zero, scales[header], p.lhsType);
  }

  Blocks blocks;
  WordOrder order;
  unsigned columns; // of a lane
  unsigned perWord;
  unsigned windows; // of a step
  unsigned panelWords;
  unsigned region; // bytes of a panel's unit
  SmallVector<Piece> pieces;
  Values wordsInSlot; // of each row of words that has some of the lane's k's
  Value panelBytes, scalesInSlot, zerosInSlot;
};

} // namespace

std::unique_ptr<Ring> kt::gpu::blockRing(KernelBuilder &k, const GemmProblem &p, const GemvTile &t,
                                         const GemvPart &part, const GemvTiles &tiles) {
  return std::make_unique<BlockRing>(k, p, t, part, tiles);
}
