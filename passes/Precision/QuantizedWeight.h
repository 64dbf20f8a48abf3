//===- QuantizedWeight.h - weights on their way to few bits ---------------===//
//
// Quantised block by block on all threads, weights of any size sharing them, to see what rounding costs: a weight that
// loses too much is stored in more bits, or stays as it is. The result is not kept. It is computed again where it is
// read, which takes less than keeping it: a model's weights in INT8 would be half of what they were in FP16.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_PRECISION_QUANTIZEDWEIGHT_H
#define KT_PASSES_PRECISION_QUANTIZEDWEIGHT_H

#include "dialects/KT/IR/Blobs.h"
#include "passes/Precision/Int8Places.h"
#include "passes/Precision/QuantFormat.h"
#include "passes/Precision/QuantizeBlocks.h"
#include "llvm/ADT/SetVector.h"
#include <atomic>

namespace kt {

/// The names of the nodes that use a weight, each once.
using NodeNames = llvm::SetVector<llvm::StringRef>;

class QuantizedWeight {
public:
  /// `blocks` are what a product's are stored in; null: INT8 with a scale a channel.
  QuantizedWeight(Int8Place &&place, std::optional<BlockFormat> blocks);

  /// What threads take: blocks of an Int8Layout, which are panels or rows, of so many elements.
  int64_t count() const { return layout.blocks(); }
  int64_t elements() const { return layout.blockElements(); }
  /// No error so far.
  void begin();
  /// What the k's are multiplied by, one use more.
  void addMoments(llvm::ArrayRef<float> sums);
  /// In INT8 rather than INT4, and why; a table or a weight that is so already stays as it is.
  void widen(KeptWide why);
  /// Blocks [begin, end), for what that costs and, in INT8, for the scales of channels.
  void measure(int64_t begin, int64_t end, RoundingError &cost);
  /// With all of it done and `error` summed up: whether it is to be quantised again, in another format that it has now.
  bool tryAgain(std::optional<double> minSignalToNoise);

  /// What its elements are in, as users say it.
  llvm::StringRef formatName() const {
    return !blocks || (blocks->bits == 8 && !blocks->fp8) ? "INT8" : blocks->fp8 ? "FP8" : "INT4";
  }
  double signalToNoise() const { return decibels(error.signal, error.noise); }
  /// Whether it is read where a product has it.
  bool isStoredWithProduct() const { return tied && !tied->kept; }
  /// What it cost, with channels as the model has them; nothing where it could not be quantised.
  std::optional<RoundingLoss> accuracy() const;
  /// Whether products of it may round their rows to INT8 as well.
  bool takesInt8Rows() const { return !kept && blocks && blocks->perColumn; }
  /// How it is stored, for a report; the constants are there.
  void describe(WeightAccuracy &w) const;
  /// Makes `values` and, where those have none in them, `scales`, once.
  void makeConstants();
  /// The attribute of products.
  BlocksAttr blocksAttr() const;

  Int8Place place;
  ConstantOp constant;
  Int8Layout layout;
  std::optional<BlockFormat> blocks;
  RoundingError error;
  std::optional<KeptWide> kept;            // why it stays as it is after all
  std::optional<KeptWide> moreBits;        // why it has more bits than it should
  std::optional<double> lessSignalToNoise; // that it would have with fewer
  QuantizedWeight *tied = nullptr;         // a product's whose columns are this table's rows
  std::vector<float> importance;           // of each k's squared errors; empty: alike
  NodeNames nodes;
  mlir::Value values, scales; // once something uses them

private:
  FloatFormat format;
  ConstantBytes from;
  std::vector<float> scaleOf; // each channel of INT8
  std::atomic<bool> finite = true, scalesFit = true;
};

/// Quantises all weights at the same time: small ones as well as parts of large ones are what threads take. Which
/// parts those are follows from sizes alone, and so does the order in which what they cost is summed up.
void quantizeAll(mlir::MLIRContext *context, llvm::SmallVector<QuantizedWeight *> weights,
                 std::optional<double> minSignalToNoise);

} // namespace kt

#endif
