//===- Inputs.cpp - what --input and --output say -------------------------===//
//
// Names of ONNX values may hold nearly any character, so specifications are split from the right.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Inputs.h"
#include "runtime/os/Memory.h"
#include "runtime/text/Grammar.h"
#include "tools/ktrun/Elements.h"

#include <algorithm>
#include <cstring>

namespace ktrun {

using kt::Result;
using kt::Status;

namespace {

const kt::PortInfo *findPort(const std::vector<kt::PortInfo> &ports, const std::string &name) {
  auto found = std::find_if(ports.begin(), ports.end(), [&](const kt::PortInfo &p) { return p.name == name; });
  return found == ports.end() ? nullptr : &*found;
}

Status unknownName(const char *what, const std::string &name, const std::vector<kt::PortInfo> &ports) {
  std::string names;
  for (const kt::PortInfo &port : ports)
    names += (names.empty() ? "'" : ", '") + port.name + "'";
  return Status::usage("no " + std::string(what) + " is called '" + name + "', expected " +
                       (names.empty() ? "none" : names));
}

std::string portText(const kt::PortInfo &port) {
  std::string text = std::string(kt::name(port.type)) + "[";
  for (size_t i = 0; i < port.text.size(); ++i)
    text += (i ? ", " : "") + port.text[i];
  return text + "]";
}

/// "2x3xf32" -> the type and the dimensions.
bool parseShape(const std::string &text, kt::DataType &type, std::vector<int64_t> &dims) {
  size_t start = 0;
  for (;;) {
    size_t x = text.find('x', start);
    std::string part = text.substr(start, x == std::string::npos ? x : x - start);
    if (x == std::string::npos) {
      auto parsed = typeFromName(part);
      if (!parsed)
        return false;
      type = *parsed;
      return true;
    }
    int64_t dim = 0;
    constexpr size_t kMostDimensions = 64;
    if (!kt::parseNumber(part, dim) || dims.size() == kMostDimensions)
      return false;
    dims.push_back(dim);
    start = x + 1;
  }
}

} // namespace

Result<Filled> parseFilled(const std::string &spec) {
  auto bad = [&](const std::string &why) {
    return Status::usage("--input '" + spec + "': " + why +
                         ", expected NAME=@FILE.npy, @FILE.npz or NAME=2x3xf32=VALUE");
  };
  size_t last = spec.rfind('=');
  if (last == std::string::npos || last == 0)
    return bad("no '='");
  size_t middle = spec.rfind('=', last - 1);
  if (middle == std::string::npos)
    return bad("no value");
  if (middle == 0)
    return bad("no name");
  Filled filled;
  std::string shape = spec.substr(middle + 1, last - middle - 1);
  if (!parseShape(shape, filled.type, filled.dims))
    return bad("'" + shape + "' is no shape and type");
  filled.spec = spec;
  filled.name = spec.substr(0, middle);
  filled.values = spec.substr(last + 1);
  filled.elements = 1;
  for (int64_t dim : filled.dims)
    if (__builtin_mul_overflow(filled.elements, static_cast<uint64_t>(dim), &filled.elements))
      return bad("the tensor is larger than memory");
  if (filled.elements > (uint64_t(1) << 46) / kt::byteSize(filled.type))
    return bad("the tensor is larger than memory");
  return filled;
}

Result<kt::npz::Array> fill(const Filled &filled) {
  auto bad = [&](const std::string &why) { return Status::usage("--input '" + filled.spec + "': " + why); };
  uint64_t size = kt::byteSize(filled.type), elements = filled.elements;
  std::vector<std::string> parts;
  size_t comma = 0;
  for (size_t start = 0; comma != std::string::npos; start = comma + 1) {
    comma = filled.values.find(',', start);
    parts.push_back(filled.values.substr(start, comma == std::string::npos ? comma : comma - start));
  }
  if (parts.size() != 1 && parts.size() != elements)
    return bad(std::to_string(parts.size()) + " values for " + std::to_string(elements) + " elements");
  KT_RETURN_IF_ERROR(kt::os::expectMemory(elements * size, "--input '" + filled.spec + "'"));
  kt::npz::Array array;
  array.name = filled.name;
  array.descr = kt::npz::descrOf(filled.type);
  array.dims = filled.dims;
  array.data.resize(elements * size);
  for (uint64_t i = 0; i < parts.size(); ++i) {
    std::byte value[16] = {};
    if (!fromText(filled.type, parts[i], value))
      return bad("'" + parts[i] + "' is no " + kt::name(filled.type));
    if (i < elements)
      std::memcpy(&array.data[i * size], value, size);
  }
  // What is there is doubled until it is enough.
  for (uint64_t done = parts.size(); done < elements; done += std::min(done, elements - done))
    std::memcpy(&array.data[done * size], array.data.data(), std::min(done, elements - done) * size);
  return array;
}

Result<InputSet> gatherInputs(const kt::Model &model, const std::vector<std::string> &specs) {
  InputSet set;
  auto add = [&](kt::npz::Array array) {
    auto old = std::find_if(set.arrays.begin(), set.arrays.end(), [&](auto &a) { return a.name == array.name; });
    if (old != set.arrays.end())
      *old = std::move(array);
    else
      set.arrays.push_back(std::move(array));
  };
  for (const std::string &spec : specs) {
    if (spec.size() > 1 && spec[0] == '@') {
      auto arrays = kt::npz::readNpz(spec.substr(1));
      if (!arrays.ok())
        return std::move(arrays).status();
      for (kt::npz::Array &array : *arrays)
        add(std::move(array));
      continue;
    }
    kt::npz::Array array;
    size_t file = spec.find("=@");
    if (file != std::string::npos && file > 0) {
      auto read = kt::npz::readNpy(spec.substr(file + 2));
      if (!read.ok())
        return std::move(read).status();
      array = *std::move(read);
      array.name = spec.substr(0, file);
    } else {
      auto filled = parseFilled(spec);
      if (!filled.ok())
        return std::move(filled).status();
      auto made = fill(*filled);
      if (!made.ok())
        return std::move(made).status();
      array = *std::move(made);
    }
    add(std::move(array));
  }
  for (kt::npz::Array &array : set.arrays) {
    const kt::PortInfo *port = findPort(model.inputs(), array.name);
    if (!port)
      return unknownName("input", array.name, model.inputs());
    if (array.descr.find('U') == 1 || array.descr.find('S') == 1)
      return Status::usage("input '" + array.name + "': expected " + portText(*port) +
                           " but got strings, which are not supported");
    if (!kt::npz::matches(array.descr, port->type))
      return Status::usage("input '" + array.name + "': expected " + portText(*port) + " but got " +
                           kt::npz::describe(array));
    kt::npz::normalise(array, port->type);
    set.views.push_back({array.name, port->type, array.dims, array.data.data()});
  }
  return set;
}

std::vector<std::string> filesOf(const std::vector<std::string> &specs) {
  std::vector<std::string> files;
  for (const std::string &spec : specs) {
    size_t file = spec.find("=@");
    if (spec.size() > 1 && spec[0] == '@')
      files.push_back(spec.substr(1));
    else if (file != std::string::npos && file > 0)
      files.push_back(spec.substr(file + 2));
  }
  return files;
}

Status checkOutputSpecs(const kt::Model &model, const std::vector<std::string> &specs) {
  for (const std::string &spec : specs) {
    if (spec.size() > 1 && spec[0] == '@')
      continue;
    size_t file = spec.find("=@");
    if (file == std::string::npos || file + 2 == spec.size())
      return Status::usage("--output '" + spec + "': expected @FILE.npz or NAME=@FILE.npy");
    if (!findPort(model.outputs(), spec.substr(0, file)))
      return unknownName("output", spec.substr(0, file), model.outputs());
  }
  return {};
}

Status writeOutputs(std::span<const kt::TensorView> outputs, const std::vector<std::string> &specs) {
  for (const std::string &spec : specs) {
    if (spec[0] == '@') {
      KT_RETURN_IF_ERROR(kt::npz::writeNpz(spec.substr(1), outputs));
      continue;
    }
    size_t file = spec.find("=@");
    for (const kt::TensorView &tensor : outputs)
      if (tensor.name == spec.substr(0, file))
        KT_RETURN_IF_ERROR(kt::npz::writeNpy(spec.substr(file + 2), tensor));
  }
  return {};
}

} // namespace ktrun
