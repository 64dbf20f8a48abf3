//===- Normalize.cpp - softmax and norms on the host ----------------------===//
//
// A row is computed once into scratch memory, then walked again for what depends on its statistics. All walks
// vectorise. Where elementwise work of the same kernel makes the row, the first walk makes and stores its elements.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Combine.h"
#include "codegen/Host/IndexSpace.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

namespace {

constexpr int64_t kWork = 16384; // elements a task

class NormalizeEmitter {
public:
  NormalizeEmitter(KernelBuilder &kernel, NormalizeOp op);
  void build();

private:
  void row(StageEmitter &e, Value number);
  /// for each element of the row: carried = body(its trailing indices, its number, carried)
  SmallVector<Value> walk(StageEmitter &e, ValueRange inits,
                          function_ref<SmallVector<Value>(ValueRange, Value, ValueRange)> body);
  /// The same over the row's copy, with x read from it.
  Value sum(StageEmitter &e, function_ref<Value(Value x, Value at)> term);
  /// x at these indices, whose element of the result is number `at`.
  Value element(StageEmitter &e, ValueRange indices, Value at);
  Value combine(StageEmitter &e, ReduceKind kind, Value acc, Value x) {
    return Combine{kind, type}.apply(e, acc, x, true);
  }

  KernelBuilder &kernel;
  NormalizeOp op;
  GenericOp maker; // of what the norm reads; null: none. Its operands and its result come behind the norm's
  unsigned numInputs;
  Type type;
  std::unique_ptr<IndexSpace> leading, trailing;
};

NormalizeEmitter::NormalizeEmitter(KernelBuilder &kernel, NormalizeOp op)
    : kernel(kernel), op(op), maker(kernel.computes.size() > 1 ? makerOfRows(op) : GenericOp()),
      numInputs(op.getInputs().size()) {
  SymTensorType result = op.getResult().getType();
  type = cast<YieldOp>(op.getBody().front().getTerminator()).getValues()[0].getType();
  unsigned split = result.getRank() - op.getAxes();
  SmallVector<Expr> outer, inner;
  for (int64_t d = 0; d < result.getRank(); ++d)
    (d < split ? outer : inner).push_back(result.dim(d));
  auto uses = [&](unsigned first) {
    SmallVector<BodyUse> all = {{&op.getBody(), numInputs + first}, {&op.getEpilogue(), 1 + numInputs + first}};
    if (maker)
      all.push_back({&maker.getBody(), (unsigned)maker.getInputs().size() + first});
    return all;
  };
  leading = std::make_unique<IndexSpace>(outer, uses(0));
  trailing = std::make_unique<IndexSpace>(inner, uses(split));
}

void NormalizeEmitter::build() {
  Expr one = kernel.constant(1), length = trailing->total();
  Expr share = Expr::max(Expr::floorDiv(kernel.constant(kWork), Expr::max(length, one)), one);
  kernel.schedule = ("normalize " + stringifyNormKind(op.getKind()) + (maker ? " results=2" : "")).str();
  Expr scratch = length * kt::elementBytes(type) + 64;
  // A row without elements has nothing to write.
  Expr rows = Expr::select(Expr::eq(length, kernel.constant(0)), kernel.constant(0), leading->total());
  kernel.stage({Expr::ceilDiv(rows, share), scratch}, [&](StageEmitter &e) {
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.expr(share)), hi = e.min(e.add(lo, e.expr(share)), e.expr(rows));
      e.loop(lo, hi, [&](Value number) { row(e, number); });
    });
  });
}

SmallVector<Value> NormalizeEmitter::walk(StageEmitter &e, ValueRange inits,
                                          function_ref<SmallVector<Value>(ValueRange, Value, ValueRange)> body) {
  SmallVector<Value> indices;
  std::function<SmallVector<Value>(Value, ValueRange)> nest = [&](Value number,
                                                                  ValueRange carried) -> SmallVector<Value> {
    if (indices.size() == trailing->loops().size())
      return body(trailing->indices(e, indices), number, carried);
    Value extent = e.expr(trailing->loops()[indices.size()]);
    return e.loop(e.idx(0), extent, e.idx(1), carried, [&](Value i, ValueRange inner) {
      indices.push_back(i);
      SmallVector<Value> next = nest(e.add(e.mul(number, extent), i), inner);
      indices.pop_back();
      return next;
    });
  };
  return nest(e.idx(0), inits);
}

Value NormalizeEmitter::sum(StageEmitter &e, function_ref<Value(Value x, Value at)> term) {
  Value length = e.expr(trailing->total());
  return e.loop(e.idx(0), length, e.idx(1), e.constant(type, 0), [&](Value i, ValueRange carried) {
    Value t = term(e.load(e.scratch, type, i), i);
    return SmallVector<Value>{combine(e, ReduceKind::add, carried[0], t)};
  })[0];
}

Value NormalizeEmitter::element(StageEmitter &e, ValueRange indices, Value at) {
  if (maker) {
    Value made = e.inlineScalar(maker.getBody(), {}, numInputs, maker.getInputs().size(), indices);
    e.store(made, e.results[1].pointer, e.results[1].element(), at);
    for (auto [tensor, v] : llvm::zip(e.operands, op.getInputs()))
      if (v == maker.getResult())
        tensor.given = made;
  }
  Value x = e.inlineScalar(op.getBody(), {}, 0, numInputs, indices);
  for (Tensor &tensor : e.operands)
    tensor.given = {};
  return x;
}

void NormalizeEmitter::row(StageEmitter &e, Value number) {
  SmallVector<Value> extents;
  for (Expr x : leading->loops())
    extents.push_back(e.expr(x));
  SmallVector<Value> at = leading->indices(e, e.delinearize(number, extents));
  Value count = e.convert(e.expr(trailing->total()), type);
  NormKind kind = op.getKind();
  bool softmax = kind == NormKind::softmax || kind == NormKind::log_softmax;

  Value base = e.mul(number, e.expr(trailing->total()));
  // The row, and its first statistic.
  Combine first{softmax ? ReduceKind::max : ReduceKind::add, type};
  Value statistic = walk(e, first.neutral(e), [&](ValueRange inner, Value i, ValueRange carried) {
    SmallVector<Value> all = at;
    llvm::append_range(all, inner);
    Value x = element(e, all, e.add(base, i));
    e.store(x, e.scratch, type, i);
    Value term = kind == NormKind::rms ? e.op<arith::MulFOp>(x, x) : x;
    return SmallVector<Value>{first.apply(e, carried[0], term, true)};
  })[0];

  Value shift, factor; // y = (x - shift) * factor
  Value one = e.constant(type, 1);
  auto reciprocalRoot = [&](Value meanSquare) {
    Value epsilon = e.constant(type, op.getEpsilon().convertToDouble());
    return e.op<arith::DivFOp>(one, e.op<math::SqrtOp>(e.op<arith::AddFOp>(meanSquare, epsilon)));
  };
  if (softmax) {
    Value total = sum(e, [&](Value x, Value i) {
      Value y = e.op<math::ExpOp>(e.op<arith::SubFOp>(x, statistic));
      if (kind == NormKind::softmax)
        e.store(y, e.scratch, type, i);
      return y;
    });
    if (kind == NormKind::softmax)
      factor = e.op<arith::DivFOp>(one, total);
    else // two subtractions: the maximum is exact, the logarithm is small
      shift = statistic, factor = e.op<math::LogOp>(total);
  } else if (kind == NormKind::rms) {
    factor = reciprocalRoot(e.op<arith::DivFOp>(statistic, count));
  } else {
    shift = e.op<arith::DivFOp>(statistic, count);
    Value squares = sum(e, [&](Value x, Value) {
      Value d = e.op<arith::SubFOp>(x, shift);
      return e.op<arith::MulFOp>(d, d);
    });
    factor = reciprocalRoot(e.op<arith::DivFOp>(squares, count));
  }

  const Tensor &out = e.results[0];
  walk(e, {}, [&](ValueRange inner, Value i, ValueRange) {
    SmallVector<Value> all = at;
    llvm::append_range(all, inner);
    Value y = e.load(e.scratch, type, i);
    if (shift)
      y = e.op<arith::SubFOp>(y, shift);
    y = kind == NormKind::log_softmax ? e.op<arith::SubFOp>(y, factor) : e.op<arith::MulFOp>(y, factor);
    e.store(e.inlineScalar(op.getEpilogue(), y, 0, numInputs, all), out.pointer, out.element(), e.add(base, i));
    return SmallVector<Value>();
  });
}

} // namespace

LogicalResult kt::codegen::host::buildNormalize(KernelBuilder &kernel, NormalizeOp op) {
  NormalizeEmitter(kernel, op).build();
  return success();
}
