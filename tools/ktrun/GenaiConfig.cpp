//===- GenaiConfig.cpp - what genai_config.json says ----------------------===//

#include "tools/ktrun/GenaiConfig.h"
#include "runtime/os/File.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace ktrun {

using kt::Result;
using kt::Status;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr size_t kMostBytes = size_t(1) << 20;

/// Reads fields of objects within objects; the first that is not what it should be is kept as a failure.
class Fields {
public:
  explicit Fields(const json &root) : root(root) {}
  Status failure;

  /// The value under a path such as "model.decoder.filename", null where there is none.
  const json *at(const std::string &path) {
    const json *object = &root;
    for (size_t begin = 0; begin <= path.size();) {
      size_t end = std::min(path.find('.', begin), path.size());
      if (!object->is_object())
        return wrong(path.substr(0, begin ? begin - 1 : 0), "an object", *object);
      auto found = object->find(path.substr(begin, end - begin));
      if (found == object->end() || found->is_null())
        return nullptr;
      object = &*found;
      begin = end + 1;
    }
    return object;
  }
  void text(const std::string &path, std::string &to) {
    if (const json *value = at(path)) {
      if (!value->is_string())
        wrong(path, "a text", *value);
      else
        to = value->get<std::string>();
    }
  }
  void number(const std::string &path, double least, double most, const std::function<void(double)> &take) {
    if (const json *value = at(path)) {
      if (!value->is_number() || !(value->get<double>() >= least && value->get<double>() <= most))
        wrong(path, "a number from " + json(least).dump() + " to " + json(most).dump(), *value);
      else
        take(value->get<double>());
    }
  }
  void tokens(const std::string &path, std::vector<int64_t> &to) {
    const json *value = at(path);
    if (!value)
      return;
    json list = value->is_array() ? *value : json::array({*value});
    for (const json &one : list)
      if (!one.is_number_integer())
        return (void)wrong(path, "a token or a list of tokens", *value);
      else
        to.push_back(one.get<int64_t>());
  }

private:
  const json *wrong(const std::string &path, const std::string &expected, const json &got) {
    if (failure.ok())
      failure = Status::usage((path.empty() ? std::string("it") : "'" + path + "'") + ": expected " + expected +
                              " but got " + got.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 60));
    return nullptr;
  }
  const json &root;
};

/// The artifact of the decoder: under its name, or the only one there is.
Result<std::string> artifactIn(const fs::path &folder, const std::string &onnx) {
  std::error_code error;
  if (!onnx.empty()) {
    fs::path named = folder / fs::path(onnx).filename().replace_extension(".ktm");
    if (fs::exists(named, error))
      return named.string();
  }
  std::vector<std::string> found;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".ktm")
      found.push_back(entry.path().string());
  if (found.size() == 1)
    return found[0];
  std::string hint = (folder / (onnx.empty() ? "model.onnx" : onnx)).string();
  return Status::usage(found.empty() ? "no .ktm is in '" + folder.string() + "'; ktc compile " + hint + " makes one"
                                     : "which of the " + std::to_string(found.size()) + " .ktm files in '" +
                                           folder.string() + "' is not said: name one instead");
}

} // namespace

Result<GenaiConfig> readGenaiConfig(const std::string &folder) {
  GenaiConfig config;
  fs::path path = fs::path(folder) / "genai_config.json";
  std::error_code error;
  std::string onnx;
  if (fs::exists(path, error)) {
    auto text = kt::os::readText(path.string(), kMostBytes);
    if (!text.ok())
      return std::move(text).status();
    json root = json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (root.is_discarded())
      return Status::usage("'" + path.string() + "' is no JSON");
    Fields fields(root);
    fields.text("model.decoder.filename", onnx);
    fields.text("model.decoder.inputs.input_ids", config.ports.ids);
    fields.text("model.decoder.inputs.attention_mask", config.ports.mask);
    fields.text("model.decoder.inputs.position_ids", config.ports.positions);
    fields.text("model.decoder.outputs.logits", config.ports.logits);
    fields.tokens("model.eos_token_id", config.stop);
    constexpr double kMost = 1e9;
    fields.number("model.context_length", 1, kMost, [&](double v) { config.contextLength = uint64_t(v); });
    fields.number("search.max_length", 1, kMost, [&](double v) { config.maxLength = uint64_t(v); });
    bool samples = false;
    if (const json *sample = fields.at("search.do_sample"))
      samples = sample->is_boolean() && sample->get<bool>();
    if (samples) {
      config.sampling.temperature = 1;
      fields.number("search.temperature", 0, kMost, [&](double v) { config.sampling.temperature = float(v); });
      fields.number("search.top_k", 0, kMost, [&](double v) { config.sampling.topK = uint32_t(v); });
      fields.number("search.top_p", 0, 1, [&](double v) { config.sampling.topP = float(v); });
    }
    if (!fields.failure.ok())
      return std::move(fields.failure).in("'" + path.string() + "'");
    if (config.contextLength && config.maxLength && *config.maxLength > *config.contextLength)
      return Status::usage("'" + path.string() + "': 'search.max_length' is " + std::to_string(*config.maxLength) +
                           " but 'model.context_length' is " + std::to_string(*config.contextLength));
  }
  auto artifact = artifactIn(folder, onnx);
  if (!artifact.ok())
    return std::move(artifact).status();
  config.artifact = *std::move(artifact);
  return config;
}

} // namespace ktrun
