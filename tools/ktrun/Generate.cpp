//===- Generate.cpp - ktrun generate --------------------------------------===//
//
// Tokens after tokens, from the command line.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Generate.h"
#include "runtime/os/OutputFile.h"
#include "runtime/os/Process.h"
#include "runtime/text/Grammar.h"
#include "tools/ktrun/Benchmark.h"
#include "tools/ktrun/GenaiConfig.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <sstream>

namespace ktrun {

using kt::Status;

namespace {

struct Arguments {
  std::string path, device = "auto", memory, prompt, stop, trace, format = "text";
  std::optional<float> temperature, topP;
  std::optional<uint32_t> topK;
  uint64_t maxNew = 64, seed = 0, piece = 0, capacity = 0;
  uint32_t guesses = 0, lookup = 2;
  std::optional<bool> ahead;
  unsigned threads = 0;
  bool plain = false, noGraphs = false, stats = false;
};

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

/// Time after the first token is that of runs of one token, or of one and its guesses.
std::string report(const kt::GenerateResult &result, uint64_t held, const kt::Stats &stats, bool json) {
  double rest = result.seconds - result.secondsToFirst;
  double later = result.tokens.empty() ? 0 : static_cast<double>(result.tokens.size() - 1);
  double rate = rest > 0 ? later / rest : 0;
  double bytes = static_cast<double>(stats.residentWeightBytes + stats.streamedWeightBytes);
  double bandwidth = rest > 0 ? bytes * static_cast<double>(result.runs) / rest : 0;
  std::ostringstream text;
  text.imbue(std::locale::classic());
  if (json) {
    text << "{\"tokens\": [" << listOf(result.tokens) << "], \"seconds_to_first\": " << result.secondsToFirst
         << ", \"seconds\": " << result.seconds << ", \"tokens_per_second\": " << rate
         << ", \"weight_bytes_per_second\": " << bandwidth << ", \"runs\": " << result.runs
         << ", \"guessed\": " << result.guessed << ", \"accepted\": " << result.accepted << ", \"held\": " << held
         << "}\n";
  } else {
    text << listOf(result.tokens) << "\n";
    text.precision(4);
    text << "first token after " << result.secondsToFirst * 1e3 << " ms, then " << rate << " tokens/s, "
         << bandwidth * 1e-9 << " GB/s of weights\n";
    if (result.guessed)
      text << result.accepted << " of " << result.guessed << " guesses were right\n";
  }
  return text.str();
}

Status run(const Arguments &a) {
  GenaiConfig config;
  std::error_code error;
  if (std::filesystem::is_directory(a.path, error)) {
    auto read = readGenaiConfig(a.path);
    if (!read.ok())
      return std::move(read).status();
    config = *std::move(read);
  } else {
    config.artifact = a.path;
  }
  kt::GenerateRequest request;
  request.sampling = config.sampling;
  if (a.temperature)
    request.sampling.temperature = *a.temperature;
  if (a.topK)
    request.sampling.topK = *a.topK;
  if (a.topP)
    request.sampling.topP = *a.topP;
  request.sampling.seed = a.seed;
  request.maxNew = a.maxNew;
  request.piece = a.piece;
  request.guesses = a.guesses;
  request.lookup = a.lookup;
  request.ahead = a.ahead;
  auto prompt = tokensOf(a.prompt, "--tokens"), stop = tokensOf(a.stop, "--stop");
  for (auto *list : {&prompt, &stop})
    if (!list->ok())
      return std::move(*list).status();
  request.prompt = *std::move(prompt);
  request.stop = a.stop.empty() ? config.stop : *std::move(stop);

  kt::Options options;
  options.device = a.device;
  options.threads = a.threads;
  options.cudaGraphs = !a.noGraphs;
  if (!a.memory.empty()) {
    auto bytes = kt::parseSize(a.memory);
    if (!bytes.ok())
      return std::move(bytes).status().in("--device-memory '" + a.memory + "'");
    options.deviceMemory = *bytes;
  }
  kt::os::KeptFiles keptFiles;
  keptFiles.add(config.artifact);
  if (!a.trace.empty())
    KT_RETURN_IF_ERROR(keptFiles.mayWrite(a.trace));
  auto model = kt::Model::load(config.artifact, options);
  if (!model.ok())
    return std::move(model).status();
  kt::GeneratorOptions generatorOptions;
  generatorOptions.ports = config.ports;
  generatorOptions.inPlace = !a.plain;
  uint64_t needs = request.prompt.size() + a.maxNew;
  generatorOptions.capacity = a.capacity ? a.capacity : needs;
  if (config.contextLength && needs > *config.contextLength)
    return Status::usage("the prompt and what follows it are " + std::to_string(needs) +
                         " tokens, but 'model.context_length' is " + std::to_string(*config.contextLength));
  auto generator = kt::Generator::create(*model, generatorOptions);
  if (!generator.ok())
    return std::move(generator).status();
  (*generator)->session().profile(!a.trace.empty());
  auto result = (*generator)->generate(request);
  if (!result.ok())
    return std::move(result).status();
  if (!a.trace.empty())
    KT_RETURN_IF_ERROR(writeTrace((*generator)->session(), a.trace));
  kt::Stats stats = (*generator)->session().stats();
  KT_RETURN_IF_ERROR(kt::os::writeOutput(report(*result, (*generator)->held(), stats, a.format == "json")));
  if (a.stats)
    return kt::os::writeAll(2, "runs " + std::to_string(stats.runs) + "\nplans " + std::to_string(stats.plans) +
                                   "\nlaunches " + std::to_string(stats.launches) + "\ngraph replays " +
                                   std::to_string(stats.graphReplays) + "\ngraph patches " +
                                   std::to_string(stats.graphPatches) + "\npeak device bytes " +
                                   std::to_string(stats.peakDeviceBytes) + "\n");
  return {};
}

} // namespace

int generate(int argc, char **argv) {
  auto fail = [](const Status &status) {
    (void)kt::os::writeAll(2, "error: " + kt::os::oneLine(status.message()) + "\n");
    return status.exitStatus();
  };
  Arguments a;
  CLI::App app("Generates tokens with a compiled language model.", "ktrun generate");
  app.add_option("model", a.path, "the artifact, or a folder with one and, if there is one, genai_config.json")
      ->required();
  app.add_option("--tokens", a.prompt, "the prompt: 1,2,3")->required();
  app.add_option("--max-new", a.maxNew, "tokens to generate (64)")->check(CLI::Range(uint64_t(0), uint64_t(1) << 30));
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
  app.add_option("--guess", a.guesses, "tokens to guess at once from what followed the same tokens before (0)");
  app.add_option("--lookup", a.lookup, "how many tokens have to be the same for that (2)");
  app.add_option("--ahead", a.ahead,
                 "whether a run begins before the token of the one before is looked at, where the model chooses tokens "
                 "itself; on a GPU unless given");
  app.add_flag("--plain", a.plain, "caches go in and out of each run instead of lying in place");
  app.add_option("--device", a.device, "auto, host or cuda:N");
  app.add_option("--device-memory", a.memory, "bytes of device memory for weights; the rest is streamed");
  app.add_option("--threads", a.threads, "threads of the host's pool; all unless given")->check(CLI::Range(0, 1024));
  app.add_option("--format", a.format, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--profile", a.trace, "write a Chrome trace of all launches");
  app.add_flag("--stats", a.stats, "print counters to standard error");
  app.add_flag("--no-graphs", a.noGraphs, "never record repeated runs as graphs");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    std::ostringstream out, err;
    if (app.exit(error, out, err) == 0) {
      Status written = kt::os::writeOutput(out.str());
      return written.ok() ? 0 : fail(written);
    }
    return fail(Status::usage(std::string(error.what()) + " (ktrun generate --help says more)"));
  }
  Status status = run(a);
  return status.ok() ? 0 : fail(status);
}

} // namespace ktrun
