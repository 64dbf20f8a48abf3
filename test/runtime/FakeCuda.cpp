//===- FakeCuda.cpp - a CUDA driver for machines without one --------------===//
//
// See FakeCuda.h. Streams are in order and synchronous; a stream that captures collects closures instead.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/FakeCuda.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {
constexpr int kInvalidValue = 1, kOutOfMemory = 2, kInvalidPtx = 218, kNotFound = 500, kUnknown = 999;

FakeCudaState state;
std::recursive_mutex mutex;
std::map<void *, size_t> memory, pinned;
FakeCudaKernels kernels = nullptr;

struct GraphData {
  std::vector<std::function<void()>> steps;
};
struct StreamData {
  std::unique_ptr<GraphData> capture;
};
thread_local void *current = nullptr;
thread_local int capturing = 0; // streams that this thread records

int answer(const char *call) {
  std::lock_guard lock(mutex);
  state.calls.push_back(call);
  return state.failing == call ? kUnknown : 0;
}

/// Does the work now, or when the graph that is being captured is launched.
int enqueue(void *stream, std::function<void()> step) {
  auto *s = static_cast<StreamData *>(stream);
  if (!current || !s)
    return kInvalidValue;
  if (s->capture)
    s->capture->steps.push_back(std::move(step));
  else
    step();
  return 0;
}

struct FunctionData {
  std::string name;
  const std::string *module;
};
struct ModuleData {
  std::string text;
  std::map<std::string, FunctionData> functions;
};
} // namespace

#define CALL(name)                                                                                                     \
  if (int failed = answer(name))                                                                                       \
    return failed;                                                                                                     \
  std::lock_guard lock(mutex)

EXPORT FakeCudaState *fakeCudaState() { return &state; }
EXPORT void fakeCudaRunKernels(FakeCudaKernels run) { kernels = run; }
EXPORT uint64_t fakeCudaBytesFrom(uint64_t address) {
  std::lock_guard lock(mutex);
  for (const auto *blocks : {&memory, &pinned})
    for (auto [block, bytes] : *blocks)
      if (uint64_t start = reinterpret_cast<uint64_t>(block); address >= start && address < start + bytes)
        return start + bytes - address;
  return 0;
}

EXPORT int cuInit(unsigned) { return answer("cuInit"); }
EXPORT int cuGetErrorName(int error, const char **text) {
  static const std::map<int, const char *> names = {{kInvalidValue, "CUDA_ERROR_INVALID_VALUE"},
                                                    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                    {kInvalidPtx, "CUDA_ERROR_INVALID_PTX"},
                                                    {kNotFound, "CUDA_ERROR_NOT_FOUND"},
                                                    {kUnknown, "CUDA_ERROR_UNKNOWN"}};
  *text = names.at(error);
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
EXPORT int cuMemGetInfo_v2(size_t *free, size_t *total) {
  *free = state.freeBytes - state.allocatedBytes;
  *total = state.freeBytes;
  return 0;
}
EXPORT int cuMemAlloc_v2(unsigned long long *to, size_t bytes) {
  CALL("cuMemAlloc");
  if (!current || bytes == 0)
    return kInvalidValue;
  if (bytes > state.freeBytes - state.allocatedBytes)
    return kOutOfMemory;
  void *block = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(block, 0xa5, bytes); // what is read before it is written shows
  memory[block] = bytes;
  state.allocatedBytes += bytes;
  state.peakBytes = std::max(state.peakBytes, state.allocatedBytes);
  ++state.liveObjects;
  *to = reinterpret_cast<unsigned long long>(block);
  return 0;
}
EXPORT int cuMemFree_v2(unsigned long long address) {
  CALL("cuMemFree");
  auto found = memory.find(reinterpret_cast<void *>(address));
  if (found == memory.end())
    return kInvalidValue;
  state.allocatedBytes -= found->second;
  std::free(found->first);
  memory.erase(found);
  --state.liveObjects;
  return 0;
}
EXPORT int cuMemHostAlloc(void **to, size_t bytes, unsigned) {
  CALL("cuMemHostAlloc");
  *to = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  pinned[*to] = bytes;
  ++state.liveObjects;
  return 0;
}
EXPORT int cuMemFreeHost(void *block) {
  CALL("cuMemFreeHost");
  pinned.erase(block);
  std::free(block);
  --state.liveObjects;
  return 0;
}
EXPORT int cuMemcpyHtoDAsync_v2(unsigned long long dst, const void *src, size_t bytes, void *stream) {
  CALL("cuMemcpyHtoDAsync");
  ++state.copiesIn;
  state.bytesIn += bytes;
  return enqueue(stream, [=] { std::memcpy(reinterpret_cast<void *>(dst), src, bytes); });
}
EXPORT int cuMemcpyDtoHAsync_v2(void *dst, unsigned long long src, size_t bytes, void *stream) {
  CALL("cuMemcpyDtoHAsync");
  return enqueue(stream, [=] { std::memcpy(dst, reinterpret_cast<void *>(src), bytes); });
}
EXPORT int cuMemcpyDtoDAsync_v2(unsigned long long dst, unsigned long long src, size_t bytes, void *stream) {
  CALL("cuMemcpyDtoDAsync");
  return enqueue(stream, [=] { std::memmove(reinterpret_cast<void *>(dst), reinterpret_cast<void *>(src), bytes); });
}
EXPORT int cuMemsetD8Async(unsigned long long dst, unsigned char value, size_t bytes, void *stream) {
  CALL("cuMemsetD8Async");
  return enqueue(stream, [=] { std::memset(reinterpret_cast<void *>(dst), value, bytes); });
}
EXPORT int cuModuleLoadDataEx(void **module, const void *image, unsigned count, int *options, void **values) {
  // Compiling takes long and takes place outside of the driver's lock.
  {
    CALL("cuModuleLoadDataEx");
    if (!current || capturing)
      return kInvalidValue;
    state.peakLoading = std::max(state.peakLoading, ++state.loading);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(state.jitMilliseconds));
  std::lock_guard lock(mutex);
  --state.loading;
  std::string text = static_cast<const char *>(image);
  if (!state.jitError.empty() && text.find(state.jitFails) != std::string::npos) {
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == 5)
        std::strcpy(static_cast<char *>(values[i]), state.jitError.c_str());
    return kInvalidPtx;
  }
  if (text.find(".version") == std::string::npos)
    return kInvalidPtx;
  state.loaded.push_back(text);
  ++state.liveObjects;
  *module = new ModuleData{std::move(text), {}};
  return 0;
}
EXPORT int cuModuleUnload(void *module) {
  CALL("cuModuleUnload");
  delete static_cast<ModuleData *>(module);
  --state.liveObjects;
  return 0;
}
EXPORT int cuModuleGetFunction(void **function, void *module, const char *name) {
  CALL("cuModuleGetFunction");
  auto &[text, functions] = *static_cast<ModuleData *>(module);
  bool known = kernels ? text.find(std::string(".entry ") + name + "(") != std::string::npos
                       : std::strcmp(name, "add") == 0 || std::strcmp(name, "scale") == 0;
  if (!known)
    return kNotFound;
  *function = &(functions[name] = {name, &text});
  return 0;
}
EXPORT int cuFuncSetAttribute(void *, int attribute, int value) {
  CALL("cuFuncSetAttribute");
  return attribute == 8 && value <= 99 * 1024 ? 0 : kInvalidValue;
}
EXPORT int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned,
                          unsigned shared, void *stream, void **parameters, void **) {
  CALL("cuLaunchKernel");
  if (x == 0 || y == 0 || z == 0 || threads == 0 || threads > 1024 || shared > 99 * 1024)
    return kInvalidValue;
  ++state.launches;
  if (kernels) {
    auto *f = static_cast<FunctionData *>(function);
    const unsigned grid[3] = {x, y, z};
    return capturing ? kInvalidValue : kernels(f->module->c_str(), f->name.c_str(), grid, threads, shared, parameters);
  }
  auto pointer = [&](int i) { return *static_cast<float **>(parameters[i]); };
  auto integer = [&](int i) { return *static_cast<int *>(parameters[i]); };
  int64_t covered = int64_t(x) * threads;
  if (static_cast<FunctionData *>(function)->name == "add") {
    float *a = pointer(0), *b = pointer(1), *c = pointer(2);
    int64_t n = integer(3);
    return enqueue(stream, [=] {
      for (int64_t i = 0; i < std::min(n, covered); ++i)
        c[i] = a[i] + b[i];
    });
  }
  float *a = pointer(0), *b = pointer(1);
  int64_t n = integer(2);
  int k = integer(3);
  return enqueue(stream, [=] {
    for (int64_t i = 0; i < std::min(n, covered); ++i)
      b[i] = a[i] * static_cast<float>(k);
  });
}
EXPORT int cuStreamCreate(void **stream, unsigned) {
  CALL("cuStreamCreate");
  *stream = new StreamData();
  ++state.liveObjects;
  return 0;
}
EXPORT int cuStreamDestroy_v2(void *stream) {
  CALL("cuStreamDestroy");
  delete static_cast<StreamData *>(stream);
  --state.liveObjects;
  return 0;
}
EXPORT int cuStreamSynchronize(void *stream) {
  CALL("cuStreamSynchronize");
  return static_cast<StreamData *>(stream)->capture ? kInvalidValue : 0;
}
EXPORT int cuStreamWaitEvent(void *, void *, unsigned) { return answer("cuStreamWaitEvent"); }
EXPORT int cuEventCreate(void **event, unsigned) {
  CALL("cuEventCreate");
  *event = std::malloc(1);
  ++state.liveObjects;
  return 0;
}
EXPORT int cuEventDestroy_v2(void *event) {
  CALL("cuEventDestroy");
  std::free(event);
  --state.liveObjects;
  return 0;
}
EXPORT int cuEventRecord(void *, void *) { return answer("cuEventRecord"); }
EXPORT int cuStreamBeginCapture_v2(void *stream, int) {
  CALL("cuStreamBeginCapture");
  static_cast<StreamData *>(stream)->capture = std::make_unique<GraphData>();
  ++capturing;
  return 0;
}
EXPORT int cuStreamEndCapture(void *stream, void **graph) {
  CALL("cuStreamEndCapture");
  *graph = static_cast<StreamData *>(stream)->capture.release();
  --capturing;
  ++state.liveObjects;
  return 0;
}
EXPORT int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long) {
  CALL("cuGraphInstantiateWithFlags");
  *exec = new GraphData(*static_cast<GraphData *>(graph));
  ++state.liveObjects;
  return 0;
}
EXPORT int cuGraphLaunch(void *exec, void *) {
  CALL("cuGraphLaunch");
  ++state.graphLaunches;
  for (auto &step : static_cast<GraphData *>(exec)->steps)
    step();
  return 0;
}
EXPORT int cuGraphDestroy(void *graph) {
  CALL("cuGraphDestroy");
  delete static_cast<GraphData *>(graph);
  --state.liveObjects;
  return 0;
}
EXPORT int cuGraphExecDestroy(void *exec) {
  CALL("cuGraphExecDestroy");
  delete static_cast<GraphData *>(exec);
  --state.liveObjects;
  return 0;
}
