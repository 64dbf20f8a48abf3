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

SmallVector<Expr> batchExtents(NormalizeOp norm) {
  SymTensorType type = norm.getResult().getType();
  SmallVector<Expr> extents;
  for (ExprAttr d : type.getDims().drop_back(2))
    extents.push_back(d);
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

/// The batch dimensions of both products and of the softmax between them, which all three have in one order, as the
/// result has them; nothing where that is how they are. Windows of heads, say, may be heads of windows.
SmallVector<unsigned> orderOfResult(MatmulOp first, NormalizeOp norm, MatmulOp second, Value scores) {
  unsigned n = second.numBatch();
  SmallVector<unsigned> order;
  if (n < 3 || first.numBatch() != n || norm.getResult().getType().getRank() != n + 2 ||
      second.getLhs() != norm.getResult() || first.getResult() != scores)
    return order;
  for (AffineExpr e : second.getMap(2).getResults())
    if (unsigned d = cast<AffineDimExpr>(e).getPosition(); d < n)
      order.push_back(d);
  if (order.size() != n || llvm::is_sorted(order))
    order.clear();
  return order;
}

/// Puts batch dimension order[i] of all three in place i.
void orderBatches(MatmulOp first, NormalizeOp norm, MatmulOp second, ArrayRef<unsigned> order) {
  unsigned n = order.size(), rank = n + 2;
  MLIRContext *context = norm.getContext();
  SmallVector<unsigned> now(n + 3); // where what was there is
  for (auto [to, from] : llvm::enumerate(order))
    now[from] = to;
  for (unsigned d = n; d < n + 3; ++d)
    now[d] = d;
  auto renumber = [&](MatmulOp op, unsigned scores) {
    SmallVector<AffineExpr> dims;
    for (unsigned d : now)
      dims.push_back(getAffineDimExpr(d, context));
    SmallVector<Attribute> maps;
    for (unsigned i = 0; i < 3; ++i) {
      AffineMap map = op.getMap(i);
      SmallVector<AffineExpr> to;
      for (auto [at, e] : llvm::enumerate(map.getResults()))
        to.push_back(i == scores && at < n ? getAffineDimExpr(at, context)
                                           : dims[cast<AffineDimExpr>(e).getPosition()]);
      maps.push_back(AffineMapAttr::get(AffineMap::get(n + 3, 0, to, context)));
    }
    op.setMapsAttr(ArrayAttr::get(context, maps));
  };
  auto reorder = [&](SymTensorType type) {
    SmallVector<ExprAttr> dims(type.getDims());
    for (unsigned d = 0; d < n; ++d)
      dims[d] = type.getDims()[order[d]];
    return SymTensorType::get(context, dims, type.getElementType());
  };
  auto reindex = [&](Region &body) {
    unsigned firstIndex = body.front().getNumArguments() - rank;
    body.walk([&](Operation *op) {
      for (OpOperand &use : op->getOpOperands())
        if (auto arg = dyn_cast<BlockArgument>(use.get());
            arg && arg.getOwner() == &body.front() && arg.getArgNumber() >= firstIndex)
          use.set(body.front().getArgument(firstIndex + now[arg.getArgNumber() - firstIndex]));
    });
  };
  renumber(first, 2);
  renumber(second, 0);
  reindex(first.getEpilogue());
  reindex(norm.getBody());
  reindex(norm.getEpilogue());
  // The scores are still read where the softmax is.
  Value scores = first.getResult();
  scores.setType(reorder(first.getResult().getType()));
  norm.getResult().setType(reorder(norm.getResult().getType()));
  for (auto [i, v] : llvm::enumerate(norm.getInputs()))
    if (v == scores) {
      norm.getBody().front().getArgument(i).setType(scores.getType());
      norm.getEpilogue().front().getArgument(i + 1).setType(scores.getType());
      for (ReadOp read : readsOf(norm, i))
        read.getIndicesMutable().assign(norm.getBody().front().getArguments().take_back(rank));
    }
}

/// What the readers of `v` split its batch dimensions into: the number of heads, most likely.
void guessHeads(Value v, SmallVectorImpl<Expr> &guesses) {
  for (Operation *user : v.getUsers())
    if (auto reshape = dyn_cast<ReshapeOp>(user); reshape && reshape.getResult().getType().getRank() == 4)
      guesses.push_back(reshape.getResult().getType().dim(1));
}

/// Where q, k and v lie, and how many of the batch positions are heads.
std::optional<AttentionLayout> headsOf(MatmulOp first, NormalizeOp norm, MatmulOp second) {
  MLIRContext *context = second.getContext();
  unsigned rows = second.numBatch(), firstRows = first.numBatch();
  AttentionFactor factors[] = {factorOf(first, 0, firstRows, firstRows + 2, /*scales=*/true),
                               factorOf(first, 1, firstRows + 1, firstRows + 2, /*scales=*/true),
                               factorOf(second, 1, rows + 2, rows + 1, /*scales=*/false)};
  AttentionFactor plain[] = {plainFactorOf(first, 0, firstRows, firstRows + 2),
                             plainFactorOf(first, 1, firstRows + 1, firstRows + 2),
                             plainFactorOf(second, 1, rows + 2, rows + 1)};
  SmallVector<Expr> natural, guesses;
  for (const SmallVector<Expr> &batch : {batchExtents(norm), batchExtents(second), batchExtents(first)})
    for (unsigned d = 1; d < batch.size(); ++d)
      natural.push_back(product(context, ArrayRef(batch).drop_front(d)));
  guessHeads(second.getResult(), guesses);
  return findHeads(factors, plain, product(context, batchExtents(second)), natural, guesses);
}

/// The dimensions of an attention's result, with batches and heads as one each, and what they are in its iteration.
struct ResultOrder {
  SmallVector<AffineExpr> order;
  SmallVector<ExprAttr> dims;
  bool asIs = false; // a view of it is what the second product results in
};

/// The order that the product `second` has, or batches, heads, rows and columns where it has others between them.
ResultOrder orderOf(MatmulOp second, const AttentionLayout &layout) {
  MLIRContext *context = second.getContext();
  unsigned rows = second.numBatch(), heads = 0; // the first batch dimension that is one of heads
  SmallVector<Expr> batch = batchExtents(second);
  while (heads <= rows && product(context, ArrayRef(batch).drop_front(heads)) != layout.heads)
    ++heads;
  auto dim = [&](unsigned d) { return getAffineDimExpr(d, context); };
  ResultOrder result{{}, {}, true};
  auto add = [&](unsigned d, Expr size) {
    result.order.push_back(dim(d));
    result.dims.push_back(size.attr());
  };
  // Both together where they are merged, or where there are none of one of them.
  bool together = heads == 0 || heads >= rows;
  unsigned begins[2] = {0, 0};
  for (unsigned r = 0; r < second.getMap(2).getNumResults(); ++r) {
    unsigned d = second.getMap(2).getDimPosition(r);
    if (rows == 0 && r == 0)
      add(0, layout.batches), add(1, layout.heads);
    if (d >= rows) {
      add(d - rows + 2, second.extent(d));
      continue;
    }
    bool isHead = !together && d >= heads;
    unsigned first = isHead ? heads : 0;
    if (d == first) {
      begins[isHead] = r;
      if (!isHead)
        add(0, layout.batches);
      if (isHead || together)
        add(1, layout.heads);
    }
    result.asIs &= r == begins[isHead] + (d - first) && llvm::is_contained(result.order, dim(isHead));
  }
  if (!result.asIs) {
    result.order.clear(), result.dims.clear();
    add(0, layout.batches), add(1, layout.heads);
    add(2, second.extent(rows)), add(3, second.extent(rows + 1));
  }
  return result;
}

/// An attention's result as `second` had it: a view, or else moved.
Value inOrderOf(OpBuilder &b, MatmulOp second, Value made, bool asIs) {
  Location loc = second.getLoc();
  MLIRContext *context = second.getContext();
  Type element = cast<SymTensorType>(made.getType()).getElementType();
  auto whole = SymTensorType::get(context, second.getResult().getType().getDims(), element);
  auto view = [&](SymTensorType type) {
    return made.getType() == type ? made : ReshapeOp::create(b, loc, type, made).getResult();
  };
  if (asIs)
    return view(whole);
  SmallVector<ExprAttr> dims;
  for (unsigned d = 0; d < second.numBatch() + 2; ++d)
    dims.push_back(second.extent(d).attr());
  Value from = view(SymTensorType::get(context, dims, element));
  auto op = GenericOp::create(b, loc, whole, from);
  Block *block = addBody(op.getBody(), {}, from, whole.getRank());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(block);
  SmallVector<Value> at(dims.size());
  for (unsigned r = 0; r < dims.size(); ++r)
    at[second.getMap(2).getDimPosition(r)] = block->getArgument(1 + r);
  Value moved = ReadOp::create(b, loc, block->getArgument(0), at);
  YieldOp::create(b, loc, moved);
  return op.getResult();
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
  Expr total = product(context, batchExtents(second));
  if (product(context, batchExtents(first)) != total || product(context, batchExtents(norm)) != total)
    return false;

  auto layout = headsOf(first, norm, second);
  ResultOrder result;
  if (layout)
    result = orderOf(second, *layout);
  SmallVector<unsigned> order;
  if (!parts && !result.asIs)
    order = orderOfResult(first, norm, second, scores);
  if (!order.empty()) {
    orderBatches(first, norm, second, order);
    if (auto found = headsOf(first, norm, second)) {
      layout = found;
      result = orderOf(second, *layout);
    } else {
      SmallVector<unsigned> back(order.size());
      for (auto [to, from] : llvm::enumerate(order))
        back[from] = to;
      orderBatches(first, norm, second, back);
    }
  }
  if (!layout)
    return false;

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
  Attribute maps[] = {identity, identity, identity, AffineMapAttr::get(AffineMap::get(4, 0, result.order, context))};
  Attribute sizes[] = {layout->batches.attr(), layout->heads.attr(),          i.attr(), j.attr(),
                       first.getDepth(),       second.extent(rows + 1).attr()};
  bool plainEnd = isPlainEpilogue(second.getEpilogue());
  SymTensorType end = plainEnd ? second.getResult().getType() : second.getRhs().getType();
  auto type = SymTensorType::get(context, result.dims, end.getElementType());
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
  s = inlineScore(b, first.getEpilogue(), 1, s, first, Value(), Value(), operandArg, indices(batchExtents(first)));
  s = inlineScore(b, norm.getBody(), 0, Value(), norm, scores, s, operandArg, indices(batchExtents(norm)));
  YieldOp::create(b, loc, s);
  if (parts) {
    begin(op.getSink(), {}, 3);
    ValueRange at = block->getArguments().take_back(3);
    SmallVector<Value> list = batchIndices(b, loc, batchExtents(norm), at[0], at[1], *layout);
    list.append({at[2], arith::ConstantIndexOp::create(b, loc, 0)});
    YieldOp::create(b, loc,
                    inlineScore(b, parts->sink.getBody(), 0, Value(), parts->sink, Value(), Value(), operandArg, list));
  }
  b.setInsertionPointAfter(op);
  Value made = inOrderOf(b, second, op.getResult(), result.asIs);
  if (!plainEnd)
    made = withEpilogue(b, second, made);
  second.replaceAllUsesWith(made);
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
