//===- Blobs.cpp - names for the bytes of constants -----------------------===//

#include "dialects/KT/IR/Blobs.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

DenseResourceElementsAttr kt::namedBlob(ShapedType type, StringRef name, AsmResourceBlob blob) {
  if (name.empty())
    name = "constant";
  auto &manager = DenseResourceElementsHandle::getManagerInterface(type.getContext()).getBlobManager();
  auto numbered = [&](uint64_t n) { return n == 0 ? name.str() : (name + "_" + Twine(n)).str(); };
  auto taken = [&](uint64_t n) { return manager.lookup(numbered(n)) != nullptr; };
  // Numbers are given in their order and never free again.
  uint64_t free = 0, step = 1;
  while (taken(free))
    free += step, step *= 2;
  uint64_t low = free < step / 2 ? 0 : free - step / 2; // taken, or 0
  while (low + 1 < free) {
    uint64_t middle = low + (free - low) / 2;
    (taken(middle) ? low : free) = middle;
  }
  return DenseResourceElementsAttr::get(type, numbered(free), std::move(blob));
}
