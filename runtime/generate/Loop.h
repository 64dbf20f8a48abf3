//===- Loop.h - one request for tokens ------------------------------------===//
//
// All streams move on together: each run reads equally many tokens of every stream, as many as are known of the one of
// which least is known. While prompts of different lengths are read, that is a token of the longer prompts beside one
// that has just been generated behind a shorter one, so there is no padding, and no model has to know of any. What a
// stream is given behind its end means nothing; the state goes back to before that when all have ended.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_GENERATE_LOOP_H
#define KT_RUNTIME_GENERATE_LOOP_H

#include "runtime/generate/Proposer.h"

#include <chrono>

namespace kt::generate {

/// All tokens so far of a stream: first those that the state has, then those that the model has yet to read.
using Tokens = std::vector<int64_t>;

class Loop {
public:
  /// `streams` have the prompts behind them. `goesBack`: whether the state can be what it was some tokens before.
  Loop(const GenerateRequest &request, Runs &runs, std::vector<Tokens> &streams, Proposer *draft, bool goesBack,
       bool ahead);
  Status run();
  /// The highest number of what a run draws.
  uint64_t mostSteps() const { return later + spread; }

  GenerateResult result;

private:
  struct Open {
    Sampler sampler;
    bool ended = false;
  };

  bool goesOn() const;
  size_t unread(size_t stream) const { return streams[stream].size() - runs.held(); }
  bool eachHasOneToRead() const;
  std::vector<int64_t> next(size_t count) const;
  uint64_t step(bool firstDraws);
  void take(size_t stream, int64_t token);
  Status takeAll(const Said &said, uint64_t held);
  Status readOn();
  Status follow();
  Status guess();
  Status settle();

  const GenerateRequest &request;
  Runs &runs;
  std::vector<Tokens> &streams;
  Lookup lookup;
  Proposer &proposer;
  const bool goesBack, ahead;
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  std::vector<Open> open;
  uint64_t spread = 0, later = 0, drawn = 0, early = 0;
};

} // namespace kt::generate

#endif
