//===- Decode.h - attention of few queries, as it is built ----------------===//

#ifndef KT_CODEGEN_GPU_ATTENTION_DECODE_H
#define KT_CODEGEN_GPU_ATTENTION_DECODE_H

#include "codegen/Gpu/Attention/DecodeIntegers.h"
#include "codegen/Gpu/Attention/DecodeMakers.h"

namespace kt::gpu {

/// The kernel of AttentionDecode.cpp while it is built.
class Decode {
public:
  Decode(KernelSink &sink, const AttentionProblem &p);
  llvm::LogicalResult build();

private:
  static constexpr unsigned kRows = kDecodeRows, kWarps = 4, kThreads = kWarps * 32, kStages = kDecodeStages;

  /// Sums of a row that belong together: its exponentials' products with values, and behind those the score that they
  /// are distances from and their own sum. `n` numbers that so many bytes behind a part's row begin.
  using Read = llvm::function_ref<Values(Value part, Value row, Value bytes, unsigned n)>;
  using Emit = llvm::function_ref<void(Value row, Value column, ValueRange four, Value most, Value sum)>;
  struct Parts {
    Value count;
    unsigned most; // there are
    Read read;
    unsigned pairAt; // so many bytes from a row to its score and sum
  };
  /// Adds up the parts of items [begin, end) of the tile, each four columns of a row, and emits them.
  void addUp(Value begin, Value end, const Parts &parts, Emit emit);

  void locate();
  /// What the block has of the keys, and copies of the first of these.
  void startKeys();
  void askFor(Value j0, Value slot, Value page);
  void loadQueries();
  void loadQueriesInFours();
  void walkKeys();
  /// Adds to `s` the products of the warp's rows with its keys in the block at `slot`.
  void multiplyKeys(Value slot, Values &s);
  /// Adds to `sums` what 16 keys from `part` on weigh, `left`, times their values.
  void addValues(Value slot, unsigned part, llvm::ArrayRef<Value> left, Values &sums);
  /// Scores of this warp's keys in the block at `slot`, whose first one is `j0`: accumulator tiles of 16x8.
  Values scores(Value slot, Value j0, llvm::ArrayRef<Value> ofKeys);
  void keepWarp();
  /// Adds up what the block's warps have kept.
  void addUpWarps(Emit emit);
  /// Adds up all shares of the tile and stores the results.
  void addUpInWorkspace();
  void addUpInCluster();
  /// Leaves four columns at `place`, a row's, and, with the first, score and sum.
  void keepRow(Value place, unsigned pairAt, Value column, ValueRange four, Value most, Value sum);
  void store(Value row, Value column, ValueRange four, Value most, Value sum);

  Expr rowsOfGroup() { return p.i * p.group; }
  Expr groups() { return Expr::floorDiv(p.h, sink.number(p.group)); }
  /// As many slots of the ring as are used, of which the last is still empty when the keys before are asked for.
  Expr slots() {
    Expr blocks = Expr::ceilDiv(Expr::ceilDiv(p.j, sink.number(blockKeys)), sink.candidate.getSplits());
    return Expr::min(sink.number(kStages), Expr::max(blocks, sink.one()));
  }
  /// Bytes before the queries that are made here: they are in the slot that is empty, or behind a ring that has none.
  Expr beforeQueries() { return Expr::min(slots(), sink.number(kStages - 1)) * slotBytes; }
  /// The same where the device is not known, but the shares are.
  Value queriesAt() {
    Value blocks = k.size(Expr::ceilDiv(p.j, sink.number(blockKeys)));
    Value most = k.div(k.add(blocks, k.sub(k.gridY(), 1)), k.gridY());
    return k.add(ring, k.mul(k.min(k.max(most, 1), kStages - 1), slotBytes));
  }
  /// Bytes from a row of sums to its score and sum, behind which there is room for another such pair.
  unsigned pairAt() const { return tilesE * 32; }
  Expr tiles() { return Expr::ceilDiv(rowsOfGroup(), sink.number(kRows)); }
  unsigned warpKeys() const { return blockKeys / kWarps; }
  /// Batch, head and query of a row of the tile.
  Values at(Value row) {
    Value r = k.add(row0, row);
    return {batch, k.add(k.mul(group, p.group), k.rem(r, p.group)), k.div(r, p.group)};
  }

  KernelSink &sink;
  const AttentionProblem &p;
  AttentionOp op;
  bool inCluster; // the shares of a tile are the blocks of a cluster
  KernelBuilder k;
  Type type;
  BodyEmitter score;
  Type tileType; // of the ring's keys and values
  unsigned blockKeys, chunksD, chunksE, chunksQ, bytesK, slotBytes, tilesE, pitch;
  DecodeMakers makers;

  Value ring; // in shared memory
  DecodeShare share;
  Value count; // of its blocks of keys
  std::optional<KeysAndValues> keys;
  std::optional<DecodeIntegers> integers; // where keys and values are
  Value lane, warp, batch, group, row0, rows;
  Values own[2];  // where a thread's rows are
  Values queries; // fragments
  Values out;
  Value unit; // of integers: what sums are in terms of
  RunningRows running;
};

} // namespace kt::gpu

#endif
