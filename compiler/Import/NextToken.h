//===- NextToken.h - what a language model is given behind its logits -----===//

#ifndef KT_COMPILER_IMPORT_NEXTTOKEN_H
#define KT_COMPILER_IMPORT_NEXTTOKEN_H

namespace kt::import {

/// How an output `next_token` is chosen from the logits. `greedy`: the likeliest token behind each, [batch, tokens].
/// `drawn`: one behind the last, [batch, 1], at random as inputs `sampling.*` say.
enum class NextToken { none, greedy, drawn };

} // namespace kt::import

#endif
