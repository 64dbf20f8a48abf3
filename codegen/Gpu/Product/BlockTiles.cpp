//===- BlockTiles.cpp - weights of few bits in tiles of a slab ------------===//
//
// Weights are widened between their loads and shared memory, where they lie as the right side's rows along k: a word is
// a column's, so that eight of its weights are a chunk. For CUDA cores four columns of one k come at a time.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Blocks.h"
#include "codegen/Gpu/Product/CudaCore.h"
#include "codegen/Gpu/Product/TileSources.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

/// A thread's share are pieces of four columns and as many k's as a word or a chunk has, whichever is more.
class BlockRows : public TileSource {
public:
  BlockRows(KernelBuilder &k, unsigned columns, unsigned bk, unsigned threads, Value base, Value firstColumn,
            const GemmProblem &p)
      : k(k), p(p), blocks(k, p.blocks), bk(bk), deep(std::max(8u, blocks.perWord())), threads(threads),
        pieces(columns / 4 * (bk / deep)), base(base) {
    count = llvm::divideCeil(pieces, threads), tileBytes = columns * bk * 2;
    lookahead = 1;
    stagedBytes = std::max(pieces, threads) * MmaTile::stagedPiece(p.weightForm());
    firstPanel = k.shr(firstColumn, 4), panels = k.shr(k.add(k.size(p.n), 15), 4);
  }
  Values start(Value k0) override { return {k0}; }
  Values advance(ValueRange s) override { return {k.add(s[0], bk)}; }
  void beginSlab(ValueRange s) override { k0 = s[0]; }

  Values fetch(unsigned i) override {
    Source at = source(i);
    // As they come, since what is computed of them here would wait for them.
    Type word = k.vec(4, k.i32), scales = k.vec(blocks.scaleBytes(), k.i32);
    SmallVector<Type> types(loads(), word);
    types.push_back(scales);
    if (blocks.hasZeros())
      types.push_back(k.i32);
    return k.ifElse(
        at.there, types,
        [&]() -> Values {
          Values all;
          for (Value words : at.words)
            all.push_back(k.load(words, word, 16));
          all.push_back(k.load(k.at(at.block, at.column, blocks.scaleBytes()), scales, 4 * blocks.scaleBytes()));
          if (blocks.hasZeros())
            all.push_back(k.load(k.gep(k.at(at.block, at.column, 1), blocks.zerosAt()), k.i32, 4));
          return all;
        },
        [&]() -> Values {
          Values all;
          for (Type type : types)
            all.push_back(k.zero(type));
          return all;
        });
  }

  /// Words, then the sixteen bytes that the scales are in, then those of the zero points.
  void stage(unsigned i, Value slot) override {
    Source at = source(i);
    Value size = k.sel(at.there, k.c(16), k.c(0));
    for (auto [l, words] : llvm::enumerate(at.words))
      k.cpAsync16(k.sptr(k.add(slot, own(i, l))), words, size);
    Value scales = k.and_(k.mul(at.column, blocks.scaleBytes()), -16);
    k.cpAsync16(k.sptr(k.add(slot, own(i, loads()))), k.gep(at.block, k.ext(scales)), size);
    if (blocks.hasZeros())
      k.cpAsync16(k.sptr(k.add(slot, own(i, loads() + 1))), k.gep(at.block, blocks.zerosAt()), size);
  }

  Values staged(unsigned i, Value slot) override {
    Value column = piece(i).column;
    Values all;
    for (unsigned l = 0; l < loads(); ++l)
      all.push_back(k.load(k.sptr(k.add(slot, own(i, l))), k.vec(4, k.i32), 16));
    Value scales = k.and_(k.mul(column, blocks.scaleBytes()), 15);
    all.push_back(k.load(k.sptr(k.add(k.add(slot, own(i, loads())), scales)), k.vec(blocks.scaleBytes(), k.i32),
                         4 * blocks.scaleBytes()));
    if (blocks.hasZeros())
      all.push_back(k.load(k.sptr(k.add(k.add(slot, own(i, loads() + 1)), column)), k.i32, 4));
    return all;
  }

  void put(unsigned i, Value slot, ValueRange fetched) override {
    Piece at = piece(i);
    Type scale = blocks.scale();
    Value four = LLVM::BitcastOp::create(k.b, k.loc, k.vec(4, scale), fetched[loads()]);
    Values scales, zeros;
    for (unsigned c = 0; c < 4; ++c) {
      scales.push_back(k.convert(LLVM::ExtractElementOp::create(k.b, k.loc, four, k.c(c)), k.f32));
      if (blocks.hasZeros())
        zeros.push_back(k.and_(k.shr(fetched[loads() + 1], c * 8), 255));
    }
    auto store = [&] {
      for (unsigned c = 0; c < 4; ++c) {
        Value row = k.add(k.add(k.shl(at.panel, 4), at.column), c);
        for (unsigned chunk = 0; chunk < deep / 8; ++chunk) {
          Values pairs;
          for (unsigned pair = 0; pair < 4; ++pair) {
            unsigned number = chunk * 8 + pair * 2, load = number / blocks.perWord();
            Value word = LLVM::ExtractElementOp::create(k.b, k.loc, fetched[load], k.c(c));
            pairs.push_back(blocks.scaledPair(word, number % blocks.perWord() / 2, zeros.empty() ? Value() : zeros[c],
                                              scales[c], p.lhsType));
          }
          Value place = swizzle(k, bk / 8, row, k.add(k.shr(at.k, 3), chunk));
          k.storeElements(pairs, k.sptr(k.add(slot, place)));
        }
      }
    };
    if (pieces % threads)
      k.ifThen(k.lt(k.add(k.tid(), i * threads), pieces), store);
    else
      store();
  }

private:
  struct Piece {
    Value panel, column, k; // within the tile
  };
  /// Lanes side by side have different k's of the same columns, whose chunks are in different banks.
  Piece piece(unsigned i) {
    Value number = k.add(k.tid(), i * threads), across = k.div(number, bk / deep);
    return {k.shr(across, 2), k.shl(k.and_(across, 3), 2), k.mul(k.rem(number, bk / deep), deep)};
  }
  unsigned loads() const { return deep / blocks.perWord(); }

  /// Where a piece is in memory, if it is there.
  struct Source {
    Value there, block, column;
    Values words;
  };
  Source source(unsigned i) {
    Piece at = piece(i);
    Value panel = k.add(firstPanel, at.panel), from = k.add(k0, at.k), inside = k.rem(from, blocks.group());
    Source source;
    source.column = at.column;
    source.there = k.and_(k.lt(panel, panels), k.lt(from, k.size(p.k)));
    if (pieces % threads)
      source.there = k.and_(source.there, k.lt(k.add(k.tid(), i * threads), pieces));
    source.block = blocks.blockAt(base, panel, from, p.k);
    for (unsigned l = 0; l < loads(); ++l) {
      Value offset = k.add(blocks.wordOffset(k.add(inside, l * blocks.perWord())), k.shl(at.column, 2));
      source.words.push_back(k.gep(source.block, k.ext(offset)));
    }
    return source;
  }
  /// A thread's part `part` of chunk `i` in a slab that is staged: lanes side by side.
  Value own(unsigned i, unsigned part) {
    unsigned parts = MmaTile::stagedPiece(p.weightForm()) / 16;
    return k.add(k.mul(k.tid(), 16), (i * parts + part) * threads * 16);
  }

  KernelBuilder &k;
  const GemmProblem &p;
  Blocks blocks;
  unsigned bk, deep, threads, pieces;
  Value base, firstPanel, panels, k0;
};

class BlockFetch : public SlabFetch {
public:
  BlockFetch(KernelBuilder &k, const GemmProblem &p, Value base) : SlabFetch(k), p(p), blocks(k, p.blocks), base(base) {
    type = k.f32, alongK = false, vector = true;
    padded = k.and_(k.add(k.size(p.n), 15), -16);
  }
  Value valid(Value row, Value kk) override { return k.and_(k.lt(row, padded), k.lt(kk, k.size(p.k))); }
  Values four(Value row, Value kk) override {
    Value column = k.and_(row, 15), inside = k.rem(kk, blocks.group());
    Value header = blocks.blockAt(base, k.shr(row, 4), kk, p.k);
    Value offset = k.add(blocks.wordOffset(inside), k.shl(column, 2)), shift = blocks.shiftOf(inside);
    Values scales = blocks.scalesOf(header, column, 4), zeros = blocks.zerosOf(header, column, 4), all;
    for (auto [c, word] : llvm::enumerate(k.loadElements(k.gep(header, k.ext(offset)), k.i32, 4)))
      all.push_back(k.mulf(blocks.single(word, shift, zeros.empty() ? Value() : zeros[c]), scales[c]));
    return all;
  }

private:
  const GemmProblem &p;
  Blocks blocks;
  Value base, padded;
};

} // namespace

std::unique_ptr<TileSource> kt::gpu::blockRows(KernelBuilder &k, unsigned columns, unsigned bk, unsigned threads,
                                               Value base, Value firstColumn, const GemmProblem &p) {
  return std::make_unique<BlockRows>(k, columns, bk, threads, base, firstColumn, p);
}

std::unique_ptr<SlabFetch> kt::gpu::blockFetch(KernelBuilder &k, const GemmProblem &p, Value base) {
  return std::make_unique<BlockFetch>(k, p, base);
}
