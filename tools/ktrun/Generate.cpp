//===- Generate.cpp - ktrun generate --------------------------------------===//
//
// Tokens after tokens, from the command line.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Generate.h"
#include "kt/Generate.h"
#include "runtime/os/File.h"
#include "runtime/os/OutputFile.h"
#include "tools/ktrun/Benchmark.h"
#include "tools/ktrun/CommandLine.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <sstream>

namespace ktrun {

using kt::Status;

namespace {

struct Arguments : RunArguments {
  std::string path, draft, stop, format = "text";
  std::vector<std::string> prompts;
  std::optional<float> temperature, topP;
  std::optional<uint32_t> topK, guesses;
  std::optional<uint64_t> seed, piece, pages;
  uint64_t maxNew = 64, capacity = 0;
  uint32_t lookup = 2;
  std::optional<bool> ahead;
  bool plain = false, pad = false;
};

/// Of a file of prompts.
constexpr size_t kMostBytes = size_t(1) << 30;
/// Guesses of a draft at once, unless that is said.
constexpr uint32_t kDraftGuesses = 4;

kt::Result<std::vector<int64_t>> tokensOf(const std::string &text, const char *option) {
  std::vector<int64_t> tokens;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(',', at), text.size());
    int64_t token = 0;
    auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, token);
    if (error != std::errc() || stop != text.data() + end)
      return Status::usage(std::string(option) + ": expected numbers separated by commas but got '" +
                           text.substr(at, end - at) + "'");
    tokens.push_back(token);
    at = end + 1;
    if (end + 1 == text.size())
      return Status::usage(std::string(option) + ": expected a number behind the last comma");
  }
  return tokens;
}

std::string listOf(const std::vector<int64_t> &tokens) {
  std::string text;
  for (int64_t token : tokens)
    text += (text.empty() ? "" : ",") + std::to_string(token);
  return text;
}

/// Prompts of one option each, or the lines of `@FILE`.
kt::Result<std::vector<std::vector<int64_t>>> promptsOf(const std::vector<std::string> &options) {
  std::vector<std::vector<int64_t>> prompts;
  auto add = [&](const std::string &text) -> Status {
    auto tokens = tokensOf(text, "--tokens");
    if (!tokens.ok())
      return std::move(tokens).status();
    prompts.push_back(*std::move(tokens));
    return {};
  };
  for (const std::string &option : options) {
    if (!option.starts_with('@')) {
      KT_RETURN_IF_ERROR(add(option));
      continue;
    }
    auto text = kt::os::readText(option.substr(1), kMostBytes);
    if (!text.ok())
      return std::move(text).status();
    std::istringstream lines(*text);
    size_t number = 0;
    for (std::string line; std::getline(lines, line);)
      KT_RETURN_IF_ERROR(add(line).in("line " + std::to_string(++number) + " of '" + option.substr(1) + "'"));
  }
  return prompts;
}

/// Time after the first token is that of runs of one token, or of one and its guesses. Each reads all weights but what
/// is looked up, an embedding for one.
std::string report(const kt::GenerateResult &result, uint64_t held, const kt::Stats &stats, bool json) {
  double rest = result.seconds - result.secondsToFirst, rate = result.tokensPerSecond();
  double bytes = static_cast<double>(stats.residentWeightBytes + stats.streamedWeightBytes - stats.lookedUpWeightBytes);
  double bandwidth = rest > 0 ? bytes * static_cast<double>(result.runs) / rest : 0;
  std::ostringstream text;
  text.imbue(std::locale::classic());
  if (json) {
    std::string lists;
    for (const std::vector<int64_t> &tokens : result.tokens)
      lists += (lists.empty() ? "[" : ", [") + listOf(tokens) + "]";
    text << "{\"tokens\": " << (result.tokens.size() == 1 ? lists : "[" + lists + "]")
         << ", \"seconds_to_first\": " << result.secondsToFirst << ", \"seconds\": " << result.seconds
         << ", \"tokens_per_second\": " << rate << ", \"weight_bytes_per_second\": " << bandwidth
         << ", \"runs\": " << result.runs << ", \"guessed\": " << result.guessed
         << ", \"accepted\": " << result.accepted << ", \"held\": " << held << "}\n";
  } else {
    for (const std::vector<int64_t> &tokens : result.tokens)
      text << listOf(tokens) << "\n";
    text.precision(4);
    text << "first token after " << result.secondsToFirst * 1e3 << " ms, then " << rate << " tokens/s, "
         << bandwidth * 1e-9 << " GB/s of weights\n";
    if (result.guessed)
      text << result.accepted << " of " << result.guessed << " guesses were right\n";
  }
  return text.str();
}

/// What a folder says, or nothing but which artifact it is.
kt::Result<kt::GenaiConfig> configOf(const std::string &path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return kt::readGenaiConfig(path);
  return kt::GenaiConfig{.artifact = path};
}

kt::Result<kt::GenerateRequest> requestOf(const Arguments &a, const kt::GenaiConfig &config) {
  kt::GenerateRequest request;
  request.sampling = config.sampling;
  if (a.temperature)
    request.sampling.temperature = *a.temperature;
  if (a.topK)
    request.sampling.topK = *a.topK;
  if (a.topP)
    request.sampling.topP = *a.topP;
  if (a.seed)
    request.sampling.seed = *a.seed;
  request.pad = a.pad;
  request.maxNew = a.maxNew;
  request.piece = a.piece.value_or(config.piece);
  request.guesses = a.guesses.value_or(a.draft.empty() ? 0 : kDraftGuesses);
  request.lookup = a.lookup;
  request.ahead = a.ahead;
  auto prompts = promptsOf(a.prompts);
  if (!prompts.ok())
    return std::move(prompts).status();
  auto stop = tokensOf(a.stop, "--stop");
  if (!stop.ok())
    return std::move(stop).status();
  request.prompts = *std::move(prompts);
  request.stop = a.stop.empty() ? config.stop : *std::move(stop);
  return request;
}

/// Loads the model, and the draft where there is one.
kt::Result<std::unique_ptr<kt::Generator>> generatorOf(const Arguments &a, const kt::GenaiConfig &config,
                                                       const kt::GenaiConfig &draft, uint64_t needs, size_t prompts) {
  auto options = a.options();
  if (!options.ok())
    return std::move(options).status();
  kt::os::KeptFiles keptFiles;
  for (const std::string &file : {config.artifact, draft.artifact, a.tuning})
    if (!file.empty())
      keptFiles.add(file);
  for (const std::string &prompt : a.prompts)
    if (prompt.starts_with('@'))
      keptFiles.add(prompt.substr(1));
  if (!a.trace.empty())
    KT_RETURN_IF_ERROR(keptFiles.mayWrite(a.trace));
  auto model = kt::Model::load(config.artifact, *options);
  if (!model.ok())
    return std::move(model).status();
  kt::GeneratorOptions generatorOptions;
  generatorOptions.ports = config.ports;
  generatorOptions.vocabulary = config.vocabulary;
  generatorOptions.inPlace = !a.plain;
  generatorOptions.capacity = a.capacity ? a.capacity : std::max<uint64_t>(needs, 1);
  generatorOptions.checkNumerics = a.checkNumerics();
  if (a.pages && a.plain)
    return Status::usage("--pages are for caches in place, which --plain has none of");
  if (a.pages) {
    uint64_t rows = kt::StatePool::rowsOfPage(), each = (generatorOptions.capacity + rows - 1) / rows;
    auto pool = kt::StatePool::create(*model, *a.pages ? *a.pages : each * std::max<size_t>(prompts, 1));
    if (!pool.ok())
      return std::move(pool).status();
    generatorOptions.pool = *std::move(pool);
  }
  if (!draft.artifact.empty()) {
    auto loaded = kt::Model::load(draft.artifact, *options);
    if (!loaded.ok())
      return std::move(loaded).status().in("the draft");
    generatorOptions.draft = *std::move(loaded);
    generatorOptions.draftPorts = draft.ports;
  }
  return kt::Generator::create(*std::move(model), generatorOptions);
}

Status run(const Arguments &a) {
  auto config = configOf(a.path);
  auto draft = a.draft.empty() ? kt::Result<kt::GenaiConfig>(kt::GenaiConfig{}) : configOf(a.draft);
  for (auto *read : {&config, &draft})
    if (!read->ok())
      return std::move(*read).status();
  auto request = requestOf(a, *config);
  if (!request.ok())
    return std::move(request).status();
  uint64_t needs = 0;
  for (const std::vector<int64_t> &prompt : request->prompts)
    needs = std::max(needs, prompt.size() + a.maxNew);
  if (config->contextLength && needs > *config->contextLength)
    return Status::usage("the prompt and what follows it are " + std::to_string(needs) +
                         " tokens, but 'model.context_length' is " + std::to_string(*config->contextLength));
  auto generator = generatorOf(a, *config, *draft, needs, request->prompts.size());
  if (!generator.ok())
    return std::move(generator).status();
  NumericsWarnings warnings((*generator)->session());
  (*generator)->session().profile(!a.trace.empty());
  auto result = (*generator)->generate(*request);
  if (!result.ok())
    return std::move(result).status();
  if (!a.trace.empty())
    KT_RETURN_IF_ERROR(writeTrace((*generator)->session(), a.trace));
  kt::Stats stats = (*generator)->session().stats();
  KT_RETURN_IF_ERROR(kt::os::writeOutput(report(*result, (*generator)->held(), stats, a.format == "json")));
  return a.stats ? printStats((*generator)->model(), (*generator)->session()) : Status();
}

} // namespace

int generate(int argc, char **argv) {
  Arguments a;
  CLI::App app("Generates tokens with a compiled language model.", "ktrun generate");
  app.add_option("model", a.path, "the artifact, or a folder with one and, if there is one, genai_config.json")
      ->required();
  app.add_option("--tokens", a.prompts,
                 "the prompt: 1,2,3; several, once for each, are read side by side, or @FILE has one a line")
      ->required()
      ->allow_extra_args(false);
  app.add_option("--max-new", a.maxNew, "tokens to generate, for each prompt (64)")
      ->check(CLI::Range(uint64_t(0), uint64_t(1) << 30));
  app.add_option("--stop", a.stop, "tokens that end it; those of genai_config.json unless given");
  app.add_option("--temperature", a.temperature, "0, the likeliest token, unless genai_config.json says otherwise")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--top-k", a.topK, "draw from so many of the likeliest; 0: all");
  app.add_option("--top-p", a.topP, "draw from the likeliest that have this probability together")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--seed", a.seed, "of what is drawn (0)");
  app.add_option("--piece", a.piece, "tokens of the prompt in one run; all unless given");
  app.add_option("--capacity", a.capacity, "tokens that there is room for; those that are needed unless given")
      ->check(CLI::Range(uint64_t(0), uint64_t(1) << 40));
  app.add_option("--pages", a.pages,
                 "caches lie in so many pages of 128 tokens instead of in one piece; 0: as many as the capacity takes")
      ->check(CLI::Range(uint64_t(0), uint64_t(1) << 30));
  app.add_option("--guess", a.guesses,
                 "tokens to guess at once from what followed the same tokens before (0), or by the draft (4)");
  app.add_option("--draft", a.draft, "a smaller model of the same vocabulary, which guesses; an artifact or a folder")
      ->check(named());
  app.add_option("--lookup", a.lookup, "how many tokens have to be the same for that (2)");
  app.add_option("--ahead", a.ahead,
                 "whether a run begins before the token of the one before is looked at, where the model chooses tokens "
                 "itself; on a GPU unless given");
  app.add_flag("--pad", a.pad,
               "shorter prompts begin with pads, so that one run reads all; for models that heed their mask");
  app.add_flag("--plain", a.plain, "caches go in and out of each run instead of lying in place");
  addRunOptions(app, a);
  app.add_option("--format", a.format, "text or json")->check(CLI::IsMember({"text", "json"}));
  return runCommand(app, argc, argv, "ktrun generate --help", [&] { return run(a); });
}

} // namespace ktrun
