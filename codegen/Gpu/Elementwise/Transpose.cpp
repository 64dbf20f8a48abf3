//===- Transpose.cpp - permuted reads through shared memory ---------------===//
//
// Where a body reads along another dimension than it writes, blocks of 32 by 32 are read in the order of memory, turned
// around in shared memory and written in the order of the result.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/Kernels.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

constexpr unsigned kTile = 32, kThreads = 256, kStep = kThreads / kTile;

} // namespace

LogicalResult kt::gpu::buildTranspose(KernelSink &sink, GenericOp op, unsigned t) {
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads});
  Values pointers;
  for (unsigned i = 0; i < k.numOperands(); ++i)
    pointers.push_back(k.buffer(i));
  BodyEmitter body(k, op.getBody(), 0, pointers);
  SymTensorType type = op.getResult().getType();
  unsigned rank = type.getRank();
  auto read = *body.block().getOps<ReadOp>().begin();
  auto source = cast<SymTensorType>(read.getTensor().getType());
  int64_t bytes = source.elementBytes();
  Type scalar = source.scalarType();
  Expr tilesT = Expr::ceilDiv(type.dim(t), sink.number(kTile)),
       tilesC = Expr::ceilDiv(type.dim(rank - 1), sink.number(kTile));
  SmallVector<Expr> extents;
  Expr blocks = sink.one();
  for (unsigned d = 0; d < rank; ++d) {
    extents.push_back(d == t ? tilesT : d + 1 == rank ? tilesC : type.dim(d));
    blocks = blocks * extents.back();
  }
  Values at = delinearize(k, k.ctaX(), extents);
  Value t0 = k.mul(at[t], kTile), c0 = k.mul(at[rank - 1], kTile), x = k.rem(k.tid(), kTile), y = k.div(k.tid(), kTile);
  Value sizeT = k.size(type.dim(t)), sizeC = k.size(type.dim(rank - 1));
  // One element more a row, so that columns lie in different banks.
  auto place = [&](Value row, Value column) {
    return k.at(k.sptr(k.shared()), k.add(k.mul(row, kTile + 1), column), bytes);
  };
  for (unsigned s = 0; s < kTile; s += kStep) {
    Value row = k.add(y, s), ti = k.add(t0, x), ci = k.add(c0, row);
    k.ifThen(k.and_(k.lt(ti, sizeT), k.lt(ci, sizeC)), [&] {
      Values position;
      for (Value v : read.getIndices())
        for (unsigned d = 0; d < rank; ++d)
          if (v == body.indexArgument(d))
            position.push_back(d == t ? ti : d + 1 == rank ? ci : at[d]);
      Value v = k.loadElement(k.at(pointers[body.operandOf(read)], linearIndex(k, source, position), bytes), scalar);
      k.storeElement(v, place(row, x));
    });
  }
  k.barrier();
  for (unsigned s = 0; s < kTile; s += kStep) {
    Value row = k.add(y, s), ti = k.add(t0, row), ci = k.add(c0, x);
    k.ifThen(k.and_(k.lt(ti, sizeT), k.lt(ci, sizeC)), [&] {
      Values position(at);
      position[t] = ti, position[rank - 1] = ci;
      body.given[body.operandOf(read)] = {k.loadElement(place(x, row), scalar)};
      Value v = body.emit(ValueRange(), position);
      k.storeElement(v, k.at(k.result(0), linearIndex(k, type, position), type.elementBytes()));
    });
  }
  artifact::Variant variant;
  variant.schedule = "generic transpose 32x32";
  if (failed(sink.addStage(variant, k, {blocks, sink.one(), sink.one()}, kTile * (kTile + 1) * bytes)))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}
