//===- Reader.cpp - .ktm file to model ------------------------------------===//
//
// Decodes verified FlatBuffers metadata into the in-memory model. Vectors that are shared to make a small file unfold
// to a huge model run into a budget: a sound file needs each of its bytes once.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Reader.h"
#include "runtime/artifact/Container.h"
#include "runtime/artifact/Verifier.h"
#include "runtime/artifact/ktm_generated.h"

#include <algorithm>
#include <cstring>

namespace kt::artifact {

namespace {

template <typename T> using Offset = flatbuffers::Offset<T>;

class Decoder {
public:
  Decoder(std::span<const std::byte> file, const fb::Model &root, Model &model) : file(file), root(root), model(model) {
    Header header;
    std::memcpy(&header, file.data(), sizeof(Header));
    // Strings and vectors are aligned and carry lengths, so what is copied out is never more than what is stored.
    budget = header.metadataBytes;
  }

  Status decode() {
    model.producer = text(root.producer());
    model.name = text(root.name());
    for (const auto *s : *root.targets())
      model.targets.push_back(text(s));
    decodeExprs(*root.exprs(), model.exprs);
    for (const auto *s : *root.symbols())
      model.symbols.push_back({text(s->name()), static_cast<Symbol::Kind>(s->kind()), s->min(), s->max()});
    if (!charge(*root.buffers()))
      return refused();
    for (const auto *s : *root.buffers())
      model.buffers.push_back({static_cast<Buffer::Kind>(s->kind()), s->bytes(), s->weight()});
    decodePorts(*root.inputs(), model.inputs);
    decodePorts(*root.outputs(), model.outputs);
    KT_RETURN_IF_ERROR(decodeWeights());
    KT_RETURN_IF_ERROR(decodeModules());
    for (const auto *k : *root.kernels()) {
      if (spent || misaligned)
        return refused();
      KT_RETURN_IF_ERROR(decodeKernel(*k));
    }
    for (const auto *s : *root.nodes())
      model.nodes.push_back(text(s));
    KT_RETURN_IF_ERROR(decodeBlock(*root.program(), model.program, 0));
    for (const auto *s : *root.slices())
      model.slices.push_back({s->begin(), s->end(), numbers(s->weights())});
    for (const auto *s : *root.sites())
      model.sites.push_back({s->node(), text(s->what()), s->wraps()});
    model.options = text(root.options());
    return spent || misaligned ? refused() : Status();
  }

private:
  Status refused() const {
    return Status::rejected(misaligned ? "the metadata has misaligned vectors"
                                       : "the metadata shares parts: it unfolds to more than it holds");
  }

  void charge(uint64_t bytes) {
    if (bytes > budget)
      spent = true;
    budget -= std::min(bytes, budget);
  }
  /// False when the elements must not be looked at.
  template <typename T> bool charge(const flatbuffers::Vector<T> &v) {
    using Element = std::remove_pointer_t<T>;
    misaligned |= !isAligned<Element>(v.Data(), v.size());
    charge(uint64_t(v.size()) * sizeof(Element));
    return !spent && !misaligned;
  }

  std::string text(const flatbuffers::String *s) {
    if (!s)
      return {};
    charge(s->size());
    return spent ? std::string() : s->str();
  }

  template <typename T> std::vector<T> numbers(const flatbuffers::Vector<T> *v) {
    if (!v || !charge(*v))
      return {};
    return std::vector<T>(v->begin(), v->end());
  }

  void decodeExprs(const flatbuffers::Vector<const fb::Expr *> &from, std::vector<Expr> &to) {
    if (!charge(from))
      return;
    to.reserve(from.size());
    for (const fb::Expr *e : from)
      to.push_back({static_cast<Expr::Op>(e->op()), e->imm(), e->a(), e->b(), e->c()});
  }

  void decodePorts(const flatbuffers::Vector<Offset<fb::Port>> &from, std::vector<Port> &to) {
    for (const auto *p : from) {
      to.push_back(
          {text(p->name()), static_cast<DType>(p->type()), numbers(p->dims()), p->buffer(), p->tied(), p->axis(), {}});
      if (p->kept() && charge(*p->kept()))
        for (const auto *k : *p->kept())
          to.back().kept.push_back({static_cast<DType>(k->type()), numbers(k->dims()), k->buffer()});
    }
  }

  Status checkSegment(uint32_t segment, const char *what, size_t index) {
    if (segment < root.segments()->size())
      return {};
    return Status::rejected(std::string(what) + " " + std::to_string(index) + " is in segment " +
                            std::to_string(segment) + " but the file has " + std::to_string(root.segments()->size()));
  }

  Status decodeWeights() {
    for (const auto *w : *root.weights()) {
      size_t index = model.weights.size();
      KT_RETURN_IF_ERROR(checkSegment(w->segment(), "weight", index));
      auto segment = segmentBytes(file, root, w->segment());
      if (w->offset() > segment.size() || w->bytes() > segment.size() - w->offset())
        return Status::rejected("weight " + std::to_string(index) + " has " + std::to_string(w->bytes()) +
                                " bytes at " + std::to_string(w->offset()) + " but its segment has " +
                                std::to_string(segment.size()));
      if (w->offset() % kSmallAlignment != 0)
        return Status::rejected("weight " + std::to_string(index) + " is at " + std::to_string(w->offset()) +
                                " but has to be at a multiple of " + std::to_string(kSmallAlignment));
      model.weights.push_back({text(w->name()), static_cast<DType>(w->type()), numbers(w->dims()),
                               segment.subspan(w->offset(), w->bytes()), nullptr, w->looked_up()});
    }
    return {};
  }

  Status decodeModules() {
    std::vector<bool> used(root.segments()->size());
    for (const auto *m : *root.modules()) {
      KT_RETURN_IF_ERROR(checkSegment(m->segment(), "module", model.modules.size()));
      if (used[m->segment()])
        return Status::rejected("module " + std::to_string(model.modules.size()) + " shares segment " +
                                std::to_string(m->segment()) + " with another");
      used[m->segment()] = true;
      auto code = segmentBytes(file, root, m->segment());
      model.modules.push_back(
          {static_cast<Module::Kind>(m->kind()), text(m->target()), std::vector<std::byte>(code.begin(), code.end())});
    }
    return {};
  }

  Status decodeKernel(const fb::Kernel &k) {
    Kernel kernel;
    kernel.name = text(k.name());
    kernel.family = text(k.family());
    kernel.numBuffers = k.num_buffers();
    kernel.numInts = k.num_ints();
    kernel.numResults = k.num_results();
    kernel.reportsFaults = k.reports_faults();
    kernel.counts = numbers(k.counts());
    if (k.results())
      for (const auto *result : *k.results())
        kernel.results.push_back({static_cast<DType>(result->type()), numbers(result->dims())});
    decodeExprs(*k.exprs(), kernel.exprs);
    for (const auto *v : *k.variants()) {
      Variant variant;
      variant.target = text(v->target());
      variant.guard = v->guard();
      variant.cost = v->cost();
      variant.workspace = v->workspace();
      variant.workspaceZeroed = v->workspace_zeroed();
      variant.counters = v->counters();
      variant.paged = v->paged();
      variant.schedule = text(v->schedule());
      for (const auto *s : *v->stages()) {
        if (s->grid()->size() != 3 || s->block()->size() != 3)
          return Status::rejected("kernel '" + kernel.name + "' has a stage with " + std::to_string(s->grid()->size()) +
                                  " grid and " + std::to_string(s->block()->size()) +
                                  " block dimensions, expected 3 and 3");
        Stage stage;
        stage.module = s->module_();
        stage.entry = text(s->entry());
        stage.entryOffset = s->entry_offset();
        for (uint32_t i = 0; i < 3; ++i) {
          stage.grid[i] = (*s->grid())[i];
          stage.block[i] = (*s->block())[i];
        }
        stage.shared = s->shared();
        stage.scratch = s->scratch();
        stage.cluster = s->cluster();
        variant.stages.push_back(std::move(stage));
      }
      kernel.variants.push_back(std::move(variant));
    }
    model.kernels.push_back(std::move(kernel));
    return {};
  }

  Status decodeBlock(const fb::Block &from, Block &to, uint32_t depth) {
    if (depth > kMaxNesting)
      return Status::rejected("blocks nest deeper than " + std::to_string(kMaxNesting));
    for (const auto *i : *from.instructions()) {
      if (spent || misaligned)
        return refused();
      switch (i->operation_type()) {
      case fb::Operation::Launch: {
        const auto &o = *i->operation_as_Launch();
        to.instructions.emplace_back(Launch{o.kernel(), numbers(o.buffers()), numbers(o.ints()), o.node(), o.once()});
        break;
      }
      case fb::Operation::Copy: {
        const auto &o = *i->operation_as_Copy();
        to.instructions.emplace_back(Copy{o.src(), o.dst(), o.src_offset(), o.dst_offset(), o.bytes()});
        break;
      }
      case fb::Operation::ReadScalar: {
        const auto &o = *i->operation_as_ReadScalar();
        to.instructions.emplace_back(ReadScalar{o.symbol(), o.buffer(), static_cast<DType>(o.type()), o.index()});
        break;
      }
      case fb::Operation::SetSymbol: {
        const auto &o = *i->operation_as_SetSymbol();
        to.instructions.emplace_back(SetSymbol{o.symbol(), o.value()});
        break;
      }
      case fb::Operation::Assert: {
        const auto &o = *i->operation_as_Assert();
        to.instructions.emplace_back(Assert{o.lhs(), o.rhs(), text(o.message()), o.node()});
        break;
      }
      case fb::Operation::If: {
        const auto &o = *i->operation_as_If();
        If result;
        result.condition = o.condition();
        result.then = std::make_unique<Block>();
        result.otherwise = std::make_unique<Block>();
        result.results = numbers(o.results());
        result.thenYields = numbers(o.then_yields());
        result.otherwiseYields = numbers(o.otherwise_yields());
        KT_RETURN_IF_ERROR(decodeBlock(*o.then(), *result.then, depth + 1));
        KT_RETURN_IF_ERROR(decodeBlock(*o.otherwise(), *result.otherwise, depth + 1));
        to.instructions.emplace_back(std::move(result));
        break;
      }
      case fb::Operation::Loop: {
        const auto &o = *i->operation_as_Loop();
        Loop result;
        result.trips = o.trips();
        result.condition = o.condition();
        result.induction = o.induction();
        result.iterations = o.iterations();
        result.init = numbers(o.init());
        result.carried = numbers(o.carried());
        result.next = numbers(o.next());
        result.results = numbers(o.results());
        result.scanPieces = numbers(o.scan_pieces());
        result.scan = numbers(o.scan());
        result.scanReverse = numbers(o.scan_reverse());
        result.body = std::make_unique<Block>();
        KT_RETURN_IF_ERROR(decodeBlock(*o.body(), *result.body, depth + 1));
        to.instructions.emplace_back(std::move(result));
        break;
      }
      case fb::Operation::Alias: {
        const auto &o = *i->operation_as_Alias();
        to.instructions.emplace_back(Alias{o.source(), o.result()});
        break;
      }
      default:
        return Status::rejected("unknown instruction kind " +
                                std::to_string(static_cast<unsigned>(i->operation_type())));
      }
    }
    return {};
  }

  std::span<const std::byte> file;
  const fb::Model &root;
  Model &model;
  uint64_t budget = 0;
  bool spent = false, misaligned = false;
};

Status readInto(std::span<const std::byte> bytes, const ReadOptions &options, Model &model) {
  const fb::Model *root = nullptr;
  KT_RETURN_IF_ERROR(verifyContainer(bytes, options.segmentDigests, root));
  KT_RETURN_IF_ERROR(Decoder(bytes, *root, model).decode());
  return verifyModel(model);
}

} // namespace

Result<std::unique_ptr<LoadedModel>> readBytes(std::span<const std::byte> bytes, const ReadOptions &options) {
  auto loaded = std::make_unique<LoadedModel>();
  KT_RETURN_IF_ERROR(readInto(bytes, options, loaded->model));
  return loaded;
}

Result<std::unique_ptr<LoadedModel>> read(const std::string &path, const ReadOptions &options) {
  auto file = MappedFile::open(path);
  if (!file.ok())
    return std::move(file).status();
  auto loaded = std::make_unique<LoadedModel>();
  loaded->file = *std::move(file);
  if (Status status = readInto(loaded->file->bytes(), options, loaded->model); !status.ok())
    return std::move(status).in("'" + path + "'");
  return loaded;
}

} // namespace kt::artifact
