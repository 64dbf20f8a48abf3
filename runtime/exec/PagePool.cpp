//===- PagePool.cpp - memory in pages for what sessions keep --------------===//

#include "runtime/exec/PagePool.h"
#include "runtime/artifact/Print.h"
#include "runtime/exec/Executor.h"

#include <algorithm>
#include <map>

namespace kt::exec {

using namespace artifact;

namespace {

/// Follows states through a program: who reads or writes one has to have code for pages.
class Readers {
public:
  Readers(const Program &program) : program(program), m(program.model()) {}
  /// `buffer` is memory of the state that input `input` has.
  void add(BufferId buffer, uint32_t input) { states[buffer] = input; }

  Status check(const Block &block) {
    for (const Instruction &instruction : block.instructions)
      KT_RETURN_IF_ERROR(std::visit([&](const auto &i) { return step(i); }, instruction));
    return {};
  }

private:
  std::string text(BufferId buffer) const {
    return "input '" + escaped(m.inputs[states.at(buffer)].name) + "' cannot be kept in pages: ";
  }
  Status otherwise(std::span<const BufferId> buffers, const char *what) const {
    for (BufferId b : buffers)
      if (states.contains(b))
        return Status::usage(text(b) + what + " hands it on");
    return {};
  }

  Status step(const Launch &i) {
    const auto &own = program.pagedCandidates[i.kernel];
    for (BufferId b : i.buffers)
      if (states.contains(b) && own.empty())
        return Status::usage(text(b) + (i.node == kNone ? "" : "node '" + escaped(m.nodes[i.node]) + "': ") +
                             "kernel '" + escaped(m.kernels[i.kernel].name) + "' has no code for pages");
    return {};
  }
  Status step(const Alias &i) {
    if (auto state = states.find(i.source); state != states.end())
      states.emplace(i.result, state->second);
    return {};
  }
  Status step(const Copy &i) { return otherwise(std::array{i.src, i.dst}, "a copy"); }
  Status step(const ReadScalar &i) { return otherwise(std::array{i.buffer}, "a number that is read"); }
  Status step(const SetSymbol &) { return {}; }
  Status step(const Assert &) { return {}; }
  Status step(const If &i) {
    KT_RETURN_IF_ERROR(check(*i.then));
    KT_RETURN_IF_ERROR(check(*i.otherwise));
    for (auto *list : {&i.results, &i.thenYields, &i.otherwiseYields})
      KT_RETURN_IF_ERROR(otherwise(*list, "a branch"));
    return {};
  }
  Status step(const Loop &i) {
    KT_RETURN_IF_ERROR(check(*i.body));
    for (auto *list : {&i.init, &i.carried, &i.next, &i.results, &i.scanPieces, &i.scan})
      KT_RETURN_IF_ERROR(otherwise(*list, "a loop"));
    return {};
  }

  const Program &program;
  const Model &m;
  std::map<BufferId, uint32_t> states;
};

} // namespace

Result<std::shared_ptr<PagePool>> PagePool::create(Program &program, uint64_t pages) {
  if (pages == 0 || pages > uint64_t(1) << 30)
    return Status::usage("a pool of " + std::to_string(pages) + " pages: expected 1 to 2^30");
  std::shared_ptr<PagePool> pool(new PagePool(program, pages));
  KT_RETURN_IF_ERROR(pool->findStates());
  KT_RETURN_IF_ERROR(pool->allocate());
  pool->holders.resize(pages);
  for (uint64_t i = pages; i-- > 0;)
    pool->free.push_back(static_cast<Page>(i));
  return pool;
}

Status PagePool::findStates() {
  const Model &m = program.model();
  Readers readers(program);
  const Port *first = nullptr;
  for (uint32_t i = 0; i < m.outputs.size(); ++i) {
    const Port &to = m.outputs[i];
    if (to.tied == kNone || !grows(m, to))
      continue;
    const Port &from = m.inputs[to.tied];
    Status no = Status::usage("input '" + escaped(from.name) + "' cannot be kept in pages: ");
    auto pageBytes = [&](DType type, const std::vector<ExprId> &dims) -> Result<uint64_t> {
      std::vector<int64_t> page(dims.size(), 1);
      for (size_t d = 1; d < dims.size(); ++d)
        if (const Expr &dim = m.exprs[dims[d]]; d == to.axis)
          page[d] = kPageRows;
        else if (dim.op == Expr::Op::Const)
          page[d] = dim.imm;
        else
          return Status::usage(no.message() + "dimension " + std::to_string(d) + " is no constant");
      auto bytes = tensorBytes(type, page);
      if (to.axis == 0 || !bytes)
        return Status::usage(no.message() + "it grows along its first dimension, or is too large");
      return *bytes;
    };
    if (!first)
      first = &from;
    const Port &other = m.outputs[all.empty() ? i : all.front().output];
    if (!(m.exprs[from.dims[0]] == m.exprs[first->dims[0]]) ||
        !(m.exprs[from.dims[to.axis]] == m.exprs[first->dims[other.axis]]))
      return Status::usage(no.message() + "it has another batch, or another length, than '" + escaped(first->name) +
                           "'");
    auto add = [&](BufferId root, DType type, const std::vector<ExprId> &dims) -> Status {
      auto bytes = pageBytes(type, dims);
      if (!bytes.ok())
        return std::move(bytes).status();
      all.push_back({i, root, nullptr, *bytes});
      if (root != kNone)
        readers.add(root, to.tied);
      return {};
    };
    if (to.kept.empty()) {
      KT_RETURN_IF_ERROR(add(program.info->outputRoots[i], from.type, from.dims));
      readers.add(from.buffer, to.tied);
    }
    for (const KeptTensor &kept : to.kept)
      KT_RETURN_IF_ERROR(add(kept.buffer, kept.type, kept.dims));
  }
  if (all.empty())
    return Status::usage("pages are for states that grow, but no output of the model continues an input in this way");
  return readers.check(m.program);
}

Status PagePool::allocate() {
  std::unique_lock lock(program.residency);
  for (State &state : all) {
    uint64_t size = 0;
    if (__builtin_mul_overflow(state.pageBytes, count + 1, &size))
      return Status::usage("a pool of " + std::to_string(count) + " pages is too large");
    auto fresh = program.account->allocate(size, "a pool of pages");
    if (!fresh.ok()) { // weights make room
      KT_RETURN_IF_ERROR(program.moveWeights(size));
      fresh = program.account->allocate(size, "a pool of pages");
    }
    if (!fresh.ok())
      return std::move(fresh).status();
    state.memory = *fresh;
  }
  return {};
}

PagePool::~PagePool() {
  for (State &state : all)
    program.account->release(state.memory, bytesOf(state));
}

const PagePool::State *PagePool::stateOf(BufferId root) const {
  auto found = std::find_if(all.begin(), all.end(), [&](const State &state) { return state.root == root; });
  return found == all.end() ? nullptr : &*found;
}

uint64_t PagePool::bytes() const {
  uint64_t sum = 0;
  for (const State &state : all)
    sum += bytesOf(state);
  return sum;
}

uint64_t PagePool::unused() const {
  std::lock_guard lock(mutex);
  return free.size();
}

bool PagePool::take(uint64_t wanted, std::vector<Page> &to) {
  std::lock_guard lock(mutex);
  if (wanted > free.size())
    return false;
  for (; wanted; --wanted) {
    to.push_back(free.back());
    holders[free.back()] = 1;
    free.pop_back();
  }
  return true;
}

void PagePool::hold(Page page) {
  std::lock_guard lock(mutex);
  ++holders[page];
}

void PagePool::give(Page page) {
  std::lock_guard lock(mutex);
  if (--holders[page] == 0)
    free.push_back(page);
}

bool PagePool::isShared(Page page) const {
  std::lock_guard lock(mutex);
  return holders[page] > 1;
}

} // namespace kt::exec
