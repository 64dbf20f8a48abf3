//===- Tuner.cpp - measures the variants of a model's kernels -------------===//

#include "runtime/exec/Tuner.h"
#include "runtime/artifact/Print.h"
#include "runtime/os/OutputFile.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace kt::exec {

using namespace artifact;

namespace {

/// Memory of the device that goes with this object.
class DeviceMemory {
public:
  explicit DeviceMemory(device::Device &device) : device(device) {}
  ~DeviceMemory() { device.release(memory); }
  DeviceMemory(const DeviceMemory &) = delete;
  DeviceMemory &operator=(const DeviceMemory &) = delete;
  /// At least so many bytes, whose content is lost where they are more than before.
  Status reserve(uint64_t bytes) {
    if (memory && bytes <= capacity)
      return {};
    device.release(memory);
    memory = nullptr;
    auto fresh = device.allocate(bytes);
    if (!fresh.ok())
      return std::move(fresh).status();
    memory = *fresh;
    capacity = bytes;
    return {};
  }
  void *get() const { return memory; }
  uint64_t size() const { return capacity; }

private:
  device::Device &device;
  void *memory = nullptr;
  uint64_t capacity = 0;
};

/// The launches of a program that differ: a kernel with its integers, and the largest buffers that any of them has.
struct Problem {
  const Launch *launch = nullptr;
  std::vector<uint64_t> sizes;
};
using Problems = std::map<std::pair<uint32_t, std::vector<int64_t>>, Problem>;

void collect(const Program &program, const Block &block, const ExprValues &values, Problems &to, TuneGaps &gaps) {
  const Model &m = program.model();
  for (const Instruction &instruction : block.instructions) {
    if (auto *branch = std::get_if<If>(&instruction)) {
      collect(program, *branch->then, values, to, gaps);
      collect(program, *branch->otherwise, values, to, gaps);
    } else if (auto *loop = std::get_if<Loop>(&instruction)) {
      collect(program, *loop->body, values, to, gaps);
    }
    auto *launch = std::get_if<Launch>(&instruction);
    if (!launch)
      continue;
    std::vector<int64_t> ints;
    std::vector<uint64_t> sizes;
    bool known = true;
    for (ExprId id : launch->ints) {
      Value value = values.peek(id);
      known = known && value.ok();
      ints.push_back(value.value);
    }
    for (BufferId id : launch->buffers) {
      Value bytes = values.peek(m.buffers[id].bytes);
      known = known && bytes.ok() && bytes.value >= 0;
      sizes.push_back(static_cast<uint64_t>(bytes.value));
    }
    if (!known) {
      ++gaps.unknown;
      continue;
    }
    Problem &problem = to[{launch->kernel, ints}];
    problem.launch = launch;
    problem.sizes.resize(sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i)
      problem.sizes[i] = std::max(problem.sizes[i], sizes[i]);
  }
}

/// Small numbers in all formats with 16 and 32 bits: of zeros alone, multiplications take less power than they do in
/// earnest, and the card runs faster.
std::vector<std::byte> smallNumbers() {
  std::vector<std::byte> bytes(size_t(4) << 20);
  uint32_t state = 1;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    state = state * 1664525 + 1013904223;
    bytes[i] = static_cast<std::byte>(state >> 24);
    bytes[i + 1] = static_cast<std::byte>((state >> 16 & 0x83) | 0x38); // as half precision +-[0.5, 2)
  }
  return bytes;
}

class Tuner {
public:
  Tuner(Program &program, const TuneOptions &options)
      : program(program), options(options), flushed(*program.device), workspace(*program.device),
        counters(*program.device), numbers(smallNumbers()) {}
  ~Tuner() {
    if (stream)
      (void)stream->synchronize();
    if (faults)
      program.device->releaseStaging(faults);
  }

  Status start() {
    auto made = program.device->createStream();
    if (!made.ok())
      return std::move(made).status();
    stream = *std::move(made);
    auto record = program.device->allocateStaging(sizeof(FaultRecord));
    if (!record.ok())
      return std::move(record).status();
    faults = new (*record) FaultRecord();
    // Twice what the cache holds, so that nothing stays whatever it replaces first.
    return flushed.reserve(std::max<uint64_t>(2 * program.device->facts().l2Bytes, options.leastFlushed));
  }

  Status measure(uint32_t number, const std::vector<int64_t> &ints, const Problem &problem, TuningFile &to,
                 TuneGaps &gaps);

  /// The device's variants of all problems, compiled at once.
  Status makeReady(const Problems &problems);

private:
  std::vector<const Candidate *> fitting(uint32_t number, const std::vector<int64_t> &ints);
  Status fill(const Problem &problem, const Kernel &kernel);
  Status coolCache();
  Result<int64_t> time(const Kernel &kernel, PreparedLaunch &prepared);

  Program &program;
  const TuneOptions &options;
  std::unique_ptr<device::Stream> stream;
  std::vector<std::unique_ptr<DeviceMemory>> memory; // by buffer of the launch
  DeviceMemory flushed, workspace, counters;
  std::vector<std::byte> numbers;
  std::vector<void *> pointers;
  std::map<uint32_t, std::string> digests;
  std::vector<Value> values;
  FaultRecord *faults = nullptr;
};

/// Leaves the kernel's values for these integers in `values`.
std::vector<const Candidate *> Tuner::fitting(uint32_t number, const std::vector<int64_t> &ints) {
  const Kernel &kernel = program.model().kernels[number];
  evaluateKernel(kernel, ints, program.device->facts(), values);
  std::vector<const Candidate *> result;
  if (!program.device->isHost() && !countsFit(kernel, values))
    return result;
  for (const Candidate &c : program.candidates[number]) {
    ExprId guard = c.variant->guard;
    if (!c.fallback && (guard == kNone || (values[guard].ok() && values[guard].value)))
      result.push_back(&c);
  }
  return result;
}

Status Tuner::makeReady(const Problems &problems) {
  std::set<uint32_t> modules;
  for (auto &[key, problem] : problems)
    for (const Candidate *c : fitting(key.first, key.second))
      for (const Stage &stage : c->variant->stages)
        modules.insert(stage.module);
  std::vector<uint32_t> all(modules.begin(), modules.end());
  return program.device->prepare(all);
}

Status Tuner::fill(const Problem &problem, const Kernel &kernel) {
  while (memory.size() < problem.sizes.size())
    memory.push_back(std::make_unique<DeviceMemory>(*program.device));
  pointers.clear();
  for (size_t i = 0; i < problem.sizes.size(); ++i) {
    uint64_t bytes = problem.sizes[i];
    KT_RETURN_IF_ERROR(memory[i]->reserve(bytes));
    auto *data = static_cast<char *>(memory[i]->get());
    pointers.push_back(data);
    // What may be an index, or a length, is zero, which is inside of everything.
    constexpr uint64_t kFewBytes = 4096;
    bool result = i + kernel.numResults >= problem.sizes.size();
    if (kernel.reportsFaults || bytes <= kFewBytes || result) {
      KT_RETURN_IF_ERROR(stream->zero(data, bytes));
      continue;
    }
    uint64_t done = std::min<uint64_t>(bytes, numbers.size());
    KT_RETURN_IF_ERROR(stream->copyIn(data, numbers.data(), done));
    // What is there is doubled until it is enough.
    for (; done < bytes; done += std::min(done, bytes - done))
      KT_RETURN_IF_ERROR(stream->copy(data + done, data, std::min(done, bytes - done)));
  }
  return stream->synchronize();
}

/// Leaves nothing of the launch before in the second-level cache, and little that would have to be written back while
/// the next one runs: all is written, then read again.
Status Tuner::coolCache() {
  KT_RETURN_IF_ERROR(stream->zero(flushed.get(), flushed.size()));
  auto *data = static_cast<char *>(flushed.get());
  constexpr uint64_t kPart = uint64_t(4) << 20;
  for (uint64_t at = kPart; at + kPart <= flushed.size(); at += kPart)
    KT_RETURN_IF_ERROR(stream->copy(data, data + at, kPart));
  return {};
}

Result<int64_t> Tuner::time(const Kernel &kernel, PreparedLaunch &prepared) {
  if (prepared.hasWorkspace)
    KT_RETURN_IF_ERROR(workspace.reserve(prepared.workspace));
  if (prepared.hasCounters) {
    KT_RETURN_IF_ERROR(counters.reserve(std::max<uint64_t>(prepared.counters, 4096)));
    KT_RETURN_IF_ERROR(stream->zero(counters.get(), counters.size()));
  }
  device::LaunchArguments arguments{pointers.data(), kernel.numBuffers,     kernel.numInts, prepared.ints.data(),
                                    workspace.get(), prepared.hasWorkspace, faults,         kernel.reportsFaults,
                                    counters.get(),  prepared.hasCounters};
  // The first is a warm-up: code comes to the card when it is first run.
  for (unsigned r = 0; r <= options.repetitions; ++r) {
    KT_RETURN_IF_ERROR(coolCache());
    KT_RETURN_IF_ERROR(stream->mark(2 * r));
    if (prepared.hasWorkspace && prepared.candidate->variant->workspaceZeroed)
      KT_RETURN_IF_ERROR(stream->zero(workspace.get(), prepared.workspace));
    for (const device::StageLaunch &stage : prepared.stages)
      if (stage.grid[0] && stage.grid[1] && stage.grid[2])
        KT_RETURN_IF_ERROR(stream->launch(stage, arguments));
    KT_RETURN_IF_ERROR(stream->mark(2 * r + 1));
  }
  KT_RETURN_IF_ERROR(stream->synchronize());
  std::vector<int64_t> times;
  for (unsigned r = 1; r <= options.repetitions; ++r) {
    auto took = stream->between(2 * r, 2 * r + 1);
    if (!took.ok())
      return std::move(took).status();
    times.push_back(*took);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return std::max<int64_t>(0, times[times.size() / 2]);
}

Status Tuner::measure(uint32_t number, const std::vector<int64_t> &ints, const Problem &problem, TuningFile &to,
                      TuneGaps &gaps) {
  const Kernel &kernel = program.model().kernels[number];
  std::vector<const Candidate *> candidates = fitting(number, ints);
  if (candidates.empty()) {
    ++gaps.unfitting;
    return {};
  }
  KT_RETURN_IF_ERROR(fill(problem, kernel));
  std::string &digest = digests[number];
  if (digest.empty())
    digest = kernelDigest(program.model(), number);
  for (const Candidate *c : candidates) {
    PreparedLaunch prepared;
    prepared.ints = ints;
    // A grid beyond the device's limits is no way to run it, and no reason to measure nothing.
    if (!prepareVariant(program, kernel, *c, values, prepared).ok()) {
      ++gaps.unfitting;
      continue;
    }
    KT_RETURN_IF_ERROR(prepared.makeReady(program));
    auto took = time(kernel, prepared);
    if (!took.ok())
      return std::move(took).status().in("kernel '" + escaped(kernel.name) + "', " + escaped(c->variant->schedule));
    Value cost = c->variant->cost == kNone ? Value{0, Value::State::ok} : values[c->variant->cost];
    to.rows.push_back({digest, kernel.name, c->variant->target, c->variant->schedule,
                       static_cast<uint32_t>(c->variant - kernel.variants.data()), ints,
                       cost.ok() ? std::max<int64_t>(0, cost.value) : -1, *took});
  }
  return {};
}

/// The sizes of one combination, by symbol.
Status bindDims(const Model &m, const TuneOptions &options, size_t combination, ExprValues &values) {
  std::vector<SymbolId> which;
  std::vector<int64_t> sizes;
  for (SymbolId s = 0; s < m.symbols.size(); ++s) {
    const Symbol &symbol = m.symbols[s];
    if (!symbol.isGiven())
      continue;
    auto given = options.dims.find(symbol.name);
    bool known = symbol.min == symbol.max || symbol.kind == Symbol::Kind::Capacity; // without one no state is kept
    if (given == options.dims.end() && !known)
      return Status::usage("--dim: no size is given for '" + escaped(symbol.name) + "'");
    which.push_back(s);
    sizes.push_back(symbol.min);
    if (given == options.dims.end())
      continue;
    sizes.back() = given->second[combination % given->second.size()];
    combination /= given->second.size();
    if (sizes.back() < symbol.min || sizes.back() > symbol.max)
      return Status::usage("--dim: '" + escaped(symbol.name) + "' is " + std::to_string(sizes.back()) + ", outside " +
                           std::to_string(symbol.min) + ".." + std::to_string(symbol.max));
  }
  values.setAll(which, sizes);
  return {};
}

} // namespace

Status addTuneDim(TuneOptions &options, const std::string &name, int64_t low, int64_t high) {
  if (low != high)
    return Status::usage("--dim: expected one size for '" + escaped(name) + "' but got a range");
  std::vector<int64_t> &sizes = options.dims[name];
  if (std::find(sizes.begin(), sizes.end(), low) == sizes.end())
    sizes.push_back(low);
  return {};
}

Result<TuningFile> tune(Program &program, const TuneOptions &options, TuneGaps &gaps) {
  const Model &m = program.model();
  size_t combinations = 1;
  for (auto &[name, sizes] : options.dims) {
    bool known =
        std::any_of(m.symbols.begin(), m.symbols.end(), [&](const Symbol &s) { return s.isGiven() && s.name == name; });
    if (!known)
      return Status::usage("--dim: the model has no dimension '" + escaped(name) + "'");
    combinations *= sizes.size();
    constexpr size_t kMostCombinations = 4096;
    if (combinations > kMostCombinations)
      return Status::usage("--dim: more than " + std::to_string(kMostCombinations) + " combinations of sizes");
  }
  Problems problems;
  for (size_t c = 0; c < combinations; ++c) {
    ExprValues values(*program.graph);
    KT_RETURN_IF_ERROR(bindDims(m, options, c, values));
    collect(program, m.program, values, problems, gaps);
  }
  device::CallerContext keep;
  TuningFile file;
  file.machine = Machine::of(*program.device);
  Tuner tuner(program, options);
  KT_RETURN_IF_ERROR(tuner.start());
  KT_RETURN_IF_ERROR(tuner.makeReady(problems));
  for (auto &[key, problem] : problems)
    KT_RETURN_IF_ERROR(tuner.measure(key.first, key.second, problem, file, gaps));
  return file;
}

Status tuneFile(const std::string &model, const LoadOptions &load, const TuneOptions &options,
                const std::string &output, const std::function<void(const std::string &)> &report) {
  os::KeptFiles kept;
  kept.add(model);
  KT_RETURN_IF_ERROR(kept.mayWrite(output));
  auto program = Program::load(model, load);
  if (!program.ok())
    return std::move(program).status();
  TuneGaps gaps;
  auto file = tune(**program, options, gaps);
  if (!file.ok())
    return std::move(file).status();
  KT_RETURN_IF_ERROR(file->write(output));
  std::string text = std::to_string(file->rows.size()) + " times on " + (*program)->device->name();
  if (gaps.unknown)
    text += "; " + std::to_string(gaps.unknown) + " launches have sizes that only a run knows";
  if (gaps.unfitting)
    text += "; " + std::to_string(gaps.unfitting) + " could not be launched here";
  report(text);
  return {};
}

} // namespace kt::exec
