//===- Gemm.cpp - what contraction kernels share --------------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

void GemmProblem::widen() {
  widenedFrom = blocks;
  static_cast<Product &>(*this) = widened();
}

Expr GemmProblem::stagedBytes() const {
  return quantisedFrom ? quantisedBytes(*this)
         : widenedFrom ? Expr::ceilDiv(n, number(kPanel)) * k * (2 * kPanel)
                       : number(0);
}

Value kt::gpu::partialsOf(KernelBuilder &k, const GemmProblem &p) {
  return p.isStaged() ? k.gep(k.workspace(), k.ext(k.size(p.stagedBytes()))) : k.workspace();
}

Value kt::gpu::factorBase(KernelBuilder &k, const GemmProblem &p, unsigned factor, ArrayRef<Value> batch) {
  if (factor ? (bool)p.widenedFrom : p.quantisedFrom.has_value())
    return k.workspace();
  Value offset = batchOffset(k, batch, factor ? p.rhsBatch : p.lhsBatch);
  Value operand = p.op->getOperand(factor);
  return k.at(k.bufferOf(operand), k.add(offset, k.size(factor ? p.rhsOffset : p.lhsOffset)),
              cast<SymTensorType>(operand.getType()).elementBytes());
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

Value kt::gpu::firstPart(KernelBuilder &k, const GemmProblem &p, Value n) {
  if (p.parts == 1)
    return n;
  return k.add(k.mul(k.shr(n, 4), kPanel * p.parts), k.and_(n, kPanel - 1));
}

static Values extraPointers(KernelBuilder &k, const GemmProblem &p) {
  Values list;
  for (Value extra : p.op->getOperands().slice(2, p.numExtras))
    list.push_back(k.bufferOf(extra));
  return list;
}

GemmEpilogue::GemmEpilogue(KernelBuilder &k, const GemmProblem &p)
    : k(k), p(p), body(k, *p.epilogue, p.parts, extraPointers(k, p)), innerIndex(p.columnIndex()) {}

Values GemmEpilogue::indicesOf(ArrayRef<Value> batch, Value m, Value n) {
  Values parts = delinearize(k, m, p.mParts), indices;
  for (int source : p.resultIndex)
    indices.push_back(source >= 0 ? parts[source] : source == -1 ? n : batch[-2 - source]);
  if (p.groupWidth && !batch.empty())
    indices[innerIndex] = k.add(n, k.mul(batch[0], k.size(p.groupWidth)));
  return indices;
}

unsigned GemmEpilogue::wordsAhead(unsigned lanes, Alignment &alignment) {
  return body.wordsAhead(innerIndex, lanes, alignment);
}

Values GemmEpilogue::loadAhead(Value when, ArrayRef<Value> batch, Value m, Value n, unsigned lanes,
                               Alignment &alignment) {
  return body.loadAhead(when, indicesOf(batch, m, n), innerIndex, lanes, alignment);
}

Values GemmEpilogue::loadColumns(Value when, ArrayRef<Value> batch, Value n, unsigned lanes, Alignment &alignment) {
  return body.loadColumns(when, indicesOf(batch, k.c(0), n), innerIndex, lanes, alignment);
}

void GemmEpilogue::giveAhead(ValueRange words, ValueRange columns, unsigned lanes, Alignment &alignment) {
  body.giveWords(words, columns, innerIndex, lanes, alignment);
}

void GemmEpilogue::emit(ValueRange acc, ArrayRef<Value> batch, Value m, Value n, Alignment &alignment) {
  Values indices = indicesOf(batch, m, n);
  size_t lanes = acc.size() / p.parts;
  SmallVector<Values> leading(lanes);
  for (auto [i, v] : llvm::enumerate(acc))
    leading[i % lanes].push_back(v);
  Values results = body.emit(leading, indices, innerIndex, lanes, alignment);
  Value at = k.add(k.add(batchOffset(k, batch, p.resBatch), k.mul(m, k.size(p.resM))), k.mul(n, k.size(p.resN)));
  k.storeResult(k.resultNumber(p.op->getResult(0)), at, results);
}
