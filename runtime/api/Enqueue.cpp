//===- Enqueue.cpp - runs over memory of the caller -----------------------===//
//
// What callers bind, looked at as far as names and places go, and events.
//
//===----------------------------------------------------------------------===//

#include "runtime/api/Internal.h"
#include "runtime/artifact/Print.h"

namespace kt {

namespace {
using Place = exec::OutputRequest::Place;

std::string namesOf(const std::vector<PortInfo> &ports) {
  std::string names;
  for (const PortInfo &port : ports)
    names += (names.empty() ? "'" : ", '") + artifact::escaped(port.name) + "'";
  return names.empty() ? "none" : names;
}

/// The number of a port, or why there is none.
Result<size_t> find(const std::unordered_map<std::string, size_t> &index, const std::vector<PortInfo> &ports,
                    const char *what, const std::string &name) {
  auto found = index.find(name);
  if (found == index.end())
    return Status::usage("no " + std::string(what) + " is called '" + artifact::escaped(name) + "', expected " +
                         namesOf(ports));
  return found->second;
}
} // namespace

void Session::Impl::begin() {
  valid = false;
  for (exec::InputView &view : views)
    view = {};
  requests.assign(outputs.size(), {.place = Place::none});
}

Status Session::Impl::takeInput(const TensorView &tensor) {
  auto number = find(model->impl->inputIndex, model->impl->inputs, "input", tensor.name);
  if (!number.ok())
    return std::move(number).status();
  exec::InputView &view = views[*number];
  if (view.data)
    return Status::usage("input '" + artifact::escaped(tensor.name) + "' is given twice");
  if (executor->keepsInput(*number))
    return Status::usage("input '" + artifact::escaped(tensor.name) + "' is given, but the session keeps it");
  static const char empty alignas(64) = 0; // tensors without elements may come without memory
  view = {static_cast<artifact::DType>(tensor.type), tensor.dims, tensor.data ? tensor.data : &empty,
          tensor.memory == Memory::device};
  if (!tensor.data && tensor.bytes() != 0)
    return Status::usage("input '" + artifact::escaped(tensor.name) + "' has no data");
  return {};
}

Status Session::Impl::expectInputs() const {
  const artifact::Model &m = model->impl->program->model();
  for (size_t i = 0; i < views.size(); ++i)
    if (!views[i].data && !executor->keepsInput(i))
      return Status::usage("input '" + artifact::escaped(m.inputs[i].name) + "' is missing: expected " +
                           artifact::printPort(m, m.inputs[i]));
  return {};
}

Status Session::Impl::takeOutput(const Binding &binding) {
  const TensorView &tensor = binding.tensor;
  auto number = find(model->impl->outputIndex, model->impl->outputs, "output", tensor.name);
  if (!number.ok())
    return std::move(number).status();
  exec::OutputRequest &request = requests[*number];
  auto wrong = [&](const char *how) { return Status::usage("output '" + artifact::escaped(tensor.name) + "' " + how); };
  if (request.place != Place::none)
    return wrong("is given twice");
  if (executor->keepsOutput(*number))
    return wrong("is asked for, but the session keeps it");
  bool onHost = model->impl->program->device->isHost(), onDevice = tensor.memory == Memory::device;
  if (onHost && onDevice)
    return wrong("is wanted in memory of a device, but the session runs on the host");
  if (binding.owned) {
    if (tensor.data || binding.allocate)
      return wrong("is to be the session's but is given memory");
    request.place = onHost || onDevice ? Place::session : Place::host;
    if (binding.copied && request.place != Place::session)
      return wrong("is to be copied to the host but is wanted there alone");
    request.copied = binding.copied;
    return {};
  }
  if (binding.copied)
    return wrong("is given memory, expected none for an output that is copied to the host as well");
  if (binding.allocate && (tensor.data || binding.capacity))
    return wrong("is given memory, expected none for an output that is to be allocated");
  if (!onHost && !onDevice && !binding.allocate)
    return wrong(
        "is given memory of the host, expected memory of the device, or none for an output that the session owns");
  if (!tensor.data && binding.capacity)
    return wrong("has no memory");
  request = {.place = onHost || onDevice ? Place::caller : Place::host,
             .data = const_cast<void *>(tensor.data),
             .capacity = binding.capacity,
             .allocate = binding.allocate ? &binding.allocate : nullptr};
  return {};
}

void Session::Impl::showOutputs() {
  const auto &made = executor->outputs();
  bool onHost = model->impl->program->device->isHost();
  for (size_t i = 0; i < made.size(); ++i) {
    outputs[i].dims = made[i].dims;
    outputs[i].data = made[i].data;
    bool stays = requests[i].place == Place::session || requests[i].place == Place::caller;
    outputs[i].memory = stays && !onHost ? Memory::device : Memory::host;
  }
  valid = true;
}

Status Session::enqueue(std::span<const Binding> bindings, void *stream) {
  return guarded([&] { return enqueueOn(bindings, stream); });
}

Status Session::enqueueOn(std::span<const Binding> bindings, void *stream) {
  impl->begin();
  for (const Binding &binding : bindings)
    KT_RETURN_IF_ERROR(binding.port == Binding::Port::input ? impl->takeInput(binding.tensor)
                                                            : impl->takeOutput(binding));
  KT_RETURN_IF_ERROR(impl->expectInputs());
  device::CallerContext keep;
  KT_RETURN_IF_ERROR(impl->executor->enqueue(impl->views, impl->requests, stream));
  impl->showOutputs();
  return {};
}

Status Session::wait() {
  device::CallerContext keep;
  Status status = impl->executor->wait();
  impl->valid = impl->valid && status.ok();
  return status;
}

struct Event::Impl {
  std::shared_ptr<Model> model; // declared first: what follows goes before its device
  device::Device *device;
  std::shared_ptr<artifact::FaultRecord> faults;
  std::unique_ptr<device::Event> event;
};

Result<std::unique_ptr<Event>> Session::record(std::unique_ptr<Event> again) {
  return guarded([&]() -> Result<std::unique_ptr<Event>> {
    device::CallerContext keep;
    if (again && again->impl->model != impl->model)
      return Status::usage("an event of another model");
    auto event = impl->executor->record(again ? std::move(again->impl->event) : nullptr);
    if (!event.ok())
      return std::move(event).status();
    if (again) {
      again->impl->event = *std::move(event);
      again->impl->faults = impl->executor->faultRecord();
      return std::move(again);
    }
    return std::unique_ptr<Event>(new Event(std::unique_ptr<Event::Impl>(new Event::Impl{
        impl->model, impl->model->impl->program->device.get(), impl->executor->faultRecord(), *std::move(event)})));
  });
}

Event::Event(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Event::~Event() {
  device::CallerContext keep;
  impl->event.reset();
  impl->faults.reset();
}

Status Event::wait() {
  return guarded([&]() -> Status {
    device::CallerContext keep;
    KT_RETURN_IF_ERROR(impl->event->wait());
    if (std::atomic_ref(impl->faults->site).load() != 0)
      return Status::failed("a run met an index that is out of its range");
    return {};
  });
}

Status Event::delay(void *stream) {
  return guarded([&]() -> Status {
    if (!stream)
      return Status::usage("the stream that is to wait is null");
    device::CallerContext keep;
    KT_RETURN_IF_ERROR(impl->device->checkStream(stream));
    return impl->event->delay(stream);
  });
}

} // namespace kt
