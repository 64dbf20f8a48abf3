//===- CudaDriver.cpp - the CUDA driver, loaded at run time ---------------===//
//
// libcuda.so.1 belongs to the driver, not to the toolkit: it is there exactly when a GPU can be used.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/CudaDriver.h"

#include <atomic>
#include <dlfcn.h>

namespace kt::device::cuda {
namespace {

struct Loaded {
  Driver driver;
  Status status;
};

Loaded load() {
  Loaded result;
  void *library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = ::dlerror();
    result.status = Status::failed(std::string("no CUDA driver: ") + (reason ? reason : "libcuda.so.1 is not there"));
    return result;
  }
#define KT_RESOLVE(name, symbol, parameters)                                                                           \
  result.driver.name = reinterpret_cast<decltype(result.driver.name)>(::dlsym(library, symbol));                       \
  if (!result.driver.name && result.status.ok())                                                                       \
    result.status = Status::failed("the CUDA driver is too old: it has no " symbol);
  KT_CUDA_FUNCTIONS(KT_RESOLVE)
#undef KT_RESOLVE
  if (result.status.ok())
    result.status = wrap(result.driver, result.driver.Init(0), "cuInit");
  return result;
}

std::atomic<const Driver *> inUse{nullptr};

} // namespace

kt::Result<const Driver *> driver() {
  static const Loaded loaded = load();
  if (!loaded.status.ok())
    return loaded.status;
  inUse = &loaded.driver;
  return &loaded.driver;
}

const Driver *driverInUse() { return inUse; }

Status wrap(const Driver &driver, Result result, const char *call) {
  if (result == 0)
    return {};
  const char *name = nullptr, *text = nullptr;
  driver.GetErrorName(result, &name);
  driver.GetErrorString(result, &text);
  return Status::failed(std::string(call) + ": " + (name ? name : "error " + std::to_string(result)) +
                        (text ? std::string(" (") + text + ")" : std::string()));
}

} // namespace kt::device::cuda
