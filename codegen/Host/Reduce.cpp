//===- Reduce.cpp - reductions on the host --------------------------------===//
//
// Two loop orders. Where the reduced elements lie side by side, each result is a vectorised sum of its own. Where
// neighbouring results read neighbouring elements (channels-last pooling, sums over rows), a strip of results
// accumulates in a small array.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Combine.h"
#include "codegen/Host/IndexSpace.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

namespace {

constexpr int64_t kWork = 32768; // elements a task reads, about
constexpr int64_t kStrip = 256;  // results that accumulate together

class ReduceEmitter {
public:
  ReduceEmitter(KernelBuilder &kernel, ReduceOp op);
  void build();

private:
  void rows();
  void strips();
  /// Calls `body` with the reduction indices inside loops over all reduction dimensions; values are carried through.
  SmallVector<Value> reduceLoops(StageEmitter &e, ValueRange inits,
                                 function_ref<SmallVector<Value>(SmallVector<Value>, Value, ValueRange)> body);
  Value element(StageEmitter &e, ValueRange resultIndices, ValueRange reduceIndices);
  void finish(StageEmitter &e, Value acc, ValueRange resultIndices, Value position);

  KernelBuilder &kernel;
  ReduceOp op;
  unsigned numInputs;
  int64_t rank;
  Combine combine;
  SmallVector<Expr> resultDims, reduceDims;
  std::unique_ptr<IndexSpace> results, reduced;
};

ReduceEmitter::ReduceEmitter(KernelBuilder &kernel, ReduceOp op)
    : kernel(kernel), op(op), numInputs(op.getInputs().size()), rank(op.getResult().getType().getRank()) {
  SymTensorType type = op.getResult().getType();
  for (int64_t d = 0; d < rank; ++d)
    resultDims.push_back(type.dim(d));
  for (Attribute a : op.getExtents())
    reduceDims.push_back(cast<ExprAttr>(a));
  combine.kind = op.getKind();
  combine.element = cast<YieldOp>(op.getBody().front().getTerminator()).getValues()[0].getType();
  combine.selectLast = op.getSelectLast();
  results = std::make_unique<IndexSpace>(
      resultDims, ArrayRef<BodyUse>{{&op.getBody(), numInputs}, {&op.getEpilogue(), 1 + numInputs}});
  reduced = std::make_unique<IndexSpace>(reduceDims, BodyUse{&op.getBody(), numInputs + (unsigned)rank});
}

void ReduceEmitter::build() {
  Access along, across;
  if (reduced->innermostDim() >= 0)
    along = accessAlong(op.getBody(), numInputs + rank + reduced->innermostDim());
  if (results->innermostDim() >= 0)
    across = accessAlong(op.getBody(), numInputs + results->innermostDim());
  auto inner = reduced->loops().back().asConstant();
  bool shortWindow = inner && *inner < 16 && across.contiguous > 0;
  if (across.contiguous > along.contiguous || shortWindow)
    strips();
  else
    rows();
}

SmallVector<Value>
ReduceEmitter::reduceLoops(StageEmitter &e, ValueRange inits,
                           function_ref<SmallVector<Value>(SmallVector<Value>, Value, ValueRange)> body) {
  SmallVector<Value> indices;
  std::function<SmallVector<Value>(Value, ValueRange)> nest = [&](Value number,
                                                                  ValueRange carried) -> SmallVector<Value> {
    unsigned depth = indices.size();
    if (depth == reduced->loops().size())
      return body(reduced->indices(e, indices), number, carried);
    Value extent = e.expr(reduced->loops()[depth]);
    return e.loop(e.idx(0), extent, e.idx(1), carried, [&](Value i, ValueRange inner) {
      indices.push_back(i);
      SmallVector<Value> next = nest(e.add(e.mul(number, extent), i), inner);
      indices.pop_back();
      return next;
    });
  };
  return nest(e.idx(0), inits);
}

Value ReduceEmitter::element(StageEmitter &e, ValueRange resultIndices, ValueRange reduceIndices) {
  SmallVector<Value> all(resultIndices);
  llvm::append_range(all, reduceIndices);
  return e.inlineScalar(op.getBody(), {}, 0, numInputs, all);
}

void ReduceEmitter::finish(StageEmitter &e, Value acc, ValueRange resultIndices, Value position) {
  Type expected = op.getEpilogue().front().getArgument(0).getType();
  Value v = e.inlineScalar(op.getEpilogue(), e.convert(acc, expected), 0, numInputs, resultIndices);
  e.store(v, e.results[0].pointer, e.results[0].element(), position);
}

/// One result after the other.
void ReduceEmitter::rows() {
  Expr one = kernel.constant(1);
  Expr share = Expr::max(Expr::floorDiv(kernel.constant(kWork), Expr::max(reduced->total(), one)), one);
  kernel.schedule = "reduce rows";
  kernel.stage({Expr::ceilDiv(results->total(), share), {}}, [&](StageEmitter &e) {
    SmallVector<Value> extents;
    for (Expr x : results->loops())
      extents.push_back(e.expr(x));
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.expr(share)), hi = e.min(e.add(lo, e.expr(share)), e.expr(results->total()));
      e.loop(lo, hi, [&](Value position) {
        SmallVector<Value> at = results->indices(e, e.delinearize(position, extents));
        SmallVector<Value> inits = {combine.neutral(e)};
        if (combine.isArg())
          inits.push_back(e.idx(0));
        auto acc = reduceLoops(e, inits, [&](SmallVector<Value> indices, Value number, ValueRange carried) {
          Value x = element(e, at, indices);
          if (!combine.isArg())
            return SmallVector<Value>{combine.apply(e, carried[0], x, /*reassociate=*/true)};
          Value wins = combine.better(e, carried[0], x);
          return SmallVector<Value>{e.select(wins, e.convert(x, combine.accumulator()), carried[0]),
                                    e.select(wins, number, carried[1])};
        });
        finish(e, acc.back(), at, position);
      });
    });
  });
}

/// A strip of neighbouring results at a time.
void ReduceEmitter::strips() {
  Expr one = kernel.constant(1), width = results->loops().back();
  Expr chunks = Expr::ceilDiv(width, kernel.constant(kStrip));
  Expr units = chunks;
  for (Expr x : results->loops().drop_back())
    units = units * x;
  Expr unitWork = Expr::max(Expr::min(width, kernel.constant(kStrip)) * reduced->total(), one);
  Expr share = Expr::max(Expr::floorDiv(kernel.constant(kWork), unitWork), one);
  kernel.schedule = "reduce strips=" + std::to_string(kStrip);
  kernel.stage({Expr::ceilDiv(units, share), {}}, [&](StageEmitter &e) {
    Type type = combine.accumulator(), index = e.b.getI64Type();
    Value sums = e.stack(type, kStrip), winners = combine.isArg() ? e.stack(index, kStrip) : Value();
    // Whole bytes keep the arrays simple; booleans are stored as such.
    SmallVector<Value> extents;
    for (Expr x : results->loops().drop_back())
      extents.push_back(e.expr(x));
    extents.push_back(e.expr(chunks));
    Value w = e.expr(width);
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.expr(share)), hi = e.min(e.add(lo, e.expr(share)), e.expr(units));
      e.loop(lo, hi, [&](Value unit) {
        SmallVector<Value> loops = e.delinearize(unit, extents);
        Value j0 = e.mul(loops.back(), e.idx(kStrip)), count = e.min(e.sub(w, j0), e.idx(kStrip));
        Value base = e.idx(0);
        for (unsigned i = 0; i + 1 < loops.size(); ++i)
          base = e.add(e.mul(base, extents[i]), loops[i]);
        base = e.add(e.mul(base, w), j0);
        auto at = [&](Value j) {
          loops.back() = e.add(j0, j);
          return results->indices(e, loops);
        };
        Value neutral = combine.neutral(e), zero = e.constant(index, 0);
        e.loop(e.idx(0), count, [&](Value j) {
          e.store(neutral, sums, type, j);
          if (winners)
            e.store(zero, winners, index, j);
        });
        reduceLoops(e, {}, [&](SmallVector<Value> indices, Value number, ValueRange) {
          e.loop(e.idx(0), count, [&](Value j) {
            Value x = element(e, at(j), indices), acc = e.load(sums, type, j);
            if (!winners)
              return e.store(combine.apply(e, acc, x, false), sums, type, j);
            Value wins = combine.better(e, acc, x);
            e.store(e.select(wins, e.convert(x, type), acc), sums, type, j);
            e.store(e.select(wins, e.i64(number), e.load(winners, index, j)), winners, index, j);
          });
          return SmallVector<Value>();
        });
        e.loop(e.idx(0), count, [&](Value j) {
          Value acc = winners ? e.load(winners, index, j) : e.load(sums, type, j);
          finish(e, acc, at(j), e.add(base, j));
        });
      });
    });
  });
}

} // namespace

LogicalResult kt::codegen::host::buildReduce(KernelBuilder &kernel, ReduceOp op) {
  ReduceEmitter(kernel, op).build();
  return success();
}
