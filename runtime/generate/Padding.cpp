//===- Padding.cpp - whether prompts may be padded ------------------------===//

#include "runtime/generate/Padding.h"

#include <algorithm>
#include <cmath>

namespace kt::generate {

namespace {

/// The logits behind a prompt that begins with so many pads, then those behind its first token once more.
Result<std::vector<float>> logitsBehind(Runs &runs, std::span<const int64_t> prompt, uint64_t pads) {
  KT_RETURN_IF_ERROR(runs.forget(0));
  // Neither the likeliest token nor one that is drawn, so that the model does not choose.
  KT_RETURN_IF_ERROR(runs.prepare({pads}, {.temperature = 1}, /*guessed=*/true, kPaddingRoom));
  std::vector<int64_t> tokens(pads);
  tokens.insert(tokens.end(), prompt.begin(), prompt.end());
  std::vector<float> logits;
  for (std::span<const int64_t> read : {std::span<const int64_t>(tokens), prompt.first(1)}) {
    KT_RETURN_IF_ERROR(runs.run(read, 0));
    auto behind = runs.lastLogits(runs.takeSaid());
    if (!behind.ok())
      return behind;
    logits.insert(logits.end(), behind->begin(), behind->end());
  }
  return logits;
}

} // namespace

bool mayBePadded(Runs &runs, std::span<const int64_t> prompt) {
  if (!runs.hasMask())
    return false;
  prompt = prompt.first(std::min<size_t>(prompt.size(), 3));
  auto plain = logitsBehind(runs, prompt, 0), padded = logitsBehind(runs, prompt, 2);
  if (!plain.ok() || !padded.ok() || plain->size() != padded->size())
    return false;
  // What rounding does to halves; pads that are seen, or counted, do more.
  auto [least, most] = std::minmax_element(plain->begin(), plain->end());
  float near = (*most - *least) / 64;
  return std::equal(plain->begin(), plain->end(), padded->begin(),
                    [&](float a, float b) { return std::abs(a - b) <= near; });
}

} // namespace kt::generate
