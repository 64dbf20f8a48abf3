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
  /// Of keys and of values that are integers of 8 bits: where their scales are, with strides along (b, g, j), none, and
  /// the offset.
  struct Scales {
    mlir::Value tensor;
    llvm::SmallVector<Expr> strides;
  };
  std::optional<Scales> keyScales, valueScales;
  Expr from, to;    // row i sees keys i + from <= j < i + to; null: no such end
  bool low = false; // what it does not see counts where nothing that it sees does
  /// The rows further down see more keys, and none sees fewer of the first ones.
  bool isCausal() const { return to && !from; }

  /// Keys and values are integers of 8 bits.
  bool scaled() const { return keyScales.has_value(); }
  /// Bytes of an element of a key or value.
  int64_t keyBytes() const;
  /// Whether operands of these types may use tensor cores.
  bool isHalf() const;
  /// Whether all sides can come by copies of 16 aligned bytes; what has to be a multiple goes to `copies`.
  bool canAlign(Alignment &copies) const;
};

/// What makes the operands of an attention element by element, for each only what it reads: queries, and windows of the
/// states that hold its keys and values. All of an operand's dimensions are the attention's, in whatever order.
struct AttentionMakers {
  /// The dimension of a made operand that each of (b, h or group, i or j, d or e) runs along.
  using Dimensions = std::array<unsigned, 4>;
  GenericOp query; // null: it is made elsewhere
  UpdateOp key, value;
  Dimensions dims[3] = {}; // of query, key and value
  explicit operator bool() const { return key != nullptr; }
  /// In the order in which they are.
  llvm::SmallVector<mlir::Operation *> all() const;
};
/// Finds the dimensions of a factor (0: queries, 1: keys, 2: values) that is a tensor of them, and nothing else, as it
/// is; of keys and values there may be room for more.
bool findDimensions(AttentionOp op, unsigned factor, AttentionMakers::Dimensions &found);
/// Those that an attention of a graph may have in its kernel; none unless keys and values are both windows' results.
AttentionMakers findMakers(AttentionOp op);
/// Notes them on the attention, for its kernel: there strides are numbers of which nothing is known.
void setMakers(AttentionOp op, const AttentionMakers &makers);
/// Those of an attention in a kernel.
AttentionMakers makersOf(AttentionOp op);

/// Attention of few queries: rows of a tile, shares of a row's keys, and blocks of keys and values in shared memory.
constexpr unsigned kDecodeRows = 16, kMostDecodeShares = 64, kDecodeStages = 3;
/// Shares of a tile that are the blocks of a cluster: as many as every card with clusters takes.
constexpr unsigned kMostClusterShares = 8;
/// Bytes from one row of a head to the next in shared memory, a power of two, so that a swizzle stays inside.
unsigned headPitch(int64_t columns, int64_t elementBytes = 2);
/// Keys of a block: 32 KB of them and their values take as long to come as to be worked on, whose steps wait for one
/// another.
unsigned decodeKeys(const AttentionProblem &p);
/// A share has as many keys at least, so that it is worth being added up.
constexpr int64_t kLeastDecodeShare = 128;
/// More queries than these have kernels for many rows.
constexpr int64_t kMostDecodeQueries = 16;
/// Widest heads whose sums fit into registers, and a ring of keys and values into shared memory.
constexpr int64_t kMostDecodeWidth = 128;

/// Fails when a head's dimensions are not constants.
mlir::FailureOr<AttentionProblem> analyzeAttention(AttentionOp op);

} // namespace kt

#endif
