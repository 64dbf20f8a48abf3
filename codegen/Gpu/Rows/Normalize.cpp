//===- Normalize.cpp - softmax and norms ----------------------------------===//
//
// A warp or a block holds a row in registers: one pass over memory. Rows longer than the registers of a block are read
// three times.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/Kernels.h"
#include "codegen/Gpu/Rows/Combine.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

struct Plan {
  unsigned threads;       // a block
  unsigned threadsPerRow; // 32 or all
  unsigned perThread;     // elements held in registers; 0: read the row again for each pass
  unsigned minCtas = 0;   // see LaunchBounds
};

class Norm {
public:
  Norm(KernelSink &sink, NormalizeOp op, Plan plan)
      : sink(sink), op(op), plan(plan), k(sink.kernel, sink.entryName(), {plan.threads, plan.minCtas}),
        body(k, op.getBody(), 0, pointers()), epilogue(k, op.getEpilogue(), 1, pointers()),
        rank(op.getResult().getType().getRank()), axes(op.getAxes()),
        rows(extents(0, rank - axes), {{&body, 0u}, {&epilogue, 0u}}),
        columns(extents(rank - axes, rank), {{&body, rank - axes}, {&epilogue, rank - axes}}),
        type(op.getBody().front().getTerminator()->getOperand(0).getType()), sum(k, ReduceKind::add, type, false),
        largest(k, ReduceKind::max, type, false), alignment(sink.alignment()) {}

  LogicalResult build();

private:
  Values pointers() {
    Values list;
    for (unsigned i = 0; i < k.numOperands(); ++i)
      list.push_back(k.buffer(i));
    return list;
  }
  SmallVector<Expr> extents(unsigned from, unsigned to) {
    SmallVector<Expr> list;
    for (unsigned d = from; d < to; ++d)
      list.push_back(op.getResult().getType().dim(d));
    return list;
  }

  Values indices(Value item) {
    SmallVector<Expr> groups = columns.groups;
    groups.back() = Expr::ceilDiv(groups.back(), sink.number(lanes));
    Values at = delinearize(k, item, groups);
    at.back() = k.mul(at.back(), lanes);
    Values all = rows.expand(k, rowAt);
    all.append(columns.expand(k, at));
    return all;
  }
  Values read(Value item) { return body.emit({}, indices(item), (int)rank - 1, lanes, alignment); }
  /// Calls `fn(item, slot)` for each vector of this thread, inside its bounds.
  void forItems(function_ref<void(Value item, unsigned slot)> fn);
  /// Sum or maximum over the row of fn(x).
  Value reduce(Combiner &combiner, function_ref<Value(Value)> fn);
  Value exp(Value x) { return math::ExpOp::create(k.b, k.loc, x); }
  /// The sum of exponentials is at least one, where the fast logarithm is as good as any.
  Value log(Value x) {
    return type.isF32() ? k.mulf(k.log2(x), k.cf(0.6931471805599453)) : Value(math::LogOp::create(k.b, k.loc, x));
  }
  Value number(double v) { return k.constantF(v, type); }

  KernelSink &sink;
  NormalizeOp op;
  Plan plan;
  KernelBuilder k;
  BodyEmitter body, epilogue;
  unsigned rank, axes;
  IndexSpace rows, columns;
  Type type;
  Combiner sum, largest;

  Alignment alignment;
  unsigned lanes = 1;
  Value lane, items;
  Values rowAt;
  SmallVector<Values> held; // x of this thread's vectors, when the row is in registers
  int64_t sharedUsed = 0;
};

Value Norm::reduce(Combiner &combiner, function_ref<Value(Value)> fn) {
  Values state = combiner.neutral();
  auto add = [&](Values now, ValueRange xs) {
    for (Value x : xs)
      now = combiner.combine(now, fn(x));
    return now;
  };
  if (plan.perThread) {
    for (auto [slot, xs] : llvm::enumerate(held)) {
      Value in = k.lt(k.add(lane, slot * plan.threadsPerRow), items);
      Values next = add(state, xs);
      state = {k.sel(in, next[0], state[0])};
    }
  } else {
    state = k.forLoop(lane, items, k.c(plan.threadsPerRow), state,
                      [&](Value item, ValueRange now) { return add(Values(now), read(item)); });
  }
  if (plan.threadsPerRow == 32)
    return combiner.acrossLanes(state)[0];
  int64_t offset = sharedUsed;
  sharedUsed += 32 * combiner.bytes();
  return acrossBlock(k, combiner, state, plan.threadsPerRow, offset)[0];
}

LogicalResult Norm::build() {
  if (sink.configured("vectors"))
    alignRows(op, alignment);
  lanes = alignment.lanes;
  Expr rowCount = rank > axes ? rows.count() : sink.one(), length = columns.count();
  unsigned tpr = plan.threadsPerRow, rowsPerBlock = plan.threads / tpr;
  Expr itemCount = sink.one();
  for (auto [i, e] : llvm::enumerate(columns.groups))
    itemCount = itemCount * (i + 1 == columns.groups.size() ? Expr::ceilDiv(e, sink.number(lanes)) : e);
  unsigned slots = plan.perThread / lanes;
  if (std::optional<int64_t> n = itemCount.asConstant(); n && slots)
    slots = std::max<int64_t>(1, (*n + tpr - 1) / tpr);

  Value row = k.add(k.mul(k.ctaX(), rowsPerBlock), k.div(k.tid(), tpr));
  lane = k.rem(k.tid(), tpr), items = k.size(itemCount);
  k.ifThen(k.lt(row, k.size(rowCount)), [&] {
    rowAt = delinearize(k, row, rows.groups);
    SmallVector<Type> types(lanes, type);
    for (unsigned s = 0; s < slots; ++s) {
      Value item = k.add(lane, s * tpr);
      held.push_back(
          k.ifElse(k.lt(item, items), types, [&] { return read(item); }, [&] { return Values(lanes, k.zero(type)); }));
    }
    auto identity = [](Value x) { return x; };
    Value count = k.convert(k.size(length), type), shift, factor;
    bool isSoftmax = op.getKind() == NormKind::softmax || op.getKind() == NormKind::log_softmax;
    if (isSoftmax) {
      shift = reduce(largest, identity);
      // The exponentials are kept where the row is: they are the numerators too.
      if (op.getKind() == NormKind::softmax)
        for (Values &xs : held)
          for (Value &x : xs)
            x = exp(k.subf(x, shift));
      bool kept = op.getKind() == NormKind::softmax && plan.perThread;
      Value total = reduce(sum, [&](Value x) { return kept ? x : exp(k.subf(x, shift)); });
      if (op.getKind() == NormKind::softmax)
        factor = k.divf(number(1), total);
      else
        shift = k.addf(shift, log(total));
    } else {
      if (op.getKind() == NormKind::layer)
        shift = k.divf(reduce(sum, identity), count);
      Value squares = reduce(sum, [&](Value x) {
        Value d = shift ? k.subf(x, shift) : x;
        return k.mulf(d, d);
      });
      Value variance = k.addf(k.divf(squares, count), number(op.getEpsilon().convertToDouble()));
      factor = k.divf(number(1), math::SqrtOp::create(k.b, k.loc, variance));
    }
    auto write = [&](Value item, ValueRange xs, bool kept) {
      SmallVector<Values> leading;
      for (Value x : xs) {
        Value y = shift && !kept ? k.subf(x, shift) : x;
        if (op.getKind() == NormKind::softmax && !kept)
          y = exp(y);
        leading.push_back({factor ? k.mulf(y, factor) : y});
      }
      Values results = epilogue.emit(leading, indices(item), (int)rank - 1, lanes, alignment);
      Value at = k.add(k.mul(row, k.size(length)), k.mul(item, lanes));
      k.storeResult(0, at, results);
    };
    if (!plan.perThread) {
      k.forLoop(lane, items, k.c(tpr), {}, [&](Value item, ValueRange) -> Values {
        write(item, read(item), false);
        return {};
      });
      return;
    }
    for (auto [slot, xs] : llvm::enumerate(held)) {
      Value item = k.add(lane, slot * tpr);
      k.ifThen(k.lt(item, items), [&] { write(item, xs, op.getKind() == NormKind::softmax); });
    }
  });
  artifact::Variant variant;
  variant.schedule = "normalize threads=" + std::to_string(plan.threads) + " row=" + std::to_string(tpr) +
                     " registers=" + std::to_string(slots * lanes) + " lanes=" + std::to_string(lanes);
  if (failed(sink.addStage(variant, k, {Expr::ceilDiv(rowCount, sink.number(rowsPerBlock)), sink.one(), sink.one()},
                           sharedUsed)))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}

} // namespace

LogicalResult kt::gpu::buildNormalize(KernelSink &sink, NormalizeOp op) {
  auto number = [&](StringRef name) { return (unsigned)sink.configured(name); };
  return Norm(sink, op, {number("block"), number("threads"), number("held"), number("min_ctas")}).build();
}
