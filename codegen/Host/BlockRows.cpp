//===- BlockRows.cpp - the micro-kernel over weights of few bits ----------===//

#include "codegen/Host/Blocks.h"
#include "codegen/Host/RowTile.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

/// Bytes between what is computed with and what is asked for: one stream of weights does not keep memory busy by
/// itself. Behind a panel comes the next one.
static constexpr int64_t kAhead = 3072;

namespace {

/// Blocks of the panels of a tile, and what is computed of them.
class BlockTile {
public:
  BlockTile(Emitter &e, const MicroKernelSpec &spec, const RowTile &tile, const RowArgs &args);
  SmallVector<Value> group(Value g, ValueRange sums);

private:
  /// Vector `v` of something that has one element a column, `at` bytes into a block.
  Value columns(int64_t v, Type element, Value at, Type to) {
    return e.loadVector(e.atBytes(starts[v / tile.perPanel()], at), element, e.idx(v % tile.perPanel() * tile.lanes),
                        tile.lanes, to);
  }
  void prefetch(Value at) {
    LLVM::Prefetch::create(e.b, e.loc, e.atBytes(at, e.idx(kAhead)), /*rw=*/0, /*hint=*/3, /*cache=*/1);
  }
  Value splat(uint32_t bits);
  Value number(Value word, unsigned field);
  SmallVector<Value> wordRow(Value row, Value place, ValueRange sums);

  Emitter &e;
  BlocksAttr blocks;
  const RowTile &tile;
  const RowArgs &args;
  Type f32;
  VectorType ints;
  int64_t chains;                    // independent sums of a group; 0: products are added to the sums at once
  SmallVector<Value> rows;           // pointers
  SmallVector<Value> starts, scales; // of the group at hand
};

BlockTile::BlockTile(Emitter &e, const MicroKernelSpec &spec, const RowTile &tile, const RowArgs &args)
    : e(e), blocks(spec.blocks), tile(tile), args(args), f32(e.b.getF32Type()),
      ints(VectorType::get(tile.lanes, e.b.getI32Type())) {
  // A group's sums are scaled at its end, where registers have room for them beside all other sums. Else each number
  // is, which many rows share.
  bool apart = 2 * tile.sums() <= tile.room;
  chains = apart ? std::max<int64_t>(1, 4 / tile.sums()) : 0;
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value slot = e.at(args.table, e.b.getI64Type(), e.idx(r));
    Value start = LLVM::LoadOp::create(e.b, e.loc, e.pointerType(), slot, 8);
    rows.push_back(e.at(start, f32, args.rowOffset));
  }
}

Value BlockTile::splat(uint32_t bits) {
  return arith::ConstantOp::create(e.b, e.loc, DenseElementsAttr::get(ints, APInt(32, bits)));
}

/// The weights whose bits begin at `field`, times 2^field; FP8 numbers are what they are.
Value BlockTile::number(Value word, unsigned field) {
  if (blocks.getFp8())
    return fromFp8(e, word, field);
  return e.op<arith::SIToFPOp>(tile.vector(), e.op<arith::AndIOp>(word, splat(blocks.mask() << field)));
}

/// Adds the products with a row of words; its first weight meets element `place` of the rows.
SmallVector<Value> BlockTile::wordRow(Value row, Value place, ValueRange in) {
  SmallVector<Value> sums(in), words;
  Value at = e.add(e.mul(row, e.idx(kPanel * 4)), e.idx(blocks.wordsAt()));
  for (int64_t v = 0; v < tile.vectors; ++v)
    words.push_back(columns(v, e.b.getI32Type(), at, e.b.getI32Type()));
  for (Value start : starts)
    prefetch(e.atBytes(start, at));
  for (unsigned upper = 0; upper < 2; ++upper) {
    for (Value &word : words)
      word = upper ? e.op<arith::ShRUIOp>(word, splat(16)) : word;
    for (unsigned i = upper; i < blocks.perWord(); i += 2) {
      SmallVector<Value> numbers;
      for (int64_t v = 0; v < tile.vectors; ++v) {
        numbers.push_back(number(words[v], blocks.shiftOf(i) % 16));
        if (!chains)
          numbers[v] = e.op<arith::MulFOp>(numbers[v], scales[v]);
      }
      int64_t chain = chains ? i / 2 % chains : 0;
      for (int64_t r = 0; r < tile.rows; ++r) {
        Value x = e.splat(e.load(rows[r], f32, e.add(place, e.idx(blocks.order().offsetOf(i)))), tile.lanes);
        for (int64_t v = 0; v < tile.vectors; ++v) {
          Value &sum = sums[chain * tile.sums() + r * tile.vectors + v];
          sum = LLVM::FMAOp::create(e.b, e.loc, x, numbers[v], sum);
        }
      }
    }
  }
  return sums;
}

/// The sums after group `g`.
SmallVector<Value> BlockTile::group(Value g, ValueRange before) {
  starts.clear();
  for (int64_t p = 0; p < tile.panels; ++p)
    starts.push_back(e.atBytes(p ? args.nextPanel : args.panel, e.mul(g, e.idx(blocks.blockBytes()))));
  for (Value start : starts)
    prefetch(start);
  scales.clear();
  for (int64_t v = 0; v < tile.vectors; ++v)
    scales.push_back(columns(v, blocks.getScale(), e.idx(0), f32));
  Value place = e.mul(g, e.idx(preparedGroup(blocks)));
  SmallVector<Value> inits(before);
  if (chains)
    inits.assign(chains * tile.sums(), e.constant(tile.vector(), 0));
  SmallVector<Value> sums = e.loop(e.idx(0), e.idx(blocks.wordRows()), e.idx(1), inits, [&](Value row, ValueRange in) {
    return wordRow(row, e.add(place, firstOf(e, blocks, row)), in);
  });
  for (int64_t chain = 1; chain < chains; ++chain)
    for (int64_t s = 0; s < tile.sums(); ++s)
      sums[s] = e.op<arith::AddFOp>(sums[s], sums[chain * tile.sums() + s]);
  sums.truncate(tile.sums());
  // The zero point of a column is what all values of a row are multiplied by too much.
  Type byte = IntegerType::get(e.b.getContext(), 8, IntegerType::Unsigned);
  for (int64_t v = 0; v < tile.vectors && !blocks.getFp8(); ++v) {
    Value less = e.constant(tile.vector(), -(double)blocks.middle());
    if (blocks.getZeros())
      less = e.op<arith::NegFOp>(columns(v, byte, e.idx(blocks.zerosAt()), f32));
    if (!chains)
      less = e.op<arith::MulFOp>(less, scales[v]);
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value x = e.splat(e.load(rows[r], f32, e.add(place, e.idx(blocks.getGroup()))), tile.lanes);
      Value &sum = sums[r * tile.vectors + v];
      sum = LLVM::FMAOp::create(e.b, e.loc, x, less, sum);
    }
  }
  if (chains)
    for (int64_t s = 0; s < tile.sums(); ++s)
      sums[s] = LLVM::FMAOp::create(e.b, e.loc, sums[s], scales[s % tile.vectors], before[s]);
  return sums;
}

} // namespace

void kt::codegen::host::emitBlockRows(Emitter &e, const MicroKernelSpec &spec, const RowTile &tile,
                                      const RowArgs &args) {
  BlockTile blocks(e, spec, tile, args);
  SmallVector<Value> sums = e.loop(e.idx(0), args.depth, e.idx(1), tile.begin(e, args.out, args.ld, args.accumulate),
                                   [&](Value g, ValueRange in) { return blocks.group(g, in); });
  tile.store(e, sums, args.out, args.ld);
}
