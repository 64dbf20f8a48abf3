//===- RaiseAttention.cpp - softmax(score(q k^T)) v -----------------------===//
//
//   %s = matmul %q, %k                               %r = attention %q, %k, %v score { s * c + mask }
//   %p = normalize softmax { s * c + mask }    ->
//   %r = matmul %p, %v
//
// Factors that scale q or k move into the score; keys and values that were repeated for groups of heads are read where
// they are.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/AffineMap.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Graph/ScalarMatch.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// A factor of a product on its way to an attention: where it is read from, its indices over (b, h or g, row, column),
/// the scales taken off it, and for how many heads each of its own serves.
struct Factor {
  Value v;
  SmallVector<unsigned> order; // tensor dimension -> 0: batch, 1: head, 2: row, 3: column
  SmallVector<double> scales;
  int64_t group = 1;
};

/// A generic that reads one tensor in permuted order and multiplies by a constant.
std::optional<std::pair<SmallVector<int64_t>, double>> asScaledPermutation(GenericOp op, Value &source) {
  Block &body = op.getBody().front();
  Value v = stripCasts(body.getTerminator()->getOperand(0));
  double scale = 1;
  if (auto mul = v.getDefiningOp<arith::MulFOp>()) {
    auto c = constantFloat(mul.getRhs());
    v = mul.getLhs();
    if (!c) {
      c = constantFloat(mul.getLhs());
      v = mul.getRhs();
    }
    if (!c)
      return std::nullopt;
    scale = *c;
  } else if (auto div = v.getDefiningOp<arith::DivFOp>()) {
    auto c = constantFloat(div.getRhs());
    if (!c || *c == 0)
      return std::nullopt;
    scale = 1 / *c;
    v = div.getLhs();
  }
  auto read = stripCasts(v).getDefiningOp<ReadOp>();
  int64_t rank = op.getResult().getType().getRank();
  unsigned count = op.getInputs().size();
  if (!read || read.getOtherwise() || (int64_t)read.getIndices().size() != rank)
    return std::nullopt;
  if (read.getTensor().getType().getElementType() != op.getResult().getType().getElementType())
    return std::nullopt;
  SmallVector<int64_t> perm(rank, -1);
  for (auto [dim, at] : llvm::enumerate(read.getIndices())) {
    auto i = plainIndex(at, &body, count);
    if (!i || perm[*i] >= 0 || read.getTensor().getType().dim(dim) != op.getResult().getType().dim(*i))
      return std::nullopt;
    perm[*i] = dim;
  }
  source = op.getInputs()[cast<BlockArgument>(read.getTensor()).getArgNumber()];
  return std::pair{perm, scale};
}

void takeOffScales(Factor &f) {
  while (auto generic = f.v.getDefiningOp<GenericOp>()) {
    Value source;
    auto p = asScaledPermutation(generic, source);
    if (!p)
      return;
    SmallVector<unsigned> order(f.order.size());
    for (auto [i, dim] : llvm::enumerate(p->first))
      order[dim] = f.order[i];
    f.order = order;
    f.v = source;
    if (p->second != 1)
      f.scales.push_back(p->second);
  }
}

/// reshape(expand(reshape(x [b, g, s, d]))) to [b, g * n, s, d]: heads repeated n times.
void takeOffRepetition(Factor &f) {
  auto merge = f.v.getDefiningOp<ReshapeOp>();
  auto expand = merge ? merge.getSource().getDefiningOp<GenericOp>() : GenericOp();
  SymTensorType merged = cast<SymTensorType>(f.v.getType());
  if (!expand || !isMovement(expand) || expand.getInputs().size() != 1 || f.order != SmallVector<unsigned>{0, 1, 2, 3})
    return;
  SymTensorType wide = expand.getResult().getType();
  if (wide.getRank() != 5 || wide.dim(0) != merged.dim(0) || wide.dim(3) != merged.dim(2) ||
      wide.dim(4) != merged.dim(3))
    return;
  auto repeat = wide.dim(2).asConstant();
  Block &body = expand.getBody().front();
  auto read = body.getTerminator()->getOperand(0).getDefiningOp<ReadOp>();
  if (!repeat || !read || read.getOtherwise() || wide.dim(1) * *repeat != merged.dim(1))
    return;
  // The indices read are those of the result without the repetition's.
  SmallVector<unsigned> used;
  for (Value at : read.getIndices()) {
    if (auto i = plainIndex(at, &body, 1))
      used.push_back(*i);
    else if (!matchPattern(at, m_Zero()))
      return;
  }
  if (used != SmallVector<unsigned>{0, 1, 3, 4})
    return;
  OpBuilder b(merge);
  auto type =
      SymTensorType::get(b.getContext(), {wide.getDims()[0], wide.getDims()[1], wide.getDims()[3], wide.getDims()[4]},
                         wide.getElementType());
  Value source = throughReshapes(expand.getInputs()[0]);
  f.v = source.getType() == type ? source : ReshapeOp::create(b, merge.getLoc(), type, source).getResult();
  f.group = *repeat;
}

/// The epilogue only converts the accumulator.
bool isPlainEpilogue(Region &region) {
  return stripCasts(region.front().getTerminator()->getOperand(0)) == region.front().getArgument(0);
}

/// Clones a body with its reads of `scores` replaced by `score`; other operands through `operandArg`.
Value inlineScore(OpBuilder &b, Region &region, unsigned leading, Value leadingValue, Operation *op, Value scores,
                  Value score, llvm::function_ref<Value(Value)> operandArg, ValueRange indices) {
  Block &block = region.front();
  IRMapping map;
  if (leading)
    map.map(block.getArgument(0), leadingValue);
  unsigned first = firstBodyOperand(op), count = op->getNumOperands() - first;
  for (unsigned i = 0; i < count; ++i)
    if (op->getOperand(first + i) != scores)
      map.map(block.getArgument(leading + i), operandArg(op->getOperand(first + i)));
  for (auto [i, v] : llvm::enumerate(indices))
    map.map(block.getArgument(leading + count + i), v);
  for (Operation &o : block.without_terminator()) {
    if (auto read = dyn_cast<ReadOp>(o))
      if (op->getOperand(first + cast<BlockArgument>(read.getTensor()).getArgNumber() - leading) == scores) {
        map.map(read.getResult(), score);
        continue;
      }
    b.clone(o, map);
  }
  return map.lookup(block.getTerminator()->getOperand(0));
}

bool raise(MatmulOp second) {
  auto norm = second.getLhs().getDefiningOp<NormalizeOp>();
  if (!norm || norm.getKind() != NormKind::softmax || norm.getAxes() != 1 || !norm.getResult().hasOneUse() ||
      second.getPacked() || !isPlainEpilogue(second.getEpilogue()) || second.numBatch() != 2 ||
      norm.getResult().getType().getRank() != 4)
    return false;
  AffineMap lhsMap = second.getMap(0), rhsMap = second.getMap(1), resultMap = second.getMap(2);
  MLIRContext *context = second.getContext();
  auto dim = [&](unsigned i) { return getAffineDimExpr(i, context); };
  if (lhsMap != AffineMap::get(5, 0, {dim(0), dim(1), dim(2), dim(4)}, context) || rhsMap.getNumResults() != 4)
    return false;
  // What follows the softmax: nothing, or zeros instead of NaN.
  Block &after = norm.getEpilogue().front();
  Value yielded = stripCasts(after.getTerminator()->getOperand(0));
  bool zeroEmpty = false;
  if (yielded != after.getArgument(0)) {
    auto select = yielded.getDefiningOp<arith::SelectOp>();
    auto cmp = select ? select.getCondition().getDefiningOp<arith::CmpFOp>() : arith::CmpFOp();
    if (!cmp || (cmp.getPredicate() != arith::CmpFPredicate::UNE && cmp.getPredicate() != arith::CmpFPredicate::UNO) ||
        stripCasts(cmp.getLhs()) != after.getArgument(0) || stripCasts(cmp.getRhs()) != after.getArgument(0) ||
        stripCasts(select.getFalseValue()) != after.getArgument(0) || constantFloat(select.getTrueValue()) != 0.0)
      return false;
    zeroEmpty = true;
  }
  // The scores: one operand, read at its own position, that a product makes for this alone.
  Value scores;
  MatmulOp first;
  for (auto [i, v] : llvm::enumerate(norm.getInputs()))
    if (auto m = v.getDefiningOp<MatmulOp>()) {
      bool here = llvm::all_of(readsOf(norm, i), [&](ReadOp r) {
        return r->getParentRegion() == &norm.getBody() && isIdentityRead(r, norm.getInputs().size(), 4);
      });
      if (here && v.hasOneUse() && m.numBatch() == 2 && !m.getPacked() && m.getMap(0).getNumResults() == 4 &&
          m.getMap(1).getNumResults() == 4) {
        if (first)
          return false;
        first = m;
        scores = v;
      }
    }
  if (!first || first.getMap(2) != AffineMap::get(5, 0, {dim(0), dim(1), dim(2), dim(3)}, context))
    return false;
  Type element = first.getLhs().getType().getElementType();
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return false;

  auto factor = [&](Value v, AffineMap map, unsigned row, unsigned column) {
    Factor f{v, {}, {}, 1};
    for (unsigned i = 0; i < 4; ++i) {
      unsigned d = map.getDimPosition(i);
      f.order.push_back(d == row ? 2 : d == column ? 3 : d);
    }
    return f;
  };
  Factor q = factor(first.getLhs(), first.getMap(0), 2, 4), k = factor(first.getRhs(), first.getMap(1), 3, 4),
         v = factor(second.getRhs(), rhsMap, 4, 3);
  takeOffScales(q);
  takeOffScales(k);
  Factor plainV = v;
  takeOffScales(plainV);
  if (plainV.scales.empty())
    v = plainV;
  takeOffRepetition(k);
  takeOffRepetition(v);
  if (k.group != v.group)
    return false;
  for (Factor *f : {&k, &v}) { // what repetition hid may be permuted again
    Factor again = *f;
    takeOffScales(again);
    if (f == &k || again.scales.size() == f->scales.size())
      *f = again;
  }

  OpBuilder b(second);
  Location loc = FusedLoc::get(context, {norm.getLoc(), first.getLoc(), second.getLoc()});
  SmallVector<Value> extras;
  for (Value x : norm.getInputs())
    if (x != scores && !llvm::is_contained(extras, x))
      extras.push_back(x);
  for (Value x : first.getExtras())
    if (!llvm::is_contained(extras, x))
      extras.push_back(x);
  auto mapOf = [&](const Factor &f) {
    SmallVector<AffineExpr> results;
    for (unsigned o : f.order)
      results.push_back(dim(o));
    return Attribute(AffineMapAttr::get(AffineMap::get(4, 0, results, context)));
  };
  Factor r = factor(Value(), resultMap, 2, 3);
  Attribute maps[] = {mapOf(q), mapOf(k), mapOf(v), mapOf(r)};
  Attribute sizes[] = {first.extent(0).attr(), first.extent(1).attr(), first.extent(2).attr(),
                       first.extent(3).attr(), first.getDepth(),       second.extent(3).attr()};
  auto op = AttentionOp::create(b, loc, second.getResult().getType(), q.v, k.v, v.v, extras, b.getArrayAttr(maps),
                                b.getArrayAttr(sizes), b.getI64IntegerAttr(k.group),
                                zeroEmpty ? b.getUnitAttr() : UnitAttr(), ArrayAttr());
  Type f32 = b.getF32Type();
  Block *block = addBody(op.getScore(), {f32}, extras, 4);
  b.setInsertionPointToStart(block);
  auto operandArg = [&](Value x) -> Value { return block->getArgument(1 + (llvm::find(extras, x) - extras.begin())); };
  ValueRange indices = block->getArguments().drop_front(1 + extras.size());
  Value s = block->getArgument(0);
  for (const Factor *f : {&q, &k})
    for (double scale : f->scales)
      s = arith::MulFOp::create(b, loc, s, arith::ConstantOp::create(b, loc, b.getFloatAttr(f32, scale)));
  s = inlineScore(b, first.getEpilogue(), 1, s, first, Value(), Value(), operandArg, indices);
  s = inlineScore(b, norm.getBody(), 0, Value(), norm, scores, s, operandArg, indices);
  YieldOp::create(b, loc, s);
  second.replaceAllUsesWith(op.getResult());
  second.erase();
  norm.erase();
  first.erase();
  cleanBodyOperands(op);
  return true;
}

struct RaiseAttentionPass : kt::impl::RaiseAttentionBase<RaiseAttentionPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<MatmulOp> ops;
    getOperation()->walk([&](MatmulOp op) { ops.push_back(op); });
    // From the end: raising erases the earlier product of a pair.
    llvm::SmallPtrSet<Operation *, 8> gone;
    for (MatmulOp op : llvm::reverse(ops)) {
      if (gone.contains(op))
        continue;
      Operation *first = nullptr;
      if (auto norm = op.getLhs().getDefiningOp<NormalizeOp>())
        for (Value v : norm.getInputs())
          if (auto m = v.getDefiningOp<MatmulOp>())
            first = m;
      if (raise(op) && first)
        gone.insert(first);
    }
  }
};

} // namespace
