//===- Tables.cpp - what every run of a language model is given -----------===//

#include "runtime/generate/Tables.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace kt::generate {

void putNumber(std::byte *to, DataType type, int64_t value) {
  auto put = [&](auto x) { std::memcpy(to, &x, sizeof(x)); };
  switch (type) {
  case DataType::i64:
    return put(value);
  case DataType::i32:
    return put(static_cast<int32_t>(value));
  case DataType::f32:
    return put(static_cast<float>(value));
  case DataType::f16:
    return put(static_cast<uint16_t>(value ? 0x3c00 : 0));
  case DataType::bf16:
    return put(static_cast<uint16_t>(value ? 0x3f80 : 0));
  default:
    return put(static_cast<uint8_t>(value != 0));
  }
}

Tables::~Tables() {
  account.release(tables, bytes);
  account.release(settings, 4 * kApart);
}

Status Tables::copyIn(void *to, const void *from, uint64_t count) {
  if (device.isHost()) {
    std::memcpy(to, from, count);
    return {};
  }
  auto stream = device.createStream();
  if (!stream.ok())
    return std::move(stream).status();
  KT_RETURN_IF_ERROR((*stream)->copyIn(to, from, count));
  return (*stream)->synchronize();
}

/// A number may be the first of a part. So that this begins where vectors may, there is a copy for each place that it
/// has in one, each with the numbers moved by one more; one copy where the streams' equal numbers fill vectors.
uint64_t Tables::copiesOf(uint64_t size) const { return pads.size() * size % kVector == 0 ? 1 : kVector / size; }

/// Bytes of a copy of `count` numbers for each stream.
uint64_t Tables::lineOf(uint64_t count, uint64_t size) const {
  return ((count * pads.size() + copiesOf(size)) * size + kApart - 1) / kApart * kApart;
}

Status Tables::fill(uint64_t count, DataType ones, DataType numbers) {
  account.release(tables, bytes);
  tables = nullptr;
  length = bytes = 0;
  count = std::bit_ceil(std::max<uint64_t>(count, 256));
  numberBytes = byteSize(numbers);
  auto up = [](uint64_t n) { return (n + kApart - 1) / kApart * kApart; };
  uint64_t streams = pads.size();
  bool same = numberBytes == 8 && std::all_of(pads.begin(), pads.end(), [](uint64_t n) { return n == 0; });
  onesBegin = 0;
  numbersBegin = up(count * streams * byteSize(ones));
  wideBegin = numbersBegin + (same ? 0 : copiesOf(numberBytes) * lineOf(count, numberBytes));
  uint64_t total = wideBegin + copiesOf(8) * lineOf(count, 8);
  std::vector<std::byte> made(total);
  for (uint64_t i = 0; i < count * streams; ++i)
    putNumber(made.data() + i * byteSize(ones), ones, 1);
  auto putCopies = [&](uint64_t begin, DataType type, bool padded) {
    uint32_t size = byteSize(type);
    for (uint64_t copy = 0; copy < copiesOf(size); ++copy)
      for (uint64_t i = 0; i < count * streams; ++i)
        putNumber(made.data() + begin + copy * lineOf(count, size) + (i + copy) * size, type,
                  static_cast<int64_t>(i / streams - (padded ? std::min(i / streams, pads[i % streams]) : 0)));
  };
  putCopies(wideBegin, DataType::i64, /*padded=*/false);
  if (!same)
    putCopies(numbersBegin, numbers, /*padded=*/true);
  auto fresh = account.allocate(total, "masks and positions");
  if (!fresh.ok())
    return std::move(fresh).status();
  tables = *fresh;
  bytes = total;
  KT_RETURN_IF_ERROR(copyIn(tables, made.data(), total));
  length = count;
  return {};
}

const void *Tables::from(uint64_t table, uint64_t size, uint64_t begin) const {
  uint64_t copies = copiesOf(size), first = begin * pads.size(), copy = (copies - first % copies) % copies;
  return at(table + copy * lineOf(length, size) + (first + copy) * size);
}

Status Tables::setSampling(const Sampling &sampling) {
  if (!settings) {
    auto fresh = account.allocate(4 * kApart, "how tokens are drawn");
    if (!fresh.ok())
      return std::move(fresh).status();
    settings = *fresh;
  }
  std::byte made[4 * kApart] = {};
  auto most = static_cast<int32_t>(std::min<uint32_t>(sampling.topK, INT32_MAX));
  std::memcpy(made, &sampling.temperature, sizeof(float));
  std::memcpy(made + kApart, &most, sizeof(most));
  std::memcpy(made + 2 * kApart, &sampling.topP, sizeof(float));
  std::memcpy(made + 3 * kApart, &sampling.seed, sizeof(sampling.seed));
  return copyIn(settings, made, sizeof(made));
}

} // namespace kt::generate
