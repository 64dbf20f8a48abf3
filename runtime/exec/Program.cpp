//===- Program.cpp - a loaded model ---------------------------------------===//
//
// Chooses the device, makes the code ready, ranks the variants of each kernel, and places the weights.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Program.h"
#include "runtime/artifact/Print.h"
#include "runtime/device/CudaDevice.h"
#include "runtime/exec/Tuning.h"

#include <algorithm>
#include <bit>
#include <charconv>

namespace kt::exec {

using namespace artifact;

Program::~Program() {
  device::CallerContext keep;
  weights.reset();
  account.reset();
  fallbackHost.reset();
  device.reset();
}

Result<std::unique_ptr<Program>> Program::load(const std::string &path, const LoadOptions &options) {
  auto artifact = artifact::read(path, {options.verifyDigests});
  if (!artifact.ok())
    return std::move(artifact).status();
  std::unique_ptr<Program> p(new Program());
  p->options = options;
  p->loaded = *std::move(artifact);
  os::guardMappings();
  p->graph = std::make_unique<ExprGraph>(p->model());
  p->info = std::make_unique<ProgramInfo>(*p->graph);
  KT_RETURN_IF_ERROR(p->chooseDevice());
  device::CallerContext keep;
  KT_RETURN_IF_ERROR(p->device->load(p->model()));
  if (p->fallbackHost)
    KT_RETURN_IF_ERROR(p->fallbackHost->load(p->model()));
  p->findCandidates();
  KT_RETURN_IF_ERROR(p->readTuning());
  KT_RETURN_IF_ERROR(p->prepareCertain());
  KT_RETURN_IF_ERROR(p->placeWeights());
  return p;
}

Status Program::chooseDevice() {
  const std::string &wanted = options.device;
  auto anyFor = [&](const device::Device &d) {
    return std::any_of(model().modules.begin(), model().modules.end(),
                       [&](const Module &m) { return d.preference(m.target) > 0; });
  };
  bool gpuCode = std::any_of(model().modules.begin(), model().modules.end(),
                             [](const Module &m) { return m.kind != Module::Kind::HostImage; });
  Status gpuFailure;
  if (wanted.rfind("cuda", 0) == 0 || (wanted == "auto" && gpuCode)) {
    int ordinal = 0;
    if (wanted.size() > 4 && wanted != "auto") {
      auto [end, error] = std::from_chars(wanted.data() + 5, wanted.data() + wanted.size(), ordinal);
      if (wanted[4] != ':' || error != std::errc() || end != wanted.data() + wanted.size() || ordinal < 0)
        return Status::usage("unknown device '" + wanted + "', expected auto, host or cuda:N");
    }
    auto gpu = device::createCudaDevice(ordinal);
    if (!gpu.ok())
      gpuFailure = std::move(gpu).status();
    else if (!anyFor(**gpu) && gpuCode)
      gpuFailure = (*gpu)->unsupported(model().targets);
    else
      device = *std::move(gpu);
    if (device) {
      fallbackHost = std::make_unique<device::HostDevice>(options.threads);
      return {};
    }
    if (wanted != "auto")
      return gpuFailure;
  } else if (wanted != "auto" && wanted != "host") {
    return Status::usage("unknown device '" + wanted + "', expected auto, host or cuda:N");
  }
  auto host = std::make_unique<device::HostDevice>(options.threads);
  if (!model().modules.empty() && !anyFor(*host)) {
    Status failure = host->unsupported(model().targets);
    if (!gpuFailure.ok())
      failure = Status::failed(gpuFailure.message() + "; " + failure.message());
    return failure;
  }
  device = std::move(host);
  return {};
}

Status Program::intact() const {
  if (!device->isHost() && !weights->anyStreamed())
    return {};
  if (Status status = loaded->file->unchanged(); !status.ok())
    return Status::failed("'" + loaded->file->name() + "' changed after it was loaded");
  return {};
}

Status Program::noVariant(const Kernel &kernel) const {
  std::vector<std::string> targets;
  for (const Variant &v : kernel.variants)
    if (std::find(targets.begin(), targets.end(), v.target) == targets.end())
      targets.push_back(v.target);
  return device->unsupported(targets).in("kernel '" + artifact::escaped(kernel.name) + "' has no code for " +
                                         device->name());
}

void Program::findCandidates() {
  candidates.resize(model().kernels.size());
  pagedCandidates.resize(candidates.size());
  for (size_t k = 0; k < candidates.size(); ++k) {
    auto add = [&](const device::Device &d, bool fallback, bool paged, std::vector<Candidate> &to) {
      std::vector<std::pair<int, Candidate>> found; // with ranks
      for (const Variant &v : model().kernels[k].variants) {
        int rank = d.preference(v.target);
        if (rank > 0 && v.paged == paged &&
            std::all_of(v.stages.begin(), v.stages.end(), [&](const Stage &stage) { return d.runs(stage.module); }))
          found.insert(std::find_if(found.begin(), found.end(), [&](auto &other) { return other.first < rank; }),
                       {rank, Candidate{&v, fallback}});
      }
      for (auto &entry : found)
        to.push_back(entry.second);
    };
    add(*device, false, false, candidates[k]);
    add(*device, false, true, pagedCandidates[k]);
    if (fallbackHost)
      add(*fallbackHost, true, false, candidates[k]);
  }
}

/// The candidates of the device, or those of the host that stands in for it.
static std::span<const Candidate> groupOf(const std::vector<Candidate> &all, bool fallback) {
  auto border = std::find_if(all.begin(), all.end(), [](const Candidate &c) { return c.fallback; });
  return fallback ? std::span(border, all.end()) : std::span(all.begin(), border);
}

static artifact::Choice chooseAmong(std::span<const Candidate> group, const std::vector<Value> &values) {
  return artifact::choose(group, [](const Candidate &c) -> const Variant & { return *c.variant; }, values);
}

/// Takes on what a file of measured times says of this machine; what it says of other kernels and machines is left out.
Status Program::readTuning() {
  if (options.tuning.empty())
    return {};
  auto file = TuningFile::read(options.tuning);
  if (!file.ok())
    return std::move(file).status();
  tuned.resize(model().kernels.size());
  if (!(file->machine == Machine::of(*device)))
    return {};
  std::map<std::string, std::vector<uint32_t>> kernels; // those that are alike have the same times
  for (uint32_t k = 0; k < tuned.size(); ++k)
    kernels[kernelDigest(model(), k)].push_back(k);
  std::map<std::pair<uint32_t, std::vector<int64_t>>, int64_t> best;
  for (const TuningRow &row : file->rows) {
    auto found = kernels.find(row.digest);
    if (found == kernels.end())
      continue;
    for (uint32_t k : found->second) {
      const Kernel &kernel = model().kernels[k];
      if (row.variant >= kernel.variants.size() || row.ints.size() != kernel.numInts)
        continue;
      auto [least, isNew] = best.try_emplace({k, row.ints}, row.nanoseconds);
      if (!isNew && least->second <= row.nanoseconds)
        continue;
      least->second = row.nanoseconds;
      tuned[k][row.ints] = &kernel.variants[row.variant];
    }
  }
  return {};
}

const Candidate *Program::tunedVariant(uint32_t kernel, const std::vector<int64_t> &ints,
                                       const std::vector<Value> &values, std::span<const Candidate> group) const {
  if (tuned.empty())
    return nullptr;
  auto found = tuned[kernel].find(ints);
  if (found == tuned[kernel].end())
    return nullptr;
  // The file only proposes: a guard that does not hold is a kernel that would read what is not there.
  const Variant &variant = *found->second;
  if (variant.guard != kNone && !(values[variant.guard].ok() && values[variant.guard].value))
    return nullptr;
  for (const Candidate &c : group)
    if (c.variant == &variant)
      return &c;
  return nullptr;
}

const Candidate *Program::certainVariant(const Launch &launch, const ExprValues &values, std::vector<Value> &ints,
                                         std::vector<Value> &scratch, bool paged) const {
  const Kernel &kernel = model().kernels[launch.kernel];
  ints.clear();
  for (ExprId id : launch.ints)
    ints.push_back(values.peek(id));
  for (bool fallback : {false, true}) {
    auto group = groupOf(candidatesOf(launch.kernel, paged), fallback);
    if (group.empty())
      continue;
    evaluateKernel(kernel, ints, fallback ? fallbackHost->facts() : device->facts(), scratch);
    if (!fallback && !tuned.empty() && std::all_of(ints.begin(), ints.end(), [](Value v) { return v.ok(); })) {
      std::vector<int64_t> numbers;
      for (Value v : ints)
        numbers.push_back(v.value);
      if (const Candidate *c = tunedVariant(launch.kernel, numbers, scratch, group))
        return c;
    }
    artifact::Choice choice = chooseAmong(group, scratch);
    if (choice.best || choice.badGuard)
      return choice.certain ? &group[*choice.best] : nullptr;
  }
  return nullptr;
}

void addMissing(const Program &program, const Candidate &candidate, std::vector<uint32_t> &to) {
  if (candidate.fallback)
    return;
  for (const Stage &stage : candidate.variant->stages)
    if (!program.device->function(stage))
      to.push_back(stage.module);
}

/// Compiles what every run needs whatever its shapes: all code of a model without symbolic sizes, whose first run is
/// then as fast as the others. What depends on shapes waits for them.
Status Program::prepareCertain() {
  ExprValues values(*graph);
  for (SymbolId s = 0; s < model().symbols.size(); ++s)
    if (model().symbols[s].kind == Symbol::Kind::Input && model().symbols[s].min == model().symbols[s].max)
      values.set(s, model().symbols[s].min);
  std::vector<uint32_t> missing;
  std::vector<Value> ints, scratch;
  for (const Instruction &instruction : model().program.instructions)
    if (auto *launch = std::get_if<Launch>(&instruction))
      if (const Candidate *c = certainVariant(*launch, values, ints, scratch))
        addMissing(*this, *c, missing);
  return device->prepare(missing);
}

Status Program::placeWeights() {
  uint64_t limit = UINT64_MAX;
  if (!device->isHost()) {
    auto memory = device->memory();
    if (!memory.ok())
      return std::move(memory).status();
    // The driver needs some for itself, and fragments.
    uint64_t available = memory->first - memory->first / 32;
    limit = std::min(limit, available);
  }
  account = std::make_unique<MemoryAccount>(*device, limit);
  weights = std::make_unique<WeightStore>(model(), *device, *account,
                                          options.deviceMemory ? options.deviceMemory : UINT64_MAX);
  // The arena of the largest shapes when they are bounded, of the smallest when not: then a session asks for more.
  ExprValues values(*graph);
  for (SymbolId s = 0; s < model().symbols.size(); ++s)
    if (model().symbols[s].isGiven())
      values.set(s, model().symbols[s].max < (int64_t(1) << 31) ? model().symbols[s].max : model().symbols[s].min);
  ShapePlan estimate;
  // What need not be kept from run to run gives way to weights.
  if (Status status = estimate.compute(*this, values, false, /*keepOnce=*/false); !status.ok())
    estimate.arenaBytes = 0;
  // Bounds may be far beyond what the user runs; they must not push out all weights.
  if (limit != UINT64_MAX && estimate.arenaBytes > limit / 2)
    estimate.arenaBytes = 0;
  return weights->place(estimate.arenaBytes);
}

Status Program::moveWeights(uint64_t reserve) {
  {
    std::lock_guard lock(streamsMutex);
    for (device::Stream *stream : streams)
      KT_RETURN_IF_ERROR(stream->synchronize());
  }
  return weights->place(reserve);
}

void Program::addStream(device::Stream *stream) {
  std::lock_guard lock(streamsMutex);
  streams.push_back(stream);
}

void Program::removeStream(device::Stream *stream) {
  std::lock_guard lock(streamsMutex);
  std::erase(streams, stream);
}

bool countsFit(const Kernel &kernel, const std::vector<Value> &values) {
  return std::all_of(kernel.counts.begin(), kernel.counts.end(),
                     [&](ExprId count) { return values[count].ok() && values[count].value < int64_t(1) << 31; });
}

static Status badValue(const Kernel &kernel, Value value, ExprId id, const char *what) {
  if (value.ok())
    return Status::failed("kernel '" + artifact::escaped(kernel.name) + "': the " + what + " '" +
                          artifact::printExpr(kernel, id) + "' is " + std::to_string(value.value));
  return valueError(value, artifact::printExpr(kernel, id))
      .in("kernel '" + artifact::escaped(kernel.name) + "': the " + what);
}

/// Blocks of a cluster, once the grid is known.
static Status clusterOf(const Kernel &kernel, const Stage &stage, const std::vector<Value> &values,
                        device::StageLaunch &out) {
  out.cluster = 0;
  if (stage.cluster == kNone)
    return {};
  Value value = values[stage.cluster];
  if (!value.ok())
    return badValue(kernel, value, stage.cluster, "cluster");
  if (value.value < 1 || value.value > artifact::kMostClusterBlocks)
    return Status::failed(badValue(kernel, value, stage.cluster, "cluster").message() + " blocks, expected 1 to " +
                          std::to_string(artifact::kMostClusterBlocks));
  if (out.grid[1] % value.value)
    return Status::failed(badValue(kernel, value, stage.cluster, "cluster").message() +
                          " blocks, which do not divide the grid's " + std::to_string(out.grid[1]));
  out.cluster = value.value;
  return {};
}

Status prepareLaunch(const Program &program, const Launch &launch, const ExprValues &values,
                     std::vector<Value> &scratch, PreparedLaunch &prepared, bool paged) {
  const Kernel &kernel = program.model().kernels[launch.kernel];
  prepared.candidate = nullptr;
  prepared.ints.clear();
  for (ExprId id : launch.ints) {
    auto value = values.get(id);
    if (!value.ok())
      return std::move(value).status().in("kernel '" + artifact::escaped(kernel.name) + "'");
    prepared.ints.push_back(*value);
  }
  const Candidate *chosen = nullptr;
  bool tooMany = false;
  for (bool fallback : {false, true}) {
    auto group = groupOf(program.candidatesOf(launch.kernel, paged), fallback);
    if (group.empty() || chosen)
      continue;
    evaluateKernel(kernel, prepared.ints, fallback ? program.fallbackHost->facts() : program.device->facts(), scratch);
    tooMany = !fallback && !program.device->isHost() && !countsFit(kernel, scratch);
    if (tooMany)
      continue;
    chosen = fallback ? nullptr : program.tunedVariant(launch.kernel, prepared.ints, scratch, group);
    if (chosen)
      continue;
    artifact::Choice choice = chooseAmong(group, scratch);
    chosen = choice.best ? &group[*choice.best] : nullptr;
    if (!chosen && choice.badGuard) {
      ExprId guard = group[*choice.badGuard].variant->guard;
      return badValue(kernel, scratch[guard], guard, "guard");
    }
  }
  if (!chosen) {
    if (program.candidatesOf(launch.kernel, paged).empty())
      return program.noVariant(kernel);
    if (tooMany)
      return Status::failed("kernel '" + artifact::escaped(kernel.name) +
                            "': a tensor has 2^31 elements or more, and the artifact has no host code for it");
    return Status::failed("kernel '" + artifact::escaped(kernel.name) + "': no variant's guard holds");
  }
  return prepareVariant(program, kernel, *chosen, scratch, prepared);
}

Status prepareVariant(const Program &program, const Kernel &kernel, const Candidate &candidate,
                      const std::vector<Value> &values, PreparedLaunch &prepared) {
  const Variant &variant = *candidate.variant;
  bool gpu = !program.device->isHost() && !candidate.fallback;
  prepared.candidate = nullptr;
  if (gpu)
    for (size_t i = 0; i < prepared.ints.size(); ++i)
      if (prepared.ints[i] != static_cast<int32_t>(prepared.ints[i]))
        return Status::failed("kernel '" + artifact::escaped(kernel.name) + "': integer argument " + std::to_string(i) +
                              " is " + std::to_string(prepared.ints[i]) + ", which does not fit in 32 bits");
  auto size = [&](ExprId id, const char *what, uint64_t &to) -> Status {
    to = 0;
    if (id == kNone)
      return {};
    if (!values[id].ok() || values[id].value < 0)
      return badValue(kernel, values[id], id, what);
    to = static_cast<uint64_t>(values[id].value);
    return {};
  };
  KT_RETURN_IF_ERROR(size(variant.workspace, "workspace", prepared.workspace));
  prepared.hasWorkspace = variant.workspace != kNone;
  KT_RETURN_IF_ERROR(size(variant.counters, "counters", prepared.counters));
  prepared.hasCounters = variant.counters != kNone;
  prepared.stages.resize(variant.stages.size());
  for (size_t s = 0; s < variant.stages.size(); ++s) {
    const Stage &stage = variant.stages[s];
    device::StageLaunch &out = prepared.stages[s];
    out.stage = &stage;
    out.function = candidate.fallback ? program.fallbackHost->function(stage) : program.device->function(stage);
    constexpr int64_t kGridLimits[] = {INT32_MAX, 65535, 65535};
    for (unsigned d = 0; d < 3; ++d) {
      out.grid[d] = 1;
      if (stage.grid[d] == kNone)
        continue;
      Value value = values[stage.grid[d]];
      if (!value.ok() || value.value < 0 || (gpu && value.value > kGridLimits[d]))
        return badValue(kernel, value, stage.grid[d], "grid");
      out.grid[d] = value.value;
    }
    KT_RETURN_IF_ERROR(clusterOf(kernel, stage, values, out));
    KT_RETURN_IF_ERROR(size(stage.shared, "shared memory", out.shared));
    KT_RETURN_IF_ERROR(size(stage.scratch, "scratch", out.scratch));
  }
  prepared.candidate = &candidate;
  return {};
}

Status PreparedLaunch::makeReady(const Program &program) {
  if (std::all_of(stages.begin(), stages.end(), [](const device::StageLaunch &stage) { return stage.function; }))
    return {};
  std::vector<uint32_t> missing;
  addMissing(program, *candidate, missing);
  KT_RETURN_IF_ERROR(program.device->prepare(missing));
  for (device::StageLaunch &stage : stages)
    stage.function = program.device->function(*stage.stage);
  return {};
}

} // namespace kt::exec
