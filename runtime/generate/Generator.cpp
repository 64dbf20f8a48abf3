//===- Generator.cpp - language models, token by token --------------------===//

#include "kt/Generate.h"
#include "runtime/api/Internal.h"
#include "runtime/generate/Loop.h"
#include "runtime/generate/Padding.h"

#include <algorithm>
#include <cmath>

namespace kt {

using namespace generate;

struct Generator::Impl {
  std::unique_ptr<Runs> runs;
  GeneratorOptions options;
  bool onHost;
  std::unique_ptr<Draft> draft = {};

  std::vector<Tokens> streams = {};
  std::vector<uint64_t> pads = {};           // of those, how many each begins with
  std::optional<bool> mayPad = std::nullopt; // once it has been tried

  /// Over a session that is there, or a new one.
  static Result<std::unique_ptr<Runs>> makeRuns(const std::shared_ptr<Model> &model, const GeneratorOptions &options,
                                                std::unique_ptr<Session> session);
  static Result<std::unique_ptr<Impl>> make(const std::shared_ptr<Model> &model, const GeneratorOptions &options,
                                            std::unique_ptr<Session> session);
  Status addDraft();
  void begin();
  Status check(const GenerateRequest &request) const;
  Status checkPrompt(const GenerateRequest &request, const Tokens &prompt, uint64_t unread) const;
  Status pad(std::vector<Tokens> &prompts, std::vector<uint64_t> &begins);
  Result<GenerateResult> generate(const GenerateRequest &request);
};

/// Nothing in the state.
void Generator::Impl::begin() {
  streams.clear();
  pads.clear();
  runs->begin();
}

/// Whether the request makes sense, before anything of it happens.
Status Generator::Impl::check(const GenerateRequest &request) const {
  const Sampling &sampling = request.sampling;
  size_t count = request.prompts.empty() ? streams.size() : request.prompts.size();
  if (count == 0)
    return Status::usage("the prompt has no tokens");
  if (!streams.empty() && count != streams.size())
    return Status::usage("there are " + std::to_string(count) + " prompts, but the state has " +
                         std::to_string(streams.size()) + (streams.size() == 1 ? " stream" : " streams"));
  KT_RETURN_IF_ERROR(runs->takes(count));
  for (size_t i = 0; i < count; ++i) {
    Status status = checkPrompt(request, request.prompts.empty() ? Tokens() : request.prompts[i],
                                streams.empty() ? 0 : streams[i].size() - runs->held());
    KT_RETURN_IF_ERROR(count == 1 ? status : std::move(status).in("prompt " + std::to_string(i)));
  }
  if (!std::isfinite(sampling.temperature) || sampling.temperature < 0)
    return Status::usage("the temperature is " + std::to_string(sampling.temperature) + ", expected at least 0");
  if (!(sampling.topP >= 0 && sampling.topP <= 1))
    return Status::usage("top-p is " + std::to_string(sampling.topP) + ", expected 0 to 1");
  if (request.guesses && count > 1)
    return Status::usage("guesses are for one prompt, but there are " + std::to_string(count));
  if (request.guesses && (request.sampling.temperature > 0 || !options.inPlace))
    return Status::usage("guesses need a temperature of 0 and caches in place");
  if (request.guesses && !runs->goesBack())
    return Status::usage("guesses need a state that can go back to what it was before them, but each run replaces "
                         "a part of this model's");
  return {};
}

/// Of one stream, which has `unread` tokens that the model has yet to read.
Status Generator::Impl::checkPrompt(const GenerateRequest &request, const Tokens &prompt, uint64_t unread) const {
  if (prompt.empty() && !unread)
    return Status::usage("the prompt has no tokens");
  for (size_t i = 0; i < prompt.size(); ++i)
    if (prompt[i] < 0 || static_cast<uint64_t>(prompt[i]) >= runs->vocabulary())
      return Status::usage("token " + std::to_string(i) + " of the prompt is " + std::to_string(prompt[i]) +
                           ", expected 0 to " + std::to_string(runs->vocabulary() - 1));
  // The last of the new tokens is not read.
  uint64_t all = prompt.size() + unread, room = options.capacity - runs->held();
  if (options.inPlace && (all > room || (request.maxNew && request.maxNew - 1 > room - all)))
    return Status::usage("the prompt of " + std::to_string(all) + " tokens and " + std::to_string(request.maxNew) +
                         " new ones do not fit: there is room for " + std::to_string(room) + " of " +
                         std::to_string(options.capacity));
  return {};
}

/// Gives the shorter ones of the prompts as many tokens in front as they lack.
Status Generator::Impl::pad(std::vector<Tokens> &prompts, std::vector<uint64_t> &begins) {
  auto shorter = [](const Tokens &a, const Tokens &b) { return a.size() < b.size(); };
  auto [least, most] = std::minmax_element(prompts.begin(), prompts.end(), shorter);
  size_t length = most->size();
  if (least->size() == length)
    return {};
  if (!mayPad) {
    device::CallerContext keep; // what the trial had is released here
    GeneratorOptions trial = options;
    trial.capacity = kPaddingRoom;
    trial.pool = nullptr;
    auto made = makeRuns(runs->of(), trial, nullptr);
    if (!made.ok())
      return std::move(made).status();
    mayPad = mayBePadded(**made, *most);
  }
  if (!*mayPad) {
    std::string lengths;
    for (const Tokens &prompt : prompts)
      lengths += (lengths.empty() ? "" : ", ") + std::to_string(prompt.size());
    return Status::usage("prompts of " + lengths + " tokens cannot be padded: " +
                         (runs->hasMask() ? "behind pads that its mask hides the model says something else"
                                          : "the model has no mask that hides pads"));
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    begins[i] = length - prompts[i].size();
    prompts[i].insert(prompts[i].begin(), begins[i], 0);
  }
  return {};
}

Result<GenerateResult> Generator::Impl::generate(const GenerateRequest &request) {
  KT_RETURN_IF_ERROR(check(request));
  uint64_t before = runs->held(), needs = 0;
  std::vector<Tokens> all = streams;
  all.resize(std::max(all.size(), request.prompts.size()));
  for (size_t i = 0; i < request.prompts.size(); ++i)
    all[i].insert(all[i].end(), request.prompts[i].begin(), request.prompts[i].end());
  std::vector<uint64_t> begins = pads;
  begins.resize(all.size());
  if (request.pad && streams.empty())
    KT_RETURN_IF_ERROR(pad(all, begins));
  for (const Tokens &stream : all)
    needs = std::max<uint64_t>(needs, stream.size() + (request.maxNew ? request.maxNew - 1 : 0));
  bool goesBack = options.inPlace && runs->goesBack();
  Loop loop(request, *runs, all, draft.get(), goesBack, goesBack && request.ahead.value_or(!onHost));
  KT_RETURN_IF_ERROR(runs->prepare(begins, request.sampling, request.guesses > 0, std::max(needs, loop.mostSteps())));
  if (draft && request.guesses)
    KT_RETURN_IF_ERROR(draft->prepare(needs, request.piece).in("the draft"));
  Status status = loop.run();
  runs->endCancel();
  if (!status.ok()) {
    (void)runs->get().wait(); // nothing goes on in what the next request fills
    // As it was, as far as caches that are carried along, and states that do not grow, can be.
    KT_RETURN_IF_ERROR(runs->forget(runs->onlyGrows() ? before : 0));
    if (runs->held() != before)
      streams.clear(), pads.clear();
    return status;
  }
  streams = std::move(all);
  pads = std::move(begins);
  return std::move(loop.result);
}

Generator::Generator(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Generator::~Generator() {
  device::CallerContext keep;
  impl.reset();
}

Result<std::unique_ptr<Runs>> Generator::Impl::makeRuns(const std::shared_ptr<Model> &model,
                                                        const GeneratorOptions &options,
                                                        std::unique_ptr<Session> session) {
  auto roles = findRoles(*model, options.ports);
  if (!roles.ok())
    return std::move(roles).status();
  if (roles->states.empty())
    return Status::usage("the model has no caches: no output continues an input");
  if (options.inPlace && options.capacity == 0)
    return Status::usage("the capacity is 0 tokens, expected at least 1");
  if (!session) {
    auto fresh = model->createSession({.capacity = options.inPlace ? options.capacity : 0,
                                       .pool = options.inPlace ? options.pool : nullptr,
                                       .checkNumerics = options.checkNumerics});
    if (!fresh.ok())
      return std::move(fresh).status();
    session = *std::move(fresh);
  }
  exec::Program &program = *model->impl->program;
  return std::make_unique<Runs>(model, *std::move(roles), options, std::move(session), *program.device,
                                *program.account);
}

Result<std::unique_ptr<Generator::Impl>> Generator::Impl::make(const std::shared_ptr<Model> &model,
                                                               const GeneratorOptions &options,
                                                               std::unique_ptr<Session> session) {
  auto runs = makeRuns(model, options, std::move(session));
  if (!runs.ok())
    return std::move(runs).status();
  if (options.vocabulary && options.vocabulary != (*runs)->vocabulary())
    return Status::usage("the vocabulary is said to have " + std::to_string(options.vocabulary) +
                         " tokens, but the model's logits have " + std::to_string((*runs)->vocabulary()));
  std::unique_ptr<Impl> impl(new Impl{*std::move(runs), options, model->impl->program->device->isHost()});
  if (options.draft)
    KT_RETURN_IF_ERROR(impl->addDraft().in("the draft"));
  return impl;
}

Status Generator::Impl::addDraft() {
  // "cuda:0" of "cuda:0 (NVIDIA H200)".
  auto place = [](const Model &model) { return model.device().substr(0, model.device().find(' ')); };
  const Model &model = *runs->of();
  if (place(*options.draft) != place(model))
    return Status::usage("it runs on " + place(*options.draft) + ", but the model on " + place(model));
  GeneratorOptions own;
  own.ports = options.draftPorts;
  own.capacity = options.capacity;
  own.checkNumerics = options.checkNumerics;
  auto made = makeRuns(options.draft, own, nullptr);
  if (!made.ok())
    return std::move(made).status();
  if ((*made)->vocabulary() != runs->vocabulary())
    return Status::usage("its vocabulary has " + std::to_string((*made)->vocabulary()) + " tokens, but the model's " +
                         std::to_string(runs->vocabulary()));
  if (!(*made)->goesBack())
    return Status::usage("its state cannot go back to what it was before a guess: each run replaces a part of it");
  draft = std::make_unique<Draft>(*std::move(made));
  return {};
}

Result<std::unique_ptr<Generator>> Generator::create(std::shared_ptr<Model> model, const GeneratorOptions &options) {
  return guarded([&]() -> Result<std::unique_ptr<Generator>> {
    if (!model)
      return Status::usage("the model is null");
    auto impl = Impl::make(model, options, nullptr);
    if (!impl.ok())
      return std::move(impl).status();
    return std::unique_ptr<Generator>(new Generator(*std::move(impl)));
  });
}

Result<std::unique_ptr<Generator>> Generator::fork() {
  return guarded([&]() -> Result<std::unique_ptr<Generator>> {
    auto session = impl->runs->get().fork();
    if (!session.ok())
      return std::move(session).status();
    auto other = Impl::make(impl->runs->of(), impl->options, *std::move(session));
    if (!other.ok())
      return std::move(other).status();
    (*other)->runs->goOnFrom(*impl->runs);
    (*other)->streams = impl->streams;
    (*other)->pads = impl->pads;
    return std::unique_ptr<Generator>(new Generator(*std::move(other)));
  });
}

Result<GenerateResult> Generator::generate(const GenerateRequest &request) {
  return guarded([&] { return impl->generate(request); });
}

uint64_t Generator::held() const { return impl->runs->held(); }
size_t Generator::streams() const { return impl->streams.size(); }
uint64_t Generator::capacity() const { return impl->options.capacity; }
uint64_t Generator::vocabulary() const { return impl->runs->vocabulary(); }

void Generator::cancel() { impl->runs->cancel(); }

void Generator::reset() {
  (void)impl->runs->forget(0); // the first none of what is held are always there
  impl->begin();
}

Status Generator::truncate(uint64_t length) {
  return guarded([&]() -> Status {
    uint64_t held = impl->runs->held();
    if (length > held)
      return Status::usage("cannot keep the first " + std::to_string(length) + " of " + std::to_string(held) +
                           " tokens");
    if (length && length != held && !impl->options.inPlace)
      return Status::usage("cannot keep the first " + std::to_string(length) + " of " + std::to_string(held) +
                           " tokens: the caches are not in place");
    KT_RETURN_IF_ERROR(impl->runs->forget(length));
    for (Tokens &stream : impl->streams)
      stream.resize(length);
    if (length == 0)
      impl->begin();
    return {};
  });
}

Session &Generator::session() { return impl->runs->get(); }
const Model &Generator::model() const { return *impl->runs->of(); }

} // namespace kt
