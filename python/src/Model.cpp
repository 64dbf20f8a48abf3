//===- Model.cpp - models of Python ---------------------------------------===//

#include "python/src/Model.h"
#include "python/src/Errors.h"

namespace kt::python {

namespace {
nb::tuple describe(const std::shared_ptr<Ports> &ports, std::vector<Port> &list) {
  nb::list all;
  for (Port &port : list)
    all.append(TensorInfo{ports, &port});
  return nb::tuple(all);
}

std::string listed(const std::vector<Port> &ports) {
  std::string text;
  for (const Port &port : ports)
    text += (text.empty() ? "" : ", ") + port.info.name + " " + port.text();
  return text.empty() ? "none" : text;
}
} // namespace

nb::tuple TensorInfo::shape() const {
  nb::list dims;
  for (size_t i = 0; i < port->info.dims.size(); ++i)
    if (port->info.dims[i] >= 0)
      dims.append(port->info.dims[i]);
    else
      dims.append(nb::str(port->info.text[i].c_str()));
  return nb::tuple(dims);
}

std::string TensorInfo::repr() const {
  return "<ktransformers.TensorInfo " + std::string(nb::repr(nb::str(port->info.name.c_str())).c_str()) + ": " +
         port->text() + ">";
}

PyModel::PyModel(const std::string &path, const Options &options) : path(path) {
  auto loaded = [&] {
    nb::gil_scoped_release released;
    return kt::Model::load(path, options);
  }();
  model = take(std::move(loaded));
  ports = std::make_shared<Ports>(*model);
}

nb::tuple PyModel::inputs() { return describe(ports, ports->inputs); }
nb::tuple PyModel::outputs() { return describe(ports, ports->outputs); }

nb::dict PyModel::run(nb::handle inputs, const RunOptions &options) {
  std::shared_ptr<PySession> session;
  Status status;
  {
    nb::gil_scoped_release released;
    std::lock_guard<std::mutex> lock(mutex);
    if (!own) {
      if (auto made = model->createSession({}); made.ok())
        own = std::make_shared<PySession>(model, ports, *std::move(made));
      else
        status = std::move(made).status();
    }
    session = own;
  }
  check(status);
  return session->run(inputs, options);
}

void PyModel::cancelRun(uint64_t ticket) {
  std::shared_ptr<PySession> session;
  {
    nb::gil_scoped_release released;
    std::lock_guard<std::mutex> lock(mutex);
    session = own;
  }
  if (session)
    session->cancelRun(ticket);
}

std::unique_ptr<PySession> PyModel::session(const SessionOptions &options) {
  auto made = [&] {
    nb::gil_scoped_release released;
    return model->createSession(options);
  }();
  return std::make_unique<PySession>(model, ports, take(std::move(made)));
}

std::string PyModel::repr() {
  return "<ktransformers.Model " + std::string(nb::repr(nb::str(path.c_str())).c_str()) + " on " + device() +
         ": inputs " + listed(ports->inputs) + "; outputs " + listed(ports->outputs) + ">";
}

} // namespace kt::python
