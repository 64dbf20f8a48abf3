//===- SinkSoftmax.h - softmaxes of scores and one number more ------------===//
//
//   %p = normalize softmax { j < t ? score(i, j) : sink(i) } -> [i, t + 1]      %s = generic { sink(i) } -> [i, 1]
//   %r = generic { p[i, j] } -> [i, t]                                     ->   %p = normalize softmax { score(i, j) }
//
// The column of the sink, which is behind the scores or before them, takes part in the sum and is dropped after.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_GRAPH_SINKSOFTMAX_H
#define KT_PASSES_GRAPH_SINKSOFTMAX_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// The parts of a softmax whose weights a slice takes out of it. `scores` is a softmax of its own only beside `sink`:
/// both are for an attention to be made of, and erased if there is none.
struct SinkSoftmax {
  NormalizeOp scores;
  GenericOp sink;         // one element a row, its last dimension is 1
  mlir::Operation *whole; // what had both in one body: the softmax, or the concatenation that only it reads

  void erase();
};

/// Splits the softmax that `weights` is a slice of, all columns but the first or the last one, if it is known of each
/// column whether it is a score or the sink.
std::optional<SinkSoftmax> splitSink(mlir::Value weights);

} // namespace kt

#endif
