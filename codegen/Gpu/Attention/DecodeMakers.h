//===- DecodeMakers.h - what a block of few queries makes itself ----------===//
//
// A decoder's step has a rotation and two windows of a few rows between the product and the attention. A launch of
// their own takes as long as the attention of a thousand keys, so each block of the attention makes what it needs: its
// queries, in shared memory, and those rows of the windows that are in its share of the keys, in the states and where
// it has put the keys that it asked for before.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_ATTENTION_DECODEMAKERS_H
#define KT_CODEGEN_GPU_ATTENTION_DECODEMAKERS_H

#include "codegen/Gpu/Attention/FlashTiles.h"

namespace kt::gpu {

/// The keys of a block, [first, shareEnd), of which those before `end` are read; and the ring in shared memory that has
/// the first of them.
struct DecodeShare {
  Value first, shareEnd, end;
  Value ring;
  KeyTile tile;
  unsigned slotBytes, slots; // of a block of keys and values; how many are asked for before
  unsigned blockKeys;
};

class DecodeMakers {
public:
  DecodeMakers(KernelBuilder &k, KernelSink &sink, const AttentionProblem &p);
  /// Whether anything is made here.
  explicit operator bool() const { return (bool)makers; }
  bool makesQueries() const { return makers.query != nullptr; }
  unsigned count() const { return makers.all().size(); }

  /// Stores the tile's queries, row by row, at `slot` with `chunks` between two. `at` answers with the batch, the head
  /// and the query of a row.
  void makeQueries(Value rows, llvm::function_ref<Values(Value row)> at, Value slot, unsigned chunks);
  /// Stores the share's rows of both windows. What the ring has of them is replaced; copies into it may be on their
  /// way. Nobody but the threads themselves knows when all is stored.
  void makeWindows(Value batch, Value group, const DecodeShare &share);

private:
  struct Window;
  void makeWindow(Window &window, Value batch, Value group, const DecodeShare &share, unsigned firstThread);
  Value firstItem(unsigned firstThread);

  KernelBuilder &k;
  KernelSink &sink;
  const AttentionProblem &p;
  AttentionMakers makers;
};

} // namespace kt::gpu

#endif
