//===- FakeCuda.cpp - a CUDA driver for machines without one --------------===//
//
// See FakeCuda.h: devices, contexts, memory, streams and events of the driver API, over the queues of FakeStreams.h.
// Modules, launches and graphs are FakeLaunches.cpp.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/FakeDriver.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace kt::fakecuda;

namespace kt::fakecuda {

FakeCudaState state;
Queues queues;
FakeCudaKernels kernels = nullptr;
std::recursive_mutex mutex;
thread_local void *current = nullptr;
std::map<void *, StreamHandle> legacyStreams; // by context

StreamHandle &streamOf(void *handle) {
  if (handle != reinterpret_cast<void *>(1))
    return *static_cast<StreamHandle *>(handle);
  StreamHandle &legacy = legacyStreams[current];
  if (!legacy)
    legacy = queues.create(current);
  return legacy;
}

int answer(const char *call) {
  std::lock_guard lock(mutex);
  state.calls.push_back(call);
  if (state.failing != call || (state.onlyWhileCapturing && !queues.breakCaptures()))
    return 0;
  return kUnknown;
}

int enqueue(void *stream, Work work) {
  return current && stream ? queues.add(streamOf(stream), std::move(work)) : kInvalidValue;
}

Work copyWork(unsigned long long dst, unsigned long long src, size_t bytes) {
  return {"cuMemcpyDtoDAsync",
          [=] { std::memmove(pointer<void>(dst), pointer<void>(src), bytes); },
          {onDevice(dst, bytes), onDevice(src, bytes)}};
}
Work fillWork(unsigned long long dst, unsigned char value, size_t bytes) {
  return {"cuMemsetD8Async", [=] { std::memset(pointer<void>(dst), value, bytes); }, {onDevice(dst, bytes)}};
}

void violation(const std::string &text) { state.violations.push_back(text); }

} // namespace kt::fakecuda

EXPORT FakeCudaState *fakeCudaState() { return &state; }
EXPORT void fakeCudaReset(const FakeCudaState *to) {
  std::lock_guard lock(mutex);
  state = *to;
  legacyStreams.clear();
  queues.reset(state);
}
EXPORT uint64_t fakeCudaPending() {
  std::lock_guard lock(mutex);
  return queues.pending();
}
EXPORT void fakeCudaRunKernels(FakeCudaKernels run) {
  std::lock_guard lock(mutex);
  kernels = run;
}
EXPORT uint64_t fakeCudaBytesFrom(uint64_t address) {
  std::lock_guard lock(mutex);
  return queues.bytesFrom(address);
}
EXPORT uint64_t fakeCudaCalls(const char *name) {
  std::lock_guard lock(mutex);
  return static_cast<uint64_t>(std::count(state.calls.begin(), state.calls.end(), name));
}
EXPORT uint64_t fakeCudaViolations() {
  std::lock_guard lock(mutex);
  return state.violations.size();
}

EXPORT int cuInit(unsigned) { return answer("cuInit"); }
EXPORT int cuGetErrorName(int error, const char **text) {
  *text = nameOf(error);
  return 0;
}
EXPORT int cuGetErrorString(int, const char **text) {
  *text = "as the fake was told";
  return 0;
}
EXPORT int cuDeviceGetCount(int *count) {
  *count = 1;
  return 0;
}
EXPORT int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return 0;
}
EXPORT int cuDeviceGetName(char *name, int bytes, int) {
  std::strncpy(name, "Fake GPU", bytes);
  return 0;
}
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int) {
  switch (attribute) {
  case 16:
    *value = 4;
    break;
  case 38:
    *value = 1 << 20;
    break;
  case 75:
    *value = state.computeCapability / 10;
    break;
  case 76:
    *value = state.computeCapability % 10;
    break;
  case 97:
    *value = 99 * 1024;
    break;
  default:
    return kInvalidValue;
  }
  return 0;
}
EXPORT int cuDevicePrimaryCtxRetain(void **context, int) {
  CALL("cuDevicePrimaryCtxRetain");
  ++state.liveObjects;
  *context = &state;
  return 0;
}
EXPORT int cuDevicePrimaryCtxRelease_v2(int) {
  CALL("cuDevicePrimaryCtxRelease");
  --state.liveObjects;
  return 0;
}
EXPORT int cuCtxGetCurrent(void **context) {
  *context = current;
  return 0;
}
EXPORT int cuCtxSetCurrent(void *context) {
  current = context;
  return 0;
}
/// The state is the primary context of device 0; another pointer is one of the device that `contexts` has for it.
EXPORT int cuCtxGetDevice(int *device) {
  if (!current)
    return kInvalidContext;
  auto found = state.contexts.find(current);
  *device = found == state.contexts.end() ? 0 : found->second;
  return 0;
}
EXPORT int cuPointerGetAttributes(unsigned count, const int *attributes, void **answers, unsigned long long address) {
  CALL("cuPointerGetAttributes");
  MemoryKind kind = queues.kindOf(address);
  for (unsigned i = 0; i < count; ++i) {
    if (attributes[i] == 1) // the context
      *static_cast<void **>(answers[i]) = kind.context;
    else if (attributes[i] == 2) // host 1, device 2, 0 where nothing is known
      *static_cast<int *>(answers[i]) = !kind.known ? 0 : kind.device ? 2 : 1;
    else if (attributes[i] == 9) // the device
      *static_cast<int *>(answers[i]) = state.contexts.count(kind.context) ? state.contexts.at(kind.context) : 0;
    else
      return kInvalidValue;
  }
  return 0;
}
EXPORT int cuMemGetInfo_v2(size_t *free, size_t *total) {
  *free = state.freeBytes - state.allocatedBytes;
  *total = state.freeBytes;
  return 0;
}
EXPORT int cuMemAlloc_v2(unsigned long long *to, size_t bytes) {
  UNCAPTURED_CALL("cuMemAlloc");
  if (!current || bytes == 0)
    return kInvalidValue;
  if (bytes > state.freeBytes - state.allocatedBytes)
    return kOutOfMemory;
  void *block = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(block, 0xa5, bytes); // what is read before it is written shows
  queues.allocated(block, bytes, true, current);
  state.allocatedBytes += bytes;
  state.peakBytes = std::max(state.peakBytes, state.allocatedBytes);
  ++state.liveObjects;
  *to = reinterpret_cast<unsigned long long>(block);
  return 0;
}
EXPORT int cuMemFree_v2(unsigned long long address) {
  UNCAPTURED_CALL("cuMemFree");
  size_t bytes = queues.freed(pointer<void>(address), true);
  if (!bytes)
    return kInvalidValue;
  state.allocatedBytes -= bytes;
  --state.liveObjects;
  return 0;
}
EXPORT int cuMemHostAlloc(void **to, size_t bytes, unsigned) {
  UNCAPTURED_CALL("cuMemHostAlloc");
  *to = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  std::memset(*to, 0xa5, bytes);
  queues.allocated(*to, bytes, false, current);
  ++state.liveObjects;
  return 0;
}
EXPORT int cuMemFreeHost(void *block) {
  UNCAPTURED_CALL("cuMemFreeHost");
  if (!queues.freed(block, false))
    return kInvalidValue;
  --state.liveObjects;
  return 0;
}
EXPORT int cuMemcpyHtoDAsync_v2(unsigned long long dst, const void *src, size_t bytes, void *stream) {
  CALL("cuMemcpyHtoDAsync");
  if (++state.copiesIn == state.failingCopy)
    return kUnknown;
  state.bytesIn += bytes;
  // Pinned memory is read when the copy runs; pageable memory may be staged at once, but never where it is captured.
  if (stream && !streamOf(stream)->capture && !queues.isPinned(src) && queues.copiesPageableAtOnce()) {
    auto *from = static_cast<const char *>(src);
    return enqueue(stream, {"cuMemcpyHtoDAsync",
                            [dst, bytes, staged = std::vector<char>(from, from + bytes)] {
                              std::memcpy(pointer<void>(dst), staged.data(), bytes);
                            },
                            {onDevice(dst, bytes)}});
  }
  return enqueue(stream, {"cuMemcpyHtoDAsync",
                          [=] { std::memcpy(pointer<void>(dst), src, bytes); },
                          {onDevice(dst, bytes), onHost(src, bytes)}});
}
EXPORT int cuMemcpyDtoHAsync_v2(void *dst, unsigned long long src, size_t bytes, void *stream) {
  CALL("cuMemcpyDtoHAsync");
  int result = enqueue(stream, {"cuMemcpyDtoHAsync",
                                [=] { std::memcpy(dst, pointer<void>(src), bytes); },
                                {onDevice(src, bytes), onHost(dst, bytes)}});
  if (result == 0 && !streamOf(stream)->capture && !queues.isPinned(dst) && queues.copiesPageableAtOnce())
    return queues.synchronize(streamOf(stream));
  return result;
}
EXPORT int cuMemcpyDtoDAsync_v2(unsigned long long dst, unsigned long long src, size_t bytes, void *stream) {
  CALL("cuMemcpyDtoDAsync");
  return enqueue(stream, copyWork(dst, src, bytes));
}
EXPORT int cuMemsetD8Async(unsigned long long dst, unsigned char value, size_t bytes, void *stream) {
  CALL("cuMemsetD8Async");
  return enqueue(stream, fillWork(dst, value, bytes));
}
EXPORT int cuStreamCreate(void **stream, unsigned) {
  CALL("cuStreamCreate");
  *stream = new StreamHandle(queues.create(current));
  ++state.liveObjects;
  return 0;
}
EXPORT int cuStreamGetCtx(void *stream, void **context) {
  CALL("cuStreamGetCtx");
  *context = streamOf(stream)->context;
  return 0;
}
EXPORT int cuStreamIsCapturing(void *stream, int *status) {
  CALL("cuStreamIsCapturing");
  *status = streamOf(stream)->capture != nullptr;
  return 0;
}
EXPORT int cuStreamGetCaptureInfo_v2(void *stream, int *status, uint64_t *, void **, void *const **nodes,
                                     size_t *count) {
  CALL("cuStreamGetCaptureInfo");
  static thread_local std::vector<void *> handles;
  Stream &s = *streamOf(stream);
  *status = s.capture != nullptr;
  handles.clear();
  if (s.capture)
    for (size_t node : s.frontier)
      handles.push_back(s.capture->graph.handle(node));
  *nodes = handles.data();
  *count = handles.size();
  return 0;
}
EXPORT int cuStreamDestroy_v2(void *stream) {
  CALL("cuStreamDestroy");
  queues.destroy(streamOf(stream));
  delete static_cast<StreamHandle *>(stream);
  --state.liveObjects;
  return 0;
}
EXPORT int cuStreamSynchronize(void *stream) {
  CALL("cuStreamSynchronize");
  return queues.synchronize(streamOf(stream));
}
EXPORT int cuStreamWaitEvent(void *stream, void *event, unsigned) {
  CALL("cuStreamWaitEvent");
  return queues.wait(streamOf(stream), *static_cast<Event *>(event));
}
EXPORT int cuEventCreate(void **event, unsigned flags) {
  CALL("cuEventCreate");
  auto *made = new Event();
  made->timed = !(flags & 2); // CU_EVENT_DISABLE_TIMING
  *event = made;
  ++state.liveObjects;
  return 0;
}
EXPORT int cuEventDestroy_v2(void *event) {
  CALL("cuEventDestroy");
  delete static_cast<Event *>(event);
  --state.liveObjects;
  return 0;
}
EXPORT int cuEventRecord(void *event, void *stream) {
  CALL("cuEventRecord");
  static_cast<Event *>(event)->blocks = state.blocks;
  return queues.record(streamOf(stream), *static_cast<Event *>(event));
}
EXPORT int cuEventSynchronize(void *event) {
  CALL("cuEventSynchronize");
  return queues.synchronize(*static_cast<Event *>(event));
}
EXPORT int cuEventElapsedTime(float *milliseconds, void *from, void *to) {
  CALL("cuEventElapsedTime");
  auto &a = *static_cast<Event *>(from), &b = *static_cast<Event *>(to);
  if (!a.timed || !b.timed || !a.marker || !b.marker)
    return kInvalidValue;
  if (!a.marker->passed || !b.marker->passed)
    return 600; // CUDA_ERROR_NOT_READY
  *milliseconds = static_cast<float>(b.blocks - a.blocks) * 1e-3f;
  return 0;
}
