//===- ExprPool.cpp - kt expressions as artifact expressions --------------===//

#include "codegen/Common/KernelCode.h"

using namespace kt;
using namespace kt::codegen;
using Op = artifact::Expr::Op;
using artifact::ExprId;
using artifact::kNone;

ExprId ExprPool::op(Op op, ExprId a, ExprId b, ExprId c) {
  auto [it, fresh] = known.try_emplace({(int64_t)op, 0, a, b, c}, nodes.size());
  if (fresh)
    nodes.push_back({op, 0, a, b, c});
  return it->second;
}

static ExprId leaf(std::vector<artifact::Expr> &nodes, std::map<std::array<int64_t, 5>, ExprId> &known, Op op,
                   int64_t imm) {
  auto [it, fresh] = known.try_emplace({(int64_t)op, imm, kNone, kNone, kNone}, nodes.size());
  if (fresh)
    nodes.push_back({op, imm});
  return it->second;
}

ExprId ExprPool::constant(int64_t value) { return leaf(nodes, known, Op::Const, value); }
ExprId ExprPool::symbol(int64_t id) { return leaf(nodes, known, Op::Symbol, id); }
ExprId ExprPool::fact(artifact::Fact fact) { return leaf(nodes, known, Op::Fact, (int64_t)fact); }

std::vector<ExprId> ExprPool::add(llvm::ArrayRef<artifact::Expr> others) {
  std::vector<ExprId> places;
  auto place = [&](ExprId id) { return id == kNone ? kNone : places[id]; };
  for (const artifact::Expr &e : others) {
    bool isLeaf = e.a == kNone;
    places.push_back(isLeaf ? leaf(nodes, known, e.op, e.imm) : op(e.op, place(e.a), place(e.b), place(e.c)));
  }
  return places;
}

ExprId ExprPool::add(Expr e) {
  return add(e, [](llvm::StringRef name) {
    int64_t number = 0;
    bool bad = name.drop_front().getAsInteger(10, number);
    assert(!bad && "a kernel's symbols are positional");
    (void)bad;
    return number;
  });
}

ExprId ExprPool::add(Expr e, llvm::function_ref<int64_t(llvm::StringRef)> symbolId) {
  auto sub = [&](unsigned i) { return add(e.operand(i), symbolId); };
  switch (e.kind()) {
  case Expr::Kind::Const:
    return constant(e.imm());
  case Expr::Kind::Symbol:
    if (llvm::StringRef name = e.name(); name.consume_front("@"))
      for (unsigned f = 0; f < artifact::kFacts; ++f)
        if (name == artifact::name((artifact::Fact)f))
          return fact((artifact::Fact)f);
    return symbol(symbolId(e.name()));
  case Expr::Kind::Add:
  case Expr::Kind::Mul: {
    bool isAdd = e.kind() == Expr::Kind::Add;
    ExprId r = sub(0);
    for (unsigned i = 1; i < e.numOperands(); ++i)
      r = op(isAdd ? Op::Add : Op::Mul, r, sub(i));
    if (e.imm() != (isAdd ? 0 : 1))
      r = op(isAdd ? Op::Add : Op::Mul, r, constant(e.imm()));
    return r;
  }
  case Expr::Kind::FloorDiv:
    return op(Op::FloorDiv, sub(0), sub(1));
  case Expr::Kind::Mod:
    return op(Op::Mod, sub(0), sub(1));
  case Expr::Kind::Min:
    return op(Op::Min, sub(0), sub(1));
  case Expr::Kind::Max:
    return op(Op::Max, sub(0), sub(1));
  case Expr::Kind::Eq:
    return op(Op::Eq, sub(0), sub(1));
  case Expr::Kind::Lt:
    return op(Op::Lt, sub(0), sub(1));
  case Expr::Kind::Select: {
    ExprId c = sub(0), a = sub(1), b = sub(2);
    return op(Op::Select, c, a, b);
  }
  case Expr::Kind::Poison: // import lets none through
    llvm_unreachable("a poisoned size");
  }
  return kNone;
}
