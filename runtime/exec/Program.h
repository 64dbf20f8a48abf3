//===- Program.h - a loaded model -----------------------------------------===//
//
// What all sessions of a model share: the artifact, its analysis, the devices with their code, and the weights.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_PROGRAM_H
#define KT_RUNTIME_EXEC_PROGRAM_H

#include "runtime/artifact/Reader.h"
#include "runtime/device/HostDevice.h"
#include "runtime/exec/Arena.h"
#include "runtime/exec/Weights.h"

#include <map>
#include <shared_mutex>

namespace kt::exec {

struct LoadOptions {
  std::string device = "auto"; // auto, host, cuda:N
  unsigned threads = 0;        // 0: all
  uint64_t deviceMemory = 0;   // bytes for weights; 0: what is free
  bool verifyDigests = true;
  bool cudaGraphs = true;
  std::string tuning = {}; // a file of measured times (Tuning.h); empty: none
};

/// A variant that can run on one of the devices.
struct Candidate {
  const artifact::Variant *variant = nullptr;
  bool fallback = false; // on the host although the device is another
};

class Program {
public:
  static Result<std::unique_ptr<Program>> load(const std::string &path, const LoadOptions &options);
  ~Program();

  const artifact::Model &model() const { return loaded->model; }
  /// Fails where the artifact's file is not what was loaded and runs still read it: weights are used where they are
  /// mapped, unless they are all on a device.
  Status intact() const;
  /// Why a launch finds no code: for the message of a run that needs it.
  Status noVariant(const artifact::Kernel &kernel) const;
  /// The variant that a launch takes whatever is not known yet, or null; `ints` and `scratch` keep their memory.
  const Candidate *certainVariant(const artifact::Launch &launch, const ExprValues &values, std::vector<Value> &ints,
                                  std::vector<Value> &scratch, bool paged = false) const;
  /// Of `group`, candidates of the device, the one that was measured to be the fastest for these integers and fits, or
  /// null.
  const Candidate *tunedVariant(uint32_t kernel, const std::vector<int64_t> &ints, const std::vector<Value> &values,
                                std::span<const Candidate> group) const;

  std::unique_ptr<artifact::LoadedModel> loaded;
  std::unique_ptr<ExprGraph> graph;
  std::unique_ptr<ProgramInfo> info;
  std::unique_ptr<device::Device> device;
  std::unique_ptr<device::HostDevice> fallbackHost; // only when the device is not the host
  std::unique_ptr<MemoryAccount> account;
  std::unique_ptr<WeightStore> weights;
  std::vector<std::vector<Candidate>> candidates; // by kernel, best first
  /// The device's variants for states in pages, by kernel; none of one that has no such state.
  std::vector<std::vector<Candidate>> pagedCandidates;
  const std::vector<Candidate> &candidatesOf(uint32_t kernel, bool paged) const {
    return paged && !pagedCandidates[kernel].empty() ? pagedCandidates[kernel] : candidates[kernel];
  }
  /// By kernel and a launch's integers: the variant that was measured to be the fastest on this machine.
  std::vector<std::map<std::vector<int64_t>, const artifact::Variant *>> tuned;
  LoadOptions options;

  /// Held shared while a session enqueues a run, alone while weights move.
  std::shared_mutex residency;
  /// Places weights anew, with `residency` held alone: once nothing that has been enqueued reads them any more.
  Status moveWeights(uint64_t reserve);
  /// The streams of the sessions that there are.
  void addStream(device::Stream *stream);
  void removeStream(device::Stream *stream);

private:
  Program() = default;
  Status chooseDevice();
  void findCandidates();
  Status readTuning();
  Status prepareCertain();
  Status placeWeights();
  std::mutex streamsMutex;
  std::vector<device::Stream *> streams;
};

/// A launch with everything evaluated that its integers decide.
struct PreparedLaunch {
  const Candidate *candidate = nullptr; // null: not prepared
  std::vector<int64_t> ints;
  std::vector<device::StageLaunch> stages;
  uint64_t workspace = 0;
  bool hasWorkspace = false;
  uint64_t counters = 0; // bytes
  bool hasCounters = false;
  void *plannedWorkspace = nullptr;

  /// Compiles what of the variant's code is not ready, and enters the functions.
  Status makeReady(const Program &program);
};

/// Evaluates a launch's integers and picks its variant, whose code may not be ready yet; `scratch` keeps its memory.
/// `paged`: for a session that keeps states in pages.
Status prepareLaunch(const Program &program, const artifact::Launch &launch, const ExprValues &values,
                     std::vector<Value> &scratch, PreparedLaunch &prepared, bool paged = false);
/// The rest of it: what `candidate` takes for the integers that `prepared` has, with `values` those of the kernel's
/// pool for them.
Status prepareVariant(const Program &program, const artifact::Kernel &kernel, const Candidate &candidate,
                      const std::vector<Value> &values, PreparedLaunch &prepared);
/// Adds the device's modules that a variant needs and that are not ready.
void addMissing(const Program &program, const Candidate &candidate, std::vector<uint32_t> &to);
/// Whether GPU code, which counts in 32 bits, can number the elements of all buffers.
bool countsFit(const artifact::Kernel &kernel, const std::vector<Value> &values);

/// Where everything lies for one set of input shapes.
struct ShapePlan {
  uint64_t arenaBytes = 0;
  std::vector<uint64_t> offsets;          // by buffer, where `placed`
  std::vector<uint64_t> sizes;            // by buffer, where `placed`
  std::vector<uint8_t> placed;            // by buffer
  std::vector<PreparedLaunch> launches;   // by launch; the early ones are prepared
  std::vector<uint64_t> workspaceOffsets; // by launch, kNoOffset where the pool gives it
  bool allPrepared = true;
  bool usesFallback = false; // in a run
  bool keepsOnce = false;    // the prologue's results stay, and runs leave it out
  bool paged = false;        // for a session that keeps states in pages
  static constexpr uint64_t kNoOffset = UINT64_MAX;

  bool keptPlaces = false;   // everything lies where the plan before had it
  bool keptPrologue = false; // and what that did once need not be done again
  /// Computes the plan from the symbols in `values`, keeping memory of an earlier one and what of it is still right.
  /// With `keep` nothing of the run takes the place of an input that is no longer read. Buffers that have a place among
  /// `homes`, by buffer where there are any, get none, and others then have room to grow a little: a session with state
  /// has a plan for each length.
  Status compute(const Program &program, const ExprValues &values, bool keep = false, bool keepOnce = true,
                 std::span<void *const> homes = {});
  /// Gives places to what `compute` has found, with the results of the prologue kept for all runs or made in each.
  Status layOut(const Program &program, bool keepOnce);
  /// Compiles, all at once, the code of the launches whose variant is known from `values`.
  Status makeReady(const Program &program, const ExprValues &values);
  /// How many launches have which variant of which kernel, as far as that is settled.
  std::map<std::string, uint64_t> schedules(const Program &program) const;

private:
  Status place(const Program &program, bool keepOnce);
  void prepare(const Program &program, const ExprValues &values);
  bool fits(const Program &program) const;
  bool grows() const;
  uint64_t withRoom(uint64_t bytes) const;
  bool laidOut = false, keepInputs = false;
  std::vector<uint8_t> elsewhere;             // by buffer: it has memory of its own
  std::vector<uint8_t> placedBefore;          // as it was laid out
  std::vector<uint64_t> room;                 // by buffer, bytes; by launch behind that, of its workspace
  std::vector<const PreparedLaunch *> latest; // by kernel
  std::vector<int64_t> ints;
  std::vector<ArenaItem> items;
  std::vector<std::pair<uint32_t, uint32_t>> owners; // buffer or launch (second: 1)
  std::vector<Value> scratch;
  friend class Executor;
};

} // namespace kt::exec

#endif
