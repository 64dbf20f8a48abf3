//===- Weights.cpp - which weights stay, which are streamed ---------------===//
//
// Residency is greedy in program order. On the host "device memory" is address space that the run keeps hot: resident
// weights are used in the mapping itself and only counted.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <sys/mman.h>

namespace kt::exec {

using artifact::WeightId;

namespace {
uint64_t aligned(uint64_t bytes) { return (bytes + device::kAlignment - 1) / device::kAlignment * device::kAlignment; }
} // namespace

WeightStore::WeightStore(const artifact::Model &model, device::Device &device, MemoryAccount &account, uint64_t limit)
    : model(model), device(device), account(account), limit(limit), keep(model.weights.size()),
      addresses(model.weights.size()), pinned(model.weights.size()) {
  std::map<std::pair<const std::byte *, size_t>, WeightId> seen;
  for (WeightId w = 0; w < model.weights.size(); ++w) {
    auto bytes = model.weights[w].bytes;
    canonicals.push_back(seen.emplace(std::pair(bytes.data(), bytes.size()), w).first->second);
  }
  auto unique = [&](std::vector<WeightId> list) {
    for (WeightId &w : list)
      w = canonicals[w];
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    return list;
  };
  for (const artifact::Slice &slice : model.slices)
    sliceWeights.push_back(unique(slice.weights));
  if (model.slices.empty())
    sliceWeights.push_back(unique(canonicals));
  streams.resize(sliceWeights.size());
}

WeightStore::~WeightStore() {
  evict();
  for (void *memory : pinned)
    if (memory)
      device.releaseStaging(memory);
}

void WeightStore::evict() {
  if (block)
    account.release(block, blockBytes);
  else
    account.discharge(blockBytes);
  block = nullptr;
  blockBytes = 0;
  std::fill(addresses.begin(), addresses.end(), nullptr);
  std::fill(keep.begin(), keep.end(), 0);
}

Status WeightStore::place(uint64_t reserve) {
  // Decided before anything moves: where it fails, all stays as it was, and sessions that need no more go on.
  std::vector<uint8_t> chosen(keep.size());
  unsigned chosenHalves = device.isHost() ? 1 : 2;
  KT_RETURN_IF_ERROR(choose(reserve, chosen, chosenHalves));
  evict();
  ++version;
  keep = std::move(chosen);
  halves = chosenHalves;
  stagingHalf = streamedTotal = 0;
  for (size_t s = 0; s < sliceWeights.size(); ++s) {
    streams[s].clear();
    uint64_t offset = 0;
    for (WeightId w : sliceWeights[s])
      if (!keep[w]) {
        streams[s].push_back({w, offset});
        offset += bytesOf(w);
      }
    stagingHalf = std::max(stagingHalf.load(), offset);
    streamedTotal += offset;
  }
  Status status = upload();
  isPlaced = status.ok();
  return status;
}

uint64_t WeightStore::bytesOf(WeightId weight) const { return aligned(model.weights[weight].bytes.size()); }

/// Which weights stay, and through how many halves the others are streamed: `halves` is the most.
Status WeightStore::choose(uint64_t reserve, std::vector<uint8_t> &kept, unsigned &halves) const {
  uint64_t used = account.inUse() - blockBytes; // what is there now goes first
  uint64_t budget = account.bound() == UINT64_MAX ? UINT64_MAX : account.bound() - std::min(account.bound(), used);
  uint64_t total = 0, largest = 0;
  for (WeightId w = 0; w < canonicals.size(); ++w)
    total += canonicals[w] == w ? bytesOf(w) : 0;
  for (auto &slice : sliceWeights) {
    uint64_t bytes = 0;
    for (WeightId w : slice)
      bytes += bytesOf(w);
    largest = std::max(largest, bytes);
  }
  // Values come first; weights get what is left of the device, and no more than they may have.
  uint64_t left = std::min(budget - std::min(budget, reserve), limit);
  if (left >= total) {
    std::fill(kept.begin(), kept.end(), 1);
    return {};
  }
  if (left < largest && left == limit)
    return Status::failed("not enough device memory: the weights of the largest slice take " + std::to_string(largest) +
                          " bytes but " + std::to_string(limit) + " are allowed for weights");
  if (left < largest)
    return Status::failed("not enough device memory: a run needs " + std::to_string(reserve) +
                          " bytes for values and " + std::to_string(largest) +
                          " for the weights of its largest slice, together " + std::to_string(reserve + largest) +
                          ", but " + std::to_string(budget) + " are available");
  if (left / halves < largest)
    halves = 1;
  left -= halves * largest;
  for (auto &slice : sliceWeights) {
    uint64_t more = 0;
    for (WeightId w : slice)
      more += kept[w] ? 0 : bytesOf(w);
    if (more > left)
      continue;
    left -= more;
    for (WeightId w : slice)
      kept[w] = 1;
  }
  return {};
}

uint64_t WeightStore::lookedUpBytes() const {
  std::vector<bool> lookedUp(canonicals.size(), true);
  for (WeightId w = 0; w < canonicals.size(); ++w)
    lookedUp[canonicals[w]] = lookedUp[canonicals[w]] && model.weights[w].lookedUp;
  uint64_t total = 0;
  for (WeightId w = 0; w < canonicals.size(); ++w)
    if (canonicals[w] == w && lookedUp[w])
      total += bytesOf(w);
  return total;
}

Status WeightStore::upload() {
  residentTotal = 0;
  for (WeightId w = 0; w < canonicals.size(); ++w)
    if (canonicals[w] == w && keep[w])
      residentTotal += aligned(model.weights[w].bytes.size());
  if (device.isHost()) {
    // Used where they are mapped; only a limit counts them.
    blockBytes = account.bound() == UINT64_MAX ? 0 : residentTotal;
    account.charge(blockBytes);
    for (WeightId w = 0; w < canonicals.size(); ++w)
      if (canonicals[w] == w && keep[w])
        addresses[w] = const_cast<std::byte *>(model.weights[w].bytes.data());
    return {};
  }
  if (residentTotal) {
    auto memory = account.allocate(residentTotal, "weights");
    if (!memory.ok())
      return std::move(memory).status();
    block = *memory;
    blockBytes = residentTotal;
  }
  auto stream = device.createStream();
  if (!stream.ok())
    return std::move(stream).status();
  uint64_t offset = 0;
  for (WeightId w = 0; w < canonicals.size(); ++w) {
    if (canonicals[w] != w || !keep[w])
      continue;
    auto bytes = model.weights[w].bytes;
    addresses[w] = static_cast<char *>(block) + offset;
    KT_RETURN_IF_ERROR((*stream)->copyIn(addresses[w], bytes.data(), bytes.size()));
    offset += aligned(bytes.size());
  }
  KT_RETURN_IF_ERROR((*stream)->synchronize());
  for (auto &slice : streams)
    for (const Streamed &s : slice) {
      auto bytes = model.weights[s.weight].bytes;
      if (pinned[s.weight] || bytes.empty())
        continue;
      // Without pinned memory the file's mapping serves, at a fraction of the speed.
      if (auto memory = device.allocateStaging(bytes.size()); memory.ok()) {
        pinned[s.weight] = *memory;
        std::memcpy(pinned[s.weight], bytes.data(), bytes.size());
        doneWith(s.weight);
      }
    }
  return {};
}

const void *WeightStore::source(WeightId weight) const {
  return pinned[weight] ? pinned[weight] : model.weights[weight].bytes.data();
}

void WeightStore::doneWith(WeightId weight) const {
  constexpr uintptr_t kPage = 4096;
  auto bytes = model.weights[weight].bytes;
  auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + kPage - 1) / kPage * kPage;
  auto end = (reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size()) / kPage * kPage;
  if (end > begin)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}

} // namespace kt::exec
