//===- TokenGenerator.cpp - language models, token by token, in Python ----===//
//
// Tokens in and tokens out; ktransformers/generation.py has what people call, with texts.
//
//===----------------------------------------------------------------------===//

#include "python/src/TokenGenerator.h"
#include "python/src/Errors.h"
#include "python/src/Model.h"

#include <chrono>
#include <exception>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

namespace kt::python {

namespace {
/// How long signals may wait where nobody asks for each token: taking the GIL for each one is dear where other threads
/// use it.
constexpr std::chrono::milliseconds kSignals{50};

nb::dict dictOf(const GenerateResult &result) {
  nb::dict answer;
  answer["tokens"] = nb::cast(result.tokens);
  answer["seconds_to_first"] = result.secondsToFirst;
  answer["seconds"] = result.seconds;
  answer["tokens_per_second"] = result.tokensPerSecond();
  answer["runs"] = result.runs;
  answer["guessed"] = result.guessed;
  answer["accepted"] = result.accepted;
  return answer;
}
} // namespace

/// Without the GIL, alone with the generator.
template <typename Fn> auto PyTokenGenerator::alone(Fn fn) {
  if (user.load() == std::this_thread::get_id())
    raise(Status::usage("the generator is used by what it calls for each token, expected at most cancel()"));
  nb::gil_scoped_release released;
  std::lock_guard<std::mutex> lock(mutex);
  user.store(std::this_thread::get_id());
  struct Leave {
    std::atomic<std::thread::id> &user;
    ~Leave() { user.store({}); }
  } leave{user};
  return fn();
}

nb::dict PyTokenGenerator::generate(GenerateRequest request, nb::object onToken) {
  std::exception_ptr raised;
  auto looked = std::chrono::steady_clock::now();
  request.onToken = [&](size_t stream, int64_t token) {
    auto now = std::chrono::steady_clock::now();
    if (raised)
      return false;
    if (onToken.is_none() && now - looked < kSignals)
      return true;
    looked = now;
    nb::gil_scoped_acquire acquired;
    try {
      if (PyErr_CheckSignals() != 0)
        throw nb::python_error();
      return onToken.is_none() || !onToken(token, stream).is(nb::handle(Py_False));
    } catch (...) { // not through the runtime, which knows no exceptions
      raised = std::current_exception();
      return false;
    }
  };
  auto result = alone([&] { return generator->generate(request); });
  if (raised)
    std::rethrow_exception(raised);
  check(result.status());
  return dictOf(*result);
}

std::unique_ptr<PyTokenGenerator> PyTokenGenerator::fork() {
  auto forked = alone([&] { return generator->fork(); });
  return std::make_unique<PyTokenGenerator>(take(std::move(forked)));
}

void PyTokenGenerator::truncate(uint64_t length) {
  check(alone([&] { return generator->truncate(length); }));
}

void PyTokenGenerator::reset() {
  alone([&] { generator->reset(); });
}

uint64_t PyTokenGenerator::held() {
  return alone([&] { return generator->held(); });
}

size_t PyTokenGenerator::streams() {
  return alone([&] { return generator->streams(); });
}

namespace {
using namespace nb::literals;

GenerationPorts portsOf(const nb::dict &names) {
  GenerationPorts ports;
  for (auto [key, value] : names) {
    std::string role = nb::cast<std::string>(key), name = nb::cast<std::string>(value);
    (role == "ids"         ? ports.ids
     : role == "mask"      ? ports.mask
     : role == "positions" ? ports.positions
                           : ports.logits) = name;
  }
  return ports;
}

nb::dict readConfig(const std::filesystem::path &folder) {
  auto config = take(readGenaiConfig(folder.string()));
  nb::dict answer, ports;
  ports["ids"] = config.ports.ids;
  ports["mask"] = config.ports.mask;
  ports["positions"] = config.ports.positions;
  ports["logits"] = config.ports.logits;
  answer["artifact"] = config.artifact;
  answer["ports"] = ports;
  answer["temperature"] = config.sampling.temperature;
  answer["top_k"] = config.sampling.topK;
  answer["top_p"] = config.sampling.topP;
  answer["seed"] = config.sampling.seed;
  answer["stop"] = nb::cast(config.stop);
  answer["piece"] = config.piece;
  answer["vocabulary"] = config.vocabulary;
  answer["context_length"] = nb::cast(config.contextLength);
  return answer;
}

std::unique_ptr<PyTokenGenerator> make(PyModel &model, uint64_t capacity, std::shared_ptr<StatePool> pool, bool inPlace,
                                       PyModel *draft, const nb::dict &ports, const nb::dict &draftPorts,
                                       uint64_t vocabulary) {
  GeneratorOptions options;
  options.ports = portsOf(ports);
  options.capacity = capacity;
  options.pool = std::move(pool);
  options.inPlace = inPlace;
  options.draft = draft ? draft->get() : nullptr;
  options.draftPorts = portsOf(draftPorts);
  options.vocabulary = vocabulary;
  auto made = [&] {
    nb::gil_scoped_release released;
    return Generator::create(model.get(), options);
  }();
  return std::make_unique<PyTokenGenerator>(take(std::move(made)));
}
} // namespace

void bindTokenGenerator(nb::module_ &m) {
  m.def("read_genai_config", &readConfig, "folder"_a,
        nb::sig("def read_genai_config(folder: os.PathLike | str) -> dict[str, typing.Any]"),
        "What a folder's genai_config.json says of generating tokens, and which .ktm it is of. UsageError for a file "
        "that\nis wrong and for a folder without an artifact.");
  nb::class_<PyTokenGenerator>(m, "TokenGenerator",
                               "The loop over tokens that ktransformers.Generator is made of. Threads take turns.")
      .def(nb::new_(&make), "model"_a, nb::kw_only(), "capacity"_a, "pool"_a.none() = nb::none(), "in_place"_a = true,
           "draft"_a.none() = nb::none(), "ports"_a = nb::dict(), "draft_ports"_a = nb::dict(), "vocabulary"_a = 0)
      .def(
          "generate",
          [](PyTokenGenerator &self, std::vector<std::vector<int64_t>> prompts, uint64_t maxNew, float temperature,
             uint32_t topK, float topP, uint64_t seed, std::vector<int64_t> stop, uint64_t piece, uint32_t guesses,
             uint32_t lookup, bool pad, std::optional<bool> ahead, nb::object onToken) {
            GenerateRequest request;
            request.prompts = std::move(prompts);
            request.pad = pad;
            request.maxNew = maxNew;
            request.sampling = {temperature, topK, topP, seed};
            request.stop = std::move(stop);
            request.piece = piece;
            request.guesses = guesses;
            request.lookup = lookup;
            request.ahead = ahead;
            return self.generate(std::move(request), std::move(onToken));
          },
          "prompts"_a, "max_new"_a, "temperature"_a, "top_k"_a, "top_p"_a, "seed"_a, "stop"_a, "piece"_a, "guesses"_a,
          "lookup"_a, "pad"_a, "ahead"_a.none(), "on_token"_a.none(),
          "One request, without the GIL. on_token(token, stream) answers False to end a stream.")
      .def("fork", &PyTokenGenerator::fork, "One of its own that goes on from a copy of the state.")
      .def("truncate", &PyTokenGenerator::truncate, "length"_a, "Forgets all but the first `length` tokens.")
      .def("reset", &PyTokenGenerator::reset, "Forgets everything.")
      .def("cancel", &PyTokenGenerator::cancel, "Ends the request in progress, or the next one.")
      .def_prop_ro("held", &PyTokenGenerator::held, "Tokens that the state has of each stream.")
      .def_prop_ro("streams", &PyTokenGenerator::streams, "The streams that go on; 0: none yet.")
      .def_prop_ro("capacity", &PyTokenGenerator::capacity, "Tokens of each stream that there is room for.")
      .def_prop_ro("vocabulary", &PyTokenGenerator::vocabulary, "Tokens that the model knows, from 0 on.");
}

} // namespace kt::python
