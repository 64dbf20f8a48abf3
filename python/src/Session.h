//===- Session.h - sessions of Python -------------------------------------===//

#ifndef KT_PYTHON_SESSION_H
#define KT_PYTHON_SESSION_H

#include "python/src/Outputs.h"

#include <mutex>
#include <unordered_map>

namespace kt::python {

/// The inputs and outputs of a model, which it shares with its sessions.
struct Ports {
  std::vector<Port> inputs, outputs;
  int card = -1; // the GPU that the model runs on, by its number; -1: the host
  std::unordered_map<std::string, size_t> inputIndex, outputIndex;

  explicit Ports(const Model &model);
};

/// What a run does besides.
struct RunOptions {
  nb::handle outputs = {};    // null or None, or arrays to write to
  bool deviceOutputs = false; // those that are not given stay where the model runs
  uintptr_t stream = 0;       // of the caller; 0: none
  uint64_t ticket = 0;        // what cancelRun calls this run; 0: nothing
};

/// A session that one thread at a time uses; others wait for it.
///
/// The GIL is always given up before the mutex is waited for, so a thread may take the GIL again while it has the
/// mutex.
class PySession {
public:
  PySession(std::shared_ptr<kt::Model> model, std::shared_ptr<Ports> ports, std::unique_ptr<kt::Session> session);

  /// {name: array} in, {name: array} out. Needs the GIL, and gives it up meanwhile.
  nb::dict run(nb::handle inputs, const RunOptions &options);
  std::unique_ptr<PySession> fork();
  void truncate(uint64_t length);
  uint64_t held();
  uint64_t capacity() const { return room; }
  void profile(bool on);
  /// [(kernel, node, target, schedule, microseconds, bytes, slice)] from number `begin` on.
  nb::list profileEvents(size_t begin);
  void cancel() { session->cancel(); }
  /// Ends that run if it is under way; another one goes on.
  void cancelRun(uint64_t ticket);
  std::string repr();

private:
  /// Whether the session has this input or output itself, so that runs neither take nor give it.
  bool keeps(const Port &port) const { return room && !port.info.tied.empty(); }
  void bind(nb::handle inputs, const Place &place, std::vector<Borrowed> &borrowed);
  void bindOutputs(const RunOptions &options, const Place &place, std::vector<Destination> &destinations);
  Status runOn(const std::vector<Borrowed> &borrowed, std::vector<Destination> &destinations,
               const RunOptions &options);
  void nowRunning(uint64_t ticket);
  nb::dict takeOutputs(std::vector<Destination> &destinations);

  std::shared_ptr<kt::Model> model;
  std::shared_ptr<Ports> ports;
  std::unique_ptr<kt::Session> session;
  uint64_t room;
  std::mutex mutex;
  std::mutex runningMutex; // for `running`; nothing is waited for while one has it
  uint64_t running = 0;
  // Of the run at hand: whoever has the mutex uses them.
  std::vector<Binding> bindings; // inputs, then outputs, but for what the session keeps
  std::vector<Scratch> scratch;  // by output
  std::vector<Destination> *destinations = nullptr;
};

} // namespace kt::python

#endif
