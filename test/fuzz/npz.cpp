//===- npz.cpp - fuzzes the readers of .npy and .npz ----------------------===//

#include "runtime/npz/Npz.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <zlib.h>

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

#ifdef KT_FUZZER
// Checksums keep a fuzzer out: half of what it makes gets right ones.

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace {

uint32_t number(const uint8_t *at, unsigned bytes) {
  uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i)
    value |= static_cast<uint32_t>(at[i]) << 8 * i;
  return value;
}

/// Puts the checksum of the unpacked bytes into each entry of the directory.
void repair(uint8_t *data, size_t size) {
  constexpr size_t kCentral = 46, kLocal = 30;
  static const uint8_t kMark[] = {'P', 'K', 1, 2};
  for (uint8_t *at = data; (at = std::search(at, data + size, kMark, kMark + 4)) + kCentral <= data + size; at += 4) {
    size_t packed = number(at + 20, 4), offset = number(at + 42, 4);
    if (offset + kLocal > size)
      continue;
    size_t start = offset + kLocal + number(data + offset + 26, 2) + number(data + offset + 28, 2);
    if (start > size || packed > size - start)
      continue;
    std::vector<uint8_t> unpacked(std::min<size_t>(number(at + 24, 4), 1 << 20));
    if (number(at + 10, 2) == 0) {
      unpacked.assign(data + start, data + start + packed);
    } else {
      z_stream stream = {};
      if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        continue;
      stream.next_in = data + start;
      stream.avail_in = static_cast<uInt>(packed);
      stream.next_out = unpacked.data();
      stream.avail_out = static_cast<uInt>(unpacked.size());
      inflate(&stream, Z_FINISH);
      unpacked.resize(unpacked.size() - stream.avail_out);
      inflateEnd(&stream);
    }
    uint32_t crc = crc32_z(0, unpacked.data(), unpacked.size());
    for (unsigned i = 0; i < 4; ++i)
      at[16 + i] = static_cast<uint8_t>(crc >> 8 * i);
  }
}

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 2)
    repair(data, size);
  return size;
}
#endif
