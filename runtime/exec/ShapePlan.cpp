//===- ShapePlan.cpp - where everything lies for one set of shapes --------===//
//
// Variants for the launches whose integers are known, places for buffers and workspaces, and what of the plan before
// is still right.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Print.h"
#include "runtime/exec/Program.h"

#include <algorithm>
#include <bit>

namespace kt::exec {

using namespace artifact;

namespace {
/// Calls `f` with each launch of a block and those nested in it, in the order of ProgramInfo's numbers.
template <typename F> void forEachLaunch(const Block &block, const BlockInfo &info, F f) {
  for (size_t i = 0; i < block.instructions.size(); ++i) {
    const InstructionInfo &at = info.instructions[i];
    if (auto *launch = std::get_if<Launch>(&block.instructions[i])) {
      f(*launch, at.launch);
    } else if (auto *branch = std::get_if<If>(&block.instructions[i])) {
      forEachLaunch(*branch->then, at.blocks[0], f);
      forEachLaunch(*branch->otherwise, at.blocks[1], f);
    } else if (auto *loop = std::get_if<Loop>(&block.instructions[i])) {
      forEachLaunch(*loop->body, at.blocks[0], f);
    }
  }
}
} // namespace

/// To keep what does not change from run to run, a plan may be this much larger, or a quarter.
constexpr uint64_t kSpareForKept = uint64_t(16) << 20;

Status ShapePlan::compute(const Program &program, const ExprValues &values, bool keep, bool keepOnce,
                          std::span<void *const> homes) {
  const Model &m = program.model();
  const ProgramInfo &info = *program.info;
  keptPlaces = laidOut && keep == keepInputs;
  keepInputs = keep;
  elsewhere.resize(m.buffers.size());
  for (size_t b = 0; b < homes.size(); ++b) {
    keptPlaces = keptPlaces && elsewhere[b] == (homes[b] != nullptr);
    elsewhere[b] = homes[b] != nullptr;
  }
  sizes.assign(m.buffers.size(), 0);
  placed.assign(m.buffers.size(), 0);
  bool inputsToo = !program.device->isHost();
  for (BufferId b = 0; b < m.buffers.size(); ++b) {
    if (!info.planned[b] && !(inputsToo && m.buffers[b].kind == Buffer::Kind::Input))
      continue;
    // A size that cannot be computed is reported when the program gets there, if it does.
    Value bytes = values.peek(m.buffers[b].bytes);
    if (!bytes.ok() || bytes.value < 0)
      continue;
    placed[b] = 1;
    sizes[b] = static_cast<uint64_t>(bytes.value);
  }
  prepare(program, values);
  // What memory was too short to keep from run to run may be kept with smaller sizes, but not with those that only
  // grow.
  bool mayKeepMore = !keepsOnce && !info.prologue.empty() && !grows();
  keptPlaces = keptPlaces && !mayKeepMore && fits(program);
  keptPrologue = keptPrologue && keptPlaces;
  return keptPlaces ? Status() : layOut(program, keepOnce);
}

/// Chooses variants for the launches whose integers are known. What has the integers that it had is left as it is, and
/// layers are alike.
void ShapePlan::prepare(const Program &program, const ExprValues &values) {
  const ProgramInfo &info = *program.info;
  launches.resize(info.numLaunches);
  latest.assign(program.model().kernels.size(), nullptr);
  allPrepared = keptPrologue = true;
  usesFallback = false;
  auto one = [&](const Launch &launch, uint32_t number) -> bool {
    PreparedLaunch &prepared = launches[number];
    if (!info.launchIsEarly[number])
      return false;
    ints.clear();
    for (ExprId id : launch.ints) {
      Value value = values.peek(id);
      if (!value.ok())
        return false;
      ints.push_back(value.value);
    }
    if (!prepared.candidate || prepared.ints != ints) {
      keptPrologue = keptPrologue && !launch.once;
      if (const PreparedLaunch *alike = latest[launch.kernel]; alike && alike->ints == ints)
        prepared = *alike;
      else if (!prepareLaunch(program, launch, values, scratch, prepared, paged).ok())
        return false;
    }
    latest[launch.kernel] = &prepared;
    return true;
  };
  forEachLaunch(program.model().program, info.top, [&](const Launch &launch, uint32_t number) {
    if (!one(launch, number)) {
      launches[number].candidate = nullptr;
      allPrepared = keptPrologue = false;
    }
    launches[number].plannedWorkspace = nullptr;
  });
}

/// Whether everything has room where it lies.
bool ShapePlan::fits(const Program &program) const {
  if (placed != placedBefore || !allPrepared)
    return false;
  size_t buffers = placed.size();
  for (size_t b = 0; b < buffers; ++b)
    if (placed[b] && !elsewhere[b] && sizes[b] > room[b])
      return false;
  for (size_t i = 0; i < launches.size(); ++i) {
    const PreparedLaunch &launch = launches[i];
    if (launch.candidate->fallback ||
        (launch.hasWorkspace && (workspaceOffsets[i] == kNoOffset || launch.workspace > room[buffers + i])))
      return false;
  }
  return true;
}

/// Whether plans follow one another, for a session with state.
bool ShapePlan::grows() const {
  return std::any_of(elsewhere.begin(), elsewhere.end(), [](uint8_t there) { return there; });
}

/// An eighth at most, where sizes grow.
uint64_t ShapePlan::withRoom(uint64_t bytes) const {
  uint64_t step = std::max<uint64_t>(device::kAlignment, std::bit_floor(bytes) / 8);
  return grows() && bytes <= UINT64_MAX / 2 ? (bytes + step - 1) / step * step : bytes;
}

Status ShapePlan::layOut(const Program &program, bool keepOnce) {
  const ProgramInfo &info = *program.info;
  KT_RETURN_IF_ERROR(place(program, false));
  // What cannot be computed is reported when a run gets there.
  if (!keepOnce || info.prologue.empty() || !std::all_of(info.prologue.begin(), info.prologue.end(), [&](uint32_t i) {
        const InstructionInfo &at = info.top.instructions[i];
        return (at.launch == kNone || launches[at.launch].candidate) &&
               std::all_of(at.defines.begin(), at.defines.end(), [&](BufferId b) { return placed[b]; });
      }))
    return {};
  uint64_t most = arenaBytes + std::max(arenaBytes / 4, kSpareForKept);
  if (Status status = place(program, true); status.ok() && arenaBytes <= most)
    return {};
  return place(program, false);
}

Status ShapePlan::place(const Program &program, bool keepOnce) {
  const Model &m = program.model();
  const ProgramInfo &info = *program.info;
  laidOut = false;
  items.clear();
  owners.clear();
  room.assign(m.buffers.size() + info.numLaunches, 0);
  offsets.assign(m.buffers.size(), 0);
  workspaceOffsets.assign(info.numLaunches, kNoOffset);
  usesFallback = false;
  keepsOnce = keepOnce;
  for (BufferId b = 0; b < m.buffers.size(); ++b) {
    if (!placed[b] || elsewhere[b])
      continue;
    Lifetime lifetime = keepOnce && info.definedOnce[b] ? info.lifetimeInPrologue(b) : info.lifetimes[b];
    if (keepInputs && m.buffers[b].kind == Buffer::Kind::Input)
      lifetime.end = kForever;
    room[b] = withRoom(sizes[b]);
    items.push_back({room[b], lifetime});
    owners.emplace_back(b, 0);
  }
  forEachLaunch(m.program, info.top, [&](const Launch &launch, uint32_t number) {
    const PreparedLaunch &prepared = launches[number];
    if (!prepared.candidate)
      return;
    bool before = keepOnce && launch.once;
    usesFallback = usesFallback || (prepared.candidate->fallback && !before);
    int64_t at = info.launchAt[number];
    if (prepared.hasWorkspace && !prepared.candidate->fallback && at >= 0) {
      if (before)
        at = info.timeInPrologue(at);
      uint64_t &bytes = room[m.buffers.size() + number] = withRoom(prepared.workspace);
      items.push_back({bytes, {at, at}});
      owners.emplace_back(number, 1);
    }
  });
  auto total = placeInArena(items);
  if (!total.ok())
    return std::move(total).status();
  arenaBytes = *total;
  for (size_t i = 0; i < items.size(); ++i)
    (owners[i].second ? workspaceOffsets : offsets)[owners[i].first] = items[i].offset;
  placedBefore = placed;
  laidOut = true;
  return {};
}

std::map<std::string, uint64_t> ShapePlan::schedules(const Program &program) const {
  std::map<std::string, uint64_t> counts;
  if (launches.empty())
    return counts;
  const Model &m = program.model();
  forEachLaunch(m.program, program.info->top, [&](const Launch &launch, uint32_t number) {
    if (const Candidate *c = launches[number].candidate)
      ++counts[artifact::escaped(m.kernels[launch.kernel].name + " " + c->variant->target + " " +
                                 c->variant->schedule)];
  });
  return counts;
}

Status ShapePlan::makeReady(const Program &program, const ExprValues &values) {
  std::vector<uint32_t> missing;
  std::vector<Value> ints;
  forEachLaunch(program.model().program, program.info->top, [&](const Launch &launch, uint32_t number) {
    // A size that only the run tells may leave no choice of variants all the same.
    const Candidate *candidate = launches[number].candidate;
    if (!candidate)
      candidate = program.certainVariant(launch, values, ints, scratch, paged);
    if (candidate)
      addMissing(program, *candidate, missing);
  });
  KT_RETURN_IF_ERROR(program.device->prepare(missing));
  for (PreparedLaunch &launch : launches)
    if (launch.candidate)
      KT_RETURN_IF_ERROR(launch.makeReady(program));
  return {};
}

} // namespace kt::exec
