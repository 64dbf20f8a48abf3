//===- Executor.cpp - one session of a loaded model -----------------------===//
//
// Binding of input shapes to symbols, the plan, and the frame of a run. Bindings.cpp has memory of callers, Replay.cpp
// the program, plain or as a graph, Streaming.cpp the weights, Instructions.cpp the instructions.
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

std::string shapeText(DType type, std::span<const int64_t> dims) {
  std::string text = std::string(name(type)) + "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}

std::optional<uint64_t> tensorBytes(DType type, std::span<const int64_t> dims) {
  uint64_t bytes = byteSize(type);
  for (int64_t dim : dims)
    if (dim < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes))
      return std::nullopt;
  return bytes;
}

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

Result<std::unique_ptr<Executor>> Executor::create(Program &program, uint64_t capacity,
                                                   std::shared_ptr<PagePool> pages) {
  std::unique_ptr<Executor> executor(new Executor(program));
  auto stream = program.device->createStream();
  if (!stream.ok())
    return std::move(stream).status();
  executor->stream = *std::move(stream);
  executor->pool.waitFor(executor->stream.get());
  program.addStream(executor->stream.get());
  auto faults = program.device->allocateStaging(sizeof(FaultRecord));
  if (!faults.ok())
    return std::move(faults).status();
  executor->faults = {new (*faults) FaultRecord(),
                      [&device = *program.device](FaultRecord *record) { device.releaseStaging(record); }};
  executor->shapes.paged = pages != nullptr;
  executor->pages = std::move(pages);
  if (capacity)
    KT_RETURN_IF_ERROR(executor->keepState(capacity));
  if (program.fallbackHost) {
    auto hostStream = program.fallbackHost->createStream();
    if (!hostStream.ok())
      return std::move(hostStream).status();
    executor->hostStream = *std::move(hostStream);
  }
  return executor;
}

Executor::~Executor() {
  if (stream) {
    (void)settle(); // a failure here has nobody left to hear of it
    program.removeStream(stream.get());
  }
  graph.reset();
  inputsCopied.reset();
  reset();
  for (auto *list : {&lent, &lentBefore})
    for (Storage *storage : *list)
      pool.drop(storage);
  for (Storage &storage : fixed)
    pool.dropMirror(storage);
  releaseKept();
  program.account->release(arena, arenaCapacity);
  program.account->release(blockCounters, countersCapacity);
  program.account->release(staging, stagingCapacity);
  for (Pinned *area : {&pinnedInputs, &pinnedOutputs, &copies[0], &copies[1], &numericsPiece})
    if (area->memory)
      program.device->releaseStaging(area->memory);
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
  auto bindSymbol = [&](size_t i, SymbolId s, int64_t dim) -> Status {
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
    return {};
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Port &port = m.inputs[i];
    if (keepsInput(i))
      continue;
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
      if (e.op == Expr::Op::Symbol)
        KT_RETURN_IF_ERROR(bindSymbol(i, static_cast<SymbolId>(e.imm), dim));
    }
  }
  KT_RETURN_IF_ERROR(bindKept(bindSymbol));
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
    if (keepsInput(i))
      continue;
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
  KT_RETURN_IF_ERROR(prepareKept());
  changed = changed || !planned;
  return {};
}

Status Executor::plan() {
  graphIsStale = true;
  graphFailed = false;
  runsOfPlan = 0;
  KT_RETURN_IF_ERROR(shapes.compute(program, values, keepInputs, /*keepOnce=*/true, homes));
  prologueDone = prologueDone && shapes.keptPrologue;
  if (!shapes.keptPlaces)
    KT_RETURN_IF_ERROR(settle());
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
      KT_RETURN_IF_ERROR(program.moveWeights(shapes.arenaBytes));
      fresh = program.account->allocate(shapes.arenaBytes, "the values of a run");
    }
    if (!fresh.ok())
      return std::move(fresh).status();
    arena = *fresh;
    arenaCapacity = shapes.arenaBytes;
  }
  counts.arenaBytes = shapes.arenaBytes;
  for (BufferId b = 0; b < m.buffers.size(); ++b) {
    if (prologueDone && program.info->definedOnce[b])
      continue;
    pool.dropMirror(fixed[b]);
    fixed[b] = Storage();
    if (!shapes.placed[b])
      continue;
    fixed[b].data = plannedPlace(b);
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
  KT_RETURN_IF_ERROR(stream->synchronize());
  inputsUnderWay = false;
  return {};
}

/// Events of this session may look at the site meanwhile.
void Executor::clearFault() {
  faults->index = 0;
  faults->limit = 0;
  std::atomic_ref(faults->site).store(0);
}

Status Executor::takeFault() {
  FaultRecord fault = *faults;
  clearFault();
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

Status Executor::run(std::span<const InputView> inputs, std::span<OutputRequest> requests) {
  bool before = unfinished;
  auto done = [&]() -> Status {
    KT_RETURN_IF_ERROR(enqueueOnce(inputs, requests, /*waits=*/true));
    return finish();
  };
  return settled(guarded(done), before);
}

Status Executor::enqueue(std::span<const InputView> inputs, std::span<OutputRequest> requests, void *other) {
  bool before = unfinished;
  auto given = [&]() -> Status {
    if (other) {
      KT_RETURN_IF_ERROR(program.device->checkStream(other));
      KT_RETURN_IF_ERROR(stream->follow(other));
    }
    KT_RETURN_IF_ERROR(enqueueOnce(inputs, requests, /*waits=*/false));
    return other ? stream->lead(other) : Status();
  };
  return settled(guarded(given), before);
}

Status Executor::wait() {
  return settled(guarded([&] { return finish(); }), false);
}

Status Executor::repeat() {
  bool before = unfinished;
  return settled(guarded([&] { return repeatOnce(); }), before);
}

/// Nothing of what failed may still be using the caller's memory, or what the next run takes from the pool. Earlier
/// runs that nobody has waited for may have faults to tell of, all the same.
Status Executor::settled(Status status, bool unfinishedBefore) {
  cancelled.store(false, std::memory_order_relaxed);
  if (!status.ok()) {
    (void)settle(); // the first failure is the one to report
    unfinished = unfinished && unfinishedBefore;
  }
  return status;
}

Status Executor::enqueueOnce(std::span<const InputView> inputs, std::span<OutputRequest> requests, bool waits) {
  for (OutputView &view : results)
    view.data = view.copy = nullptr;
  if (!unfinished)
    clearFault(); // of a run that failed in another way
  reset();
  KT_RETURN_IF_ERROR(program.intact());
  bool changed = false;
  KT_RETURN_IF_ERROR(bind(inputs, changed));
  KT_RETURN_IF_ERROR(checkBindings(inputs, requests));
  KT_RETURN_IF_ERROR(obtainOutputs(requests));
  if (changed)
    KT_RETURN_IF_ERROR(plan());
  else if (!graph) // what a recorded run has set holds for its replays
    values.forgetLate();

  KT_RETURN_IF_ERROR(placeAgain());
  std::shared_lock lock(program.residency);
  KT_RETURN_IF_ERROR(refreshWeights());
  KT_RETURN_IF_ERROR(lookAtWeights());
  KT_RETURN_IF_ERROR(runPrologue());
  KT_RETURN_IF_ERROR(placeInputs(inputs, waits));
  KT_RETURN_IF_ERROR(placeOutputs(inputs, requests));
  KT_RETURN_IF_ERROR(lookAtInputs(inputs));
  unfinishedBefore = unfinished;
  unfinished = true;
  for (Kept &k : kept)
    k.touched = false;
  Status done = execute();
  if (done.ok())
    done = collectOutputs(requests);
  if (!done.ok()) {
    abandonKept();
    return done;
  }
  advanceKept();
  return {};
}

/// Looks at what went wrong in all runs since the latest wait.
Status Executor::finish() {
  auto look = [&]() -> Status {
    KT_RETURN_IF_ERROR(stream->synchronize());
    unfinished = inputsUnderWay = false;
    KT_RETURN_IF_ERROR(program.intact());
    return takeFault();
  };
  Status status = look();
  settleKept(status.ok());
  return status;
}

Status Executor::repeatOnce() {
  if (!planned || runsOfPlan == 0)
    return Status::usage("nothing to repeat: no run has succeeded with these shapes");
  for (OutputView &view : results)
    view.data = view.copy = nullptr;
  if (!unfinished)
    clearFault();
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
  KT_RETURN_IF_ERROR(lookAtWeights());
  KT_RETURN_IF_ERROR(runPrologue());
  for (size_t i = 0; i < m.inputs.size(); ++i) {
    Storage &storage = fixed[m.inputs[i].buffer];
    if (keepsInput(i)) {
      for (Kept &k : kept) // where the latest run had it
        if (k.input == i)
          storage.bytes = fixed[k.root].bytes = k.bytes;
    } else if (again && deviceInputs[i]) {
      place(m.inputs[i].buffer, deviceInputs[i]);
    } else if (again) {
      storage.bytes = shapes.sizes[m.inputs[i].buffer];
      KT_RETURN_IF_ERROR(stream->copyIn(storage.data, inputCopies[i], storage.bytes));
      storage.mirror = inputCopies[i];
      storage.mirrorOwned = false;
      storage.mirrorValid = true;
    }
    storage.deviceValid = true; // where the latest run put them
  }
  unfinished = true;
  KT_RETURN_IF_ERROR(execute());
  return finish();
}

/// Gives weights, inputs and what the prologue left the names that a program begins with.
void Executor::bindGiven() {
  for (BufferId b = 0; b < m.buffers.size(); ++b)
    if (m.buffers[b].kind == Buffer::Kind::Weight)
      bindTo(b, &weightStorage[program.weights->canonical(m.buffers[b].weight)]);
  for (const Port &port : m.inputs)
    bindTo(port.buffer, &fixed[port.buffer]);
  bindNumerics();
  if (prologueDone)
    for (BufferId id : program.info->kept)
      bindTo(id, &fixed[id]);
}

} // namespace kt::exec
