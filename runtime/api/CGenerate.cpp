//===- CGenerate.cpp - language models from C ------------------------------===//
//
// A thin skin over Generate.h.
//
//===----------------------------------------------------------------------===//

#include "kt/Generate.h"
#include "kt/c_generate.h"
#include "runtime/api/CInternal.h"

#include <algorithm>

using kt::Status;
using kt::c::call;
using kt::c::missing;

struct kt_generator {
  std::unique_ptr<kt::Generator> generator;
};

struct kt_genai_config {
  kt::GenaiConfig config;
};

namespace {

kt::GenerationPorts portsOf(const kt_generation_ports &from) {
  auto text = [](const char *name) { return std::string(name ? name : ""); };
  return {text(from.ids), text(from.mask), text(from.positions), text(from.logits)};
}

/// More than any model reads.
constexpr uint64_t kMostTokens = uint64_t(1) << 32, kMostStreams = uint64_t(1) << 20;

/// A list of the caller's.
Status take(const int64_t *from, uint64_t count, const char *what, std::vector<int64_t> &to) {
  if (!from && count)
    return missing(what);
  if (count > kMostTokens)
    return Status::usage(std::string(what) + " has " + std::to_string(count) + " tokens, expected at most " +
                         std::to_string(kMostTokens));
  to.assign(from, from + count);
  return {};
}

/// The prompts, which lie behind one another. None where all streams just go on.
Status takePrompts(const kt_generate_request &from, uint64_t streams, std::vector<std::vector<int64_t>> &to) {
  std::vector<int64_t> all;
  KT_RETURN_IF_ERROR(take(from.prompt, from.prompt_count, "the prompt", all));
  if (all.empty() && !from.streams)
    return {};
  if (streams > kMostStreams)
    return Status::usage("there are " + std::to_string(streams) + " prompts, expected at most " +
                         std::to_string(kMostStreams));
  if (!from.prompt_counts && all.size() % streams)
    return Status::usage("there are " + std::to_string(all.size()) + " tokens of " + std::to_string(streams) +
                         " prompts, but it is not said how many each has");
  uint64_t at = 0;
  for (uint64_t i = 0; i < streams; ++i) {
    uint64_t count = from.prompt_counts ? from.prompt_counts[i] : all.size() / streams;
    if (count > all.size() - at)
      return Status::usage("prompt " + std::to_string(i) + " has " + std::to_string(count) + " tokens, but " +
                           std::to_string(all.size() - at) + " are left of " + std::to_string(all.size()));
    auto begin = all.begin() + static_cast<ptrdiff_t>(at);
    to.emplace_back(begin, begin + static_cast<ptrdiff_t>(count));
    at += count;
  }
  return at == all.size() ? Status()
                          : Status::usage("the prompts have " + std::to_string(at) +
                                          " tokens together, but there are " + std::to_string(all.size()));
}

Status take(const kt_generate_request &from, uint64_t streams, kt::GenerateRequest &to) {
  KT_RETURN_IF_ERROR(takePrompts(from, streams, to.prompts));
  KT_RETURN_IF_ERROR(take(from.stop, from.stop_count, "the list of stop tokens", to.stop));
  if (from.tokens && from.room / streams < from.max_new)
    return Status::usage("the memory for tokens has room for " + std::to_string(from.room) + ", expected at least " +
                         (streams == 1 ? "" : std::to_string(streams) + " times ") + std::to_string(from.max_new));
  to.pad = from.pad != 0;
  to.maxNew = from.max_new;
  to.sampling = {from.sampling.temperature, from.sampling.top_k, from.sampling.top_p == 0 ? 1 : from.sampling.top_p,
                 from.sampling.seed};
  to.piece = from.piece;
  to.guesses = from.guesses;
  to.lookup = from.lookup ? from.lookup : to.lookup;
  if (from.ahead)
    to.ahead = from.ahead > 0;
  if (from.on_token)
    to.onToken = [&from](size_t stream, int64_t token) { return from.on_token(stream, token, from.context) != 0; };
  return {};
}

/// Something was said.
const char *textOr(const std::string &text, const char *otherwise) { return text.empty() ? otherwise : text.c_str(); }

} // namespace

int kt_generator_create(kt_model *model, const kt_generator_options *options, kt_generator **generator) {
  return call([&]() -> Status {
    if (!model || !generator)
      return missing(model ? "where the generator goes" : "the model");
    *generator = nullptr;
    kt::GeneratorOptions o;
    if (options) {
      o.ports = portsOf(options->ports);
      o.capacity = options->capacity ? options->capacity : o.capacity;
      o.inPlace = !options->plain;
      o.vocabulary = options->vocabulary;
      o.draftPorts = portsOf(options->draft_ports);
      o.checkNumerics = static_cast<kt::CheckNumerics>(options->check_numerics);
      if (options->pool)
        o.pool = options->pool->pool;
      if (options->draft)
        o.draft = options->draft->model;
    }
    auto created = kt::Generator::create(model->model, o);
    if (!created.ok())
      return std::move(created).status();
    *generator = new kt_generator{*std::move(created)};
    return {};
  });
}

void kt_generator_free(kt_generator *generator) { delete generator; }

int kt_generator_generate(kt_generator *generator, const kt_generate_request *request, kt_generate_result *result) {
  return call([&]() -> Status {
    if (result)
      *result = {};
    if (!generator || !request)
      return missing(generator ? "the request" : "the generator");
    kt::GenerateRequest taken;
    // Where no prompt is said, those that there are go on.
    uint64_t streams = request->streams        ? request->streams
                       : request->prompt_count ? 1
                                               : std::max<uint64_t>(generator->generator->streams(), 1);
    KT_RETURN_IF_ERROR(take(*request, streams, taken));
    auto made = generator->generator->generate(taken);
    if (!made.ok())
      return std::move(made).status();
    for (uint64_t i = 0; i < streams; ++i) {
      const std::vector<int64_t> &tokens = made->tokens[i];
      if (request->tokens)
        std::copy(tokens.begin(), tokens.end(), request->tokens + i * request->max_new);
      if (request->counts)
        request->counts[i] = tokens.size();
    }
    if (result)
      *result = {made->count(), made->secondsToFirst, made->seconds, made->tokensPerSecond(),
                 made->runs,    made->guessed,        made->accepted};
    return {};
  });
}

void kt_generator_cancel(kt_generator *generator) {
  if (generator)
    generator->generator->cancel();
}

uint64_t kt_generator_held(const kt_generator *generator) { return generator ? generator->generator->held() : 0; }
uint64_t kt_generator_streams(const kt_generator *generator) { return generator ? generator->generator->streams() : 0; }
uint64_t kt_generator_capacity(const kt_generator *generator) {
  return generator ? generator->generator->capacity() : 0;
}
uint64_t kt_generator_vocabulary(const kt_generator *generator) {
  return generator ? generator->generator->vocabulary() : 0;
}

int kt_generator_reset(kt_generator *generator) { return kt_generator_truncate(generator, 0); }

int kt_generator_truncate(kt_generator *generator, uint64_t length) {
  return call(
      [&]() -> Status { return generator ? generator->generator->truncate(length) : missing("the generator"); });
}

int kt_generator_fork(kt_generator *generator, kt_generator **fork) {
  return call([&]() -> Status {
    if (!generator || !fork)
      return missing(generator ? "where the fork goes" : "the generator");
    *fork = nullptr;
    auto forked = generator->generator->fork();
    if (!forked.ok())
      return std::move(forked).status();
    *fork = new kt_generator{*std::move(forked)};
    return {};
  });
}

int kt_genai_config_read(const char *folder, kt_genai_config **config) {
  return call([&]() -> Status {
    if (!folder || !config)
      return missing(folder ? "where the configuration goes" : "the folder");
    *config = nullptr;
    auto read = kt::readGenaiConfig(folder);
    if (!read.ok())
      return std::move(read).status();
    *config = new kt_genai_config{*std::move(read)};
    return {};
  });
}

void kt_genai_config_free(kt_genai_config *config) { delete config; }

const char *kt_genai_config_artifact(const kt_genai_config *config) {
  return config ? config->config.artifact.c_str() : "";
}
uint64_t kt_genai_config_context_length(const kt_genai_config *config) {
  return config ? config->config.contextLength.value_or(0) : 0;
}

int kt_genai_config_options(const kt_genai_config *config, kt_generator_options *options) {
  return call([&]() -> Status {
    if (!config || !options)
      return missing(config ? "the options" : "the configuration");
    const kt::GenaiConfig &c = config->config;
    kt_generation_ports &ports = options->ports;
    ports = {textOr(c.ports.ids, ports.ids), textOr(c.ports.mask, ports.mask),
             textOr(c.ports.positions, ports.positions), textOr(c.ports.logits, ports.logits)};
    if (c.vocabulary)
      options->vocabulary = c.vocabulary;
    return {};
  });
}

int kt_genai_config_request(const kt_genai_config *config, kt_generate_request *request) {
  return call([&]() -> Status {
    if (!config || !request)
      return missing(config ? "the request" : "the configuration");
    const kt::GenaiConfig &c = config->config;
    if (c.sampling.temperature > 0)
      request->sampling = {c.sampling.temperature, c.sampling.topK, c.sampling.topP, c.sampling.seed};
    if (!c.stop.empty()) {
      request->stop = c.stop.data();
      request->stop_count = c.stop.size();
    }
    if (c.piece)
      request->piece = c.piece;
    return {};
  });
}
