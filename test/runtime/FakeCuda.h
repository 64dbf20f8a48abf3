//===- FakeCuda.h - a CUDA driver for machines without one ----------------===//
//
// A libcuda.so.1 whose device memory is host memory. It knows the two kernels of the tests by their names, records what
// it is asked, and fails where it is told to.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_RUNTIME_FAKECUDA_H
#define KT_TEST_RUNTIME_FAKECUDA_H

#include <cstdint>
#include <string>
#include <vector>

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

#endif
