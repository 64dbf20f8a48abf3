//===- Errors.h - failures of the runtime as exceptions of Python ---------===//

#ifndef KT_PYTHON_ERRORS_H
#define KT_PYTHON_ERRORS_H

#include "kt/Status.h"

#include <nanobind/nanobind.h>

namespace kt::python {

namespace nb = nanobind;

/// Raises the class of `ktransformers._errors` that belongs to the status. Needs the GIL.
[[noreturn]] void raise(const Status &status);
/// The same because of the exception that is being handled, which stays as its cause; its text follows the message.
[[noreturn]] void raiseFrom(nb::python_error &cause, const std::string &message);

inline void check(const Status &status) {
  if (!status.ok())
    raise(status);
}
template <typename T> T take(Result<T> result) {
  check(result.status());
  return *std::move(result);
}

} // namespace kt::python

#endif
