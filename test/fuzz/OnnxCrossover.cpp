//===- OnnxCrossover.cpp - one ONNX model with parts of another -----------===//

#include "test/fuzz/OnnxVocabulary.h"
#include "llvm/ADT/StringMap.h"

namespace kt::fuzz {
namespace {

/// libFuzzer's custom crossover: `one` with parts of `other`, into `out`, at most `most` bytes.
size_t crossOnnx(const uint8_t *one, size_t oneSize, const uint8_t *other, size_t otherSize, uint8_t *out, size_t most,
                 unsigned seed) {
  onnx::ModelProto a, b;
  if (!a.ParsePartialFromArray(one, (int)oneSize) || !b.ParsePartialFromArray(other, (int)otherSize))
    return 0;
  // The nodes of the other go behind those of the one, under names of their own, and read its inputs or the one's.
  Random random(seed);
  auto *graph = a.mutable_graph();
  std::string prefix = "c" + std::to_string(random() % 1000);
  llvm::StringMap<std::string> names;
  std::vector<std::string> there;
  for (const auto &node : graph->node())
    for (const auto &o : node.output())
      if (!o.empty())
        there.push_back(o);
  for (const auto &t : b.graph().initializer()) {
    auto *copy = graph->add_initializer();
    *copy = t;
    copy->set_name(names[t.name()] = prefix + t.name());
  }
  for (const auto &i : b.graph().input())
    if (!names.count(i.name())) {
      if (!there.empty() && chance(random, 2)) {
        names[i.name()] = any(random, there);
      } else {
        auto *copy = graph->add_input();
        *copy = i;
        copy->set_name(names[i.name()] = prefix + i.name());
      }
    }
  for (const auto &node : b.graph().node()) {
    auto *copy = graph->add_node();
    *copy = node;
    for (auto &i : *copy->mutable_input())
      if (auto it = names.find(i); it != names.end())
        i = it->second;
    for (auto &o : *copy->mutable_output())
      if (!o.empty())
        o = names[o] = prefix + o;
  }
  for (const auto &o : b.graph().output()) {
    auto *copy = graph->add_output();
    *copy = o;
    if (auto it = names.find(o.name()); it != names.end())
      copy->set_name(it->second);
  }
  for (const auto &f : b.functions())
    *a.add_functions() = f;
  return store(a, out, 0, most);
}

} // namespace
} // namespace kt::fuzz

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t oneSize, const uint8_t *other, size_t otherSize,
                                            uint8_t *out, size_t most, unsigned seed) {
  return kt::fuzz::crossOnnx(one, oneSize, other, otherSize, out, most, seed);
}
