//===- Errors.cpp - failures of the runtime as exceptions of Python -------===//
//
// The classes are Python's own (_errors.py): they have two bases each, and what is written there has its documentation.
//
//===----------------------------------------------------------------------===//

#include "python/src/Errors.h"

namespace kt::python {

namespace {
nb::object classOf(Code code) {
  nb::module_ errors = nb::module_::import_("ktransformers._errors");
  switch (code) {
  case Code::usage:
    return errors.attr("UsageError");
  case Code::rejected:
    return errors.attr("RejectedError");
  default:
    return errors.attr("FailedError");
  }
}

/// Names and paths in messages may be any bytes.
nb::object textOf(const std::string &message) {
  return nb::steal(PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()), "backslashreplace"));
}
} // namespace

void raise(const Status &status) {
  nb::object text = textOf(status.message());
  PyErr_SetObject(classOf(status.code()).ptr(), text.ptr());
  throw nb::python_error();
}

void raiseFrom(nb::python_error &cause, const std::string &message) {
  std::string why = nb::str(cause.value()).c_str();
  nb::object error = classOf(Code::usage)(textOf(message + ": " + why));
  PyException_SetCause(error.ptr(), nb::borrow(cause.value()).release().ptr());
  PyErr_SetObject(error.type().ptr(), error.ptr());
  throw nb::python_error();
}

} // namespace kt::python
