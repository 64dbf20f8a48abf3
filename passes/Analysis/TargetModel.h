//===- TargetModel.h - how fast a target's machines are -------------------===//
//
// What the cost model knows of a generation of cards, a multiprocessor at a time: how many there are is a fact of the
// run. Code for one capability runs on newer cards too, so a target has a model for each generation from its own on,
// and costs choose among them by the capability that the run meets.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_TARGETMODEL_H
#define KT_PASSES_ANALYSIS_TARGETMODEL_H

#include "dialects/KT/Schedule/Candidates.h"
#include <array>

namespace kt {

/// Rates are per nanosecond and multiprocessor, times in picoseconds.
struct CardModel {
  unsigned capability;
  int64_t mma;     // floating-point operations through mma.sync, 16 bits in, 32 out
  int64_t fma;     // the same on the CUDA cores, 32 bits
  int64_t shared;  // bytes of shared memory
  int64_t l2;      // bytes of the second-level cache, where all multiprocessors read
  int64_t dram;    // bytes of memory
  int64_t latency; // from a copy's issue to its data
  int64_t step;    // ldmatrix and mma of one 16-deep step, in a warp that waits for each
  int64_t wgmma;   // as mma, by warpgroups; 1 where there are none
  int64_t sharedPerSm, threadsPerSm;

  /// Operations on integers of 8 bits through mma.sync. Cards for desktops have half of the rate of halves that are
  /// added up in single precision, not of integers: published figures are 4 times as large there, and 2 elsewhere.
  int64_t int8() const { return mma * (capability % 10 == 0 && capability < 100 ? 2 : 4); }

  /// Blocks of so many bytes, threads and registers a thread that a multiprocessor holds.
  int64_t resident(int64_t sharedBytes, unsigned threads, unsigned registers) const;
};

/// What the model of cost has beside rates, in picoseconds and percent.
struct CostConstants {
  int64_t launch = 2'000'000;  // that a launch takes beside its work
  int64_t arrival = 1'700'000; // until the last block of several knows that it is
  int64_t barrier = 80'000;
  int64_t overlap = 15; // of the shorter of two units that work at the same time, what is seen
  // Between two launches that overlap, what is on its way when the first one ends hides a part, in percent of the time
  // that it takes to come, and something is always left.
  int64_t between = 1'650'000, hidden = 30, left = 400'000;
};

class TargetModel {
public:
  /// The model of "sm_89"; nothing for a target that is no GPU. `numbers` (kNumbers) replace what is built in: the
  /// CostConstants, then for each card its capability and the eight rates and times of a CardModel.
  static std::optional<TargetModel> get(llvm::StringRef target, llvm::ArrayRef<int64_t> numbers = {});
  static constexpr size_t kConstants = 7, kRates = 9;
  /// Whether these are such numbers: counts, known capabilities, and values that no expression overflows by.
  static bool accepts(llvm::ArrayRef<int64_t> numbers);
  /// What is built in, as such numbers.
  static llvm::SmallVector<int64_t> builtIn();

  unsigned capability() const { return own; }
  int64_t sharedPerBlock() const { return kt::sharedPerBlock(own); }
  /// Generations that run the target's code, the oldest first.
  llvm::ArrayRef<CardModel> cards() const { return models; }
  /// The number that `of` has on the card of the run.
  Expr pick(mlir::MLIRContext *context, llvm::function_ref<int64_t(const CardModel &)> of) const;
  const CostConstants &constants() const { return general; }
  /// Units that work at the same time hide most of one another, not all.
  int64_t overlapped(int64_t x, int64_t y) const { return std::max(x, y) + std::min(x, y) * general.overlap / 100; }

private:
  unsigned own = 0;
  CostConstants general;
  llvm::SmallVector<CardModel, 4> models;
};

} // namespace kt

#endif
