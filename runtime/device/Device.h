//===- Device.h - what the executor needs of a device ---------------------===//
//
// A device holds one loaded model's code and hands out memory; a stream runs work in order for one session.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_DEVICE_DEVICE_H
#define KT_RUNTIME_DEVICE_DEVICE_H

#include "runtime/artifact/Model.h"
#include "runtime/include/kt/Status.h"

#include <span>

namespace kt::device {

/// Answers to artifact::Fact.
struct Facts {
  int64_t smCount = 1, sharedPerBlock = 0, computeCapability = 0, l2Bytes = 0;
  int64_t get(artifact::Fact fact) const {
    switch (fact) {
    case artifact::Fact::SmCount:
      return smCount;
    case artifact::Fact::SharedPerBlock:
      return sharedPerBlock;
    case artifact::Fact::ComputeCapability:
      return computeCapability;
    case artifact::Fact::L2Bytes:
      return l2Bytes;
    }
    return 0;
  }
};

/// A stage with everything evaluated.
struct StageLaunch {
  const artifact::Stage *stage = nullptr;
  const void *function = nullptr; // from Device::function
  int64_t grid[3] = {0, 0, 0};    // a zero skips the stage
  int64_t cluster = 0;            // blocks of one, along grid[1], which it divides; 0: there are none
  uint64_t shared = 0, scratch = 0;
};

/// What all stages of a launch share. All pointers are borrowed for the call.
struct LaunchArguments {
  void *const *buffers = nullptr;
  uint32_t numBuffers = 0, numInts = 0;
  const int64_t *ints = nullptr;
  void *workspace = nullptr;
  bool hasWorkspace = false;
  /// Memory that host and device reach alike (Device::allocateStaging).
  artifact::FaultRecord *faults = nullptr;
  bool reportsFaults = false;
  /// Memory that is zero between launches, in which blocks count who has come.
  void *counters = nullptr;
  bool hasCounters = false;
  /// On the device; null where the variant is not paged.
  const artifact::PageTable *pages = nullptr;
};

/// A recorded sequence of work, replayed by the stream that recorded it. Its launches, copies and fills are numbered in
/// the order in which they were recorded; of each it keeps what it was made from and what the driver was told last, so
/// that other addresses, integers and grids cost what differs and no recording.
class Graph {
public:
  virtual ~Graph() = default;
  virtual size_t nodes() const = 0;
  /// Nodes that the next replay has to tell the driver about first.
  virtual size_t pending() const = 0;
  /// What a node does from the next replay on; replays under way do what they were given. Fails where a node is of
  /// another kind, has another function or another number of arguments: such a graph has to be recorded again.
  virtual Status update(size_t node, const StageLaunch &stage, const LaunchArguments &arguments) = 0;
  virtual Status updateCopy(size_t node, void *dst, const void *src, uint64_t bytes) = 0;
  virtual Status updateZero(size_t node, void *dst, uint64_t bytes) = 0;
};

/// A place in a stream's work. Thread-safe.
class Event {
public:
  virtual ~Event() = default;
  /// Waits until the stream has passed it.
  virtual Status wait() = 0;
  /// What `stream`, a caller's that Device::checkStream has accepted, is given from now on comes after it.
  virtual Status delay(void *stream) = 0;
};

/// Work in order. Calls may return before the work is done; `synchronize` waits. One thread at a time.
class Stream {
public:
  virtual ~Stream() = default;
  /// Begins a run: none of its launches starts before all that the stream was given earlier has ended, where launches
  /// of one run may overlap. So what only earlier runs have written can be read at once.
  virtual void beginRun() {}
  virtual Status launch(const StageLaunch &stage, const LaunchArguments &arguments) = 0;
  /// From host memory that stays unchanged until the stream has passed.
  virtual Status copyIn(void *dst, const void *src, uint64_t bytes) = 0;
  virtual Status copyOut(void *dst, const void *src, uint64_t bytes) = 0;
  /// The same for which work that follows need not wait; what comes behind the next such copy does. Events that are
  /// recorded later, and `synchronize`, come after it.
  virtual Status copyOutBeside(void *dst, const void *src, uint64_t bytes) { return copyOut(dst, src, bytes); }
  virtual Status copy(void *dst, const void *src, uint64_t bytes) = 0;
  virtual Status zero(void *dst, uint64_t bytes) = 0;
  virtual Status synchronize() = 0;

  /// Notes when the stream gets here, under a small number that may be used again.
  virtual Status mark(size_t number) = 0;
  /// Nanoseconds from one mark to another that the stream has passed.
  virtual Result<int64_t> between(size_t from, size_t to) = 0;

  /// Streamed weights: a copy that may overtake the stream's other work. The staging memory it writes must not be in
  /// use by work enqueued before the last `fence()`. Work enqueued after `join()` sees it.
  virtual Status prefetch(void *dst, const void *src, uint64_t bytes) { return copyIn(dst, src, bytes); }
  virtual Status fence() { return {}; }
  virtual Status join() { return {}; }

  /// Notes where the stream is: in `again`, an earlier answer of this stream, where there is one, else in a new event.
  virtual Result<std::unique_ptr<Event>> record(std::unique_ptr<Event> again) = 0;
  /// Order with a stream of the caller's that Device::checkStream has accepted: what this one is given from now on
  /// comes after what the other has been given, or the other way round.
  virtual Status follow(void *other) { return {}; }
  virtual Status lead(void *other) { return {}; }

  virtual bool canRecord() const { return false; }
  virtual Status beginRecord() { return Status::failed("this device records no graphs"); }
  virtual Result<std::unique_ptr<Graph>> endRecord() { return Status::failed("this device records no graphs"); }
  /// Until `endUpdate`, launches, copies and fills are not done: one after the other, they say what the graph's nodes
  /// are to do. Either may fail like Graph::update, `endUpdate` where nodes are left over.
  virtual Status beginUpdate(Graph &graph) { return Status::failed("this device records no graphs"); }
  virtual Status endUpdate() { return Status::failed("this device records no graphs"); }
  virtual Status replay(Graph &graph) { return Status::failed("this device records no graphs"); }
};

/// Thread-safe once `load` has returned.
class Device {
public:
  virtual ~Device() = default;
  virtual bool isHost() const = 0;
  /// For people: "host (AVX-512, 8 threads)", "cuda:0 (NVIDIA H100)".
  virtual std::string name() const = 0;
  virtual Facts facts() const = 0;
  /// What kind of machine it is, without its place among others: "NVIDIA H100".
  virtual std::string kind() const = 0;
  /// 0: code for this target does not run here; otherwise the larger the better.
  virtual int preference(const std::string &target) const = 0;
  /// Why nothing in the model runs here, in terms of this machine: "needs sm_89 but the GPU is sm_75".
  virtual Status unsupported(const std::vector<std::string> &targets) const = 0;
  /// Takes on the code of `model`, which has to outlive the device. Once.
  virtual Status load(const artifact::Model &model) = 0;
  /// Whether a module of the loaded model is code for this device.
  virtual bool runs(uint32_t module) const = 0;
  /// Makes these modules, which run here, ready. Compiles each once, however many threads ask for it at once; may take
  /// long, and may not be called by a thread whose stream records.
  virtual Status prepare(std::span<const uint32_t> modules) { return {}; }
  /// The entry of a stage of the loaded model, or null where its module is not ready.
  virtual const void *function(const artifact::Stage &stage) const = 0;

  /// Memory aligned to 256 bytes.
  virtual Result<void *> allocate(uint64_t bytes) = 0;
  virtual void release(void *memory) = 0;
  /// Host memory that copies fast.
  virtual Result<void *> allocateStaging(uint64_t bytes) = 0;
  virtual void releaseStaging(void *memory) = 0;
  /// Free and total bytes of memory.
  virtual Result<std::pair<uint64_t, uint64_t>> memory() const = 0;
  virtual Result<std::unique_ptr<Stream>> createStream() = 0;

  /// Code::usage where a caller's memory or stream cannot be used here: it is another device's or context's, or none
  /// that the driver knows (any more).
  virtual Status checkMemory(const void *memory) const = 0;
  virtual Status checkStream(void *stream) const = 0;
};

/// While it lives, calls of devices may change the calling thread's current CUDA context: the caller of the library
/// finds it as it was.
class CallerContext {
public:
  CallerContext();
  ~CallerContext();
  CallerContext(const CallerContext &) = delete;
  CallerContext &operator=(const CallerContext &) = delete;

private:
  void *context = nullptr;
  bool known = false; // no driver is loaded, so nothing can change
};

constexpr uint64_t kAlignment = 256;

} // namespace kt::device

#endif
