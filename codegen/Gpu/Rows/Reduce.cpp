//===- Reduce.cpp - reductions --------------------------------------------===//
//
// Rows: a warp or a block walks the contiguous reduction space of one result element; few long rows are split over
// blocks, of which the last to arrive combines what the others left. Columns: a thread owns a few neighbouring result
// elements, and rows of threads share a long reduction through shared memory.
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
/// Items that a thread of a row asks for at a time, where its body has no more operations than that.
constexpr unsigned kAhead = 4, kBriefOps = 12;

SmallVector<Expr> exprs(ArrayAttr list) {
  SmallVector<Expr> all;
  for (Attribute a : list)
    all.push_back(cast<ExprAttr>(a));
  return all;
}

/// One of the reductions that share a pass.
struct Reduced {
  BodyEmitter body, epilogue;
  Combiner combiner;
  unsigned result; // its number among the kernel's results
  Reduced(KernelBuilder &k, ReduceOp op, const Values &operands)
      : body(k, op.getBody(), 0, operands), epilogue(k, op.getEpilogue(), 1, operands),
        combiner(k, op.getKind(), op.getBody().front().getTerminator()->getOperand(0).getType(), op.getSelectLast()),
        result(k.resultNumber(op.getResult())) {}
};

/// What both forms have in common: the regions of reductions that share a pass, over a kernel under construction. Their
/// states are carried one behind the other.
struct Parts {
  KernelBuilder k;
  ReduceOp op; // the first
  std::vector<Reduced> all;
  unsigned rank, depth;
  IndexSpace out, over;
  Expr outputs, length;

  Parts(KernelSink &sink, ReduceOp op, LaunchBounds bounds)
      : k(sink.kernel, sink.entryName(), bounds), op(op), all(reductions(op)), rank(op.getResult().getType().getRank()),
        depth(op.getExtents().size()), out(op.getResult().getType().sizes(), bodies(0, true)),
        over(exprs(op.getExtents()), bodies(rank, false)) {
    outputs = rank ? out.count() : sink.one();
    length = depth ? over.count() : sink.one();
  }

  std::vector<Reduced> reductions(ReduceOp op) {
    std::vector<Reduced> list;
    for (ReduceOp each : sharedPass(op)) {
      Values operands;
      for (Value v : each.getInputs())
        operands.push_back(k.bufferOf(v));
      list.emplace_back(k, each, operands);
    }
    return list;
  }
  /// All bodies, each with the number of the first of the indices that are asked for.
  SmallVector<std::pair<BodyLanes *, unsigned>> bodies(unsigned first, bool withEpilogues) {
    SmallVector<std::pair<BodyLanes *, unsigned>> list;
    for (Reduced &r : all) {
      list.push_back({&r.body, first});
      if (withEpilogues)
        list.push_back({&r.epilogue, first});
    }
    return list;
  }

  /// Extents of the reduction space in vectors of `lanes`.
  SmallVector<Expr> vectorGroups(unsigned lanes) {
    SmallVector<Expr> groups = over.groups;
    if (lanes > 1)
      groups.back() = Expr::ceilDiv(groups.back(), Expr::constant(op.getContext(), lanes));
    return groups;
  }

  SmallVector<Type> types() {
    SmallVector<Type> list;
    for (Reduced &r : all)
      llvm::append_range(list, r.combiner.types());
    return list;
  }
  /// Bytes of the states.
  int64_t bytes() {
    int64_t sum = 0;
    for (Reduced &r : all)
      sum += r.combiner.bytes();
    return sum;
  }
  Values neutral() {
    Values list;
    for (Reduced &r : all)
      list.append(r.combiner.neutral());
    return list;
  }
  /// Applies `fn` to each reduction and its part of `states`; answers what it makes of them, one behind the other.
  Values each(ValueRange states, function_ref<Values(Reduced &, ValueRange)> fn) {
    Values list;
    for (Reduced &r : all) {
      unsigned members = r.combiner.types().size();
      list.append(fn(r, states.take_front(members)));
      states = states.drop_front(members);
    }
    return list;
  }
  Values combine(ValueRange x, ValueRange y) {
    return each(x, [&](Reduced &r, ValueRange mine) {
      unsigned members = mine.size();
      Values next = r.combiner.combine(mine, y.take_front(members));
      y = y.drop_front(members);
      return next;
    });
  }
  Values acrossLanes(ValueRange states) {
    return each(states, [](Reduced &r, ValueRange mine) { return r.combiner.acrossLanes(mine); });
  }
  Values acrossBlock(ValueRange states, unsigned threads) {
    int64_t offset = 0;
    return each(states, [&](Reduced &r, ValueRange mine) {
      Values total = kt::gpu::acrossBlock(k, r.combiner, mine, threads, offset);
      offset += 32 * r.combiner.bytes();
      return total;
    });
  }

  /// Combines into `states` the elements [item * lanes, + lanes) of the reduction for the output at `at`.
  Values step(ArrayRef<Value> at, Value item, unsigned lanes, Alignment &alignment, ValueRange states) {
    Values r = delinearize(k, item, vectorGroups(lanes));
    if (lanes > 1)
      r.back() = k.mul(r.back(), lanes);
    Values indices = out.expand(k, at);
    indices.append(over.expand(k, r));
    Value first = k.mul(item, lanes);
    return each(states, [&](Reduced &one, ValueRange state) {
      Combiner &combiner = one.combiner;
      Values values = one.body.emit({}, indices, (int)(rank + depth) - 1, lanes, alignment);
      SmallVector<Values> singles;
      for (unsigned v = 0; v < lanes; ++v)
        singles.push_back(combiner.single(values[v], combiner.isArg() ? k.add(first, v) : Value()));
      for (; singles.size() > 1; singles.resize(singles.size() / 2))
        for (unsigned i = 0; i < singles.size() / 2; ++i)
          singles[i] = combiner.combine(singles[2 * i], singles[2 * i + 1]);
      return combiner.combine(state, singles[0]);
    });
  }

  /// In their order: one reads what those before it have stored here.
  void storeResults(ValueRange states, ArrayRef<Value> at, Value linear) {
    each(states, [&](Reduced &r, ValueRange state) {
      k.storeResult(r.result, linear, r.epilogue.emit(r.combiner.finish(state), out.expand(k, at)));
      return Values();
    });
  }
  /// A row's states that its blocks have left, combined by each warp of the block that calls this.
  Values combined(Value row, unsigned splits) {
    Values state = neutral(), next;
    Value lane = k.and_(k.tid(), 31);
    for (unsigned s = 0; s < splits; s += 32, next.clear()) {
      for (auto [t, place] : llvm::zip(types(), partials(row, k.add(lane, s), splits)))
        next.push_back(k.loadElement(place, t));
      state = combine(state, next);
    }
    return acrossLanes(state);
  }
  /// Addresses of one of a row's partial states in the workspace: an array a member.
  Values partials(Value row, Value split, unsigned splits) {
    Values places;
    Value base = k.workspace(), slot = k.add(k.mul(row, splits), split);
    for (Type t : types()) {
      places.push_back(k.at(base, slot, elementBytes(t)));
      base = k.at(base, k.mul(k.size(outputs), splits), elementBytes(t));
    }
    return places;
  }
  /// Whether a step is little code, so that there may be several.
  bool isBrief() { return all.size() == 1 && llvm::range_size(all[0].body.block()) <= kBriefOps; }
  /// Behind the name of a schedule.
  std::string results() { return all.size() > 1 ? " results=" + std::to_string(all.size()) : std::string(); }
};

struct RowPlan {
  unsigned threadsPerRow;
  bool vectors;
  unsigned splits; // a multiple of 32; 0: a row is one block's or one warp's
};

LogicalResult buildRows(KernelSink &sink, ReduceOp op, RowPlan plan) {
  Parts p(sink, op, {kThreads, 0, plan.splits > 0, plan.splits > 0});
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
    Value begin = lane, step = k.c(tpr);
    if (plan.splits) {
      begin = k.add(lane, k.mul(k.ctaY(), tpr));
      step = k.c(tpr * plan.splits);
    }
    // A thread asks for several items before it waits for the first; in their order, however many are left.
    Values state = p.neutral();
    if (p.isBrief()) {
      state.push_back(begin);
      auto several = [&](Value i, ValueRange now) -> Values {
        Values next(now.drop_back());
        for (unsigned ahead = 0; ahead < kAhead; ++ahead)
          next = p.step(at, k.add(i, k.mul(step, ahead)), lanes, alignment, next);
        next.push_back(k.add(i, k.mul(step, kAhead)));
        return next;
      };
      state = k.forLoop(begin, k.sub(k.size(items), k.mul(step, kAhead - 1)), k.mul(step, kAhead), state, several);
      begin = state.pop_back_val();
    }
    state = k.forLoop(begin, k.size(items), step, state,
                      [&](Value i, ValueRange now) { return p.step(at, i, lanes, alignment, now); });
    state = tpr == 32 ? p.acrossLanes(state) : p.acrossBlock(state, tpr);
    Value first = k.cmp(Pred::eq, lane, 0);
    if (!plan.splits)
      return k.ifThen(first, [&] { p.storeResults(state, at, row); });
    k.ifThen(first, [&] {
      for (auto [v, place] : llvm::zip(state, p.partials(row, k.ctaY(), plan.splits)))
        k.storeElement(v, place);
    });
    k.ifThen(k.isLastBlock(row, k.gridY()), [&] {
      Values total = p.combined(row, plan.splits);
      k.ifThen(first, [&] { p.storeResults(total, at, row); });
    });
  });
  artifact::Variant variant;
  variant.schedule = "reduce rows threads=" + std::to_string(tpr) + " lanes=" + std::to_string(lanes) + p.results();
  if (plan.splits) {
    variant.schedule += " splits=" + std::to_string(plan.splits);
    variant.workspace = sink.pool.add(p.outputs * sink.number(plan.splits * p.bytes()));
    variant.counters = sink.pool.add(p.outputs * sink.number(4));
  }
  int64_t sharedBytes = tpr == 32 ? 0 : p.bytes() * 32;
  Expr blocks = Expr::ceilDiv(p.outputs, sink.number(rows));
  if (failed(sink.addStage(variant, k, {blocks, plan.splits ? sink.number(plan.splits) : sink.one(), sink.one()},
                           sharedBytes)))
    return failure();
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
    neutral.append(p.neutral());
  SmallVector<Type> types = p.types();
  unsigned width = types.size();
  // Threads without an element of their own reduce nothing but stay for the barrier.
  Value end = k.sel(valid, k.size(p.length), k.c(0));
  Values state = k.forLoop(y, end, k.c(across), neutral, [&](Value i, ValueRange now) {
    Values indices = p.out.expand(k, at), next;
    indices.append(p.over.expand(k, delinearize(k, i, p.over.groups)));
    SmallVector<Values> values; // of a reduction, those of its lanes
    for (Reduced &r : p.all)
      values.push_back(r.body.emit({}, indices, inner, lanes, alignment));
    for (unsigned v = 0; v < lanes; ++v) {
      Values singles;
      for (auto [r, mine] : llvm::zip_equal(p.all, values))
        singles.append(r.combiner.single(mine[v], i));
      next.append(p.combine(now.slice(v * width, width), singles));
    }
    return next;
  });
  int64_t sharedBytes = 0;
  if (across > 1) {
    // An array of the block's threads for each member of each lane's states.
    SmallVector<int64_t> starts;
    for (unsigned v = 0; v < lanes; ++v)
      for (Type t : types) {
        starts.push_back(sharedBytes);
        sharedBytes += kThreads * elementBytes(t);
      }
    auto place = [&](Value thread, unsigned member) {
      return k.at(k.sptr(starts[member]), thread, elementBytes(types[member % width]));
    };
    for (auto [m, v] : llvm::enumerate(state))
      k.storeElement(v, place(k.tid(), m));
    k.barrier();
    Values total(state);
    for (unsigned other = 1; other < across; ++other)
      for (unsigned v = 0; v < lanes; ++v) {
        Values next;
        Value thread = k.add(column, other * columns);
        for (unsigned m = 0; m < width; ++m)
          next.push_back(k.loadElement(place(thread, v * width + m), types[m]));
        Values sum = p.combine(ValueRange(total).slice(v * width, width), next);
        std::copy(sum.begin(), sum.end(), total.begin() + v * width);
      }
    state = total;
    valid = k.and_(valid, k.cmp(Pred::eq, y, 0));
  }
  k.ifThen(valid, [&] {
    SmallVector<SmallVector<Values>> leading(p.all.size());
    for (unsigned v = 0; v < lanes; ++v) {
      auto *mine = leading.begin();
      p.each(ValueRange(state).slice(v * width, width), [&](Reduced &r, ValueRange one) {
        (mine++)->push_back({r.combiner.finish(one)});
        return Values();
      });
    }
    for (auto [r, mine] : llvm::zip_equal(p.all, leading))
      k.storeResult(r.result, k.mul(item, lanes), r.epilogue.emit(mine, p.out.expand(k, at), inner, lanes, alignment));
  });
  artifact::Variant variant;
  variant.schedule =
      "reduce columns across=" + std::to_string(across) + " lanes=" + std::to_string(lanes) + p.results();
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
  return buildRows(sink, op, {(unsigned)sink.configured("threads"), vectors, (unsigned)sink.configured("splits")});
}
