//===- CudaDevice.cpp - an NVIDIA GPU as a device -------------------------===//
//
// The primary context and memory, ours and the caller's. CudaModules.cpp has the code, CudaStream.cpp the streams.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/CudaDevice.h"
#include "runtime/device/CudaDriver.h"
#include "runtime/device/CudaModules.h"
#include "runtime/device/CudaStream.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace kt::device {
namespace {

using cuda::DevicePointer;
using cuda::Driver;

DevicePointer address(const void *memory) { return reinterpret_cast<DevicePointer>(memory); }

/// "sm_89" -> 89, "sm_90a" -> 90 and true; 0 when it is no GPU target.
struct SmTarget {
  int version = 0;
  bool exact = false;
};
SmTarget parseTarget(const std::string &target) {
  SmTarget result;
  if (target.rfind("sm_", 0) != 0)
    return result;
  const char *end = target.data() + target.size();
  auto [rest, error] = std::from_chars(target.data() + 3, end, result.version);
  if (error != std::errc() || result.version <= 0 || end - rest > 1 || (rest != end && *rest != 'a'))
    return {};
  result.exact = rest != end;
  return result;
}

class CudaDevice final : public Device {
public:
  CudaDevice(const Driver &driver, int ordinal) : driver(driver), ordinal(ordinal) {}
  ~CudaDevice() override {
    if (!context)
      return;
    modules.reset();
    driver.PrimaryCtxRelease(id);
  }

  Status open() {
    int count = 0;
    KT_CUDA(driver, DeviceGetCount, &count);
    if (ordinal >= count)
      return Status::failed("cuda:" + std::to_string(ordinal) + " asked for, but there are " + std::to_string(count) +
                            " GPUs");
    KT_CUDA(driver, DeviceGet, &id, ordinal);
    char text[256] = {};
    KT_CUDA(driver, DeviceGetName, text, sizeof(text) - 1, id);
    gpuName = text;
    int major = 0, minor = 0, processors = 0, shared = 0, l2 = 0;
    KT_CUDA(driver, DeviceGetAttribute, &major, cuda::kMajor, id);
    KT_CUDA(driver, DeviceGetAttribute, &minor, cuda::kMinor, id);
    KT_CUDA(driver, DeviceGetAttribute, &processors, cuda::kMultiprocessors, id);
    KT_CUDA(driver, DeviceGetAttribute, &shared, cuda::kSharedOptIn, id);
    KT_CUDA(driver, DeviceGetAttribute, &l2, cuda::kL2Bytes, id);
    known = {processors, shared, major * 10 + minor, l2};
    KT_CUDA(driver, PrimaryCtxRetain, &context, id);
    return enter();
  }

  bool isHost() const override { return false; }
  std::string name() const override {
    return shortName() + " (" + gpuName + ", sm_" + std::to_string(known.computeCapability) + ")";
  }
  Facts facts() const override { return known; }
  std::string kind() const override { return gpuName; }

  int preference(const std::string &target) const override {
    SmTarget t = parseTarget(target);
    if (t.version == 0 || t.version > known.computeCapability || (t.exact && t.version != known.computeCapability))
      return 0;
    return 2 * t.version + t.exact;
  }

  Status unsupported(const std::vector<std::string> &targets) const override {
    std::string list;
    for (const std::string &target : targets)
      if (parseTarget(target).version)
        list += (list.empty() ? "" : " or ") + target;
    return Status::failed(list.empty() ? "the artifact has no GPU code"
                                       : "the artifact's GPU code needs " + list + " but " + gpuName + " is sm_" +
                                             std::to_string(known.computeCapability));
  }

  Status load(const artifact::Model &model) override {
    for (const artifact::Module &module : model.modules)
      runnable.push_back(preference(module.target) > 0 && runsCubin(module));
    modules.emplace(driver, context, model, runnable, known);
    return {};
  }
  bool runs(uint32_t module) const override { return runnable[module]; }
  Status prepare(std::span<const uint32_t> wanted) override { return modules->prepare(wanted); }
  const void *function(const artifact::Stage &stage) const override { return modules->function(stage); }

  Result<void *> allocate(uint64_t bytes) override {
    KT_RETURN_IF_ERROR(enter());
    DevicePointer memory = 0;
    if (cuda::Result result = driver.MemAlloc(&memory, std::max<uint64_t>(bytes, kAlignment)))
      return cuda::wrap(driver, result, "cuMemAlloc").in(std::to_string(bytes) + " bytes");
    return reinterpret_cast<void *>(memory);
  }
  void release(void *memory) override {
    if (memory && enter().ok())
      driver.MemFree(address(memory));
  }
  Result<void *> allocateStaging(uint64_t bytes) override {
    KT_RETURN_IF_ERROR(enter());
    void *memory = nullptr;
    if (cuda::Result result =
            driver.MemHostAlloc(&memory, std::max<uint64_t>(bytes, kAlignment), cuda::kHostAllocPortable))
      return cuda::wrap(driver, result, "cuMemHostAlloc").in(std::to_string(bytes) + " bytes");
    return memory;
  }
  void releaseStaging(void *memory) override {
    if (memory && enter().ok())
      driver.MemFreeHost(memory);
  }
  Result<std::pair<uint64_t, uint64_t>> memory() const override {
    KT_RETURN_IF_ERROR(enter());
    size_t free = 0, total = 0;
    KT_CUDA(driver, MemGetInfo, &free, &total);
    return std::pair<uint64_t, uint64_t>(free, total);
  }
  Result<std::unique_ptr<Stream>> createStream() override { return createCudaStream(driver, context); }

  Status checkMemory(const void *memory) const override {
    KT_RETURN_IF_ERROR(enter());
    int type = 0, device = -1;
    cuda::Context owner = nullptr;
    int attributes[] = {cuda::kPointerMemoryType, cuda::kPointerDevice, cuda::kPointerContext};
    void *answers[] = {&type, &device, &owner};
    // Of what it does not know the driver answers nothing, which is no failure.
    KT_CUDA(driver, PointerGetAttributes, 3, attributes, answers, address(memory));
    if (type == 0)
      return Status::usage("the driver knows of no memory there, it may have been freed");
    if (type == cuda::kMemoryHost)
      return Status::usage("it is memory of the host, expected memory of " + shortName());
    if (device != ordinal)
      return Status::usage("it is memory of cuda:" + std::to_string(device) + ", expected " + shortName());
    // What comes from pools and mappings belongs to no context.
    if (owner && owner != context)
      return Status::usage("it is memory of another context of " + shortName() + ", expected the primary one");
    return {};
  }

  Status checkStream(void *stream) const override {
    KT_RETURN_IF_ERROR(enter());
    auto *handle = static_cast<cuda::Stream>(stream);
    cuda::Context owner = nullptr;
    if (cuda::Result result = driver.StreamGetCtx(handle, &owner))
      return Status::usage("the stream is none of the driver's: " +
                           cuda::wrap(driver, result, "cuStreamGetCtx").message());
    if (owner != context) {
      cuda::DeviceId other = -1;
      driver.CtxSetCurrent(owner);
      cuda::Result result = driver.CtxGetDevice(&other);
      KT_RETURN_IF_ERROR(enter());
      if (result == 0 && other == id)
        return Status::usage("the stream is of another context of " + shortName() + ", expected the primary one");
      return Status::usage("the stream is of another device, expected " + shortName());
    }
    int capturing = 0;
    KT_CUDA(driver, StreamIsCapturing, handle, &capturing);
    return capturing ? Status::usage("the stream is being captured, which runs do not take part in") : Status();
  }

private:
  Status enter() const {
    KT_CUDA(driver, CtxSetCurrent, context);
    return {};
  }

  std::string shortName() const { return "cuda:" + std::to_string(ordinal); }

  /// Machine code runs within its major version only; PTX on everything newer.
  bool runsCubin(const artifact::Module &module) const {
    return module.kind != artifact::Module::Kind::Cubin ||
           parseTarget(module.target).version / 10 == known.computeCapability / 10;
  }

  const Driver &driver;
  int ordinal;
  cuda::DeviceId id = 0;
  cuda::Context context = nullptr;
  std::string gpuName;
  Facts known;
  std::vector<uint8_t> runnable; // by module
  std::optional<CudaModules> modules;
};

} // namespace

CallerContext::CallerContext() {
  cuda::Context current = nullptr;
  if (const Driver *driver = cuda::driverInUse())
    known = driver->CtxGetCurrent(&current) == 0;
  context = current;
}

CallerContext::~CallerContext() {
  if (known)
    cuda::driverInUse()->CtxSetCurrent(static_cast<cuda::Context>(context));
}

Result<std::unique_ptr<Device>> createCudaDevice(int ordinal) {
  auto driver = cuda::driver();
  if (!driver.ok())
    return std::move(driver).status();
  CallerContext keep;
  auto device = std::make_unique<CudaDevice>(**driver, ordinal);
  KT_RETURN_IF_ERROR(device->open());
  return std::unique_ptr<Device>(std::move(device));
}

} // namespace kt::device
