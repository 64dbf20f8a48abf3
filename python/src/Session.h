//===- Session.h - sessions of Python -------------------------------------===//

#ifndef KT_PYTHON_SESSION_H
#define KT_PYTHON_SESSION_H

#include "python/src/Arrays.h"

#include <mutex>
#include <unordered_map>

namespace kt::python {

/// The inputs and outputs of a model, which it shares with its sessions.
struct Ports {
  std::vector<Port> inputs, outputs;
  std::unordered_map<std::string, size_t> inputIndex;

  explicit Ports(const Model &model);
};

/// A session that one thread at a time uses; others wait for it.
///
/// The GIL is always given up before the mutex is waited for, so a thread may take the GIL again while it has the
/// mutex.
class PySession {
public:
  PySession(std::shared_ptr<Ports> ports, std::unique_ptr<kt::Session> session);

  /// {name: array} in, {name: array} out. Needs the GIL, and gives it up meanwhile.
  nb::dict run(nb::handle inputs);
  std::unique_ptr<PySession> fork();
  void truncate(uint64_t length);
  uint64_t held();
  uint64_t capacity() const { return room; }
  void cancel() { session->cancel(); }
  std::string repr();

private:
  /// Whether the session has this input or output itself, so that runs neither take nor give it.
  bool keeps(const Port &port) const { return room && !port.info.tied.empty(); }
  std::vector<TensorView> bind(nb::handle inputs, std::vector<Borrowed> &borrowed);
  nb::dict takeOutputs();

  std::shared_ptr<Ports> ports;
  std::unique_ptr<kt::Session> session;
  uint64_t room;
  std::mutex mutex;
};

} // namespace kt::python

#endif
