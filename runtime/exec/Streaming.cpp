//===- Streaming.cpp - weights that do not stay on the device -------------===//
//
// A session's side of Weights.h: where weights lie now, and copies of those of the next slice while one is running.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Executor.h"

#include <algorithm>

namespace kt::exec {

using namespace artifact;

/// Places the weights where the latest attempt failed half way, which left none on the device.
Status Executor::placeAgain() {
  {
    std::shared_lock lock(program.residency);
    if (program.weights->placed())
      return {};
  }
  std::unique_lock lock(program.residency);
  return program.weights->placed() ? Status() : program.moveWeights(0);
}

Status Executor::refreshWeights() {
  const WeightStore &store = *program.weights;
  if (weightGeneration == store.generation())
    return {};
  for (WeightId w = 0; w < weightStorage.size(); ++w) {
    Storage &storage = weightStorage[w];
    storage = Storage();
    storage.data = store.resident(w);
    storage.bytes = m.weights[w].bytes.size();
    if (!program.device->isHost()) {
      storage.mirror = const_cast<std::byte *>(m.weights[w].bytes.data());
      storage.mirrorValid = true;
    }
  }
  for (size_t slice = 0; slice < std::max<size_t>(1, m.slices.size()); ++slice)
    for (const WeightStore::Streamed &s : store.streamed(slice))
      weightStorage[s.weight].streamed = true;
  // Copies for the decision before may be under way into staging memory that is now laid out in another way.
  KT_RETURN_IF_ERROR(settle());
  stagedSlice[0] = stagedSlice[1] = SIZE_MAX;
  nextHalf = 0;
  graph.reset();
  uint64_t bytes = store.stagingBytes() * store.stagingHalves();
  if (bytes != stagingCapacity) {
    program.account->release(staging, stagingCapacity);
    staging = nullptr;
    stagingCapacity = 0;
    if (bytes) {
      auto fresh = program.account->allocate(bytes, "staging of weights");
      if (!fresh.ok())
        return std::move(fresh).status();
      staging = *fresh;
      stagingCapacity = bytes;
    }
  }
  weightGeneration = store.generation();
  return {};
}

Status Executor::copySlice(size_t slice, unsigned half) {
  const WeightStore &store = *program.weights;
  stagedSlice[half] = SIZE_MAX;
  char *base = static_cast<char *>(staging) + half * store.stagingBytes();
  bool ordered = store.stagingHalves() == 1;
  for (const WeightStore::Streamed &s : store.streamed(slice)) {
    uint64_t bytes = m.weights[s.weight].bytes.size();
    const void *source = store.source(s.weight);
    KT_RETURN_IF_ERROR(ordered ? stream->copyIn(base + s.offset, source, bytes)
                               : stream->prefetch(base + s.offset, source, bytes));
    counts.streamedBytes += bytes;
    if (program.device->isHost())
      store.doneWith(s.weight);
  }
  stagedSlice[half] = slice;
  return {};
}

Status Executor::streamSlice(size_t slice) {
  const WeightStore &store = *program.weights;
  if (store.streamed(slice).empty())
    return {};
  unsigned half = stagedSlice[0] == slice ? 0 : stagedSlice[1] == slice ? 1 : nextHalf;
  // Without a fence: with two halves nothing has used staging memory yet, or nothing does any more; or it is a
  // prologue, and what was copied ahead into this half, behind a fence, is not what comes next.
  if (stagedSlice[half] != slice)
    KT_RETURN_IF_ERROR(copySlice(slice, half));
  KT_RETURN_IF_ERROR(stream->join());
  for (const WeightStore::Streamed &s : store.streamed(slice))
    weightStorage[s.weight].data = static_cast<char *>(staging) + half * store.stagingBytes() + s.offset;
  if (store.stagingHalves() == 1)
    return {};
  // The other half was last read by work that is already enqueued: fill it for the next slice in need, around the end
  // for the next run.
  size_t count = std::max<size_t>(1, m.slices.size());
  size_t next = slice;
  do
    next = (next + 1) % count;
  while (store.streamed(next).empty());
  nextHalf = 1 - half;
  if (next == slice || stagedSlice[nextHalf] == next)
    return {};
  KT_RETURN_IF_ERROR(stream->fence());
  return copySlice(next, nextHalf);
}

/// Does what runs of this plan then find done. Until all of it is, the next run begins with it again.
Status Executor::runPrologue() {
  if (prologueDone || !shapes.keepsOnce)
    return {};
  bindGiven();
  size_t slice = SIZE_MAX;
  for (uint32_t i : program.info->prologue) {
    size_t of = 0;
    while (of < m.slices.size() && i >= m.slices[of].end)
      ++of;
    if (of != slice)
      KT_RETURN_IF_ERROR(streamSlice(slice = of));
    KT_RETURN_IF_ERROR(range(m.program, program.info->top, i, i + 1));
  }
  prologueDone = true;
  return {};
}

Status Executor::runProgram() {
  if (m.slices.empty()) {
    KT_RETURN_IF_ERROR(streamSlice(0));
    return range(m.program, program.info->top, 0, m.program.instructions.size());
  }
  for (size_t s = 0; s < m.slices.size(); ++s) {
    KT_RETURN_IF_ERROR(streamSlice(s));
    runningSlice = s;
    KT_RETURN_IF_ERROR(range(m.program, program.info->top, m.slices[s].begin, m.slices[s].end));
  }
  return {};
}

} // namespace kt::exec
