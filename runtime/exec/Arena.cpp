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
  // Most values live for a few instructions in a program of thousands: they are held against those alone that live in
  // the same stretches of the program, and against who lives through many.
  constexpr int64_t kStretch = 256;
  int64_t last = 0;
  for (const ArenaItem &item : items)
    if (item.lifetime.end != kForever)
      last = std::max(last, item.lifetime.end);
  // Indices, by offset.
  std::vector<std::vector<size_t>> stretches(last / kStretch + 1);
  std::vector<size_t> placed, lasting, some, others;
  auto stretchOf = [&](int64_t instruction) {
    return static_cast<size_t>(std::clamp<int64_t>(instruction, 0, last) / kStretch);
  };
  auto byOffset = [&](size_t a, size_t b) { return items[a].offset < items[b].offset; };
  auto merge = [&](const std::vector<size_t> &a, const std::vector<size_t> &b, std::vector<size_t> &to) {
    to.resize(a.size() + b.size());
    std::merge(a.begin(), a.end(), b.begin(), b.end(), to.begin(), byOffset);
  };
  uint64_t total = 0;
  for (size_t index : order) {
    ArenaItem &item = items[index];
    if (item.bytes > kLimit)
      return Status::failed("a buffer has " + std::to_string(item.bytes) + " bytes");
    uint64_t bytes = (item.bytes + device::kAlignment - 1) / device::kAlignment * device::kAlignment;
    uint64_t best = UINT64_MAX, bestGap = UINT64_MAX, at = 0;
    size_t from = stretchOf(item.lifetime.begin), to = stretchOf(item.lifetime.end);
    bool isLasting = to - from > 1;
    if (!isLasting) {
      merge(stretches[from], lasting, some);
      if (to == from)
        others.swap(some);
      else
        merge(stretches[to], some, others);
    }
    for (size_t other : isLasting ? placed : others) {
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
    auto insert = [&](std::vector<size_t> &list) {
      list.insert(std::upper_bound(list.begin(), list.end(), index, byOffset), index);
    };
    insert(placed);
    if (isLasting)
      insert(lasting);
    else
      for (size_t s = from; s <= to; ++s)
        insert(stretches[s]);
  }
  return total;
}

} // namespace kt::exec
