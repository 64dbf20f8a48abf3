//===- DecodeIntegers.h - few queries over keys and values of 8 bits ------===//
//
// Keys and values that are integers stay so in shared memory: a thread's four neighbours become two registers of
// halves, exactly. Which of a head's elements those of a product's depth are does not matter as long as both sides
// agree, so queries are read in fours as well, and a tile of results has every second column. Each lane has the scales
// of a key and of a value.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_ATTENTION_DECODEINTEGERS_H
#define KT_CODEGEN_GPU_ATTENTION_DECODEINTEGERS_H

#include "codegen/Gpu/Attention/FlashTiles.h"

namespace kt::gpu {

/// What a warp does with its `warpKeys` keys of each block, 16 or 32 of them, in tiles of bytes. Accumulator tiles are
/// 16x8, four numbers a thread.
class DecodeIntegers {
public:
  DecodeIntegers(KernelBuilder &k, const AttentionProblem &p, Type type, const KeyTile &tile, Value lane, Value warp,
                 unsigned warpKeys)
      : k(k), p(p), type(type), tile(tile), lane(lane), firstKey(k.mul(warp, warpKeys)), warpKeys(warpKeys) {}

  /// Fragments of queries; `at` answers where the thread's four elements of step `step` of its row r, 0 or 1, begin.
  Values loadQueries(llvm::function_ref<Value(unsigned r, unsigned step)> at);
  /// Adds to `s` the products of queries with the keys in the block at `slot`.
  void multiply(Value slot, ArrayRef<Value> queries, Values &s);
  /// Adds to `sums` what 16 keys from `part` on weigh, `left`, times their values.
  void add(Value slot, unsigned part, ArrayRef<Value> left, Values &sums);
  /// The four neighbours of a row r, 0 or 1, that a thread has in the tiles `first` and the next one.
  static Values neighbours(ArrayRef<Value> sums, unsigned first, unsigned r);

  /// The scales of the lane's key in the block from `j0` on, in page `page` where there are any, and of its value;
  /// zeros from `end` on.
  Values loadScales(Value batch, Value group, Value j0, Value end, Value page);
  /// What lanes have for the keys that a thread has scores of: tile by tile, two of each.
  Values ofColumns(Value ofLane);
  /// The largest that a lane has.
  Value largest(Value ofLane);

private:
  KernelBuilder &k;
  const AttentionProblem &p;
  Type type;
  KeyTile tile;
  Value lane, firstKey;
  unsigned warpKeys;
};

} // namespace kt::gpu

#endif
