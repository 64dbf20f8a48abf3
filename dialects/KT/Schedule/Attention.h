//===- Attention.h - attention as sizes and strides -----------------------===//

#ifndef KT_DIALECTS_KT_SCHEDULE_ATTENTION_H
#define KT_DIALECTS_KT_SCHEDULE_ATTENTION_H

#include "dialects/KT/Schedule/Lanes.h"

namespace kt {

/// Sizes and strides of an attention op; strides are in elements along (b, h or group, i or j, d or e), then
/// the offset of the first element.
struct AttentionProblem {
  AttentionOp op;
  Expr b, h, i, j;
  int64_t d = 0, e = 0, group = 1;
  llvm::SmallVector<Expr> query, key, value, result;
  bool zeroEmpty = false;
  Expr from, to;    // row i sees keys i + from <= j < i + to; null: no such end
  bool low = false; // what it does not see counts where nothing that it sees does
  /// The rows further down see more keys, and none sees fewer of the first ones.
  bool isCausal() const { return to && !from; }

  /// Whether operands of these types may use tensor cores.
  bool isHalf() const;
  /// Whether all sides can come by copies of 16 aligned bytes; what has to be a multiple goes to `copies`.
  bool canAlign(Alignment &copies) const;
};

/// Attention of few queries: rows of a tile, keys of a block, and shares of a row's keys.
constexpr unsigned kDecodeRows = 16, kDecodeKeys = 64, kMostDecodeShares = 64;
/// Blocks of keys and values in shared memory, where a key and a value have `width` elements.
constexpr unsigned decodeStages(int64_t width) { return width > 128 ? 3 : 4; }
/// Widest heads whose sums fit into registers, and a ring of keys and values into shared memory.
constexpr int64_t kMostDecodeWidth = 128;

/// Fails when a head's dimensions are not constants.
mlir::FailureOr<AttentionProblem> analyzeAttention(AttentionOp op);

} // namespace kt

#endif
