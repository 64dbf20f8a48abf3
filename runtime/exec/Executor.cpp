//===- Executor.cpp - one session of a loaded model -----------------------===//
//
// Binding of input shapes to symbols, memory for them, and the frame of a run, plain or as a graph. Streaming.cpp has
// the weights, Instructions.cpp the instructions.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Executor.h"
#include "runtime/api/Guard.h"
#include "runtime/artifact/Print.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

namespace kt::exec {

using namespace artifact;

namespace {
constexpr uint64_t alignedUp(uint64_t bytes) {
  return (bytes + device::kAlignment - 1) / device::kAlignment * device::kAlignment;
}

std::string shapeText(DType type, std::span<const int64_t> dims) {
  std::string text = std::string(name(type)) + "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}

/// Bytes of a dense tensor, or nothing when that overflows.
std::optional<uint64_t> tensorBytes(DType type, std::span<const int64_t> dims) {
  uint64_t bytes = byteSize(type);
  for (int64_t dim : dims)
    if (dim < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes))
      return std::nullopt;
  return bytes;
}
} // namespace

Executor::Executor(Program &program)
    : program(program), m(program.model()), values(*program.graph), pool(*program.account, *program.device),
      fixed(m.buffers.size()), weightStorage(m.weights.size()), bound(m.buffers.size()), results(m.outputs.size()) {
  for (SymbolId s = 0; s < m.symbols.size(); ++s)
    if (m.symbols[s].isGiven())
      inputSymbols.push_back(s);
  symbolSeen.resize(m.symbols.size());
  newSymbolValues.resize(m.symbols.size());
  size_t most = 0;
  for (const Kernel &kernel : m.kernels)
    most = std::max<size_t>(most, kernel.numBuffers);
  pointers.resize(most);
}

Result<std::unique_ptr<Executor>> Executor::create(Program &program) {
  std::unique_ptr<Executor> executor(new Executor(program));
  auto stream = program.device->createStream();
  if (!stream.ok())
    return std::move(stream).status();
  executor->stream = *std::move(stream);
  executor->pool.waitFor(executor->stream.get());
  auto faults = program.device->allocateStaging(sizeof(FaultRecord));
  if (!faults.ok())
    return std::move(faults).status();
  executor->faults = new (*faults) FaultRecord();
  if (program.fallbackHost) {
    auto hostStream = program.fallbackHost->createStream();
    if (!hostStream.ok())
      return std::move(hostStream).status();
    executor->hostStream = *std::move(hostStream);
  }
  return executor;
}

Executor::~Executor() {
  if (stream)
    (void)settle(); // a failure here has nobody left to hear of it
  graph.reset();
  reset();
  for (Storage &storage : fixed)
    pool.dropMirror(storage);
  program.account->release(arena, arenaCapacity);
  program.account->release(blockCounters, countersCapacity);
  program.account->release(staging, stagingCapacity);
  for (Pinned *area : {&pinnedInputs, &pinnedOutputs})
    if (area->memory)
      program.device->releaseStaging(area->memory);
  if (faults)
    program.device->releaseStaging(faults);
  if (hostWorkspace)
    program.fallbackHost->release(hostWorkspace);
}

void Executor::reset() {
  for (BufferId id = 0; id < bound.size(); ++id)
    unbind(id);
  for (Storage *storage : handover)
    pool.drop(storage);
  handover.clear();
}

Status Executor::bind(std::span<const InputView> inputs, bool &changed) {
  if (inputs.size() != m.inputs.size())
    return Status::usage("expected " + std::to_string(m.inputs.size()) + " inputs but got " +
                         std::to_string(inputs.size()));
  std::fill(symbolSeen.begin(), symbolSeen.end(), 0);
  auto mismatch = [&](size_t i, const std::string &why) {
    return Status::usage("input '" + escaped(m.inputs[i].name) + "': expected " + printPort(m, m.inputs[i]) +
                         " but got " + shapeText(inputs[i].type, inputs[i].dims) + why);
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Port &port = m.inputs[i];
    if (inputs[i].type != port.type || inputs[i].dims.size() != port.dims.size())
      return mismatch(i, "");
    for (size_t d = 0; d < port.dims.size(); ++d) {
      int64_t dim = inputs[i].dims[d];
      const Expr &e = m.exprs[port.dims[d]];
      if (dim < 0)
        return mismatch(i, "");
      if (e.op == Expr::Op::Const && e.imm != dim)
        return mismatch(i, ": dimension " + std::to_string(d) + " is " + std::to_string(dim) + " instead of " +
                               std::to_string(e.imm));
      if (e.op != Expr::Op::Symbol)
        continue;
      SymbolId s = static_cast<SymbolId>(e.imm);
      const Symbol &symbol = m.symbols[s];
      if (symbolSeen[s] && newSymbolValues[s] != dim)
        return mismatch(i, ": '" + escaped(symbol.name) + "' is " + std::to_string(dim) + " here but " +
                               std::to_string(newSymbolValues[s]) + " in another place");
      if (dim < symbol.min || dim > symbol.max)
        return mismatch(i, ": '" + escaped(symbol.name) + "' is " + std::to_string(dim) + ", outside " +
                               std::to_string(symbol.min) + ".." +
                               (symbol.max == INT64_MAX ? "" : std::to_string(symbol.max)));
      symbolSeen[s] = 1;
      newSymbolValues[s] = dim;
    }
  }
  changed = !planned || symbolValues.size() != inputSymbols.size();
  for (size_t k = 0; !changed && k < inputSymbols.size(); ++k)
    changed = symbolValues[k] != newSymbolValues[inputSymbols[k]];
  if (changed) {
    planned = false;
    symbolValues.resize(inputSymbols.size());
    for (size_t k = 0; k < inputSymbols.size(); ++k)
      symbolValues[k] = newSymbolValues[inputSymbols[k]];
    values.setAll(inputSymbols, symbolValues);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Port &port = m.inputs[i];
    for (size_t d = 0; d < port.dims.size(); ++d) {
      auto dim = values.get(port.dims[d]);
      if (!dim.ok())
        return mismatch(i, ": " + dim.status().message());
      if (*dim != inputs[i].dims[d])
        return mismatch(i, ": dimension " + std::to_string(d) + " is " + std::to_string(inputs[i].dims[d]) +
                               " instead of " + std::to_string(*dim));
    }
    auto bytes = tensorBytes(port.type, inputs[i].dims);
    auto expected = values.getSize(m.buffers[port.buffer].bytes, "size");
    if (!bytes || !expected.ok())
      return mismatch(i, ": too large");
    if (*bytes != *expected)
      return Status::rejected("input '" + escaped(port.name) + "' has " + std::to_string(*bytes) +
                              " bytes but its buffer has " + std::to_string(*expected));
  }
  return {};
}

Status Executor::plan() {
  graph.reset();
  graphFailed = false;
  prologueDone = false;
  runsOfPlan = 0;
  KT_RETURN_IF_ERROR(settle());
  KT_RETURN_IF_ERROR(shapes.compute(program, values, keepInputs));
  // Before the first launch, and before anything is recorded: no code may be loaded while a graph is.
  KT_RETURN_IF_ERROR(shapes.makeReady(program, values));
  ++counts.plans;
  if (shapes.arenaBytes > arenaCapacity) {
    std::unique_lock lock(program.residency);
    program.account->release(arena, arenaCapacity);
    arena = nullptr;
    arenaCapacity = 0;
    pool.trim();
    auto fresh = program.account->allocate(shapes.arenaBytes, "the values of a run");
    if (!fresh.ok() && shapes.keepsOnce) {
      KT_RETURN_IF_ERROR(shapes.layOut(program, /*keepOnce=*/false));
      fresh = program.account->allocate(shapes.arenaBytes, "the values of a run");
    }
    if (!fresh.ok()) {
      // Weights make room; the staging memory that they may then need is part of the new decision.
      program.account->release(staging, stagingCapacity);
      staging = nullptr;
      stagingCapacity = 0;
      KT_RETURN_IF_ERROR(program.weights->place(shapes.arenaBytes));
      fresh = program.account->allocate(shapes.arenaBytes, "the values of a run");
    }
    if (!fresh.ok())
      return std::move(fresh).status();
    arena = *fresh;
    arenaCapacity = shapes.arenaBytes;
  }
  counts.arenaBytes = shapes.arenaBytes;
  for (BufferId b = 0; b < m.buffers.size(); ++b) {
    pool.dropMirror(fixed[b]);
    fixed[b] = Storage();
    if (!shapes.placed[b])
      continue;
    fixed[b].data = static_cast<char *>(arena) + shapes.offsets[b];
    fixed[b].bytes = shapes.sizes[b];
  }
  for (size_t i = 0; i < shapes.launches.size(); ++i)
    if (shapes.workspaceOffsets[i] != ShapePlan::kNoOffset)
      shapes.launches[i].plannedWorkspace = static_cast<char *>(arena) + shapes.workspaceOffsets[i];
  uint64_t most = 0;
  for (const PreparedLaunch &launch : shapes.launches)
    if (launch.candidate && !launch.candidate->fallback)
      most = std::max(most, launch.counters);
  KT_RETURN_IF_ERROR(ensureCounters(most));
  planned = true;
  return {};
}

/// Launches leave the counters as they find them, so that all of a session share them.
Status Executor::ensureCounters(uint64_t bytes) {
  if (bytes <= countersCapacity)
    return {};
  KT_RETURN_IF_ERROR(stream->synchronize());
  program.account->release(blockCounters, countersCapacity);
  blockCounters = nullptr;
  countersCapacity = 0;
  uint64_t capacity = std::bit_ceil(std::max<uint64_t>(bytes, 4096));
  auto fresh = program.account->allocate(capacity, "the counters of blocks");
  if (!fresh.ok())
    return std::move(fresh).status();
  blockCounters = *fresh;
  countersCapacity = capacity;
  return stream->zero(blockCounters, capacity);
}

/// Waits for everything, copies of weights that run ahead included.
Status Executor::settle() {
  KT_RETURN_IF_ERROR(stream->join());
  return stream->synchronize();
}

Status Executor::ensurePinned(Pinned &area, uint64_t bytes) {
  if (bytes <= area.capacity && area.memory)
    return {};
  if (area.memory)
    program.device->releaseStaging(area.memory);
  area = {};
  auto fresh = program.device->allocateStaging(bytes);
  if (!fresh.ok())
    return std::move(fresh).status();
  area = {*fresh, bytes};
  return {};
}

Status Executor::placeInputs(std::span<const InputView> inputs) {
  bool onHost = program.device->isHost();
  // Kernels only read inputs: on the host, aligned ones are used where they are.
  auto inPlace = [&](const InputView &input) { return onHost && reinterpret_cast<uintptr_t>(input.data) % 64 == 0; };
  uint64_t total = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!inPlace(inputs[i]))
      total += alignedUp(static_cast<uint64_t>(values.peek(m.buffers[m.inputs[i].buffer].bytes).value));
  KT_RETURN_IF_ERROR(ensurePinned(pinnedInputs, total));
  uint64_t offset = 0;
  inputCopies.resize(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    BufferId id = m.inputs[i].buffer;
    uint64_t bytes = static_cast<uint64_t>(values.peek(m.buffers[id].bytes).value);
    Storage &storage = fixed[id];
    storage.bytes = bytes;
    if (inPlace(inputs[i])) {
      storage.data = const_cast<void *>(inputs[i].data);
      continue;
    }
    char *host = static_cast<char *>(pinnedInputs.memory) + offset;
    offset += alignedUp(bytes);
    if (bytes)
      std::memcpy(host, inputs[i].data, bytes);
    if (onHost) {
      storage.data = host;
      continue;
    }
    inputCopies[i] = host;
    KT_RETURN_IF_ERROR(stream->copyIn(storage.data, host, bytes));
    storage.mirror = host;
    storage.mirrorOwned = false;
    storage.mirrorValid = storage.deviceValid = true;
  }
  return {};
}

Status Executor::collectOutputs() {
  bool onHost = program.device->isHost();
  uint64_t total = 0;
  for (size_t i = 0; i < m.outputs.size(); ++i) {
    const Port &port = m.outputs[i];
    OutputView &view = results[i];
    view.dims.clear();
    for (ExprId id : port.dims) {
      auto dim = values.getSize(id, "a dimension");
      if (!dim.ok())
        return std::move(dim).status().in("output '" + escaped(port.name) + "'");
      view.dims.push_back(static_cast<int64_t>(*dim));
    }
    auto bytes = tensorBytes(port.type, view.dims);
    const Storage &storage = *bound[port.buffer];
    if (!bytes || *bytes > storage.bytes)
      return Status::failed("output '" + escaped(port.name) + "' is " + shapeText(port.type, view.dims) +
                            " but its buffer has " + std::to_string(storage.bytes) + " bytes");
    view.bytes = *bytes;
    total += alignedUp(*bytes);
  }
  if (!onHost)
    KT_RETURN_IF_ERROR(ensurePinned(pinnedOutputs, total));
  uint64_t offset = 0;
  for (size_t i = 0; i < m.outputs.size(); ++i) {
    const Storage &storage = *bound[m.outputs[i].buffer];
    OutputView &view = results[i];
    const Buffer &buffer = m.buffers[m.outputs[i].buffer];
    if (buffer.kind == Buffer::Kind::Weight) {
      view.data = m.weights[buffer.weight].bytes.data();
    } else if (onHost) {
      view.data = storage.data;
    } else {
      char *host = static_cast<char *>(pinnedOutputs.memory) + offset;
      if (storage.mirrorValid) {
        if (view.bytes)
          std::memcpy(host, storage.mirror, view.bytes);
      } else {
        KT_RETURN_IF_ERROR(stream->copyOut(host, storage.data, view.bytes));
      }
      view.data = host;
      offset += alignedUp(view.bytes);
    }
  }
  KT_RETURN_IF_ERROR(stream->synchronize());
  KT_RETURN_IF_ERROR(program.intact());
  return takeFault();
}

Status Executor::takeFault() {
  FaultRecord fault = std::exchange(*faults, {});
  if (fault.site == 0)
    return {};
  // The number comes out of code: believed only as far as there is such a site.
  static const Site unknown{kNone, "an index"};
  const Site &site = fault.site <= m.sites.size() ? m.sites[fault.site - 1] : unknown;
  std::string limit = std::to_string(int64_t(fault.limit) - 1);
  return Status::failed(nodeText(site.node) + ": " + escaped(site.what) + " is " + std::to_string(fault.index) +
                        (fault.limit ? ", expected " + std::to_string(site.wraps ? -int64_t(fault.limit) : 0) + " to " +
                                           (fault.limit == UINT32_MAX ? "more than " + limit : limit)
                                     : ", but there is nothing to choose from"));
}

Status Executor::run(std::span<const InputView> inputs) {
  return settled(guarded([&] { return runOnce(inputs); }));
}

Status Executor::repeat() {
  return settled(guarded([&] { return repeatOnce(); }));
}

/// Nothing may still be using the caller's memory, or what the next run takes from the pool.
Status Executor::settled(Status status) {
  cancelled.store(false, std::memory_order_relaxed);
  if (!status.ok())
    (void)settle(); // the first failure is the one to report
  return status;
}

Status Executor::runOnce(std::span<const InputView> inputs) {
  for (OutputView &view : results)
    view.data = nullptr;
  *faults = {}; // of a run that failed in another way
  reset();
  KT_RETURN_IF_ERROR(program.intact());
  bool changed = false;
  KT_RETURN_IF_ERROR(bind(inputs, changed));
  if (changed)
    KT_RETURN_IF_ERROR(plan());
  else if (!graph) // what a recorded run has set holds for its replays
    values.forgetLate();

  KT_RETURN_IF_ERROR(placeAgain());
  std::shared_lock lock(program.residency);
  KT_RETURN_IF_ERROR(refreshWeights());
  KT_RETURN_IF_ERROR(runPrologue());
  KT_RETURN_IF_ERROR(placeInputs(inputs));
  KT_RETURN_IF_ERROR(execute());
  return collectOutputs();
}

Status Executor::repeatOnce() {
  if (!planned || runsOfPlan == 0)
    return Status::usage("nothing to repeat: no run has succeeded with these shapes");
  for (OutputView &view : results)
    view.data = nullptr;
  *faults = {};
  reset();
  KT_RETURN_IF_ERROR(program.intact());
  // A run may put other things where its inputs were. From now on it does not, and they are put there once more.
  bool again = !keepInputs && !program.device->isHost();
  if (again) {
    keepInputs = true;
    planned = false;
    KT_RETURN_IF_ERROR(plan());
  }
  if (!graph)
    values.forgetLate();
  KT_RETURN_IF_ERROR(placeAgain());
  std::shared_lock lock(program.residency);
  KT_RETURN_IF_ERROR(refreshWeights());
  KT_RETURN_IF_ERROR(runPrologue());
  for (size_t i = 0; i < m.inputs.size(); ++i) {
    Storage &storage = fixed[m.inputs[i].buffer];
    if (again) {
      storage.bytes = shapes.sizes[m.inputs[i].buffer];
      KT_RETURN_IF_ERROR(stream->copyIn(storage.data, inputCopies[i], storage.bytes));
      storage.mirror = inputCopies[i];
      storage.mirrorOwned = false;
      storage.mirrorValid = true;
    }
    storage.deviceValid = true; // where the latest run put them
  }
  KT_RETURN_IF_ERROR(execute());
  KT_RETURN_IF_ERROR(stream->synchronize());
  KT_RETURN_IF_ERROR(program.intact());
  return takeFault();
}

/// Gives weights, inputs and what the prologue left the names that a program begins with.
void Executor::bindGiven() {
  for (BufferId b = 0; b < m.buffers.size(); ++b)
    if (m.buffers[b].kind == Buffer::Kind::Weight)
      bindTo(b, &weightStorage[program.weights->canonical(m.buffers[b].weight)]);
  for (const Port &port : m.inputs)
    bindTo(port.buffer, &fixed[port.buffer]);
  if (prologueDone)
    for (BufferId id : program.info->kept)
      bindTo(id, &fixed[id]);
}

Status Executor::execute() {
  bool repeatable = stream->canRecord() && program.options.cudaGraphs && program.info->straight && shapes.allPrepared &&
                    !shapes.usesFallback && !program.weights->anyStreamed() && !profiling && !graphFailed;
  if (profiling && profileEvents.empty())
    profileStart = std::chrono::steady_clock::now();
  bindGiven();
  if (!repeatable || runsOfPlan == 0) {
    KT_RETURN_IF_ERROR(runProgram());
  } else if (!executeGraph().ok()) {
    // Nothing of it ran, and the work of a graph can be done without one. Where the program itself is at fault, or was
    // cancelled, this fails as well and says why.
    graph.reset();
    KT_RETURN_IF_ERROR(runProgram());
    graphFailed = true; // until other shapes are planned: each attempt costs about a run
    ++counts.graphFailures;
  }
  ++runsOfPlan;
  ++counts.runs;
  return {};
}

/// The second run with the same shapes is recorded instead of done, then replayed as the following ones are: in one
/// call each.
Status Executor::executeGraph() {
  if (!graph) {
    KT_RETURN_IF_ERROR(stream->beginRecord());
    Status status = guarded([&] { return runProgram(); }); // whatever happens, recording has to end
    auto recorded = stream->endRecord();
    KT_RETURN_IF_ERROR(std::move(status));
    if (!recorded.ok())
      return std::move(recorded).status();
    graph = *std::move(recorded);
    replayedOutputs.clear();
    for (const Port &port : m.outputs)
      replayedOutputs.push_back(bound[port.buffer]); // fixed storages all: a recorded run uses no others
  } else {
    for (size_t i = 0; i < m.outputs.size(); ++i)
      bindTo(m.outputs[i].buffer, replayedOutputs[i]);
  }
  KT_RETURN_IF_ERROR(stream->replay(*graph));
  ++counts.graphReplays;
  return {};
}

} // namespace kt::exec
