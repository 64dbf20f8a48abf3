//===- Inspect.cpp - what an artifact holds, for people -------------------===//

#include "compiler/Driver/Inspect.h"
#include "runtime/artifact/Print.h"
#include "runtime/artifact/Reader.h"
#include "runtime/os/OutputFile.h"
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

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
  uint64_t weightBytes = 0, lookedUpBytes = 0;
  for (const artifact::Weight &w : m.weights) {
    weightBytes += w.bytes.size();
    lookedUpBytes += w.lookedUp ? w.bytes.size() : 0;
  }
  j["weight_bytes"] = weightBytes;
  j["looked_up_weight_bytes"] = lookedUpBytes;
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
  uint64_t launches = 0, once = 0;
  for (const artifact::Instruction &i : m.program.instructions)
    if (auto *launch = std::get_if<artifact::Launch>(&i)) {
      ++launches;
      once += launch->once;
    }
  j["launches"] = launches;
  j["launches_once_a_plan"] = once;
  j["instructions"] = m.program.instructions.size();
  return j;
}

/// What --extract writes: every kernel's code as a file of its own, and the program as text.
struct Extract {
  std::string path;
  std::string_view content;
};

std::vector<Extract> extracts(const artifact::Model &m, const std::string &folder, std::string_view program) {
  std::vector<Extract> files;
  std::set<std::string> names;
  auto add = [&](const std::string &stem, const std::string &ending, std::string_view content) {
    // Different names can become the same.
    std::string name = stem + ending;
    for (unsigned again = 2; !names.insert(name).second; ++again)
      name = stem + "-" + std::to_string(again) + ending;
    files.push_back({(fs::path(folder) / name).string(), content});
  };
  auto fileName = [](std::string name) { // names come from the file: nothing but plain characters reaches a path
    for (char &c : name)
      if (!isalnum((unsigned char)c) && c != '_' && c != '-')
        c = '_';
    constexpr size_t kMost = 100; // of 255 that a name can have
    return name.substr(0, kMost);
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
        add(name, ending, {(const char *)module.code.data(), module.code.size()});
      }
  add("program", ".txt", program);
  return files;
}

Status extract(const artifact::LoadedModel &loaded, const std::string &folder) {
  std::string program = artifact::print(loaded.model);
  std::vector<Extract> files = extracts(loaded.model, folder, program);
  os::KeptFiles kept;
  kept.add(loaded.file->id(), loaded.file->name());
  std::vector<std::string> paths;
  for (const Extract &file : files)
    paths.push_back(file.path);
  if (Status s = kept.mayWriteAll(paths); !s.ok())
    return s;
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec)
    return Status::failed("cannot create '" + folder + "': " + ec.message());
  for (const Extract &file : files) {
    os::OutputFile out(file.path);
    out.write(file.content);
    if (Status s = out.finish(); !s.ok())
      return s;
  }
  return {};
}

} // namespace

Status kt::inspect(const InspectOptions &options) {
  auto loaded = artifact::read(options.path);
  if (!loaded.ok())
    return loaded.status();
  const artifact::Model &m = (*loaded)->model;
  // Standard output may be the artifact, too: `ktc inspect m.ktm >> m.ktm`.
  os::KeptFiles kept;
  kept.add((*loaded)->file->id(), (*loaded)->file->name());
  if (Status s = kept.mayWrite("/dev/stdout"); !s.ok())
    return s;
  if (!options.extract.empty())
    if (Status s = extract(**loaded, options.extract); !s.ok())
      return s;
  std::string text =
      options.schedules ? printSchedules(m, options.device)
      : options.format == "json"
          ? toJson(m, (*loaded)->file->bytes().size()).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
                "\n"
          : artifact::print(m);
  return os::writeOutput(text);
}
