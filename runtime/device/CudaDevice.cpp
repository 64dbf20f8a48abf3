//===- CudaDevice.cpp - an NVIDIA GPU as a device -------------------------===//
//
// The primary context, memory, and streams with a second one for copies of weights. CudaModules.cpp has the code.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/CudaDevice.h"
#include "runtime/device/CudaDriver.h"
#include "runtime/device/CudaModules.h"

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

class CudaGraph final : public Graph {
public:
  CudaGraph(const Driver &driver, cuda::Context context, cuda::GraphExec exec)
      : driver(driver), context(context), exec(exec) {}
  ~CudaGraph() override {
    driver.CtxSetCurrent(context);
    driver.GraphExecDestroy(exec);
  }
  const Driver &driver;
  cuda::Context context;
  cuda::GraphExec exec;
};

class CudaStream final : public Stream {
public:
  CudaStream(const Driver &driver, cuda::Context context) : driver(driver), context(context) {}
  ~CudaStream() override {
    driver.CtxSetCurrent(context);
    for (cuda::Stream s : {compute, copies})
      if (s)
        driver.StreamDestroy(s);
    for (cuda::Event e : {computed, copied})
      if (e)
        driver.EventDestroy(e);
    for (cuda::Event e : marks)
      if (e)
        driver.EventDestroy(e);
  }

  Status create() {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, StreamCreate, &compute, cuda::kStreamNonBlocking);
    KT_CUDA(driver, StreamCreate, &copies, cuda::kStreamNonBlocking);
    KT_CUDA(driver, EventCreate, &computed, cuda::kEventDisableTiming);
    KT_CUDA(driver, EventCreate, &copied, cuda::kEventDisableTiming);
    return {};
  }

  Status launch(const StageLaunch &stage, const LaunchArguments &a) override {
    KT_RETURN_IF_ERROR(enter());
    // The driver copies the values out while it is called.
    values.clear();
    for (uint32_t i = 0; i < a.numBuffers; ++i)
      values.push_back(address(a.buffers[i]));
    if (a.hasWorkspace)
      values.push_back(address(a.workspace));
    if (a.hasCounters)
      values.push_back(address(a.counters));
    if (a.reportsFaults)
      values.push_back(address(a.faults));
    for (uint32_t i = 0; i < a.numInts; ++i)
      values.push_back(static_cast<uint32_t>(static_cast<int32_t>(a.ints[i])));
    parameters.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i)
      parameters[i] = &values[i];
    auto function = reinterpret_cast<cuda::Function>(const_cast<void *>(stage.function));
    const auto &block = stage.stage->block;
    KT_CUDA(driver, LaunchKernel, function, static_cast<unsigned>(stage.grid[0]), static_cast<unsigned>(stage.grid[1]),
            static_cast<unsigned>(stage.grid[2]), block[0], block[1], block[2], static_cast<unsigned>(stage.shared),
            compute, parameters.data(), nullptr);
    return {};
  }

  Status copyIn(void *dst, const void *src, uint64_t bytes) override {
    if (bytes == 0)
      return {};
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, MemcpyHtoDAsync, address(dst), src, bytes, compute);
    return {};
  }
  Status copyOut(void *dst, const void *src, uint64_t bytes) override {
    if (bytes == 0)
      return {};
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, MemcpyDtoHAsync, dst, address(src), bytes, compute);
    return {};
  }
  Status copy(void *dst, const void *src, uint64_t bytes) override {
    if (bytes == 0 || dst == src)
      return {};
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, MemcpyDtoDAsync, address(dst), address(src), bytes, compute);
    return {};
  }
  Status zero(void *dst, uint64_t bytes) override {
    if (bytes == 0)
      return {};
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, MemsetD8Async, address(dst), 0, bytes, compute);
    return {};
  }
  Status synchronize() override {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, StreamSynchronize, compute);
    return {};
  }
  Status mark(size_t number) override {
    KT_RETURN_IF_ERROR(enter());
    if (marks.size() <= number)
      marks.resize(number + 1);
    if (!marks[number])
      KT_CUDA(driver, EventCreate, &marks[number], cuda::kEventDefault);
    KT_CUDA(driver, EventRecord, marks[number], compute);
    return {};
  }
  Result<int64_t> between(size_t from, size_t to) override {
    KT_RETURN_IF_ERROR(enter());
    float milliseconds = 0;
    KT_CUDA(driver, EventElapsedTime, &milliseconds, marks[from], marks[to]);
    return static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
  }

  Status prefetch(void *dst, const void *src, uint64_t bytes) override {
    if (bytes == 0)
      return {};
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, MemcpyHtoDAsync, address(dst), src, bytes, copies);
    return {};
  }
  Status fence() override {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, EventRecord, computed, compute);
    KT_CUDA(driver, StreamWaitEvent, copies, computed, 0);
    return {};
  }
  Status join() override {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, EventRecord, copied, copies);
    KT_CUDA(driver, StreamWaitEvent, compute, copied, 0);
    return {};
  }

  bool canRecord() const override { return true; }
  Status beginRecord() override {
    KT_RETURN_IF_ERROR(enter());
    // Other threads' allocations must not break this thread's capture.
    KT_CUDA(driver, StreamBeginCapture, compute, cuda::kCaptureThreadLocal);
    return {};
  }
  Result<std::unique_ptr<Graph>> endRecord() override {
    KT_RETURN_IF_ERROR(enter());
    cuda::Graph graph = nullptr;
    KT_CUDA(driver, StreamEndCapture, compute, &graph);
    cuda::GraphExec exec = nullptr;
    cuda::Result result = driver.GraphInstantiate(&exec, graph, 0);
    driver.GraphDestroy(graph);
    if (result)
      return cuda::wrap(driver, result, "cuGraphInstantiateWithFlags");
    return std::unique_ptr<Graph>(std::make_unique<CudaGraph>(driver, context, exec));
  }
  Status replay(Graph &graph) override {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, GraphLaunch, static_cast<CudaGraph &>(graph).exec, compute);
    return {};
  }

private:
  /// The context is a property of the thread, and sessions may move between threads.
  Status enter() {
    KT_CUDA(driver, CtxSetCurrent, context);
    return {};
  }

  const Driver &driver;
  cuda::Context context;
  cuda::Stream compute = nullptr, copies = nullptr;
  cuda::Event computed = nullptr, copied = nullptr;
  std::vector<cuda::Event> marks;
  std::vector<uint64_t> values;
  std::vector<void *> parameters;
};

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
    return "cuda:" + std::to_string(ordinal) + " (" + gpuName + ", sm_" + std::to_string(known.computeCapability) + ")";
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
    modules.emplace(driver, context, model, runnable, known.sharedPerBlock);
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
  Result<std::unique_ptr<Stream>> createStream() override {
    auto stream = std::make_unique<CudaStream>(driver, context);
    KT_RETURN_IF_ERROR(stream->create());
    return std::unique_ptr<Stream>(std::move(stream));
  }

private:
  Status enter() const {
    KT_CUDA(driver, CtxSetCurrent, context);
    return {};
  }

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
