//===- TokenGenerator.h - language models, token by token, in Python ------===//

#ifndef KT_PYTHON_TOKENGENERATOR_H
#define KT_PYTHON_TOKENGENERATOR_H

#include "kt/Generate.h"

#include <atomic>
#include <mutex>
#include <nanobind/nanobind.h>
#include <thread>

namespace kt::python {

namespace nb = nanobind;

/// A generator of the runtime that one thread at a time uses; others wait for it, as for a PySession. What its own
/// callback asks of it is refused, since it would wait for itself.
class PyTokenGenerator {
public:
  explicit PyTokenGenerator(std::unique_ptr<kt::Generator> generator) : generator(std::move(generator)) {}

  /// `onToken` is None or is called with (token, stream) and ends the stream by answering False; what it raises ends
  /// all of them and is raised here. Needs the GIL, and gives it up meanwhile. Signals are looked at between tokens.
  nb::dict generate(GenerateRequest request, nb::object onToken);
  std::unique_ptr<PyTokenGenerator> fork();
  void truncate(uint64_t length);
  void reset();
  uint64_t held();
  size_t streams();
  uint64_t capacity() const { return generator->capacity(); }
  uint64_t vocabulary() const { return generator->vocabulary(); }
  void cancel() { generator->cancel(); }

private:
  template <typename Fn> auto alone(Fn fn);

  std::unique_ptr<kt::Generator> generator;
  std::mutex mutex;
  std::atomic<std::thread::id> user = {}; // who has the mutex
};

/// Adds the class and read_genai_config to the module.
void bindTokenGenerator(nb::module_ &m);

} // namespace kt::python

#endif
