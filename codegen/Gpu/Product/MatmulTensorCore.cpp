//===- MatmulTensorCore.cpp - half-precision matrix products --------------===//
//
// Chooses tiles by the size of the problem and of the device: 16 rows for few rows, 128x128 when that fills the device,
// smaller tiles or a split of k when it does not. A second stage adds the splits up and runs the epilogue.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/TileSources.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;
using artifact::ExprId;
using ExprOp = artifact::Expr::Op;

namespace {

/// Less depth than this is not worth sharing.
constexpr int64_t kLeastDepth = 512;

struct Choice {
  TileConfig tile;
  bool aligned = true; // operands come by asynchronous 16-byte copies
  bool split = false;  // blocks may share the depth
};

class TileKernel {
public:
  TileKernel(KernelSink &sink, const GemmProblem &p, const Choice &choice, StringRef family)
      : sink(sink), p(p), t(choice.tile), choice(choice), family(family) {}

  LogicalResult build(Guard guard);
  static Expr tiles(const GemmProblem &p, const TileConfig &t) {
    return Expr::ceilDiv(p.m, p.number(t.bm)) * Expr::ceilDiv(p.n, p.number(t.bn)) * p.batches();
  }
  /// What has to be a multiple of 8 for asynchronous copies.
  static bool canAlign(const GemmProblem &p, Alignment &alignment);

private:
  KernelSink &sink;
  const GemmProblem &p;
  const TileConfig &t;
  const Choice &choice;
  StringRef family;
};

bool TileKernel::canAlign(const GemmProblem &p, Alignment &alignment) {
  alignment.lanes = 8;
  auto all = [&](ArrayRef<Expr> list) { return llvm::all_of(list, [&](Expr e) { return alignment.multiple(e); }); };
  if (p.lhsTiles)
    return true;
  bool lhs = p.lhsK.isConstant(1) && (p.m.isConstant(1) || alignment.multiple(p.lhsM)) && all(p.lhsBatch) &&
             alignment.multiple(p.lhsOffset);
  if (!lhs || p.packed)
    return lhs;
  bool rowsOfK = p.rhsK.isConstant(1) && alignment.multiple(p.rhsN);
  return (rowsOfK || (p.rhsN.isConstant(1) && alignment.multiple(p.rhsK))) && all(p.rhsBatch) &&
         alignment.multiple(p.rhsOffset);
}

/// Grouped rasterisation: groups of eight tile rows, walked down first, share columns of the right side in the cache.
void tileOrigin(KernelBuilder &k, const GemmProblem &p, const TileConfig &t, Value pid, Value &m0, Value &n0) {
  Value rows = k.size(Expr::ceilDiv(p.m, p.number(t.bm))), columns = k.size(Expr::ceilDiv(p.n, p.number(t.bn)));
  constexpr unsigned kGroup = 8;
  Value perGroup = k.mul(columns, kGroup), group = k.div(pid, perGroup), firstRow = k.mul(group, kGroup);
  Value height = k.min(k.sub(rows, firstRow), kGroup), rest = k.sub(pid, k.mul(group, perGroup)),
        q = k.div(rest, height);
  m0 = k.mul(k.add(firstRow, k.sub(rest, k.mul(q, height))), t.bm);
  n0 = k.mul(q, t.bn);
}

LogicalResult TileKernel::build(Guard guard) {
  KernelBuilder k(sink.kernel, sink.entryName(), {t.threads(), t.minCtas, choice.split});
  Type type = p.lhsType;
  Alignment copies, stores;
  bool aligned = choice.aligned && canAlign(p, copies);
  if (aligned)
    guard.requireMultiples(copies);
  GemmEpilogue epilogue(k, p);
  stores.mayAssume = choice.aligned; // the last resort takes every size
  unsigned lanes = epilogue.lanes(stores, 8);

  Value pid = k.ctaX(), m0, n0;
  Values batch;
  if (!p.batch.empty()) {
    Value tiles = k.size(Expr::ceilDiv(p.m, p.number(t.bm)) * Expr::ceilDiv(p.n, p.number(t.bn)));
    Value number = k.div(pid, tiles);
    pid = k.sub(pid, k.mul(number, tiles));
    batch = delinearize(k, number, p.batch);
  }
  tileOrigin(k, p, t, pid, m0, n0);
  bool whole = p.k.isMultipleOf(8);
  OperandView a;
  if (!p.lhsTiles)
    a = {factorBase(k, p, 0, batch), m0, k.size(p.m), k.size(p.lhsM), k.size(p.lhsK), k.size(p.k), whole};
  OperandView b{factorBase(k, p, 1, batch), n0, k.size(p.n), {}, {}, k.size(p.k), whole};
  if (!p.packed)
    b.rowStride = k.size(p.rhsN), b.kStride = k.size(p.rhsK);
  std::unique_ptr<TileSource> sourceA = p.lhsTiles ? p.lhsTiles(k, t, m0, batch)
                                        : aligned  ? asyncRows(k, t.bm, t.bk, t.threads(), a)
                                                   : plainRows(k, t.bm, t.bk, t.threads(), a, type);
  std::unique_ptr<TileSource> sourceB;
  Layout layout = Layout::Panels;
  if (p.packed) {
    sourceB = p.rhsType == k.i8 ? int8Panels(k, t.bn, t.bk, t.threads(), b, type)
                                : asyncPanels(k, t.bn, t.bk, t.threads(), b);
  } else if (aligned && p.rhsN.isConstant(1) && !p.rhsK.isConstant(1)) {
    layout = Layout::RowMajorN;
    sourceB = asyncColumns(k, t.bn, t.bk, t.threads(), b);
  } else {
    layout = Layout::RowMajorK;
    sourceB = aligned ? asyncRows(k, t.bn, t.bk, t.threads(), b) : plainRows(k, t.bn, t.bk, t.threads(), b, type);
  }

  Value slabs = k.size(Expr::ceilDiv(p.k, p.number(t.bk))), k0 = k.c(0), partial;
  if (choice.split) {
    Value first;
    partial = splitRange(k, p, slabs, first);
    k0 = k.mul(first, t.bk);
  }
  int64_t shared = sharedBytes(t, *sourceA, *sourceB);
  // The tile's origin waits in shared memory while the registers are needed.
  k.store(m0, k.sptr(shared - 16), 4);
  k.store(n0, k.sptr(shared - 12), 4);
  SmallVector<Value> acc = emitMainLoop(k, t, *sourceA, *sourceB, layout, type, k0, slabs);
  m0 = k.load(k.sptr(shared - 16), k.i32, 4);
  n0 = k.load(k.sptr(shared - 12), k.i32, 4);
  emitTileEpilogue(k, t, p, epilogue, acc, batch, m0, n0, stores, lanes, partial);
  guard.requireMultiples(stores);
  if (guard.never)
    return success();

  artifact::Variant variant;
  variant.schedule = family.str() + " " + t.str() + (aligned ? "" : " unaligned") + (choice.split ? " split" : "");
  ExprId blocks = sink.pool.add(tiles(p, t)), one = sink.pool.constant(1), splits = one;
  if (choice.split)
    splits = splitCount(sink, p, blocks, kLeastDepth, t.bk * 2);
  if (failed(sink.addStage(variant, k, std::array<ExprId, 3>{blocks, splits, one}, shared)))
    return failure();
  if (choice.split && failed(addSplitReduction(sink, p, variant, splits, stores)))
    return failure();
  sink.addVariant(std::move(variant), guard);
  return success();
}

} // namespace

LogicalResult kt::gpu::buildTensorCore(KernelSink &sink, const GemmProblem &p, const TileMenu &menu, StringRef family) {
  const auto &[few, large, tall, small, plain] = menu;
  codegen::ExprPool &pool = sink.pool;
  auto fills = [&](const TileConfig &t) {
    return pool.op(ExprOp::Le, pool.fact(artifact::Fact::SmCount), pool.add(TileKernel::tiles(p, t)));
  };
  auto add = [&](const Choice &choice, const Guard &guard) { return TileKernel(sink, p, choice, family).build(guard); };
  Alignment alignment;
  bool aligned = TileKernel::canAlign(p, alignment);
  std::optional<int64_t> m = p.m.asConstant(), n = p.n.asConstant();
  bool all = !sink.options.oneVariant, everywhere = sink.options.tensorCores == TensorCorePriority::high;
  bool deep = canSplit(p, kLeastDepth);
  if (aligned) {
    Guard rows, many;
    rows.require(Expr::lt(p.m, p.number(17)));
    rows.never |= !p.mayHaveFewRows();
    if (!everywhere && p.mayHaveFewRows())
      many.require(Expr::lt(p.number(16), p.m));
    bool hasFew = all && everywhere && few.bm;
    if (hasFew && !rows.never && failed(add({few, true, deep}, rows)))
      return failure();
    if (!many.never && (!m || *m > 16 || !hasFew)) {
      if (all && (!m || *m > 64))
        for (const TileConfig &t : {large, tall}) {
          // A small problem fills no device that is worth a kernel of its own.
          if (!t.bm || (m && n && p.batch.empty() && *m * *n < 16 * (int64_t)t.bm * t.bn))
            continue;
          Guard guard = many;
          guard.facts.push_back(fills(t));
          if (failed(add({t}, guard)))
            return failure();
        }
      if (failed(add({small, true, deep}, many)))
        return failure();
    }
  }
  // Whatever the guards above leave: rows that are not aligned to 16 bytes.
  if (sink.complete() || !everywhere)
    return success();
  return add({plain, false, false}, Guard());
}

LogicalResult kt::gpu::buildMatmulTensorCore(KernelSink &sink, const GemmProblem &p) {
  // bm, bn, bk, warp rows and columns, stages, blocks an SM.
  const TileMenu menu{{16, 64, 128, 1, 4, 4, 1},
                      {128, 128, 64, 2, 2, 3, 1},
                      {128, 64, 64, 2, 2, 4, 1},
                      {64, 64, 64, 2, 2, 4, 1},
                      {64, 64, 32, 2, 2, 2, 1}};
  return buildTensorCore(sink, p, menu, "matmul");
}
