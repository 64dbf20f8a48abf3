//===- Scatter.cpp - updates at computed places ---------------------------===//
//
// Assignment first finds the last row that addresses each place, then writes that one: the result does not depend on
// the order of threads. Sums are atomic where the hardware has it; everything else lets each result element walk the
// rows.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/Kernels.h"
#include "codegen/Gpu/Rows/Combine.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

constexpr unsigned kThreads = 256;

struct Shape {
  SymTensorType base;
  int64_t depth;
  std::optional<int64_t> site;
  Expr rows, slots, inner; // places that a row may address, elements of a row
};

/// The place that row `r` addresses (first), and whether it exists; one that does not is reported where the op has a
/// site.
std::pair<Value, Value> placeOf(KernelBuilder &k, const Shape &s, Value r) {
  Value slot = k.c(0), valid = k.cBool(true);
  for (int64_t d = 0; d < s.depth; ++d) {
    Value i = k.load(k.at(k.buffer(1), k.add(k.mul(r, s.depth), d), 8), k.i64, 8), size = k.sext(k.size(s.base.dim(d)));
    Value given = i;
    i = k.sel(k.lt(i, 0), k.add(i, size), i);
    Value inside = k.cmp(Pred::ult, i, size);
    if (s.site)
      k.ifThen(k.xor_(inside, k.cBool(true)), [&] { k.report(*s.site, given, k.size(s.base.dim(d))); });
    valid = k.and_(valid, inside);
    slot = k.add(k.mul(slot, k.size(s.base.dim(d))), Value(arith::TruncIOp::create(k.b, k.loc, k.i32, i)));
  }
  return {k.sel(valid, slot, k.c(0)), valid};
}

/// One thread an element of a flat space.
LogicalResult flat(KernelSink &sink, artifact::Variant &variant, bool workspace, Expr count,
                   function_ref<void(KernelBuilder &, Value)> body) {
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads, 0, workspace});
  Value item = k.add(k.mul(k.ctaX(), kThreads), k.tid());
  k.ifThen(k.lt(item, k.size(count)), [&] { body(k, item); });
  return sink.addStage(variant, k, {Expr::ceilDiv(count, sink.number(kThreads)), sink.one(), sink.one()});
}

} // namespace

LogicalResult kt::gpu::buildScatter(KernelSink &sink, ScatterOp op) {
  Shape s;
  s.base = op.getBase().getType();
  std::optional<int64_t> depth = op.getIndices().getType().dim(1).asConstant();
  if (!depth || *depth > s.base.getRank())
    return failure();
  s.site = op.getSite();
  s.depth = *depth, s.rows = op.getIndices().getType().dim(0), s.slots = sink.one(), s.inner = sink.one();
  for (int64_t d = 0; d < s.base.getRank(); ++d)
    (d < s.depth ? s.slots : s.inner) = (d < s.depth ? s.slots : s.inner) * s.base.dim(d);
  Type type = s.base.scalarType();
  int64_t bytes = s.base.elementBytes();
  Expr all = s.slots * s.inner;
  auto element = [&](KernelBuilder &k, Value base, Value at) { return k.loadElement(k.at(base, at, bytes), type); };
  auto copy = [&](KernelBuilder &k, Value i) { k.storeResult(0, i, element(k, k.buffer(0), i)); };

  artifact::Variant variant;
  if (op.getKind() == ScatterKind::assign) {
    variant.schedule = "scatter last row wins";
    variant.workspace = sink.pool.add(s.slots * 4);
    variant.workspaceZeroed = true;
    auto elect = [&](KernelBuilder &k, Value r) {
      auto [slot, valid] = placeOf(k, s, r);
      Value to = k.at(k.workspace(), slot, 4);
      k.ifThen(valid, [&] {
        LLVM::AtomicRMWOp::create(k.b, k.loc, LLVM::AtomicBinOp::max, to, k.add(r, 1), LLVM::AtomicOrdering::monotonic);
      });
    };
    // Each element takes the update of the row that won its place, or stays.
    auto write = [&](KernelBuilder &k, Value i) {
      Value slot = k.div(i, k.size(s.inner)), in = k.sub(i, k.mul(slot, k.size(s.inner)));
      Value winner = k.load(k.at(k.workspace(), slot, 4), k.i32, 4);
      Value v = k.ifElse(
          k.cmp(Pred::eq, winner, 0), type, [&]() -> Values { return {element(k, k.buffer(0), i)}; },
          [&]() -> Values {
            return {element(k, k.buffer(2), k.add(k.mul(k.sub(winner, 1), k.size(s.inner)), in))};
          })[0];
      k.storeResult(0, i, v);
    };
    if (failed(flat(sink, variant, true, s.rows, elect)) || failed(flat(sink, variant, true, all, write)))
      return failure();
  } else if (op.getKind() == ScatterKind::add &&
             (type.isF32() || type.isF64() || type.isInteger(32) || type.isInteger(64))) {
    variant.schedule = "scatter atomic";
    auto add = [&](KernelBuilder &k, Value i) {
      Value r = k.div(i, k.size(s.inner)), in = k.sub(i, k.mul(r, k.size(s.inner)));
      auto [slot, valid] = placeOf(k, s, r);
      Value to = k.at(k.result(0), k.add(k.mul(slot, k.size(s.inner)), in), bytes);
      k.ifThen(valid, [&] {
        auto kind = isa<FloatType>(type) ? LLVM::AtomicBinOp::fadd : LLVM::AtomicBinOp::add;
        LLVM::AtomicRMWOp::create(k.b, k.loc, kind, to, element(k, k.buffer(2), i), LLVM::AtomicOrdering::monotonic);
      });
    };
    if (failed(flat(sink, variant, false, all, copy)) || failed(flat(sink, variant, false, s.rows * s.inner, add)))
      return failure();
  } else {
    variant.schedule = "scatter in order";
    ReduceKind kinds[] = {ReduceKind::add, ReduceKind::add, ReduceKind::mul, ReduceKind::max, ReduceKind::min};
    auto walk = [&](KernelBuilder &k, Value i) {
      Combiner combiner(k, kinds[(int)op.getKind()], type, false);
      Value slot = k.div(i, k.size(s.inner)), in = k.sub(i, k.mul(slot, k.size(s.inner)));
      Values state = combiner.single(element(k, k.buffer(0), i), Value());
      state = k.forLoop(k.c(0), k.size(s.rows), k.c(1), state, [&](Value r, ValueRange now) {
        auto [place, valid] = placeOf(k, s, r);
        Value hit = k.and_(valid, k.cmp(Pred::eq, place, slot));
        return k.ifElse(
            hit, combiner.types(),
            [&] {
              return combiner.combine(
                  now, combiner.single(element(k, k.buffer(2), k.add(k.mul(r, k.size(s.inner)), in)), Value()));
            },
            [&] { return Values(now); });
      });
      k.storeResult(0, i, combiner.finish(state));
    };
    if (failed(flat(sink, variant, false, all, walk)))
      return failure();
  }
  sink.addVariant(std::move(variant));
  return success();
}
