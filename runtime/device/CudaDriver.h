//===- CudaDriver.h - the CUDA driver, loaded at run time -----------------===//
//
// Own declarations of the few driver functions that are used (CUDA Driver API reference; the ABI is stable since CUDA
// 4, for what is new since 10 or 11.8), so that building needs no toolkit and starting needs no driver.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_DEVICE_CUDADRIVER_H
#define KT_RUNTIME_DEVICE_CUDADRIVER_H

#include "runtime/include/kt/Status.h"

#include <cstddef>
#include <cstdint>

namespace kt::device::cuda {

using Result = int; // CUresult; 0 is success
using DeviceId = int;
using DevicePointer = unsigned long long;
using Context = struct ContextOpaque *;
using Module = struct ModuleOpaque *;
using Function = struct FunctionOpaque *;
using Stream = struct StreamOpaque *;
using Event = struct EventOpaque *;
using Graph = struct GraphOpaque *;
using GraphNode = struct GraphNodeOpaque *;
using GraphExec = struct GraphExecOpaque *;

// CUlaunchConfig and CUlaunchAttribute, whose value is a union of 64 bytes.
struct LaunchAttribute {
  int id;
  alignas(8) int value[16];
};
struct LaunchConfig {
  unsigned grid[3], block[3], shared;
  Stream stream;
  LaunchAttribute *attributes;
  unsigned numAttributes;
};
// CUDA_KERNEL_NODE_PARAMS_v1, CUDA_MEMCPY3D_v2 and CUDA_MEMSET_NODE_PARAMS_v1.
struct KernelNodeParams {
  Function function;
  unsigned grid[3], block[3], shared;
  void **parameters, **extra;
};
struct MemcpySide {
  size_t x, y, z, lod;
  int memoryType;
  const void *host;
  DevicePointer device;
  void *array, *reserved;
  size_t pitch, height;
};
struct Memcpy3D {
  MemcpySide src, dst;
  size_t width, height, depth;
};
struct MemsetNodeParams {
  DevicePointer dst;
  size_t pitch;
  unsigned value, elementSize;
  size_t width, height;
};

// CUdevice_attribute
constexpr int kMaxSharedPerBlock = 8, kMultiprocessors = 16, kL2Bytes = 38, kMajor = 75, kMinor = 76, kSharedOptIn = 97;
// CUfunction_attribute
constexpr int kFunctionMaxDynamicShared = 8, kFunctionCarveout = 9;
// CUlaunchAttributeID
constexpr int kClusterDimension = 4, kProgrammaticStreamSerialization = 6;
// CUjit_option
constexpr int kJitInfoLog = 3, kJitInfoLogBytes = 4, kJitErrorLog = 5, kJitErrorLogBytes = 6;
// CUpointer_attribute and CUmemorytype
constexpr int kPointerContext = 1, kPointerMemoryType = 2, kPointerDevice = 9;
constexpr int kMemoryHost = 1, kMemoryDevice = 2;
// Flags
constexpr unsigned kStreamNonBlocking = 1, kEventDefault = 0, kEventDisableTiming = 2, kHostAllocPortable = 1;
constexpr int kCaptureThreadLocal = 1;

/// Every function that is used: the name without "cu", the symbol, the parameters.
#define KT_CUDA_FUNCTIONS(F)                                                                                           \
  F(Init, "cuInit", (unsigned))                                                                                        \
  F(GetErrorName, "cuGetErrorName", (Result, const char **))                                                           \
  F(GetErrorString, "cuGetErrorString", (Result, const char **))                                                       \
  F(DeviceGetCount, "cuDeviceGetCount", (int *))                                                                       \
  F(DeviceGet, "cuDeviceGet", (DeviceId *, int))                                                                       \
  F(DeviceGetName, "cuDeviceGetName", (char *, int, DeviceId))                                                         \
  F(DeviceGetAttribute, "cuDeviceGetAttribute", (int *, int, DeviceId))                                                \
  F(PrimaryCtxRetain, "cuDevicePrimaryCtxRetain", (Context *, DeviceId))                                               \
  F(PrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (DeviceId))                                                     \
  F(CtxGetCurrent, "cuCtxGetCurrent", (Context *))                                                                     \
  F(CtxSetCurrent, "cuCtxSetCurrent", (Context))                                                                       \
  F(CtxGetDevice, "cuCtxGetDevice", (DeviceId *))                                                                      \
  F(PointerGetAttributes, "cuPointerGetAttributes", (unsigned, int *, void **, DevicePointer))                         \
  F(MemGetInfo, "cuMemGetInfo_v2", (size_t *, size_t *))                                                               \
  F(MemAlloc, "cuMemAlloc_v2", (DevicePointer *, size_t))                                                              \
  F(MemFree, "cuMemFree_v2", (DevicePointer))                                                                          \
  F(MemHostAlloc, "cuMemHostAlloc", (void **, size_t, unsigned))                                                       \
  F(MemFreeHost, "cuMemFreeHost", (void *))                                                                            \
  F(MemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", (DevicePointer, const void *, size_t, Stream))                            \
  F(MemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", (void *, DevicePointer, size_t, Stream))                                  \
  F(MemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2", (DevicePointer, DevicePointer, size_t, Stream))                           \
  F(MemsetD8Async, "cuMemsetD8Async", (DevicePointer, unsigned char, size_t, Stream))                                  \
  F(ModuleLoadDataEx, "cuModuleLoadDataEx", (Module *, const void *, unsigned, int *, void **))                        \
  F(ModuleUnload, "cuModuleUnload", (Module))                                                                          \
  F(ModuleGetFunction, "cuModuleGetFunction", (Function *, Module, const char *))                                      \
  F(FuncSetAttribute, "cuFuncSetAttribute", (Function, int, int))                                                      \
  F(LaunchKernel, "cuLaunchKernel",                                                                                    \
    (Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void **, void **))        \
  F(LaunchKernelEx, "cuLaunchKernelEx", (const LaunchConfig *, Function, void **, void **))                            \
  F(StreamCreate, "cuStreamCreate", (Stream *, unsigned))                                                              \
  F(StreamDestroy, "cuStreamDestroy_v2", (Stream))                                                                     \
  F(StreamSynchronize, "cuStreamSynchronize", (Stream))                                                                \
  F(StreamWaitEvent, "cuStreamWaitEvent", (Stream, Event, unsigned))                                                   \
  F(StreamGetCtx, "cuStreamGetCtx", (Stream, Context *))                                                               \
  F(StreamIsCapturing, "cuStreamIsCapturing", (Stream, int *))                                                         \
  F(StreamGetCaptureInfo, "cuStreamGetCaptureInfo_v2",                                                                 \
    (Stream, int *, unsigned long long *, Graph *, const GraphNode **, size_t *))                                      \
  F(EventCreate, "cuEventCreate", (Event *, unsigned))                                                                 \
  F(EventDestroy, "cuEventDestroy_v2", (Event))                                                                        \
  F(EventRecord, "cuEventRecord", (Event, Stream))                                                                     \
  F(EventSynchronize, "cuEventSynchronize", (Event))                                                                   \
  F(EventElapsedTime, "cuEventElapsedTime", (float *, Event, Event))                                                   \
  F(StreamBeginCapture, "cuStreamBeginCapture_v2", (Stream, int))                                                      \
  F(StreamEndCapture, "cuStreamEndCapture", (Stream, Graph *))                                                         \
  F(GraphInstantiate, "cuGraphInstantiateWithFlags", (GraphExec *, Graph, unsigned long long))                         \
  F(GraphLaunch, "cuGraphLaunch", (GraphExec, Stream))                                                                 \
  F(GraphExecKernelNodeSetParams, "cuGraphExecKernelNodeSetParams", (GraphExec, GraphNode, const KernelNodeParams *))  \
  F(GraphExecMemcpyNodeSetParams, "cuGraphExecMemcpyNodeSetParams", (GraphExec, GraphNode, const Memcpy3D *, Context)) \
  F(GraphExecMemsetNodeSetParams, "cuGraphExecMemsetNodeSetParams",                                                    \
    (GraphExec, GraphNode, const MemsetNodeParams *, Context))                                                         \
  F(GraphDestroy, "cuGraphDestroy", (Graph))                                                                           \
  F(GraphExecDestroy, "cuGraphExecDestroy", (GraphExec))

/// The driver's functions. Loaded once a process, never unloaded: CUDA keeps threads of its own.
struct Driver {
#define KT_DECLARE(name, symbol, parameters)                                                                           \
  Result(*name) parameters = nullptr; // NOLINT(bugprone-macro-parentheses): declarations
  KT_CUDA_FUNCTIONS(KT_DECLARE)
#undef KT_DECLARE
};

/// The loaded and initialised driver; fails, saying what is missing, on a machine without one. Thread-safe.
kt::Result<const Driver *> driver();

/// The same where somebody has asked for it successfully, else null. Thread-safe.
const Driver *driverInUse();

/// Wraps a driver's answer: "cuMemAlloc_v2: CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
Status wrap(const Driver &driver, Result result, const char *call);

} // namespace kt::device::cuda

/// Calls a driver function and returns its failure, with the call's name, from the enclosing function.
#define KT_CUDA(driver, name, ...)                                                                                     \
  do {                                                                                                                 \
    if (::kt::device::cuda::Result ktResult = (driver).name(__VA_ARGS__))                                              \
      return ::kt::device::cuda::wrap((driver), ktResult, "cu" #name);                                                 \
  } while (false)

#endif
