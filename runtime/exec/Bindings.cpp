//===- Bindings.cpp - the memory of a run's inputs and outputs ------------===//
//
// An executor's side of what callers bind: inputs that are copied in or used where they are, outputs that the program
// writes where the caller wants them, or that are copied there when it is done.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Print.h"
#include "runtime/exec/Executor.h"

#include <algorithm>
#include <cstring>

namespace kt::exec {

using namespace artifact;

namespace {
using Place = OutputRequest::Place;

constexpr uint64_t alignedUp(uint64_t bytes) {
  return (bytes + device::kAlignment - 1) / device::kAlignment * device::kAlignment;
}

/// What vectors of kernels need: those of the host 64 bytes, those of a GPU 16.
constexpr uintptr_t kHostVector = 64, kDeviceVector = 16;

bool aligned(const void *memory, uintptr_t to) { return reinterpret_cast<uintptr_t>(memory) % to == 0; }

bool overlap(const void *a, uint64_t bytesA, const void *b, uint64_t bytesB) {
  auto x = reinterpret_cast<uintptr_t>(a), y = reinterpret_cast<uintptr_t>(b);
  return x < y ? y - x < bytesA : x - y < bytesB;
}

std::string portText(const char *what, const Port &port) { return std::string(what) + " '" + escaped(port.name) + "'"; }

/// Memory of the device that a caller gives.
Status checkDeviceMemory(const device::Device &device, const void *memory) {
  KT_RETURN_IF_ERROR(device.checkMemory(memory));
  if (!aligned(memory, kDeviceVector))
    return Status::usage("its address is " + std::to_string(reinterpret_cast<uintptr_t>(memory) % kDeviceVector) +
                         " behind a multiple of " + std::to_string(kDeviceVector) + ", expected such a multiple");
  return {};
}
} // namespace

/// Known once shapes are bound.
uint64_t Executor::inputBytes(size_t input) const {
  return static_cast<uint64_t>(values.peek(m.buffers[m.inputs[input].buffer].bytes).value);
}

Status Executor::checkCapacity(size_t output, uint64_t bytes, const OutputRequest &request) const {
  if (request.place != Place::caller || bytes <= request.capacity)
    return {};
  return Status::usage(portText("output", m.outputs[output]) + " has " + std::to_string(bytes) +
                       " bytes but the memory for it has " + std::to_string(request.capacity));
}

/// An input that the caller has on the device, or one that the session has left there: that of the latest run is known
/// to be right, and what the run before has left is what this one writes to.
Status Executor::checkInput(const InputView &input) const {
  auto isOf = [&](const std::vector<Storage *> &list) {
    return std::any_of(list.begin(), list.end(), [&](const Storage *storage) { return storage->data == input.data; });
  };
  if (isOf(lent))
    return {};
  if (isOf(lentBefore))
    return Status::usage("it is an output of the run before the latest, which this one no longer finds there");
  return input.onDevice ? checkDeviceMemory(*program.device, input.data) : Status();
}

/// What can be said before anything runs.
Status Executor::checkBindings(std::span<const InputView> inputs, std::span<const OutputRequest> requests) const {
  bool onHost = program.device->isHost();
  for (size_t i = 0; i < inputs.size(); ++i)
    if ((inputs[i].onDevice || onHost) && !keepsInput(i) && inputBytes(i))
      KT_RETURN_IF_ERROR(checkInput(inputs[i]).in(portText("input", m.inputs[i])));
  KT_RETURN_IF_ERROR(checkOutputPlaces(requests));
  std::vector<int64_t> dims;
  for (size_t i = 0; i < requests.size(); ++i)
    if (requests[i].place == Place::caller && !requests[i].allocate && earlyDims(i, dims))
      if (auto bytes = tensorBytes(m.outputs[i].type, dims))
        KT_RETURN_IF_ERROR(checkCapacity(i, *bytes, requests[i]));
  return {};
}

/// The dimensions of an output, where they follow from those of inputs.
bool Executor::earlyDims(size_t output, std::vector<int64_t> &dims) const {
  dims.clear();
  for (ExprId id : m.outputs[output].dims) {
    Value dim = values.peek(id);
    if (!program.graph->early[id] || !dim.ok())
      return false;
    dims.push_back(dim.value);
  }
  return true;
}

/// Memory of the caller for outputs, as far as there is some already.
Status Executor::checkOutputPlaces(std::span<const OutputRequest> requests) const {
  for (size_t i = 0; i < requests.size(); ++i) {
    const OutputRequest &request = requests[i];
    if (!request.capacity)
      continue;
    if (request.place == Place::caller && !program.device->isHost())
      KT_RETURN_IF_ERROR(checkDeviceMemory(*program.device, request.data).in(portText("output", m.outputs[i])));
    for (size_t k = 0; k < i; ++k)
      if (requests[k].capacity && overlap(requests[k].data, requests[k].capacity, request.data, request.capacity))
        return Status::usage(portText("output", m.outputs[i]) + " and " + portText("output", m.outputs[k]) +
                             " are given memory that overlaps");
  }
  return {};
}

Status Executor::obtainOutput(size_t output, std::span<const int64_t> dims, OutputRequest &request) const {
  auto bytes = tensorBytes(m.outputs[output].type, dims);
  if (!bytes) // the run itself says so
    return {};
  auto memory = (*request.allocate)(dims, *bytes);
  if (!memory.ok())
    return std::move(memory).status().in(portText("output", m.outputs[output]));
  if (!*memory && *bytes)
    return Status::usage(portText("output", m.outputs[output]) + " has no memory");
  request.data = *memory;
  request.capacity = *bytes;
  request.allocate = nullptr;
  return {};
}

/// Memory for those outputs whose dimensions are known before the program runs.
Status Executor::obtainOutputs(std::span<OutputRequest> requests) const {
  std::vector<int64_t> dims;
  bool any = false;
  for (size_t i = 0; i < requests.size(); ++i)
    if (requests[i].allocate && earlyDims(i, dims)) {
      KT_RETURN_IF_ERROR(obtainOutput(i, dims, requests[i]));
      any = true;
    }
  return any ? checkOutputPlaces(requests) : Status();
}

Status Executor::ensurePinned(Pinned &area, uint64_t bytes) {
  if (bytes <= area.capacity && area.memory)
    return {};
  if (unfinished)
    KT_RETURN_IF_ERROR(settle());
  if (area.memory)
    program.device->releaseStaging(area.memory);
  area = {};
  auto fresh = program.device->allocateStaging(bytes);
  if (!fresh.ok())
    return std::move(fresh).status();
  area = {*fresh, bytes};
  return {};
}

/// Gives a planned buffer or an input its memory for the next run.
void Executor::place(BufferId id, void *memory) {
  graphIsStale = graphIsStale || fixed[id].data != memory;
  fixed[id].data = memory;
}

Status Executor::placeInputs(std::span<const InputView> inputs, bool waits) {
  bool onHost = program.device->isHost();
  // Kernels only read inputs, which are used where they are if those can be read there.
  auto inPlace = [&](size_t i) {
    if (keepsInput(i))
      return true;
    return onHost ? aligned(inputs[i].data, kHostVector) : inputs[i].onDevice && inputBytes(i);
  };
  uint64_t total = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!inPlace(i))
      total += alignedUp(inputBytes(i));
  if (total && inputsUnderWay) {
    KT_RETURN_IF_ERROR(inputsCopied->wait());
    inputsUnderWay = false;
  }
  KT_RETURN_IF_ERROR(ensurePinned(pinnedInputs, total));
  uint64_t offset = 0;
  inputCopies.resize(inputs.size());
  deviceInputs.assign(inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (keepsInput(i))
      continue;
    BufferId id = m.inputs[i].buffer;
    uint64_t bytes = inputBytes(i);
    Storage &storage = fixed[id];
    storage.bytes = bytes;
    if (inPlace(i)) {
      pool.dropMirror(storage);
      storage.deviceValid = true;
      place(id, const_cast<void *>(inputs[i].data));
      if (!onHost)
        deviceInputs[i] = storage.data;
      continue;
    }
    char *host = static_cast<char *>(pinnedInputs.memory) + offset;
    offset += alignedUp(bytes);
    if (bytes)
      std::memcpy(host, inputs[i].data, bytes);
    if (onHost) {
      place(id, host);
      continue;
    }
    inputCopies[i] = host;
    pool.dropMirror(storage);
    place(id, plannedPlace(id));
    KT_RETURN_IF_ERROR(stream->copyIn(storage.data, host, bytes));
    storage.mirror = host;
    storage.mirrorOwned = false;
    storage.mirrorValid = storage.deviceValid = true;
  }
  placeKept();
  if (total && !onHost && !waits) {
    auto copied = stream->record(std::move(inputsCopied));
    if (!copied.ok())
      return std::move(copied).status();
    inputsCopied = *std::move(copied);
    inputsUnderWay = true;
  }
  return {};
}

/// Whether something that a run reads where its caller has it lies in this memory.
bool Executor::overlapsInput(const void *memory, uint64_t bytes, std::span<const InputView> inputs) const {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!keepsInput(i) && fixed[m.inputs[i].buffer].data == inputs[i].data &&
        overlap(memory, bytes, inputs[i].data, inputBytes(i)))
      return true;
  return false;
}

/// Has the program write outputs where they are wanted, as far as it can.
Status Executor::placeOutputs(std::span<const InputView> inputs, std::span<const OutputRequest> requests) {
  for (Storage *storage : lentBefore)
    pool.drop(storage);
  lentBefore.clear();
  lentBefore.swap(lent);
  writtenInPlace.assign(m.outputs.size(), 0);
  for (size_t i = 0; i < m.outputs.size(); ++i) {
    BufferId root = program.info->outputRoots[i];
    if (root == kNone || !shapes.placed[root] || keepsOutput(i))
      continue;
    uint64_t bytes = shapes.sizes[root];
    void *memory = plannedPlace(root);
    // What the prologue has made stays where it is for all runs.
    if (bytes && !(shapes.keepsOnce && program.info->definedOnce[root])) {
      const OutputRequest &request = requests[i];
      if (request.place == Place::session) {
        auto own = pool.allocate(bytes);
        if (!own.ok())
          return std::move(own).status();
        lent.push_back(*own);
        memory = (*own)->data;
        writtenInPlace[i] = true;
      } else if (request.place == Place::caller && bytes <= request.capacity &&
                 (!program.device->isHost() || aligned(request.data, kHostVector)) &&
                 !overlapsInput(request.data, request.capacity, inputs)) {
        memory = request.data;
        writtenInPlace[i] = true;
      }
    }
    place(root, memory);
  }
  return {};
}

/// Dimensions and bytes of an output after the program has run.
Status Executor::measureOutput(size_t output) {
  const Port &port = m.outputs[output];
  OutputView &view = results[output];
  view.dims.clear();
  for (ExprId id : port.dims) {
    auto dim = values.getSize(id, "a dimension");
    if (!dim.ok())
      return std::move(dim).status().in(portText("output", port));
    view.dims.push_back(static_cast<int64_t>(*dim));
  }
  auto bytes = tensorBytes(port.type, view.dims);
  const Storage &storage = *bound[port.buffer];
  bool made = !(keepsOutput(output) && !port.kept.empty()); // else the session has it in another form
  if (!bytes || (made && *bytes > storage.bytes))
    return Status::failed(portText("output", port) + " is " + shapeText(port.type, view.dims) + " but its buffer has " +
                          std::to_string(storage.bytes) + " bytes");
  view.bytes = *bytes;
  return {};
}

/// Enqueues what brings outputs to where they are wanted and are not yet.
Status Executor::collectOutputs(std::span<OutputRequest> requests) {
  uint64_t onHost = 0; // bytes of host memory for outputs of a device
  bool any = false;
  for (size_t i = 0; i < m.outputs.size(); ++i) {
    KT_RETURN_IF_ERROR(measureOutput(i));
    if (requests[i].allocate) {
      KT_RETURN_IF_ERROR(obtainOutput(i, results[i].dims, requests[i]));
      KT_RETURN_IF_ERROR(checkOutputPlaces(requests));
    }
    KT_RETURN_IF_ERROR(checkCapacity(i, results[i].bytes, requests[i]));
    if (keepsOutput(i))
      continue;
    if (requests[i].place == Place::host && !requests[i].data && !program.device->isHost()) {
      onHost += alignedUp(results[i].bytes);
      any = true;
    }
  }
  if (any)
    KT_RETURN_IF_ERROR(ensurePinned(pinnedOutputs, onHost));
  char *host = static_cast<char *>(pinnedOutputs.memory);
  for (size_t i = 0; i < m.outputs.size(); ++i) {
    const Storage &storage = *bound[m.outputs[i].buffer];
    OutputView &view = results[i];
    if (keepsOutput(i)) {
      KT_RETURN_IF_ERROR(ensureOnDevice(*bound[m.outputs[i].buffer]));
      continue;
    }
    switch (requests[i].place) {
    case Place::none:
      break;
    case Place::host:
      if (void *given = requests[i].data) {
        KT_RETURN_IF_ERROR(fetchOutput(i, static_cast<char *>(given)));
        if (view.data != given && view.bytes)
          std::memcpy(given, view.data, view.bytes);
        view.data = given;
        break;
      }
      KT_RETURN_IF_ERROR(fetchOutput(i, host));
      if (view.data == host)
        host += alignedUp(view.bytes);
      break;
    case Place::session:
      if (writtenInPlace[i])
        view.data = storage.data;
      else
        KT_RETURN_IF_ERROR(lendOutput(i));
      break;
    case Place::caller:
      if (!writtenInPlace[i])
        KT_RETURN_IF_ERROR(copyOutput(i, requests[i].data));
      view.data = requests[i].data;
      break;
    }
    if (writtenInPlace[i])
      KT_RETURN_IF_ERROR(ensureOnDevice(*bound[m.outputs[i].buffer]));
  }
  return copyToHost(requests);
}

/// Has host memory get what is to be copied there, beside what the run before has left.
Status Executor::copyToHost(std::span<const OutputRequest> requests) {
  bool onHost = program.device->isHost();
  uint64_t total = 0;
  for (size_t i = 0; i < requests.size(); ++i)
    if (requests[i].copied && onHost)
      results[i].copy = results[i].data;
    else if (requests[i].copied)
      total += alignedUp(results[i].bytes);
  if (!total)
    return {};
  latestCopies ^= 1;
  KT_RETURN_IF_ERROR(ensurePinned(copies[latestCopies], total));
  char *host = static_cast<char *>(copies[latestCopies].memory);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!requests[i].copied)
      continue;
    KT_RETURN_IF_ERROR(stream->copyOutBeside(host, results[i].data, results[i].bytes));
    results[i].copy = host;
    host += alignedUp(results[i].bytes);
  }
  return {};
}

/// An output in host memory of the session; on a device, at `host`.
Status Executor::fetchOutput(size_t output, char *host) {
  OutputView &view = results[output];
  const Buffer &buffer = m.buffers[m.outputs[output].buffer];
  const Storage &storage = *bound[m.outputs[output].buffer];
  if (buffer.kind == Buffer::Kind::Weight) {
    view.data = m.weights[buffer.weight].bytes.data();
    return {};
  }
  if (program.device->isHost()) {
    view.data = storage.data;
    return {};
  }
  view.data = host;
  // What an earlier run has enqueued may still be writing to this memory: only the stream comes after it.
  if (storage.mirrorValid && !(unfinishedBefore && storage.deviceValid)) {
    if (view.bytes)
      std::memcpy(host, storage.mirror, view.bytes);
    return {};
  }
  return stream->copyOut(host, storage.data, view.bytes);
}

/// An output in memory of the session that the next run leaves alone.
Status Executor::lendOutput(size_t output) {
  OutputView &view = results[output];
  Storage &storage = *bound[m.outputs[output].buffer];
  if (storage.owner == Storage::Owner::pool) {
    KT_RETURN_IF_ERROR(ensureOnDevice(storage));
    StoragePool::hold(&storage);
    lent.push_back(&storage);
    view.data = storage.data;
    return {};
  }
  auto own = pool.allocate(view.bytes);
  if (!own.ok())
    return std::move(own).status();
  lent.push_back(*own);
  view.data = (*own)->data;
  return copyOutput(output, (*own)->data);
}

Status Executor::copyOutput(size_t output, void *to) {
  const Buffer &buffer = m.buffers[m.outputs[output].buffer];
  Storage &storage = *bound[m.outputs[output].buffer];
  uint64_t bytes = results[output].bytes;
  if (buffer.kind == Buffer::Kind::Weight) // on the device it may have made room for another
    return stream->copyIn(to, m.weights[buffer.weight].bytes.data(), bytes);
  KT_RETURN_IF_ERROR(ensureOnDevice(storage));
  return stream->copy(to, storage.data, bytes);
}

} // namespace kt::exec
