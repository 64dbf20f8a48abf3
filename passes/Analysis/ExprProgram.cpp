//===- ExprProgram.cpp - many expressions evaluated at many points --------===//

#include "passes/Analysis/ExprProgram.h"

using namespace kt;
using Value = ExprProgram::Value;

unsigned ExprProgram::add(Expr e) {
  auto it = places.find(e.attr());
  if (it != places.end())
    return it->second;
  Node node{e.kind(), e.imm(), e.kind() == Expr::Kind::Symbol ? e.name().str() : std::string(), {}};
  for (unsigned i = 0; i < e.numOperands(); ++i)
    node.operands.push_back(add(e.operand(i)));
  nodes.push_back(std::move(node));
  return places[e.attr()] = nodes.size() - 1;
}

void ExprProgram::run(const llvm::StringMap<int64_t> &symbols) {
  values.assign(nodes.size(), std::nullopt);
  for (size_t i = 0; i < nodes.size(); ++i)
    values[i] = evaluate(nodes[i], symbols);
}

static int64_t floorDiv(int64_t a, int64_t b) {
  int64_t q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

Value ExprProgram::evaluate(const Node &n, const llvm::StringMap<int64_t> &symbols) const {
  using Kind = Expr::Kind;
  switch (n.kind) {
  case Kind::Const:
    return n.imm;
  case Kind::Symbol: {
    auto it = symbols.find(n.name);
    return it == symbols.end() ? Value() : it->second;
  }
  case Kind::Add:
  case Kind::Mul: {
    int64_t r = n.imm;
    for (unsigned o : n.operands) {
      const Value &v = values[o];
      bool failed = !v || (n.kind == Kind::Add ? __builtin_add_overflow(r, *v, &r) : __builtin_mul_overflow(r, *v, &r));
      if (failed)
        return std::nullopt;
    }
    return r;
  }
  case Kind::Select: {
    const Value &condition = values[n.operands[0]];
    return condition ? values[n.operands[*condition ? 1 : 2]] : Value();
  }
  case Kind::Poison:
    return std::nullopt;
  default:
    break;
  }
  const Value &a = values[n.operands[0]], &b = values[n.operands[1]];
  if (!a || !b)
    return std::nullopt;
  switch (n.kind) {
  case Kind::FloorDiv:
  case Kind::Mod: {
    if (*b == 0 || (*a == INT64_MIN && *b == -1))
      return std::nullopt;
    int64_t q = floorDiv(*a, *b);
    return n.kind == Kind::FloorDiv ? q : *a - q * *b;
  }
  case Kind::Min:
    return std::min(*a, *b);
  case Kind::Max:
    return std::max(*a, *b);
  case Kind::Eq:
    return *a == *b;
  default: // Lt
    return *a < *b;
  }
}
