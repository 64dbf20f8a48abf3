//===- ViewReads.h - bodies read through views of movements ---------------===//

#ifndef KT_PASSES_GRAPH_VIEWREADS_H
#define KT_PASSES_GRAPH_VIEWREADS_H

namespace mlir {
class Operation;
}

namespace kt {

/// Reads of body operand `number`, a view of something that was moved, become reads of what was moved: a view of that
/// is all that is left between them. Answers whether they did.
///
///   %t = generic { x[b, s, c] } -> [b, c, h, w]      %v = reshape %x -> [b, h * w, c]
///   %v = reshape %t -> [b, c, h * w]             ->  %r = generic { v[i, k, j] }
///   %r = generic { v[i, j, k] }
bool readThroughViews(mlir::Operation *consumer, unsigned number);

} // namespace kt

#endif
