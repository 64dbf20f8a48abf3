//===- Proposer.h - guesses at what a language model will say -------------===//
//
// A model reads several tokens in about the time that it takes for one. So whoever guesses well what it will say saves
// runs: the model reads the guesses, and those that it would have said itself stand.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_GENERATE_PROPOSER_H
#define KT_RUNTIME_GENERATE_PROPOSER_H

#include "runtime/generate/Runs.h"

namespace kt::generate {

class Proposer {
public:
  virtual ~Proposer() = default;
  /// At most `most` tokens that may follow `history`, which is all tokens so far, one at least; none where there is no
  /// idea of any.
  virtual Result<std::vector<int64_t>> propose(std::span<const int64_t> history, size_t most) = 0;
};

/// What followed the latest tokens when they were there before, the last time.
class Lookup : public Proposer {
public:
  /// So many tokens have to be the same.
  explicit Lookup(size_t count) : count(count) {}
  Result<std::vector<int64_t>> propose(std::span<const int64_t> history, size_t most) override;

private:
  size_t count;
};

/// What a smaller model finds likeliest.
class Draft : public Proposer {
public:
  explicit Draft(std::unique_ptr<Runs> runs) : runs(std::move(runs)) {}
  /// Before a request, which has at most `room` tokens with those before it. At most `piece` of them are read in one
  /// run; 0: all.
  Status prepare(uint64_t room, uint64_t piece);
  /// Reads what is new, behind what the state has in common with it.
  Result<std::vector<int64_t>> propose(std::span<const int64_t> history, size_t most) override;

private:
  Result<std::vector<int64_t>> tryPropose(std::span<const int64_t> history, size_t most);

  std::unique_ptr<Runs> runs;
  std::vector<int64_t> read; // the tokens of the state
  uint64_t piece = 0;
};

} // namespace kt::generate

#endif
