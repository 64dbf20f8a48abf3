//===- Reduce.cpp - reductions on the host --------------------------------===//
//
// Two loop orders. Where the reduced elements lie side by side, each result is a vectorised sum of its own. Where
// neighbouring results read neighbouring elements (channels-last pooling, sums over rows), a strip of results
// accumulates in a small array. Reductions that share a pass accumulate beside one another.
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

/// One of the reductions that share a pass.
struct Reduced {
  ReduceOp op;
  Combine combine;
  unsigned firstOperand, numInputs; // among the stage's
  unsigned result;
};

class ReduceEmitter {
public:
  ReduceEmitter(KernelBuilder &kernel, ArrayRef<ReduceOp> ops);
  void build();

private:
  void rows();
  void strips();
  /// Calls `body` with the reduction indices inside loops over all reduction dimensions; values are carried through.
  SmallVector<Value> reduceLoops(StageEmitter &e, ValueRange inits,
                                 function_ref<SmallVector<Value>(SmallVector<Value>, Value, ValueRange)> body);
  Value element(StageEmitter &e, const Reduced &r, ValueRange resultIndices, ValueRange reduceIndices);
  void finish(StageEmitter &e, const Reduced &r, Value acc, ValueRange resultIndices, Value position);

  KernelBuilder &kernel;
  SmallVector<Reduced> all;
  int64_t rank;
  SmallVector<Expr> resultDims, reduceDims;
  std::unique_ptr<IndexSpace> results, reduced;
};

ReduceEmitter::ReduceEmitter(KernelBuilder &kernel, ArrayRef<ReduceOp> ops)
    : kernel(kernel), rank(cast<SymTensorType>(ops[0]->getResult(0).getType()).getRank()) {
  auto type = cast<SymTensorType>(ops[0]->getResult(0).getType());
  resultDims = type.sizes();
  for (Attribute a : ReduceOp(ops[0]).getExtents())
    reduceDims.push_back(cast<ExprAttr>(a));
  SmallVector<BodyUse> ofResults, ofReduced;
  for (unsigned operands = 0; ReduceOp op : ops) {
    unsigned count = op.getInputs().size();
    Type element = cast<YieldOp>(op.getBody().front().getTerminator()).getValues()[0].getType();
    all.push_back({op, {op.getKind(), element, false, op.getSelectLast()}, operands, count, (unsigned)all.size()});
    operands += count;
    ofResults.append({{&op.getBody(), count}, {&op.getEpilogue(), 1 + count}});
    ofReduced.push_back({&op.getBody(), count + (unsigned)rank});
  }
  results = std::make_unique<IndexSpace>(resultDims, ofResults);
  reduced = std::make_unique<IndexSpace>(reduceDims, ofReduced);
}

void ReduceEmitter::build() {
  Access along, across;
  for (Reduced &r : all) {
    auto add = [&](Access &sum, int64_t dim, unsigned first) {
      Access more = dim < 0 ? Access() : accessAlong(r.op.getBody(), r.numInputs + first + dim);
      sum.contiguous += more.contiguous, sum.strided += more.strided;
    };
    add(along, reduced->innermostDim(), rank);
    add(across, results->innermostDim(), 0);
  }
  auto inner = reduced->loops().back().asConstant();
  bool shortWindow = inner && *inner < 16 && across.contiguous > 0;
  if (across.contiguous > along.contiguous || shortWindow)
    strips();
  else
    rows();
  if (all.size() > 1)
    kernel.schedule += " results=" + std::to_string(all.size());
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

Value ReduceEmitter::element(StageEmitter &e, const Reduced &r, ValueRange resultIndices, ValueRange reduceIndices) {
  SmallVector<Value> indices(resultIndices);
  llvm::append_range(indices, reduceIndices);
  ReduceOp op = r.op;
  return e.inlineScalar(op.getBody(), {}, r.firstOperand, r.numInputs, indices);
}

void ReduceEmitter::finish(StageEmitter &e, const Reduced &r, Value acc, ValueRange resultIndices, Value position) {
  Region &epilogue = ReduceOp(r.op).getEpilogue();
  Value given = e.convert(acc, epilogue.front().getArgument(0).getType());
  Value v = e.inlineScalar(epilogue, given, r.firstOperand, r.numInputs, resultIndices);
  e.store(v, e.results[r.result].pointer, e.results[r.result].element(), position);
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
        SmallVector<Value> inits;
        for (const Reduced &r : all) {
          inits.push_back(r.combine.neutral(e));
          if (r.combine.isArg())
            inits.push_back(e.idx(0));
        }
        auto acc = reduceLoops(e, inits, [&](ArrayRef<Value> indices, Value number, ValueRange carried) {
          SmallVector<Value> next;
          for (const Reduced &r : all) {
            Value x = element(e, r, at, indices), best = carried[next.size()];
            if (!r.combine.isArg()) {
              next.push_back(r.combine.apply(e, best, x, /*reassociate=*/true));
              continue;
            }
            Value wins = r.combine.better(e, best, x), winner = carried[next.size() + 1];
            next.append({e.select(wins, e.convert(x, r.combine.accumulator()), best), e.select(wins, number, winner)});
          }
          return next;
        });
        for (size_t member = 0; const Reduced &r : all) {
          member += r.combine.isArg();
          finish(e, r, acc[member++], at, position);
        }
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
    // Whole bytes keep the arrays simple; booleans are stored as such.
    struct Arrays {
      Type type;
      Value sums, winners; // null but for argmax and argmin
    };
    Type index = e.b.getI64Type();
    SmallVector<Arrays> arrays;
    for (const Reduced &r : all) {
      Type type = r.combine.accumulator();
      arrays.push_back({type, e.stack(type, kStrip), r.combine.isArg() ? e.stack(index, kStrip) : Value()});
    }
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
        Value zero = e.constant(index, 0);
        SmallVector<Value> neutral;
        for (const Reduced &r : all)
          neutral.push_back(r.combine.neutral(e));
        e.loop(e.idx(0), count, [&](Value j) {
          for (auto [to, v] : llvm::zip_equal(arrays, neutral)) {
            e.store(v, to.sums, to.type, j);
            if (to.winners)
              e.store(zero, to.winners, index, j);
          }
        });
        reduceLoops(e, {}, [&](SmallVector<Value> indices, Value number, ValueRange) {
          e.loop(e.idx(0), count, [&](Value j) {
            for (auto [r, to] : llvm::zip_equal(all, arrays)) {
              Value x = element(e, r, at(j), indices), acc = e.load(to.sums, to.type, j);
              if (!to.winners) {
                e.store(r.combine.apply(e, acc, x, false), to.sums, to.type, j);
                continue;
              }
              Value wins = r.combine.better(e, acc, x);
              e.store(e.select(wins, e.convert(x, to.type), acc), to.sums, to.type, j);
              e.store(e.select(wins, e.i64(number), e.load(to.winners, index, j)), to.winners, index, j);
            }
          });
          return SmallVector<Value>();
        });
        e.loop(e.idx(0), count, [&](Value j) {
          for (auto [r, from] : llvm::zip_equal(all, arrays)) {
            Value acc = from.winners ? e.load(from.winners, index, j) : e.load(from.sums, from.type, j);
            finish(e, r, acc, at(j), e.add(base, j));
          }
        });
      });
    });
  });
}

} // namespace

LogicalResult kt::codegen::host::buildReduce(KernelBuilder &kernel, ArrayRef<ReduceOp> ops) {
  ReduceEmitter(kernel, ops).build();
  return success();
}
