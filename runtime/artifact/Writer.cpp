//===- Writer.cpp - model to .ktm file ------------------------------------===//
//
// Lays out segments, encodes the metadata, and puts the file in place only when it is whole and on disk. The metadata
// come first and have the digests of what follows, so weights that are not in memory are made twice: a pipe cannot be
// written in another order.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Writer.h"
#include "runtime/artifact/Container.h"
#include "runtime/artifact/Verifier.h"
#include "runtime/artifact/ktm_generated.h"
#include "runtime/os/OutputFile.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace kt::artifact {
namespace {

using Bytes = std::span<const std::byte>;
using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
template <typename T> using VectorOf = flatbuffers::Offset<flatbuffers::Vector<T>>;

/// Bytes in memory, or a weight's that are made where they are needed.
struct Piece {
  Bytes bytes;
  const WeightSource *source = nullptr;

  uint64_t size() const { return source ? source->size() : bytes.size(); }
};
/// A page-aligned part of the file, gathered from pieces that follow one another at multiples of kSmallAlignment.
struct SegmentPlan {
  std::vector<Piece> pieces;
  uint64_t bytes = 0;
  Digest digest = {};
};
struct Place {
  uint32_t segment = 0;
  uint64_t offset = 0;
};
struct Layout {
  std::vector<SegmentPlan> segments;
  std::vector<Place> weights;
  std::vector<uint32_t> modules;
};

/// What is held of a weight that is made where it is needed: much for threads to share, little beside anything else.
constexpr uint64_t kHeldBytes = 32 << 20;

/// Feeds the bytes of a piece to `sink`, part by part; stops when it answers false.
template <typename Sink> bool forEachPart(const Piece &piece, std::vector<std::byte> &scratch, Sink sink) {
  if (!piece.source)
    return sink(piece.bytes);
  uint64_t size = piece.size(), unit = piece.source->unit(), step = std::max<uint64_t>(kHeldBytes / unit, 1) * unit;
  for (uint64_t begin = 0; begin < size; begin += step) {
    scratch.resize(std::min(step, size - begin));
    piece.source->read(begin, scratch);
    if (!sink(Bytes(scratch)))
      return false;
  }
  return true;
}

bool sameBytes(const Piece &a, const Piece &b) {
  if (a.size() != b.size())
    return false;
  if (!a.source && !b.source)
    return a.bytes.empty() || a.bytes.data() == b.bytes.data() ||
           std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
  if (!a.source)
    return sameBytes(b, a);
  std::vector<std::byte> scratch, other;
  uint64_t at = 0;
  return forEachPart(a, scratch, [&](Bytes part) {
    Bytes against;
    if (b.source) {
      other.resize(part.size());
      b.source->read(at, other);
      against = other;
    } else {
      against = b.bytes.subspan(at, part.size());
    }
    at += part.size();
    return std::memcmp(part.data(), against.data(), part.size()) == 0;
  });
}

/// Feeds the bytes of a segment, alignment gaps included, to `sink` part by part; stops when it answers false.
template <typename Sink> bool forEachPart(const SegmentPlan &segment, std::vector<std::byte> &scratch, Sink sink) {
  static const std::byte zeros[kPage] = {};
  uint64_t at = 0;
  for (const Piece &piece : segment.pieces) {
    uint64_t gap = alignUp(at, kSmallAlignment) - at;
    if ((gap && !sink(Bytes(zeros, gap))) || !forEachPart(piece, scratch, sink))
      return false;
    at += gap + piece.size();
  }
  return true;
}

/// Of a piece or of a segment.
template <typename T> Digest digestOfParts(const T &of) {
  std::vector<std::byte> scratch;
  Digester digester;
  forEachPart(of, scratch, [&](Bytes part) {
    digester.add(part);
    return true;
  });
  return digester.digest();
}

Layout layOut(const Model &model) {
  Layout layout;
  auto pieceOf = [&](uint32_t i) { return Piece{model.weights[i].bytes, model.weights[i].source.get()}; };
  std::multimap<std::pair<uint64_t, uint64_t>, uint32_t> seen;
  uint32_t small = kNone; // the segment that small weights are gathered in
  for (uint32_t i = 0; i < model.weights.size(); ++i) {
    Piece piece = pieceOf(i);
    Digest digest = digestOfParts(piece);
    auto [from, to] = seen.equal_range({digest.low, digest.high});
    auto twin = std::find_if(from, to, [&](auto &entry) { return sameBytes(pieceOf(entry.second), piece); });
    if (twin != to) {
      layout.weights.push_back(layout.weights[twin->second]);
      continue;
    }
    seen.emplace(std::pair(digest.low, digest.high), i);
    bool own = piece.size() >= kPage;
    if (own || small == kNone) {
      if (!own)
        small = layout.segments.size();
      layout.segments.emplace_back();
    }
    uint32_t index = own ? static_cast<uint32_t>(layout.segments.size() - 1) : small;
    SegmentPlan &segment = layout.segments[index];
    uint64_t offset = alignUp(segment.bytes, kSmallAlignment);
    layout.weights.push_back({index, offset});
    segment.pieces.push_back(piece);
    segment.bytes = offset + piece.size();
    segment.digest = digest;
  }
  for (const Module &module : model.modules) {
    layout.modules.push_back(layout.segments.size());
    layout.segments.push_back({{{Bytes(module.code)}}, module.code.size(), digestOf(Bytes(module.code))});
  }
  if (small != kNone)
    layout.segments[small].digest = digestOfParts(layout.segments[small]);
  return layout;
}

/// A FlatBuffers vector of what `encodeOne` makes of each item.
template <typename T, typename F> auto encodeEach(FlatBufferBuilder &b, const std::vector<T> &items, F encodeOne) {
  std::vector<decltype(encodeOne(items[0]))> offsets;
  offsets.reserve(items.size());
  for (const T &item : items)
    offsets.push_back(encodeOne(item));
  return b.CreateVector(offsets);
}

class Encoder {
public:
  Encoder(const Model &model, const Layout &layout) : model(model), layout(layout) {}

  void encode() {
    auto targets = encodeEach(b, model.targets, [&](const std::string &s) { return b.CreateString(s); });
    auto exprs = encodeExprs(model.exprs);
    auto symbols = encodeEach(b, model.symbols, [&](const Symbol &s) {
      auto name = b.CreateString(s.name);
      return fb::CreateSymbol(b, name, static_cast<uint8_t>(s.kind), s.min, s.max);
    });
    std::vector<fb::Buffer> bufferStructs;
    for (const Buffer &buffer : model.buffers)
      bufferStructs.emplace_back(buffer.bytes, buffer.weight, static_cast<uint8_t>(buffer.kind));
    auto buffers = b.CreateVectorOfStructs(bufferStructs);
    auto port = [&](const Port &p) {
      auto name = b.CreateString(p.name);
      auto dims = b.CreateVector(p.dims);
      flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<fb::KeptTensor>>> kept;
      if (!p.kept.empty())
        kept = encodeEach(b, p.kept, [&](const KeptTensor &k) {
          return fb::CreateKeptTensor(b, static_cast<uint8_t>(k.type), b.CreateVector(k.dims), k.buffer);
        });
      return fb::CreatePort(b, name, static_cast<uint8_t>(p.type), dims, p.buffer, p.tied, p.axis, kept);
    };
    auto inputs = encodeEach(b, model.inputs, port);
    auto outputs = encodeEach(b, model.outputs, port);
    uint32_t next = 0;
    auto weights = encodeEach(b, model.weights, [&](const Weight &w) {
      Place place = layout.weights[next++];
      auto name = b.CreateString(w.name);
      auto dims = b.CreateVector(w.dims);
      return fb::CreateWeight(b, name, static_cast<uint8_t>(w.type), dims, place.segment, place.offset, w.size(),
                              w.lookedUp);
    });
    next = 0;
    auto modules = encodeEach(b, model.modules, [&](const Module &m) {
      auto target = b.CreateString(m.target);
      return fb::CreateModule(b, static_cast<uint8_t>(m.kind), target, layout.modules[next++]);
    });
    auto kernels = encodeEach(b, model.kernels, [&](const Kernel &k) { return encodeKernel(k); });
    auto nodes = encodeEach(b, model.nodes, [&](const std::string &s) { return b.CreateString(s); });
    auto program = encodeBlock(model.program);
    auto slices = encodeEach(
        b, model.slices, [&](const Slice &s) { return fb::CreateSlice(b, s.begin, s.end, b.CreateVector(s.weights)); });
    auto segments = encodeSegments();
    auto sites = encodeEach(b, model.sites,
                            [&](const Site &s) { return fb::CreateSite(b, s.node, b.CreateString(s.what), s.wraps); });
    auto producer = b.CreateString(model.producer);
    auto name = b.CreateString(model.name);
    auto options = b.CreateString(model.options);
    b.Finish(fb::CreateModel(b, producer, name, targets, exprs, symbols, buffers, inputs, outputs, weights, modules,
                             kernels, nodes, program, slices, options, segments, sites));
  }

  Bytes bytes() const { return {reinterpret_cast<const std::byte *>(b.GetBufferPointer()), b.GetSize()}; }

private:
  VectorOf<const fb::Expr *> encodeExprs(const std::vector<Expr> &exprs) {
    std::vector<fb::Expr> structs;
    structs.reserve(exprs.size());
    for (const Expr &e : exprs)
      structs.emplace_back(e.imm, e.a, e.b, e.c, static_cast<uint8_t>(e.op));
    return b.CreateVectorOfStructs(structs);
  }

  VectorOf<const fb::Segment *> encodeSegments() {
    std::vector<fb::Segment> structs;
    uint64_t offset = 0;
    for (const SegmentPlan &segment : layout.segments) {
      structs.emplace_back(offset, segment.bytes, segment.digest.low, segment.digest.high);
      offset += alignUp(segment.bytes, kPage);
    }
    return b.CreateVectorOfStructs(structs);
  }

  Offset<fb::Kernel> encodeKernel(const Kernel &k) {
    auto name = b.CreateString(k.name);
    auto family = b.CreateString(k.family);
    auto exprs = encodeExprs(k.exprs);
    auto variants = encodeEach(b, k.variants, [&](const Variant &v) {
      auto target = b.CreateString(v.target);
      auto stages = encodeEach(b, v.stages, [&](const Stage &s) {
        auto entry = b.CreateString(s.entry);
        auto grid = b.CreateVector(s.grid.data(), s.grid.size());
        auto block = b.CreateVector(s.block.data(), s.block.size());
        return fb::CreateStage(b, s.module, entry, s.entryOffset, grid, block, s.shared, s.scratch, s.cluster);
      });
      auto schedule = b.CreateString(v.schedule);
      return fb::CreateVariant(b, target, v.guard, v.workspace, v.workspaceZeroed, stages, schedule, v.cost, v.counters,
                               v.paged);
    });
    auto counts = b.CreateVector(k.counts);
    auto results = encodeEach(b, k.results, [&](const ResultType &result) {
      auto dims = b.CreateVector(result.dims);
      return fb::CreateResultType(b, static_cast<uint8_t>(result.type), dims);
    });
    return fb::CreateKernel(b, name, family, k.numBuffers, k.numInts, k.numResults, k.reportsFaults, exprs, variants,
                            counts, results);
  }

  Offset<fb::Block> encodeBlock(const Block &block) {
    std::vector<Offset<fb::Instruction>> instructions;
    instructions.reserve(block.instructions.size());
    for (const Instruction &instruction : block.instructions) {
      auto kind = static_cast<fb::Operation>(instruction.index() + 1);
      Offset<void> operation = std::visit([&](const auto &i) { return encode(i).Union(); }, instruction);
      instructions.push_back(fb::CreateInstruction(b, kind, operation));
    }
    auto vector = b.CreateVector(instructions);
    return fb::CreateBlock(b, vector);
  }

  Offset<fb::Launch> encode(const Launch &i) {
    auto buffers = b.CreateVector(i.buffers);
    auto ints = b.CreateVector(i.ints);
    return fb::CreateLaunch(b, i.kernel, buffers, ints, i.node, i.once);
  }
  Offset<fb::Copy> encode(const Copy &i) { return fb::CreateCopy(b, i.src, i.dst, i.srcOffset, i.dstOffset, i.bytes); }
  Offset<fb::ReadScalar> encode(const ReadScalar &i) {
    return fb::CreateReadScalar(b, i.symbol, i.buffer, static_cast<uint8_t>(i.type), i.index);
  }
  Offset<fb::SetSymbol> encode(const SetSymbol &i) { return fb::CreateSetSymbol(b, i.symbol, i.value); }
  Offset<fb::Assert> encode(const Assert &i) {
    return fb::CreateAssert(b, i.lhs, i.rhs, b.CreateString(i.message), i.node);
  }
  Offset<fb::If> encode(const If &i) {
    auto then = encodeBlock(*i.then);
    auto otherwise = encodeBlock(*i.otherwise);
    auto results = b.CreateVector(i.results);
    auto thenYields = b.CreateVector(i.thenYields);
    auto otherwiseYields = b.CreateVector(i.otherwiseYields);
    return fb::CreateIf(b, i.condition, then, otherwise, results, thenYields, otherwiseYields);
  }
  Offset<fb::Loop> encode(const Loop &i) {
    auto init = b.CreateVector(i.init), carried = b.CreateVector(i.carried), next = b.CreateVector(i.next);
    auto results = b.CreateVector(i.results), pieces = b.CreateVector(i.scanPieces), scan = b.CreateVector(i.scan);
    auto reverse = b.CreateVector(i.scanReverse);
    auto body = encodeBlock(*i.body);
    return fb::CreateLoop(b, i.trips, i.condition, i.induction, i.iterations, init, carried, next, results, pieces,
                          scan, reverse, body);
  }
  Offset<fb::Alias> encode(const Alias &i) { return fb::CreateAlias(b, i.source, i.result); }

  const Model &model;
  const Layout &layout;
  FlatBufferBuilder b{1 << 16};
};

} // namespace

Status write(const Model &model, const std::string &path, const std::function<Status()> &beforeIsPlaced) {
  if (Status status = verifyModel(model); !status.ok())
    return Status::failed("the model to write is not valid: " + status.message());
  Layout layout = layOut(model);
  Encoder encoder(model, layout);
  encoder.encode();
  Bytes metadata = encoder.bytes();

  Header header = makeHeader(metadata);
  uint64_t fileBytes = header.segmentBase;
  for (const SegmentPlan &segment : layout.segments)
    fileBytes += alignUp(segment.bytes, kPage);
  seal(header, fileBytes);

  static const std::byte zeros[kPage] = {};
  os::OutputFile file(path);
  auto put = [&](Bytes bytes) {
    file.write(bytes.data(), bytes.size());
    return file.status().ok();
  };
  auto pad = [&](uint64_t bytes) { return put(Bytes(zeros, alignUp(bytes, kPage) - bytes)); };
  bool ok = put({reinterpret_cast<const std::byte *>(&header), sizeof(header)}) && put(metadata) &&
            pad(sizeof(Header) + metadata.size());
  std::vector<std::byte> scratch;
  for (const SegmentPlan &segment : layout.segments)
    ok = ok && forEachPart(segment, scratch, put) && pad(segment.bytes);
  KT_RETURN_IF_ERROR(file.status());
  if (beforeIsPlaced)
    KT_RETURN_IF_ERROR(beforeIsPlaced());
  return file.finish(/*durable=*/true);
}

} // namespace kt::artifact
