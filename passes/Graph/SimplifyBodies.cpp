//===- SimplifyBodies.cpp - scalar arithmetic inside bodies ---------------===//

#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/IndexCases.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_SIMPLIFYBODIES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// extf(truncf(x : f32) : f16) : f32 → x, unless the model itself rounds. Fused work keeps the accuracy it has.
struct WidenNarrowed final : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::ExtFOp op, PatternRewriter &rewriter) const override {
    auto narrow = op.getIn().getDefiningOp<arith::TruncFOp>();
    if (!narrow || narrow->hasAttr(kRounds) || narrow.getIn().getType() != op.getType() ||
        !(narrow.getType().isF16() || narrow.getType().isBF16()))
      return rewriter.notifyMatchFailure(op, "not a widened narrowing of the same type");
    rewriter.replaceOp(op, narrow.getIn());
    return success();
  }
};

/// extf(select(c, constant, constant)) → select(c, wider constants): what masks is seen as the number that it is.
struct WidenChosen final : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::ExtFOp op, PatternRewriter &rewriter) const override {
    auto choice = op.getIn().getDefiningOp<arith::SelectOp>();
    if (!choice || !matchPattern(choice.getTrueValue(), m_Constant()) ||
        !matchPattern(choice.getFalseValue(), m_Constant()))
      return rewriter.notifyMatchFailure(op, "not a choice between constants");
    Value a = rewriter.createOrFold<arith::ExtFOp>(op.getLoc(), op.getType(), choice.getTrueValue());
    Value b = rewriter.createOrFold<arith::ExtFOp>(op.getLoc(), op.getType(), choice.getFalseValue());
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, choice.getCondition(), a, b);
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

bool isSame(Value a, Value b) {
  Attribute x, y;
  return a == b || (matchPattern(a, m_Constant(&x)) && matchPattern(b, m_Constant(&y)) && x == y);
}

bool isChecked(ReadOp read, int64_t dim) {
  return read.getOtherwise() && (!read.getCheck() || llvm::is_contained(*read.getCheck(), dim));
}

/// select(c, read x[select(c, i, -1)] else z, z) → that read, which is outside where c is not so.
struct ChosenByIndex final : OpRewritePattern<arith::SelectOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::SelectOp op, PatternRewriter &rewriter) const override {
    auto read = op.getTrueValue().getDefiningOp<ReadOp>();
    if (!read || !read.getOtherwise() || !isSame(read.getOtherwise(), op.getFalseValue()))
      return rewriter.notifyMatchFailure(op, "not a read or what it is outside");
    for (auto [d, index] : llvm::enumerate(read.getIndices())) {
      auto choice = index.getDefiningOp<arith::SelectOp>();
      APInt outside;
      if (choice && choice.getCondition() == op.getCondition() && isChecked(read, d) &&
          matchPattern(choice.getFalseValue(), m_ConstantInt(&outside)) && outside.isNegative()) {
        rewriter.replaceOp(op, read.getResult());
        return success();
      }
    }
    return rewriter.notifyMatchFailure(op, "inside whatever the condition is");
  }
};

/// select(c, read x[i] else z, read x[j] else z) → read x[select(c, i, j)] else z: a tensor that is rolled, as two
/// slices behind one another, moves its elements once.
struct ReadChosen final : OpRewritePattern<arith::SelectOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::SelectOp op, PatternRewriter &rewriter) const override {
    auto a = op.getTrueValue().getDefiningOp<ReadOp>(), b = op.getFalseValue().getDefiningOp<ReadOp>();
    if (!a || !b || a == b || a.getTensor() != b.getTensor() || !a->hasOneUse() || !b->hasOneUse() ||
        !a.getOtherwise() || !b.getOtherwise() || !isSame(a.getOtherwise(), b.getOtherwise()))
      return rewriter.notifyMatchFailure(op, "not of two elements of a tensor");
    SmallVector<Value> at;
    SmallVector<int64_t> check;
    for (auto [d, i, j] : llvm::enumerate(a.getIndices(), b.getIndices())) {
      at.push_back(i == j ? i : rewriter.createOrFold<arith::SelectOp>(op.getLoc(), op.getCondition(), i, j));
      if (isChecked(a, d) || isChecked(b, d))
        check.push_back(d);
    }
    auto read = rewriter.replaceOpWithNewOp<ReadOp>(op, a.getTensor(), at, a.getOtherwise());
    read.setCheckAttr(rewriter.getDenseI64ArrayAttr(check));
    return success();
  }
};

/// A read of a constant of one element → that constant.
bool inlineScalars(Operation *op) {
  unsigned first = firstBodyOperand(op);
  bool changed = false;
  for (unsigned i = first; i < op->getNumOperands(); ++i) {
    auto constant = throughReshapes(op->getOperand(i)).getDefiningOp<ConstantOp>();
    if (!constant || !constant.getResult().getType().numElements().isConstant(1))
      continue;
    Type type = constant.getResult().getType().scalarType();
    uint64_t raw = 0;
    if (constant.contents().size() > 8)
      continue;
    memcpy(&raw, constant.bytes().data(), constant.bytes().size());
    for (ReadOp read : readsOf(op, i - first)) {
      OpBuilder b(read);
      unsigned width = type.getIntOrFloatBitWidth();
      TypedAttr value;
      if (auto f = dyn_cast<FloatType>(type))
        value = b.getFloatAttr(f, APFloat(f.getFloatSemantics(), APInt(width, raw, false, true)));
      else
        value = b.getIntegerAttr(type, APInt(width, raw, false, true));
      Value c = arith::ConstantOp::create(b, read.getLoc(), value);
      // The index is 0 or the constant is not read at all.
      if (read.getOtherwise()) {
        Value inside;
        for (Value at : read.getIndices()) {
          Value zero = arith::ConstantIndexOp::create(b, read.getLoc(), 0);
          Value in = arith::CmpIOp::create(b, read.getLoc(), arith::CmpIPredicate::eq, at, zero);
          inside = inside ? arith::AndIOp::create(b, read.getLoc(), inside, in).getResult() : in;
        }
        if (inside)
          c = arith::SelectOp::create(b, read.getLoc(), inside, c, read.getOtherwise());
      }
      read.replaceAllUsesWith(c);
      read.erase();
      changed = true;
    }
  }
  return changed;
}

/// The number that all elements of `tensor` are, where a body says so.
arith::ConstantOp filledWith(Value tensor) {
  auto generic = throughReshapes(tensor).getDefiningOp<GenericOp>();
  return generic ? generic.getBody().front().getTerminator()->getOperand(0).getDefiningOp<arith::ConstantOp>()
                 : arith::ConstantOp();
}

/// A read of what is one number everywhere → that number.
bool inlineFilled(Operation *op) {
  bool changed = false;
  unsigned first = firstBodyOperand(op);
  for (unsigned i = first; i < op->getNumOperands(); ++i)
    if (arith::ConstantOp number = filledWith(op->getOperand(i)))
      for (ReadOp read : readsOf(op, i - first)) {
        if (read.getOtherwise())
          continue;
        OpBuilder b(read);
        read.replaceAllUsesWith(arith::ConstantOp::create(b, read.getLoc(), number.getValue()).getResult());
        read.erase();
        changed = true;
      }
  return changed;
}

/// min(i, n - 1) where i is an index below n → i: what broadcasts is clamped until its size is known.
bool removeClamps(Operation *op) {
  bool changed = false;
  for (BodyRef body : bodiesOf(op)) {
    Block &block = body.region->front();
    SmallVector<Expr> extents = extentsOf(op, body);
    unsigned first = block.getNumArguments() - extents.size();
    for (auto min : llvm::make_early_inc_range(block.getOps<arith::MinSIOp>()))
      for (auto [index, limit] : {std::pair{min.getLhs(), min.getRhs()}, std::pair{min.getRhs(), min.getLhs()}}) {
        auto i = plainIndex(index, &block, first);
        auto size = limit.getDefiningOp<SizeOp>();
        APInt number;
        Expr most = size ? Expr(size.getValue())
                    : matchPattern(limit, m_ConstantInt(&number))
                        ? Expr::constant(op->getContext(), number.getSExtValue())
                        : Expr();
        if (!i || !most || !(most + 1 - extents[*i]).isNonNegative())
          continue;
        min.replaceAllUsesWith(index);
        min.erase();
        changed = true;
        break;
      }
  }
  return changed;
}

/// Comparisons of indices that come out alike for all of them → what they are.
bool decideComparisons(Operation *op) {
  bool changed = false;
  for (BodyRef body : bodiesOf(op)) {
    IndexCases cases(op, body);
    for (auto compare : llvm::make_early_inc_range(body.region->front().getOps<arith::CmpIOp>())) {
      std::optional<bool> known = cases.decide(compare);
      if (!known)
        continue;
      OpBuilder b(compare);
      compare.replaceAllUsesWith(arith::ConstantOp::create(b, compare.getLoc(), b.getBoolAttr(*known)).getResult());
      compare.erase();
      changed = true;
    }
  }
  return changed;
}

/// Sums of nothing but zeros → zeros.
bool removeEmptySums(Operation *root) {
  bool changed = false;
  root->walk([&](ScanOp op) {
    arith::ConstantOp number = filledWith(op.getInput());
    if (!number || !matchPattern(number.getResult(), m_Zero()) || op.getKind() != ReduceKind::add ||
        op.getInput().getType() != op.getResult().getType())
      return;
    op.replaceAllUsesWith(op.getInput());
    op.erase();
    changed = true;
  });
  return changed;
}

/// A transposition that moves nothing → its operand.
bool removeIdentities(Operation *root) {
  bool changed = false;
  root->walk([&](GenericOp op) {
    auto perm = asPermutation(op);
    if (!perm || !llvm::equal(*perm, llvm::seq<int64_t>(0, perm->size())) ||
        op.getInputs()[0].getType() != op.getResult().getType())
      return;
    op.replaceAllUsesWith(op.getInputs()[0]);
    op.erase();
    changed = true;
  });
  return changed;
}

struct SimplifyBodiesPass : kt::impl::SimplifyBodiesBase<SimplifyBodiesPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    RewritePatternSet owned(&getContext());
    owned.add<WidenNarrowed, WidenChosen, CastBack, ChosenByIndex, ReadChosen>(&getContext());
    FrozenRewritePatternSet patterns(std::move(owned));
    GreedyRewriteConfig config;
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled); // bodies have one block
    // A body may turn out to move nothing only once its arithmetic is gone, what reads its result may then read a
    // constant, and that may decide more arithmetic. The patterns also erase what nothing uses any more.
    bool changed = true;
    while (changed) {
      if (failed(applyPatternsGreedily(getOperation(), patterns, config)))
        return signalPassFailure();
      changed = removeIdentities(getOperation()) | removeEmptySums(getOperation());
      getOperation()->walk([&](Operation *op) {
        if (bodiesOf(op).empty())
          return;
        changed |= cleanBodyOperands(op);
        changed |= inlineScalars(op);
        changed |= inlineFilled(op);
        changed |= removeClamps(op);
        changed |= decideComparisons(op);
      });
    }
  }
};

} // namespace
