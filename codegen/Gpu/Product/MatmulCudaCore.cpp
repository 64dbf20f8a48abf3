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

namespace {

/// An operand by its strides.
class StridedFetch : public SlabFetch {
public:
  StridedFetch(KernelBuilder &k, Type element, bool isUnsigned, Value base, Value rows, Value depth,
               std::function<Value(Value)> rowOffset, Value kStride)
      : SlabFetch(k), base(base), rows(rows), depth(depth), kStride(kStride), rowOffset(std::move(rowOffset)) {
    type = element, fromUnsigned = isUnsigned;
  }
  Value valid(Value row, Value kk) override { return k.and_(k.lt(row, rows), k.lt(kk, depth)); }
  Value pointer(Value row, Value kk) override {
    return k.at(base, k.add(rowOffset(row), k.mul(kk, kStride)), elementBytes(type));
  }

private:
  Value base, rows, depth, kStride;
  std::function<Value(Value)> rowOffset;
};

} // namespace

LogicalResult kt::gpu::buildMatmulCudaCore(KernelSink &sink, const GemmProblem &p, StringRef family) {
  std::string why;
  unsigned accBytes = elementBytes(p.accType);
  std::optional<SimtTile> tile = simtTileOf(sink.candidate, accBytes, &why);
  if (!tile)
    return p.op->emitError() << "no kernel for " << sink.candidate << ": " << why;
  const SimtTile &t = *tile;
  bool vectors = sink.configured("vectors"), split = (bool)sink.candidate.getSplits();
  bool follows = followOf(sink, p) != Follow::stage;
  // Left alone, ptxas saves registers for one block more where few are missing, and spills; integers are requantised
  // by divisions, which take more than two blocks of 256 threads leave.
  unsigned usual = isa<IntegerType>(p.accType) ? 1 : 2;
  unsigned minCtas = t.minCtas ? t.minCtas : accBytes == 4 ? usual : 0;
  KernelBuilder k(sink.kernel, sink.entryName(), {t.threads(), minCtas, split, split || follows});
  GemmEpilogue epilogue(k, p);
  Alignment stores = sink.alignment(), loads = sink.alignment();
  unsigned lanes = vectors ? p.storeLanes(stores, std::min(4u, t.tn)) : 1;
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
  startRows(k, sink, p, {t.bm, t.bn, t.threads()}, m0);
  std::unique_ptr<SlabFetch> a;
  if (p.lhsFetch) {
    a = p.lhsFetch(k, batch, vectors);
  } else {
    a = std::make_unique<StridedFetch>(
        k, p.lhsType, p.isUnsigned(0), factorBase(k, p, 0, batch), k.size(p.m), k.size(p.k),
        [&](Value row) { return rowOffset(k, p, row); }, k.size(p.lhsK));
    a->alongK = p.leftAlongK();
    a->vector = vectors && p.vectorLeft(loads);
  }
  std::unique_ptr<SlabFetch> b;
  if (p.blocks) {
    b = blockFetch(k, p, factorBase(k, p, 1, batch));
  } else if (p.packed) {
    b = panelFetch(k, p.rhsType, p.isUnsigned(1), factorBase(k, p, 1, batch), k.size(p.n), k.size(p.k));
  } else {
    b = std::make_unique<StridedFetch>(
        k, p.rhsType, p.isUnsigned(1), factorBase(k, p, 1, batch), k.size(p.n), k.size(p.k),
        [&](Value row) { return k.mul(row, k.size(p.rhsN)); }, k.size(p.rhsK));
    b->alongK = !p.rhsN.isConstant(1);
    b->vector = vectors && p.vectorRight(loads);
  }
  Value slabs = k.size(Expr::ceilDiv(p.k, p.number(t.bk))), first = k.c(0), partial;
  if (split)
    partial = splitRange(k, p, slabs, first);
  Values acc = emitSimtLoop(k, t, *a, *b, p.accType, m0, n0, first, slabs);
  emitSimtEpilogue(k, t, p, epilogue, acc, batch, m0, n0, stores, lanes, partial);
  finishTile(k, sink, p, epilogue, {t.bm, t.bn, t.threads()}, split, k.ctaX(), m0, n0, stores, lanes);
  return addProduct(sink, p, k, family.str() + " simt " + t.str() + (vectors ? "" : " unaligned"),
                    {t.bm, t.bn, t.threads()}, t.sharedBytes(accBytes));
}
