//===- GemvRing.h - what rings of any weights share -----------------------===//

#ifndef KT_CODEGEN_GPU_PRODUCT_GEMVRING_H
#define KT_CODEGEN_GPU_PRODUCT_GEMVRING_H

#include "codegen/Gpu/Product/Gemv.h"

namespace kt::gpu {

/// A warp's ring of slots, each a unit of weights and the rows' elements of the same k's. Weights are what kinds of
/// rings differ in.
class Ring {
public:
  Ring(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, const GemvTiles &tiles);
  virtual ~Ring() = default;

  /// What is copied next: from which k on, of which tile, into which slot.
  struct Place {
    Value k0, tile, slot;
  };
  Place start() { return {firstK, tiles.first, begin}; }
  Place next(const Place &at);
  Value bump(Value slot);

  /// Zeros behind the last k, panel and tile.
  virtual void copyWeights(const Place &at) = 0;
  void copyRows(const Place &at);
  unsigned sumCount() const { return fragments * t.panels * 4; }
  /// The unit of that round.
  virtual void multiply(Value slot, Value round, Values &sums) = 0;
  /// From `from` on, in bytes.
  void store(ValueRange sums, Value from);

protected:
  static constexpr unsigned kStep = 32; // k's of two products, of which a lane has eight
  unsigned step() const { return t.warps * t.unit(); }
  Value sizeWhen(Value exists) { return k.sel(exists, k.c(16), k.c(0)); }
  /// Fragments of the rows' elements of k's `number` * kStep of a unit on. Of rows that are not there they are others',
  /// whose sums nobody stores.
  SmallVector<Values> rowFragments(Value slot, Value round, unsigned number);
  /// Whether weights are in the order of fragments (WordOrder.h): then lane 4g + t has 2t, 2t + 1, 2t + 8 and 2t + 9 of
  /// 16 k's, else those from 8t on of 32.
  bool fragmentOrder() const { return t.form.bits; }

  KernelBuilder &k;
  const GemmProblem &p;
  const GemvTile &t;
  const GemvPart &part;
  const GemvTiles &tiles;
  unsigned fragments; // of eight rows
  Value lane, warp, group, third;
  Value begin, end, firstK, lastK, panels;

private:
  /// Where a row's chunk of 8 k's is among the four of a step: in the order of fragments turned, so that eight rows
  /// have theirs in different banks.
  Value chunkOf(Value row, Value chunk) { return fragmentOrder() ? k.xor_(chunk, k.and_(k.shr(row, 1), 3)) : chunk; }

  Values rows, rowEnds;
  Value rowsInSlot, keptRows;
};

std::unique_ptr<Ring> panelRing(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part,
                                const GemvTiles &tiles);
std::unique_ptr<Ring> blockRing(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part,
                                const GemvTiles &tiles);

} // namespace kt::gpu

#endif
