//===- Verifier.cpp - the tables of a model -------------------------------===//
//
// Checks expressions, symbols, buffers, ports, weights, modules, kernels and slices; VerifyProgram.cpp checks the
// program.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Verifier.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

namespace kt::artifact {

unsigned arity(Expr::Op op) {
  switch (op) {
  case Expr::Op::Const:
  case Expr::Op::Symbol:
  case Expr::Op::Fact:
    return 0;
  case Expr::Op::Select:
    return 3;
  default:
    return 2;
  }
}

bool isReadable(DType type) {
  switch (type) {
  case DType::f32:
  case DType::f16:
  case DType::bf16:
  case DType::f64:
  case DType::i8:
  case DType::u8:
  case DType::i16:
  case DType::u16:
  case DType::i32:
  case DType::u32:
  case DType::i64:
  case DType::u64:
  case DType::boolean:
  case DType::i4:
  case DType::u4:
  case DType::i2:
  case DType::u2:
    return true;
  default:
    return false;
  }
}

namespace {

std::string number(uint64_t value) { return std::to_string(value); }
std::string quoted(const std::string &name) { return "'" + name + "'"; }

/// 90 of "sm_90a"; 0 of what is no code for GPUs.
int64_t capabilityOf(const Module &module) {
  constexpr std::string_view kPrefix = "sm_";
  int64_t capability = 0;
  if (module.kind != Module::Kind::HostImage && module.target.starts_with(kPrefix))
    std::from_chars(module.target.data() + kPrefix.size(), module.target.data() + module.target.size(), capability);
  return capability;
}

class TableVerifier {
public:
  explicit TableVerifier(const Model &m) : m(m) {}

  Status verify() {
    KT_RETURN_IF_ERROR(checkExprs(m.exprs, "the model", m.symbols.size(), false));
    KT_RETURN_IF_ERROR(checkSymbols());
    KT_RETURN_IF_ERROR(checkWeights());
    KT_RETURN_IF_ERROR(checkBuffers());
    KT_RETURN_IF_ERROR(checkPorts());
    KT_RETURN_IF_ERROR(checkModules());
    for (const Kernel &kernel : m.kernels)
      if (Status status = checkKernel(kernel); !status.ok())
        return std::move(status).in("kernel " + quoted(kernel.name));
    KT_RETURN_IF_ERROR(checkSites());
    return checkSlices();
  }

private:
  static Status reject(std::string message) { return Status::rejected(std::move(message)); }

  Status checkExprs(const std::vector<Expr> &exprs, const std::string &owner, size_t symbols, bool facts) {
    auto bad = [&](size_t i, const std::string &what) {
      return reject("expression " + number(i) + " of " + owner + " " + what);
    };
    for (size_t i = 0; i < exprs.size(); ++i) {
      const Expr &e = exprs[i];
      if (e.op > Expr::Op::Select)
        return bad(i, "has the unknown operation " + number(static_cast<unsigned>(e.op)));
      if (e.op == Expr::Op::Symbol && (e.imm < 0 || static_cast<uint64_t>(e.imm) >= symbols))
        return bad(i, "is symbol " + std::to_string(e.imm) + " but there are " + number(symbols));
      if (e.op == Expr::Op::Fact && !facts)
        return bad(i, "is a device fact, which only a kernel may ask for");
      if (e.op == Expr::Op::Fact && (e.imm < 0 || e.imm > static_cast<int64_t>(Fact::L2Bytes)))
        return bad(i, "is the unknown device fact " + std::to_string(e.imm));
      const ExprId operands[] = {e.a, e.b, e.c};
      for (unsigned k = 0; k < 3; ++k) {
        if (k < arity(e.op) && operands[k] >= i)
          return bad(i, "has operand " + number(operands[k]) + ", expected a smaller number than its own");
        if (k >= arity(e.op) && operands[k] != kNone)
          return bad(i, "has " + number(k + 1) + " operands or more, expected " + number(arity(e.op)));
      }
    }
    return {};
  }

  Status checkSymbols() {
    for (const Symbol &s : m.symbols) {
      if (s.kind > Symbol::Kind::Capacity)
        return reject("symbol " + quoted(s.name) + " has the unknown kind " + number(static_cast<unsigned>(s.kind)));
      if (s.min > s.max)
        return reject("symbol " + quoted(s.name) + " has the bounds " + std::to_string(s.min) + ".." +
                      std::to_string(s.max));
    }
    return {};
  }

  Status checkType(DType type, const std::string &what) {
    if (type > DType::string)
      return reject(what + " has the unknown element type " + number(static_cast<unsigned>(type)));
    if (type == DType::string)
      return reject(what + " holds strings, which this format version does not carry");
    return {};
  }

  Status checkExpr(ExprId id, const std::string &what) {
    if (id < m.exprs.size())
      return {};
    return reject(what + " is expression " + number(id) + " but there are " + number(m.exprs.size()));
  }

  Status checkWeights() {
    for (size_t i = 0; i < m.weights.size(); ++i) {
      KT_RETURN_IF_ERROR(checkType(m.weights[i].type, "weight " + number(i)));
      for (int64_t dim : m.weights[i].dims)
        if (dim < 0)
          return reject("weight " + number(i) + " has the dimension " + std::to_string(dim));
    }
    return {};
  }

  Status checkBuffers() {
    for (size_t i = 0; i < m.buffers.size(); ++i) {
      const Buffer &buffer = m.buffers[i];
      std::string what = "buffer " + number(i);
      if (buffer.kind > Buffer::Kind::Weight)
        return reject(what + " has the unknown kind " + number(static_cast<unsigned>(buffer.kind)));
      KT_RETURN_IF_ERROR(checkExpr(buffer.bytes, "the size of " + what));
      if (buffer.kind != Buffer::Kind::Weight) {
        if (buffer.weight != kNone)
          return reject(what + " names weight " + number(buffer.weight) + " but is not a weight");
        continue;
      }
      if (buffer.weight >= m.weights.size())
        return reject(what + " is weight " + number(buffer.weight) + " but there are " + number(m.weights.size()));
      const Expr &size = m.exprs[buffer.bytes];
      uint64_t stored = m.weights[buffer.weight].size();
      if (size.op != Expr::Op::Const || static_cast<uint64_t>(size.imm) != stored)
        return reject(what + " has " +
                      (size.op == Expr::Op::Const ? std::to_string(size.imm) : std::string("a variable number of")) +
                      " bytes but weight " + number(buffer.weight) + " has " + number(stored));
    }
    return {};
  }

  Status checkPorts() {
    std::vector<bool> bound(m.symbols.size()), inputBuffers(m.buffers.size());
    std::set<std::string> names;
    for (const Port &p : m.inputs) {
      KT_RETURN_IF_ERROR(checkPort(p, "input " + quoted(p.name)));
      if (!names.insert(p.name).second)
        return reject("two inputs are called " + quoted(p.name));
      if (m.buffers[p.buffer].kind != Buffer::Kind::Input)
        return reject("input " + quoted(p.name) + " is in buffer " + number(p.buffer) + ", which is no input buffer");
      if (inputBuffers[p.buffer])
        return reject("input " + quoted(p.name) + " shares buffer " + number(p.buffer) + " with another");
      inputBuffers[p.buffer] = true;
      for (ExprId dim : p.dims)
        if (m.exprs[dim].op == Expr::Op::Symbol)
          bound[m.exprs[dim].imm] = true;
    }
    names.clear();
    for (const Port &p : m.outputs) {
      KT_RETURN_IF_ERROR(checkPort(p, "output " + quoted(p.name)));
      if (!names.insert(p.name).second)
        return reject("two outputs are called " + quoted(p.name));
    }
    for (size_t i = 0; i < m.buffers.size(); ++i)
      if (m.buffers[i].kind == Buffer::Kind::Input && !inputBuffers[i])
        return reject("buffer " + number(i) + " is an input buffer but no input is in it");
    for (size_t i = 0; i < m.symbols.size(); ++i)
      if (m.symbols[i].kind == Symbol::Kind::Input && !bound[i])
        return reject("no input's shape binds symbol " + quoted(m.symbols[i].name));
    return checkInputDims();
  }

  /// Shapes of inputs are known before the program runs, so they depend on input symbols only.
  Status checkInputDims() {
    std::vector<bool> early(m.exprs.size());
    for (size_t i = 0; i < m.exprs.size(); ++i) {
      const Expr &e = m.exprs[i];
      const ExprId operands[] = {e.a, e.b, e.c};
      early[i] = e.op != Expr::Op::Symbol || m.symbols[e.imm].isGiven();
      for (unsigned k = 0; k < arity(e.op); ++k)
        early[i] = early[i] && early[operands[k]];
    }
    for (const Port &p : m.inputs) {
      for (ExprId dim : p.dims)
        if (!early[dim])
          return reject("a dimension of input " + quoted(p.name) + " depends on what the program computes");
      if (!early[m.buffers[p.buffer].bytes])
        return reject("the size of input " + quoted(p.name) + " depends on what the program computes");
    }
    return checkTied(early);
  }

  /// What a session keeps is known before a run, and each input belongs to one output.
  Status checkTied(const std::vector<bool> &early) {
    std::vector<bool> taken(m.inputs.size());
    for (const Port &p : m.outputs) {
      if (p.tied == kNone)
        continue;
      std::string what = "output " + quoted(p.name);
      if (p.tied >= m.inputs.size())
        return reject(what + " continues input " + number(p.tied) + " but there are " + number(m.inputs.size()));
      const Port &from = m.inputs[p.tied];
      if (taken[p.tied])
        return reject("two outputs continue input " + quoted(from.name));
      taken[p.tied] = true;
      bool alike =
          from.type == p.type && from.dims.size() == p.dims.size() && (p.axis == kNone || p.axis < p.dims.size());
      for (size_t d = 0; alike && d < p.dims.size(); ++d)
        alike = m.exprs[from.dims[d]] == m.exprs[p.dims[d]] ||
                (d == p.axis && m.exprs[from.dims[d]].op == Expr::Op::Symbol && early[p.dims[d]]);
      if (!alike)
        return reject(what + " continues input " + quoted(from.name) + ", which is not of its shape");
      if (m.buffers[p.buffer].kind != Buffer::Kind::Output)
        return reject(what + " continues an input but is in no buffer of its own");
    }
    return checkKept(early);
  }

  /// What is kept in another form is known before a run as well, and no two are one piece of memory.
  Status checkKept(const std::vector<bool> &early) {
    std::vector<bool> taken(m.buffers.size());
    for (const Port &p : m.inputs)
      if (!p.kept.empty())
        return reject("input " + quoted(p.name) + " says how a session keeps it, which outputs do");
    for (const Port &p : m.outputs) {
      std::string what = "what a session keeps of output " + quoted(p.name);
      if (!p.kept.empty() && (p.tied == kNone || !grows(m, p)))
        return reject("output " + quoted(p.name) + " says how a session keeps it but continues no input");
      for (const KeptTensor &k : p.kept) {
        KT_RETURN_IF_ERROR(checkType(k.type, what));
        bool alike = k.dims.size() == p.dims.size();
        for (size_t d = 0; alike && d < k.dims.size(); ++d) {
          KT_RETURN_IF_ERROR(checkExpr(k.dims[d], "a dimension of " + what));
          const Expr &dim = m.exprs[k.dims[d]], &given = m.exprs[m.inputs[p.tied].dims[d]];
          alike = early[k.dims[d]] &&
                  (d == p.axis || dim == given || (dim.op == Expr::Op::Const && given.op == Expr::Op::Const));
        }
        if (!alike)
          return reject(what + " is not of its shape");
        if (k.buffer >= m.buffers.size())
          return reject(what + " is in buffer " + number(k.buffer) + " but there are " + number(m.buffers.size()));
        if (m.buffers[k.buffer].kind != Buffer::Kind::Temporary || !early[m.buffers[k.buffer].bytes])
          return reject(what + " is in buffer " + number(k.buffer) + ", which is no temporary of a known size");
        if (taken[k.buffer])
          return reject(what + " is in buffer " + number(k.buffer) + ", which keeps something else");
        taken[k.buffer] = true;
      }
    }
    return {};
  }

  Status checkPort(const Port &p, const std::string &what) {
    KT_RETURN_IF_ERROR(checkType(p.type, what));
    for (ExprId dim : p.dims)
      KT_RETURN_IF_ERROR(checkExpr(dim, "a dimension of " + what));
    if (p.buffer >= m.buffers.size())
      return reject(what + " is in buffer " + number(p.buffer) + " but there are " + number(m.buffers.size()));
    return {};
  }

  Status checkModules() {
    for (size_t i = 0; i < m.modules.size(); ++i) {
      const Module &module = m.modules[i];
      if (module.kind > Module::Kind::HostImage)
        return reject("module " + number(i) + " has the unknown kind " + number(static_cast<unsigned>(module.kind)));
      bool host = module.target.rfind("host", 0) == 0;
      if (host != (module.kind == Module::Kind::HostImage))
        return reject("module " + number(i) + " for target " + quoted(module.target) + " has the wrong kind of code");
      if (module.code.empty())
        return reject("module " + number(i) + " is empty");
    }
    return {};
  }

  Status checkKernel(const Kernel &k) {
    KT_RETURN_IF_ERROR(checkExprs(k.exprs, "the kernel", k.numInts, true));
    if (k.numResults > k.numBuffers)
      return reject(number(k.numResults) + " results but " + number(k.numBuffers) + " buffers");
    for (ExprId count : k.counts)
      if (count >= k.exprs.size())
        return reject("a number of elements is expression " + number(count) + " but the kernel has " +
                      number(k.exprs.size()));
    if (!k.results.empty() && k.results.size() != k.numResults)
      return reject(number(k.numResults) + " results but types of " + number(k.results.size()));
    for (size_t i = 0; i < k.results.size(); ++i) {
      KT_RETURN_IF_ERROR(checkType(k.results[i].type, "result " + number(i)));
      for (ExprId dim : k.results[i].dims)
        if (dim >= k.exprs.size())
          return reject("a dimension of result " + number(i) + " is expression " + number(dim) +
                        " but the kernel has " + number(k.exprs.size()));
    }
    for (size_t v = 0; v < k.variants.size(); ++v)
      if (Status status = checkVariant(k, k.variants[v]); !status.ok())
        return std::move(status).in("variant " + number(v));
    return {};
  }

  Status checkVariant(const Kernel &k, const Variant &variant) {
    auto optional = [&](ExprId id, const char *what) -> Status {
      if (id == kNone || id < k.exprs.size())
        return {};
      return reject(std::string("the ") + what + " is expression " + number(id) + " but the kernel has " +
                    number(k.exprs.size()));
    };
    KT_RETURN_IF_ERROR(optional(variant.guard, "guard"));
    KT_RETURN_IF_ERROR(optional(variant.cost, "cost"));
    KT_RETURN_IF_ERROR(optional(variant.workspace, "workspace"));
    KT_RETURN_IF_ERROR(optional(variant.counters, "counters"));
    if (variant.counters != kNone && variant.target.starts_with("host"))
      return reject("a variant for " + quoted(variant.target) + " has counters, which only GPU code has");
    bool keeps = std::any_of(m.symbols.begin(), m.symbols.end(),
                             [](const Symbol &s) { return s.kind == Symbol::Kind::Capacity; });
    if (variant.paged && !keeps)
      return reject("a variant for " + quoted(variant.target) + " reads states in pages, but no state grows");
    for (const Stage &stage : variant.stages) {
      if (stage.module >= m.modules.size())
        return reject("a stage is in module " + number(stage.module) + " but there are " + number(m.modules.size()));
      const Module &module = m.modules[stage.module];
      if (module.target != variant.target)
        return reject("a stage for " + quoted(variant.target) + " is in module " + number(stage.module) +
                      ", which is for " + quoted(module.target));
      for (ExprId id : stage.grid)
        KT_RETURN_IF_ERROR(optional(id, "grid"));
      KT_RETURN_IF_ERROR(optional(stage.shared, "shared memory size"));
      KT_RETURN_IF_ERROR(optional(stage.scratch, "scratch size"));
      KT_RETURN_IF_ERROR(optional(stage.cluster, "cluster"));
      if (stage.cluster != kNone && capabilityOf(module) < kFirstClusterCapability)
        return reject("a stage for " + quoted(variant.target) + " has clusters of blocks, which GPUs have from sm_" +
                      number(kFirstClusterCapability) + " on");
      if (stage.grid[0] == kNone)
        return reject("a stage has no grid");
      if (module.kind == Module::Kind::HostImage) {
        if (stage.entryOffset >= module.code.size())
          return reject("an entry is at " + number(stage.entryOffset) + " but module " + number(stage.module) +
                        " has " + number(module.code.size()) + " bytes");
        continue;
      }
      if (stage.entry.empty() || stage.entry.find('\0') != std::string::npos)
        return reject("a stage's entry has no usable name");
      uint64_t threads = 1;
      for (uint32_t size : stage.block)
        threads *= std::min<uint32_t>(size, 1u << 16);
      if (threads == 0 || threads > 1024)
        return reject("a stage has " + number(threads) + " threads a block, expected 1 to 1024");
    }
    return {};
  }

  Status checkSites() {
    for (size_t i = 0; i < m.sites.size(); ++i)
      if (m.sites[i].node != kNone && m.sites[i].node >= m.nodes.size())
        return reject("site " + number(i) + " is at node " + number(m.sites[i].node) + " but there are " +
                      number(m.nodes.size()));
    return {};
  }

  Status checkSlices() {
    uint64_t at = 0;
    for (size_t i = 0; i < m.slices.size(); ++i) {
      const Slice &slice = m.slices[i];
      if (slice.begin != at || slice.end < slice.begin)
        return reject("slice " + number(i) + " is [" + number(slice.begin) + ", " + number(slice.end) +
                      ") but the one before it ends at " + number(at));
      at = slice.end;
      for (WeightId weight : slice.weights)
        if (weight >= m.weights.size())
          return reject("slice " + number(i) + " has weight " + number(weight) + " but there are " +
                        number(m.weights.size()));
    }
    if (!m.slices.empty() && at != m.program.instructions.size())
      return reject("the last slice ends at " + number(at) + " but the program has " +
                    number(m.program.instructions.size()) + " instructions");
    return {};
  }

  const Model &m;
};

} // namespace

Status verifyModel(const Model &model) {
  KT_RETURN_IF_ERROR(TableVerifier(model).verify());
  return verifyProgram(model);
}

} // namespace kt::artifact
