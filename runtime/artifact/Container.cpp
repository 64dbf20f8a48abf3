//===- Container.cpp - the frame of a .ktm file ---------------------------===//
//
// The checks that come before any byte of the metadata is believed.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Container.h"
#include "runtime/artifact/ktm_generated.h"
#include "runtime/os/Thread.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kt::artifact {

Digest digestOf(std::span<const std::byte> bytes) {
  XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

struct Digester::State {
  XXH3_state_t hash;
};

Digester::Digester() : state(std::make_unique<State>()) { XXH3_128bits_reset(&state->hash); }
Digester::~Digester() = default;
void Digester::add(std::span<const std::byte> bytes) { XXH3_128bits_update(&state->hash, bytes.data(), bytes.size()); }

Digest Digester::digest() const {
  XXH128_hash_t hash = XXH3_128bits_digest(&state->hash);
  return {hash.low64, hash.high64};
}

namespace {

std::string number(uint64_t value) { return std::to_string(value); }

bool allZero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

Status verifyHeader(std::span<const std::byte> file, Header &header) {
  if (file.size() < sizeof(Header))
    return Status::rejected("the file has " + number(file.size()) + " bytes but a header has " +
                            number(sizeof(Header)));
  std::memcpy(&header, file.data(), sizeof(Header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return Status::rejected("not a .ktm file: the first eight bytes are not its magic number");
  if (header.version < kOldestVersion || header.version > kVersion)
    return Status::rejected("format version " + number(header.version) + " but this runtime reads versions " +
                            number(kOldestVersion) + " to " + number(kVersion));
  if (digestOf(file.first(offsetof(Header, header))) != header.header)
    return Status::rejected("the header is damaged: its digest does not match");
  if (header.headerBytes != sizeof(Header))
    return Status::rejected("the header says it has " + number(header.headerBytes) + " bytes but it has " +
                            number(sizeof(Header)));
  if (!std::all_of(std::begin(header.reserved), std::end(header.reserved), [](uint64_t v) { return v == 0; }))
    return Status::rejected("reserved header bytes are not zero");
  if (header.fileBytes != file.size())
    return Status::rejected("the header says the file has " + number(header.fileBytes) + " bytes but it has " +
                            number(file.size()));
  // FlatBuffers offsets are 31 bits wide.
  uint64_t limit = std::min<uint64_t>(file.size() - sizeof(Header), INT32_MAX - 8);
  if (header.metadataBytes > limit)
    return Status::rejected("the metadata has " + number(header.metadataBytes) + " bytes but at most " + number(limit) +
                            " are possible");
  if (header.segmentBase != alignUp(sizeof(Header) + header.metadataBytes, kPage))
    return Status::rejected("segments start at " + number(header.segmentBase) + " but the metadata ends at " +
                            number(sizeof(Header) + header.metadataBytes));
  return {};
}

/// Digests of large files take seconds on one core; segments are independent.
Status verifySegmentDigests(std::span<const std::byte> file, const fb::Model &root) {
  const auto &segments = *root.segments();
  std::atomic<uint32_t> next{0};
  std::atomic<uint32_t> bad{UINT32_MAX};
  auto work = [&] {
    for (uint32_t i; (i = next.fetch_add(1)) < segments.size();) {
      Digest expected{segments[i]->digest_low(), segments[i]->digest_high()};
      if (digestOf(segmentBytes(file, root, i)) != expected) {
        uint32_t seen = bad.load();
        while (i < seen && !bad.compare_exchange_weak(seen, i))
          ;
      }
    }
  };
  constexpr uint64_t kWorthThreads = 32u << 20;
  unsigned threads = file.size() < kWorthThreads ? 1 : std::min(16u, std::max(1u, std::thread::hardware_concurrency()));
  {
    std::vector<std::unique_ptr<os::Thread>> helpers;
    for (unsigned i = 1; i < threads; ++i)
      helpers.push_back(os::Thread::start(work));
    work();
  }
  if (bad != UINT32_MAX)
    return Status::rejected("segment " + number(bad) + " is damaged: its digest does not match");
  return {};
}

Status verifySegments(std::span<const std::byte> file, const Header &header, const fb::Model &root) {
  uint64_t end = header.segmentBase;
  const auto &segments = *root.segments();
  for (uint32_t i = 0; i < segments.size(); ++i) {
    uint64_t available = file.size() - std::min<uint64_t>(end, file.size());
    uint64_t bytes = segments[i]->bytes();
    if (segments[i]->offset() != end - header.segmentBase)
      return Status::rejected("segment " + number(i) + " starts at " + number(segments[i]->offset()) +
                              " but the one before it ends at " + number(end - header.segmentBase));
    if (bytes > available)
      return Status::rejected("segment " + number(i) + " has " + number(bytes) + " bytes but the file has " +
                              number(available) + " left for it");
    uint64_t padded = alignUp(bytes, kPage);
    if (padded > available)
      return Status::rejected("segment " + number(i) + " is padded to " + number(padded) + " bytes but the file has " +
                              number(available) + " left for it");
    if (!allZero(file.subspan(end + bytes, padded - bytes)))
      return Status::rejected("the padding after segment " + number(i) + " is not zero");
    end += padded;
  }
  // A file without segments ends with its metadata's page.
  if (end != file.size())
    return Status::rejected("the last segment ends at " + number(end) + " but the file has " + number(file.size()) +
                            " bytes");
  return {};
}

} // namespace

Header makeHeader(std::span<const std::byte> metadata) {
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.headerBytes = sizeof(Header);
  header.metadataBytes = metadata.size();
  header.segmentBase = alignUp(sizeof(Header) + metadata.size(), kPage);
  header.metadata = digestOf(metadata);
  return header;
}

void seal(Header &header, uint64_t fileBytes) {
  header.fileBytes = fileBytes;
  header.header = digestOf({reinterpret_cast<const std::byte *>(&header), offsetof(Header, header)});
}

std::span<const std::byte> segmentBytes(std::span<const std::byte> file, const fb::Model &root, uint32_t segment) {
  Header header;
  std::memcpy(&header, file.data(), sizeof(Header));
  const fb::Segment &s = *(*root.segments())[segment];
  return file.subspan(header.segmentBase + s.offset(), s.bytes());
}

Status verifyContainer(std::span<const std::byte> file, bool segmentDigests, const fb::Model *&root) {
  Header header;
  KT_RETURN_IF_ERROR(verifyHeader(file, header));
  auto metadata = file.subspan(sizeof(Header), header.metadataBytes);
  if (digestOf(metadata) != header.metadata)
    return Status::rejected("the metadata is damaged: its digest does not match");
  uint64_t gap = sizeof(Header) + header.metadataBytes;
  if (header.segmentBase > file.size())
    return Status::rejected("segments start at " + number(header.segmentBase) + " but the file has " +
                            number(file.size()) + " bytes");
  if (!allZero(file.subspan(gap, header.segmentBase - gap)))
    return Status::rejected("the padding after the metadata is not zero");

  // Tables may share what they point to, so a small file could unfold to an enormous one: a table of its own takes at
  // least eight bytes, more visits than that mean sharing, which the writer never does.
  flatbuffers::Verifier::Options options;
  options.max_depth = 16 + 4 * kMaxNesting;
  options.max_tables = static_cast<flatbuffers::uoffset_t>(metadata.size() / 8 + 1);
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t *>(metadata.data()), metadata.size(), options);
  if (!fb::VerifyModelBuffer(verifier))
    return Status::rejected("the metadata's structure is not sound");
  root = fb::GetModel(metadata.data());
  if (!isAligned<fb::Segment>(root->segments()->Data(), root->segments()->size()))
    return Status::rejected("the metadata has misaligned vectors");

  KT_RETURN_IF_ERROR(verifySegments(file, header, *root));
  return segmentDigests ? verifySegmentDigests(file, *root) : Status();
}

} // namespace kt::artifact
