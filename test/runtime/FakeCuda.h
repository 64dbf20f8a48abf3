//===- FakeCuda.h - a CUDA driver for machines without one ----------------===//
//
// A libcuda.so.1 whose device memory is host memory. It knows the two kernels of the unit tests by their names, or
// hands all kernels to somebody who can run them; it records what it is asked, and fails where it is told to.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_RUNTIME_FAKECUDA_H
#define KT_TEST_RUNTIME_FAKECUDA_H

#include <cstdint>
#include <string>
#include <vector>

/// Runs one launch: the module's text, the function's name, the grid, the threads of a block, its bytes of shared
/// memory and the parameters as cuLaunchKernel gets them. What it answers is cuLaunchKernel's result.
using FakeCudaKernels = int (*)(const char *module, const char *entry, const unsigned *grid, unsigned threads,
                                unsigned shared, void **parameters);

struct FakeCudaState {
  int computeCapability = 90;
  uint64_t freeBytes = uint64_t(1) << 30;
  uint64_t allocatedBytes = 0, peakBytes = 0;
  std::string jitError; // not empty: modules do not compile, with this log,
  std::string jitFails; // those only that have this in their text
  int jitMilliseconds = 0;
  std::vector<std::string> loaded; // texts of the modules that were compiled
  int loading = 0, peakLoading = 0;
  std::string failing; // the call that fails with CUDA_ERROR_UNKNOWN
  std::vector<std::string> calls;
  uint64_t launches = 0, copiesIn = 0, bytesIn = 0, graphLaunches = 0;
  int liveObjects = 0; // contexts, modules, memory, streams, events, graphs
};

/// The driver's state; exported by the fake library under this name.
extern "C" FakeCudaState *fakeCudaState();
/// From now on `run` gets all kernels of all modules. Nothing can be captured then.
extern "C" void fakeCudaRunKernels(FakeCudaKernels run);
/// How many bytes there are from an address to the end of its allocation, of the device or of pinned memory; 0 for an
/// address in none.
extern "C" uint64_t fakeCudaBytesFrom(uint64_t address);

#endif
