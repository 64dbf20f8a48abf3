//===- HostDevice.cpp - the CPU as a device -------------------------------===//
//
// Images are copied to anonymous memory that is then made read-execute: never writable and executable at once, and safe
// from changes of the file.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/HostDevice.h"
#include "runtime/os/Memory.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cpuid.h>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace kt::device {
namespace {

struct CpuId {
  unsigned a = 0, b = 0, c = 0, d = 0;
  CpuId(unsigned leaf, unsigned sub) {
    if (!__get_cpuid_count(leaf, sub, &a, &b, &c, &d))
      a = b = c = d = 0;
  }
};

uint64_t enabledState() {
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t(high) << 32) | low;
}

bool has(unsigned word, std::initializer_list<unsigned> bits) {
  return std::all_of(bits.begin(), bits.end(), [&](unsigned bit) { return word >> bit & 1; });
}

/// 64-byte aligned memory of this thread alone; kept, so that a steady state allocates nothing.
void *threadScratch(uint64_t bytes) {
  struct Scratch {
    void *memory = nullptr;
    uint64_t bytes = 0;
    ~Scratch() { std::free(memory); }
  };
  static thread_local Scratch scratch;
  if (scratch.bytes < bytes) {
    std::free(scratch.memory);
    scratch.bytes = 0;
    scratch.memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (scratch.memory)
      scratch.bytes = bytes;
  }
  return scratch.memory;
}

const void *const kExternals[] = {
    reinterpret_cast<const void *>(&std::memcpy),
    reinterpret_cast<const void *>(&std::memset),
    reinterpret_cast<const void *>(static_cast<double (*)(double, double)>(&::fmod)),
    reinterpret_cast<const void *>(static_cast<double (*)(double, double)>(&::pow)),
};
static_assert(std::size(kExternals) == static_cast<size_t>(artifact::HostExternal::count));

struct RangeContext {
  void (*entry)(const artifact::HostArgs *);
  const LaunchArguments *arguments;
  uint64_t scratch;
  mutable std::atomic<bool> outOfMemory{false};
};

void runRange(const void *opaque, int64_t begin, int64_t end) {
  const auto &context = *static_cast<const RangeContext *>(opaque);
  artifact::HostArgs args = {};
  args.buffers = context.arguments->buffers;
  args.ints = context.arguments->ints;
  args.workspace = context.arguments->workspace;
  if (context.scratch) {
    args.scratch = threadScratch(context.scratch);
    if (!args.scratch) {
      context.outOfMemory = true;
      return;
    }
  }
  args.begin = begin;
  args.end = end;
  args.externals = kExternals;
  args.faults = context.arguments->faults;
  args.pages = context.arguments->pages;
  context.entry(&args);
}

/// Everything is done when a call returns.
/// Work is done when it has been given to the stream.
class HostEvent final : public Event {
public:
  Status wait() override { return {}; }
  Status delay(void *) override { return Status::usage("the session runs on the host, where there are no streams"); }
};

class HostStream final : public Stream {
public:
  explicit HostStream(HostDevice &device) : device(device) {}

  Status launch(const StageLaunch &stage, const LaunchArguments &arguments) override {
    if (stage.grid[0] <= 0)
      return {};
    RangeContext context{reinterpret_cast<void (*)(const artifact::HostArgs *)>(const_cast<void *>(stage.function)),
                         &arguments, stage.scratch};
    device.threads().run(stage.grid[0], runRange, &context);
    if (context.outOfMemory)
      return Status::failed("no memory for " + std::to_string(stage.scratch) + " bytes of scratch a thread");
    return {};
  }
  Status copyIn(void *dst, const void *src, uint64_t bytes) override { return copy(dst, src, bytes); }
  Status copyOut(void *dst, const void *src, uint64_t bytes) override { return copy(dst, src, bytes); }
  Status copy(void *dst, const void *src, uint64_t bytes) override {
    constexpr uint64_t kPart = 1 << 20;
    bool apart = static_cast<char *>(dst) + bytes <= src || static_cast<const char *>(src) + bytes <= dst;
    if (!apart || bytes < 2 * kPart) {
      if (bytes)
        std::memmove(dst, src, bytes);
      return {};
    }
    struct Context {
      char *dst;
      const char *src;
      uint64_t bytes;
    } context{static_cast<char *>(dst), static_cast<const char *>(src), bytes};
    auto part = [](const void *opaque, int64_t begin, int64_t end) {
      const auto &c = *static_cast<const Context *>(opaque);
      uint64_t from = begin * kPart, to = std::min<uint64_t>(c.bytes, end * kPart);
      std::memcpy(c.dst + from, c.src + from, to - from);
    };
    device.threads().run(static_cast<int64_t>((bytes + kPart - 1) / kPart), part, &context);
    return {};
  }
  Status zero(void *dst, uint64_t bytes) override {
    if (bytes)
      std::memset(dst, 0, bytes);
    return {};
  }
  Status synchronize() override { return {}; }
  Result<std::unique_ptr<Event>> record(std::unique_ptr<Event> again) override {
    return again ? std::move(again) : std::make_unique<HostEvent>();
  }
  Status mark(size_t number) override {
    if (marks.size() <= number)
      marks.resize(number + 1);
    marks[number] = std::chrono::steady_clock::now();
    return {};
  }
  Result<int64_t> between(size_t from, size_t to) override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(marks[to] - marks[from]).count();
  }

private:
  HostDevice &device;
  std::vector<std::chrono::steady_clock::time_point> marks;
};

} // namespace

int hostLevel() {
  CpuId basic(1, 0), extended(7, 0), amd(0x80000001, 0);
  // FMA, MOVBE, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT.
  bool v3 = has(basic.c, {12, 22, 27, 28, 29}) && has(extended.b, {3, 5, 8}) && has(amd.c, {5});
  if (!v3 || (enabledState() & 0x6) != 0x6)
    return 0;
  // AVX-512 F, DQ, CD, BW, VL, with the system saving their registers.
  bool v4 = has(extended.b, {16, 17, 28, 30, 31}) && (enabledState() & 0xe6) == 0xe6;
  return v4 ? 4 : 3;
}

bool hostHasVnni(int level) {
  if (level >= 4)
    return has(CpuId(7, 0).c, {11});
  return level >= 3 && has(CpuId(7, 1).a, {4});
}

std::string cpuName() {
  std::string name;
  for (unsigned leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
    CpuId part(leaf, 0);
    for (unsigned word : {part.a, part.b, part.c, part.d})
      for (unsigned shift = 0; shift < 32; shift += 8)
        if (char c = static_cast<char>(word >> shift))
          name += c;
  }
  size_t from = name.find_first_not_of(' '), to = name.find_last_not_of(' ');
  return from == std::string::npos ? "unnamed CPU" : name.substr(from, to - from + 1);
}

HostDevice::HostDevice(unsigned threads, int level, bool vnni) : pool(threads), level(level), vnni(vnni) {}

HostDevice::~HostDevice() {
  for (Image &image : images)
    if (image.address)
      ::munmap(image.address, image.bytes);
}

std::string HostDevice::name() const {
  const char *simd = level >= 4 ? "AVX-512" : level >= 3 ? "AVX2" : "no AVX2";
  return std::string("host (") + simd + ", " + std::to_string(pool.size()) + " threads)";
}

Facts HostDevice::facts() const {
  long l2 = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
  return {static_cast<int64_t>(pool.size()), 0, level, l2 > 0 ? l2 : 0};
}

int HostDevice::preference(const std::string &target) const {
  if (target == "host-v3")
    return level >= 3 ? 3 : 0;
  if (target == "host-v4")
    return level >= 4 ? 4 : 0;
  if (target == "host-v3-vnni")
    return level == 3 && vnni ? 5 : 0;
  if (target == "host-v4-vnni")
    return level >= 4 && vnni ? 6 : 0;
  return 0;
}

Status HostDevice::unsupported(const std::vector<std::string> &targets) const {
  std::string list;
  for (const std::string &target : targets)
    list += (list.empty() ? "" : ", ") + target;
  if (level < 3)
    return Status::failed("host code needs an x86-64-v3 CPU (AVX2, FMA, F16C, BMI) but this one is '" + cpuName() +
                          "'");
  return Status::failed("the artifact is for " + (list.empty() ? "no target" : list) + " but the host runs host-v3" +
                        (level >= 4 ? " and host-v4" : ""));
}

Status HostDevice::load(const artifact::Model &model) {
  images.resize(model.modules.size());
  size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  for (size_t i = 0; i < model.modules.size(); ++i) {
    const artifact::Module &module = model.modules[i];
    if (module.kind != artifact::Module::Kind::HostImage || preference(module.target) == 0)
      continue;
    size_t bytes = (module.code.size() + page - 1) / page * page;
    void *address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED)
      return Status::failed("no memory for " + std::to_string(bytes) + " bytes of code: " + std::strerror(errno));
    images[i] = {address, bytes};
    std::memcpy(address, module.code.data(), module.code.size());
    if (::mprotect(address, bytes, PROT_READ | PROT_EXEC) != 0)
      return Status::failed("cannot make " + std::to_string(bytes) +
                            " bytes of code executable: " + std::strerror(errno));
  }
  return {};
}

const void *HostDevice::function(const artifact::Stage &stage) const {
  const Image &image = images[stage.module];
  return image.address ? static_cast<const char *>(image.address) + stage.entryOffset : nullptr;
}

Result<void *> HostDevice::allocate(uint64_t bytes) {
  // The system would promise it and end the process when it is used.
  KT_RETURN_IF_ERROR(os::expectMemory(bytes, "a run"));
  uint64_t rounded = std::max<uint64_t>(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  void *memory = rounded < bytes ? nullptr : std::aligned_alloc(kAlignment, rounded);
  if (!memory)
    return Status::failed("no memory for " + std::to_string(bytes) + " bytes");
  return memory;
}

void HostDevice::release(void *memory) { std::free(memory); }

Result<std::pair<uint64_t, uint64_t>> HostDevice::memory() const {
  uint64_t page = ::sysconf(_SC_PAGESIZE);
  return std::pair<uint64_t, uint64_t>(::sysconf(_SC_AVPHYS_PAGES) * page, ::sysconf(_SC_PHYS_PAGES) * page);
}

Status HostDevice::checkMemory(const void *) const {
  return Status::usage("it is said to be memory of a device, but the session runs on the host");
}

Status HostDevice::checkStream(void *) const {
  return Status::usage("the session runs on the host, where there are no streams");
}

Result<std::unique_ptr<Stream>> HostDevice::createStream() {
  return std::unique_ptr<Stream>(std::make_unique<HostStream>(*this));
}

} // namespace kt::device
