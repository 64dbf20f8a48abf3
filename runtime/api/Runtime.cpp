//===- Runtime.cpp - the public C++ API -----------------------------------===//
//
// Names for ports and owners for sessions; the work is the executor's.
//
//===----------------------------------------------------------------------===//

#include "kt/Runtime.h"
#include "runtime/api/Guard.h"
#include "runtime/artifact/Print.h"
#include "runtime/exec/Executor.h"

#include <unordered_map>

namespace kt {

static_assert(static_cast<int>(DataType::string) == static_cast<int>(artifact::DType::string) &&
                  static_cast<int>(DataType::i4) == static_cast<int>(artifact::DType::i4) &&
                  static_cast<int>(DataType::boolean) == static_cast<int>(artifact::DType::boolean),
              "the public types are those of the artifact");

uint32_t byteSize(DataType type) { return artifact::byteSize(static_cast<artifact::DType>(type)); }
const char *name(DataType type) { return artifact::name(static_cast<artifact::DType>(type)); }

struct Model::Impl {
  std::unique_ptr<exec::Program> program;
  std::vector<PortInfo> inputs, outputs;
  std::unordered_map<std::string, size_t> inputIndex;
};

struct Session::Impl {
  std::shared_ptr<Model> model; // declared first: the executor goes before the program it runs
  std::unique_ptr<exec::Executor> executor;
  std::vector<exec::InputView> views;
  std::vector<TensorView> outputs;
  bool valid = false;
};

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
  for (const artifact::Port &port : model.outputs)
    impl->outputs.push_back(describe(model, port));
  return std::shared_ptr<Model>(new Model(std::move(impl)));
}

const std::vector<PortInfo> &Model::inputs() const { return impl->inputs; }
const std::vector<PortInfo> &Model::outputs() const { return impl->outputs; }
std::string Model::device() const { return impl->program->device->name(); }

Result<std::unique_ptr<Session>> Model::createSession() {
  return guarded([&]() -> Result<std::unique_ptr<Session>> { return makeSession(); });
}

Result<std::unique_ptr<Session>> Model::makeSession() {
  device::CallerContext keep;
  auto executor = exec::Executor::create(*impl->program);
  if (!executor.ok())
    return std::move(executor).status();
  auto session = std::make_unique<Session::Impl>();
  session->model = shared_from_this();
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
  const Model::Impl &model = *impl->model->impl;
  impl->valid = false;
  for (exec::InputView &view : impl->views)
    view = {};
  for (const TensorView &tensor : inputs) {
    auto found = model.inputIndex.find(tensor.name);
    if (found == model.inputIndex.end()) {
      std::string names;
      for (const PortInfo &port : model.inputs)
        names += (names.empty() ? "'" : ", '") + artifact::escaped(port.name) + "'";
      return Status::usage("no input is called '" + artifact::escaped(tensor.name) + "', expected " +
                           (names.empty() ? "none" : names));
    }
    exec::InputView &view = impl->views[found->second];
    if (view.data)
      return Status::usage("input '" + artifact::escaped(tensor.name) + "' is given twice");
    static const char empty alignas(64) = 0; // tensors without elements may come without memory
    view = {static_cast<artifact::DType>(tensor.type), tensor.dims, tensor.data ? tensor.data : &empty};
    if (!tensor.data && tensor.bytes() != 0)
      return Status::usage("input '" + artifact::escaped(tensor.name) + "' has no data");
  }
  for (size_t i = 0; i < impl->views.size(); ++i)
    if (!impl->views[i].data)
      return Status::usage("input '" + artifact::escaped(model.inputs[i].name) + "' is missing: expected " +
                           artifact::printPort(model.program->model(), model.program->model().inputs[i]));
  device::CallerContext keep;
  KT_RETURN_IF_ERROR(impl->executor->run(impl->views));
  const auto &views = impl->executor->outputs();
  for (size_t i = 0; i < views.size(); ++i) {
    impl->outputs[i].dims = views[i].dims;
    impl->outputs[i].data = views[i].data;
  }
  impl->valid = true;
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

Stats Session::stats() const {
  const exec::Counters &counters = impl->executor->counters();
  exec::Program &program = *impl->model->impl->program;
  Stats stats;
  stats.runs = counters.runs;
  stats.plans = counters.plans;
  stats.launches = counters.launches;
  stats.onceLaunches = counters.onceLaunches;
  stats.graphReplays = counters.graphReplays;
  stats.graphFailures = counters.graphFailures;
  stats.arenaBytes = counters.arenaBytes;
  stats.streamedBytes = counters.streamedBytes;
  std::shared_lock lock(program.residency); // another session may be moving weights
  stats.residentWeightBytes = program.weights->residentBytes();
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
    events.push_back({e.name, e.node, e.device, e.schedule, e.startMicroseconds, e.microseconds});
  return events;
}

} // namespace kt
