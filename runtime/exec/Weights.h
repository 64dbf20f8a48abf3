//===- Weights.h - which weights stay, which are streamed -----------------===//
//
// At load as many slices as fit keep their weights on the device; those of the others go through staging memory before
// each run of their slice. The decision is made again when sessions come to need more memory for themselves.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_WEIGHTS_H
#define KT_RUNTIME_EXEC_WEIGHTS_H

#include "runtime/exec/Storage.h"

namespace kt::exec {

class WeightStore {
public:
  /// `limit`: most bytes of weights on the device, those that stay and those in staging together.
  WeightStore(const artifact::Model &model, device::Device &device, MemoryAccount &account, uint64_t limit);
  ~WeightStore();

  struct Streamed {
    artifact::WeightId weight;
    uint64_t offset; // in the staging half
  };

  /// Decides for `reserve` bytes that sessions will need beyond what they have, and uploads. Not while a session runs.
  /// Where no decision is possible the latest one holds.
  Status place(uint64_t reserve);
  /// Whether weights are where the latest decision wants them: not where the device had no memory for it after all.
  bool placed() const { return isPlaced; }

  /// Weights with the same bytes are one: the first of them.
  artifact::WeightId canonical(artifact::WeightId weight) const { return canonicals[weight]; }
  /// Where a weight lies, or null when it is streamed.
  void *resident(artifact::WeightId weight) const { return addresses[canonicals[weight]]; }
  /// What has to be copied before a slice, by slice.
  const std::vector<Streamed> &streamed(size_t slice) const { return streams[slice]; }
  /// Thread-safe.
  bool anyStreamed() const { return stagingHalf > 0; }
  /// Bytes of one staging half and how many halves a session needs.
  uint64_t stagingBytes() const { return stagingHalf; }
  unsigned stagingHalves() const { return halves; }
  /// The source of a streamed weight: pinned memory when there is enough of it.
  const void *source(artifact::WeightId weight) const;
  /// Tells the system that the pages of a weight that was just streamed are not needed soon.
  void doneWith(artifact::WeightId weight) const;

  uint64_t residentBytes() const { return residentTotal; }
  uint64_t streamedBytes() const { return streamedTotal; }
  /// Of both, what is looked up: a run reads a part of it.
  uint64_t lookedUpBytes() const;
  /// Changes when weights have moved.
  uint64_t generation() const { return version; }

private:
  uint64_t bytesOf(artifact::WeightId weight) const;
  Status choose(uint64_t reserve, std::vector<uint8_t> &kept, unsigned &halves) const;
  void evict();
  Status upload();

  const artifact::Model &model;
  device::Device &device;
  MemoryAccount &account;
  uint64_t limit;
  std::vector<artifact::WeightId> canonicals;
  std::vector<std::vector<artifact::WeightId>> sliceWeights; // canonical, each once
  std::vector<uint8_t> keep;                                 // by canonical weight
  std::vector<void *> addresses;                             // by canonical weight
  std::vector<std::vector<Streamed>> streams;
  std::vector<void *> pinned; // by canonical weight; null: from the file
  void *block = nullptr;      // of all resident weights, when the device is not the host
  uint64_t blockBytes = 0, residentTotal = 0, streamedTotal = 0, version = 0;
  std::atomic<uint64_t> stagingHalf{0}; // asked for beside the move of weights too: anyStreamed
  unsigned halves = 1;
  bool isPlaced = false;
};

} // namespace kt::exec

#endif
