//===- Generator.cpp - language models, token by token --------------------===//

#include "kt/Generate.h"
#include "runtime/api/Internal.h"
#include "runtime/generate/Runs.h"

#include <algorithm>
#include <chrono>
#include <deque>

namespace kt {

using namespace generate;
using Clock = std::chrono::steady_clock;
/// Takes a token; answers whether another is wanted.
using OnToken = std::function<bool(int64_t)>;

struct Generator::Impl {
  Runs runs;
  GeneratorOptions options;
  bool onHost;

  std::vector<int64_t> history = {}; // all tokens of the state, and the latest, which the model has yet to read
  std::optional<int64_t> unread = {};

  void begin();
  Result<GenerateResult> generate(const GenerateRequest &request);
  Status follow(const GenerateRequest &request, int64_t token, const OnToken &more, GenerateResult &result);
  Status followGuessing(const GenerateRequest &request, int64_t token, const OnToken &more, Sampler &sampler,
                        GenerateResult &result);
  std::vector<int64_t> guess(const GenerateRequest &request, uint64_t most) const;
};

namespace {
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
} // namespace

/// Nothing in the state.
void Generator::Impl::begin() {
  history.clear();
  unread.reset();
  runs.begin();
}

/// What followed the latest tokens when they were there before, the last time. Where that comes to the latest ones, it
/// goes on as they do: what repeats is guessed to repeat, however short it is.
std::vector<int64_t> Generator::Impl::guess(const GenerateRequest &request, uint64_t most) const {
  size_t n = request.lookup, count = history.size();
  if (n == 0 || count <= n)
    return {};
  for (size_t at = count - n; at-- > 0;)
    if (std::equal(history.begin() + static_cast<ptrdiff_t>(at), history.begin() + static_cast<ptrdiff_t>(at + n),
                   history.end() - static_cast<ptrdiff_t>(n))) {
      std::vector<int64_t> guesses(std::min<uint64_t>(most, request.guesses));
      for (size_t i = 0; i < guesses.size(); ++i)
        guesses[i] = at + n + i < count ? history[at + n + i] : guesses[at + n + i - count];
      return guesses;
    }
  return {};
}

/// The tokens behind the first one, which the model chooses. Each run reads what the one before has chosen where that
/// lies, so that only the host waits for it: with `ahead`, when the device has the next run already.
Status Generator::Impl::follow(const GenerateRequest &request, int64_t token, const OnToken &more,
                               GenerateResult &result) {
  Sampler none({}); // tokens need none
  size_t ahead = options.inPlace && runs.goesBack() && request.ahead.value_or(!onHost) ? 1 : 0;
  std::deque<Said> open; // of runs that have not been looked at
  for (uint64_t made = 1; more(token);) {
    for (; open.size() <= ahead && made < request.maxNew; ++made, ++result.runs) {
      KT_RETURN_IF_ERROR(made == 1 ? runs.run(std::span(&token, 1), made) : runs.goOn(made));
      open.push_back(runs.takeSaid());
    }
    auto next = runs.token(open.front(), open.front().rows - 1, none);
    if (!next.ok())
      return std::move(next).status();
    token = *next;
    open.pop_front();
  }
  if (open.empty())
    return {};
  // What was one too many has read the last token, of which nothing has to be known, nor what went wrong in it.
  KT_RETURN_IF_ERROR(runs.forget(runs.held() - open.size()));
  result.runs -= open.size();
  (void)runs.get().wait();
  return {};
}

/// The same where each token has to be known before the next run: those that are guessed, and those that are chosen
/// here from logits.
Status Generator::Impl::followGuessing(const GenerateRequest &request, int64_t token, const OnToken &more,
                                       Sampler &sampler, GenerateResult &result) {
  while (more(token)) {
    std::vector<int64_t> tokens = {token};
    // One token comes of what is read for sure; guesses may make it more, up to the last that is wanted.
    for (int64_t guessed :
         request.guesses ? guess(request, request.maxNew - result.tokens.size() - 1) : std::vector<int64_t>())
      tokens.push_back(guessed);
    result.guessed += tokens.size() - 1;
    uint64_t known = runs.held();
    KT_RETURN_IF_ERROR(runs.run(tokens, result.tokens.size()));
    ++result.runs;
    Said said = runs.takeSaid();
    if (said.rows < tokens.size() && tokens.size() > 1)
      return Status::usage("guesses need logits for all tokens, but the model gives them for the last one only");
    size_t right = 0;
    bool goesOn = true;
    while (goesOn) {
      auto next = runs.token(said, tokens.size() == 1 ? said.rows - 1 : right, sampler);
      if (!next.ok())
        return std::move(next).status();
      token = *next;
      if (right + 1 >= tokens.size() || token != tokens[right + 1])
        break;
      ++right, ++result.accepted;
      goesOn = more(token);
    }
    if (right + 1 < tokens.size() || !goesOn)
      KT_RETURN_IF_ERROR(runs.forget(known + right + (goesOn ? 1 : 0)));
    if (!goesOn)
      break;
  }
  return {};
}

Result<GenerateResult> Generator::Impl::generate(const GenerateRequest &request) {
  Clock::time_point start = Clock::now();
  if (request.prompt.empty() && !unread)
    return Status::usage("the prompt has no tokens");
  if (request.guesses && (request.sampling.temperature > 0 || !options.inPlace))
    return Status::usage("guesses need a temperature of 0 and caches in place");
  if (request.guesses && !runs.goesBack())
    return Status::usage("guesses need a state that can go back to what it was before them, but each run replaces "
                         "a part of this model's");
  std::vector<int64_t> prompt;
  if (unread)
    prompt.push_back(*unread);
  prompt.insert(prompt.end(), request.prompt.begin(), request.prompt.end());
  uint64_t before = runs.held();
  // The last of the new tokens is not read.
  uint64_t needs = prompt.size() + (request.maxNew ? request.maxNew - 1 : 0);
  if (options.inPlace && needs > options.capacity - before)
    return Status::usage("the prompt of " + std::to_string(prompt.size()) + " tokens and " +
                         std::to_string(request.maxNew) + " new ones do not fit: there is room for " +
                         std::to_string(options.capacity - before) + " of " + std::to_string(options.capacity));
  KT_RETURN_IF_ERROR(runs.prepare(request, before + needs));
  std::vector<int64_t> historyBefore = history;
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
    size_t piece = request.piece ? request.piece : prompt.size();
    for (size_t at = 0; at < prompt.size(); at += piece)
      KT_RETURN_IF_ERROR(runs.run(std::span(prompt).subspan(at, std::min(piece, prompt.size() - at)), 0));
    history.insert(history.end(), request.prompt.begin(), request.prompt.end());
    unread.reset();
    if (request.maxNew == 0)
      return runs.get().wait();
    Said said = runs.takeSaid();
    auto token = runs.token(said, said.rows - 1, sampler);
    if (!token.ok())
      return std::move(token).status();
    KT_RETURN_IF_ERROR(runs.choosesItself() && !request.guesses
                           ? follow(request, *token, more, result)
                           : followGuessing(request, *token, more, sampler, result));
    return runs.get().wait(); // what runs that were only looked at have met is known now
  };
  if (Status status = all(); !status.ok()) {
    (void)runs.get().wait(); // nothing goes on in what the next request fills
    // As it was, as far as caches that are carried along, and states that do not grow, can be.
    KT_RETURN_IF_ERROR(runs.forget(runs.onlyGrows() ? before : 0));
    history = std::move(historyBefore);
    unread = history.empty() ? std::nullopt : std::optional(history.back());
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

Result<std::unique_ptr<Generator>> Generator::create(std::shared_ptr<Model> model, const GeneratorOptions &options) {
  return guarded([&]() -> Result<std::unique_ptr<Generator>> {
    auto roles = findRoles(*model, options.ports);
    if (!roles.ok())
      return std::move(roles).status();
    if (roles->states.empty())
      return Status::usage("the model has no caches: no output continues an input");
    auto session = model->createSession({.capacity = options.inPlace ? options.capacity : 0});
    if (!session.ok())
      return std::move(session).status();
    exec::Program &program = *model->impl->program;
    std::unique_ptr<Impl> impl(
        new Impl{Runs(model, *std::move(roles), options, *std::move(session), *program.device, *program.account),
                 options, program.device->isHost()});
    return std::unique_ptr<Generator>(new Generator(std::move(impl)));
  });
}

Result<GenerateResult> Generator::generate(const GenerateRequest &request) {
  return guarded([&] { return impl->generate(request); });
}

uint64_t Generator::held() const { return impl->runs.held(); }

void Generator::reset() {
  (void)impl->runs.forget(0); // the first none of what is held are always there
  impl->begin();
}

Session &Generator::session() { return impl->runs.get(); }

} // namespace kt
