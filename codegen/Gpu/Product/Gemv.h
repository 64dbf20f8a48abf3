//===- Gemv.h - the two ways to read a product's weights once -------------===//

#ifndef KT_CODEGEN_GPU_PRODUCT_GEMV_H
#define KT_CODEGEN_GPU_PRODUCT_GEMV_H

#include "codegen/Gpu/Product/Gemm.h"

namespace kt::gpu {

/// A block's part of a product of few rows: of one batch, all rows and the k's from `first` on, before `end`, in
/// `rounds` in each of which every warp has a unit.
struct GemvPart {
  Value weights, left, first, end, rounds;
};

// Both leave the warps' sums of a tile's rows at the start of shared memory, or in a place behind it, as
// [warp][row][column] with rows of GemvTile::pitch(). Weights are on their way before `wait`, which comes before
// anything is touched that launches before this one may still use.

/// On CUDA cores, straight into registers.
void emitGemvInRegisters(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, Value tile,
                         llvm::function_ref<void()> wait);

/// Tiles that a block does, one after the other. Where tiles end `apart` nobody waits for those who finish one: their
/// work has no barrier.
struct GemvTiles {
  Value first, end, step;
  bool apart = false;
};

/// A tile's sums, of which all threads know, in bytes from the start of shared memory, and the thread's number among
/// those that share the work: the first ones have some.
struct GemvSums {
  Value tile, place, number;
};

/// On tensor cores, through a ring in shared memory. Every thread comes to `start` and `finish` for each tile.
void emitGemvRing(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part,
                  const GemvTiles &tiles, llvm::function_ref<void()> wait, llvm::function_ref<void()> start,
                  llvm::function_ref<void(const GemvSums &)> finish);

} // namespace kt::gpu

#endif
