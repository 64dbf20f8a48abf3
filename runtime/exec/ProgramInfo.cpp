//===- ProgramInfo.cpp - what a program says before any shape is known ----===//
//
// One recursive walk for definitions and last uses; one backward pass over the top level for lifetimes that aliases,
// branches and loops extend.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ProgramInfo.h"

#include <algorithm>

namespace kt::exec {

using namespace artifact;

namespace {

class Analyzer {
public:
  Analyzer(const ExprGraph &graph, ProgramInfo &info)
      : graph(graph), m(graph.model), info(info), known(m.buffers.size()) {
    for (size_t i = 0; i < m.buffers.size(); ++i)
      known[i] = m.buffers[i].kind == Buffer::Kind::Input || m.buffers[i].kind == Buffer::Kind::Weight;
    info.planned.assign(m.buffers.size(), 0);
    info.lifetimes.assign(m.buffers.size(), {-1, -1});
  }

  void run() {
    std::vector<BufferId> kept;
    for (const Port &port : m.outputs)
      kept.push_back(port.buffer);
    block(m.program, info.top, kept, 0);
    for (size_t b = 0; b < m.buffers.size(); ++b)
      if (m.buffers[b].kind == Buffer::Kind::Temporary || m.buffers[b].kind == Buffer::Kind::Output)
        info.straight = info.straight && (info.planned[b] || !everDefinedByWrite(b));
    extend();
    findPrologue();
    findOutputRoots();
  }

private:
  /// Calls `f` with the buffers that an instruction itself reads or writes, those of nested blocks included.
  template <typename F> void forEachUse(const Instruction &instruction, F f) {
    auto all = [&](const std::vector<BufferId> &ids) {
      for (BufferId id : ids)
        f(id);
    };
    auto nested = [&](const Block &b) {
      for (const Instruction &i : b.instructions)
        forEachUse(i, f);
    };
    if (auto *i = std::get_if<Launch>(&instruction)) {
      all(i->buffers);
    } else if (auto *i = std::get_if<Copy>(&instruction)) {
      f(i->src);
      f(i->dst);
    } else if (auto *i = std::get_if<ReadScalar>(&instruction)) {
      f(i->buffer);
    } else if (auto *i = std::get_if<Alias>(&instruction)) {
      f(i->source);
      f(i->result);
    } else if (auto *i = std::get_if<If>(&instruction)) {
      nested(*i->then);
      nested(*i->otherwise);
      all(i->thenYields);
      all(i->otherwiseYields);
      all(i->results);
    } else if (auto *i = std::get_if<Loop>(&instruction)) {
      all(i->init);
      all(i->carried);
      nested(*i->body);
      all(i->next);
      all(i->scanPieces);
      all(i->results);
      all(i->scan);
    }
  }

  /// The buffers whose memory may live on under the names that an instruction results in.
  template <typename F> void forEachEscape(const Instruction &instruction, F f) {
    auto nested = [&](const Block &b) {
      for (const Instruction &i : b.instructions)
        forEachEscape(i, f);
    };
    auto all = [&](const std::vector<BufferId> &ids) {
      for (BufferId id : ids)
        f(id);
    };
    if (auto *i = std::get_if<Alias>(&instruction)) {
      f(i->source);
    } else if (auto *i = std::get_if<If>(&instruction)) {
      nested(*i->then);
      nested(*i->otherwise);
      all(i->thenYields);
      all(i->otherwiseYields);
    } else if (auto *i = std::get_if<Loop>(&instruction)) {
      all(i->init);
      nested(*i->body);
      all(i->next);
    }
  }

  bool everDefinedByWrite(size_t b) const { return known[b] && written[b]; }

  void define(BufferId id, BlockInfo &owner, InstructionInfo &at, size_t index, unsigned depth) {
    if (known[id])
      return;
    known[id] = true;
    written[id] = true;
    owner.defined.push_back(id);
    at.defines.push_back(id);
    if (depth == 0 && graph.early[m.buffers[id].bytes]) {
      info.planned[id] = 1;
      info.lifetimes[id] = {static_cast<int64_t>(index), static_cast<int64_t>(index)};
    }
  }

  void share(const std::vector<BufferId> &ids, BlockInfo &owner) {
    for (BufferId id : ids) {
      known[id] = true;
      owner.defined.push_back(id);
    }
  }

  void block(const Block &b, BlockInfo &own, const std::vector<BufferId> &kept, unsigned depth) {
    own.instructions.resize(b.instructions.size());
    for (size_t i = 0; i < b.instructions.size(); ++i) {
      const Instruction &instruction = b.instructions[i];
      InstructionInfo &at = own.instructions[i];
      if (auto *launch = std::get_if<Launch>(&instruction)) {
        at.launch = info.numLaunches++;
        info.launchAt.push_back(depth == 0 ? static_cast<int64_t>(i) : -1);
        bool early = std::all_of(launch->ints.begin(), launch->ints.end(), [&](ExprId id) { return graph.early[id]; });
        info.launchIsEarly.push_back(early);
        info.straight = info.straight && early;
        const Kernel &kernel = m.kernels[launch->kernel];
        for (size_t k = kernel.numBuffers - kernel.numResults; k < launch->buffers.size(); ++k)
          define(launch->buffers[k], own, at, i, depth);
      } else if (auto *copy = std::get_if<Copy>(&instruction)) {
        define(copy->dst, own, at, i, depth);
      } else if (auto *alias = std::get_if<Alias>(&instruction)) {
        share({alias->result}, own);
      } else if (auto *branch = std::get_if<If>(&instruction)) {
        info.straight = false;
        at.blocks.resize(2);
        block(*branch->then, at.blocks[0], branch->thenYields, depth + 1);
        block(*branch->otherwise, at.blocks[1], branch->otherwiseYields, depth + 1);
        share(branch->results, own);
      } else if (auto *loop = std::get_if<Loop>(&instruction)) {
        info.straight = false;
        at.blocks.resize(1);
        share(loop->carried, at.blocks[0]);
        std::vector<BufferId> bodyKept = loop->next;
        bodyKept.insert(bodyKept.end(), loop->scanPieces.begin(), loop->scanPieces.end());
        block(*loop->body, at.blocks[0], bodyKept, depth + 1);
        share(loop->results, own);
        share(loop->scan, own);
      } else if (std::holds_alternative<ReadScalar>(instruction)) {
        info.straight = false;
      }
    }
    findReleases(b, own, kept);
  }

  void findReleases(const Block &b, BlockInfo &own, const std::vector<BufferId> &kept) {
    constexpr size_t kUnused = SIZE_MAX - 1, kKept = SIZE_MAX - 2;
    for (BufferId id : own.defined)
      lastUse[id] = kUnused;
    for (size_t i = 0; i < b.instructions.size(); ++i)
      forEachUse(b.instructions[i], [&](BufferId id) {
        if (lastUse[id] != kForeign)
          lastUse[id] = i;
      });
    for (BufferId id : kept)
      if (lastUse[id] != kForeign)
        lastUse[id] = kKept;
    for (BufferId id : own.defined)
      if (lastUse[id] < b.instructions.size())
        own.instructions[lastUse[id]].releases.push_back(id);
    for (BufferId id : own.defined) // as the next block expects to find it
      lastUse[id] = kForeign;
  }

  /// Ends of lifetimes: of names first, then back from results to what they may share memory with.
  void extend() {
    const auto &instructions = m.program.instructions;
    std::vector<int64_t> end(m.buffers.size(), -1);
    for (size_t i = 0; i < instructions.size(); ++i)
      forEachUse(instructions[i], [&](BufferId id) { end[id] = static_cast<int64_t>(i); });
    for (const Port &port : m.outputs)
      end[port.buffer] = kForever;
    for (size_t i = instructions.size(); i-- > 0;) {
      int64_t latest = -1;
      if (auto *alias = std::get_if<Alias>(&instructions[i]))
        latest = end[alias->result];
      else if (auto *branch = std::get_if<If>(&instructions[i]))
        for (BufferId id : branch->results)
          latest = std::max(latest, end[id]);
      else if (auto *loop = std::get_if<Loop>(&instructions[i]))
        for (BufferId id : loop->results)
          latest = std::max(latest, end[id]);
      if (latest >= 0)
        forEachEscape(instructions[i], [&](BufferId id) { end[id] = std::max(end[id], latest); });
    }
    for (size_t b = 0; b < m.buffers.size(); ++b)
      if (info.planned[b] || m.buffers[b].kind == Buffer::Kind::Input)
        info.lifetimes[b].end = std::max(info.lifetimes[b].end, end[b]);
  }

  void findPrologue() {
    const auto &instructions = m.program.instructions;
    info.definedOnce.assign(m.buffers.size(), 0);
    std::vector<bool> usedInRuns(m.buffers.size());
    size_t last = 0; // behind the last launch of the prologue
    for (uint32_t i = 0; i < instructions.size(); ++i) {
      auto *launch = std::get_if<Launch>(&instructions[i]);
      auto *check = std::get_if<Assert>(&instructions[i]);
      if (launch && launch->once) {
        for (BufferId id : info.top.instructions[i].defines)
          info.definedOnce[id] = 1;
        info.prologue.push_back(i);
        last = info.prologue.size();
        continue;
      }
      if (check && graph.early[check->lhs] && graph.early[check->rhs])
        info.prologue.push_back(i);
      forEachUse(instructions[i], [&](BufferId id) { usedInRuns[id] = true; });
    }
    info.prologue.resize(last);
    for (const Port &port : m.outputs)
      usedInRuns[port.buffer] = true;
    for (BufferId id = 0; id < m.buffers.size(); ++id)
      if (info.definedOnce[id] && usedInRuns[id])
        info.kept.push_back(id);
  }

  void findOutputRoots() {
    std::vector<BufferId> sources(m.buffers.size(), kNone);
    for (const Instruction &instruction : m.program.instructions)
      if (auto *alias = std::get_if<Alias>(&instruction))
        sources[alias->result] = alias->source;
    for (const Port &port : m.outputs) {
      BufferId root = port.buffer;
      while (sources[root] != kNone)
        root = sources[root];
      bool own = info.planned[root] &&
                 std::find(info.outputRoots.begin(), info.outputRoots.end(), root) == info.outputRoots.end();
      info.outputRoots.push_back(own ? root : kNone);
    }
  }

  const ExprGraph &graph;
  const Model &m;
  ProgramInfo &info;
  std::vector<bool> known;
  std::vector<bool> written = std::vector<bool>(m.buffers.size());
  static constexpr size_t kForeign = SIZE_MAX; // not defined by the block at hand
  std::vector<size_t> lastUse = std::vector<size_t>(m.buffers.size(), kForeign);
};

} // namespace

ProgramInfo::ProgramInfo(const ExprGraph &graph) { Analyzer(graph, *this).run(); }

Lifetime ProgramInfo::lifetimeInPrologue(BufferId id) const {
  bool isKept = std::binary_search(kept.begin(), kept.end(), id);
  return {timeInPrologue(lifetimes[id].begin), isKept ? kForever : timeInPrologue(lifetimes[id].end)};
}

} // namespace kt::exec
