//===- Reader.h - .ktm file to model --------------------------------------===//
//
// Maps an artifact, verifies all of it, and gives the model in memory.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_ARTIFACT_READER_H
#define KT_RUNTIME_ARTIFACT_READER_H

#include "runtime/artifact/Model.h"
#include "runtime/include/kt/Status.h"
#include "runtime/os/File.h"

namespace kt::artifact {

using os::MappedFile;

/// A verified model together with the mapping that its weights point into.
struct LoadedModel {
  Model model;
  std::unique_ptr<MappedFile> file;
};

struct ReadOptions {
  /// Whether the digests of weights and code are checked; the header and the metadata always are.
  bool segmentDigests = true;
};

/// Fails with Code::failed when the file cannot be read and with Code::rejected when it is not a sound artifact.
Result<std::unique_ptr<LoadedModel>> read(const std::string &path, const ReadOptions &options = {});

/// The same from memory, which has to outlive the model's use; `file` stays empty.
Result<std::unique_ptr<LoadedModel>> readBytes(std::span<const std::byte> bytes, const ReadOptions &options = {});

} // namespace kt::artifact

#endif
