//===- ScoreRange.h - what masks make of scores ---------------------------===//
//
// Which comparisons of a row's and a key's number a score region holds, and between which numbers its score lies once
// some of them are decided. A mask is whatever makes a score minus infinity: a choice, a sum, or arithmetic on truths.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_SCORERANGE_H
#define KT_PASSES_ANALYSIS_SCORERANGE_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// Keys i + from <= j < i + to of row i; an end that is null bounds nothing.
struct Span {
  Expr from, to;
  bool operator==(const Span &other) const { return from == other.from && to == other.to; }
};

/// A truth of a score region that depends on i, j and sizes alone, and the keys for which it holds.
struct SpanCondition {
  mlir::Value truth;
  Span span;
  /// The keys for which it does not hold, where those are a span.
  std::optional<Span> complement() const;
};

/// The comparisons in the score region of `op`, in their order.
llvm::SmallVector<SpanCondition> spanConditions(AttentionOp op);

/// The numbers that the score can be.
struct ScoreRange {
  double least, most;
};

/// `decided` answers what is known of a truth of the region. A product of query and key is taken to be within 1e20 of
/// zero, which those of finite heads in half precision are; a number that is read may be minus infinity, but no larger
/// than that.
ScoreRange scoreRange(AttentionOp op, llvm::function_ref<std::optional<bool>(mlir::Value)> decided);

} // namespace kt

#endif
