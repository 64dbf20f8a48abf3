//===- Container.h - the frame of a .ktm file -----------------------------===//
//
// Header, metadata and page-aligned segments, and the digests that cover every byte of them. Knows nothing of what they
// mean.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_ARTIFACT_CONTAINER_H
#define KT_RUNTIME_ARTIFACT_CONTAINER_H

#include "runtime/include/kt/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace kt::artifact::fb {
struct Model;
}

namespace kt::artifact {

constexpr uint64_t kPage = 4096;
/// What is written; files since `kOldestVersion` are read as they are. Version 6 has clusters of blocks.
constexpr uint32_t kVersion = 6, kOldestVersion = 5;
/// Weights below a page share segments, each at a multiple of this.
constexpr uint64_t kSmallAlignment = 64;
/// If and Loop may nest this deep.
constexpr uint32_t kMaxNesting = 32;
/// A control character first and line ends inside: a transfer that treats the file as text is found at once.
constexpr unsigned char kMagic[8] = {0x89, 'K', 'T', 'M', '\r', '\n', 0x1a, '\n'};

struct Digest {
  uint64_t low = 0, high = 0;
  bool operator==(const Digest &) const = default;
};
/// XXH3-128.
Digest digestOf(std::span<const std::byte> bytes);

/// The same of bytes that come in pieces.
class Digester {
public:
  Digester();
  ~Digester();
  Digester(const Digester &) = delete;
  Digester &operator=(const Digester &) = delete;
  void add(std::span<const std::byte> bytes);
  Digest digest() const;

private:
  struct State;
  std::unique_ptr<State> state;
};

/// The first bytes of the file, little-endian. The metadata follows at once, then zeros up to `segmentBase`.
struct Header {
  unsigned char magic[8];
  uint32_t version;
  uint32_t headerBytes; // sizeof(Header)
  uint64_t fileBytes;
  uint64_t metadataBytes;
  uint64_t segmentBase; // a multiple of a page
  Digest metadata;
  uint64_t reserved[7]; // zero
  Digest header;        // of the bytes before it
};
static_assert(sizeof(Header) == 128);

constexpr uint64_t alignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// The header of a file with these metadata, before its size is known: what it says of segments and itself is missing.
Header makeHeader(std::span<const std::byte> metadata);

/// Puts in the size of the whole file and the digest of the header.
void seal(Header &header, uint64_t fileBytes);

/// Checks everything that can be checked without knowing what the metadata says: magic, version, sizes, digests (those
/// of segments only when `segmentDigests`), zero padding, and that the FlatBuffers structure is sound. On success
/// `root` points into `file`.
Status verifyContainer(std::span<const std::byte> file, bool segmentDigests, const fb::Model *&root);

/// Whether `count` elements lie where their type may: FlatBuffers' verifier looks at where their vector begins only.
/// (Its builder aligns no vector without elements.)
template <typename T> bool isAligned(const void *elements, size_t count) {
  return count == 0 || reinterpret_cast<uintptr_t>(elements) % alignof(T) == 0;
}

/// The bytes of a segment of a verified container.
std::span<const std::byte> segmentBytes(std::span<const std::byte> file, const fb::Model &root, uint32_t segment);

} // namespace kt::artifact

#endif
