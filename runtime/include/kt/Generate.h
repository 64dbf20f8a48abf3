//===- Generate.h - language models, token by token -----------------------===//
//
// The loop around a compiled language model: a prompt goes in, tokens come out, and what the model keeps between them
// stays where it runs. c_generate.h is the same in C.
//
//   auto generator = kt::Generator::create(model, {});
//   auto result = (*generator)->generate({.prompts = {{1, 5, 7}}, .maxNew = 64});
//
// Several prompts are streams that the model reads side by side, one run for all of them. The tokens of each are those
// that it has alone.
//
// A folder with a genai_config.json says more (readGenaiConfig): which artifact it is, the names of its ports, how
// tokens are drawn.
//
//===----------------------------------------------------------------------===//

#ifndef KT_GENERATE_H
#define KT_GENERATE_H

#include "kt/Runtime.h"

#include <functional>
#include <optional>

namespace kt {

/// How the next token is drawn. With a temperature of 0 it is the likeliest, the first of equals. The temperature is
/// finite and not negative, topP from 0 to 1.
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
  /// Where caches in place lie (SessionOptions::pool); null: the session has memory for its capacity.
  std::shared_ptr<StatePool> pool = {};
  /// Whether the session keeps the caches in place; else they go in and out of each run, on the device all the same.
  bool inPlace = true;
  /// A smaller language model that guesses (GenerateRequest::guesses); null: guesses come from what is there already.
  /// It has the same vocabulary, runs on the same device and has a state that can go back.
  std::shared_ptr<Model> draft = {};
  GenerationPorts draftPorts = {};
  /// Tokens that the model is said to know; not 0: has to be what its logits say.
  uint64_t vocabulary = 0;
  /// Of the session that it generates with, and of the draft's (SessionOptions::checkNumerics).
  CheckNumerics checkNumerics = CheckNumerics::none;
};

struct GenerateRequest {
  /// One for each stream. They may have different lengths: what the shorter ones are followed by is generated while the
  /// longer ones are read on, so lengths that differ little cost little. None at all: every stream that there is goes
  /// on.
  std::vector<std::vector<int64_t>> prompts;
  /// Begins the shorter prompts with pads, which the mask hides and positions do not count, so that one run reads all;
  /// masks are copied in each run then. Not where a state goes on. Whether the model says the same behind pads is tried
  /// once, in a session of its own; Code::usage where it does not.
  bool pad = false;
  /// Of each stream.
  uint64_t maxNew = 64;
  /// Each stream draws from a sequence of its own, the first one as it does alone.
  Sampling sampling = {};
  /// A stream ends behind one of these, which is the last of its tokens; the others go on.
  std::vector<int64_t> stop = {};
  /// At most so many tokens of a prompt in one run; 0: all.
  uint64_t piece = 0;
  /// Guesses so many tokens at once and keeps those that the model agrees with: the tokens are the same as without. The
  /// generator's draft guesses, or, where it has none, what followed the same `lookup` tokens the last time. 0: no
  /// guesses. Only for one stream, with a temperature of 0, a model that gives logits for all tokens, and caches in
  /// place.
  uint32_t guesses = 0, lookup = 2;
  /// Of a model that chooses tokens itself (`ktc compile --sample`), with caches in place and no guesses: whether a run
  /// begins before the tokens of the one before have been looked at, which the device need not wait for. Where those
  /// end the generation, the run was one too many and is taken back. Not set: on a GPU.
  std::optional<bool> ahead = {};
  /// Called with each token, and the number of its stream, as soon as it is known; the stream ends where it answers
  /// false. It throws nothing and does not use the generator but to cancel.
  std::function<bool(size_t stream, int64_t token)> onToken = {};
};

struct GenerateResult {
  std::vector<std::vector<int64_t>> tokens; // those that are new, of each stream
  double secondsToFirst = 0;                // from the request to the first token
  double seconds = 0;                       // all of it
  uint64_t first = 0;                       // tokens that came with the first one: of the shortest prompts
  uint64_t runs = 0;                        // of the model after the first token
  uint64_t guessed = 0;                     // tokens that were guessed
  uint64_t accepted = 0;                    // guesses that were right

  /// Tokens of all streams.
  uint64_t count() const {
    uint64_t all = 0;
    for (const std::vector<int64_t> &stream : tokens)
      all += stream.size();
    return all;
  }
  /// Of all streams together, after those that came first; 0 where there are none.
  double tokensPerSecond() const {
    double rest = seconds - secondsToFirst;
    return count() > first && rest > 0 ? static_cast<double>(count() - first) / rest : 0;
  }
};

/// The part of a folder's genai_config.json (onnxruntime-genai) that generating tokens needs. What is not said keeps
/// its default.
struct GenaiConfig {
  std::string artifact; // the folder's .ktm
  GenerationPorts ports = {};
  Sampling sampling = {};
  std::vector<int64_t> stop = {};
  uint64_t piece = 0;
  uint64_t vocabulary = 0; // 0: not said
  std::optional<uint64_t> contextLength = {}, maxLength = {};
};

/// What a folder says, where it has a genai_config.json; its artifact in any case. Code::usage where the file is no
/// JSON, where a field that matters here is missing, unknown, of another type, contradicts another one or asks for what
/// is not there (beams, penalties), and where the folder has no artifact. Thread-safe.
KT_API Result<GenaiConfig> readGenaiConfig(const std::string &folder);

/// Not thread-safe. Sessions go on: what a request adds to the state is there for the next, until `reset`.
class KT_API Generator {
public:
  ~Generator();
  Generator(const Generator &) = delete;
  Generator &operator=(const Generator &) = delete;

  /// Code::usage where a port is missing, or one is there that nobody can fill, with its name, for logits of a type
  /// that nothing is drawn from, and for a draft that does not go with the model.
  static Result<std::unique_ptr<Generator>> create(std::shared_ptr<Model> model, const GeneratorOptions &options);
  /// A prompt may be empty where the latest token of the request before goes on. Code::usage for an empty one
  /// otherwise, for a token that the model does not know, for a prompt that does not fit with what is to follow it, and
  /// for other streams than the state has, or than the model is made for. The state is as before then; where a run
  /// fails on its way, so is a state that only grows, others begin anew.
  Result<GenerateResult> generate(const GenerateRequest &request);
  /// Tokens that the state has of each stream, with its pads: all so far but the latest, which the model has yet to
  /// read. Where streams have ended at different lengths it is what the shortest has of them (nothing where the state
  /// cannot go back); the next request has the model read the others' again.
  uint64_t held() const;
  /// The streams that go on; 0: none yet, so that the next request says how many.
  size_t streams() const;
  /// Tokens of each stream that the state has room for.
  uint64_t capacity() const;
  /// Tokens that the model knows, from 0 on.
  uint64_t vocabulary() const;
  /// Ends the request in progress, or the next one where none is, with Code::failed. From any thread, as long as the
  /// generator lives.
  void cancel();
  /// Forgets everything.
  void reset();
  /// Forgets all but the first `length` tokens of each stream, with its pads, and the latest token. Code::usage where
  /// fewer are held, and where the state cannot go back to what it was (caches that are not in place, states that runs
  /// replace).
  [[nodiscard]] Status truncate(uint64_t length);
  /// A generator that goes on from a copy of this one's state. Code::usage where caches are not in place.
  Result<std::unique_ptr<Generator>> fork();
  /// What it generates with, to be asked for counters and profiles.
  Session &session();
  const Model &model() const;

private:
  struct Impl;
  explicit Generator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace kt

#endif
