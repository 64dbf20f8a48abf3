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
  int64_t sharedPerSm, threadsPerSm;

  /// Blocks of so many bytes, threads and registers a thread that a multiprocessor holds.
  int64_t resident(int64_t sharedBytes, unsigned threads, unsigned registers) const;
};

class TargetModel {
public:
  /// The model of "sm_89"; nothing for a target that is no GPU.
  static std::optional<TargetModel> get(llvm::StringRef target);
  unsigned capability() const { return own; }
  int64_t sharedPerBlock() const { return kt::sharedPerBlock(own); }
  /// Generations that run the target's code, the oldest first.
  llvm::ArrayRef<CardModel> cards() const { return models; }
  /// The number that `of` has on the card of the run.
  Expr pick(mlir::MLIRContext *context, llvm::function_ref<int64_t(const CardModel &)> of) const;

  /// Time that a launch takes beside its work, in picoseconds.
  static constexpr int64_t kLaunch = 2'000'000;
  /// Time until the last block of several knows that it is, in picoseconds.
  static constexpr int64_t kArrival = 1'000'000;

private:
  unsigned own = 0;
  llvm::SmallVector<CardModel, 4> models;
};

} // namespace kt

#endif
