//===- FlashTiles.h - what tensor-core attention kernels share ------------===//
//
// Tiles of 16-byte chunks in shared memory, their rows a power of two apart and swizzled, and the step of a softmax
// that takes the scores of a block of keys into what the keys before have come to.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_ATTENTION_FLASHTILES_H
#define KT_CODEGEN_GPU_ATTENTION_FLASHTILES_H

#include "codegen/Gpu/Attention/Attention.h"

namespace kt::gpu {

constexpr unsigned kKeys = 64; // a block of keys
constexpr double kLog2e = 1.4426950408889634;

inline unsigned padTo16(int64_t n) { return (n + 15) / 16 * 16; }
/// 16-byte chunks between two rows of a tile: a power of two, so that the swizzle stays inside.
unsigned rowChunks(int64_t n, int64_t elementBytes = 2);

/// Scores may be so low that log2(e) times one is no number any more, and with it its distance from another.
bool mayBeLowest(AttentionOp op);
/// The positive number that scores are multiplied with, if that is all that is done to them.
std::optional<double> plainScale(AttentionOp op);

/// Rows of a head in global memory.
struct HeadRows {
  Value base;
  Type element;
  Expr rowStride, columnStride;
  Value rows;      // those from here on are zeros
  int64_t columns; // d or e
  Value before;    // the number of the row at the base; null: 0
  Value first;     // those before are zeros too; null: none
};
/// Those of a head in a factor's buffer; of such as lie in pages the ones of `page`, which has row `first`.
HeadRows headRows(KernelBuilder &k, Value buffer, ArrayRef<Expr> strides, Value b, Value h, Value rows, int64_t columns,
                  Value page = {}, Value first = {});
/// Copies `count` rows from `first` on into shared memory at `slot`, `chunks` between two of them: by asynchronous
/// copies, which nobody has waited for yet, where all is `aligned` and the tile's elements, of `type`, are those in
/// memory. Integers of 8 bits may become the numbers that they are in half precision.
void copyRows(KernelBuilder &k, const HeadRows &from, Type type, Value first, unsigned count, Value slot,
              unsigned chunks, bool aligned);

/// A block of keys and its values in shared memory: chunks between two keys and between two values, and bytes from the
/// first key to the first value.
struct KeyTile {
  unsigned chunksD, chunksE, bytesK;
};
/// The keys and values of a batch and a head of keys, in one piece of memory or, for kernels that are `paged`, in
/// pages, each block of `blockKeys` in one.
class KeysAndValues {
public:
  /// Those from `end` on count as zeros, as do those before `begin` (null: none).
  KeysAndValues(KernelBuilder &k, const AttentionProblem &p, Value b, Value g, Value begin, Value end,
                unsigned blockKeys, bool paged);
  /// Where the block from j on is; null without pages.
  Value pageOf(Value j) const { return pageOfKeys(k, p, b, j, end); }
  /// Copies the block from j on, in this page, to `slot`: by asynchronous copies, whose group the caller closes, where
  /// all is `aligned`.
  void copy(Value j, Value page, Type type, Value slot, const KeyTile &tile, bool aligned);

private:
  HeadRows rowsOf(bool ofValues, Value page, Value j) const;
  KernelBuilder &k;
  const AttentionProblem &p;
  Value b, g, begin, end;
  unsigned blockKeys;
  HeadRows keys, values; // those in one piece
};

/// The least that scales of values are seen in terms of: what they are divided by is never zero.
constexpr double kLeastScale = 1e-30;

/// Two floats as one register of halves.
Value packHalves(KernelBuilder &k, Type type, Value x, Value y);

/// The running maxima and sums of exponentials of the two rows that a thread has scores of.
struct RunningRows {
  Value most[2], sum[2];
};
/// Takes in scores in accumulator tiles of 16x8, which become exponentials. Answers for each row what has been summed
/// up before has to be multiplied with. `toPower` makes exponents of two of scores.
Values takeScores(KernelBuilder &k, mlir::MutableArrayRef<Value> scores, RunningRows &rows, Value toPower, bool lowest);

} // namespace kt::gpu

#endif
