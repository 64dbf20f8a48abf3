//===- CudaModules.h - a model's code on an NVIDIA GPU --------------------===//
//
// Modules are compiled by the driver when they are asked for, each once however many threads ask, several at a time.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_DEVICE_CUDAMODULES_H
#define KT_RUNTIME_DEVICE_CUDAMODULES_H

#include "runtime/artifact/Model.h"
#include "runtime/device/CudaDriver.h"
#include "runtime/device/Device.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

namespace kt::device {

/// What Device::function answers on an NVIDIA GPU.
struct CudaFunction {
  cuda::Function handle = nullptr;
  bool overlaps = false; // it waits itself for what the launches before it have written (artifact::kWaitLabel)
};

/// Thread-safe once constructed.
class CudaModules {
public:
  /// `runs` says by module whether the GPU runs it. The model has to outlive this.
  CudaModules(const cuda::Driver &driver, cuda::Context context, const artifact::Model &model,
              const std::vector<uint8_t> &runs, const Facts &facts);
  ~CudaModules();

  /// Waits until all of these are compiled, by this or by other threads. The first failure in their order is answered;
  /// what failed is tried again when it is next asked for, since memory may have been short.
  Status prepare(std::span<const uint32_t> wanted);
  /// The entry of a stage, or null while its module is not ready. Allocates nothing and takes no lock.
  const CudaFunction *function(const artifact::Stage &stage) const;

private:
  struct Entry {
    const artifact::Kernel *kernel = nullptr;
    CudaFunction made;
    std::atomic<const CudaFunction *> function{nullptr}; // `made` once it is
  };
  struct Slot {
    enum class State { unloaded, compiling, ready, failed } state = State::unloaded;
    cuda::Module module = nullptr;
    Status failure;
    std::vector<std::pair<const artifact::Stage *, Entry *>> entries;
  };

  /// Claims and compiles modules of `wanted` until none is left to claim.
  void work(std::span<const uint32_t> wanted);
  Status compile(uint32_t number, Slot &slot);
  Status load(const std::string &code, cuda::Module &to) const;
  void allowShared(cuda::Function function) const;

  const cuda::Driver &driver;
  cuda::Context context;
  const artifact::Model &model;
  Facts facts;
  std::mutex mutex; // guards states, failures
  std::condition_variable done;
  std::vector<Slot> slots; // by module
  /// The map itself never changes after construction.
  std::unordered_map<const artifact::Stage *, Entry> functions;
};

} // namespace kt::device

#endif
