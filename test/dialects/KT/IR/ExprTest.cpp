//===- ExprTest.cpp - expressions are worth what was written --------------===//
//
// The normal form may look like anything: its value is that of the operations that made it, and what is said to be
// provable holds. expr.mlir has the forms themselves.
//
//===----------------------------------------------------------------------===//

#include "test/dialects/KT/IR/RandomExpr.h"
#include <gtest/gtest.h>

namespace kt::test {
namespace {

Expr number(int64_t v) { return Expr::constant(&exprContext(), v); }
Expr symbol(llvm::StringRef name) { return Expr::symbol(&exprContext(), name); }

/// The value of a node, read from its kind and operands only.
int64_t valueOf(Expr e, llvm::function_ref<int64_t(llvm::StringRef)> symbols) {
  auto at = [&](unsigned i) { return valueOf(e.operand(i), symbols); };
  switch (e.kind()) {
  case Expr::Kind::Const:
    return e.imm();
  case Expr::Kind::Symbol:
    return symbols(e.name());
  case Expr::Kind::Add:
  case Expr::Kind::Mul: {
    int64_t v = e.imm();
    for (unsigned i = 0; i < e.numOperands(); ++i)
      v = e.kind() == Expr::Kind::Add ? v + at(i) : v * at(i);
    return v;
  }
  case Expr::Kind::FloorDiv:
    return floorDivided(at(0), at(1));
  case Expr::Kind::Mod:
    return at(0) - at(1) * floorDivided(at(0), at(1));
  case Expr::Kind::Min:
    return std::min(at(0), at(1));
  case Expr::Kind::Max:
    return std::max(at(0), at(1));
  case Expr::Kind::Eq:
    return at(0) == at(1);
  case Expr::Kind::Lt:
    return at(0) < at(1);
  case Expr::Kind::Select:
    return at(0) ? at(1) : at(2);
  }
  return 0;
}

TEST(ExprTest, NormalFormKeepsTheValue) {
  for (unsigned seed = 0; seed < 4000; ++seed) {
    RandomExpr random(seed);
    Valued v = random.make(4);
    for (int i = 0; i < kAssignments; ++i)
      ASSERT_EQ(valueOf(v.e, [&](llvm::StringRef name) { return random.symbol(name, i); }), v.at[i])
          << v.e.str() << ", seed " << seed << ", assignment " << i;
  }
}

TEST(ExprTest, SubstitutionOfAllSymbolsGivesTheNumber) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    RandomExpr random(seed);
    Valued v = random.make(4);
    for (int i = 0; i < kAssignments; ++i) {
      Expr e = v.e.substitute([&](llvm::StringRef name) { return number(random.symbol(name, i)); });
      ASSERT_EQ(e.asConstant(), v.at[i]) << v.e.str() << ", seed " << seed << ", assignment " << i;
    }
  }
}

TEST(ExprTest, WhatIsProvableHolds) {
  unsigned nonNegative = 0, multiples = 0, constants = 0;
  for (unsigned seed = 0; seed < 4000; ++seed) {
    RandomExpr random(seed);
    Valued v = random.make(4);
    if (v.e.isNonNegative()) {
      ++nonNegative;
      for (int64_t value : v.at)
        ASSERT_GE(value, 0) << v.e.str() << ", seed " << seed;
    }
    for (int64_t factor : {2, 3, 4, 8, 16})
      if (v.e.isMultipleOf(factor)) {
        ++multiples;
        for (int64_t value : v.at)
          ASSERT_EQ(value % factor, 0) << v.e.str() << " by " << factor << ", seed " << seed;
      }
    if (auto c = v.e.asConstant()) {
      ++constants;
      for (int64_t value : v.at)
        ASSERT_EQ(value, *c) << "seed " << seed;
    }
  }
  // The generator reaches all three.
  EXPECT_GT(nonNegative, 500u);
  EXPECT_GT(multiples, 100u);
  EXPECT_GT(constants, 100u);
}

TEST(ExprTest, EqualNumbersAreEqualAttributes) {
  Expr a = symbol("a"), b = symbol("b"), s = symbol("seq");
  EXPECT_EQ((a + b) * s, s * b + a * s);
  EXPECT_EQ(a * 3 - a - a * 2, number(0));
  EXPECT_EQ(Expr::ceilDiv(a * 64, number(16)), a * 4);
  EXPECT_EQ(Expr::mod(a * 64 + 5, number(16)), number(5));
  EXPECT_EQ(Expr::max(Expr::min(a, a + b), a), a);
  EXPECT_NE(a + b, a + s);
}

TEST(ExprTest, PartialSubstitutionLeavesTheRest) {
  Expr a = symbol("a"), b = symbol("b");
  Expr e = Expr::floorDiv(a * b + 7, number(4)).substitute([&](llvm::StringRef name) {
    return name == "a" ? number(4) : Expr();
  });
  EXPECT_EQ(e, b + 1);
}

TEST(ExprTest, SymbolsAreVisitedOnceEach) {
  std::vector<std::string> names;
  Expr e = Expr::min(symbol("a") * symbol("b"), symbol("a") + symbol("?n"));
  e.forEachSymbol([&](llvm::StringRef name) { names.push_back(name.str()); });
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"?n", "a", "b"}));
}

TEST(ExprTest, UnknownsMayBeNegative) {
  EXPECT_TRUE(symbol("a").isNonNegative());
  EXPECT_FALSE(symbol("?n").isNonNegative());
  EXPECT_FALSE((symbol("a") - 1).isNonNegative());
  EXPECT_TRUE(Expr::mod(symbol("?n"), number(4)).isNonNegative());
}

} // namespace
} // namespace kt::test
