//===- MatmulTensorCore.cpp - matrix products on tensor cores -------------===//
//
// A tile of results a block, of any size that MmaTile allows. Where blocks share the depth, a second stage adds their
// sums up and runs the epilogue.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/TileSources.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

/// Grouped rasterisation: groups of eight tile rows, walked down first, share columns of the right side in the cache.
void tileOrigin(KernelBuilder &k, const GemmProblem &p, const MmaTile &t, Value pid, Value &m0, Value &n0) {
  Value rows = k.size(Expr::ceilDiv(p.m, p.number(t.bm))), columns = k.size(Expr::ceilDiv(p.n, p.number(t.bn)));
  constexpr unsigned kGroup = 8;
  Value perGroup = k.mul(columns, kGroup), group = k.div(pid, perGroup), firstRow = k.mul(group, kGroup);
  Value height = k.min(k.sub(rows, firstRow), kGroup), rest = k.sub(pid, k.mul(group, perGroup)),
        q = k.div(rest, height);
  m0 = k.mul(k.add(firstRow, k.sub(rest, k.mul(q, height))), t.bm);
  n0 = k.mul(q, t.bn);
}

} // namespace

LogicalResult kt::gpu::buildMatmulTensorCore(KernelSink &sink, const GemmProblem &given, StringRef family) {
  GemmProblem p = given;
  if (sink.configured("widened")) {
    if (!p.blocks)
      return p.op->emitError() << "no kernel for " << sink.candidate << ": expected weights in blocks to widen";
    p.widen();
  }
  if (sink.configured("int8_rows")) {
    Alignment vectors = sink.alignment();
    bool rounds = p.int8Rows && p.batch.empty() && p.isHalf() && p.canAlign(vectors);
    p.quantiseRows();
    if (vectors = sink.alignment(); !rounds || !p.canAlign(vectors))
      return p.op->emitError() << "no kernel for " << sink.candidate
                               << ": expected aligned rows of halves, a multiple of 16 long, that may be rounded";
  }
  std::string why;
  std::optional<MmaTile> tile = mmaTileOf(sink.candidate, &why);
  if (!tile)
    return p.op->emitError() << "no kernel for " << sink.candidate << ": " << why;
  const MmaTile &t = *tile;
  if (t.form != (p.blocks ? p.weightForm() : WeightForm()))
    return p.op->emitError() << "no kernel for " << sink.candidate << ": expected blocks as the weights have them";
  bool split = (bool)sink.candidate.getSplits();
  KernelBuilder k(sink.kernel, sink.entryName(),
                  {t.threads(), t.minCtas, split || p.isStaged(), split || followOf(sink, p) != Follow::stage});
  Type type = p.lhsType;
  Alignment copies = sink.alignment(), stores = sink.alignment();
  bool aligned = sink.configured("async") && p.canAlign(copies), int8 = t.elementBytes == 1;
  if (int8 ? !p.isInt8() || !(aligned || p.lhsTiles) || (t.turned() && !p.packed) : !p.isHalf())
    return p.op->emitError() << "no kernel for " << sink.candidate << ": of " << p.lhsType << " and " << p.rhsType
                             << (aligned ? "" : ", which are not aligned to 16 bytes");
  GemmEpilogue epilogue(k, p);
  unsigned lanes = p.storeLanes(stores, 8);

  Value pid = k.ctaX(), m0, n0;
  Values batch;
  if (!p.batch.empty()) {
    Value tiles = k.size(Expr::ceilDiv(p.m, p.number(t.bm)) * Expr::ceilDiv(p.n, p.number(t.bn)));
    Value number = k.div(pid, tiles);
    pid = k.sub(pid, k.mul(number, tiles));
    batch = delinearize(k, number, p.batch);
  }
  tileOrigin(k, p, t, pid, m0, n0);
  bool whole = p.k.isMultipleOf(p.chunk());
  OperandView a;
  if (!p.lhsTiles)
    a = {factorBase(k, p, 0, batch), m0, k.size(p.m), {}, k.size(p.lhsK), k.size(p.k), whole};
  if (!p.lhsRows.empty())
    a.rowOffset = [&](Value row) { return rowOffset(k, p, row); };
  else if (!p.lhsTiles)
    a.rowStride = k.size(p.lhsM);
  OperandView b{factorBase(k, p, 1, batch), n0, k.size(p.n), {}, {}, k.size(p.k), whole};
  a.bytes = b.bytes = t.elementBytes;
  if (!p.packed)
    b.rowStride = k.size(p.rhsN), b.kStride = k.size(p.rhsK);
  Copiers by(k, t);
  std::unique_ptr<TileSource> rows = p.lhsTiles ? p.lhsTiles(k, t, by, m0, batch)
                                     : aligned  ? asyncRows(k, t.bm, t.bk, by, a)
                                                : plainRows(k, t.bm, t.bk, by, a, type);
  Factors factors;
  factors.slotBytes = t.slabBytes();
  if (p.blocks) {
    factors.left = blockSlabs(k, t, by, b.base, n0, p);
    factors.leftAt = t.rowsBytes();
    factors.fragments = blockFragments(k, t, factors.leftAt, p);
    factors.right = std::move(rows);
    factors.rightLayout = Layout::RowMajorK;
  } else if (t.turned()) {
    factors.left = bytePanels(k, t.bn, t.bk, by, b);
    factors.leftAt = t.rowsBytes();
    factors.fragments = int8PanelFragments(k, t, factors.leftAt);
    factors.right = std::move(rows);
    factors.rightLayout = Layout::RowMajorK;
  } else {
    factors.left = std::move(rows);
    factors.rightAt = t.rowsBytes();
    if (p.packed) {
      factors.right = int8                ? bytePanels(k, t.bn, t.bk, by, b)
                      : p.rhsType == k.i8 ? int8Panels(k, t.bn, t.bk, by, b, type)
                                          : asyncPanels(k, t.bn, t.bk, by, b);
    } else if (aligned && p.rhsN.isConstant(1) && !p.rhsK.isConstant(1)) {
      factors.rightLayout = Layout::RowMajorN;
      factors.right = asyncColumns(k, t.bn, t.bk, by, b);
    } else {
      factors.rightLayout = Layout::RowMajorK;
      factors.right = aligned ? asyncRows(k, t.bn, t.bk, by, b) : plainRows(k, t.bn, t.bk, by, b, type);
    }
  }

  // Where two blocks fit on a multiprocessor, some would get two of a launch that comes early, and others none. What
  // passes through registers would hold them until the wait is over.
  bool overlaps = t.sharedBytes() > kHalfOfMostShared,
       copied = (factors.fragments ? factors.left : factors.right)->lookahead == 0;
  factors.constantWeights = overlaps && p.packed && !p.widenedFrom && copied;
  Value slabs = k.size(Expr::ceilDiv(p.k, p.number(t.bk))), k0 = k.c(0), partial;
  if (split) {
    Value first;
    partial = splitRange(k, p, slabs, first);
    k0 = k.mul(first, t.bk);
  }
  int64_t shared = t.sharedBytes();
  // The tile's origin waits in shared memory while the registers are needed.
  k.store(m0, k.sptr(shared - 16), 4);
  k.store(n0, k.sptr(shared - 12), 4);
  std::optional<TileScales> scales;
  auto wait = [&] {
    if (overlaps)
      k.waitForLaunches();
    startRows(k, sink, p, {t.bm, t.bn, t.threads()}, m0);
    if (p.quantised && TileScales::isFew(t))
      scales.emplace(k, t, p, m0, n0).load();
  };
  SmallVector<Value> acc = t.warpgroups ? emitWarpgroupLoop(k, t, factors, p, k0, slabs, wait)
                                        : emitMainLoop(k, t, factors, p, k0, slabs, wait);
  m0 = k.load(k.sptr(shared - 16), k.i32, 4);
  n0 = k.load(k.sptr(shared - 12), k.i32, 4);
  if (p.quantised && !scales)
    scales.emplace(k, t, p, m0, n0).load();
  if (scales)
    acc = scales->times(acc);
  emitTileEpilogue(k, t, p, epilogue, acc, factors.rightLayout, batch, m0, n0, stores, lanes, partial);
  finishTile(k, sink, p, epilogue, {t.bm, t.bn, t.threads()}, split, k.ctaX(), m0, n0, stores, lanes);

  return addProduct(sink, p, k,
                    family.str() + " " + t.str() + (aligned ? "" : " unaligned") + (p.widenedFrom ? " widened" : "") +
                        (p.quantised ? " quantised rows" : ""),
                    {t.bm, t.bn, t.threads()}, t.sharedBytes());
}
