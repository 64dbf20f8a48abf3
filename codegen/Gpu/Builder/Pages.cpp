//===- Pages.cpp - elements of states in pages ----------------------------===//

#include "codegen/Gpu/Builder/Pages.h"
#include "codegen/Gpu/Builder/BodyEmitter.h"
#include "runtime/artifact/Model.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

using artifact::kPageRows;
static_assert(llvm::isPowerOf2_64(kPageRows));

Value kt::gpu::rowInPage(KernelBuilder &k, Value row) { return k.and_(row, kPageRows - 1); }
Value kt::gpu::firstOfPage(KernelBuilder &k, Value row) { return k.and_(row, -kPageRows); }

Value kt::gpu::pageNumber(KernelBuilder &k, Value buffer, Value batch, Value row) {
  Value entry = k.add(k.mul(k.shr(row, llvm::Log2_64(kPageRows)), k.size(k.typeOf(buffer).dim(0))), batch);
  return k.load(k.at(k.pages(), k.add(entry, 1), 4), k.i32, 4);
}

Value kt::gpu::pageAt(KernelBuilder &k, Value buffer, Value number) {
  SymTensorType type = k.typeOf(buffer);
  Expr elements = Expr::constant(type.getContext(), 1);
  for (int64_t d = 1; d < type.getRank(); ++d)
    elements = elements * type.dim(d);
  Value bytes = k.mul(k.ext(k.size(elements)), type.elementBytes());
  return k.gep(buffer, k.bin<arith::MulIOp>(k.ext(number), bytes));
}

Value kt::gpu::elementAt(KernelBuilder &k, Value buffer, SymTensorType type, ArrayRef<Value> at) {
  int64_t axis = k.pagedAxis(buffer);
  if (axis < 0)
    return k.at(buffer, linearIndex(k, type, at), type.elementBytes());
  Values inside(at);
  inside[0] = k.c(0), inside[axis] = rowInPage(k, at[axis]);
  Value page = pageAt(k, buffer, pageNumber(k, buffer, at[0], at[axis]));
  return k.at(page, linearIndex(k, type, inside), type.elementBytes());
}

Value kt::gpu::extentOf(KernelBuilder &k, Value buffer, SymTensorType type, unsigned dim) {
  return k.pagedAxis(buffer) == (int64_t)dim ? k.load(k.pages(), k.i32, 4) : k.size(type.dim(dim));
}
