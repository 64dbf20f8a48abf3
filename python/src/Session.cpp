//===- Session.cpp - sessions of Python -----------------------------------===//

#include "python/src/Session.h"
#include "python/src/Errors.h"

namespace kt::python {

namespace {
std::string quoted(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "'" : ", '") + name + "'";
  return text.empty() ? "none" : text;
}

/// A mapping of the caller's as a dictionary.
nb::dict dictOf(nb::handle mapping) {
  if (PyDict_Check(mapping.ptr()))
    return nb::borrow<nb::dict>(mapping);
  if (!PyMapping_Check(mapping.ptr()) || !nb::hasattr(mapping, "keys"))
    throw nb::type_error(("expected a mapping from names to arrays but got " +
                          std::string(nb::str(mapping.type().attr("__name__")).c_str()))
                             .c_str());
  nb::dict named;
  named.update(mapping);
  return named;
}

/// The values under the names of ports, held: what makes arrays of them may change the mapping. Other names go to
/// `unknown`.
std::vector<nb::object> valuesOf(nb::handle mapping, const std::unordered_map<std::string, size_t> &index,
                                 const char *what, std::vector<std::string> &unknown) {
  std::vector<nb::object> values(index.size());
  for (auto [key, value] : dictOf(mapping)) {
    if (!PyUnicode_Check(key.ptr()))
      raise(Status::usage(std::string("expected the name of an ") + what + " but got " + nb::repr(key).c_str()));
    // With surrogates where an artifact has other bytes than UTF-8 in a name: nothing is called so.
    nb::object text = nb::steal(PyUnicode_AsEncodedString(key.ptr(), "utf-8", "backslashreplace"));
    std::string name(PyBytes_AsString(text.ptr()), static_cast<size_t>(PyBytes_Size(text.ptr())));
    if (auto found = index.find(name); found == index.end())
      unknown.push_back(name);
    else
      values[found->second] = nb::borrow(value);
  }
  return values;
}
} // namespace

Ports::Ports(const Model &model) {
  if (std::string device = model.device(); device.starts_with("cuda:")) // "cuda:0 (NVIDIA H200)"
    card = std::atoi(device.c_str() + 5);
  for (const PortInfo &info : model.inputs()) {
    inputIndex.emplace(info.name, inputs.size());
    inputs.push_back({info});
  }
  for (const PortInfo &info : model.outputs()) {
    outputIndex.emplace(info.name, outputs.size());
    outputs.push_back({info});
  }
}

PySession::PySession(std::shared_ptr<kt::Model> model, std::shared_ptr<Ports> of, std::unique_ptr<kt::Session> made)
    : model(std::move(model)), ports(std::move(of)), session(std::move(made)), room(session->capacity()),
      scratch(ports->outputs.size()) {
  for (const Port &port : ports->inputs)
    if (!keeps(port))
      bindings.push_back(Binding::input(port.info.name, {}));
  for (size_t i = 0; i < ports->outputs.size(); ++i) {
    const Port &port = ports->outputs[i];
    auto allocate = [this, i, &port](std::span<const int64_t> dims, uint64_t bytes) {
      return (*destinations)[i].memory(port, dims, bytes, scratch[i]);
    };
    if (!keeps(port))
      bindings.push_back(Binding::allocatedOutput(port.info.name, allocate, Memory::host));
  }
}

/// Names first, all that are wrong at once, then the arrays one by one.
void PySession::bind(nb::handle inputs, const Place &place, std::vector<Borrowed> &borrowed) {
  std::vector<std::string> unknown, known, missing;
  std::vector<nb::object> values = valuesOf(inputs, ports->inputIndex, "input", unknown);
  for (size_t i = 0; i < values.size(); ++i) {
    const Port &port = ports->inputs[i];
    if (keeps(port) && values[i].is_valid())
      raise(Status::usage("input '" + port.info.name + "' is given, but the session keeps it"));
    if (keeps(port))
      continue;
    if (!values[i].is_valid())
      missing.push_back(port.info.name + "' of " + port.text());
    if (!unknown.empty())
      known.push_back(port.info.name);
  }
  if (!unknown.empty())
    raise(Status::usage("no input is called " + quoted(unknown) + ", expected " + quoted(known)));
  if (!missing.empty()) {
    std::string text;
    for (const std::string &port : missing)
      text += (text.empty() ? "'" : ", '") + port;
    raise(Status::usage((missing.size() > 1 ? "inputs are missing: " : "an input is missing: ") + text));
  }
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i].is_valid())
      borrowed[i].borrow(values[i], ports->inputs[i], place);
}

void PySession::bindOutputs(const RunOptions &options, const Place &place, std::vector<Destination> &destinations) {
  std::vector<std::string> unknown, known;
  std::vector<nb::object> values(ports->outputs.size());
  if (options.outputs.is_valid() && !options.outputs.is_none())
    values = valuesOf(options.outputs, ports->outputIndex, "output", unknown);
  for (const Port &port : ports->outputs)
    if (!keeps(port))
      known.push_back(port.info.name);
  if (!unknown.empty())
    raise(Status::usage("no output is called " + quoted(unknown) + ", expected " + quoted(known)));
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].is_valid())
      continue;
    if (keeps(ports->outputs[i]))
      raise(Status::usage("output '" + ports->outputs[i].info.name + "' is given memory, but the session keeps it"));
    destinations[i].give(values[i], ports->outputs[i], place);
  }
  if (options.deviceOutputs && place.card >= 0)
    for (Destination &destination : destinations)
      destination.stay(*model, place.card);
}

void PySession::nowRunning(uint64_t ticket) {
  std::lock_guard<std::mutex> lock(runningMutex);
  running = ticket;
}

void PySession::cancelRun(uint64_t ticket) {
  std::lock_guard<std::mutex> lock(runningMutex);
  if (running == ticket)
    session->cancel();
}

/// The mutex is held, the GIL is not.
Status PySession::runOn(const std::vector<Borrowed> &borrowed, std::vector<Destination> &destinations,
                        const RunOptions &options) {
  this->destinations = &destinations;
  bool onGpu = false;
  size_t next = 0;
  for (size_t i = 0; i < borrowed.size(); ++i)
    if (!keeps(ports->inputs[i]))
      borrowed[i].show(bindings[next++].tensor), onGpu |= borrowed[i].isOnGpu();
  for (size_t i = 0; i < destinations.size(); ++i)
    if (!keeps(ports->outputs[i])) {
      bindings[next++].tensor.memory = destinations[i].where();
      onGpu |= destinations[i].where() == Memory::device;
    }
  // What others have on the GPU may still be being written or read by what their streams have been given.
  uintptr_t stream = options.stream ? options.stream : onGpu ? kLegacyStream : 0;
  nowRunning(options.ticket);
  Status status = session->enqueue(bindings, reinterpret_cast<void *>(stream));
  // Whoever cancels after this finds nothing to end; what came just before is forgotten by wait().
  nowRunning(0);
  Status waited = session->wait();
  return status.ok() ? waited : status;
}

nb::dict PySession::run(nb::handle inputs, const RunOptions &options) {
  std::vector<Borrowed> borrowed(ports->inputs.size());
  std::vector<Destination> destinations(ports->outputs.size());
  Place place{ports->card, options.stream};
  bind(inputs, place, borrowed);
  bindOutputs(options, place, destinations);
  Status status;
  std::unique_lock<std::mutex> lock(mutex, std::defer_lock);
  {
    nb::gil_scoped_release released;
    lock.lock();
    status = runOn(borrowed, destinations, options);
  }
  check(status);
  return takeOutputs(destinations);
}

/// The mutex is held, since small outputs are in memory of the session.
nb::dict PySession::takeOutputs(std::vector<Destination> &destinations) {
  nb::dict results;
  std::span<const TensorView> outputs = session->outputs();
  for (size_t i = 0; i < outputs.size(); ++i) {
    Port &port = ports->outputs[i];
    if (keeps(port))
      continue;
    nb::object name = nb::steal(PyUnicode_DecodeUTF8(
        port.info.name.data(), static_cast<Py_ssize_t>(port.info.name.size()), "backslashreplace"));
    results[name] = destinations[i].take(outputs[i], port);
  }
  return results;
}

std::unique_ptr<PySession> PySession::fork() {
  auto forked = [&] {
    nb::gil_scoped_release released;
    std::lock_guard<std::mutex> lock(mutex);
    return session->fork();
  }();
  return std::make_unique<PySession>(model, ports, take(std::move(forked)));
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

void PySession::profile(bool on) {
  nb::gil_scoped_release released;
  std::lock_guard<std::mutex> lock(mutex);
  session->profile(on);
}

nb::list PySession::profileEvents(size_t begin) {
  std::vector<ProfileEvent> events = [&] {
    nb::gil_scoped_release released;
    std::lock_guard<std::mutex> lock(mutex);
    return session->profileEvents();
  }();
  auto text = [](const std::string &bytes) { // names may be any bytes
    return nb::steal(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace"));
  };
  nb::list all;
  for (size_t i = begin; i < events.size(); ++i) {
    const ProfileEvent &e = events[i];
    all.append(nb::make_tuple(text(e.kernel), text(e.node), text(e.target), text(e.schedule), e.microseconds, e.bytes,
                              e.slice));
  }
  return all;
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
