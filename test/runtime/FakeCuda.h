//===- FakeCuda.h - a CUDA driver for machines without one ----------------===//
//
// A libcuda.so.1 whose device memory is host memory. It knows the kernels of the unit tests by their names, or hands
// all kernels to somebody who can run them. It runs work when its policy says (FakeStreams.h), records what it is
// asked, and fails where it is told to.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_RUNTIME_FAKECUDA_H
#define KT_TEST_RUNTIME_FAKECUDA_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// When work runs that has been enqueued: as soon as its stream and its events allow; only when somebody waits for it;
/// soon on one stream of each pair and late on the other; or at random.
enum class FakeCudaPolicy { early, late, firstEarly, secondEarly, random };

struct FakeCudaState {
  FakeCudaPolicy policy = FakeCudaPolicy::late;
  unsigned seed = 1;
  int computeCapability = 90;
  uint64_t freeBytes = uint64_t(1) << 30;
  uint64_t allocatedBytes = 0, peakBytes = 0;
  std::string jitError; // not empty: modules do not compile, with this log,
  std::string jitFails; // those only that have this in their text
  int jitMilliseconds = 0;
  std::vector<std::string> loaded; // texts of the modules that were compiled
  int loading = 0, peakLoading = 0;
  std::string failing;             // the call that fails with CUDA_ERROR_UNKNOWN,
  bool onlyWhileCapturing = false; // and then breaks the capture
  uint64_t failingCopy = 0;        // the copy to the device that fails, counted from 1 by `copiesIn`
  uint64_t failingLaunch = 0;      // the kernel launch that fails, counted from 1 by `launches`
  std::vector<std::string> calls;
  uint64_t blocks = 0;            // launched so far: between events each is a microsecond
  std::vector<unsigned> clusters; // blocks of one, of each launch that said so
  uint64_t launches = 0, copiesIn = 0, bytesIn = 0, graphLaunches = 0;
  uint64_t patches = 0;                // nodes of executable graphs that were given other parameters
  std::map<void *, int> contexts;      // foreign contexts, with their devices
  int liveObjects = 0;                 // contexts, modules, memory, streams, events, graphs
  std::vector<std::string> violations; // what a correct user never does: work that touches memory that is gone, ...
};

/// Runs one launch: the module's text, the function's name, the grid, the threads of a block, its bytes of shared
/// memory, the blocks of a cluster along the grid's second dimension (0: there are none) and the parameters' bits, as
/// many as the function has.
using FakeCudaKernels = void (*)(const char *module, const char *entry, const unsigned *grid, unsigned threads,
                                 unsigned shared, unsigned cluster, const uint64_t *parameters);

extern "C" {
/// The driver's state.
FakeCudaState *fakeCudaState();
/// Starts afresh, with empty queues and the state's policy.
void fakeCudaReset(const FakeCudaState *state);
/// Work that was enqueued and has not run.
uint64_t fakeCudaPending();
/// From now on `run` gets the kernels of all modules, when their turn comes.
void fakeCudaRunKernels(FakeCudaKernels run);
/// How many bytes there are from an address to the end of its allocation, of the device or of pinned memory; 0 for an
/// address in none.
uint64_t fakeCudaBytesFrom(uint64_t address);
/// How often the driver was called by this name.
uint64_t fakeCudaCalls(const char *name);
/// How many violations there were.
uint64_t fakeCudaViolations();
}

#endif
