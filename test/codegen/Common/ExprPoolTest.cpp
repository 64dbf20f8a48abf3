//===- ExprPoolTest.cpp - expressions on their way into an artifact -------===//
//
// What the runtime computes from a pool is what the compiler's expression is worth; equal nodes are stored once.
//
//===----------------------------------------------------------------------===//

#include "codegen/Common/KernelCode.h"
#include "dialects/KT/Schedule/Candidates.h"
#include "runtime/exec/Expressions.h"
#include "test/dialects/KT/IR/RandomExpr.h"
#include <gtest/gtest.h>

using kt::artifact::kNone;
using Op = kt::artifact::Expr::Op;

namespace kt::test {
namespace {

int64_t idOf(llvm::StringRef name) {
  return std::find(std::begin(kSymbols), std::end(kSymbols), name) - std::begin(kSymbols);
}

/// The values of all nodes, as the runtime computes them.
std::vector<exec::Value> evaluate(const codegen::ExprPool &pool, llvm::ArrayRef<int64_t> symbols) {
  std::vector<exec::Value> values;
  auto at = [&](artifact::ExprId id) { return id == kNone ? exec::Value() : values.at(id); };
  for (const artifact::Expr &e : pool.get()) {
    if (e.op == Op::Const)
      values.push_back({e.imm, exec::Value::State::ok});
    else if (e.op == Op::Symbol)
      values.push_back({symbols[e.imm], exec::Value::State::ok});
    else
      values.push_back(exec::apply(e.op, at(e.a), at(e.b), at(e.c)));
  }
  return values;
}

TEST(ExprPoolTest, TheRuntimeComputesTheSame) {
  for (unsigned seed = 0; seed < 1500; ++seed) {
    RandomExpr random(seed);
    codegen::ExprPool pool;
    std::vector<std::pair<Valued, artifact::ExprId>> added;
    for (int k = 0; k < 3; ++k) {
      Valued v = random.make(4);
      added.push_back({v, pool.add(v.e, idOf)});
    }
    for (int i = 0; i < kAssignments; ++i) {
      int64_t symbols[4];
      for (int s = 0; s < 4; ++s)
        symbols[s] = random.symbol(kSymbols[s], i);
      std::vector<exec::Value> values = evaluate(pool, symbols);
      for (auto &[v, id] : added) {
        ASSERT_TRUE(values[id].ok()) << v.e.str() << ", seed " << seed;
        ASSERT_EQ(values[id].value, v.at[i]) << v.e.str() << ", seed " << seed << ", assignment " << i;
      }
    }
  }
}

TEST(ExprPoolTest, EqualNodesAreStoredOnceAndOperandsComeFirst) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    RandomExpr random(seed);
    codegen::ExprPool pool;
    Valued v = random.make(5);
    artifact::ExprId id = pool.add(v.e, idOf);
    size_t size = pool.get().size();
    EXPECT_EQ(pool.add(v.e, idOf), id);
    EXPECT_EQ(pool.get().size(), size);
    std::set<std::array<int64_t, 5>> seen;
    for (size_t i = 0; i < size; ++i) {
      const artifact::Expr &e = pool.get()[i];
      for (artifact::ExprId operand : {e.a, e.b, e.c})
        EXPECT_TRUE(operand == kNone || operand < i);
      EXPECT_TRUE(seen.insert({(int64_t)e.op, e.imm, e.a, e.b, e.c}).second);
    }
  }
}

TEST(ExprPoolTest, KernelSymbolsAreTheirNumbers) {
  codegen::ExprPool pool;
  artifact::ExprId id = pool.add(Expr::symbol(&exprContext(), "p12"));
  EXPECT_EQ(pool.get()[id].op, Op::Symbol);
  EXPECT_EQ(pool.get()[id].imm, 12);
}

TEST(ExprPoolTest, FactsHaveTheirNames) {
  codegen::ExprPool pool;
  for (llvm::StringRef name : fact::kAll) {
    artifact::ExprId id = pool.add(Expr::symbol(&exprContext(), name));
    EXPECT_EQ(pool.get()[id].op, Op::Fact);
    EXPECT_EQ(name.drop_front(), artifact::name((artifact::Fact)pool.get()[id].imm));
  }
}

TEST(ExprPoolTest, FactsAndConstantsAreApart) {
  codegen::ExprPool pool;
  artifact::ExprId fact = pool.fact(artifact::Fact::SmCount), zero = pool.constant(0), symbol = pool.symbol(0);
  EXPECT_NE(fact, zero);
  EXPECT_NE(zero, symbol);
  EXPECT_EQ(pool.fact(artifact::Fact::SmCount), fact);
  artifact::ExprId less = pool.op(Op::Lt, symbol, fact);
  EXPECT_EQ(pool.op(Op::Lt, symbol, fact), less);
  EXPECT_NE(pool.op(Op::Lt, fact, symbol), less);
}

} // namespace
} // namespace kt::test
