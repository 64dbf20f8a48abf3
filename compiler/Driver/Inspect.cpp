//===- Inspect.cpp - what an artifact holds, for people -------------------===//

#include "compiler/Driver/Inspect.h"
#include "runtime/artifact/Print.h"
#include "runtime/artifact/Reader.h"
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

using namespace kt;
namespace fs = std::filesystem;

namespace {

nlohmann::json portJson(const artifact::Model &m, const artifact::Port &p) {
  nlohmann::json dims = nlohmann::json::array();
  for (artifact::ExprId d : p.dims) {
    if (m.exprs[d].op == artifact::Expr::Op::Const)
      dims.push_back(m.exprs[d].imm);
    else
      dims.push_back(artifact::printExpr(m, d));
  }
  return {{"name", p.name}, {"type", artifact::name(p.type)}, {"dims", dims}};
}

nlohmann::json toJson(const artifact::Model &m, uint64_t fileBytes) {
  nlohmann::json j;
  j["producer"] = m.producer;
  j["name"] = m.name;
  j["options"] = m.options;
  j["targets"] = m.targets;
  j["file_bytes"] = fileBytes;
  for (const auto *ports : {&m.inputs, &m.outputs}) {
    nlohmann::json list = nlohmann::json::array();
    for (const artifact::Port &p : *ports)
      list.push_back(portJson(m, p));
    j[ports == &m.inputs ? "inputs" : "outputs"] = list;
  }
  uint64_t weightBytes = 0;
  for (const artifact::Weight &w : m.weights)
    weightBytes += w.bytes.size();
  j["weight_bytes"] = weightBytes;
  j["weights"] = m.weights.size();
  nlohmann::json kernels = nlohmann::json::array();
  for (const artifact::Kernel &k : m.kernels) {
    nlohmann::json variants = nlohmann::json::array();
    for (const artifact::Variant &v : k.variants)
      variants.push_back({{"target", v.target}, {"schedule", v.schedule}});
    kernels.push_back({{"name", k.name}, {"family", k.family}, {"variants", variants}});
  }
  j["kernels"] = kernels;
  nlohmann::json slices = nlohmann::json::array();
  for (const artifact::Slice &s : m.slices) {
    uint64_t bytes = 0;
    for (artifact::WeightId w : s.weights)
      bytes += m.weights[w].bytes.size();
    slices.push_back({{"begin", s.begin}, {"end", s.end}, {"weights", s.weights.size()}, {"weight_bytes", bytes}});
  }
  j["slices"] = slices;
  j["instructions"] = m.program.instructions.size();
  return j;
}

Status writeFile(const fs::path &path, const char *data, size_t size) {
  std::ofstream out(path, std::ios::binary);
  out.write(data, (std::streamsize)size);
  out.close();
  return out ? Status() : Status::failed("cannot write '" + path.string() + "'");
}

/// Every kernel's code as a file of its own, and the program as text.
Status extract(const artifact::Model &m, const std::string &folder) {
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec)
    return Status::failed("cannot create '" + folder + "': " + ec.message());
  auto fileName = [](std::string name) { // names come from the file: nothing but plain characters reaches a path
    for (char &c : name)
      if (!isalnum((unsigned char)c) && c != '_' && c != '-')
        c = '_';
    return name;
  };
  for (const artifact::Kernel &k : m.kernels)
    for (size_t i = 0; i < k.variants.size(); ++i)
      for (const artifact::Stage &s : k.variants[i].stages) {
        const artifact::Module &module = m.modules[s.module];
        const char *ending = module.kind == artifact::Module::Kind::Ptx     ? ".ptx"
                             : module.kind == artifact::Module::Kind::Cubin ? ".cubin"
                                                                            : ".bin";
        std::string name = fileName(k.name) + "." + std::to_string(i) + "." + fileName(module.target);
        if (k.variants[i].stages.size() > 1)
          name += "." + std::to_string(&s - k.variants[i].stages.data());
        if (Status st =
                writeFile(fs::path(folder) / (name + ending), (const char *)module.code.data(), module.code.size());
            !st.ok())
          return st;
      }
  std::string text = artifact::print(m);
  return writeFile(fs::path(folder) / "program.txt", text.data(), text.size());
}

} // namespace

int kt::runInspect(const InspectOptions &options) {
  auto loaded = artifact::read(options.path);
  if (!loaded.ok()) {
    std::cerr << "error: " << loaded.status().message() << "\n";
    return loaded.status().exitStatus();
  }
  const artifact::Model &m = (*loaded)->model;
  if (!options.extract.empty())
    if (Status s = extract(m, options.extract); !s.ok()) {
      std::cerr << "error: " << s.message() << "\n";
      return s.exitStatus();
    }
  if (options.format == "json")
    std::cout
        << toJson(m, (*loaded)->file->bytes().size()).dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
        << "\n";
  else
    std::cout << artifact::print(m);
  return 0;
}
