//===- Gemm.cpp - what contraction kernels share --------------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Expr GemmProblem::batches() const {
  Expr n = number(1);
  for (Expr e : batch)
    n = n * e;
  return n;
}

bool GemmProblem::mayHaveFewRows() const {
  int64_t multiple = 1;
  for (Expr part : mParts)
    if (std::optional<int64_t> known = part.asConstant(); known && *known > 0 && multiple <= 16)
      multiple *= *known;
  return multiple <= 16;
}

/// Strides of a factor or result along the iteration dimensions; zero where it does not have one.
static SmallVector<Expr> stridesAlong(AffineMap map, const FactorView &view) {
  SmallVector<Expr> strides(map.getNumDims(), Expr::constant(view.offset.context(), 0));
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    strides[map.getDimPosition(i)] = view.strides[i];
  return strides;
}

GemmProblem kt::gpu::analyzeMatmul(MatmulOp op) {
  GemmProblem p;
  p.op = op;
  p.epilogue = &op.getEpilogue();
  p.numExtras = op.getExtras().size();
  p.lhsType = op.getLhs().getType().scalarType();
  p.rhsType = op.getRhs().getType().scalarType();
  p.accType = op.accumulatorType();
  p.packed = op.getPacked();
  unsigned numBatch = op.numBatch(), m = numBatch, n = m + 1, k = m + 2;
  p.m = op.extent(m), p.n = op.extent(n), p.k = op.getDepth();
  FactorView lhsView = factorView(op, 0);
  SmallVector<Expr> lhs = stridesAlong(op.getMap(0), lhsView);
  SmallVector<Expr> rhs(numBatch + 3, p.number(0));
  p.lhsOffset = lhsView.offset, p.rhsOffset = p.number(0);
  if (!p.packed) {
    FactorView rhsView = factorView(op, 1);
    rhs = stridesAlong(op.getMap(1), rhsView);
    p.rhsOffset = rhsView.offset;
  }
  SmallVector<Expr> res = stridesAlong(op.getMap(2), denseView(op.getResult().getType()));
  p.lhsM = lhs[m], p.lhsK = lhs[k], p.rhsN = rhs[n], p.rhsK = rhs[k], p.resM = res[m], p.resN = res[n];
  p.resultColumns = p.n;
  p.parts = op.getParts();
  if (p.parts > 1)
    p.n = Expr::ceilDiv(p.n, p.number(kPanel)) * (int64_t)(kPanel * p.parts);
  p.mParts = {p.m};
  // Batch dimensions whose rows simply go on are rows of one larger matrix, when all share the right side.
  unsigned left = numBatch;
  for (; left > 0; --left) {
    unsigned d = left - 1;
    Expr extent = op.extent(d);
    bool single = p.m.isConstant(1);
    if (!rhs[d].isConstant(0) || (!single && (lhs[d] != p.lhsM * p.m || res[d] != p.resM * p.m)))
      break;
    if (single)
      p.lhsM = lhs[d], p.resM = res[d];
    p.m = p.m * extent;
    p.mParts.insert(p.mParts.begin(), extent);
  }
  for (unsigned d = 0; d < left; ++d) {
    p.batch.push_back(op.extent(d));
    p.lhsBatch.push_back(lhs[d]);
    p.rhsBatch.push_back(rhs[d]);
    p.resBatch.push_back(res[d]);
  }
  AffineMap map = op.getMap(2);
  for (unsigned i = 0; i < map.getNumResults(); ++i) {
    unsigned d = map.getDimPosition(i);
    p.resultIndex.push_back(d == n ? -1 : d < left ? -2 - (int)d : (int)(d - left));
  }
  return p;
}

Value kt::gpu::factorBase(KernelBuilder &k, const GemmProblem &p, unsigned factor, ArrayRef<Value> batch) {
  Value offset = batchOffset(k, batch, factor ? p.rhsBatch : p.lhsBatch);
  return k.at(k.buffer(factor), k.add(offset, k.size(factor ? p.rhsOffset : p.lhsOffset)),
              k.bufferType(factor).elementBytes());
}

Value kt::gpu::batchOffset(KernelBuilder &k, ArrayRef<Value> at, ArrayRef<Expr> strides) {
  Value offset = k.c(0);
  for (auto [v, s] : llvm::zip(at, strides))
    if (!s.isConstant(0))
      offset = k.add(offset, k.mul(v, k.size(s)));
  return offset;
}

Value kt::gpu::firstPart(KernelBuilder &k, const GemmProblem &p, Value n) {
  if (p.parts == 1)
    return n;
  return k.add(k.mul(k.shr(n, 4), kPanel * p.parts), k.and_(n, kPanel - 1));
}

std::string TileConfig::str() const {
  auto s = [](unsigned v) { return std::to_string(v); };
  return "tile=" + s(bm) + "x" + s(bn) + "x" + s(bk) + " warps=" + s(warpRows) + "x" + s(warpCols) +
         " stages=" + s(stages);
}

static Values extraPointers(KernelBuilder &k, unsigned numExtras) {
  Values list;
  for (unsigned i = 0; i < numExtras; ++i)
    list.push_back(k.buffer(2 + i));
  return list;
}

GemmEpilogue::GemmEpilogue(KernelBuilder &k, const GemmProblem &p)
    : k(k), p(p), body(k, *p.epilogue, p.parts, extraPointers(k, p.numExtras)), innerIndex(-1) {
  for (auto [i, source] : llvm::enumerate(p.resultIndex))
    if (source == -1)
      innerIndex = i;
}

unsigned GemmEpilogue::lanes(Alignment &alignment, unsigned want) {
  if (!p.resN.isConstant(1))
    return 1;
  for (; want > 1; want /= 2) {
    Alignment trial;
    trial.lanes = want, trial.mayAssume = alignment.mayAssume;
    bool fits =
        trial.multiple(p.resultColumns) && trial.multiple(p.resM) && (!p.groupWidth || trial.multiple(p.groupWidth));
    for (Expr e : p.resBatch)
      fits &= trial.multiple(e);
    if (!fits)
      continue;
    alignment.lanes = want;
    for (Attribute a : trial.assumed)
      alignment.assumed.insert(a);
    return want;
  }
  return 1;
}

void GemmEpilogue::emit(ValueRange acc, ArrayRef<Value> batch, Value m, Value n, Alignment &alignment) {
  Values parts = delinearize(k, m, p.mParts), indices;
  for (int source : p.resultIndex)
    indices.push_back(source >= 0 ? parts[source] : source == -1 ? n : batch[-2 - source]);
  if (p.groupWidth && !batch.empty())
    indices[innerIndex] = k.add(n, k.mul(batch[0], k.size(p.groupWidth)));
  size_t lanes = acc.size() / p.parts;
  SmallVector<Values> leading(lanes);
  for (auto [i, v] : llvm::enumerate(acc))
    leading[i % lanes].push_back(v);
  Values results = body.emit(leading, indices, innerIndex, lanes, alignment);
  Value at = k.add(k.add(batchOffset(k, batch, p.resBatch), k.mul(m, k.size(p.resM))), k.mul(n, k.size(p.resN)));
  k.storeResult(0, at, results);
}
