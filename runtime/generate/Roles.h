//===- Roles.h - what the ports of a language model are for ---------------===//

#ifndef KT_RUNTIME_GENERATE_ROLES_H
#define KT_RUNTIME_GENERATE_ROLES_H

#include "kt/Generate.h"

#include <optional>

namespace kt::generate {

/// Inputs that say how a token is drawn.
struct SamplingRoles {
  size_t temperature = 0, topK = 0, topP = 0, seed = 0, step = 0;
};

/// Numbers among the model's inputs and outputs.
struct Roles {
  size_t ids = 0, logits = 0;
  std::optional<size_t> mask, positions;
  /// Where the model chooses tokens itself (`ktc compile --sample`), of the type that `ids` has.
  std::optional<size_t> next;
  std::optional<SamplingRoles> sampling;
  /// Inputs and the outputs that go on where they end.
  std::vector<std::pair<size_t, size_t>> states;
};

/// By the given names, else by usual ones. Code::usage where one is missing, where a given one is no port, and where an
/// input is left that is none of these.
Result<Roles> findRoles(const Model &model, const GenerationPorts &ports);

} // namespace kt::generate

#endif
