//===- RaiseAttention.cpp - softmax(score(q k^T)) v -----------------------===//
//
//   %s = matmul %q, %k                               %r = attention %q, %k, %v score { s * c + mask }
//   %p = normalize softmax { s * c + mask }    ->
//   %r = matmul %p, %v
//
// A column more in the softmax, which is dropped before the second product, is the attention's sink (SinkSoftmax.h).
// Factors that scale q or k move into the score. Where q, k and v are read from, and which batch positions of the
// products are heads, follows from their layouts (AttentionFactors.h).
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/AffineMap.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Graph/AttentionFactors.h"
#include "passes/Graph/ScalarMatch.h"
#include "passes/Graph/SinkSoftmax.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

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

/// What follows the softmax: nothing, or zeros instead of NaN (true).
std::optional<bool> zeroesEmpty(NormalizeOp norm) {
  Block &after = norm.getEpilogue().front();
  Value yielded = stripCasts(after.getTerminator()->getOperand(0)), y = after.getArgument(0);
  if (yielded == y)
    return false;
  auto select = yielded.getDefiningOp<arith::SelectOp>();
  auto cmp = select ? select.getCondition().getDefiningOp<arith::CmpFOp>() : arith::CmpFOp();
  if (!cmp || (cmp.getPredicate() != arith::CmpFPredicate::UNE && cmp.getPredicate() != arith::CmpFPredicate::UNO) ||
      stripCasts(cmp.getLhs()) != y || stripCasts(cmp.getRhs()) != y || stripCasts(select.getFalseValue()) != y ||
      constantFloat(select.getTrueValue()) != 0.0)
    return std::nullopt;
  return true;
}

/// What follows the second product, applied to `attention`, which stands for its sums.
Value withEpilogue(OpBuilder &b, MatmulOp second, Value attention) {
  Location loc = second.getLoc();
  SmallVector<Value> inputs{attention};
  inputs.append(second.getExtras().begin(), second.getExtras().end());
  SymTensorType type = second.getResult().getType();
  auto op = GenericOp::create(b, loc, type, inputs);
  Block *block = addBody(op.getBody(), {}, inputs, type.getRank()), &from = second.getEpilogue().front();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(block);
  Value sum = ReadOp::create(b, loc, block->getArgument(0), block->getArguments().drop_front(inputs.size()));
  if (sum.getType() != second.accumulatorType())
    sum = arith::ExtFOp::create(b, loc, second.accumulatorType(), sum);
  IRMapping map;
  map.map(from.getArguments().drop_front(), block->getArguments().drop_front());
  map.map(from.getArgument(0), sum);
  for (Operation &o : from)
    b.clone(o, map);
  return op.getResult();
}

/// The product over (b.., i, j) whose result is all the scores of `norm`, which reads them at its own position and
/// nothing else does but `before`, the op that it has come from; `scores` is the operand, a view of the result perhaps.
MatmulOp productOfScores(NormalizeOp norm, Operation *before, Value &scores) {
  MatmulOp first;
  unsigned rank = norm.getResult().getType().getRank();
  for (auto [number, v] : llvm::enumerate(norm.getInputs())) {
    auto m = throughReshapes(v).getDefiningOp<MatmulOp>();
    if (!m || cast<SymTensorType>(v.getType()).getDims() != norm.getResult().getType().getDims())
      continue;
    bool alone = llvm::all_of(v.getUsers(), [&](Operation *user) { return user == norm || user == before; });
    for (auto view = v.getDefiningOp<ReshapeOp>(); view; view = view.getSource().getDefiningOp<ReshapeOp>())
      alone &= view.getSource().hasOneUse();
    bool here = llvm::all_of(readsOf(norm, number), [&](ReadOp r) {
      return r->getParentRegion() == &norm.getBody() && isIdentityRead(r, norm.getInputs().size(), rank);
    });
    if (!alone || !here)
      continue;
    if (first)
      return {};
    first = m, scores = v;
  }
  return first;
}

/// Batch dimensions in order, then rows, then `last`.
bool isInOrder(AffineMap map, unsigned last) {
  unsigned rows = map.getNumDims() - 3;
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    if (map.getDimPosition(i) != (i <= rows ? i : last))
      return false;
  return map.getNumResults() == rows + 2;
}

SmallVector<Expr> batchExtents(MatmulOp op) {
  SmallVector<Expr> extents;
  for (unsigned d = 0; d < op.numBatch(); ++d)
    extents.push_back(op.extent(d));
  return extents;
}

Expr product(MLIRContext *context, ArrayRef<Expr> list) {
  Expr p = Expr::constant(context, 1);
  for (Expr e : list)
    p = p * e;
  return p;
}

/// The indices along batch dimensions of these extents, given those of a batch and a head.
SmallVector<Value> batchIndices(OpBuilder &b, Location loc, ArrayRef<Expr> extents, Value batch, Value head,
                                const AttentionLayout &layout) {
  auto split = [&](Value v, ArrayRef<Expr> list, SmallVectorImpl<Value> &into) {
    SmallVector<Value> reversed;
    for (unsigned i = list.size(); i-- > 0;) {
      if (i == 0) {
        reversed.push_back(v);
        break;
      }
      if (list[i].isConstant(1)) {
        reversed.push_back(arith::ConstantIndexOp::create(b, loc, 0));
        continue;
      }
      Value size = SizeOp::create(b, loc, list[i]);
      reversed.push_back(arith::RemUIOp::create(b, loc, v, size));
      v = arith::DivUIOp::create(b, loc, v, size);
    }
    into.append(reversed.rbegin(), reversed.rend());
  };
  SmallVector<Value> indices;
  // Where some of the last dimensions are the heads, no division is needed.
  for (unsigned at = 0; at <= extents.size(); ++at)
    if (product(b.getContext(), extents.drop_front(at)) == layout.heads) {
      split(batch, extents.take_front(at), indices);
      split(head, extents.drop_front(at), indices);
      return indices;
    }
  Value linear = arith::MulIOp::create(b, loc, batch, SizeOp::create(b, loc, layout.heads));
  split(arith::AddIOp::create(b, loc, linear, head), extents, indices);
  return indices;
}

/// The same product with its factors, and with them its rows and columns, exchanged. Its result stays as it is.
void exchangeFactors(MatmulOp op) {
  MLIRContext *context = op.getContext();
  unsigned dims = op.getMap(0).getNumDims();
  SmallVector<AffineExpr> order;
  for (unsigned d = 0; d < dims; ++d)
    order.push_back(getAffineDimExpr(d == dims - 3 ? d + 1 : d == dims - 2 ? d - 1 : d, context));
  auto exchanged = [&](unsigned i) {
    return Attribute(AffineMapAttr::get(op.getMap(i).replaceDimsAndSymbols(order, {}, dims, 0)));
  };
  op.setMapsAttr(ArrayAttr::get(context, {exchanged(1), exchanged(0), exchanged(2)}));
  Value lhs = op.getLhs(), rhs = op.getRhs();
  op->setOperand(0, rhs);
  op->setOperand(1, lhs);
}

/// Products that make scores have rows of queries and those of values have them on the left, whichever side exporters
/// put them on: v p^T is (p v^T)^T.
void putQueriesLeft(MatmulOp second) {
  auto made = [](Value v) { return throughReshapes(v).getDefiningOp<NormalizeOp>(); };
  if (second.getPacked() || second.getViews() || made(second.getLhs()) || !made(second.getRhs()))
    return;
  exchangeFactors(second);
}

/// What the readers of `v` split its batch dimensions into: the number of heads, most likely.
void guessHeads(Value v, SmallVectorImpl<Expr> &guesses) {
  for (Operation *user : v.getUsers())
    if (auto reshape = dyn_cast<ReshapeOp>(user); reshape && reshape.getResult().getType().getRank() == 4)
      guesses.push_back(reshape.getResult().getType().dim(1));
}

/// Makes one op of `second` and of the softmax `norm` that it multiplies, with the score more that `parts` has of it,
/// if there are any.
bool raise(MatmulOp second, NormalizeOp norm, SinkSoftmax *parts) {
  if (norm.getKind() != NormKind::softmax || norm.getAxes() != 1)
    return false;
  unsigned rows = second.numBatch(); // the iteration dimension of the rows, in both products
  std::optional<bool> zeroEmpty = zeroesEmpty(norm);
  Value scores;
  MatmulOp first = productOfScores(norm, parts ? parts->whole : nullptr, scores);
  if (!zeroEmpty || !first || first.getPacked() || first.getViews() || !isInOrder(second.getMap(0), rows + 2) ||
      !isInOrder(first.getMap(2), first.numBatch() + 1))
    return false;
  Type element = first.getLhs().getType().getElementType();
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return false;
  // Views between them may merge and split batches and heads, not rows and columns.
  MLIRContext *context = second.getContext();
  unsigned firstRows = first.numBatch();
  SymTensorType normType = norm.getResult().getType();
  int64_t rank = normType.getRank();
  Expr i = first.extent(firstRows), j = first.extent(firstRows + 1);
  if (rank < 2 || normType.dim(rank - 2) != i || normType.dim(rank - 1) != j || second.extent(rows) != i ||
      Expr(second.getDepth()) != j)
    return false;
  SmallVector<Expr> firstBatch = batchExtents(first), secondBatch = batchExtents(second), normBatch;
  for (int64_t d = 0; d + 2 < rank; ++d)
    normBatch.push_back(normType.dim(d));
  Expr total = product(context, secondBatch);
  if (product(context, firstBatch) != total || product(context, normBatch) != total)
    return false;

  AttentionFactor factors[] = {factorOf(first, 0, firstRows, firstRows + 2, /*scales=*/true),
                               factorOf(first, 1, firstRows + 1, firstRows + 2, /*scales=*/true),
                               factorOf(second, 1, rows + 2, rows + 1, /*scales=*/false)};
  AttentionFactor plain[] = {plainFactorOf(first, 0, firstRows, firstRows + 2),
                             plainFactorOf(first, 1, firstRows + 1, firstRows + 2),
                             plainFactorOf(second, 1, rows + 2, rows + 1)};
  SmallVector<Expr> natural, guesses;
  for (ArrayRef<Expr> batch : {ArrayRef(normBatch), ArrayRef(secondBatch), ArrayRef(firstBatch)})
    for (unsigned d = 1; d < batch.size(); ++d)
      natural.push_back(product(context, batch.drop_front(d)));
  guessHeads(second.getResult(), guesses);
  auto layout = findHeads(factors, plain, total, natural, guesses);
  if (!layout)
    return false;
  // The result with batches and heads apart; a view puts them together again.
  AffineMap resultMap = second.getMap(2);
  SmallVector<AffineExpr> order;
  SmallVector<ExprAttr> dims;
  SmallVector<unsigned> batchPositions;
  bool same = rows == 2 && layout->heads == secondBatch[1];
  for (unsigned r = 0; r < resultMap.getNumResults(); ++r) {
    unsigned d = resultMap.getDimPosition(r);
    if (d < rows && same) {
      order.push_back(getAffineDimExpr(d, context));
      dims.push_back(secondBatch[d].attr());
      continue;
    }
    if (d < rows) {
      batchPositions.push_back(r);
      if (d + 1 != batchPositions.size() || batchPositions.front() + d != r)
        return false;
      if (d > 0)
        continue;
    }
    bool none = rows == 0 && r == 0;
    if (d < rows || none) {
      order.append({getAffineDimExpr(0, context), getAffineDimExpr(1, context)});
      dims.append({layout->batches.attr(), layout->heads.attr()});
    }
    if (d >= rows) {
      order.push_back(getAffineDimExpr(d - rows + 2, context));
      dims.push_back(second.extent(d).attr());
    }
  }

  std::optional<double> scale = takeScale(*layout, first);
  OpBuilder b(second);
  Location loc = FusedLoc::get(context, {norm.getLoc(), first.getLoc(), second.getLoc()});
  SmallVector<Value> extras;
  for (Value x : norm.getInputs())
    if (x != scores && !llvm::is_contained(extras, x))
      extras.push_back(x);
  for (ValueRange list : {ValueRange(first.getExtras()), parts ? ValueRange(parts->sink.getInputs()) : ValueRange()})
    for (Value x : list)
      if (!llvm::is_contained(extras, x))
        extras.push_back(x);
  auto identity = AffineMapAttr::get(AffineMap::getMultiDimIdentityMap(4, context));
  Attribute maps[] = {identity, identity, identity, AffineMapAttr::get(AffineMap::get(4, 0, order, context))};
  Attribute sizes[] = {layout->batches.attr(), layout->heads.attr(),          i.attr(), j.attr(),
                       first.getDepth(),       second.extent(rows + 1).attr()};
  bool plainEnd = isPlainEpilogue(second.getEpilogue());
  SymTensorType end = plainEnd ? second.getResult().getType() : second.getRhs().getType();
  auto type = SymTensorType::get(context, dims, end.getElementType());
  auto op = AttentionOp::create(b, loc, type, first.getLhs(), first.getRhs(), second.getRhs(), extras,
                                b.getArrayAttr(maps), b.getArrayAttr(sizes), b.getI64IntegerAttr(layout->group),
                                *zeroEmpty ? b.getUnitAttr() : UnitAttr(), ArrayAttr());
  for (unsigned f = 0; f < 3; ++f)
    setFactor(op, f, layout->factors[f].root, layout->views[f]);
  Type f32 = b.getF32Type();
  Block *block;
  auto begin = [&](Region &region, TypeRange leading, unsigned numIndices) {
    block = addBody(region, leading, extras, numIndices);
    b.setInsertionPointToStart(block);
  };
  auto operandArg = [&](Value x) -> Value {
    return block->getArgument((op.getSink().empty() ? 1 : 0) + (llvm::find(extras, x) - extras.begin()));
  };
  begin(op.getScore(), {f32}, 4);
  auto indices = [&](ArrayRef<Expr> batch) {
    ValueRange at = block->getArguments().take_back(4);
    SmallVector<Value> list = batchIndices(b, loc, batch, at[0], at[1], *layout);
    list.append({at[2], at[3]});
    return list;
  };
  Value s = block->getArgument(0);
  if (scale)
    s = arith::MulFOp::create(b, loc, s, arith::ConstantOp::create(b, loc, b.getFloatAttr(f32, *scale)));
  s = inlineScore(b, first.getEpilogue(), 1, s, first, Value(), Value(), operandArg, indices(firstBatch));
  s = inlineScore(b, norm.getBody(), 0, Value(), norm, scores, s, operandArg, indices(normBatch));
  YieldOp::create(b, loc, s);
  if (parts) {
    begin(op.getSink(), {}, 3);
    ValueRange at = block->getArguments().take_back(3);
    SmallVector<Value> list = batchIndices(b, loc, normBatch, at[0], at[1], *layout);
    list.append({at[2], arith::ConstantIndexOp::create(b, loc, 0)});
    YieldOp::create(b, loc,
                    inlineScore(b, parts->sink.getBody(), 0, Value(), parts->sink, Value(), Value(), operandArg, list));
  }
  b.setInsertionPointAfter(op);
  Value result = op.getResult();
  auto whole = SymTensorType::get(context, second.getResult().getType().getDims(), end.getElementType());
  if (result.getType() != whole)
    result = ReshapeOp::create(b, loc, whole, result);
  if (!plainEnd)
    result = withEpilogue(b, second, result);
  second.replaceAllUsesWith(result);
  second.erase();
  cleanBodyOperands(op);
  return true;
}

bool raise(MatmulOp second) {
  Value weights = throughReshapes(second.getLhs());
  if (second.getPacked() || second.getViews() || !weights.hasOneUse() || !second.getLhs().hasOneUse())
    return false;
  if (auto norm = weights.getDefiningOp<NormalizeOp>())
    return raise(second, norm, nullptr);
  auto parts = splitSink(weights);
  if (!parts)
    return false;
  bool raised = raise(second, parts->scores, &*parts);
  parts->erase();
  return raised;
}

struct RaiseAttentionPass : kt::impl::RaiseAttentionBase<RaiseAttentionPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<MatmulOp> ops;
    getOperation()->walk([&](MatmulOp op) { ops.push_back(op); });
    for (MatmulOp op : ops) {
      putQueriesLeft(op);
      raise(op);
    }
    // The scores and what made them, and movement that the layouts have replaced.
    eraseDead(getOperation());
  }
};

} // namespace
