//===- Runtime.cpp - the public C++ API -----------------------------------===//
//
// Names for ports and owners for sessions; the work is the executor's.
//
//===----------------------------------------------------------------------===//

#include "runtime/api/Internal.h"
#include "runtime/artifact/Print.h"

#include <algorithm>

namespace kt {

static_assert(static_cast<int>(DataType::string) == static_cast<int>(artifact::DType::string) &&
                  static_cast<int>(DataType::i4) == static_cast<int>(artifact::DType::i4) &&
                  static_cast<int>(DataType::boolean) == static_cast<int>(artifact::DType::boolean),
              "the public types are those of the artifact");

static_assert(static_cast<int>(CheckNumerics::all) == static_cast<int>(exec::Numerics::all) &&
              static_cast<int>(CheckNumerics::faults) == static_cast<int>(exec::Numerics::faults));

uint32_t byteSize(DataType type) { return artifact::byteSize(static_cast<artifact::DType>(type)); }
const char *name(DataType type) { return artifact::name(static_cast<artifact::DType>(type)); }

namespace {
PortInfo describe(const artifact::Model &model, const artifact::Port &port) {
  PortInfo info;
  info.name = port.name;
  info.type = static_cast<DataType>(port.type);
  for (artifact::ExprId id : port.dims) {
    const artifact::Expr &e = model.exprs[id];
    info.dims.push_back(e.op == artifact::Expr::Op::Const ? e.imm : -1);
    info.text.push_back(artifact::printExpr(model, id));
  }
  return info;
}
} // namespace

Model::Model(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Model::~Model() = default;

Result<std::shared_ptr<Model>> Model::load(const std::string &path, const Options &options) {
  return guarded([&]() -> Result<std::shared_ptr<Model>> { return loadModel(path, options); });
}

Result<std::shared_ptr<Model>> Model::loadModel(const std::string &path, const Options &options) {
  exec::LoadOptions load;
  load.device = options.device;
  load.threads = options.threads;
  load.deviceMemory = options.deviceMemory;
  load.verifyDigests = options.verifyDigests;
  load.cudaGraphs = options.cudaGraphs;
  load.tuning = options.tuning;
  auto program = exec::Program::load(path, load);
  if (!program.ok())
    return std::move(program).status();
  auto impl = std::make_unique<Impl>();
  impl->program = *std::move(program);
  const artifact::Model &model = impl->program->model();
  for (const artifact::Port &port : model.inputs) {
    impl->inputIndex.emplace(port.name, impl->inputs.size());
    impl->inputs.push_back(describe(model, port));
  }
  for (const artifact::Port &port : model.outputs) {
    impl->outputIndex.emplace(port.name, impl->outputs.size());
    impl->outputs.push_back(describe(model, port));
    if (port.tied == artifact::kNone)
      continue;
    impl->outputs.back().tied = model.inputs[port.tied].name;
    impl->inputs[port.tied].tied = port.name;
    if (port.axis != artifact::kNone)
      (grows(model, port) ? impl->outputs.back().grows : impl->outputs.back().written) = port.axis;
    impl->inputs[port.tied].grows = impl->outputs.back().grows;
    impl->inputs[port.tied].written = impl->outputs.back().written;
  }
  return std::shared_ptr<Model>(new Model(std::move(impl)));
}

const std::vector<PortInfo> &Model::inputs() const { return impl->inputs; }
const std::vector<PortInfo> &Model::outputs() const { return impl->outputs; }
std::string Model::device() const { return impl->program->device->name(); }

Result<std::shared_ptr<void>> Model::allocate(uint64_t bytes) {
  return guarded([&]() -> Result<std::shared_ptr<void>> {
    device::CallerContext keep;
    uint64_t size = std::max<uint64_t>(bytes, 1);
    auto memory = impl->program->account->allocate(size, "memory of the caller");
    if (!memory.ok())
      return std::move(memory).status();
    return std::shared_ptr<void>(*memory, [model = shared_from_this(), size](void *freed) {
      device::CallerContext keepAgain;
      model->impl->program->account->release(freed, size);
    });
  });
}

Result<std::unique_ptr<Session>> Model::createSession(const SessionOptions &options) {
  return guarded([&]() -> Result<std::unique_ptr<Session>> { return makeSession(options); });
}

Result<std::unique_ptr<Session>> Model::makeSession(const SessionOptions &options) {
  device::CallerContext keep;
  uint64_t capacity = options.capacity;
  std::shared_ptr<exec::PagePool> pages;
  if (options.pool) {
    if (options.pool->impl->model.get() != this)
      return Status::usage("the pool is of another model than the session");
    pages = options.pool->impl->pages;
    capacity = capacity ? capacity : pages->pages() * artifact::kPageRows;
  }
  auto executor = exec::Executor::create(*impl->program, capacity, pages);
  if (!executor.ok())
    return std::move(executor).status();
  KT_RETURN_IF_ERROR((*executor)->checkNumerics(static_cast<exec::Numerics>(options.checkNumerics)));
  auto session = std::make_unique<Session::Impl>();
  session->model = shared_from_this();
  session->pool = options.pool;
  session->executor = *std::move(executor);
  session->views.resize(impl->inputs.size());
  for (const PortInfo &port : impl->outputs)
    session->outputs.push_back({port.name, port.type, {}, nullptr});
  return std::unique_ptr<Session>(new Session(std::move(session)));
}

Session::Session(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Session::~Session() {
  device::CallerContext keep;
  impl->executor.reset();
}

Status Session::run(std::span<const TensorView> inputs) {
  return guarded([&] { return runOn(inputs); });
}

Status Session::runOn(std::span<const TensorView> inputs) {
  impl->begin();
  for (const TensorView &tensor : inputs)
    KT_RETURN_IF_ERROR(impl->takeInput(tensor));
  KT_RETURN_IF_ERROR(impl->expectInputs());
  impl->requests.assign(impl->outputs.size(), {});
  device::CallerContext keep;
  KT_RETURN_IF_ERROR(impl->executor->run(impl->views, impl->requests));
  impl->showOutputs();
  return {};
}

Status Session::repeat() {
  impl->valid = false;
  device::CallerContext keep;
  return impl->executor->repeat();
}

void Session::cancel() { impl->executor->cancel(); }

std::span<const TensorView> Session::outputs() const {
  return impl->valid ? std::span<const TensorView>(impl->outputs) : std::span<const TensorView>();
}

const void *Session::copyOf(size_t output) const {
  return impl->valid && output < impl->outputs.size() ? impl->executor->outputs()[output].copy : nullptr;
}

Stats Session::stats() const {
  const exec::Counters &counters = impl->executor->counters();
  exec::Program &program = *impl->model->impl->program;
  Stats stats;
  stats.runs = counters.runs;
  stats.plans = counters.plans;
  stats.launches = counters.launches;
  stats.onceLaunches = counters.onceLaunches;
  stats.graphReplays = counters.graphReplays;
  stats.graphRecordings = counters.graphRecordings;
  stats.graphPatches = counters.graphPatches;
  stats.graphFailures = counters.graphFailures;
  stats.arenaBytes = counters.arenaBytes;
  stats.pages = impl->executor->heldPages();
  stats.streamedBytes = counters.streamedBytes;
  std::shared_lock lock(program.residency); // another session may be moving weights
  stats.residentWeightBytes = program.weights->residentBytes();
  stats.lookedUpWeightBytes = program.weights->lookedUpBytes();
  stats.streamedWeightBytes = program.weights->streamedBytes();
  stats.deviceBytes = program.account->inUse();
  stats.peakDeviceBytes = program.account->peak();
  stats.hostFallbacks = counters.fallbacks;
  stats.schedules = impl->executor->schedules();
  return stats;
}

void Session::profile(bool on) { impl->executor->profile(on); }

std::vector<ProfileEvent> Session::profileEvents() const {
  std::vector<ProfileEvent> events;
  for (const exec::ProfileEvent &e : impl->executor->events())
    events.push_back({e.name, e.node, e.device, e.schedule, e.startMicroseconds, e.microseconds, e.bytes, e.slice});
  return events;
}

Status Session::checkNumerics(CheckNumerics mode) {
  return guarded([&] {
    device::CallerContext keep;
    return impl->executor->checkNumerics(static_cast<exec::Numerics>(mode));
  });
}

const std::vector<std::string> &Session::numericsWarnings() const { return impl->executor->numericsWarnings(); }

} // namespace kt
