//===- CudaModules.cpp - a model's code on an NVIDIA GPU ------------------===//
//
// The driver takes 50 to 250 ms for a module of PTX, and a model has several variants of each kernel of which a run
// needs one: so only what is asked for is compiled, on up to 16 threads.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/CudaModules.h"
#include "runtime/artifact/Print.h"
#include "runtime/device/OverlapLaunches.h"
#include "runtime/os/Thread.h"

#include <algorithm>
#include <thread>

namespace kt::device {

CudaModules::CudaModules(const cuda::Driver &driver, cuda::Context context, const artifact::Model &model,
                         const std::vector<uint8_t> &runs, const Facts &facts)
    : driver(driver), context(context), model(model), facts(facts), slots(model.modules.size()) {
  for (const artifact::Kernel &kernel : model.kernels)
    for (const artifact::Variant &variant : kernel.variants)
      for (const artifact::Stage &stage : variant.stages)
        if (runs[stage.module]) {
          Entry &entry = functions[&stage];
          entry.kernel = &kernel;
          slots[stage.module].entries.emplace_back(&stage, &entry);
        }
}

CudaModules::~CudaModules() {
  driver.CtxSetCurrent(context);
  for (const Slot &slot : slots)
    if (slot.module)
      driver.ModuleUnload(slot.module);
}

const CudaFunction *CudaModules::function(const artifact::Stage &stage) const {
  auto found = functions.find(&stage);
  return found == functions.end() ? nullptr : found->second.function.load(std::memory_order_acquire);
}

Status CudaModules::prepare(std::span<const uint32_t> wanted) {
  std::vector<uint32_t> missing;
  {
    std::lock_guard lock(mutex);
    for (uint32_t number : wanted) {
      Slot &slot = slots[number];
      if (slot.state == Slot::State::ready || std::find(missing.begin(), missing.end(), number) != missing.end())
        continue;
      if (slot.state == Slot::State::failed)
        slot.state = Slot::State::unloaded;
      missing.push_back(number);
    }
  }
  if (missing.empty())
    return {};
  // The largest first: what takes longest must not be begun last.
  std::vector<uint32_t> order = missing;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(model.modules[b].code.size(), a) < std::pair(model.modules[a].code.size(), b);
  });
  size_t count = std::min<size_t>(order.size(), std::clamp(std::thread::hardware_concurrency(), 1u, 16u));
  {
    std::vector<std::unique_ptr<os::Thread>> helpers;
    for (size_t i = 1; i < count; ++i)
      helpers.push_back(os::Thread::start([&] { work(order); }));
    work(order);
  }

  std::unique_lock lock(mutex);
  Status first;
  for (uint32_t number : missing) {
    Slot &slot = slots[number];
    // What another thread has claimed; should its attempt be given up for a new one, that one is waited for.
    done.wait(lock, [&] { return slot.state == Slot::State::ready || slot.state == Slot::State::failed; });
    if (first.ok() && slot.state == Slot::State::failed)
      first = slot.failure;
  }
  return first;
}

void CudaModules::work(std::span<const uint32_t> wanted) {
  for (uint32_t number : wanted) {
    Slot &slot = slots[number];
    {
      std::lock_guard lock(mutex);
      if (slot.state != Slot::State::unloaded)
        continue;
      slot.state = Slot::State::compiling;
    }
    Status status = compile(number, slot);
    {
      std::lock_guard lock(mutex);
      slot.state = status.ok() ? Slot::State::ready : Slot::State::failed;
      slot.failure = std::move(status);
    }
    done.notify_all();
  }
}

/// Compiles the module and looks up the functions of all stages that it has.
Status CudaModules::compile(uint32_t number, Slot &slot) {
  const artifact::Module &module = model.modules[number];
  auto failed = [&](Status status, const Entry &entry) {
    if (slot.module)
      driver.ModuleUnload(slot.module);
    slot.module = nullptr;
    return std::move(status)
        .in("module " + std::to_string(number) + " (" + module.target + ")")
        .in("kernel '" + artifact::escaped(entry.kernel->name) + "'");
  };
  if (slot.entries.empty()) // no stage needs it
    return {};
  const Entry &user = *slot.entries.front().second;
  if (cuda::Result result = driver.CtxSetCurrent(context))
    return failed(cuda::wrap(driver, result, "cuCtxSetCurrent"), user);
  std::string code(reinterpret_cast<const char *>(module.code.data()), module.code.size()); // PTX ends with a zero
  bool overlaps = module.kind == artifact::Module::Kind::Ptx && overlapLaunches(code, facts.computeCapability);
  if (Status status = load(code, slot.module); !status.ok())
    return failed(std::move(status), user);
  std::vector<cuda::Function> found;
  for (auto &[stage, entry] : slot.entries) {
    cuda::Function function = nullptr;
    if (cuda::Result result = driver.ModuleGetFunction(&function, slot.module, stage->entry.c_str()))
      return failed(
          cuda::wrap(driver, result, "cuModuleGetFunction").in("entry '" + artifact::escaped(stage->entry) + "'"),
          *entry);
    // Kernels with static shared memory cannot take all of it; the launch tells when there is too little.
    if (stage->shared != artifact::kNone)
      allowShared(function);
    // Blocks of such a launch come beside those of the one before. A multiprocessor that divides its memory for the
    // one kernel's shared memory alone has none for the other's until it is empty. What cannot be preferred is not.
    if (overlaps)
      driver.FuncSetAttribute(function, cuda::kFunctionCarveout, 100);
    found.push_back(function);
  }
  // Shown only now: a function whose module failed after all would be one of a module that is gone.
  for (size_t i = 0; i < found.size(); ++i) {
    Entry &entry = *slot.entries[i].second;
    entry.made = {found[i], overlaps};
    entry.function.store(&entry.made, std::memory_order_release);
  }
  return {};
}

Status CudaModules::load(const std::string &code, cuda::Module &to) const {
  char log[8192] = {};
  int options[] = {cuda::kJitErrorLog, cuda::kJitErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
  cuda::Result result = driver.ModuleLoadDataEx(&to, code.c_str(), 2, options, values);
  if (result == 0)
    return {};
  to = nullptr;
  Status status = cuda::wrap(driver, result, "cuModuleLoadDataEx");
  return log[0] ? Status::failed(status.message() + ": " + log) : status;
}

void CudaModules::allowShared(cuda::Function function) const {
  for (int64_t bytes = facts.sharedPerBlock; bytes > 48 * 1024; bytes -= 1024)
    if (driver.FuncSetAttribute(function, cuda::kFunctionMaxDynamicShared, static_cast<int>(bytes)) == 0)
      return;
}

} // namespace kt::device
