//===- Writer.h - model to .ktm file --------------------------------------===//
//
// Writes an artifact. The same model gives the same bytes.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_ARTIFACT_WRITER_H
#define KT_RUNTIME_ARTIFACT_WRITER_H

#include "runtime/artifact/Model.h"
#include "runtime/include/kt/Status.h"

#include <functional>

namespace kt::artifact {

/// Writes `model` to `path`, which keeps its old content until the new one is whole. Weights with equal bytes are
/// stored once. Those with a source are never held as a whole. Fails, with the verifier's message, on a model that a
/// reader would reject. `beforeIsPlaced` is asked when all bytes are written; when it fails, they are given up.
Status write(const Model &model, const std::string &path, const std::function<Status()> &beforeIsPlaced = {});

} // namespace kt::artifact

#endif
