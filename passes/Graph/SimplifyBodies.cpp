//===- SimplifyBodies.cpp - scalar arithmetic inside bodies ---------------===//

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_SIMPLIFYBODIES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// extf(truncf(x : f32) : f16) : f32 → x. Fused work keeps the accuracy it has.
struct WidenNarrowed final : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::ExtFOp op, PatternRewriter &rewriter) const override {
    auto narrow = op.getIn().getDefiningOp<arith::TruncFOp>();
    if (!narrow || narrow.getIn().getType() != op.getType() || !(narrow.getType().isF16() || narrow.getType().isBF16()))
      return rewriter.notifyMatchFailure(op, "not a widened narrowing of the same type");
    rewriter.replaceOp(op, narrow.getIn());
    return success();
  }
};

/// index_cast(index_cast(i : index) : i64) : index → i.
struct CastBack final : OpRewritePattern<arith::IndexCastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::IndexCastOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getIn().getDefiningOp<arith::IndexCastOp>();
    if (!inner || inner.getIn().getType() != op.getType() || !op.getType().isIndex() || !inner.getType().isInteger(64))
      return rewriter.notifyMatchFailure(op, "not a cast to i64 and back");
    rewriter.replaceOp(op, inner.getIn());
    return success();
  }
};

struct SimplifyBodiesPass : kt::impl::SimplifyBodiesBase<SimplifyBodiesPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<WidenNarrowed, CastBack>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    getOperation()->walk([](Operation *op) {
      if (!bodiesOf(op).empty())
        cleanBodyOperands(op);
    });
  }
};

} // namespace
