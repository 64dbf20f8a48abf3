//===- Runtime.h - run compiled models ------------------------------------===//
//
// The public C++ API:
//
//   auto model = kt::Model::load("model.ktm");
//   auto session = (*model)->createSession();
//   (*session)->run({{"x", kt::DataType::f32, {2, 3}, data}});
//   kt::TensorView y = (*session)->outputs()[0];
//
// Memory of the GPU, and a stream of one's own:
//
//   (*session)->enqueue({kt::Binding::input("x", {"", kt::DataType::f32, {2, 3}, onGpu, kt::Memory::device}),
//                        kt::Binding::output("y", alsoOnGpu, bytes, kt::Memory::device)}, stream);
//   ... more work for the stream ...
//   (*session)->wait();
//
// Nothing throws. A Model is shared and immutable; a Session does one run after the other.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_H
#define KT_RUNTIME_H

#include "kt/Status.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#if defined(__GNUC__)
#define KT_API __attribute__((visibility("default")))
#else
#define KT_API
#endif

namespace kt {

/// Element types. Types below 8 bits take one byte an element.
enum class DataType : uint8_t {
  f32,
  f16,
  bf16,
  f64,
  i8,
  u8,
  i16,
  u16,
  i32,
  u32,
  i64,
  u64,
  boolean,
  f8e4m3fn,
  f8e4m3fnuz,
  f8e5m2,
  f8e5m2fnuz,
  i4,
  u4,
  i2,
  u2,
  f4e2m1,
  f8e8m0,
  c64,
  c128,
  string
};
/// Bytes of an element; 0 for strings. Thread-safe.
KT_API uint32_t byteSize(DataType type);
/// "f32", "i64", "bool". The text is static. Thread-safe.
KT_API const char *name(DataType type);

/// Where memory is. `device` is the GPU that the session runs on: what cuMemAlloc, cudaMalloc and others over them
/// give, a CUdeviceptr as a pointer.
enum class Memory : uint8_t { host, device };

/// A dense row-major tensor. Does not own `data`.
struct TensorView {
  std::string name;
  DataType type = DataType::f32;
  std::vector<int64_t> dims;
  const void *data = nullptr;
  Memory memory = Memory::host;

  /// Number of elements times the size of one.
  uint64_t bytes() const {
    uint64_t n = byteSize(type);
    for (int64_t dim : dims)
      n *= static_cast<uint64_t>(dim);
    return n;
  }
};

/// Answers memory of `bytes` bytes for an output of these dimensions, or why there is none. It throws nothing and uses
/// the session for nothing.
using OutputAllocator = std::function<Result<void *>(std::span<const int64_t> dims, uint64_t bytes)>;

/// What a run does with one of its inputs or outputs.
struct Binding {
  enum class Port : uint8_t { input, output } port = Port::input;
  /// The port's name. Of an input its type, dimensions and memory; of an output memory and, unless the session owns it,
  /// `data`. Memory of the device begins at a multiple of 16 bytes.
  TensorView tensor = {};
  /// Of an output that is given memory: the bytes there are, at least those of the result.
  uint64_t capacity = 0;
  /// Of an output: the session has memory for it.
  bool owned = false;
  /// Of an output that the session owns on the device: host memory gets it as well (Session::copyOf).
  bool copied = false;
  /// Of an output that is given memory once its dimensions are known, which is asked for once a run: before anything is
  /// computed where they follow from those of inputs, else behind the program. What it answers where there is no memory
  /// fails the run. Host memory is good on a GPU as well: the result is copied there, which enqueue may wait for.
  OutputAllocator allocate = {};

  /// `value` may be an output of the run before, as it stands in Session::outputs().
  static Binding input(const std::string &name, TensorView value) {
    value.name = name;
    return {Port::input, std::move(value)};
  }
  static Binding output(const std::string &name, void *data, uint64_t capacity, Memory memory) {
    return {Port::output, {name, DataType::f32, {}, data, memory}, capacity};
  }
  static Binding allocatedOutput(const std::string &name, OutputAllocator allocate, Memory memory) {
    return {Port::output, {name, DataType::f32, {}, nullptr, memory}, 0, false, false, std::move(allocate)};
  }
  static Binding ownedOutput(const std::string &name, Memory memory) {
    return {Port::output, {name, DataType::f32, {}, nullptr, memory}, 0, true};
  }
};

/// What a model says about an input or output.
struct PortInfo {
  std::string name;
  DataType type = DataType::f32;
  std::vector<int64_t> dims;     // -1 where the dimension is not constant
  std::vector<std::string> text; // the dimensions as people read them: "768", "batch", "4 * seq"
  /// Of an output that is one of the inputs with more behind it, as caches are, or its next state: that input's name;
  /// of this input the output's. Else empty. A session may keep such pairs (SessionOptions).
  std::string tied = {};
  /// The dimension in which an output goes on where its input ends, of both; else -1.
  int64_t grows = -1;
  /// The dimension along which an output of its input's own size differs from it in a window, of both; else -1.
  int64_t written = -1;
};

struct Options {
  /// "auto": the GPU when the artifact has code for it and it works, else the host. "host". "cuda:N".
  std::string device = "auto";
  /// Threads of the host's pool, the caller's included; 0: as many as the process may use.
  unsigned threads = 0;
  /// Bytes of device memory for weights: slices whose weights do not fit are streamed in each run. What the values of a
  /// run take comes on top and is never limited but by the device. 0: what is free at load.
  uint64_t deviceMemory = 0;
  /// Whether the digests of weights and code are checked at load (the metadata's always are).
  bool verifyDigests = true;
  /// Whether repeated runs with the same shapes are recorded and replayed where the device can.
  bool cudaGraphs = true;
  /// A file of measured times that `ktrun --tune` or `ktc tune` has written; empty: none. Where it has times of a
  /// kernel for the sizes of a launch on this very machine, the fastest variant runs instead of the one that is
  /// expected to be.
  std::string tuning = {};
};

class Model;

/// Memory for the states that grow, such as caches, of several sessions of one model: pages of `rowsOfPage` elements
/// along the dimension that grows, each for one element of the batch and all such states. Sessions take pages as they
/// grow and give them back when they are truncated, reset or gone, so that memory is for what is held. Thread-safe.
class KT_API StatePool {
public:
  ~StatePool();
  StatePool(const StatePool &) = delete;
  StatePool &operator=(const StatePool &) = delete;

  /// Allocates `pages` pages on the model's device. It keeps the model alive. Code::usage for a model without a state
  /// that grows, and for one with a state that cannot lie in pages, which says what reads it otherwise.
  static Result<std::shared_ptr<StatePool>> create(std::shared_ptr<Model> model, uint64_t pages);
  uint64_t pages() const;
  /// Pages that no session holds.
  uint64_t unused() const;
  /// Of all pages.
  uint64_t bytes() const;
  static uint64_t rowsOfPage();

private:
  friend class Model;
  friend class Session;
  struct Impl;
  explicit StatePool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// Which numbers that are not finite fail a run (SessionOptions::checkNumerics).
enum class CheckNumerics : uint8_t {
  none,
  /// NaNs and plus infinity. Minus infinity is what masks are made of.
  faults,
  /// Minus infinity as well.
  all
};

struct SessionOptions {
  /// Not 0: the session keeps its state, the inputs that outputs continue (PortInfo::tied), and has room for so many
  /// elements along the dimension that grows, or that a window is written along where no input says its size. It begins
  /// with none, or with zeros of what does not grow; each run adds to it in place. Such inputs are not
  /// given to runs, and such outputs not asked for: outputs() has their dimensions, but no data. A run that would not
  /// fit fails with Code::usage and changes nothing. Code::usage for a model without state.
  uint64_t capacity = 0;
  /// Where what grows lies, in pages; null: memory for all of the capacity is the session's. A run that finds too few
  /// pages fails with Code::usage, says how much would fit, and changes nothing. The pool is of the same model. With a
  /// capacity of 0 the session has room for as much as the pool has pages.
  std::shared_ptr<StatePool> pool = {};
  /// Looks at what each launch computes, of floating-point types, and fails a run, with Code::failed, at the first that
  /// has such numbers although what it is made of has none: the message names the node, the kernel with its variant,
  /// how many there are and where, and how large the others become. Runs are slow then: each launch is waited for,
  /// memory of a GPU is copied to the host for it, and there are no graphs; enqueue blocks. Inputs, weights and states
  /// that have such numbers are not the model's fault: Session::numericsWarnings names them, and what follows from them
  /// fails no run. Code::usage for artifacts of compilers that did not yet say what kernels compute.
  CheckNumerics checkNumerics = CheckNumerics::none;
};

/// Counters of a session since it began; memory figures are of the model with all its sessions.
struct Stats {
  uint64_t runs = 0, plans = 0, launches = 0, graphReplays = 0;
  uint64_t onceLaunches = 0;        // those of the launches that a plan did once for all its runs
  uint64_t graphRecordings = 0;     // graphs that were recorded
  uint64_t graphPatches = 0;        // their nodes that were given other addresses, integers or grids
  uint64_t graphFailures = 0;       // graphs that the device would not record or replay: those runs took place without
  uint64_t arenaBytes = 0;          // for the values of the latest run
  uint64_t residentWeightBytes = 0; // weights that stay on the device
  uint64_t streamedWeightBytes = 0; // weights copied to the device in each run
  uint64_t lookedUpWeightBytes = 0; // of both, those of which a run reads what data says, such as rows of an embedding
  uint64_t streamedBytes = 0;       // copied so far
  uint64_t pages = 0;               // of its pool that the session holds, alone or with others
  uint64_t deviceBytes = 0, peakDeviceBytes = 0;
  std::map<std::string, uint64_t>
      hostFallbacks; // kernels that ran on the host although the device is a GPU, with counts
  /// What the latest shapes made of the kernels: "matmul_0 sm_89 tile=...", with the number of launches of the program.
  /// Launches whose sizes only the run knows are not among them.
  std::map<std::string, uint64_t> schedules;
};

struct ProfileEvent {
  std::string kernel, node, target, schedule;
  double startMicroseconds = 0, microseconds = 0;
  /// Of the memory of all tensors that the launch reads or writes, as if it touched all of it once.
  uint64_t bytes = 0;
  /// The slice of the program that it is in.
  uint64_t slice = 0;
};

/// A place in the work that was enqueued in a session. It may outlive the session. Thread-safe but for its end.
class KT_API Event {
public:
  ~Event();
  Event(const Event &) = delete;
  Event &operator=(const Event &) = delete;

  /// Blocks until the work is done. Code::failed where the device failed, or where a run of the session has met an
  /// index that is out of its range: what outputs hold then means nothing, and Session::wait says which index it was.
  [[nodiscard]] Status wait();
  /// What `stream`, a CUstream of the session's GPU, is given from now on waits for the work. Does not block.
  /// Code::usage for a stream of another context and on a session on the host.
  [[nodiscard]] Status delay(void *stream);

private:
  friend class Session;
  struct Impl;
  explicit Event(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// One stream of runs with its own memory. Not thread-safe: one thread at a time; different sessions run side by side.
class KT_API Session {
public:
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  /// Runs the model. `inputs` come in any order, each of the model's inputs once; their data is borrowed until the call
  /// returns. Blocks until the outputs are in host memory. Code::usage for a wrong name, type or shape.
  [[nodiscard]] Status run(std::span<const TensorView> inputs);
  /// Enqueues a run with the memory that its caller binds to inputs and outputs, and returns when that is done. Each of
  /// the model's inputs is bound once; outputs that are not bound are not brought anywhere.
  ///
  /// Inputs in host memory are borrowed for the call. Those on the device are used where they are and have to stay as
  /// they are until the run is done. An output that is given memory is written there, by the program itself where it
  /// can: it cannot where the output is an input, a weight or another output under a second name, where its size or
  /// what it is follows from data, or where an input that is used in place lies in the same memory, and is copied then.
  /// An output that the session owns is in host memory until the next run, or on the device until the run after the
  /// next: a run may take as inputs what the run before it owns, without a copy, and has other memory for its own
  /// outputs. What is older is refused, and a run that fails on its way leaves nothing that the session owned.
  /// outputs() says at once where they are and how large, once the run is done they hold the results.
  ///
  /// `stream` is a CUstream of the GPU's primary context (CU_STREAM_LEGACY and CU_STREAM_PER_THREAD too), or null. The
  /// run begins when the stream is done with what it has been given, and what it is given later begins when the run is
  /// done; with null the order is that of the session alone, whose runs follow one another whatever their streams. The
  /// session works on a stream of its own, so the caller's may go, or be captured, once the call has returned.
  ///
  /// The call blocks where the program has steps that depend on data or kernels that run on the host, where shapes
  /// have changed, and where inputs in host memory follow those of an earlier run that is still
  /// under way. On the host everything is done when it returns; memory has to be Memory::host then, and outputs that
  /// the session owns stay until the run after the next.
  ///
  /// Code::usage for wrong names, types and shapes, for memory and streams that are not of this GPU, for addresses that
  /// are no multiple of 16, for memory that is too small or that outputs share. What goes wrong on the device is told
  /// by wait().
  [[nodiscard]] Status enqueue(std::span<const Binding> bindings, void *stream = nullptr);
  /// Blocks until all that was enqueued is done. Code::failed where something went wrong in it; outputs() is empty
  /// then.
  [[nodiscard]] Status wait();
  /// The place behind what was enqueued, to be waited for by the host or by streams. `again`, an event of the same
  /// model that nobody waits for any more, is it then, and nothing is made anew. Code::usage for one of another model.
  Result<std::unique_ptr<Event>> record(std::unique_ptr<Event> again = nullptr);
  /// Runs once more on the inputs of the latest run, which are still where it put them, and leaves the outputs there:
  /// the time it takes is the model's own. Memory of the caller that was used in place has to live still. outputs() is
  /// empty afterwards. Code::usage before a first run.
  [[nodiscard]] Status repeat();
  /// How much of the session's state is held: elements along the dimension that grows, as of the latest run; 0 for a
  /// session without a capacity. Not what a run added in which something went wrong, once that is known.
  uint64_t held() const;
  /// What there is room for, as the session was created; 0 without.
  uint64_t capacity() const;
  /// Forgets all of the state but the first `length` elements; 0 begins anew, and the next run may then have another
  /// batch. Does not wait, but for work with pages that are given back. Code::usage where less is held, and for a
  /// length between where runs replace a part of the state, of which only the latest is there.
  [[nodiscard]] Status truncate(uint64_t length);
  [[nodiscard]] Status reset() { return truncate(0); }
  /// A session of its own that goes on from a copy of this one's state. Waits for what was enqueued. Sessions of a pool
  /// share the pages that are full, and copy one of them only where it is written again; Code::usage where the pool has
  /// no page for the rest.
  Result<std::unique_ptr<Session>> fork();
  /// Ends the run in progress, or the next one where none is, with Code::failed: before the next instruction of its
  /// program, so a loop ends within an iteration. The session may be used afterwards. From any thread, as long as the
  /// session lives.
  void cancel();
  /// Of the latest run, in the model's order. After `run` the data belongs to the session and stays until its next run;
  /// where an output is an input unchanged, it is the caller's. After `enqueue` it is where its binding wanted it, null
  /// where there was none. Empty after a failure.
  std::span<const TensorView> outputs() const;
  /// Where in host memory an output is, by its number, that the latest run owns and was bound to be copied; else null.
  /// It is there once the run is done, and stays until the run after the next: a caller may look at what one run has
  /// left while the device is busy with another. On the host it is the output itself.
  const void *copyOf(size_t output) const;
  /// Of this session's runs so far; another session may be running meanwhile.
  Stats stats() const;
  /// Records each launch from now on; launches then wait for the device, so that times are true and the run is slower.
  void profile(bool on);
  std::vector<ProfileEvent> profileEvents() const;
  /// What SessionOptions::checkNumerics is to do from the next run on, which plans anew. Waits for what was enqueued.
  [[nodiscard]] Status checkNumerics(CheckNumerics mode);
  /// The inputs, weights and states of this session's runs that had numbers that are not finite before anything was
  /// computed, each line once. Grows with the runs.
  const std::vector<std::string> &numericsWarnings() const;

private:
  friend class Model;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  Status runOn(std::span<const TensorView> inputs);
  Status enqueueOn(std::span<const Binding> bindings, void *stream);
  std::unique_ptr<Impl> impl;
};

/// A loaded model. All methods are thread-safe.
class KT_API Model : public std::enable_shared_from_this<Model> {
public:
  ~Model();
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  /// Maps and verifies the artifact, makes its code ready, uploads weights. Code::rejected for a damaged artifact,
  /// Code::failed for a machine that cannot run it. The file should stay as it is while the model lives: where runs
  /// still read it (on the host, or with weights that are streamed), each looks before and after whether it was written
  /// to or cut, and fails if so. Replacing it by another file of the same name does no harm. Installs a handler of
  /// SIGBUS, which hands on what is not about the file. A CUDA context that the caller has current stays so, here and
  /// in all other calls.
  static Result<std::shared_ptr<Model>> load(const std::string &path, const Options &options = {});

  const std::vector<PortInfo> &inputs() const;
  const std::vector<PortInfo> &outputs() const;
  /// "host (AVX-512, 8 threads)"
  std::string device() const;
  /// Memory where the model runs, counted as its own, for inputs and outputs that stay there. What is left of it keeps
  /// the model alive; giving it back waits for work on the device that may use it. Code::failed where there is none.
  Result<std::shared_ptr<void>> allocate(uint64_t bytes);
  /// A session keeps its model alive. The caller owns the session.
  Result<std::unique_ptr<Session>> createSession(const SessionOptions &options = {});

private:
  friend class Session;
  friend class StatePool;
  friend class Generator;
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  static Result<std::shared_ptr<Model>> loadModel(const std::string &path, const Options &options);
  Result<std::unique_ptr<Session>> makeSession(const SessionOptions &options);
  std::unique_ptr<Impl> impl;
};

} // namespace kt

#endif
