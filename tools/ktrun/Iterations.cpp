//===- Iterations.cpp - runs whose outputs are the next ones' inputs ------===//
//
// See Iterations.h.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Iterations.h"
#include "runtime/device/CudaDevice.h"
#include "runtime/device/HostDevice.h"

#include <algorithm>
#include <charconv>

namespace ktrun {

using kt::Binding;
using kt::Memory;
using kt::Result;
using kt::Status;

Result<std::vector<Carry>> parseCarries(const kt::Model &model, const std::vector<std::string> &specs) {
  auto find = [](const std::vector<kt::PortInfo> &ports, const std::string &name) {
    return static_cast<size_t>(
        std::find_if(ports.begin(), ports.end(), [&](const kt::PortInfo &p) { return p.name == name; }) -
        ports.begin());
  };
  std::vector<Carry> carries;
  for (const std::string &spec : specs) {
    auto bad = [&](const char *why) { return Status::usage("--carry '" + spec + "': " + why); };
    size_t before = carries.size();
    for (size_t at = spec.find('='); at != std::string::npos; at = spec.find('=', at + 1)) {
      Carry carry{find(model.outputs(), spec.substr(0, at)), find(model.inputs(), spec.substr(at + 1))};
      if (carry.output < model.outputs().size() && carry.input < model.inputs().size())
        carries.push_back(carry);
    }
    if (carries.size() == before)
      return bad("expected OUTPUT=INPUT, names of an output and of an input");
    if (carries.size() > before + 1)
      return bad("there is more than one such output and input");
    for (size_t i = 0; i < before; ++i)
      if (carries[i].input == carries.back().input)
        return bad("another output is carried to this input");
  }
  return carries;
}

Iterations::Iterations(const kt::Model &model, kt::Session &session, std::vector<Carry> carries)
    : model(model), session(session), carries(std::move(carries)),
      memory(model.device().rfind("cuda:", 0) == 0 ? Memory::device : Memory::host) {}

Iterations::~Iterations() {
  (void)session.wait(); // for what still uses the memory
  for (void *block : blocks)
    device->release(block);
}

Result<std::unique_ptr<Iterations>> Iterations::create(const kt::Model &model, kt::Session &session,
                                                       std::span<const kt::TensorView> inputs,
                                                       std::vector<Carry> carries, bool resident) {
  std::unique_ptr<Iterations> made(new Iterations(model, session, std::move(carries)));
  // In the order of the model's inputs, which carries count by; what is missing the session tells.
  for (const kt::PortInfo &port : model.inputs())
    for (const kt::TensorView &view : inputs)
      if (view.name == port.name)
        made->given.push_back(Binding::input(view.name, view));
  for (const Carry &carry : made->carries) {
    const std::string &name = model.outputs()[carry.output].name;
    if (std::none_of(made->outputs.begin(), made->outputs.end(), [&](auto &b) { return b.tensor.name == name; }))
      made->outputs.push_back(Binding::ownedOutput(name, made->memory));
  }
  made->restart();
  if (resident)
    KT_RETURN_IF_ERROR(made->makeResident());
  return made;
}

Result<void *> Iterations::allocate(uint64_t bytes) {
  auto block = device->allocate(bytes);
  if (block.ok())
    blocks.push_back(*block);
  return block;
}

/// Inputs go into memory of the device, and outputs that are not carried, whose sizes do not change, get some.
Status Iterations::makeResident() {
  if (memory == Memory::device) {
    std::string name = model.device(); // "cuda:0 (...)"
    int ordinal = 0;
    std::from_chars(name.data() + 5, name.data() + name.size(), ordinal);
    auto gpu = kt::device::createCudaDevice(ordinal);
    if (!gpu.ok())
      return std::move(gpu).status();
    device = *std::move(gpu);
  } else {
    device = std::make_unique<kt::device::HostDevice>(1);
  }
  auto stream = device->createStream();
  if (!stream.ok())
    return std::move(stream).status();
  for (Binding &binding : given) {
    auto block = allocate(binding.tensor.bytes());
    if (!block.ok())
      return std::move(block).status();
    KT_RETURN_IF_ERROR((*stream)->copyIn(*block, binding.tensor.data, binding.tensor.bytes()));
    binding.tensor.data = *block;
    binding.tensor.memory = memory;
  }
  KT_RETURN_IF_ERROR((*stream)->synchronize());
  restart();
  if (!carries.empty())
    return {};
  // How large they are a first run says.
  for (const kt::PortInfo &port : model.outputs())
    outputs.push_back(Binding::ownedOutput(port.name, memory));
  KT_RETURN_IF_ERROR(next(false));
  KT_RETURN_IF_ERROR(session.wait());
  outputs.clear();
  for (const kt::TensorView &output : session.outputs()) {
    auto block = allocate(output.bytes());
    if (!block.ok())
      return std::move(block).status();
    outputs.push_back(Binding::output(output.name, *block, output.bytes(), memory));
  }
  return {};
}

void Iterations::restart() { inputs = given; }

Status Iterations::next(bool last) {
  std::vector<Binding> bindings = inputs;
  if (last) {
    for (const kt::PortInfo &port : model.outputs())
      bindings.push_back(Binding::ownedOutput(port.name, Memory::host));
  } else {
    bindings.insert(bindings.end(), outputs.begin(), outputs.end());
  }
  KT_RETURN_IF_ERROR(session.enqueue(bindings));
  if (last)
    return {};
  auto made = session.outputs();
  for (const Carry &carry : carries) {
    std::string name = inputs[carry.input].tensor.name;
    inputs[carry.input] = Binding::input(name, made[carry.output]);
  }
  return {};
}

Status Iterations::run(uint64_t count) {
  restart();
  for (uint64_t i = 0; i < count; ++i)
    KT_RETURN_IF_ERROR(next(i + 1 == count));
  return session.wait();
}

} // namespace ktrun
