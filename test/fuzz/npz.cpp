//===- npz.cpp - fuzzes the readers of .npy and .npz ----------------------===//

#include "runtime/npz/Npz.h"

#include <cstdlib>
#include <cstring>

using namespace kt;

namespace {

void check(bool holds) {
  if (!holds)
    std::abort();
}

/// What its users rely on.
void use(npz::Array &array) {
  uint64_t elements = 1;
  for (int64_t dim : array.dims) {
    check(dim >= 0);
    elements *= static_cast<uint64_t>(dim);
  }
  (void)npz::describe(array);
  for (unsigned i = 0; i <= static_cast<unsigned>(DataType::string); ++i) {
    auto type = static_cast<DataType>(i);
    if (!npz::matches(array.descr, type))
      continue;
    check(array.data.size() == elements * byteSize(type));
    npz::normalise(array, type);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::span<const std::byte> bytes(reinterpret_cast<const std::byte *>(data), size);
  if (size && data[0] == 0x93) {
    if (auto array = npz::parseNpy(bytes); array.ok())
      use(*array);
    return 0;
  }
  if (auto arrays = npz::parseNpz(bytes); arrays.ok())
    for (npz::Array &array : *arrays)
      use(array);
  return 0;
}
