//===- ArtifactMutator.cpp - changes artifacts as artifacts ---------------===//
//
// Metadata is unpacked, some of its numbers, lists and instructions are changed, and it is packed again. The classes
// that can do that are generated from the schema for this file alone (see CMakeLists.txt).
//
//===----------------------------------------------------------------------===//

#define NDEBUG // it packs what lacks required parts, too, which FlatBuffers asserts that nobody does
#include "ktm_objects.h"

#include <cstring>
#include <functional>
#include <random>

using namespace kt::fuzz::fb;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace {

class Mutator {
public:
  Mutator(ModelT &model, unsigned seed) : random(seed) {
    expressions(model.exprs);
    list(model.symbols, [&](SymbolT &s) { small(s.kind), wide(s.min), wide(s.max); });
    structs(model.buffers,
            [&](const Buffer &old) { return Buffer(index(old.bytes()), index(old.weight()), byte(old.kind())); });
    auto port = [&](PortT &p) { small(p.type), numbers(p.dims), number(p.buffer); };
    list(model.inputs, port), list(model.outputs, port);
    list(model.weights, [&](WeightT &w) {
      small(w.type), number(w.segment), wide(w.offset), wide(w.bytes);
      add([&] {
        if (below(2) || w.dims.empty())
          w.dims.push_back((int64_t)value());
        else
          w.dims[below(w.dims.size())] = (int64_t)value();
      });
    });
    list(model.modules, [&](ModuleT &m) { small(m.kind), number(m.segment), text(m.target); });
    list(model.kernels, [&](KernelT &k) {
      number(k.num_buffers), number(k.num_ints), number(k.num_results), numbers(k.counts), expressions(k.exprs);
      add([&] { k.reports_faults = !k.reports_faults; });
      list(k.results, [&](ResultTypeT &r) { small(r.type), numbers(r.dims); });
      list(k.variants, [&](VariantT &v) {
        text(v.target), number(v.guard), number(v.cost), number(v.workspace);
        list(v.stages, [&](StageT &s) {
          number(s.module_), wide(s.entry_offset), numbers(s.grid), numbers(s.block), number(s.shared),
              number(s.scratch), number(s.cluster), text(s.entry);
        });
      });
    });
    if (model.program)
      block(*model.program);
    list(model.slices, [&](SliceT &s) { number(s.begin), number(s.end), numbers(s.weights); });
    list(model.sites, [&](SiteT &s) { number(s.node); });
    structs(model.segments, [&](const Segment &s) {
      return Segment(below(2) ? s.offset() : value(), below(2) ? s.bytes() : value(), 0, 0);
    });
  }

  void change() {
    if (!changes.empty())
      changes[below(changes.size())]();
  }

private:
  size_t below(size_t n) { return n ? random() % n : 0; }
  void add(std::function<void()> change) { changes.push_back(std::move(change)); }

  uint64_t value() {
    static constexpr uint64_t kValues[] = {
        0,          1,          2,          7,          255,        4096,       1ull << 31, (1ull << 31) - 1,
        0xFFFFFFFF, 0xFFFFFFFE, 1ull << 32, 1ull << 62, ~0ull >> 1, 1ull << 63, ~0ull};
    return below(2) ? kValues[below(std::size(kValues))] : below(24);
  }
  /// What names another thing: mostly one that may exist.
  uint32_t index(uint32_t old) {
    switch (below(4)) {
    case 0:
      return (uint32_t)value();
    case 1:
      return old + (uint32_t)below(3) - 1;
    default:
      return (uint32_t)below(32);
    }
  }
  uint8_t byte(uint8_t old) { return below(4) ? (uint8_t)below(20) : (uint8_t)(old ^ 1u << below(8)); }

  void number(uint32_t &n) {
    add([&] { n = index(n); });
  }
  template <typename T> void wide(T &n) {
    add([&] { n = (T)value(); });
  }
  void small(uint8_t &n) {
    add([&] { n = byte(n); });
  }
  void text(std::string &s) {
    add([&] {
      static const char *const kTexts[] = {"", "sm_89", "host-v3", "host-v4", "a\nb", "x"};
      s = kTexts[below(std::size(kTexts))];
    });
  }
  void numbers(std::vector<uint32_t> &v) {
    add([&] {
      size_t at = below(v.size());
      if (v.empty() || below(4) == 0)
        v.insert(v.begin() + (ptrdiff_t)at, index(0));
      else if (below(4) == 0)
        v.erase(v.begin() + (ptrdiff_t)at);
      else
        v[at] = index(v[at]);
    });
  }
  template <typename T, typename Fn> void list(std::vector<std::unique_ptr<T>> &v, Fn each) {
    for (auto &item : v)
      if (item)
        each(*item);
    if (!v.empty())
      add([&] {
        size_t at = below(v.size());
        if (below(2))
          std::swap(v[at], v[below(v.size())]);
        else
          v[at] = std::make_unique<T>();
        changes.clear(); // they speak of what may be gone
      });
  }
  template <typename T, typename Fn> void structs(std::vector<T> &v, Fn changed) {
    add([this, &v, changed] {
      if (v.empty())
        return v.push_back(T());
      size_t at = below(v.size());
      switch (below(6)) {
      case 0:
        return v.push_back(v[at]);
      case 1:
        v.erase(v.begin() + (ptrdiff_t)at);
        return;
      default:
        v[at] = changed(v[at]);
      }
    });
  }
  void expressions(std::vector<Expr> &v) {
    auto changed = [&](const Expr &e) {
      return Expr(below(2) ? e.imm() : (int64_t)value(), below(2) ? e.a() : index(e.a()),
                  below(2) ? e.b() : index(e.b()), below(2) ? e.c() : index(e.c()), below(2) ? e.op() : byte(e.op()));
    };
    structs(v, changed);
    structs(v, changed);
  }

  void block(BlockT &b) {
    for (auto &instruction : b.instructions) {
      if (!instruction)
        continue;
      auto &op = instruction->operation;
      if (auto *i = op.AsLaunch())
        number(i->kernel), numbers(i->buffers), numbers(i->ints), number(i->node);
      if (auto *i = op.AsCopy())
        number(i->src), number(i->dst), number(i->src_offset), number(i->dst_offset), number(i->bytes);
      if (auto *i = op.AsReadScalar())
        number(i->symbol), number(i->buffer), small(i->type), number(i->index);
      if (auto *i = op.AsSetSymbol())
        number(i->symbol), number(i->value);
      if (auto *i = op.AsAssert())
        number(i->lhs), number(i->rhs), number(i->node);
      if (auto *i = op.AsAlias())
        number(i->source), number(i->result);
      if (auto *i = op.AsIf()) {
        number(i->condition), numbers(i->results), numbers(i->then_yields), numbers(i->otherwise_yields);
        if (i->then)
          block(*i->then);
        if (i->otherwise)
          block(*i->otherwise);
      }
      if (auto *i = op.AsLoop()) {
        number(i->trips), number(i->condition), number(i->induction), number(i->iterations);
        for (auto *v : {&i->init, &i->carried, &i->next, &i->results, &i->scan_pieces, &i->scan})
          numbers(*v);
        add([i, this] { i->scan_reverse.resize(below(3), 1); });
        if (i->body)
          block(*i->body);
      }
    }
    add([&] {
      auto &list = b.instructions;
      size_t at = below(list.size());
      switch (below(4)) {
      case 0:
        if (!list.empty())
          std::swap(list[at], list[below(list.size())]);
        return;
      case 1:
        if (!list.empty())
          list.erase(list.begin() + (ptrdiff_t)at);
        break;
      default:
        list.insert(list.begin() + (ptrdiff_t)at, fresh());
      }
      changes.clear();
    });
  }

  std::unique_ptr<InstructionT> fresh() {
    auto instruction = std::make_unique<InstructionT>();
    auto body = [] { return std::make_unique<BlockT>(); };
    switch (below(6)) {
    case 0: {
      LaunchT i;
      i.kernel = (uint32_t)below(4);
      for (size_t n = below(5); n; --n)
        i.buffers.push_back((uint32_t)below(24)), i.ints.push_back((uint32_t)below(24));
      instruction->operation.Set(std::move(i));
      break;
    }
    case 1: {
      CopyT i;
      i.src = (uint32_t)below(24), i.dst = (uint32_t)below(24), i.bytes = (uint32_t)below(24);
      instruction->operation.Set(std::move(i));
      break;
    }
    case 2: {
      SetSymbolT i;
      i.symbol = (uint32_t)below(8), i.value = (uint32_t)below(24);
      instruction->operation.Set(std::move(i));
      break;
    }
    case 3: {
      IfT i;
      i.condition = (uint32_t)below(24), i.then = body(), i.otherwise = body();
      if (below(2))
        i.then->instructions.push_back(fresh());
      instruction->operation.Set(std::move(i));
      break;
    }
    case 4: {
      LoopT i;
      i.trips = (uint32_t)below(24), i.induction = (uint32_t)below(8), i.body = body();
      if (below(2))
        i.body->instructions.push_back(fresh());
      instruction->operation.Set(std::move(i));
      break;
    }
    case 5: {
      AliasT i;
      i.source = (uint32_t)below(24), i.result = (uint32_t)below(24);
      instruction->operation.Set(std::move(i));
      break;
    }
    }
    return instruction;
  }

  std::mt19937 random;
  std::vector<std::function<void()>> changes;
};

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  if (size < 2 || seed % 8 == 0 || data[0] == 'r')
    return LLVMFuzzerMutate(data, size, most);
  flatbuffers::Verifier::Options options;
  options.max_depth = 256;
  std::vector<uint8_t> aligned(data + 1, data + size);
  flatbuffers::Verifier verifier(aligned.data(), aligned.size(), options);
  if (!VerifyModelBuffer(verifier))
    return LLVMFuzzerMutate(data, size, most);
  ModelT model;
  GetModel(aligned.data())->UnPackTo(&model);
  for (unsigned n = 1 + seed / 8 % 4; n; --n)
    Mutator(model, seed + n).change();
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceDefaults(false);
  FinishModelBuffer(builder, CreateModel(builder, &model));
  if (builder.GetSize() + 1 > most)
    return size;
  data[0] = 'm';
  std::memcpy(data + 1, builder.GetBufferPointer(), builder.GetSize());
  return builder.GetSize() + 1;
}
