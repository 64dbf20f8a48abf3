//===- Print.cpp - a model as text ----------------------------------------===//
//
// One line an instruction, infix expressions with the parentheses that precedence asks for.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Print.h"
#include "runtime/artifact/Verifier.h"

#include <cstdio>
#include <map>

namespace kt::artifact {
namespace {

/// Expressions share operands, so their text can be exponentially longer than they are.
constexpr size_t kMaxExprText = 4096;

enum Precedence { kOr = 1, kAnd, kCompare, kSum, kProduct, kAtom };

struct Operator {
  const char *text;
  Precedence precedence; // kAtom: written as a call
};

Operator spelling(Expr::Op op) {
  switch (op) {
  case Expr::Op::Add:
    return {" + ", kSum};
  case Expr::Op::Sub:
    return {" - ", kSum};
  case Expr::Op::Mul:
    return {" * ", kProduct};
  case Expr::Op::FloorDiv:
    return {"floordiv", kAtom};
  case Expr::Op::CeilDiv:
    return {"ceildiv", kAtom};
  case Expr::Op::Mod:
    return {" % ", kProduct};
  case Expr::Op::Min:
    return {"min", kAtom};
  case Expr::Op::Max:
    return {"max", kAtom};
  case Expr::Op::Eq:
    return {" == ", kCompare};
  case Expr::Op::Ne:
    return {" != ", kCompare};
  case Expr::Op::Lt:
    return {" < ", kCompare};
  case Expr::Op::Le:
    return {" <= ", kCompare};
  case Expr::Op::And:
    return {" and ", kAnd};
  case Expr::Op::Or:
    return {" or ", kOr};
  default:
    return {"select", kAtom};
  }
}

/// Prints from a verified pool; `model` names symbols, without it they are integer arguments.
class ExprPrinter {
public:
  using Names = std::map<ExprId, std::string>;
  ExprPrinter(const std::vector<Expr> &pool, const Model *model, const Names *names = nullptr)
      : pool(pool), model(model), names(names) {}

  std::string print(ExprId id) {
    if (id == kNone)
      return "-";
    top = id;
    write(id, 0);
    return text.size() > kMaxExprText ? text.substr(0, kMaxExprText) + "..." : text;
  }

private:
  void write(ExprId id, int outer) {
    // Depth is bounded by the length: each level of a binary operator writes at least one character before it recurses.
    if (text.size() > kMaxExprText)
      return;
    const Expr &e = pool[id];
    if (names && id != top)
      if (auto it = names->find(id); it != names->end()) {
        text += it->second;
        return;
      }
    switch (e.op) {
    case Expr::Op::Const:
      text += std::to_string(e.imm);
      return;
    case Expr::Op::Symbol:
      text += model ? escaped(model->symbols[e.imm].name) : "i" + std::to_string(e.imm);
      return;
    case Expr::Op::Fact:
      text += name(static_cast<Fact>(e.imm));
      return;
    default:
      break;
    }
    Operator o = spelling(e.op);
    if (o.precedence == kAtom) {
      text += o.text;
      text += '(';
      const ExprId operands[] = {e.a, e.b, e.c};
      for (unsigned k = 0; k < arity(e.op); ++k) {
        if (k)
          text += ", ";
        write(operands[k], 0);
      }
      text += ')';
      return;
    }
    bool parentheses = o.precedence <= outer;
    text += parentheses ? "(" : "";
    depth += !parentheses;
    if (depth > kMaxExprText) {
      text.resize(kMaxExprText + 1, '.');
      return;
    }
    write(e.a, o.precedence - 1);
    text += o.text;
    write(e.b, o.precedence);
    depth -= !parentheses;
    text += parentheses ? ")" : "";
  }

  const std::vector<Expr> &pool;
  const Model *model;
  const Names *names;
  ExprId top = kNone; // which is written out, whatever its name
  std::string text;
  size_t depth = 0;
};

std::string list(const std::vector<BufferId> &ids, const char *prefix = "%") {
  std::string text;
  for (BufferId id : ids)
    text += (text.empty() ? prefix : std::string(", ") + prefix) + std::to_string(id);
  return text;
}

std::string buffer(BufferId id) { return "%" + std::to_string(id); }

class ProgramPrinter {
public:
  explicit ProgramPrinter(const Model &m) : m(m) {}
  std::string text;

  void block(const Block &b, unsigned indent) {
    for (const Instruction &i : b.instructions)
      std::visit([&](const auto &op) { instruction(op, indent); }, i);
  }

  void top() {
    size_t slice = 0;
    for (uint32_t i = 0; i < m.program.instructions.size(); ++i) {
      for (; slice < m.slices.size() && m.slices[slice].begin == i; ++slice)
        text += "slice " + std::to_string(slice) + " weights(" + list(m.slices[slice].weights, "w") + ")\n";
      std::visit([&](const auto &op) { instruction(op, 1); }, m.program.instructions[i]);
    }
  }

private:
  std::string e(ExprId id) { return printExpr(m, id); }
  std::string symbol(SymbolId id) { return escaped(m.symbols[id].name); }
  void line(unsigned indent, const std::string &s) { text += std::string(indent * 2, ' ') + s + "\n"; }
  std::string at(uint32_t node) { return node == kNone ? "" : "  // " + escaped(m.nodes[node]); }

  void instruction(const Launch &i, unsigned indent) {
    const Kernel &k = m.kernels[i.kernel];
    size_t reads = k.numBuffers - k.numResults;
    std::string s = list({i.buffers.begin() + reads, i.buffers.end()}) + " = " + escaped(k.name) + "(" +
                    list({i.buffers.begin(), i.buffers.begin() + reads});
    for (size_t n = 0; n < i.ints.size(); ++n)
      s += (n ? ", " : "; ") + e(i.ints[n]);
    line(indent, s + (i.once ? ") once a plan" : ")") + at(i.node));
  }
  void instruction(const Copy &i, unsigned indent) {
    auto range = [&](BufferId id, ExprId offset) {
      return buffer(id) + (offset == kNone ? "" : "[" + e(offset) + "]");
    };
    line(indent,
         "copy " + range(i.dst, i.dstOffset) + " = " + range(i.src, i.srcOffset) + ", " + e(i.bytes) + " bytes");
  }
  void instruction(const ReadScalar &i, unsigned indent) {
    line(indent, symbol(i.symbol) + " = read " + name(i.type) + " " + buffer(i.buffer) + "[" +
                     (i.index == kNone ? "0" : e(i.index)) + "]");
  }
  void instruction(const SetSymbol &i, unsigned indent) { line(indent, symbol(i.symbol) + " = " + e(i.value)); }
  void instruction(const Assert &i, unsigned indent) {
    line(indent, "assert " + e(i.lhs) + " == " + e(i.rhs) + " \"" + escaped(i.message) + "\"" + at(i.node));
  }
  void instruction(const If &i, unsigned indent) {
    line(indent, list(i.results) + (i.results.empty() ? "if " : " = if ") + e(i.condition) + " {");
    block(*i.then, indent + 1);
    line(indent + 1, "yield " + list(i.thenYields));
    line(indent, "} else {");
    block(*i.otherwise, indent + 1);
    line(indent + 1, "yield " + list(i.otherwiseYields));
    line(indent, "}");
  }
  void instruction(const Loop &i, unsigned indent) {
    std::vector<BufferId> results = i.results;
    results.insert(results.end(), i.scan.begin(), i.scan.end());
    std::string s = list(results) + (results.empty() ? "loop" : " = loop");
    if (i.induction != kNone)
      s += " " + symbol(i.induction);
    if (i.trips != kNone)
      s += " trips " + e(i.trips);
    if (i.condition != kNone)
      s += " while " + e(i.condition);
    for (size_t k = 0; k < i.carried.size(); ++k)
      s += (k ? ", " : " carrying ") + buffer(i.carried[k]) + " from " + buffer(i.init[k]);
    line(indent, s + " {");
    block(*i.body, indent + 1);
    line(indent + 1, "next " + list(i.next));
    for (size_t k = 0; k < i.scan.size(); ++k)
      line(indent + 1, buffer(i.scan[k]) + (i.scanReverse[k] ? " prepend " : " append ") + buffer(i.scanPieces[k]));
    line(indent, i.iterations == kNone ? "}" : "} " + symbol(i.iterations) + " = iterations");
  }
  void instruction(const Alias &i, unsigned indent) { line(indent, buffer(i.result) + " = alias " + buffer(i.source)); }

  const Model &m;
};

} // namespace

std::string escaped(const std::string &text) {
  std::string result;
  for (unsigned char c : text) {
    char code[8];
    if (c >= 0x20 && c < 0x7f && c != '\\') {
      result += static_cast<char>(c);
    } else {
      std::snprintf(code, sizeof(code), "\\x%02x", c);
      result += code;
    }
  }
  return result;
}

std::string printExpr(const Model &model, ExprId id) { return ExprPrinter(model.exprs, &model).print(id); }
std::string printExpr(const Kernel &kernel, ExprId id) { return ExprPrinter(kernel.exprs, nullptr).print(id); }

std::vector<std::string> printShared(const Kernel &kernel, const std::vector<ExprId> &roots,
                                     std::vector<std::pair<std::string, std::string>> &shared) {
  // How often each expression that the roots reach is used, from users to operands.
  std::vector<uint32_t> uses(kernel.exprs.size());
  for (ExprId root : roots)
    if (root != kNone)
      ++uses[root];
  for (size_t id = kernel.exprs.size(); id-- > 0;) {
    const Expr &e = kernel.exprs[id];
    const ExprId operands[] = {e.a, e.b, e.c};
    for (unsigned k = 0; uses[id] && k < arity(e.op); ++k)
      ++uses[operands[k]];
  }
  ExprPrinter::Names names;
  auto isLeaf = [&](ExprId id) { return arity(kernel.exprs[id].op) == 0; };
  for (ExprId id = 0; id < kernel.exprs.size(); ++id) {
    const Expr &e = kernel.exprs[id];
    if (uses[id] < 2 || isLeaf(id) || (isLeaf(e.a) && isLeaf(e.b) && e.op != Expr::Op::Select))
      continue; // what is short says more than a name
    shared.push_back({"t" + std::to_string(shared.size()), ExprPrinter(kernel.exprs, nullptr, &names).print(id)});
    names[id] = shared.back().first;
  }
  std::vector<std::string> texts;
  for (ExprId root : roots) {
    auto it = root == kNone ? names.end() : names.find(root);
    texts.push_back(it != names.end() ? it->second : ExprPrinter(kernel.exprs, nullptr, &names).print(root));
  }
  return texts;
}

/// With all the room that there is along dimension `grows`, where one does.
static std::string printTensor(const Model &model, DType type, const std::vector<ExprId> &dims, size_t grows = kNone) {
  std::string text = std::string(name(type)) + "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + (i == grows ? "@capacity" : printExpr(model, dims[i]));
  return text + "]";
}

/// What a session has of an element of the batch for each row that it keeps, as far as that is known: where dimensions
/// but the first and that of rows are constants.
static uint64_t bytesOfRow(const Model &model, DType type, const std::vector<ExprId> &dims, size_t axis) {
  uint64_t bytes = byteSize(type);
  for (size_t d = 1; d < dims.size(); ++d)
    if (const Expr &e = model.exprs[dims[d]]; d != axis)
      bytes = e.op == Expr::Op::Const && e.imm >= 0 ? bytes * static_cast<uint64_t>(e.imm) : 0;
  return bytes;
}

std::string printPort(const Model &model, const Port &port) { return printTensor(model, port.type, port.dims); }

std::string printKernel(const Model &model, const Kernel &k) {
  std::string text = "kernel " + escaped(k.name) + " (" + escaped(k.family) + ") " +
                     std::to_string(k.numBuffers - k.numResults) + " -> " + std::to_string(k.numResults) +
                     " buffers, " + std::to_string(k.numInts) + " integers" +
                     (k.reportsFaults ? ", reports faults\n" : "\n");
  for (ExprId count : k.counts)
    text += "  at most 2147483647 on a GPU: " + printExpr(k, count) + "\n";
  for (const ResultType &result : k.results) {
    text += "  result " + std::string(name(result.type)) + "[";
    for (size_t i = 0; i < result.dims.size(); ++i)
      text += (i ? ", " : "") + printExpr(k, result.dims[i]);
    text += "]\n";
  }
  for (const Variant &v : k.variants) {
    text += "  variant " + escaped(v.target);
    if (v.guard != kNone)
      text += " if " + printExpr(k, v.guard);
    if (!v.schedule.empty())
      text += " \"" + escaped(v.schedule) + "\"";
    if (v.cost != kNone)
      text += " costs " + printExpr(k, v.cost);
    if (v.workspace != kNone)
      text += " workspace " + printExpr(k, v.workspace) + (v.workspaceZeroed ? " zeroed" : "");
    if (v.counters != kNone)
      text += " counters " + printExpr(k, v.counters);
    if (v.paged)
      text += " paged";
    text += "\n";
    for (const Stage &s : v.stages) {
      bool host = model.modules[s.module].kind == Module::Kind::HostImage;
      text += "    module " + std::to_string(s.module) + " " +
              (host ? "+" + std::to_string(s.entryOffset) + " tasks " : escaped(s.entry) + " grid ") +
              printExpr(k, s.grid[0]);
      if (!host)
        text += " x " + printExpr(k, s.grid[1]) + " x " + printExpr(k, s.grid[2]) + " block " +
                std::to_string(s.block[0]) + " x " + std::to_string(s.block[1]) + " x " + std::to_string(s.block[2]);
      if (s.cluster != kNone)
        text += " cluster 1 x " + printExpr(k, s.cluster) + " x 1";
      if (s.shared != kNone)
        text += " shared " + printExpr(k, s.shared);
      if (s.scratch != kNone)
        text += " scratch " + printExpr(k, s.scratch);
      text += "\n";
    }
  }
  return text;
}

std::string printProgram(const Model &model) {
  ProgramPrinter printer(model);
  printer.top();
  return printer.text;
}

std::string print(const Model &m) {
  static const char *symbolKinds[] = {"input", "data", "induction", "capacity"};
  static const char *bufferKinds[] = {"temporary", "input", "output", "weight"};
  static const char *moduleKinds[] = {"ptx", "cubin", "image"};
  std::string text = "model " + escaped(m.name) + " by " + escaped(m.producer) + "\n";
  if (!m.options.empty())
    text += "options " + escaped(m.options) + "\n";
  text += "targets";
  for (const std::string &target : m.targets)
    text += " " + escaped(target);
  text += "\n";
  for (const Symbol &s : m.symbols) {
    text += "symbol " + escaped(s.name) + " " + symbolKinds[static_cast<unsigned>(s.kind)] + " " +
            std::to_string(s.min) + "..";
    text += (s.max == INT64_MAX ? "" : std::to_string(s.max)) + "\n";
  }
  for (const Port &p : m.inputs)
    text += "input " + escaped(p.name) + " " + printPort(m, p) + " in " + buffer(p.buffer) + "\n";
  uint64_t rowBytes = 0;
  for (const Port &p : m.outputs) {
    text += "output " + escaped(p.name) + " " + printPort(m, p) + " in " + buffer(p.buffer);
    if (p.tied != kNone)
      text += (grows(m, p)       ? ", continues "
               : p.axis != kNone ? ", rewrites "
                                 : ", replaces ") +
              escaped(m.inputs[p.tied].name) + (p.axis == kNone ? "" : " along " + std::to_string(p.axis));
    for (const KeptTensor &k : p.kept)
      text += (&k == p.kept.data() ? ", kept as " : " and ") + printTensor(m, k.type, k.dims, p.axis) + " in " +
              buffer(k.buffer);
    text += "\n";
    if (p.tied == kNone || !grows(m, p))
      continue;
    if (p.kept.empty())
      rowBytes += bytesOfRow(m, p.type, p.dims, p.axis);
    for (const KeptTensor &k : p.kept)
      rowBytes += bytesOfRow(m, k.type, k.dims, p.axis);
  }
  if (rowBytes)
    text += "states grow by " + std::to_string(rowBytes) + " bytes a row of each element of the batch\n";
  for (size_t i = 0; i < m.weights.size(); ++i) {
    const Weight &w = m.weights[i];
    text += "weight w" + std::to_string(i) + " " + escaped(w.name) + " " + name(w.type) + "[";
    for (size_t k = 0; k < w.dims.size(); ++k)
      text += (k ? ", " : "") + std::to_string(w.dims[k]);
    text += "] " + std::to_string(w.bytes.size()) + " bytes\n";
  }
  for (size_t i = 0; i < m.buffers.size(); ++i) {
    const Buffer &b = m.buffers[i];
    text += "buffer " + buffer(i) + " " + bufferKinds[static_cast<unsigned>(b.kind)] + " " + printExpr(m, b.bytes) +
            " bytes" + (b.weight == kNone ? "" : " of w" + std::to_string(b.weight)) + "\n";
  }
  for (size_t i = 0; i < m.modules.size(); ++i)
    text += "module " + std::to_string(i) + " " + moduleKinds[static_cast<unsigned>(m.modules[i].kind)] + " " +
            escaped(m.modules[i].target) + " " + std::to_string(m.modules[i].code.size()) + " bytes\n";
  for (const Kernel &k : m.kernels)
    text += printKernel(m, k);
  for (size_t i = 0; i < m.sites.size(); ++i)
    text += "site " + std::to_string(i) + " " + escaped(m.sites[i].what) +
            (m.sites[i].node == kNone ? "" : " at " + escaped(m.nodes[m.sites[i].node])) + "\n";
  return text + "program\n" + printProgram(m);
}

} // namespace kt::artifact
