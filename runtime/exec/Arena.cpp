//===- Arena.cpp - places in one piece of memory --------------------------===//
//
// Greedy by size with best fit: near the optimum for networks, and the same answer for the same question.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Arena.h"

#include <algorithm>
#include <numeric>

namespace kt::exec {

Result<uint64_t> placeInArena(std::vector<ArenaItem> &items) {
  constexpr uint64_t kLimit = uint64_t(1) << 62;
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return items[a].bytes != items[b].bytes ? items[a].bytes > items[b].bytes : a < b;
  });
  std::vector<size_t> placed; // by offset
  uint64_t total = 0;
  for (size_t index : order) {
    ArenaItem &item = items[index];
    if (item.bytes > kLimit)
      return Status::failed("a buffer has " + std::to_string(item.bytes) + " bytes");
    uint64_t bytes = (item.bytes + device::kAlignment - 1) / device::kAlignment * device::kAlignment;
    uint64_t best = UINT64_MAX, bestGap = UINT64_MAX, at = 0;
    for (size_t other : placed) {
      const ArenaItem &o = items[other];
      if (o.lifetime.end < item.lifetime.begin || item.lifetime.end < o.lifetime.begin)
        continue;
      if (o.offset > at && o.offset - at >= bytes && o.offset - at < bestGap) {
        best = at;
        bestGap = o.offset - at;
      }
      uint64_t end = o.offset + (o.bytes + device::kAlignment - 1) / device::kAlignment * device::kAlignment;
      at = std::max(at, end);
    }
    item.offset = best == UINT64_MAX ? at : best;
    if (item.offset > kLimit - bytes)
      return Status::failed("the buffers of a run need more than " + std::to_string(kLimit) + " bytes");
    total = std::max(total, item.offset + bytes);
    if (bytes == 0)
      continue;
    auto position = std::upper_bound(placed.begin(), placed.end(), item.offset,
                                     [&](uint64_t offset, size_t other) { return offset < items[other].offset; });
    placed.insert(position, index);
  }
  return total;
}

} // namespace kt::exec
