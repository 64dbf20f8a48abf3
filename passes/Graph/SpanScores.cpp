//===- SpanScores.cpp - masks of scores that are spans of keys ------------===//
//
//   score { select(j <= i + past, x, -inf) }    ->    span_to = past + 1, score { x }
//
// What a row does not see is then skipped, a block of keys at a time, and what it sees is not masked.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/IR/ExprPoly.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Analysis/Bands.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/ScoreRange.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_SPANSCORES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// What a condition says of the keys that a row sees: those of `span`, for which its truth is `inside`.
struct Mask {
  SpanCondition condition;
  Span span;
  bool inside;
  bool finite; // what is not seen has a very low score and not minus infinity
};

/// Both ends, where it is decided which is the stricter one.
std::optional<Span> intersect(const Span &a, const Span &b) {
  auto stricter = [](Expr x, Expr y, bool larger) -> std::optional<Expr> {
    if (!x || !y)
      return x ? x : y;
    if ((x - y).isNonNegative())
      return larger ? x : y;
    if ((y - x).isNonNegative())
      return larger ? y : x;
    return std::nullopt;
  };
  auto from = stricter(a.from, b.from, true), to = stricter(a.to, b.to, false);
  return from && to ? std::optional<Span>(Span{*from, *to}) : std::nullopt;
}

/// Every row has a key in its span, whatever the sizes, unless there is no key at all.
bool reachesEveryRow(const Span &span, Expr rows, Expr keys) {
  Expr one = Expr::constant(rows.context(), 1);
  return (!span.to || (span.to - one).isNonNegative()) && (!span.from || (keys - rows - span.from).isNonNegative()) &&
         (!span.from || !span.to || (span.to - span.from - one).isNonNegative());
}

bool isSpanEnd(Expr e) { return !e || asDifference(e); }

class Spanner {
public:
  explicit Spanner(AttentionOp op) : op(op), conditions(spanConditions(op)) {
    if (auto from = op.getSpanFrom())
      span.from = Expr(*from);
    if (auto to = op.getSpanTo())
      span.to = Expr(*to);
  }
  void run() {
    bool finite = false;
    SmallVector<Mask> masks;
    for (const SpanCondition &c : conditions)
      if (auto mask = maskOf(c)) {
        masks.push_back(*mask);
        finite |= mask->finite;
      }
    if (op.getSpanLow()) { // narrower types may prove what wider ones did not
      bool fits = llvm::any_of(masks, [&](const Mask &m) { return intersect(span, m.span).has_value(); });
      if (fits && take(masks))
        op.setSpanLow(false);
      return;
    }
    if (take(masks) || !finite)
      return;
    // Minus infinity may be taken where the lowest number may not.
    SmallVector<Mask> infinite;
    llvm::copy_if(masks, std::back_inserter(infinite), [](const Mask &m) { return !m.finite; });
    if (infinite.empty())
      takeLow(masks);
    else
      (void)take(infinite);
  }

private:
  ScoreRange rangeWith(llvm::function_ref<std::optional<bool>(Value)> decided) { return scoreRange(op, decided); }
  std::optional<Mask> maskOf(const SpanCondition &c);
  bool take(ArrayRef<Mask> masks);
  void takeLow(ArrayRef<Mask> masks);
  void rewrite(ArrayRef<Mask> taken);
  void setSpan() {
    if (span.from)
      op.setSpanFromAttr(span.from.attr());
    if (span.to)
      op.setSpanToAttr(span.to.attr());
  }
  bool seesNoIndex(OpOperand &use);

  AttentionOp op;
  SmallVector<SpanCondition> conditions;
  Span span;
};

/// The mask that a condition alone makes, on the side on which it decides that nothing is seen.
std::optional<Mask> Spanner::maskOf(const SpanCondition &c) {
  for (bool inside : {true, false}) {
    auto seen = inside ? std::optional<Span>(c.span) : c.complement();
    if (!seen || !isSpanEnd(seen->from) || !isSpanEnd(seen->to))
      continue;
    double most = rangeWith([&](Value v) -> std::optional<bool> {
                    // Comparisons that say the same are decided together.
                    for (const SpanCondition &other : conditions)
                      if (other.truth == v && other.span == c.span)
                        return !inside;
                    return std::nullopt;
                  }).most;
    if (most <= kMaskedScore)
      return Mask{c, *seen, inside, !std::isinf(most)};
  }
  return std::nullopt;
}

/// Makes the span of all masks that fit into one; false, with nothing done, where finite masks are among them and what
/// they stand for cannot be proved.
bool Spanner::take(ArrayRef<Mask> masks) {
  Span all = span;
  SmallVector<Mask> taken;
  bool finite = false;
  for (const Mask &m : masks)
    if (auto both = intersect(all, m.span)) {
      all = *both;
      taken.push_back(m);
      finite |= m.finite;
    }
  if (taken.empty())
    return true;
  if (finite) {
    // Scores of what is seen have to be so far above the mask that nothing else counts.
    double least = rangeWith([&](Value v) -> std::optional<bool> {
                     for (const Mask &m : taken)
                       if (m.condition.truth == v)
                         return m.inside;
                     return std::nullopt;
                   }).least;
    if (!(least >= kSeenScore) ||
        !reachesEveryRow(all, cast<ExprAttr>(op.getSizes()[2]), cast<ExprAttr>(op.getSizes()[3])))
      return false;
  }
  span = all;
  rewrite(taken);
  return true;
}

/// Finite masks that may cover all that a row sees stay in the region; kernels look whether they do.
void Spanner::takeLow(ArrayRef<Mask> masks) {
  for (const Mask &m : masks)
    if (auto both = intersect(span, m.span))
      span = *both;
  setSpan();
  op.setSpanLow(true);
}

/// No index and no check of one depends on what uses a truth: those have to hold for every key, seen or not.
bool Spanner::seesNoIndex(OpOperand &use) {
  SmallVector<Operation *> open{use.getOwner()};
  llvm::SmallPtrSet<Operation *, 8> seen;
  while (!open.empty()) {
    Operation *o = open.pop_back_val();
    if (isa<ReadOp, BoundedOp>(o))
      return false;
    if (seen.insert(o).second)
      open.append(o->getUsers().begin(), o->getUsers().end());
  }
  return true;
}

void Spanner::rewrite(ArrayRef<Mask> taken) {
  OpBuilder b(op.getContext());
  Block &block = op.getScore().front();
  for (const Mask &m : taken) {
    b.setInsertionPointToStart(&block);
    Value known = arith::ConstantIntOp::create(b, m.condition.truth.getLoc(), m.inside, 1);
    Value truth = m.condition.truth;
    truth.replaceUsesWithIf(known, [&](OpOperand &use) { return seesNoIndex(use); });
  }
  setSpan();
}

/// Reads of tables that are bands become comparisons of their indices.
class BandReads {
public:
  void run(AttentionOp op) {
    for (auto [number, extra] : llvm::enumerate(op.getExtras())) {
      auto constant = throughReshapes(extra).getDefiningOp<ConstantOp>();
      if (!constant)
        continue;
      auto [it, fresh] = known.try_emplace(constant);
      if (fresh)
        it->second = bandOf(constant);
      if (it->second)
        for (ReadOp read : readsOf(op, number))
          replace(read, *it->second);
    }
  }

private:
  void replace(ReadOp read, const Band &band) {
    SymTensorType type = read.getTensor().getType();
    int64_t rank = type.getRank();
    // What is read may be a view of the table, but has to be of its rows and columns.
    if (read.getOtherwise() || rank < 2 || !type.dim(rank - 2).isConstant(band.rows) ||
        !type.dim(rank - 1).isConstant(band.columns) || read.getType() != band.inside.getType())
      return;
    OpBuilder b(read);
    Location loc = read.getLoc();
    Value distance = arith::SubIOp::create(b, loc, read.getIndices()[rank - 1], read.getIndices()[rank - 2]);
    Value inside;
    auto when = [&](arith::CmpIPredicate predicate, std::optional<int64_t> limit) {
      if (!limit)
        return;
      Value one = arith::CmpIOp::create(b, loc, predicate, distance, arith::ConstantIndexOp::create(b, loc, *limit));
      inside = inside ? arith::AndIOp::create(b, loc, inside, one).getResult() : one;
    };
    when(arith::CmpIPredicate::sge, band.from);
    when(arith::CmpIPredicate::slt, band.to);
    Value in = arith::ConstantOp::create(b, loc, band.inside), out = arith::ConstantOp::create(b, loc, band.outside);
    read.replaceAllUsesWith(arith::SelectOp::create(b, loc, inside, in, out).getResult());
    read.erase();
  }

  llvm::DenseMap<Operation *, std::optional<Band>> known;
};

/// Where heads are in half precision, its lowest number in a mask stands for minus infinity as FP32's does, and it
/// becomes that one: scores of a row that differ by half of FP16's range are no numbers that a model in FP16 computes
/// with. What adds or chooses it is a mask.
void widenLowest(AttentionOp op) {
  if (!op.getQuery().getType().scalarType().isF16())
    return;
  constexpr double kLowestHalf = -65504;
  for (auto constant : llvm::make_early_inc_range(op.getScore().front().getOps<arith::ConstantOp>())) {
    auto number = dyn_cast<FloatAttr>(constant.getValue());
    if (!number || !number.getType().isF32() || number.getValueAsDouble() != kLowestHalf)
      continue;
    OpBuilder b(constant);
    Value lowest =
        arith::ConstantOp::create(b, constant.getLoc(), b.getF32FloatAttr(-std::numeric_limits<float>::max()));
    constant.getResult().replaceUsesWithIf(
        lowest, [](OpOperand &use) { return isa<arith::AddFOp, arith::SelectOp>(use.getOwner()); });
  }
}

/// x + 0 in what makes a score → x: minus zero is as good as zero there.
struct AddNothing final : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::AddFOp add, PatternRewriter &rewriter) const override {
    if (!isa<AttentionOp>(add->getParentOp()) ||
        !llvm::all_of(add->getUsers(), [](Operation *user) { return isa<YieldOp, arith::AddFOp>(user); }))
      return rewriter.notifyMatchFailure(add, "not a sum of scores");
    for (auto [x, zero] : {std::pair{add.getLhs(), add.getRhs()}, std::pair{add.getRhs(), add.getLhs()}})
      if (matchPattern(zero, m_AnyZeroFloat())) {
        rewriter.replaceOp(add, x);
        return success();
      }
    return rewriter.notifyMatchFailure(add, "adds something");
  }
};

struct SpanScoresPass : kt::impl::SpanScoresBase<SpanScoresPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<Operation *> ops;
    getOperation()->walk([&](AttentionOp op) { ops.push_back(op); });
    if (ops.empty())
      return;
    BandReads bands;
    for (Operation *op : ops) {
      bands.run(cast<AttentionOp>(op));
      widenLowest(cast<AttentionOp>(op));
      Spanner(cast<AttentionOp>(op)).run();
    }
    // What the truths decided falls away.
    RewritePatternSet owned(&getContext());
    owned.add<AddNothing>(&getContext());
    GreedyRewriteConfig config;
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    FrozenRewritePatternSet patterns(std::move(owned));
    for (Operation *op : ops) {
      if (failed(applyPatternsGreedily(op, patterns, config)))
        return signalPassFailure();
      cleanBodyOperands(op);
    }
  }
};

} // namespace
