//===- MatmulTensorCore.cpp - half-precision matrix products --------------===//
//
// Chooses tiles by the size of the problem and of the device: 16 rows for few rows, 128x128 when that fills the device, smaller tiles or a split of k
// when it does not. A second stage adds the splits up and runs the epilogue.
//
//===----------------------------------------------------------------------===//

#include "codegen/Kernels/TileSources.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;
using artifact::ExprId;
using ExprOp = artifact::Expr::Op;

namespace {

struct Choice {
  TileConfig tile;
  bool aligned = true; // operands come by asynchronous 16-byte copies
  bool split = false;
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
  LogicalResult reduceSplits(artifact::Variant &variant, ExprId splits, Alignment &alignment);

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
  bool lhs = p.lhsK.isConstant(1) && (p.m.isConstant(1) || alignment.multiple(p.lhsM)) && all(p.lhsBatch);
  if (!lhs || p.packed)
    return lhs;
  bool rowsOfK = p.rhsK.isConstant(1) && alignment.multiple(p.rhsN);
  return (rowsOfK || (p.rhsN.isConstant(1) && alignment.multiple(p.rhsK))) && all(p.rhsBatch);
}

/// Grouped rasterisation: groups of eight tile rows, walked down first, share columns of the right side in the cache.
void tileOrigin(KernelBuilder &k, const GemmProblem &p, const TileConfig &t, Value pid, Value &m0, Value &n0) {
  Value rows = k.size(Expr::ceilDiv(p.m, p.number(t.bm))), columns = k.size(Expr::ceilDiv(p.n, p.number(t.bn)));
  constexpr unsigned kGroup = 8;
  Value perGroup = k.mul(columns, kGroup), group = k.div(pid, perGroup), firstRow = k.mul(group, kGroup);
  Value height = k.min(k.sub(rows, firstRow), kGroup), rest = k.sub(pid, k.mul(group, perGroup)), q = k.div(rest, height);
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
  auto operand = [&](unsigned i, ArrayRef<Expr> strides) {
    Value offset = batchOffset(k, batch, strides);
    return k.at(k.buffer(i), offset, elementBytes(i ? p.rhsType : p.lhsType));
  };
  bool whole = p.k.isMultipleOf(8);
  OperandView a;
  if (!p.lhsTiles)
    a = {operand(0, p.lhsBatch), m0, k.size(p.m), k.size(p.lhsM), k.size(p.lhsK), k.size(p.k), whole};
  OperandView b{operand(1, p.rhsBatch), n0, k.size(p.n), {}, {}, k.size(p.k), whole};
  if (!p.packed)
    b.rowStride = k.size(p.rhsN), b.kStride = k.size(p.rhsK);
  std::unique_ptr<TileSource> sourceA = p.lhsTiles ? p.lhsTiles(k, t, m0, batch)
                                        : aligned  ? asyncRows(k, t.bm, t.bk, t.threads(), a) : plainRows(k, t.bm, t.bk, t.threads(), a, type);
  std::unique_ptr<TileSource> sourceB;
  Layout layout = Layout::Panels;
  if (p.packed) {
    sourceB = p.rhsType == k.i8 ? int8Panels(k, t.bn, t.bk, t.threads(), b, type) : asyncPanels(k, t.bn, t.bk, t.threads(), b);
  } else if (aligned && p.rhsN.isConstant(1) && !p.rhsK.isConstant(1)) {
    layout = Layout::RowMajorN;
    sourceB = asyncColumns(k, t.bn, t.bk, t.threads(), b);
  } else {
    layout = Layout::RowMajorK;
    sourceB = aligned ? asyncRows(k, t.bn, t.bk, t.threads(), b) : plainRows(k, t.bn, t.bk, t.threads(), b, type);
  }

  Value slabs = k.size(Expr::ceilDiv(p.k, p.number(t.bk))), k0 = k.c(0), partial;
  if (choice.split) {
    Value splits = k.gridY(), each = k.div(k.sub(k.add(slabs, splits), 1), splits), first = k.mul(k.ctaY(), each);
    k0 = k.mul(first, t.bk);
    slabs = k.max(k.min(each, k.sub(slabs, first)), 0);
    Expr plane = p.m * (Expr::ceilDiv(p.n, p.number(8)) * 8);
    partial = k.gep(k.workspace(), k.mul(k.mul(k.ext(k.size(plane)), k.ext(k.ctaY())), 4));
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
  if (choice.split) {
    ExprId two = sink.pool.op(ExprOp::Mul, sink.pool.fact(artifact::Fact::SmCount), sink.pool.constant(2));
    ExprId wanted = sink.pool.op(ExprOp::CeilDiv, two, sink.pool.op(ExprOp::Max, blocks, one));
    ExprId deep = sink.pool.op(ExprOp::FloorDiv, sink.pool.add(p.k), sink.pool.constant(t.bk * 2));
    splits = sink.pool.op(ExprOp::Max, one, sink.pool.op(ExprOp::Min, sink.pool.constant(16), sink.pool.op(ExprOp::Min, wanted, deep)));
    ExprId plane = sink.pool.add(p.m * (Expr::ceilDiv(p.n, p.number(8)) * 32));
    variant.workspace = sink.pool.op(ExprOp::Mul, splits, plane);
  }
  if (failed(sink.addStage(variant, k, std::array<ExprId, 3>{blocks, splits, one}, shared)))
    return failure();
  if (choice.split && failed(reduceSplits(variant, splits, stores)))
    return failure();
  sink.addVariant(std::move(variant), guard);
  return success();
}

LogicalResult TileKernel::reduceSplits(artifact::Variant &variant, ExprId splits, Alignment &alignment) {
  KernelBuilder k(sink.kernel, sink.entryName(), {128, 0, true});
  GemmEpilogue epilogue(k, p);
  unsigned lanes = alignment.lanes;
  Expr chunks = Expr::ceilDiv(p.n, p.number(4)), padded = Expr::ceilDiv(p.n, p.number(8)) * 8;
  // The grid's second dimension says how many splits there are; its blocks share the work all the same.
  Value block = k.add(k.mul(k.ctaY(), k.gridX()), k.ctaX()), item = k.add(k.mul(block, 128), k.tid());
  k.ifThen(k.lt(item, k.size(p.m * chunks)), [&] {
    Values at = delinearize(k, item, {p.m, chunks});
    Value n = k.shl(at[1], 2), place = k.add(k.mul(at[0], k.size(padded)), n);
    Value plane = k.mul(k.ext(k.size(p.m * padded)), 4);
    Values inits(4, k.cf(0));
    inits.push_back(k.at(k.workspace(), place, 4));
    Values sums = k.forLoop(k.c(0), k.gridY(), k.c(1), inits, [&](Value, ValueRange now) {
      Values more = k.loadElements(now[4], k.f32, 4), next;
      for (unsigned i = 0; i < 4; ++i)
        next.push_back(k.addf(now[i], more[i]));
      next.push_back(k.gep(now[4], plane));
      return next;
    });
    sums.pop_back();
    unsigned step = std::min(lanes, 4u);
    for (unsigned v = 0; v < 4; v += step)
      k.ifThen(k.lt(k.add(n, v), k.size(p.n)), [&] {
        Alignment four = alignment;
        four.lanes = step;
        epilogue.emit(ArrayRef(sums).slice(v, step), {}, at[0], k.add(n, v), four);
      });
  });
  ExprId perBlock = sink.pool.op(ExprOp::Mul, splits, sink.pool.constant(128));
  ExprId blocks = sink.pool.op(ExprOp::CeilDiv, sink.pool.add(p.m * chunks), perBlock);
  return sink.addStage(variant, k, std::array<ExprId, 3>{blocks, splits, sink.pool.constant(1)}, 0);
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
  std::optional<int64_t> m = p.m.asConstant(), n = p.n.asConstant(), k = p.k.asConstant();
  bool deep = p.batch.empty() && (!k || *k >= 512);
  if (aligned) {
    Guard rows;
    rows.require(Expr::lt(p.m, p.number(17)));
    if (!rows.never && few.bm) {
      if (deep) {
        Guard split = rows;
        split.require(Expr::lt(p.number(511), p.k));
        split.facts.push_back(pool.op(ExprOp::Lt, pool.add(TileKernel::tiles(p, few)), pool.fact(artifact::Fact::SmCount)));
        if (failed(add({few, true, true}, split)))
          return failure();
      }
      if (failed(add({few}, rows)))
        return failure();
    }
    if (!m || *m > 16 || !few.bm) {
      if (!m || *m > 64)
        for (const TileConfig &t : {large, tall}) {
          // A small problem fills no device that is worth a kernel of its own.
          if (!t.bm || (m && n && p.batch.empty() && *m * *n < 16 * (int64_t)t.bm * t.bn))
            continue;
          Guard guard;
          guard.facts.push_back(fills(t));
          if (failed(add({t}, guard)))
            return failure();
        }
      if (deep) {
        Guard split;
        split.require(Expr::lt(p.number(511), p.k));
        split.facts.push_back(pool.op(ExprOp::Lt, pool.add(TileKernel::tiles(p, small)), pool.fact(artifact::Fact::SmCount)));
        if (failed(add({small, true, true}, split)))
          return failure();
      }
      if (failed(add({small}, Guard())))
        return failure();
    }
  }
  // Whatever the guards above leave: rows that are not aligned to 16 bytes.
  if (sink.complete())
    return success();
  return add({plain, false, false}, Guard());
}

LogicalResult kt::gpu::buildMatmulTensorCore(KernelSink &sink, const GemmProblem &p) {
  // bm, bn, bk, warp rows and columns, stages, blocks an SM.
  const TileMenu menu{{16, 64, 128, 1, 4, 4, 1}, {128, 128, 64, 2, 2, 3, 1}, {128, 64, 64, 2, 2, 4, 1},
                      {64, 64, 64, 2, 2, 4, 1},  {64, 64, 32, 2, 2, 2, 1}};
  return buildTensorCore(sink, p, menu, "matmul");
}
