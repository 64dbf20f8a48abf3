//===- Generator.cpp - language models, token by token --------------------===//

#include "kt/Generate.h"
#include "runtime/api/Internal.h"
#include "runtime/generate/Proposer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>

namespace kt {

using namespace generate;
using Clock = std::chrono::steady_clock;
/// Takes a token; answers whether another is wanted.
using OnToken = std::function<bool(int64_t)>;

struct Generator::Impl {
  std::unique_ptr<Runs> runs;
  GeneratorOptions options;
  bool onHost;
  std::unique_ptr<Draft> draft = {};

  std::vector<int64_t> history = {}; // all tokens of the state, and the latest, which the model has yet to read
  std::optional<int64_t> unread = {};

  /// Over a session that is there, or a new one.
  static Result<std::unique_ptr<Runs>> makeRuns(const std::shared_ptr<Model> &model, const GeneratorOptions &options,
                                                std::unique_ptr<Session> session);
  static Result<std::unique_ptr<Impl>> make(const std::shared_ptr<Model> &model, const GeneratorOptions &options,
                                            std::unique_ptr<Session> session);
  Status addDraft();
  void begin();
  Status check(const GenerateRequest &request) const;
  Result<GenerateResult> generate(const GenerateRequest &request);
  Status follow(const GenerateRequest &request, int64_t token, const OnToken &more, GenerateResult &result);
  Status followGuessing(const GenerateRequest &request, int64_t token, const OnToken &more, Sampler &sampler,
                        GenerateResult &result);
};

namespace {
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
} // namespace

/// Nothing in the state.
void Generator::Impl::begin() {
  history.clear();
  unread.reset();
  runs->begin();
}

/// The tokens behind the first one, which the model chooses. Each run reads what the one before has chosen where that
/// lies, so that only the host waits for it: with `ahead`, when the device has the next run already.
Status Generator::Impl::follow(const GenerateRequest &request, int64_t token, const OnToken &more,
                               GenerateResult &result) {
  Sampler none({}); // tokens need none
  size_t ahead = options.inPlace && runs->goesBack() && request.ahead.value_or(!onHost) ? 1 : 0;
  std::deque<Said> open; // of runs that have not been looked at
  for (uint64_t made = 1; more(token);) {
    for (; open.size() <= ahead && made < request.maxNew; ++made, ++result.runs) {
      KT_RETURN_IF_ERROR(made == 1 ? runs->run(std::span(&token, 1), made) : runs->goOn(made));
      open.push_back(runs->takeSaid());
    }
    auto next = runs->token(open.front(), open.front().rows - 1, none);
    if (!next.ok())
      return std::move(next).status();
    token = *next;
    open.pop_front();
  }
  if (open.empty())
    return {};
  // What was one too many has read the last token, of which nothing has to be known, nor what went wrong in it.
  KT_RETURN_IF_ERROR(runs->forget(runs->held() - open.size()));
  result.runs -= open.size();
  (void)runs->get().wait();
  return {};
}

/// The same where each token has to be known before the next run: those that are guessed, and those that are chosen
/// here from logits.
Status Generator::Impl::followGuessing(const GenerateRequest &request, int64_t token, const OnToken &more,
                                       Sampler &sampler, GenerateResult &result) {
  Lookup lookup(request.lookup);
  Proposer &proposer = draft ? static_cast<Proposer &>(*draft) : lookup;
  while (more(token)) {
    std::vector<int64_t> tokens = {token};
    // One token comes of what is read for sure; guesses may make it more, up to the last that is wanted.
    if (uint64_t most = std::min<uint64_t>(request.guesses, request.maxNew - result.tokens.size() - 1)) {
      auto guesses = proposer.propose(history, most);
      if (!guesses.ok())
        return std::move(guesses).status();
      tokens.insert(tokens.end(), guesses->begin(), guesses->end());
      result.guessed += guesses->size();
    }
    uint64_t known = runs->held();
    KT_RETURN_IF_ERROR(runs->run(tokens, result.tokens.size()));
    ++result.runs;
    Said said = runs->takeSaid();
    if (said.rows < tokens.size() && tokens.size() > 1)
      return Status::usage("guesses need logits for all tokens, but the model gives them for the last one only");
    size_t right = 0;
    bool goesOn = true;
    while (goesOn) {
      auto next = runs->token(said, tokens.size() == 1 ? said.rows - 1 : right, sampler);
      if (!next.ok())
        return std::move(next).status();
      token = *next;
      if (right + 1 >= tokens.size() || token != tokens[right + 1])
        break;
      ++right, ++result.accepted;
      goesOn = more(token);
    }
    if (right + 1 < tokens.size() || !goesOn)
      KT_RETURN_IF_ERROR(runs->forget(known + right + (goesOn ? 1 : 0)));
    if (!goesOn)
      break;
  }
  return {};
}

/// Whether the request makes sense, before anything of it happens.
Status Generator::Impl::check(const GenerateRequest &request) const {
  if (request.prompt.empty() && !unread)
    return Status::usage("the prompt has no tokens");
  for (size_t i = 0; i < request.prompt.size(); ++i)
    if (request.prompt[i] < 0 || static_cast<uint64_t>(request.prompt[i]) >= runs->vocabulary())
      return Status::usage("token " + std::to_string(i) + " of the prompt is " + std::to_string(request.prompt[i]) +
                           ", expected 0 to " + std::to_string(runs->vocabulary() - 1));
  const Sampling &sampling = request.sampling;
  if (!std::isfinite(sampling.temperature) || sampling.temperature < 0)
    return Status::usage("the temperature is " + std::to_string(sampling.temperature) + ", expected at least 0");
  if (!(sampling.topP >= 0 && sampling.topP <= 1))
    return Status::usage("top-p is " + std::to_string(sampling.topP) + ", expected 0 to 1");
  if (request.guesses && (request.sampling.temperature > 0 || !options.inPlace))
    return Status::usage("guesses need a temperature of 0 and caches in place");
  if (request.guesses && !runs->goesBack())
    return Status::usage("guesses need a state that can go back to what it was before them, but each run replaces "
                         "a part of this model's");
  // The last of the new tokens is not read.
  uint64_t prompt = request.prompt.size() + (unread ? 1 : 0), room = options.capacity - runs->held();
  if (options.inPlace && (prompt > room || (request.maxNew && request.maxNew - 1 > room - prompt)))
    return Status::usage("the prompt of " + std::to_string(prompt) + " tokens and " + std::to_string(request.maxNew) +
                         " new ones do not fit: there is room for " + std::to_string(room) + " of " +
                         std::to_string(options.capacity));
  return {};
}

Result<GenerateResult> Generator::Impl::generate(const GenerateRequest &request) {
  Clock::time_point start = Clock::now();
  KT_RETURN_IF_ERROR(check(request));
  std::vector<int64_t> prompt;
  if (unread)
    prompt.push_back(*unread);
  prompt.insert(prompt.end(), request.prompt.begin(), request.prompt.end());
  uint64_t before = runs->held(), needs = before + prompt.size() + (request.maxNew ? request.maxNew - 1 : 0);
  KT_RETURN_IF_ERROR(runs->prepare(request.sampling, request.guesses > 0, needs));
  if (draft && request.guesses)
    KT_RETURN_IF_ERROR(draft->prepare(needs, request.piece).in("the draft"));
  std::vector<int64_t> historyBefore = history;
  std::optional<int64_t> unreadBefore = unread;
  GenerateResult result;
  Sampler sampler(request.sampling);
  auto more = [&](int64_t token) {
    if (result.tokens.empty())
      result.secondsToFirst = since(start);
    result.tokens.push_back(token);
    history.push_back(token);
    unread = token;
    bool wanted = !request.onToken || request.onToken(token);
    return wanted && result.tokens.size() < request.maxNew &&
           std::find(request.stop.begin(), request.stop.end(), token) == request.stop.end();
  };
  auto all = [&]() -> Status {
    KT_RETURN_IF_ERROR(runs->readAll(prompt, request.piece));
    history.insert(history.end(), request.prompt.begin(), request.prompt.end());
    unread.reset();
    if (request.maxNew == 0)
      return runs->get().wait();
    Said said = runs->takeSaid();
    auto token = runs->token(said, said.rows - 1, sampler);
    if (!token.ok())
      return std::move(token).status();
    KT_RETURN_IF_ERROR(runs->choosesItself() && !request.guesses
                           ? follow(request, *token, more, result)
                           : followGuessing(request, *token, more, sampler, result));
    return runs->get().wait(); // what runs that were only looked at have met is known now
  };
  Status status = all();
  runs->endCancel();
  if (!status.ok()) {
    (void)runs->get().wait(); // nothing goes on in what the next request fills
    // As it was, as far as caches that are carried along, and states that do not grow, can be.
    KT_RETURN_IF_ERROR(runs->forget(runs->onlyGrows() ? before : 0));
    bool asBefore = runs->held() == before;
    history = asBefore ? std::move(historyBefore) : std::vector<int64_t>();
    unread = asBefore ? unreadBefore : std::nullopt;
    return status;
  }
  result.seconds = since(start);
  return result;
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
    auto fresh = model->createSession({.capacity = options.inPlace ? options.capacity : 0});
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
    (*other)->runs->goOnFrom(impl->runs->held());
    (*other)->history = impl->history;
    (*other)->unread = impl->unread;
    return std::unique_ptr<Generator>(new Generator(*std::move(other)));
  });
}

Result<GenerateResult> Generator::generate(const GenerateRequest &request) {
  return guarded([&] { return impl->generate(request); });
}

uint64_t Generator::held() const { return impl->runs->held(); }
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
    impl->history.resize(length);
    impl->unread.reset();
    return {};
  });
}

Session &Generator::session() { return impl->runs->get(); }
const Model &Generator::model() const { return *impl->runs->of(); }

} // namespace kt
