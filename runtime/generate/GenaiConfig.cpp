//===- GenaiConfig.cpp - what genai_config.json says ----------------------===//
//
// onnxruntime-genai's file beside a model. What says how tokens are made is known here or refused, so that nobody gets
// other tokens than the file asks for; what is about sessions, other models or tokenizers is not looked at.
//
//===----------------------------------------------------------------------===//

#include "kt/Generate.h"
#include "runtime/api/Guard.h"
#include "runtime/os/File.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace kt {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr size_t kMostBytes = size_t(1) << 20;
constexpr double kMost = 1e9;

/// Of `search`: what is used below, and what says nothing where there are no beams and no batches.
constexpr std::array kSearch = {
    "do_sample",          "temperature",         "top_k",          "top_p",          "random_seed",
    "max_length",         "min_length",          "chunk_size",     "num_beams",      "num_return_sequences",
    "batch_size",         "diversity_penalty",   "length_penalty", "early_stopping", "past_present_share_buffer",
    "repetition_penalty", "no_repeat_ngram_size"};
/// Of `model.decoder.inputs` and `.outputs`: names of ports that are found by what they are for, not by these.
constexpr std::array kInputs = {
    "input_ids",  "attention_mask",       "position_ids",          "past_key_names",         "past_value_names",
    "past_names", "past_sequence_length", "total_sequence_length", "current_sequence_length"};
constexpr std::array kOutputs = {"logits", "present_key_names", "present_value_names", "present_names"};

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
  std::optional<double> number(const std::string &path, double least, double most) {
    const json *value = at(path);
    if (!value)
      return std::nullopt;
    if (value->is_number() && value->get<double>() >= least && value->get<double>() <= most)
      return value->get<double>();
    wrong(path, "a number from " + json(least).dump() + " to " + json(most).dump(), *value);
    return std::nullopt;
  }
  std::optional<uint64_t> count(const std::string &path, uint64_t least = 0) {
    const json *value = at(path);
    auto read = number(path, static_cast<double>(least), kMost);
    if (read && !value->is_number_integer())
      wrong(path, "a whole number", *value);
    return read ? std::optional(static_cast<uint64_t>(*read)) : std::nullopt;
  }
  bool flag(const std::string &path) {
    const json *value = at(path);
    if (value && !value->is_boolean())
      wrong(path, "true or false", *value);
    return value && value->is_boolean() && value->get<bool>();
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
  /// There is nothing here that does otherwise.
  void only(const std::string &path, int expected) {
    const json *value = at(path);
    if (value && !(value->is_number() && value->get<double>() == expected))
      wrong(path, json(expected).dump() + ", since nothing else is implemented,", *value);
  }
  void require(const std::string &path) {
    if (!at(path) && failure.ok())
      failure = Status::usage("'" + path + "' is missing");
  }
  template <size_t N> void onlyNames(const std::string &path, const std::array<const char *, N> &names) {
    const json *value = at(path);
    if (value && !value->is_object())
      return (void)wrong(path, "an object", *value);
    const json none = json::object();
    for (auto &[name, unused] : (value ? *value : none).items())
      if (std::find(names.begin(), names.end(), name) == names.end() && failure.ok()) {
        std::string known;
        for (const char *one : names)
          known += (known.empty() ? "'" : ", '") + std::string(one) + "'";
        failure = Status::usage("'" + path + "' has the unknown field " + quoted(name) + ", expected one of " + known);
      }
  }

private:
  static std::string quoted(const json &value) {
    return value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 60);
  }
  const json *wrong(const std::string &path, const std::string &expected, const json &got) {
    if (failure.ok())
      failure = Status::usage((path.empty() ? std::string("it") : "'" + path + "'") + ": expected " + expected +
                              " but got " + quoted(got));
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

/// How tokens are drawn, from `search`. onnxruntime-genai looks at none of it where it does not sample.
void readSampling(Fields &fields, Sampling &sampling) {
  bool samples = fields.flag("search.do_sample");
  auto temperature = fields.number("search.temperature", 0, kMost), topP = fields.number("search.top_p", 0, 1);
  auto topK = fields.count("search.top_k");
  if (!samples)
    return;
  sampling.temperature = static_cast<float>(temperature.value_or(1));
  sampling.topK = static_cast<uint32_t>(topK.value_or(0));
  sampling.topP = topP.value_or(0) > 0 ? static_cast<float>(*topP) : 1;               // 0: all
  if (auto seed = fields.number("search.random_seed", -1, kMost); seed && *seed >= 0) // -1: any
    sampling.seed = static_cast<uint64_t>(*seed);
}

/// What two fields say that cannot both be.
Status contradiction(const GenaiConfig &config, std::optional<uint64_t> least) {
  auto both = [](const char *a, uint64_t x, const char *b, uint64_t y) {
    return Status::usage("'" + std::string(a) + "' is " + std::to_string(x) + " but '" + b + "' is " +
                         std::to_string(y));
  };
  if (config.contextLength && config.maxLength && *config.maxLength > *config.contextLength)
    return both("search.max_length", *config.maxLength, "model.context_length", *config.contextLength);
  if (least && config.maxLength && *least > *config.maxLength)
    return both("search.min_length", *least, "search.max_length", *config.maxLength);
  for (int64_t token : config.stop)
    if (token < 0 || (config.vocabulary && static_cast<uint64_t>(token) >= config.vocabulary))
      return Status::usage("'model.eos_token_id' is " + std::to_string(token) + ", expected " +
                           (config.vocabulary ? "0 to " + std::to_string(config.vocabulary - 1) +
                                                    ", since 'model.vocab_size' is " + std::to_string(config.vocabulary)
                                              : "at least 0"));
  return {};
}

/// Of the file's text; the name of the decoder's ONNX file beside it.
Status readFields(const json &root, GenaiConfig &config, std::string &onnx) {
  Fields fields(root);
  fields.require("model");
  fields.require("model.decoder");
  fields.onlyNames("model.decoder.inputs", kInputs);
  fields.onlyNames("model.decoder.outputs", kOutputs);
  fields.onlyNames("search", kSearch);
  fields.text("model.decoder.filename", onnx);
  fields.text("model.decoder.inputs.input_ids", config.ports.ids);
  fields.text("model.decoder.inputs.attention_mask", config.ports.mask);
  fields.text("model.decoder.inputs.position_ids", config.ports.positions);
  fields.text("model.decoder.outputs.logits", config.ports.logits);
  fields.tokens("model.eos_token_id", config.stop);
  config.vocabulary = fields.count("model.vocab_size", 1).value_or(0);
  config.contextLength = fields.count("model.context_length", 1);
  config.maxLength = fields.count("search.max_length");
  if (config.maxLength == 0) // as far as the context goes
    config.maxLength.reset();
  config.piece = fields.count("search.chunk_size").value_or(0);
  auto least = fields.count("search.min_length");
  readSampling(fields, config.sampling);
  for (const char *path :
       {"search.num_beams", "search.num_return_sequences", "search.batch_size", "search.repetition_penalty"})
    fields.only(path, 1);
  fields.only("search.no_repeat_ngram_size", 0);
  if (!fields.failure.ok())
    return std::move(fields.failure);
  KT_RETURN_IF_ERROR(contradiction(config, least));
  if (least.value_or(0) > 0 && !config.stop.empty())
    return Status::usage("'search.min_length': expected 0, since nothing else is implemented, but got " +
                         std::to_string(*least));
  return {};
}

} // namespace

Result<GenaiConfig> readGenaiConfig(const std::string &folder) {
  return guarded([&]() -> Result<GenaiConfig> {
    GenaiConfig config;
    fs::path path = fs::path(folder) / "genai_config.json";
    std::error_code error;
    std::string onnx;
    if (fs::exists(path, error)) {
      auto text = os::readText(path.string(), kMostBytes);
      if (!text.ok())
        return std::move(text).status();
      json root = json::parse(*text, nullptr, /*allow_exceptions=*/false);
      if (root.is_discarded())
        return Status::usage("'" + path.string() + "' is no JSON");
      if (Status status = readFields(root, config, onnx); !status.ok())
        return std::move(status).in("'" + path.string() + "'");
    }
    auto artifact = artifactIn(folder, onnx);
    if (!artifact.ok())
      return std::move(artifact).status();
    config.artifact = *std::move(artifact);
    return config;
  });
}

} // namespace kt
