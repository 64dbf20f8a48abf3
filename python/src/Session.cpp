//===- Session.cpp - sessions of Python -----------------------------------===//

#include "python/src/Session.h"
#include "python/src/Errors.h"

#include <cstring>

namespace kt::python {

namespace {
/// Below this, giving up the GIL costs more than the copy.
constexpr uint64_t kLargeCopy = 256 << 10;

std::string quoted(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "'" : ", '") + name + "'";
  return text.empty() ? "none" : text;
}
} // namespace

Ports::Ports(const Model &model) {
  for (const PortInfo &info : model.inputs()) {
    inputIndex.emplace(info.name, inputs.size());
    inputs.push_back({info});
  }
  for (const PortInfo &info : model.outputs())
    outputs.push_back({info});
}

PySession::PySession(std::shared_ptr<Ports> ports, std::unique_ptr<kt::Session> session)
    : ports(std::move(ports)), session(std::move(session)), room(this->session->capacity()) {}

/// Names first, all that are wrong at once, then the arrays one by one.
std::vector<TensorView> PySession::bind(nb::handle inputs, std::vector<Borrowed> &borrowed) {
  if (!PyMapping_Check(inputs.ptr()) || !nb::hasattr(inputs, "keys"))
    throw nb::type_error(("expected a mapping from names to arrays but got " +
                          std::string(nb::str(inputs.type().attr("__name__")).c_str()))
                             .c_str());
  nb::dict named = PyDict_Check(inputs.ptr()) ? nb::borrow<nb::dict>(inputs) : nb::dict();
  if (!PyDict_Check(inputs.ptr()))
    named.update(inputs);
  std::vector<nb::object> values(ports->inputs.size()); // held: what makes arrays of them may change the mapping
  std::vector<std::string> unknown, known, missing;
  for (auto [key, value] : named) {
    if (!PyUnicode_Check(key.ptr()))
      raise(Status::usage("expected the name of an input but got " + std::string(nb::repr(key).c_str())));
    // With surrogates where an artifact has other bytes than UTF-8 in a name: nothing is called so.
    nb::object text = nb::steal(PyUnicode_AsEncodedString(key.ptr(), "utf-8", "backslashreplace"));
    std::string name(PyBytes_AsString(text.ptr()), static_cast<size_t>(PyBytes_Size(text.ptr())));
    auto found = ports->inputIndex.find(name);
    if (found == ports->inputIndex.end())
      unknown.push_back(name);
    else
      values[found->second] = nb::borrow(value);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const Port &port = ports->inputs[i];
    if (keeps(port) && values[i].is_valid())
      raise(Status::usage("input '" + port.info.name + "' is given, but the session keeps it"));
    if (keeps(port))
      continue;
    known.push_back(port.info.name);
    if (!values[i].is_valid())
      missing.push_back(port.info.name + "' of " + port.text());
  }
  if (!unknown.empty())
    raise(Status::usage("no input is called " + quoted(unknown) + ", expected " + quoted(known)));
  if (!missing.empty()) {
    std::string text;
    for (const std::string &port : missing)
      text += (text.empty() ? "'" : ", '") + port;
    raise(Status::usage((missing.size() > 1 ? "inputs are missing: " : "an input is missing: ") + text));
  }
  std::vector<TensorView> views;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].is_valid())
      continue;
    borrowed[i].borrow(values[i], ports->inputs[i]);
    views.push_back(borrowed[i].view());
  }
  return views;
}

nb::dict PySession::run(nb::handle inputs) {
  std::vector<Borrowed> borrowed(ports->inputs.size());
  std::vector<TensorView> views = bind(inputs, borrowed);
  Status status;
  std::unique_lock<std::mutex> lock(mutex, std::defer_lock);
  {
    nb::gil_scoped_release released;
    lock.lock();
    status = session->run(views);
  }
  check(status);
  return takeOutputs();
}

/// Copies, since the next run writes where this one's outputs are. The mutex is held.
nb::dict PySession::takeOutputs() {
  nb::dict results;
  std::span<const TensorView> outputs = session->outputs();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorView &output = outputs[i];
    Port &port = ports->outputs[i];
    if (keeps(port))
      continue;
    nb::object array = emptyArray(output, port);
    if (uint64_t bytes = output.bytes()) {
      void *data = dataOf(array);
      if (bytes < kLargeCopy) {
        std::memcpy(data, output.data, bytes);
      } else {
        nb::gil_scoped_release released;
        std::memcpy(data, output.data, bytes);
      }
    }
    nb::object name = nb::steal(PyUnicode_DecodeUTF8(
        port.info.name.data(), static_cast<Py_ssize_t>(port.info.name.size()), "backslashreplace"));
    results[name] = array;
  }
  return results;
}

std::unique_ptr<PySession> PySession::fork() {
  auto forked = [&] {
    nb::gil_scoped_release released;
    std::lock_guard<std::mutex> lock(mutex);
    return session->fork();
  }();
  return std::make_unique<PySession>(ports, take(std::move(forked)));
}

void PySession::truncate(uint64_t length) {
  Status status;
  {
    nb::gil_scoped_release released;
    std::lock_guard<std::mutex> lock(mutex);
    status = session->truncate(length);
  }
  check(status);
}

uint64_t PySession::held() {
  nb::gil_scoped_release released;
  std::lock_guard<std::mutex> lock(mutex);
  return session->held();
}

/// Without waiting for a run: debuggers and logs ask at any time.
std::string PySession::repr() {
  std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
  if (!lock)
    return "<ktransformers.Session: running>";
  if (!room)
    return "<ktransformers.Session>";
  return "<ktransformers.Session: holds " + std::to_string(session->held()) + " of " + std::to_string(room) + ">";
}

} // namespace kt::python
