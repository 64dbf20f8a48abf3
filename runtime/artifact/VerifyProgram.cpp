//===- VerifyProgram.cpp - the program of a model -------------------------===//
//
// Walks the program once in order: what is used has been defined in this block or one around it, what is written may be
// written, symbols are set on every path before they are read, and a slice names the weights that its instructions
// touch.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Container.h"
#include "runtime/artifact/Verifier.h"

namespace kt::artifact {
namespace {

std::string number(uint64_t value) { return std::to_string(value); }

class ProgramVerifier {
public:
  explicit ProgramVerifier(const Model &m)
      : m(m), states(m.buffers.size()), ready(m.exprs.size()), set(m.symbols.size()), early(m.exprs.size()) {
    for (ExprId id = 0; id < m.exprs.size(); ++id) {
      const Expr &e = m.exprs[id];
      const ExprId operands[] = {e.a, e.b, e.c};
      early[id] = e.op != Expr::Op::Symbol || m.symbols[e.imm].isGiven();
      for (unsigned k = 0; k < arity(e.op); ++k)
        early[id] = early[id] && early[operands[k]];
    }
    sliceWeights.resize(m.weights.size());
    setByThen.resize(m.symbols.size());
    readBy.resize(m.buffers.size());
    for (size_t i = 0; i < m.symbols.size(); ++i)
      set[i] = m.symbols[i].isGiven();
    for (BufferId i = 0; i < m.buffers.size(); ++i) {
      states[i].root = i;
      if (m.buffers[i].kind == Buffer::Kind::Input || m.buffers[i].kind == Buffer::Kind::Weight) {
        states[i].live = states[i].everDefined = true;
        states[i].frozen = true;
      }
    }
  }

  Status verify() {
    size_t slice = 0;
    for (size_t i = 0; i < m.program.instructions.size(); ++i) {
      while (slice < m.slices.size() && i >= m.slices[slice].end)
        enterSlice(++slice);
      if (i == 0)
        enterSlice(slice);
      if (Status status = check(m.program.instructions[i], 0); !status.ok())
        return std::move(status).in("instruction " + number(i));
    }
    for (const Port &port : m.outputs) {
      std::string what = "output '" + port.name + "'";
      if (!states[port.buffer].live)
        return Status::rejected(what + " is in buffer " + number(port.buffer) + ", which the program does not define");
      for (ExprId dim : port.dims)
        KT_RETURN_IF_ERROR(known(dim, "a dimension of " + what));
      for (const KeptTensor &kept : port.kept)
        if (!states[kept.buffer].live)
          return Status::rejected("what a session keeps of " + what + " is in buffer " + number(kept.buffer) +
                                  ", which the program does not define");
    }
    return {};
  }

private:
  /// What is known of a buffer at the current point.
  struct State {
    BufferId root = kNone;    // whose memory this is; itself unless an alias
    bool live = false;        // defined here or in a block around
    bool everDefined = false; // in any block so far
    bool frozen = false;      // may share memory with a buffer of another name, or is read-only: no more writes
    bool once = false;        // a launch that a plan does once for its runs defined it
    uint64_t defined = 0, lastWrite = 0; // when, by `clock`
  };

  static Status reject(std::string message) { return Status::rejected(std::move(message)); }

  void enterSlice(size_t slice) {
    auto mark = [&](size_t of, bool named) {
      if (of < m.slices.size())
        for (WeightId weight : m.slices[of].weights)
          sliceWeights[weight] = named;
    };
    mark(currentSlice, false);
    mark(slice, true);
    currentSlice = slice;
  }

  Status inRange(BufferId id) {
    if (id < m.buffers.size())
      return {};
    return reject("buffer " + number(id) + " but there are " + number(m.buffers.size()));
  }

  Status use(BufferId id) {
    KT_RETURN_IF_ERROR(inRange(id));
    if (!states[id].live)
      return reject("buffer " + number(id) + " is used before it is defined");
    const Buffer &root = m.buffers[states[id].root];
    if (root.kind == Buffer::Kind::Weight && !m.slices.empty() && !sliceWeights[root.weight])
      return reject("weight " + number(root.weight) + " is used but slice " + number(currentSlice) +
                    " does not name it");
    return {};
  }

  void markDefined(BufferId id, BufferId root, bool frozen) {
    states[id].root = root;
    states[id].live = states[id].everDefined = true;
    states[id].frozen = frozen;
    states[id].defined = states[id].lastWrite = ++clock;
    trailBuffers.push_back(id);
  }

  /// A definition that names existing memory: by an alias, a branch, a loop.
  Status defineShared(BufferId id, BufferId root, bool frozen) {
    KT_RETURN_IF_ERROR(inRange(id));
    if (states[id].everDefined)
      return reject("buffer " + number(id) + " is defined twice");
    markDefined(id, root == kNone ? id : root, frozen);
    return {};
  }

  /// A write by a launch or a copy. The first one defines the buffer.
  Status write(BufferId id) {
    KT_RETURN_IF_ERROR(inRange(id));
    if (states[id].live) {
      State &root = states[states[id].root];
      if (root.frozen)
        return reject("buffer " + number(id) + " is written but is read-only or shares memory with another");
      root.lastWrite = ++clock;
      return {};
    }
    if (states[id].everDefined)
      return reject("buffer " + number(id) + " is defined in two blocks");
    KT_RETURN_IF_ERROR(known(m.buffers[id].bytes, "the size of buffer " + number(id)));
    markDefined(id, id, false);
    return {};
  }

  void freeze(BufferId id) { states[states[id].root].frozen = true; }

  /// Whether every symbol under an expression is set; marks what is, so that a node is walked once a scope.
  bool allSet(ExprId top) {
    std::vector<ExprId> stack{top};
    while (!stack.empty()) {
      ExprId id = stack.back();
      if (ready[id]) {
        stack.pop_back();
        continue;
      }
      const Expr &e = m.exprs[id];
      if (e.op == Expr::Op::Symbol && !set[e.imm]) {
        missing = m.symbols[e.imm].name;
        return false;
      }
      const ExprId operands[] = {e.a, e.b, e.c};
      bool waiting = false;
      for (unsigned k = 0; k < arity(e.op); ++k)
        if (!ready[operands[k]]) {
          stack.push_back(operands[k]);
          waiting = true;
        }
      if (!waiting) {
        ready[id] = true;
        trailExprs.push_back(id);
        stack.pop_back();
      }
    }
    return true;
  }

  Status known(ExprId id, const std::string &what) {
    if (id >= m.exprs.size())
      return reject(what + " is expression " + number(id) + " but there are " + number(m.exprs.size()));
    if (!allSet(id))
      return reject(what + " depends on symbol '" + missing + "', which is not set on every path to here");
    return {};
  }
  Status knownOrNone(ExprId id, const std::string &what) { return id == kNone ? Status() : known(id, what); }

  Status setSymbol(SymbolId id, Symbol::Kind kind) {
    if (id >= m.symbols.size())
      return reject("symbol " + number(id) + " but there are " + number(m.symbols.size()));
    if (m.symbols[id].kind != kind)
      return reject("symbol '" + m.symbols[id].name + "' is set but is not of the kind that is set here");
    if (!set[id]) {
      set[id] = true;
      trailSymbols.push_back(id);
    }
    return {};
  }

  struct Mark {
    size_t buffers, exprs, symbols;
  };
  Mark enter() const { return {trailBuffers.size(), trailExprs.size(), trailSymbols.size()}; }
  /// Forgets what was defined since `mark`; answers the symbols that were set.
  std::vector<SymbolId> leave(Mark mark) {
    for (; trailBuffers.size() > mark.buffers; trailBuffers.pop_back())
      states[trailBuffers.back()].live = false;
    for (; trailExprs.size() > mark.exprs; trailExprs.pop_back())
      ready[trailExprs.back()] = false;
    std::vector<SymbolId> symbols(trailSymbols.begin() + mark.symbols, trailSymbols.end());
    trailSymbols.resize(mark.symbols);
    for (SymbolId symbol : symbols)
      set[symbol] = false;
    return symbols;
  }

  Status checkBlock(const Block &block, uint32_t depth) {
    if (depth > kMaxNesting)
      return reject("blocks nest deeper than " + number(kMaxNesting));
    for (size_t i = 0; i < block.instructions.size(); ++i)
      if (Status status = check(block.instructions[i], depth); !status.ok())
        return std::move(status).in("instruction " + number(i));
    return {};
  }

  Status check(const Instruction &instruction, uint32_t depth) {
    return std::visit([&](const auto &i) { return check(i, depth); }, instruction);
  }

  Status checkNode(uint32_t node) {
    if (node == kNone || node < m.nodes.size())
      return {};
    return reject("node " + number(node) + " but there are " + number(m.nodes.size()));
  }

  Status check(const Launch &i, uint32_t depth) {
    if (i.kernel >= m.kernels.size())
      return reject("kernel " + number(i.kernel) + " but there are " + number(m.kernels.size()));
    const Kernel &kernel = m.kernels[i.kernel];
    if (i.buffers.size() != kernel.numBuffers || i.ints.size() != kernel.numInts)
      return reject("kernel '" + kernel.name + "' is launched with " + number(i.buffers.size()) + " buffers and " +
                    number(i.ints.size()) + " integers, expected " + number(kernel.numBuffers) + " and " +
                    number(kernel.numInts));
    KT_RETURN_IF_ERROR(checkNode(i.node));
    size_t reads = kernel.numBuffers - kernel.numResults;
    uint64_t launch = ++clock;
    for (size_t k = 0; k < reads; ++k) {
      KT_RETURN_IF_ERROR(use(i.buffers[k]));
      readBy[states[i.buffers[k]].root] = launch;
    }
    // Code is built on it that what a launch writes is nothing else that it sees.
    for (size_t k = reads; k < i.buffers.size(); ++k) {
      KT_RETURN_IF_ERROR(write(i.buffers[k]));
      uint64_t &seen = readBy[states[i.buffers[k]].root];
      if (seen == launch)
        return reject("kernel '" + kernel.name + "' writes buffer " + number(i.buffers[k]) +
                      ", which it also reads or writes under another name");
      seen = launch;
    }
    for (ExprId id : i.ints)
      KT_RETURN_IF_ERROR(known(id, "an integer argument"));
    return i.once ? checkOnce(i, launch, depth) : Status();
  }

  /// What a plan does once may not depend on anything that a run brings, nor may a run write over it. The launch began
  /// at `began` and is sound otherwise.
  Status checkOnce(const Launch &i, uint64_t began, uint32_t depth) {
    const Kernel &kernel = m.kernels[i.kernel];
    std::string what = "kernel '" + kernel.name + "' is launched once a plan";
    if (depth > 0)
      return reject(what + " but not at the top level");
    if (kernel.reportsFaults)
      return reject(what + " but may report faults");
    size_t reads = kernel.numBuffers - kernel.numResults;
    for (size_t k = 0; k < reads; ++k)
      if (m.buffers[i.buffers[k]].kind != Buffer::Kind::Weight && !states[i.buffers[k]].once)
        return reject(what + " but reads buffer " + number(i.buffers[k]) + ", which may differ from run to run");
    for (size_t k = reads; k < i.buffers.size(); ++k) {
      State &state = states[i.buffers[k]];
      if (state.defined < began)
        return reject(what + " but buffer " + number(i.buffers[k]) + " has been written before");
      state.once = state.frozen = true;
      if (!early[m.buffers[i.buffers[k]].bytes])
        return reject(what + " but the size of buffer " + number(i.buffers[k]) + " is not one of inputs");
    }
    for (ExprId id : i.ints)
      if (!early[id])
        return reject(what + " but an integer argument does not follow from the sizes of inputs");
    return {};
  }

  Status check(const Copy &i, uint32_t) {
    KT_RETURN_IF_ERROR(use(i.src));
    KT_RETURN_IF_ERROR(write(i.dst));
    if (states[i.src].root == states[i.dst].root)
      return reject("a copy reads and writes buffer " + number(i.dst));
    KT_RETURN_IF_ERROR(knownOrNone(i.srcOffset, "the source offset"));
    KT_RETURN_IF_ERROR(knownOrNone(i.dstOffset, "the destination offset"));
    return known(i.bytes, "the number of bytes");
  }

  Status check(const ReadScalar &i, uint32_t) {
    KT_RETURN_IF_ERROR(use(i.buffer));
    if (!isReadable(i.type))
      return reject(std::string("a scalar of type ") + name(i.type) + " cannot be read");
    KT_RETURN_IF_ERROR(knownOrNone(i.index, "the index"));
    return setSymbol(i.symbol, Symbol::Kind::Data);
  }

  Status check(const SetSymbol &i, uint32_t) {
    KT_RETURN_IF_ERROR(known(i.value, "the value"));
    return setSymbol(i.symbol, Symbol::Kind::Data);
  }

  Status check(const Assert &i, uint32_t) {
    KT_RETURN_IF_ERROR(known(i.lhs, "the left side"));
    KT_RETURN_IF_ERROR(known(i.rhs, "the right side"));
    return checkNode(i.node);
  }

  Status check(const If &i, uint32_t depth) {
    if (!i.then || !i.otherwise)
      return reject("a branch has no block");
    if (i.results.size() != i.thenYields.size() || i.results.size() != i.otherwiseYields.size())
      return reject("a branch has " + number(i.results.size()) + " results but its blocks yield " +
                    number(i.thenYields.size()) + " and " + number(i.otherwiseYields.size()));
    KT_RETURN_IF_ERROR(known(i.condition, "the condition"));
    auto side = [&](const Block &block, const std::vector<BufferId> &yields, std::vector<SymbolId> &symbols) -> Status {
      Mark mark = enter();
      KT_RETURN_IF_ERROR(checkBlock(block, depth + 1));
      for (BufferId id : yields)
        KT_RETURN_IF_ERROR(use(id));
      symbols = leave(mark);
      return {};
    };
    std::vector<SymbolId> thenSet, otherwiseSet;
    KT_RETURN_IF_ERROR(side(*i.then, i.thenYields, thenSet));
    KT_RETURN_IF_ERROR(side(*i.otherwise, i.otherwiseYields, otherwiseSet));
    for (BufferId id : i.thenYields)
      freeze(id);
    for (BufferId id : i.otherwiseYields)
      freeze(id);
    uint64_t now = ++clock; // a mark that no other branch has left
    for (SymbolId symbol : thenSet)
      setByThen[symbol] = now;
    for (SymbolId symbol : otherwiseSet)
      if (setByThen[symbol] == now)
        KT_RETURN_IF_ERROR(setSymbol(symbol, m.symbols[symbol].kind));
    for (BufferId id : i.results)
      KT_RETURN_IF_ERROR(defineShared(id, kNone, true));
    return {};
  }

  Status check(const Loop &i, uint32_t depth) {
    if (!i.body)
      return reject("a loop has no body");
    if (i.init.size() != i.carried.size() || i.init.size() != i.next.size() || i.init.size() != i.results.size())
      return reject("a loop carries " + number(i.carried.size()) + " buffers but starts with " + number(i.init.size()) +
                    ", hands on " + number(i.next.size()) + " and results in " + number(i.results.size()));
    if (i.scan.size() != i.scanPieces.size() || i.scan.size() != i.scanReverse.size())
      return reject("a loop has " + number(i.scan.size()) + " scan outputs but " + number(i.scanPieces.size()) +
                    " pieces and " + number(i.scanReverse.size()) + " directions");
    for (uint8_t reverse : i.scanReverse)
      if (reverse > 1 || (reverse && (i.trips == kNone || i.condition != kNone)))
        return reject("a scan output is stored in reverse but the number of iterations is not known beforehand");
    KT_RETURN_IF_ERROR(knownOrNone(i.trips, "the number of trips"));
    for (BufferId id : i.init) {
      KT_RETURN_IF_ERROR(use(id));
      freeze(id);
    }
    Mark mark = enter();
    uint64_t start = ++clock;
    if (i.induction != kNone)
      KT_RETURN_IF_ERROR(setSymbol(i.induction, Symbol::Kind::Induction));
    KT_RETURN_IF_ERROR(knownOrNone(i.condition, "the condition"));
    for (BufferId id : i.carried)
      KT_RETURN_IF_ERROR(defineShared(id, kNone, true));
    KT_RETURN_IF_ERROR(checkBlock(*i.body, depth + 1));
    for (BufferId id : i.next) {
      KT_RETURN_IF_ERROR(use(id));
      // What the body defines is new in each iteration; what is around it must not change under the carried name.
      const State &root = states[states[id].root];
      if (root.defined < start && !root.frozen && root.lastWrite > start)
        return reject("buffer " + number(id) + " is carried on and also written by the body of its loop");
    }
    for (BufferId id : i.scanPieces)
      KT_RETURN_IF_ERROR(use(id));
    leave(mark);
    for (BufferId id : i.next)
      freeze(id);
    if (i.iterations != kNone)
      KT_RETURN_IF_ERROR(setSymbol(i.iterations, Symbol::Kind::Data));
    for (BufferId id : i.results)
      KT_RETURN_IF_ERROR(defineShared(id, kNone, true));
    for (BufferId id : i.scan) {
      KT_RETURN_IF_ERROR(defineShared(id, kNone, true));
      KT_RETURN_IF_ERROR(known(m.buffers[id].bytes, "the size of buffer " + number(id)));
    }
    return {};
  }

  Status check(const Alias &i, uint32_t) {
    KT_RETURN_IF_ERROR(use(i.source));
    return defineShared(i.result, states[i.source].root, states[i.source].frozen);
  }

  const Model &m;
  std::vector<State> states;
  std::vector<bool> ready, set, sliceWeights;
  std::vector<bool> early;                 // by expression: it follows from the sizes of inputs
  std::vector<uint64_t> setByThen, readBy; // by symbol and buffer: the mark of whoever was last
  std::vector<BufferId> trailBuffers;
  std::vector<ExprId> trailExprs;
  std::vector<SymbolId> trailSymbols;
  std::string missing;
  size_t currentSlice = 0;
  uint64_t clock = 0;
};

} // namespace

Status verifyProgram(const Model &model) { return ProgramVerifier(model).verify(); }

} // namespace kt::artifact
