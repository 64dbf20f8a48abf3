//===- artifact.cpp - fuzzes what loads artifacts -------------------------===//
//
// The first byte says what follows: 'r', a whole file as it is; else metadata, around which a file with right sizes and
// digests is put, as an attacker would. What is accepted is printed, analysed and evaluated for a few sizes; nothing of
// it runs.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Container.h"
#include "runtime/artifact/Print.h"
#include "runtime/artifact/Reader.h"
#include "runtime/artifact/ktm_generated.h"
#include "runtime/exec/Expressions.h"
#include "runtime/exec/ProgramInfo.h"

#include <cstdlib>
#include <cstring>

using namespace kt;
using namespace kt::artifact;

namespace {

using Bytes = std::vector<std::byte>;

/// A file with this metadata and zeros for its segments; these are `most` bytes at most.
Bytes sealed(std::span<const std::byte> metadata, uint64_t most) {
  Header header = makeHeader(metadata);
  Bytes file(header.segmentBase);
  std::memcpy(file.data() + sizeof(header), metadata.data(), metadata.size());
  const auto *root = reinterpret_cast<const uint8_t *>(file.data() + sizeof(header));
  flatbuffers::Verifier verifier(root, metadata.size());
  uint64_t bytes = file.size();
  if (const auto *segments = fb::VerifyModelBuffer(verifier) ? fb::GetModel(root)->segments() : nullptr;
      segments && isAligned<fb::Segment>(segments->Data(), segments->size()))
    for (const fb::Segment *segment : *segments)
      if (segment->bytes() <= most)
        bytes = std::min(bytes + alignUp(segment->bytes(), kPage), header.segmentBase + most);
  file.resize(bytes);
  seal(header, bytes);
  std::memcpy(file.data(), &header, sizeof(header));
  return file;
}

void use(const Model &model) {
  (void)print(model);
  exec::ExprGraph graph(model);
  exec::ProgramInfo info(graph);
  exec::ExprValues values(graph);
  for (int64_t size : {0, 1, 5}) {
    for (SymbolId i = 0; i < model.symbols.size(); ++i)
      values.set(i, std::min(std::max(size, model.symbols[i].min), model.symbols[i].max));
    for (const Buffer &buffer : model.buffers)
      if (buffer.bytes != kNone)
        (void)values.getSize(buffer.bytes, "a buffer");
    std::vector<exec::Value> scratch;
    for (const Kernel &kernel : model.kernels)
      if (kernel.numInts < 1024)
        exec::evaluateKernel(kernel, std::vector<int64_t>(kernel.numInts, size), {}, scratch);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  std::span<const std::byte> rest(reinterpret_cast<const std::byte *>(data) + 1, size - 1);
  Bytes file = data[0] == 'r' ? Bytes(rest.begin(), rest.end()) : sealed(rest, 1 << 16);
  // Digests of segments are an attacker's to choose.
  auto loaded = readBytes(file, {.segmentDigests = data[0] == 'r'});
  if (loaded.ok())
    use((*loaded)->model);
  else if (loaded.status().code() != Code::rejected || loaded.status().message().empty())
    std::abort();
  return 0;
}
