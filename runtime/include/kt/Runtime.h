//===- Runtime.h - run compiled models ------------------------------------===//
//
// The public C++ API:
//
//   auto model = kt::Model::load("model.ktm");
//   auto session = (*model)->createSession();
//   (*session)->run({{"x", kt::DataType::f32, {2, 3}, data}});
//   kt::TensorView y = (*session)->outputs()[0];
//
// Nothing throws. A Model is shared and immutable; a Session has the memory of one run at a time.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_H
#define KT_RUNTIME_H

#include "kt/Status.h"

#include <cstdint>
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

/// A dense row-major tensor in host memory. Does not own `data`.
struct TensorView {
  std::string name;
  DataType type = DataType::f32;
  std::vector<int64_t> dims;
  const void *data = nullptr;

  /// Number of elements times the size of one.
  uint64_t bytes() const {
    uint64_t n = byteSize(type);
    for (int64_t dim : dims)
      n *= static_cast<uint64_t>(dim);
    return n;
  }
};

/// What a model says about an input or output.
struct PortInfo {
  std::string name;
  DataType type = DataType::f32;
  std::vector<int64_t> dims;     // -1 where the dimension is not constant
  std::vector<std::string> text; // the dimensions as people read them: "768", "batch", "4 * seq"
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

/// Counters of a session since it began; memory figures are of the model with all its sessions.
struct Stats {
  uint64_t runs = 0, plans = 0, launches = 0, graphReplays = 0;
  uint64_t onceLaunches = 0;        // those of the launches that a plan did once for all its runs
  uint64_t graphFailures = 0;       // graphs that the device would not record or replay: those runs took place without
  uint64_t arenaBytes = 0;          // for the values of the latest run
  uint64_t residentWeightBytes = 0; // weights that stay on the device
  uint64_t streamedWeightBytes = 0; // weights copied to the device in each run
  uint64_t streamedBytes = 0;       // copied so far
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
};

class Model;

/// One stream of runs with its own memory. Not thread-safe: one thread at a time; different sessions run side by side.
class KT_API Session {
public:
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  /// Runs the model. `inputs` come in any order, each of the model's inputs once; their data is borrowed until the call
  /// returns. Blocks until the outputs are in host memory. Code::usage for a wrong name, type or shape.
  [[nodiscard]] Status run(std::span<const TensorView> inputs);
  /// Runs once more on the inputs of the latest run, which are still on the device, and leaves the outputs there: the
  /// time it takes is the model's own. Host inputs that were used in place have to live still. outputs() is empty
  /// afterwards. Code::usage before a first run.
  [[nodiscard]] Status repeat();
  /// Ends the run in progress, or the next one where none is, with Code::failed: before the next instruction of its
  /// program, so a loop ends within an iteration. The session may be used afterwards. From any thread, as long as the
  /// session lives.
  void cancel();
  /// Of the latest run, in the model's order. The data belongs to the session and stays until its next run; empty after
  /// a failure. Where an output is an input unchanged, its data is the caller's.
  std::span<const TensorView> outputs() const;
  /// Of this session's runs so far; another session may be running meanwhile.
  Stats stats() const;
  /// Records each launch from now on; launches then wait for the device, so that times are true and the run is slower.
  void profile(bool on);
  std::vector<ProfileEvent> profileEvents() const;

private:
  friend class Model;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  Status runOn(std::span<const TensorView> inputs);
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
  /// A session keeps its model alive. The caller owns the session.
  Result<std::unique_ptr<Session>> createSession();

private:
  friend class Session;
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  static Result<std::shared_ptr<Model>> loadModel(const std::string &path, const Options &options);
  Result<std::unique_ptr<Session>> makeSession();
  std::unique_ptr<Impl> impl;
};

} // namespace kt

#endif
