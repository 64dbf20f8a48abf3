//===- Reader.h - .ktm file to model --------------------------------------===//
//
// Maps an artifact, verifies all of it, and gives the model in memory.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_ARTIFACT_READER_H
#define KT_RUNTIME_ARTIFACT_READER_H

#include "runtime/artifact/Model.h"
#include "runtime/include/kt/Status.h"

namespace kt::artifact {

/// A read-only mapping of a whole file; the owner of the bytes that weights point to.
class MappedFile {
public:
  static Result<std::unique_ptr<MappedFile>> open(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte *>(address), size}; }

private:
  MappedFile(void *address, size_t size) : address(address), size(size) {}
  void *address;
  size_t size;
};

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
