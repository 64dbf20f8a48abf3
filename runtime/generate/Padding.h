//===- Padding.h - whether prompts may be padded --------------------------===//
//
// One run reads prompts of different lengths where the shorter ones begin with pads, which the mask hides and which
// positions do not count. No model says whether it heeds both: those that transformers exports do, GroupQueryAttention
// takes the number of a mask's ones for a length. So it is tried.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_GENERATE_PADDING_H
#define KT_RUNTIME_GENERATE_PADDING_H

#include "runtime/generate/Runs.h"

namespace kt::generate {

/// Tokens that there has to be room for in runs that try it.
inline constexpr uint64_t kPaddingRoom = 8;

/// Whether the model says the same behind the first few tokens of a prompt with and without pads, and behind one more.
/// `runs` hold nothing, and nothing of use afterwards.
bool mayBePadded(Runs &runs, std::span<const int64_t> prompt);

} // namespace kt::generate

#endif
