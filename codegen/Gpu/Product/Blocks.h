//===- Blocks.h - weights of few bits in kernels --------------------------===//

#ifndef KT_CODEGEN_GPU_PRODUCT_BLOCKS_H
#define KT_CODEGEN_GPU_PRODUCT_BLOCKS_H

#include "codegen/Gpu/Product/Gemm.h"

namespace kt::gpu {

/// Reads #kt.blocks. Columns that come together are a power of two up to four, aligned; offsets are in bytes.
class Blocks {
public:
  Blocks(KernelBuilder &k, BlocksAttr format) : k(k), format(format) {}

  unsigned bits() const { return BlocksAttr(format).getBits(); }
  int64_t group() const { return BlocksAttr(format).getGroup(); }
  unsigned perWord() const { return BlocksAttr(format).perWord(); }
  int64_t blockBytes() const { return BlocksAttr(format).blockBytes(); }
  int64_t wordsAt() const { return BlocksAttr(format).wordsAt(); }
  bool hasZeros() const { return BlocksAttr(format).getZeros(); }
  int64_t zerosAt() const { return BlocksAttr(format).zerosAt(); }
  unsigned shiftOf(unsigned i) const { return BlocksAttr(format).shiftOf(i); }
  Type scale() const { return BlocksAttr(format).getScale(); }
  unsigned scaleBytes() const { return elementBytes(scale()); }

  /// From the weights, of depth `depth`, to a panel, and from a panel to the block of one of its k's.
  Value panelOffset(Value panel, Expr depth);
  Value blockOffset(Value kk) { return k.ext(k.mul(k.div(kk, group()), blockBytes())); }
  Value blockAt(Value weights, Value panel, Value kk, Expr depth) {
    return k.gep(weights, k.add(panelOffset(panel, depth), blockOffset(kk)));
  }
  WordOrder order() const { return BlocksAttr(format).order(); }
  /// The weight that word `row` of a column begins with, also counted from the first of several blocks.
  Value firstOf(Value row);
  /// Where the word of weight `inside` of a group is in its block, and where its bits begin in that word.
  Value wordOffset(Value inside);
  Value shiftOf(Value inside);

  /// Where a byte of blocks is in shared memory that in memory is `at` bytes behind the first one. Rows of words are 64
  /// bytes, and fragments' loads take two chunks of each of a window's four rows at a time, which are in different
  /// parts of a line of 128 bytes so. What is a multiple of 256 bytes further is turned alike.
  Value turned(Value at);
  /// What lane 4g + `third` of a fragment multiplies, from the lowest bit on, of a word that it may share with others.
  Value ownPart(Value word, Value third);

  /// From the first one's place on: scales in f32, and zero points as integers, of which there are none without
  /// `zeros`.
  Values scales(Value at, unsigned count);
  Values zeros(Value at, unsigned count);
  /// Those of a block's columns from `column` on.
  Values scalesOf(Value block, Value column, unsigned count);
  Values zerosOf(Value block, Value column, unsigned count);

  /// Weights 2 `pair` and 2 `pair` + 1 of a word without their zero point (null: the middle), as two of `type` in a
  /// register: exact.
  Value pair(Value word, unsigned pair, Value zero, Type type);
  /// The same in halves with more in them than they are, which is the same for all weights; and that with a minus sign.
  bool hasExcess(Type type) const { return type == k.f16 && !hasZeros() && !BlocksAttr(format).getFp8(); }
  Value withExcess(Value word, unsigned pair);
  Value lessExcess(unsigned pair);
  /// The same times a scale in f32, rounded once.
  Value scaledPair(Value word, unsigned pair, Value zero, Value scale, Type type);
  /// One weight, whose bits begin at `shift`, as f32.
  Value single(Value word, Value shift, Value zero);

private:
  Value halves(Value word, unsigned pair, Value zero);
  /// The lowest bit of a pair in its half of the word, or of two bytes of it.
  unsigned lowBit(unsigned pair) const { return bits() == 8 ? 0 : pair * bits() % 8; }
  Value upperBytes(Value word, unsigned pair);
  Value halvesOfFp8(Value word, unsigned pair);
  Value bfloats(Value word, unsigned pair, Value zero);
  /// Two of `type`, in a vector and as a register.
  Value splat(double value, Type type);
  Value asPair(Value register32, Type type) {
    return mlir::LLVM::BitcastOp::create(k.b, k.loc, k.vec(2, type), register32);
  }
  Value asRegister(Value pair) { return mlir::LLVM::BitcastOp::create(k.b, k.loc, k.i32, pair); }

  KernelBuilder &k;
  BlocksAttr format;
};

} // namespace kt::gpu

#endif
