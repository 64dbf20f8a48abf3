//===- Generate.h - language models, token by token -----------------------===//
//
// The loop around a compiled language model: a prompt goes in, tokens come out, and what the model keeps between them
// stays where it runs.
//
//   auto generator = kt::Generator::create(model, {});
//   auto result = (*generator)->generate({.prompt = {1, 5, 7}, .maxNew = 64});
//
//===----------------------------------------------------------------------===//

#ifndef KT_GENERATE_H
#define KT_GENERATE_H

#include "kt/Runtime.h"

#include <functional>
#include <optional>

namespace kt {

/// How the next token is drawn. With a temperature of 0 it is the likeliest, the first of equals.
struct Sampling {
  float temperature = 0;
  /// Only so many of the likeliest are drawn from; 0: all.
  uint32_t topK = 0;
  /// Only the likeliest that together have this probability, one at least; 1: all. After topK.
  float topP = 1;
  /// The same seed draws the same tokens.
  uint64_t seed = 0;
};

/// The names of a model's ports, as genai_config.json gives them; empty ones are found by their usual names and shapes.
struct GenerationPorts {
  std::string ids, mask, positions, logits;
};

struct GeneratorOptions {
  GenerationPorts ports = {};
  /// Tokens for which there is room: those of a prompt and what follows it.
  uint64_t capacity = 4096;
  /// Whether the session keeps the caches in place; else they go in and out of each run, on the device all the same.
  bool inPlace = true;
};

struct GenerateRequest {
  std::vector<int64_t> prompt;
  uint64_t maxNew = 64;
  Sampling sampling = {};
  /// Ends behind one of these, which is the last token of the result.
  std::vector<int64_t> stop = {};
  /// At most so many tokens of the prompt in one run; 0: all.
  uint64_t piece = 0;
  /// Guesses so many tokens at once from what followed the same `lookup` tokens earlier, and keeps those that the model
  /// agrees with: the tokens are the same as without. 0: no guesses. Only with a temperature of 0, a model that gives
  /// logits for all tokens, and caches in place.
  uint32_t guesses = 0, lookup = 2;
  /// Of a model that chooses tokens itself (`ktc compile --sample`), with caches in place and no guesses: whether a run
  /// begins before the token of the one before has been looked at, which the device need not wait for. Where that token
  /// ends the generation, the run was one too many and is taken back. Not set: on a GPU.
  std::optional<bool> ahead = {};
  /// Called with each token as soon as it is known; generation ends where it answers false.
  std::function<bool(int64_t)> onToken = {};
};

struct GenerateResult {
  std::vector<int64_t> tokens; // those that are new
  double secondsToFirst = 0;   // from the request to the first token
  double seconds = 0;          // all of it
  uint64_t runs = 0;           // of the model after the first token
  uint64_t guessed = 0;        // tokens that were guessed
  uint64_t accepted = 0;       // guesses that were right
};

/// Not thread-safe. Sessions go on: what a request adds to the state is there for the next, until `reset`.
class KT_API Generator {
public:
  ~Generator();
  Generator(const Generator &) = delete;
  Generator &operator=(const Generator &) = delete;

  /// Code::usage where a port is missing, or one is there that nobody can fill, with its name.
  static Result<std::unique_ptr<Generator>> create(std::shared_ptr<Model> model, const GeneratorOptions &options);
  /// Code::usage for an empty prompt and for one that does not fit with what is to follow it; Code::failed for a token
  /// that the model does not know. The state is as before then.
  Result<GenerateResult> generate(const GenerateRequest &request);
  /// Tokens that the state has.
  uint64_t held() const;
  void reset();
  /// What it generates with, to be asked for counters and profiles.
  Session &session();

private:
  struct Impl;
  explicit Generator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace kt

#endif
