//===- Blobs.cpp - names for the bytes of constants -----------------------===//

#include "dialects/KT/IR/Blobs.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include <sys/mman.h>

using namespace mlir;

DenseResourceElementsAttr kt::namedBlob(ShapedType type, StringRef name, std::optional<AsmResourceBlob> blob) {
  if (name.empty())
    name = "constant";
  auto &interface = DenseResourceElementsHandle::getManagerInterface(type.getContext());
  auto &manager = interface.getBlobManager();
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
  return DenseResourceElementsAttr::get(type, interface.insert(numbered(free), std::move(blob)));
}

AsmResourceBlob kt::untouchedBlob(size_t size) {
  constexpr size_t kLargePage = 2 << 20;
  constexpr uintptr_t kPage = 4096;
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(size, alignof(std::max_align_t));
#ifdef MADV_HUGEPAGE
  uintptr_t data = reinterpret_cast<uintptr_t>(blob.getData().data());
  uintptr_t begin = llvm::alignTo(data, kPage), end = (data + size) / kPage * kPage;
  if (size >= kLargePage)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE); // a hint, which may be refused
#endif
  return blob;
}
