//===- Iterations.h - runs whose outputs are the next ones' inputs --------===//
//
// What --carry, --iterations and --resident say, done as any program over the runtime would: with memory of its own on
// the device, and with what the session has left there.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TOOLS_KTRUN_ITERATIONS_H
#define KT_TOOLS_KTRUN_ITERATIONS_H

#include "kt/Runtime.h"
#include "runtime/device/Device.h"

namespace ktrun {

/// From an output to an input of the next iteration, by their numbers.
struct Carry {
  size_t output, input;
};
/// `specs` are the values of --carry, "OUTPUT=INPUT". Names may hold '=': what counts is that there are such ports.
kt::Result<std::vector<Carry>> parseCarries(const kt::Model &model, const std::vector<std::string> &specs);

/// The runs of one session, one after the other.
class Iterations {
public:
  /// Borrows all of it. `resident`: inputs are brought to where the model runs once, and outputs stay there.
  static kt::Result<std::unique_ptr<Iterations>> create(const kt::Model &model, kt::Session &session,
                                                        std::span<const kt::TensorView> inputs,
                                                        std::vector<Carry> carries, bool resident);
  ~Iterations();
  Iterations(const Iterations &) = delete;
  Iterations &operator=(const Iterations &) = delete;

  /// Enqueues one more run. The session's outputs() are those that are carried, on the device; where it is the `last`
  /// one all, on the host.
  kt::Status next(bool last);
  /// Begins anew with the inputs that were given.
  void restart();
  /// All of them, and waits for the last.
  kt::Status run(uint64_t count);

private:
  Iterations(const kt::Model &model, kt::Session &session, std::vector<Carry> carries);
  kt::Status makeResident();
  kt::Result<void *> allocate(uint64_t bytes);

  const kt::Model &model;
  kt::Session &session;
  std::vector<Carry> carries;
  kt::Memory memory;                      // where the model runs
  std::vector<kt::Binding> given, inputs; // by input: at first, and in the next run
  std::vector<kt::Binding> outputs;       // that stay where the model runs
  std::unique_ptr<kt::device::Device> device;
  std::vector<void *> blocks; // of the device
};

} // namespace ktrun

#endif
