//===- Tiles.h - the tiles that product kernels are built of --------------===//
//
// A tile exists only if the kernels for it can be built: `get` refuses all others and says why. Both the scheduler,
// which lists tiles, and code generation, which reads them from a candidate, come through it.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_SCHEDULE_TILES_H
#define KT_DIALECTS_KT_SCHEDULE_TILES_H

#include "dialects/KT/IR/KTDialect.h"
#include "llvm/ADT/StringRef.h"
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

namespace kt {

/// Dynamic shared memory that a block may have on cards of a compute capability, in bytes.
int64_t sharedPerBlock(unsigned capability);
/// Of a block with more there is only one on a multiprocessor, of any card.
constexpr int64_t kHalfOfMostShared = 113 * 1024;
/// 89 of "sm_89", 90 of "sm_90a"; 0 for what is no GPU.
unsigned capabilityOf(llvm::StringRef target);
/// Whether cards of the target have clusters of blocks.
inline bool hasClusters(llvm::StringRef target) { return capabilityOf(target) >= 90; }
/// Whether code for the target runs on cards of its own capability alone and has their own instructions ("sm_90a").
inline bool isExact(llvm::StringRef target) { return capabilityOf(target) && target.ends_with("a"); }

/// How the weights of a product lie in memory: panels of elements, or blocks of few bits.
struct WeightForm {
  unsigned bytes = 2;                  // of an element that has a type of its own
  unsigned bits = 0;                   // of a weight in blocks; 0: there are none
  unsigned group = 0, headerBytes = 0; // k's of a block, and what it has before its words
  bool zeros = false;                  // whether zero points are among that

  static WeightForm ofElements(unsigned bytes) { return {bytes}; }
  static WeightForm of(BlocksAttr blocks);
  /// Bits of a weight, without what its block has beside.
  unsigned width() const { return bits ? bits : bytes * 8; }
  bool operator==(const WeightForm &) const = default;
};

/// Tile of a tensor-core kernel: `bm` x `bn` results a block, `bk` k's a slab, `stages` slabs in shared memory, warps
/// in `warpRows` x `warpCols`. `minCtas` asks the assembler for registers for so many blocks an SM; 0 leaves it to it.
/// With `warpgroups`, four warps that are neighbours along the left factor's rows are one that multiplies
/// asynchronously (Hopper's wgmma), straight from shared memory. Both sides have elements of `elementBytes`: halves, or
/// integers of 8 bits, of which a fragment of as many bytes holds twice the depth.
///
/// Weights in blocks are the left factor, whose fragments come from registers: slabs have them as they lie in memory,
/// and who multiplies them makes halves of them. The rows are the right factor then, and the tile is `turned`. So are
/// those of integers: of blocks of 8 bits whose scales are a column's, which need no more than their middle taken off,
/// and of panels, whose neighbours are columns, where warpgroups read what is in shared memory along k alone.
///
/// With `producers`, so many warps more copy the slabs while those of the warpgroups only multiply: a slot of shared
/// memory goes from the ones to the others and back through two mbarriers, and no barrier has all wait for the slowest.
/// A multiprocessor gives out registers for four warps at a time, so they are none or four. Only weights in blocks have
/// them, whose fragments are made between the products: other loops are as fast without.
struct MmaTile {
  unsigned bm = 0, bn = 0, bk = 0, warpRows = 0, warpCols = 0, stages = 0, minCtas = 0;
  bool warpgroups = false;
  unsigned elementBytes = 2;
  unsigned producers = 0;
  WeightForm form = {}; // of weights in blocks; of others nothing is said

  /// The tile, if kernels of it can be built for a card with `shared` bytes a block; else nothing, and `why`.
  static std::optional<MmaTile> get(MmaTile wanted, int64_t shared, std::string *why = nullptr);

  /// Of a block, the first of which multiply; the others copy, or, where there are none, all do.
  unsigned threads() const { return multiplying() + producers * 32; }
  unsigned multiplying() const { return warpRows * warpCols * 32; }
  unsigned copying() const { return producers ? producers * 32 : multiplying(); }
  /// Slabs that are on their way at a time: all but two, one that is read and one whose products are not done. Where
  /// others copy, two thirds of them: one more is asked for before a slab is handed over, and what it takes to see that
  /// its slot was read and to ask lies in the time of the others then, which are full.
  unsigned onTheWay() const { return producers ? std::max((stages - 2) * 2 / 3, 1u) : stages - 2; }
  bool turned() const { return form.bits || (warpgroups && elementBytes == 1); }
  /// What of the factors a warp multiplies, and how many of its 16x8 accumulator fragments that is, down and across.
  unsigned leftRows() const { return turned() ? bn / warpCols : bm / warpRows; }
  unsigned rightRows() const { return turned() ? bm / warpRows : bn / warpCols; }
  unsigned mi() const { return leftRows() / 16; }
  unsigned ni() const { return rightRows() / 8; }
  /// Bytes of a row of a slab, and how many steps of an instruction's depth, 32 bytes, it is long.
  unsigned rowBytes() const { return bk * elementBytes; }
  unsigned steps() const { return rowBytes() / 32; }
  /// Bytes of one slab of both operands. Of weights in blocks: the words of all panels, then the headers of their
  /// blocks, and what makes slabs whole lines of swizzled rows.
  int64_t slabBytes() const { return turned() ? rowsBytes() + blocksBytes() : (int64_t)(bm + bn) * rowBytes(); }
  unsigned rowsBytes() const { return bm * rowBytes(); }
  unsigned headers() const { return elementBytes == 1 ? 0 : std::max(bk / form.group, 1u); } // of a panel
  unsigned wordBytes() const { return bn * bk * (form.bits ? form.bits : 8) / 8; }
  unsigned blocksBytes() const {
    return (wordBytes() + bn / kPanel * headers() * form.headerBytes + 1023) / 1024 * 1024;
  }
  /// Rows of a warp, and elements of one, that the epilogue has in shared memory at a time.
  unsigned stagedRows() const;
  unsigned stagedPitch() const { return turned() ? bn + 4 : bn + 8; }
  /// The ring of slabs, or the staging of the epilogue where that is larger, the slots' mbarriers, and the stash.
  int64_t sharedBytes() const { return barriersAt() + barrierBytes() + kStashBytes; }
  /// Where the mbarriers are, two of 8 bytes a slot: whether its slab is there, and whether it was read.
  int64_t barriersAt() const;
  unsigned barrierBytes() const { return producers ? stages * 16 : 0; }
  static constexpr unsigned kStashBytes = 16; // where the tile's origin waits
  /// Registers a thread: accumulators, two sets of fragments where there are some, and what addresses and loops take
  /// (measured: 36).
  unsigned registers() const { return mi() * ni() * 4 + (warpgroups ? 0 : 2 * (mi() * 4 + ni() * 2)) + 36; }
  std::string str() const;
};

/// Tile of a CUDA-core kernel: `tm` x `tn` of `bm` x `bn` accumulators a thread, slabs of `bk`.
struct SimtTile {
  unsigned bm = 0, bn = 0, bk = 0, tm = 0, tn = 0, minCtas = 0;

  /// The tile for accumulators of `accBytes`, if kernels of it can be built; else nothing, and `why`.
  static std::optional<SimtTile> get(SimtTile wanted, unsigned accBytes, int64_t shared, std::string *why = nullptr);

  unsigned threads() const { return bm / tm * (bn / tn); }
  /// Elements between two k's in shared memory.
  unsigned pitchA() const { return bm + 4; }
  unsigned pitchB() const { return bn + 4; }
  int64_t slotBytes(unsigned accBytes) const { return (int64_t)bk * (pitchA() + pitchB()) * accBytes; }
  int64_t sharedBytes(unsigned accBytes) const { return 2 * slotBytes(accBytes); }
  std::string str() const;
};

/// Tile of a kernel for few rows, whose time is that of reading the right side's panels once: the warps of a block
/// share the depth of `panels` panels, a unit of k's each in turn, and have `ahead` units on their way, in registers
/// or, on tensor cores (`mma`), in a ring of slots in shared memory. There the panels are the rows of the fragments, so
/// that 8 rows of the product cost what one does.
struct GemvTile {
  unsigned rows = 0, panels = 0, warps = 0, ahead = 0;
  bool mma = false;
  /// The left side's k's where a block has all of its rows in shared memory, because it computes the norm that makes
  /// them; 0: they come with the weights.
  unsigned kept = 0;
  WeightForm form;

  /// The tile for weights of `form`, if kernels of it can be built for a card with `shared` bytes a block; else
  /// nothing, and `why`.
  static std::optional<GemvTile> get(GemvTile wanted, const WeightForm &form, int64_t shared,
                                     std::string *why = nullptr);

  unsigned threads() const { return warps * 32; }
  unsigned columns() const { return panels * 16; }
  /// k's of a unit: of weights in blocks as many as are a kilobyte a panel, in whole blocks, or, in registers, what a
  /// warp loads at once.
  unsigned unit() const { return !form.bits ? 32 : mma ? std::max(512 / form.bits, form.group) : 256 / form.bits; }
  /// Of weights in blocks: how many blocks a unit of a panel has, on tensor cores.
  unsigned headers() const { return form.bits && mma ? unit() / form.group : 0; }
  /// Of a unit: its panels' weights with what their blocks have beside.
  unsigned panelBytes() const { return unit() * 2 * form.width() + headers() * form.headerBytes; }
  unsigned unitBytes() const { return panels * panelBytes(); }
  /// Of a slot of the ring: the unit, each panel from a line of 128 bytes on, then the left side's rows, of 2 bytes an
  /// element, where they are not kept.
  unsigned panelPitch() const { return (panelBytes() + 127) / 128 * 128; }
  unsigned rowsInSlot() const { return panels * panelPitch(); }
  unsigned slotBytes() const { return rowsInSlot() + (kept ? 0 : rows * unit() * 2); }
  /// From one kept row to the next, each with zeros behind it up to the end of a round: rows side by side are in
  /// different halves of a line, or, where fragments are loaded of eight rows at a time, in different eighths.
  unsigned keptDepth() const { return (kept + warps * unit() - 1) / (warps * unit()) * (warps * unit()); }
  unsigned keptPitch() const { return keptDepth() * 2 + (form.bits ? 16 : 64); }
  unsigned keptBytes() const { return kept ? rows * keptPitch() : 0; }
  /// Bytes of weights that a block has on their way while it multiplies others.
  unsigned onTheWay() const { return warps * (mma ? ahead - 1 : ahead) * unitBytes(); }
  /// Elements between two rows of a warp's sums in shared memory.
  unsigned pitch() const { return columns() + 4; }
  /// The sums of all warps, or what a norm behind the product needs. The ring comes behind them: it is being filled for
  /// the block's next tile while they are added up. Of few rows of weights in blocks, whose arithmetic memory has to
  /// wait for, there are two places that take turns: some warps add up while the others go on.
  unsigned sumPlaces() const { return mma && form.bits && rows <= 4 ? 2 : 1; }
  unsigned sumPlaceBytes() const { return warps * rows * pitch() * 4; }
  int64_t sumBytes() const;
  int64_t sharedBytes() const;
  /// Where the kept rows begin, behind the ring.
  int64_t keptFrom() const { return sharedBytes() - keptBytes(); }
  /// Registers a thread: sums, units of weights and of the left side, and what addresses and loops take.
  unsigned registers() const;
  std::string str() const;
};

} // namespace kt

#endif
