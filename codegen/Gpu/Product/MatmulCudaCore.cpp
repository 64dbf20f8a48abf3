//===- MatmulCudaCore.cpp - matrix products in full precision -------------===//
//
// FP32 (and f64 and integer) products on the CUDA cores: register tiles of outer products over slabs in shared memory,
// the next slab travelling through registers meanwhile. Never TF32. Operands of any type are converted to the
// accumulator's on their way.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/CudaCore.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;
using artifact::ExprId;
using ExprOp = artifact::Expr::Op;

namespace {

/// Less depth than this is not worth sharing.
constexpr int64_t kLeastDepth = 256;

/// An operand by its strides.
class StridedFetch : public SlabFetch {
public:
  StridedFetch(KernelBuilder &k, Type element, bool isUnsigned, Value base, Value rows, Value depth, Value rowStride,
               Value kStride)
      : k(k), base(base), rows(rows), depth(depth), rowStride(rowStride), kStride(kStride) {
    type = element, fromUnsigned = isUnsigned;
  }
  Value valid(Value row, Value kk) override { return k.and_(k.lt(row, rows), k.lt(kk, depth)); }
  Value pointer(Value row, Value kk) override {
    return k.at(base, k.add(k.mul(row, rowStride), k.mul(kk, kStride)), elementBytes(type));
  }

private:
  KernelBuilder &k;
  Value base, rows, depth, rowStride, kStride;
};

LogicalResult buildOne(KernelSink &sink, const GemmProblem &p, const SimtTile &t, bool vectors, Guard guard,
                       StringRef family, bool split = false) {
  KernelBuilder k(sink.kernel, sink.entryName(), {t.threads(), t.minCtas, split});
  GemmEpilogue epilogue(k, p);
  Alignment stores, loads;
  unsigned lanes = vectors ? epilogue.lanes(stores, std::min(4u, t.tn)) : 1;
  stores.lanes = lanes;
  loads.lanes = 4;

  Value pid = k.ctaX();
  Value rowTiles = k.size(Expr::ceilDiv(p.m, p.number(t.bm)));
  Value q = k.div(pid, rowTiles), m0 = k.mul(k.sub(pid, k.mul(q, rowTiles)), t.bm);
  Values batch;
  if (!p.batch.empty()) {
    Value columnTiles = k.size(Expr::ceilDiv(p.n, p.number(t.bn))), number = k.div(q, columnTiles);
    q = k.sub(q, k.mul(number, columnTiles));
    batch = delinearize(k, number, p.batch);
  }
  Value n0 = k.mul(q, t.bn);
  auto isUnsigned = [&](unsigned i) { return k.bufferType(i).getElementType().isUnsignedInteger(); };
  auto multiples = [&](ArrayRef<Expr> list) { return llvm::all_of(list, [&](Expr e) { return loads.multiple(e); }); };
  std::unique_ptr<SlabFetch> a;
  if (p.lhsFetch) {
    a = p.lhsFetch(k, batch, vectors);
  } else {
    a = std::make_unique<StridedFetch>(k, p.lhsType, isUnsigned(0), factorBase(k, p, 0, batch), k.size(p.m),
                                       k.size(p.k), k.size(p.lhsM), k.size(p.lhsK));
    a->alongK = !p.lhsM.isConstant(1) || p.lhsK.isConstant(1);
    a->vector = vectors && (a->alongK ? p.lhsK.isConstant(1) && multiples({p.lhsM, p.k}) : multiples({p.lhsK, p.m})) &&
                multiples(p.lhsBatch) && multiples(p.lhsOffset);
  }
  std::unique_ptr<SlabFetch> b;
  if (p.packed) {
    b = panelFetch(k, p.rhsType, factorBase(k, p, 1, batch), k.size(p.n), k.size(p.k));
  } else {
    b = std::make_unique<StridedFetch>(k, p.rhsType, isUnsigned(1), factorBase(k, p, 1, batch), k.size(p.n),
                                       k.size(p.k), k.size(p.rhsN), k.size(p.rhsK));
    b->alongK = !p.rhsN.isConstant(1);
    b->vector = vectors && (b->alongK ? p.rhsK.isConstant(1) && multiples({p.rhsN, p.k}) : multiples({p.rhsK, p.n})) &&
                multiples(p.rhsBatch) && multiples(p.rhsOffset);
  }
  Value slabs = k.size(Expr::ceilDiv(p.k, p.number(t.bk))), first = k.c(0), partial;
  if (split)
    partial = splitRange(k, p, slabs, first);
  Values acc = emitSimtLoop(k, t, *a, *b, p.accType, m0, n0, first, slabs);
  emitSimtEpilogue(k, t, p, epilogue, acc, batch, m0, n0, stores, lanes, partial);
  guard.requireMultiples(loads);
  guard.requireMultiples(stores);
  if (guard.never)
    return success();
  artifact::Variant variant;
  variant.schedule = family.str() + " simt " + t.str() + (vectors ? "" : " unaligned") + (split ? " split" : "");
  ExprId one = sink.pool.constant(1), splits = one;
  ExprId blocks = sink.pool.add(Expr::ceilDiv(p.m, p.number(t.bm)) * Expr::ceilDiv(p.n, p.number(t.bn)) * p.batches());
  if (split)
    splits = splitCount(sink, p, blocks, kLeastDepth, 64);
  if (failed(sink.addStage(variant, k, std::array<ExprId, 3>{blocks, splits, one}, t.sharedBytes(p.accType))))
    return failure();
  if (split && failed(addSplitReduction(sink, p, variant, splits, stores)))
    return failure();
  sink.addVariant(std::move(variant), guard);
  return success();
}

} // namespace

LogicalResult kt::gpu::buildMatmulCudaCore(KernelSink &sink, const GemmProblem &p, StringRef family) {
  // Left alone, ptxas saves registers for more blocks than few rows have, and spills.
  const SimtTile few{16, 64, 32, 2, 4, 4}, large{128, 128, 8, 8, 8}, small{64, 64, 16, 4, 4};
  codegen::ExprPool &pool = sink.pool;
  std::optional<int64_t> m = p.m.asConstant(), n = p.n.asConstant();
  bool wide = p.accType.getIntOrFloatBitWidth() == 64, deep = canSplit(p, kLeastDepth);
  auto add = [&](const SimtTile &t, const Guard &guard, bool vectors, bool split) {
    return buildOne(sink, p, t, vectors, guard, family, split);
  };
  Guard rows;
  rows.require(Expr::lt(p.m, p.number(17)));
  rows.never |= !p.mayHaveFewRows();
  bool all = !sink.options.oneVariant;
  if (all && !rows.never && failed(add(few, rows, true, deep)))
    return failure();
  if (all && !sink.complete() && !wide && (!m || !n || !p.batch.empty() || *m * *n >= 16 * large.bm * large.bn)) {
    Guard guard;
    Expr tiles = Expr::ceilDiv(p.m, p.number(large.bm)) * Expr::ceilDiv(p.n, p.number(large.bn)) * p.batches();
    guard.facts.push_back(pool.op(ExprOp::Le, pool.fact(artifact::Fact::SmCount), pool.add(tiles)));
    if (failed(add(large, guard, true, false)))
      return failure();
  }
  if (!sink.complete() && failed(add(small, Guard(), true, deep)))
    return failure();
  return sink.complete() ? success() : add(small, Guard(), false, false);
}
