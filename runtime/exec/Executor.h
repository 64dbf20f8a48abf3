//===- Executor.h - one session of a loaded model -------------------------===//
//
// Binds input shapes, plans memory when they change, and runs the program. One thread at a time; sessions of one
// program run side by side.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_EXECUTOR_H
#define KT_RUNTIME_EXEC_EXECUTOR_H

#include "runtime/exec/Numerics.h"
#include "runtime/exec/PagePool.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <map>

namespace kt::exec {

/// An input as the caller has it. Host memory is borrowed for the call, on a host session and memory of the device
/// until the run is done.
struct InputView {
  artifact::DType type = artifact::DType::f32;
  std::span<const int64_t> dims;
  const void *data = nullptr;
  bool onDevice = false;
};

/// What becomes of an output.
struct OutputRequest {
  enum class Place : uint8_t {
    none,    // nobody asked for it
    host,    // host memory of the session, until its next run; on a device, of the caller where `allocate` gives it
    session, // memory of the session where it runs, until the run after the next
    caller   // `data`, memory of `capacity` bytes where the session runs
  } place = Place::host;
  void *data = nullptr;
  uint64_t capacity = 0;
  bool copied = false; // with Place::session: host memory gets a copy that stays as long
  /// With Place::caller or host: gives `data` once dimensions are known; until then there is none. Borrowed for the
  /// call.
  const std::function<Result<void *>(std::span<const int64_t> dims, uint64_t bytes)> *allocate = nullptr;
};

/// An output where the request wanted it; null where there was none.
struct OutputView {
  std::vector<int64_t> dims;
  const void *data = nullptr;
  uint64_t bytes = 0;
  const void *copy = nullptr; // in host memory, where one was asked for
};

/// "f32[2, 3]"
std::string shapeText(artifact::DType type, std::span<const int64_t> dims);
/// Bytes of a dense tensor, or nothing when that overflows.
std::optional<uint64_t> tensorBytes(artifact::DType type, std::span<const int64_t> dims);

struct ProfileEvent {
  std::string name, node, device, schedule;
  double startMicroseconds = 0, microseconds = 0;
  uint64_t bytes = 0; // of all that it is given
  size_t slice = 0;
};

/// Counted since the session began.
struct Counters {
  uint64_t runs = 0, plans = 0, launches = 0, onceLaunches = 0, graphReplays = 0, graphFailures = 0, streamedBytes = 0;
  uint64_t graphRecordings = 0, graphPatches = 0;
  uint64_t arenaBytes = 0;                   // of the latest plan
  std::map<std::string, uint64_t> fallbacks; // kernels that ran on the host for want of GPU code
};

class Executor {
public:
  /// With a `capacity` that is not 0 it keeps the inputs that outputs continue, with room for so many elements along
  /// the dimension that grows: these are not given to runs, and those outputs not asked for. What grows lies in pages
  /// of the pool, where there is one; it is the program's.
  static Result<std::unique_ptr<Executor>> create(Program &program, uint64_t capacity = 0,
                                                  std::shared_ptr<PagePool> pages = nullptr);
  ~Executor();

  /// `inputs` in the order of the model's inputs, `requests` in that of its outputs. Returns when the outputs are
  /// there.
  Status run(std::span<const InputView> inputs, std::span<OutputRequest> requests);
  /// Returns when the work is enqueued, behind that of earlier runs and what `stream`, a caller's or null, has been
  /// given so far; what that is given later comes after it. A program with steps that depend on data waits for these.
  Status enqueue(std::span<const InputView> inputs, std::span<OutputRequest> requests, void *stream);
  /// Until all that was enqueued is done; answers what went wrong in it.
  Status wait();
  /// The place behind what was enqueued; `again` is an event that nobody waits for any more, or null.
  Result<std::unique_ptr<device::Event>> record(std::unique_ptr<device::Event> again) {
    return stream->record(std::move(again));
  }
  /// In memory that host and device share; whoever holds it may ask whether `site` is set, atomically.
  std::shared_ptr<artifact::FaultRecord> faultRecord() const { return faults; }
  /// Runs on the inputs of the latest run, still where it put them, and leaves the outputs on the device.
  Status repeat();
  /// Ends the run in progress, or the next one where none is, with a failure that says so; whatever of it runs on a
  /// device ends by itself. Thread-safe.
  void cancel() { cancelled.store(true, std::memory_order_relaxed); }
  /// Of the latest successful run, in the order of the model's outputs.
  const std::vector<OutputView> &outputs() const { return results; }

  bool keepsInput(size_t input) const { return capacity && keptBy[input] != artifact::kNone; }
  bool keepsOutput(size_t output) const { return capacity && m.outputs[output].tied != artifact::kNone; }
  uint64_t stateCapacity() const { return capacity; }
  /// Pages of the pool.
  uint64_t heldPages() const { return table.blocks * table.batch; }
  /// Elements that are held along the dimension that grows; the most, where that differs, and 0 where nothing grows.
  uint64_t held() const;
  /// Forgets all but the first `length`. Of what a run replaces there are none to go back to but the begin.
  Status truncate(uint64_t length);
  /// Takes over a copy of what another session of the same program and capacity keeps; of full pages it needs none.
  Status copyKept(Executor &from);

  const Counters &counters() const { return counts; }
  /// Starts, or stops, to record each launch; launches then wait for the device.
  void profile(bool on) { profiling = on; }
  const std::vector<ProfileEvent> &events() const { return profileEvents; }
  /// From the next run on, which makes its plan anew. Code::usage where the artifact does not say what results are.
  Status checkNumerics(Numerics mode);
  Numerics numericsMode() const { return numerics; }
  /// See Session::numericsWarnings.
  const std::vector<std::string> &numericsWarnings() const { return warnings; }
  /// See Stats::schedules.
  std::map<std::string, uint64_t> schedules() const { return shapes.schedules(program); }

private:
  explicit Executor(Program &program);

  // Executor.cpp: binding, planning, running
  Status bind(std::span<const InputView> inputs, bool &changed);
  Status enqueueOnce(std::span<const InputView> inputs, std::span<OutputRequest> requests, bool waits);
  Status repeatOnce();
  Status finish();
  Status ensureCounters(uint64_t bytes);
  Status settled(Status status, bool unfinishedBefore);
  /// What kernels reported up to the latest synchronisation, once.
  Status takeFault();
  void clearFault();
  Status settle();
  Status plan();
  void bindGiven();
  void reset();

  // Bindings.cpp
  Status checkBindings(std::span<const InputView> inputs, std::span<const OutputRequest> requests) const;
  Status checkInput(const InputView &input) const;
  bool earlyDims(size_t output, std::vector<int64_t> &dims) const;
  Status checkOutputPlaces(std::span<const OutputRequest> requests) const;
  Status obtainOutput(size_t output, std::span<const int64_t> dims, OutputRequest &request) const;
  Status obtainOutputs(std::span<OutputRequest> requests) const;
  Status checkCapacity(size_t output, uint64_t bytes, const OutputRequest &request) const;
  bool overlapsInput(const void *memory, uint64_t bytes, std::span<const InputView> inputs) const;
  uint64_t inputBytes(size_t input) const;
  Status placeInputs(std::span<const InputView> inputs, bool waits);
  Status placeOutputs(std::span<const InputView> inputs, std::span<const OutputRequest> requests);
  void place(artifact::BufferId id, void *memory);
  void *plannedPlace(artifact::BufferId id) const {
    return capacity && homes[id] ? homes[id] : static_cast<char *>(arena) + shapes.offsets[id];
  }
  Status measureOutput(size_t output);
  Status collectOutputs(std::span<OutputRequest> requests);
  Status fetchOutput(size_t output, char *host);
  Status lendOutput(size_t output);
  Status copyOutput(size_t output, void *to);
  Status copyToHost(std::span<const OutputRequest> requests);

  // State.cpp
  /// An input that an output continues: in one piece of memory, or, where all of it is replaced, in two that take
  /// turns.
  struct Kept {
    uint32_t input, output, axis;
    bool grows;
    artifact::BufferId root;            // the output's memory, or `tensor`'s
    artifact::DType type;               // of what is there
    const artifact::KeptTensor *tensor; // what is kept in place of the output; null: that itself
    void *memory = nullptr, *other = nullptr;
    uint64_t bytes = 0;                       // of one
    std::vector<int64_t> dims = {};           // of the memory
    int64_t held = 0, next = 0;               // elements along `axis`, and after the run at hand
    int64_t certain = 0;                      // as of the latest wait
    bool begun = false, begunCertain = false; // of one that does not grow: a run has written it
    uint64_t ahead = 0;                       // runs since the latest wait
    bool touched = false;                     // the run at hand may have written it
    bool lost = false;                        // written over by a run that failed
    bool replaced() const { return axis == artifact::kNone; }
  };
  Status keepState(uint64_t room);
  Status bindKept(const std::function<Status(size_t, artifact::SymbolId, int64_t)> &bindSymbol);
  Status prepareKept();
  Status giveHome(Kept &k, const std::vector<int64_t> &dims);
  void placeKept();
  void touchKept(artifact::BufferId root);
  void abandonKept();
  void settleKept(bool well);
  void releaseKept();
  void release(Kept &k);
  void advanceKept();
  Status forget(Kept &k);

  // CheckNumerics.cpp
  void findReaders(const artifact::Block &block);
  Status lookAtWeights();
  void bindNumerics();
  Status lookAtInputs(std::span<const InputView> inputs);
  Status lookAtResults(const artifact::Launch &i, const PreparedLaunch &prepared, uint8_t given);
  Status lookAtKept(const Kept &k, const Storage &storage, int64_t end, NumericsCount &count);
  Status lookAt(const Storage &storage, uint64_t offset, uint64_t elements, uint64_t first, NumericsCount &count);
  template <typename Fn> Status forEachPiece(const Kept &k, int64_t begin, int64_t end, Fn fn) const;
  uint8_t numericsGiven(const artifact::Launch &i) const;
  const Kept *keptAs(const Storage *storage) const;
  void warn(const std::string &what, const NumericsCount &count, std::span<const int64_t> dims);

  // Paging.cpp
  Status makeTable(uint64_t batch);
  void releaseTable();
  Status sendTable(uint64_t begin, uint64_t end);
  Status takePages(uint64_t held, uint64_t next, const std::string &text);
  Status givePages(uint64_t rows);
  Status copyPage(PagePool::Page from, PagePool::Page to);
  Status sharePages(Executor &from, uint64_t held);

  // Replay.cpp
  Status walk();
  Status execute();
  Status executeGraph(bool &done);
  Status recordGraph();
  bool updateGraph();

  // Streaming.cpp
  Status placeAgain();
  Status refreshWeights();
  Status copySlice(size_t slice, unsigned half);
  Status streamSlice(size_t slice);
  Status runProgram();
  Status runPrologue();

  // Instructions.cpp
  Status block(const artifact::Block &block, const BlockInfo &info);
  Status range(const artifact::Block &block, const BlockInfo &info, size_t begin, size_t end);
  Status step(const artifact::Launch &i, const InstructionInfo &info);
  Status step(const artifact::Copy &i, const InstructionInfo &info);
  Status step(const artifact::ReadScalar &i, const InstructionInfo &info);
  Status step(const artifact::SetSymbol &i, const InstructionInfo &info);
  Status step(const artifact::Assert &i, const InstructionInfo &info);
  Status step(const artifact::If &i, const InstructionInfo &info);
  Status step(const artifact::Loop &i, const InstructionInfo &info);
  Status step(const artifact::Alias &i, const InstructionInfo &info);
  Status launchOnHost(const artifact::Launch &i, const InstructionInfo &info, PreparedLaunch &prepared);
  /// What a scan output has collected so far.
  struct Scan {
    Storage *storage = nullptr;
    uint64_t piece = 0, count = 0;
  };
  Status append(Scan &scan, Storage &piece, bool reverse, uint64_t iteration, uint64_t trips, bool exact);
  Status define(artifact::BufferId id);
  void bindTo(artifact::BufferId id, Storage *storage);
  void unbind(artifact::BufferId id);
  Status checkSize(artifact::BufferId id, const char *what);
  Status ensureOnDevice(Storage &storage);
  Status ensureOnHost(Storage &storage);
  Status detachFromStaging(artifact::BufferId id);
  std::string nodeText(uint32_t node) const;

  Program &program;
  const artifact::Model &m;
  ExprValues values;
  std::unique_ptr<device::Stream> stream, hostStream;
  StoragePool pool;
  ShapePlan shapes;
  bool planned = false;
  void *blockCounters = nullptr; // zero between launches
  uint64_t countersCapacity = 0;
  bool prologueDone = false; // with this plan
  void *arena = nullptr;
  uint64_t arenaCapacity = 0;
  std::vector<Storage> fixed;         // by buffer: planned ones and inputs
  std::vector<Storage> weightStorage; // by weight
  std::vector<Storage *> bound;       // by buffer
  std::vector<artifact::SymbolId> inputSymbols;
  std::vector<int64_t> symbolValues, newSymbolValues;
  std::vector<uint8_t> symbolSeen;

  // State
  uint64_t capacity = 0; // 0: nothing is kept
  std::vector<Kept> kept;
  std::vector<uint32_t> keptBy;    // by input: number in `kept` of the first that there is for it, or kNone
  std::vector<void *> homes;       // by buffer: memory that is no plan's, or null
  std::shared_ptr<PagePool> pages; // null: what grows lies in one piece
  /// The session's pages: for each kPageRows rows those of the batch's elements. `blocks` are there.
  struct Table {
    PagePool::Page *memory = nullptr; // on the device
    std::span<PagePool::Page> copy;   // in pinned memory, which stays as it is while copies of it are under way
    uint64_t batch = 0, blocks = 0;
  } table;

  // Streaming
  void *staging = nullptr;
  uint64_t stagingCapacity = 0, weightGeneration = 0;
  size_t stagedSlice[2] = {SIZE_MAX, SIZE_MAX};
  unsigned nextHalf = 0;

  // Host copies of inputs and outputs, when the device is not the host
  struct Pinned {
    void *memory = nullptr;
    uint64_t capacity = 0;
  };
  Status ensurePinned(Pinned &area, uint64_t bytes);
  Pinned pinnedInputs, pinnedOutputs;
  Pinned copies[2]; // of what the session owns on the device; runs take turns
  unsigned latestCopies = 0;
  std::vector<void *> inputCopies;  // by input, in pinnedInputs
  std::vector<void *> deviceInputs; // by input: the caller's memory, or null
  bool keepInputs = false;          // since a first repeat()

  // Runs that were enqueued
  bool unfinished = false;       // there may be some
  bool unfinishedBefore = false; // as the run at hand began
  std::unique_ptr<device::Event> inputsCopied;
  bool inputsUnderWay = false;             // from pinned memory, until `inputsCopied`
  std::vector<uint8_t> writtenInPlace;     // by output
  std::vector<Storage *> lent, lentBefore; // what the latest run and the one before have left to their caller

  std::unique_ptr<device::Graph> graph;
  bool graphIsStale = false;              // the graph was made for other places or another plan
  std::vector<Storage *> replayedOutputs; // by output
  bool graphFailed = false;               // with this plan
  bool mostChanged = false;               // of the graph since the run before
  uint64_t runsOfPlan = 0;

  std::vector<Storage *> handover; // what loops and branches hold between blocks
  std::vector<OutputView> results;
  std::vector<void *> pointers; // of a launch's buffers
  std::vector<Value> kernelScratch;
  std::shared_ptr<artifact::FaultRecord> faults; // staging memory: kernels of the host and of the device write it
  void *hostWorkspace = nullptr;
  uint64_t hostWorkspaceCapacity = 0;
  std::atomic<bool> cancelled{false};
  Counters counts;
  bool profiling = false;
  std::vector<ProfileEvent> profileEvents;
  std::chrono::steady_clock::time_point profileStart;
  size_t runningSlice = 0; // where the program is

  // What is not finite
  Numerics numerics = Numerics::unchecked;
  std::vector<uint8_t> readers;                       // by buffer: something reads it
  std::vector<uint8_t> inputNumerics, weightNumerics; // by input, as of the latest run; by weight, once looked at
  std::vector<std::string> warnings;
  Pinned numericsPiece;
};

} // namespace kt::exec

#endif
