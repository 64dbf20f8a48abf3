//===- Proposer.cpp - guesses at what a language model will say -----------===//

#include "runtime/generate/Proposer.h"

#include <algorithm>

namespace kt::generate {

Result<std::vector<int64_t>> Lookup::propose(std::span<const int64_t> history, size_t most) {
  if (count == 0 || history.size() <= count)
    return std::vector<int64_t>();
  auto latest = history.last(count);
  for (size_t at = history.size() - count; at-- > 0;)
    if (std::equal(latest.begin(), latest.end(), history.begin() + static_cast<ptrdiff_t>(at))) {
      // Where that comes to the latest ones, it goes on as they do: a copy that overlaps, so that periods may be short.
      auto followed = history.subspan(at + count);
      std::vector<int64_t> guesses(most);
      for (size_t i = 0; i < most; ++i)
        guesses[i] = i < followed.size() ? followed[i] : guesses[i - followed.size()];
      return guesses;
    }
  return std::vector<int64_t>();
}

Status Draft::prepare(uint64_t room, uint64_t most) {
  piece = most;
  return runs->prepare({0}, {}, /*guessed=*/false, room);
}

Result<std::vector<int64_t>> Draft::propose(std::span<const int64_t> history, size_t most) {
  auto proposed = tryPropose(history, most);
  if (proposed.ok())
    return proposed;
  // What the state holds is not known now.
  (void)runs->get().wait();
  (void)runs->forget(0);
  read.clear();
  return std::move(proposed).status().in("the draft");
}

Result<std::vector<int64_t>> Draft::tryPropose(std::span<const int64_t> history, size_t most) {
  auto differ = std::mismatch(read.begin(), read.end(), history.begin(), history.end()).first;
  // The latest token is read in any case: what comes behind it is wanted.
  size_t same = std::min<size_t>(static_cast<size_t>(differ - read.begin()), history.size() - 1);
  KT_RETURN_IF_ERROR(runs->forget(same));
  read.resize(same);
  std::vector<int64_t> next(history.begin() + static_cast<ptrdiff_t>(same), history.end()), proposed;
  Sampler likeliest({});
  while (proposed.size() < most) {
    KT_RETURN_IF_ERROR(runs->readAll(next, piece));
    read.insert(read.end(), next.begin(), next.end());
    Said said = runs->takeSaid();
    auto token = runs->token(said, 0, said.rows - 1, likeliest);
    if (!token.ok())
      return std::move(token).status();
    proposed.push_back(*token);
    next = {*token};
  }
  return proposed;
}

} // namespace kt::generate
