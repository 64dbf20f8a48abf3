//===- BlockTiles.cpp - weights of few bits in tiles of a slab ------------===//
//
// For tensor cores slabs in shared memory are what lies in memory: who multiplies the weights makes halves of them, in
// registers, since their way through shared memory as halves would take its time from the products. So they are the
// left factor, whose fragments warpgroups, too, take from registers. For CUDA cores four columns of one k come at a
// time.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Blocks.h"
#include "codegen/Gpu/Product/CudaCore.h"
#include "codegen/Gpu/Product/TileSources.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

/// Where the parts of a slab are: of each panel its rows of words, 64 bytes each, then its headers.
class Slab {
public:
  Slab(KernelBuilder &k, const MmaTile &t, const GemmProblem &p)
      : k(k), blocks(k, p.blocks), panelWords(t.wordBytes() / (t.bn / kPanel)), words(t.wordBytes()),
        headers(t.headers()), headerBytes(t.form.headerBytes) {}

  Value chunkAt(Value panel, Value row, Value chunk) {
    return k.add(k.mul(panel, panelWords), blocks.turned(k.add(k.shl(row, 6), k.shl(chunk, 4))));
  }
  Value headerAt(Value panel, unsigned number) {
    return k.add(k.mul(panel, headers * headerBytes), words + number * headerBytes);
  }

  KernelBuilder &k;
  Blocks blocks;
  const unsigned panelWords; // bytes
  const unsigned words;      // of all panels
  const unsigned headers, headerBytes;
};

/// A thread's share are chunks of words, then chunks of headers. Where a chunk is in memory is a place that is the same
/// for all of a slab's and one that is the same in all slabs.
class BlockSlabs : public TileSource {
public:
  BlockSlabs(KernelBuilder &k, const MmaTile &t, const Copiers &by, Value base, Value firstColumn, const GemmProblem &p)
      : k(k), by(by), base(base), blocks(k, p.blocks), slab(k, t, p), bk(t.bk), wordChunks(slab.words / 16),
        headerChunks(t.bn / kPanel * slab.headers * slab.headerBytes / 16), depth(p.k) {
    count = wordCopies() + llvm::divideCeil(headerChunks, by.count);
    tileBytes = t.blocksBytes();
    firstPanel = k.shr(firstColumn, 4), panels = k.shr(k.add(k.size(p.n), 15), 4);
    groups = k.size(BlocksAttr(p.blocks).groupsOf(p.k));
    unsigned ofHeaders = slab.headers * slab.headerBytes / 16;
    for (unsigned i = 0; i < count; ++i)
      chunks.push_back(i < wordCopies() ? chunkOf(i, slab.panelWords / 16, slab.panelWords, true)
                                        : chunkOf(i, ofHeaders, ofHeaders * 16, false));
  }
  Values start(Value k0) override { return {k0}; }
  Values advance(ValueRange s) override { return {k.add(s[0], bk)}; }
  void beginSlab(ValueRange s) override {
    group = k.div(s[0], blocks.group());
    header = k.mul(group, blocks.blockBytes());
    words = header;
    if (blocks.group() > bk) // a part of a block
      words = k.add(header, k.shl(k.div(k.rem(s[0], blocks.group()), blocks.perWord()), 6));
  }

  void put(unsigned i, Value slot, ValueRange) override {
    const Chunk &chunk = chunks[i];
    Value size = k.sel(k.lt(group, chunk.groups), k.c(16), k.c(0));
    Value to = k.add(slot, chunk.to), source = k.gep(chunk.from, k.ext(i < wordCopies() ? words : header));
    unsigned all = i < wordCopies() ? wordChunks : headerChunks;
    if (all % by.count)
      k.cpAsync16When(k.lt(numberOf(i), all), to, source, size);
    else
      k.cpAsync16(k.sptr(to), source, size);
  }

private:
  struct Chunk {
    Value from;   // of the first slab of the panel
    Value to;     // in the slab
    Value groups; // of the panel, from the one that it is of in the first slab on
  };

  /// Copy number `i`, of panels that have `perPanel` chunks in a slab, `bytes` of it.
  Chunk chunkOf(unsigned i, unsigned perPanel, unsigned bytes, bool isWords) {
    unsigned first = isWords ? 0 : wordCopies();
    if (i > first && by.count % perPanel == 0) {
      // The same chunk of a panel further on.
      unsigned further = (i - first) * (by.count / perPanel);
      const Chunk &chunk = chunks[first];
      Value panel = k.add(k.add(firstPanel, k.div(by.thread, perPanel)), further);
      return {k.gep(chunk.from, blocks.panelOffset(k.c(further), depth)), k.add(chunk.to, further * bytes),
              k.sel(k.lt(panel, panels), chunk.groups, k.c(0))};
    }
    Value number = numberOf(i), panel = k.div(number, perPanel), inside = k.rem(number, perPanel), block, at, to;
    if (isWords) {
      unsigned rows = blocks.group() / blocks.perWord();
      Value row = k.shr(inside, 2), chunk = k.and_(inside, 3);
      block = rows * blocks.perWord() < bk ? k.div(row, rows) : k.c(0);
      at = k.add(k.add(k.shl(k.rem(row, std::min(rows, bk / blocks.perWord())), 6), k.shl(chunk, 4)), blocks.wordsAt());
      to = slab.chunkAt(panel, row, chunk);
    } else {
      unsigned each = slab.headerBytes / 16;
      block = k.div(inside, each), at = k.shl(k.rem(inside, each), 4), to = k.add(k.shl(number, 4), slab.words);
    }
    panel = k.add(firstPanel, panel);
    Value from =
        k.gep(base, k.add(blocks.panelOffset(panel, depth), k.ext(k.add(k.mul(block, blocks.blockBytes()), at))));
    // Panels that are not there have no groups.
    return {from, to, k.sel(k.lt(panel, panels), k.sub(groups, block), k.c(0))};
  }
  unsigned wordCopies() const { return llvm::divideCeil(wordChunks, by.count); }
  Value numberOf(unsigned i) { return k.add(by.thread, (i < wordCopies() ? i : i - wordCopies()) * by.count); }

  KernelBuilder &k;
  Copiers by;
  Value base;
  Blocks blocks;
  Slab slab;
  unsigned bk, wordChunks, headerChunks;
  Expr depth;
  Value firstPanel, panels, groups;
  Value group, header, words; // of the slab at hand: its first block, and where its headers and words are
  SmallVector<Chunk> chunks;
};

/// A warp has whole panels. Of a panel's fragment rows g and g + 8 are columns 2g and 2g + 1, whose words are
/// neighbours.
class BlockFragments : public LeftFragments {
public:
  BlockFragments(KernelBuilder &k, const MmaTile &t, unsigned at, const GemmProblem &p)
      : k(k), t(t), p(p), blocks(k, p.blocks), slab(k, t, p) {
    Value lane = k.and_(k.tid(), 31), column = k.shl(k.shr(lane, 2), 1);
    third = k.and_(lane, 3), panel = k.mul(k.rem(k.shr(k.tid(), 5), t.warpCols), t.mi());
    // Of a window's first row, whose other rows are whole lines further.
    words = k.add(slab.chunkAt(panel, k.div(third, blocks.order().lanes()), k.shr(column, 2)),
                  k.add(k.shl(k.and_(column, 2), 2), at));
    scales = k.add(k.add(slab.headerAt(panel, 0), k.mul(column, blocks.scaleBytes())), at);
    zeros = k.add(k.add(slab.headerAt(panel, 0), column), blocks.zerosAt() + at);
  }

  /// Of each panel two words, two scales and two zero points, if there are some.
  Values fetch(Value slot, unsigned step) override {
    WordOrder order = blocks.order();
    unsigned depth = step * 16, row = depth / order.window() * order.rows(), header = depth / blocks.group();
    Value wordsAt = k.sptr(k.add(slot, words)), scalesAt = k.sptr(k.add(slot, scales)),
          zerosAt = k.sptr(k.add(slot, zeros));
    Values fetched;
    for (unsigned i = 0; i < t.mi(); ++i) {
      unsigned headerAt = (i * slab.headers + header) * slab.headerBytes;
      fetched.append(k.loadElements(k.gep(wordsAt, i * slab.panelWords + row * 64), k.i32, 2));
      fetched.append(blocks.scales(k.gep(scalesAt, headerAt), 2));
      fetched.append(blocks.zeros(k.gep(zerosAt, headerAt), 2));
    }
    return fetched;
  }

  SmallVector<Values> make(ValueRange fetched, unsigned step) override {
    unsigned pair = step * 16 % blocks.order().window() / 8, each = fetched.size() / t.mi();
    SmallVector<Values> all;
    for (unsigned i = 0; i < t.mi(); ++i) {
      ValueRange both = fetched.slice(i * each, 2), scale = fetched.slice(i * each + 2, 2),
                 zero = fetched.slice(i * each + 4, each - 4);
      Values fragment;
      for (unsigned half = 0; half < 2; ++half)
        for (unsigned c = 0; c < 2; ++c) {
          fragment.push_back(blocks.scaledPair(blocks.ownPart(both[c], third), pair + half,
                                               zero.empty() ? Value() : zero[c], scale[c], p.lhsType));
        }
      all.push_back(fragment);
    }
    return all;
  }

private:
  KernelBuilder &k;
  const MmaTile &t;
  const GemmProblem &p;
  Blocks blocks;
  Slab slab;
  Value third, panel, words, scales, zeros;
};

/// Of words of 8 bits for products of integers: less their middle they are fragments, two windows of 16 k's a step.
class IntegerFragments : public LeftFragments {
public:
  IntegerFragments(KernelBuilder &k, const MmaTile &t, unsigned at, const GemmProblem &p) : k(k), t(t), slab(k, t, p) {
    Value lane = k.and_(k.tid(), 31), column = k.shl(k.shr(lane, 2), 1);
    Value panel = k.mul(k.rem(k.shr(k.tid(), 5), t.warpCols), t.mi());
    words = k.add(slab.chunkAt(panel, k.and_(lane, 3), k.shr(column, 2)), k.add(k.shl(k.and_(column, 2), 2), at));
  }

  Values fetch(Value slot, unsigned step) override {
    constexpr unsigned kWindowBytes = 4 * kPanel * 4;
    Value from = k.sptr(k.add(slot, words));
    Values fetched;
    for (unsigned i = 0; i < t.mi(); ++i)
      for (unsigned half = 0; half < 2; ++half)
        fetched.append(k.loadElements(k.gep(from, i * slab.panelWords + (step * 2 + half) * kWindowBytes), k.i32, 2));
    return fetched;
  }

  SmallVector<Values> make(ValueRange fetched, unsigned step) override {
    SmallVector<Values> all(t.mi());
    for (auto [i, word] : llvm::enumerate(fetched))
      all[i / 4].push_back(k.xor_(word, k.c((int32_t)0x80808080)));
    return all;
  }

private:
  KernelBuilder &k;
  const MmaTile &t;
  Slab slab;
  Value words;
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

std::unique_ptr<TileSource> kt::gpu::blockSlabs(KernelBuilder &k, const MmaTile &t, const Copiers &by, Value base,
                                                Value firstColumn, const GemmProblem &p) {
  return std::make_unique<BlockSlabs>(k, t, by, base, firstColumn, p);
}

std::unique_ptr<LeftFragments> kt::gpu::blockFragments(KernelBuilder &k, const MmaTile &t, unsigned at,
                                                       const GemmProblem &p) {
  if (t.elementBytes == 1)
    return std::make_unique<IntegerFragments>(k, t, at, p);
  return std::make_unique<BlockFragments>(k, t, at, p);
}

std::unique_ptr<SlabFetch> kt::gpu::blockFetch(KernelBuilder &k, const GemmProblem &p, Value base) {
  return std::make_unique<BlockFetch>(k, p, base);
}
