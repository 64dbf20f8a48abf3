//===- Gemm.cpp - what contraction kernels share --------------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Value kt::gpu::factorBase(KernelBuilder &k, const GemmProblem &p, unsigned factor, ArrayRef<Value> batch) {
  Value offset = batchOffset(k, batch, factor ? p.rhsBatch : p.lhsBatch);
  return k.at(k.buffer(factor), k.add(offset, k.size(factor ? p.rhsOffset : p.lhsOffset)),
              k.bufferType(factor).elementBytes());
}

Value kt::gpu::rowOffset(KernelBuilder &k, const GemmProblem &p, Value row) {
  if (p.lhsRows.empty())
    return k.mul(row, k.size(p.lhsM));
  return batchOffset(k, delinearize(k, row, p.mParts), p.lhsRows);
}

Value kt::gpu::batchOffset(KernelBuilder &k, ArrayRef<Value> at, ArrayRef<Expr> strides) {
  Value offset = k.c(0);
  for (auto [v, s] : llvm::zip(at, strides))
    if (!s.isConstant(0))
      offset = k.add(offset, k.mul(v, k.size(s)));
  return offset;
}

static Values extraPointers(KernelBuilder &k, unsigned numExtras) {
  Values list;
  for (unsigned i = 0; i < numExtras; ++i)
    list.push_back(k.buffer(2 + i));
  return list;
}

GemmEpilogue::GemmEpilogue(KernelBuilder &k, const GemmProblem &p)
    : k(k), p(p), body(k, *p.epilogue, 1, extraPointers(k, p.numExtras)), innerIndex(p.columnIndex()) {}

void GemmEpilogue::emit(ValueRange acc, ArrayRef<Value> batch, Value m, Value n, Alignment &alignment) {
  Values parts = delinearize(k, m, p.mParts), indices;
  for (int source : p.resultIndex)
    indices.push_back(source >= 0 ? parts[source] : source == -1 ? n : batch[-2 - source]);
  if (p.groupWidth && !batch.empty())
    indices[innerIndex] = k.add(n, k.mul(batch[0], k.size(p.groupWidth)));
  SmallVector<Values> leading;
  for (Value v : acc)
    leading.push_back({v});
  Values results = body.emit(leading, indices, innerIndex, acc.size(), alignment);
  Value at = k.add(k.add(batchOffset(k, batch, p.resBatch), k.mul(m, k.size(p.resM))), k.mul(n, k.size(p.resN)));
  k.storeResult(0, at, results);
}
