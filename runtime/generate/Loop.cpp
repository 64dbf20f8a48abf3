//===- Loop.cpp - one request for tokens ----------------------------------===//

#include "runtime/generate/Loop.h"

#include <algorithm>
#include <deque>

namespace kt::generate {

namespace {
double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
} // namespace

Loop::Loop(const GenerateRequest &request, Runs &runs, std::vector<Tokens> &streams, Proposer *draft, bool goesBack,
           bool ahead)
    : request(request), runs(runs), streams(streams), lookup(request.lookup), proposer(draft ? *draft : lookup),
      goesBack(goesBack), ahead(ahead) {
  size_t least = SIZE_MAX, most = 0;
  for (size_t i = 0; i < streams.size(); ++i) {
    open.push_back({Sampler(request.sampling, i), request.maxNew == 0});
    least = std::min(least, streams[i].size()), most = std::max(most, streams[i].size());
  }
  result.tokens.resize(streams.size());
  spread = most - least, later = spread + request.maxNew;
}

bool Loop::goesOn() const {
  return std::any_of(open.begin(), open.end(), [](const Open &o) { return !o.ended; });
}

/// Whether the prompts have been read, so that what is read from now on is what was generated.
bool Loop::eachHasOneToRead() const {
  for (size_t i = 0; i < streams.size(); ++i)
    if (!open[i].ended && (result.tokens[i].empty() || unread(i) != 1))
      return false;
  return true;
}

/// So many tokens of each stream, one stream's behind another's. One that has ended may have fewer.
std::vector<int64_t> Loop::next(size_t count) const {
  std::vector<int64_t> tokens;
  for (const Tokens &stream : streams)
    for (size_t at = runs.held(); at < runs.held() + count; ++at)
      tokens.push_back(at < stream.size() ? stream[at] : 0);
  return tokens;
}

/// The number of what the next run draws. The first stream's count from 0 on, as when it is alone; what others draw
/// before it does has the numbers behind all those.
uint64_t Loop::step(bool firstDraws) {
  return firstDraws || !result.tokens.front().empty() ? drawn++ : later + early++;
}

void Loop::take(size_t stream, int64_t token) {
  if (result.secondsToFirst == 0)
    result.secondsToFirst = since(start);
  std::vector<int64_t> &made = result.tokens[stream];
  made.push_back(token);
  streams[stream].push_back(token);
  bool wanted = !request.onToken || request.onToken(stream, token);
  open[stream].ended = !wanted || made.size() == request.maxNew ||
                       std::find(request.stop.begin(), request.stop.end(), token) != request.stop.end();
}

/// What comes behind the last token of each stream that goes on and has been read to its end.
Status Loop::takeAll(const Said &said, uint64_t held) {
  for (size_t i = 0; i < streams.size(); ++i) {
    if (open[i].ended || streams[i].size() != held)
      continue;
    auto token = runs.token(said, i, said.rows - 1, open[i].sampler);
    if (!token.ok())
      return std::move(token).status();
    take(i, *token);
  }
  return {};
}

/// One run. Where all of a stream is known now that the model has read it, it goes on by a token.
Status Loop::readOn() {
  size_t count = SIZE_MAX;
  for (size_t i = 0; i < streams.size(); ++i)
    if (!open[i].ended || request.maxNew == 0)
      count = std::min(count, unread(i));
  if (request.piece)
    count = std::min<size_t>(count, request.piece);
  bool says = false, wasFirst = result.count() == 0;
  for (size_t i = 0; i < streams.size(); ++i)
    says |= !open[i].ended && unread(i) == count;
  KT_RETURN_IF_ERROR(runs.run(next(count), says ? step(unread(0) == count) : 0));
  Said said = runs.takeSaid();
  if (!says)
    return {};
  KT_RETURN_IF_ERROR(takeAll(said, runs.held()));
  if (wasFirst)
    result.first = result.count();
  else
    ++result.runs;
  return {};
}

/// The tokens behind the prompts, which the model chooses. Each run reads what the one before has chosen where that
/// lies, so that only the host waits for it: with `ahead`, when the device has the next run already.
Status Loop::follow() {
  uint64_t most = 0;
  for (size_t i = 0; i < streams.size(); ++i)
    most = std::max(most, open[i].ended ? 0 : request.maxNew - result.tokens[i].size());
  std::deque<Said> underWay; // runs that have not been looked at
  for (uint64_t begun = 0; goesOn();) {
    for (; underWay.size() <= (ahead ? 1 : 0) && begun < most; ++begun, ++result.runs) {
      KT_RETURN_IF_ERROR(begun == 0 ? runs.run(next(1), step(false)) : runs.goOn(step(false)));
      underWay.push_back(runs.takeSaid());
    }
    KT_RETURN_IF_ERROR(takeAll(underWay.front(), runs.held() - underWay.size() + 1));
    underWay.pop_front();
  }
  if (underWay.empty())
    return {};
  // What was one too many has read the last tokens, of which nothing has to be known, nor what went wrong in it.
  result.runs -= underWay.size();
  KT_RETURN_IF_ERROR(settle());
  (void)runs.get().wait();
  return {};
}

/// The tokens behind one stream's prompt, several at once where guesses are right.
Status Loop::guess() {
  Tokens &stream = streams.front();
  Open &one = open.front();
  while (!one.ended) {
    std::vector<int64_t> tokens = {stream.back()};
    // One token comes of what is read for sure; guesses may make it more, up to the last that is wanted.
    uint64_t wanted = request.maxNew - result.tokens.front().size();
    if (uint64_t most = std::min<uint64_t>(request.guesses, wanted - 1)) {
      auto guesses = proposer.propose(stream, most);
      if (!guesses.ok())
        return std::move(guesses).status();
      tokens.insert(tokens.end(), guesses->begin(), guesses->end());
      result.guessed += guesses->size();
    }
    KT_RETURN_IF_ERROR(runs.run(tokens, result.tokens.front().size()));
    ++result.runs;
    Said said = runs.takeSaid();
    if (said.rows < tokens.size() && tokens.size() > 1)
      return Status::usage("guesses need logits for all tokens, but the model gives them for the last one only");
    for (size_t right = 0;; ++right) {
      auto token = runs.token(said, 0, tokens.size() == 1 ? said.rows - 1 : right, one.sampler);
      if (!token.ok())
        return std::move(token).status();
      bool guessed = right + 1 < tokens.size() && *token == tokens[right + 1];
      result.accepted += guessed ? 1 : 0;
      take(0, *token);
      if (!guessed || one.ended)
        break;
    }
    KT_RETURN_IF_ERROR(settle());
  }
  return {};
}

/// Nothing stays in the state that is behind the end of a stream, whose last token has yet to be read.
Status Loop::settle() {
  uint64_t held = runs.held();
  for (size_t i = 0; i < streams.size(); ++i)
    held = std::min<uint64_t>(held, streams[i].size() - (result.tokens[i].empty() ? 0 : 1));
  return held == runs.held() ? Status() : runs.forget(goesBack ? held : 0);
}

Status Loop::run() {
  if (request.maxNew == 0)
    while (std::all_of(streams.begin(), streams.end(), [&](const Tokens &s) { return s.size() > runs.held(); }))
      KT_RETURN_IF_ERROR(readOn());
  while (goesOn()) {
    if (!eachHasOneToRead())
      KT_RETURN_IF_ERROR(readOn());
    else if (request.guesses)
      KT_RETURN_IF_ERROR(guess());
    else
      KT_RETURN_IF_ERROR(runs.choosesItself() ? follow() : readOn());
  }
  KT_RETURN_IF_ERROR(settle());
  KT_RETURN_IF_ERROR(runs.get().wait()); // what runs that were only looked at have met is known now
  result.seconds = since(start);
  return {};
}

} // namespace kt::generate
