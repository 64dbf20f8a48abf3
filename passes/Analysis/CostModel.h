//===- CostModel.h - what launches of candidates take ---------------------===//
//
// Expected nanoseconds as expressions over a kernel's parameters and facts of the device: whole numbers only, so that
// every run decides alike. A multiprocessor with blocks to spare is bound by its throughput, one with few by the
// latency of their slabs; memory is a floor under both.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_COSTMODEL_H
#define KT_PASSES_ANALYSIS_COSTMODEL_H

#include "dialects/KT/Schedule/Attention.h"
#include "dialects/KT/Schedule/Products.h"
#include "passes/Analysis/TargetModel.h"

namespace kt {

class CostModel {
public:
  CostModel(mlir::MLIRContext *context, const TargetModel &target) : context(context), target(target) {}

  /// What a product takes, and how many blocks share its depth; null: no more than one can. `turns`: how often, one
  /// after the other, its blocks fill the device.
  struct ProductCost {
    Expr time, splits, turns;
  };
  /// `lanes`: columns that a thread stores at once. Blocks that `mayShare` do so where that saves more than adding up
  /// takes, as many as fill the device without a further round.
  ProductCost product(const Product &p, const MmaTile &t, bool async, unsigned lanes, bool mayShare) const;
  ProductCost product(const Product &p, const SimtTile &t, bool vectors, unsigned lanes, bool mayShare) const;
  ProductCost product(const Product &p, const GemvTile &t, bool mayShare) const;

  /// Attention on tensor cores, `warps` times 16 rows a block; the number of splits of its keys.
  Expr keySplits(const AttentionProblem &p, unsigned warps) const;
  Expr flash(const AttentionProblem &p, unsigned warps, bool async, Expr splits) const;
  Expr attention(const AttentionProblem &p) const;
  /// The same with a tile for the heads that share keys, of which each block has a share.
  Expr decodeShares(const AttentionProblem &p) const;
  /// What it takes where the blocks of a tile, `shares`, are a cluster.
  Expr decodeInCluster(const AttentionProblem &p, Expr shares) const;
  Expr decode(const AttentionProblem &p, Expr shares) const;

  /// Work that memory bounds: `bytes` moved, `percent` of the bandwidth reached.
  Expr stream(Expr bytes, int64_t percent) const;
  /// The same of what the second-level cache holds, without a launch.
  Expr cached(Expr bytes) const;
  /// What a thread takes that waits for memory so many times, one after the other.
  Expr waits(Expr times) const;

private:
  /// What a block takes, in picoseconds.
  struct BlockTimes {
    Expr full, alone; // a slab, of a full multiprocessor and of a block that has one to itself
    Expr epilogue;    // behind the last slab
    Expr resident;    // blocks that a multiprocessor holds
    Expr filling;     // blocks that keep it busy
  };
  /// A block of a product: its tile, and the columns that a thread adds up at once.
  struct Block {
    unsigned bm, bn, bk, threads, width;
    BlockTimes times;
    int64_t onTheWay = 0; // bytes at a time, where that bounds what memory gives; 0: it does not
    int64_t slabBytes = 0;
    unsigned waits = 100; // for what is on its way, in percent
    bool crowds = false;  // leaves no room for a block of the next launch
    bool goesOn = false;  // with one tile after the other
  };
  Block block(const MmaTile &t, bool async, bool widens, unsigned lanes) const;
  using OfCard = llvm::function_ref<int64_t(const CardModel &)>;
  /// `store`: picoseconds of the epilogue for each element. The blocks that fill a multiprocessor follow from the rest.
  BlockTimes timesOf(OfCard full, OfCard alone, OfCard resident, int64_t store) const;
  BlockTimes flashTimes(const AttentionProblem &p, unsigned warps, bool async) const;
  BlockTimes decodeTimes(const AttentionProblem &p) const;
  /// Picoseconds until all shares have walked their keys.
  Expr decodeWalk(const AttentionProblem &p, Expr shares) const;
  BlockTimes warpgroupTimes(const MmaTile &t, bool widens, unsigned lanes) const;
  Block block(const SimtTile &t, unsigned accBytes, bool vectors, unsigned lanes) const;
  Block block(const GemvTile &t, const Product &p) const;
  ProductCost contraction(const Product &p, const Block &b, bool mayShare) const;
  /// What partial sums of several blocks take on top of the blocks' own work.
  Expr addingUp(const Product &p, const Block &b, Expr splits) const;
  /// What lies before the first slab.
  Expr start() const;
  /// Rounds of `blocks` blocks of `slabs` slabs.
  Expr rounds(Expr blocks, Expr slabs, const BlockTimes &t) const;
  Expr memory(Expr bytes) const;
  Expr number(int64_t v) const { return Expr::constant(context, v); }
  Expr pick(llvm::function_ref<int64_t(const CardModel &)> of) const { return target.pick(context, of); }
  Expr smCount() const { return Expr::symbol(context, fact::kSmCount); }
  Expr nanoseconds(Expr picoseconds) const { return Expr::floorDiv(picoseconds, number(1000)); }

  mlir::MLIRContext *context;
  const TargetModel &target;
};

} // namespace kt

#endif
