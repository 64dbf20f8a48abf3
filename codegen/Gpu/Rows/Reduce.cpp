//===- Reduce.cpp - reductions --------------------------------------------===//
//
// Rows: a warp or a block walks the contiguous reduction space of one result element; few long rows are split over
// blocks and a second stage adds up. Columns: a thread owns a few neighbouring result elements, and rows of threads
// share a long reduction through shared memory.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/Kernels.h"
#include "codegen/Gpu/Rows/Combine.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kSplits = 64;

SmallVector<Expr> exprs(ArrayAttr list) {
  SmallVector<Expr> all;
  for (Attribute a : list)
    all.push_back(cast<ExprAttr>(a));
  return all;
}

/// What both forms have in common: the op's regions over a kernel under construction.
struct Parts {
  KernelBuilder k;
  ReduceOp op;
  BodyEmitter body, epilogue;
  unsigned rank, depth;
  IndexSpace out, over;
  Combiner combiner;
  Expr outputs, length;

  Parts(KernelSink &sink, ReduceOp op, LaunchBounds bounds)
      : k(sink.kernel, sink.entryName(), bounds), op(op), body(k, op.getBody(), 0, k.operandBuffers()),
        epilogue(k, op.getEpilogue(), 1, k.operandBuffers()), rank(op.getResult().getType().getRank()),
        depth(op.getExtents().size()), out(op.getResult().getType().sizes(), {{&body, 0u}, {&epilogue, 0u}}),
        over(exprs(op.getExtents()), {{&body, rank}}),
        combiner(k, op.getKind(), op.getBody().front().getTerminator()->getOperand(0).getType(), op.getSelectLast()) {
    outputs = rank ? out.count() : sink.one();
    length = depth ? over.count() : sink.one();
  }

  /// Extents of the reduction space in vectors of `lanes`.
  SmallVector<Expr> vectorGroups(unsigned lanes) {
    SmallVector<Expr> groups = over.groups;
    if (lanes > 1)
      groups.back() = Expr::ceilDiv(groups.back(), Expr::constant(op.getContext(), lanes));
    return groups;
  }

  /// Combines into `state` the elements [item * lanes, + lanes) of the reduction for the output at `at`.
  Values step(ArrayRef<Value> at, Value item, unsigned lanes, Alignment &alignment, ValueRange state) {
    Values r = delinearize(k, item, vectorGroups(lanes));
    if (lanes > 1)
      r.back() = k.mul(r.back(), lanes);
    Values indices = out.expand(k, at);
    indices.append(over.expand(k, r));
    Values values = body.emit({}, indices, (int)(rank + depth) - 1, lanes, alignment);
    Value first = k.mul(item, lanes);
    SmallVector<Values> states;
    for (unsigned v = 0; v < lanes; ++v)
      states.push_back(combiner.single(values[v], combiner.isArg() ? k.add(first, v) : Value()));
    for (; states.size() > 1; states.resize(states.size() / 2))
      for (unsigned i = 0; i < states.size() / 2; ++i)
        states[i] = combiner.combine(states[2 * i], states[2 * i + 1]);
    return combiner.combine(state, states[0]);
  }

  void storeResult(ValueRange state, ArrayRef<Value> at, Value linear) {
    Value y = epilogue.emit(combiner.finish(state), out.expand(k, at));
    k.storeResult(0, linear, y);
  }
  /// Addresses of a partial state in the workspace: an array a member, the widest first.
  Values partials(Value slot) {
    Values places;
    Value base = k.workspace();
    for (Type t : combiner.types()) {
      places.push_back(k.at(base, slot, elementBytes(t)));
      base = k.at(base, k.mul(k.size(outputs), kSplits), elementBytes(t));
    }
    return places;
  }
};

struct RowPlan {
  unsigned threadsPerRow;
  bool vectors, split;
};

LogicalResult buildRows(KernelSink &sink, ReduceOp op, RowPlan plan) {
  Parts p(sink, op, {kThreads, 0, plan.split});
  KernelBuilder &k = p.k;
  Alignment alignment = sink.alignment();
  if (plan.vectors)
    alignRows(op, alignment);
  unsigned lanes = alignment.lanes, tpr = plan.threadsPerRow, rows = kThreads / tpr;
  Expr items = sink.one();
  for (Expr e : p.vectorGroups(lanes))
    items = items * e;

  Value row = k.add(k.mul(k.ctaX(), rows), k.div(k.tid(), tpr)), lane = k.rem(k.tid(), tpr);
  k.ifThen(k.lt(row, k.size(p.outputs)), [&] {
    Values at = delinearize(k, row, p.out.groups);
    Value first = lane, step = k.c(tpr);
    if (plan.split) {
      first = k.add(lane, k.mul(k.ctaY(), tpr));
      step = k.c(tpr * kSplits);
    }
    Values state = k.forLoop(first, k.size(items), step, p.combiner.neutral(),
                             [&](Value i, ValueRange now) { return p.step(at, i, lanes, alignment, now); });
    state = tpr == 32 ? p.combiner.acrossLanes(state) : acrossBlock(k, p.combiner, state, tpr, 0);
    k.ifThen(k.cmp(Pred::eq, lane, 0), [&] {
      if (!plan.split)
        return p.storeResult(state, at, row);
      Value slot = k.add(k.mul(row, kSplits), k.ctaY());
      for (auto [v, place] : llvm::zip(state, p.partials(slot)))
        k.storeElement(v, place);
    });
  });
  artifact::Variant variant;
  variant.schedule = "reduce rows threads=" + std::to_string(tpr) + " lanes=" + std::to_string(lanes);
  int64_t sharedBytes = tpr == 32 ? 0 : p.combiner.bytes() * 32;
  Expr blocks = Expr::ceilDiv(p.outputs, sink.number(rows));
  if (failed(
          sink.addStage(variant, k, {blocks, plan.split ? sink.number(kSplits) : sink.one(), sink.one()}, sharedBytes)))
    return failure();
  if (plan.split) {
    variant.schedule += " splits=" + std::to_string(kSplits);
    variant.workspace = sink.pool.add(p.outputs * sink.number(kSplits * p.combiner.bytes()));
    Parts q(sink, op, {kThreads, 0, true});
    KernelBuilder &k = q.k;
    Value row = k.add(k.mul(k.ctaX(), kThreads / 32), k.shr(k.tid(), 5)), lane = k.and_(k.tid(), 31);
    k.ifThen(k.lt(row, k.size(q.outputs)), [&] {
      Values state = q.combiner.neutral();
      for (unsigned s = 0; s < kSplits; s += 32) {
        Values next;
        Value slot = k.add(k.add(k.mul(row, kSplits), lane), s);
        for (auto [t, place] : llvm::zip(q.combiner.types(), q.partials(slot)))
          next.push_back(k.loadElement(place, t));
        state = q.combiner.combine(state, next);
      }
      state = q.combiner.acrossLanes(state);
      k.ifThen(k.cmp(Pred::eq, lane, 0), [&] { q.storeResult(state, delinearize(k, row, q.out.groups), row); });
    });
    if (failed(
            sink.addStage(variant, k, {Expr::ceilDiv(q.outputs, sink.number(kThreads / 32)), sink.one(), sink.one()})))
      return failure();
  }
  sink.addVariant(std::move(variant));
  return success();
}

/// `across` rows of threads share each reduction.
LogicalResult buildColumns(KernelSink &sink, ReduceOp op, unsigned across, bool vectors) {
  Parts p(sink, op, {kThreads});
  KernelBuilder &k = p.k;
  Alignment alignment = sink.alignment();
  int inner = (int)p.rank - 1;
  if (vectors)
    alignColumns(op, alignment);
  unsigned lanes = alignment.lanes, columns = kThreads / across;
  SmallVector<Expr> extents = p.out.groups;
  if (lanes > 1)
    extents.back() = Expr::ceilDiv(extents.back(), sink.number(lanes));
  Expr items = sink.one();
  for (Expr e : extents)
    items = items * e;

  Value column = k.rem(k.tid(), columns), y = k.div(k.tid(), columns);
  Value item = k.add(k.mul(k.ctaX(), columns), column);
  Value valid = k.lt(item, k.size(items));
  Values at = delinearize(k, k.sel(valid, item, k.c(0)), extents);
  if (lanes > 1)
    at.back() = k.mul(at.back(), lanes);
  Values neutral;
  for (unsigned v = 0; v < lanes; ++v)
    neutral.append(p.combiner.neutral());
  unsigned width = p.combiner.types().size();
  // Threads without an element of their own reduce nothing but stay for the barrier.
  Value end = k.sel(valid, k.size(p.length), k.c(0));
  Values state = k.forLoop(y, end, k.c(across), neutral, [&](Value i, ValueRange now) {
    Values indices = p.out.expand(k, at);
    indices.append(p.over.expand(k, delinearize(k, i, p.over.groups)));
    Values values = p.body.emit({}, indices, inner, lanes, alignment), next;
    for (unsigned v = 0; v < lanes; ++v)
      next.append(p.combiner.combine(now.slice(v * width, width), p.combiner.single(values[v], i)));
    return next;
  });
  int64_t sharedBytes = 0;
  if (across > 1) {
    SmallVector<Type> types = p.combiner.types();
    auto place = [&](Value thread, unsigned member, unsigned v) {
      int64_t before = member ? kThreads * lanes * elementBytes(types[0]) : 0;
      return k.at(k.sptr(before), k.add(thread, v * kThreads), elementBytes(types[member]));
    };
    for (unsigned v = 0; v < lanes; ++v)
      for (unsigned m = 0; m < width; ++m)
        k.storeElement(state[v * width + m], place(k.tid(), m, v));
    k.barrier();
    Values total(state);
    for (unsigned other = 1; other < across; ++other)
      for (unsigned v = 0; v < lanes; ++v) {
        Values next;
        Value thread = k.add(column, other * columns);
        for (unsigned m = 0; m < width; ++m)
          next.push_back(k.loadElement(place(thread, m, v), types[m]));
        Values sum = p.combiner.combine(ValueRange(total).slice(v * width, width), next);
        std::copy(sum.begin(), sum.end(), total.begin() + v * width);
      }
    state = total;
    sharedBytes = kThreads * lanes * p.combiner.bytes();
    valid = k.and_(valid, k.cmp(Pred::eq, y, 0));
  }
  k.ifThen(valid, [&] {
    SmallVector<Values> leading;
    for (unsigned v = 0; v < lanes; ++v)
      leading.push_back({p.combiner.finish(ValueRange(state).slice(v * width, width))});
    Values results = p.epilogue.emit(leading, p.out.expand(k, at), inner, lanes, alignment);
    k.storeResult(0, k.mul(item, lanes), results);
  });
  artifact::Variant variant;
  variant.schedule = "reduce columns across=" + std::to_string(across) + " lanes=" + std::to_string(lanes);
  if (failed(
          sink.addStage(variant, k, {Expr::ceilDiv(items, sink.number(columns)), sink.one(), sink.one()}, sharedBytes)))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}

} // namespace

LogicalResult kt::gpu::buildReduce(KernelSink &sink, ReduceOp op) {
  bool vectors = sink.configured("vectors");
  if (sink.has(path::kColumns))
    return buildColumns(sink, op, sink.configured("across"), vectors);
  return buildRows(sink, op, {(unsigned)sink.configured("threads"), vectors, sink.configured("split") != 0});
}
