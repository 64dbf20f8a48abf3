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
  case Expr::Kind::Poison:
    ADD_FAILURE() << "a poisoned expression has no value";
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

TEST(ExprTest, OverflowOfConstantsPoisons) {
  Expr n = symbol("n"), large = number(INT64_MAX), least = number(INT64_MIN);
  for (Expr e :
       {large + 1, n * INT64_MAX + n, n * (int64_t(1) << 62) * 2, least - 1, number(0) - least, n * INT64_MIN * -1,
        Expr::floorDiv(least, number(-1)), (n * (int64_t(1) << 40)) * (n * (int64_t(1) << 40))}) {
    EXPECT_EQ(e.poison(), Expr::Reason::overflow) << e.str();
    EXPECT_FALSE(e.isNonNegative());
    EXPECT_FALSE(e.asConstant());
    // It spreads.
    EXPECT_TRUE((e + n).poison() && (n - e).poison() && (e * 0).poison() && Expr::min(e, n).poison());
    EXPECT_TRUE(Expr::mod(n, e).poison() && Expr::floorDiv(e, n).poison() && Expr::eq(n, e).poison());
    EXPECT_TRUE(Expr::select(e, n, n).poison() && Expr::lt(e, n).poison() && Expr::max(n, e).poison());
  }
  // Comparisons of constants do not need their difference.
  EXPECT_TRUE(Expr::lt(least, large).isConstant(1));
  EXPECT_TRUE(Expr::min(least, large).isConstant(INT64_MIN));
  EXPECT_TRUE(Expr::max(least, large).isConstant(INT64_MAX));
  EXPECT_TRUE(Expr::eq(least, large).isConstant(0));
  EXPECT_TRUE(Expr::mod(least, number(-1)).isConstant(0));
}

TEST(ExprTest, DimensionsThatATensorLacksArePoison) {
  Expr n = symbol("n");
  auto type = SymTensorType::get(n.context(), {n.attr()}, mlir::Float32Type::get(n.context()));
  EXPECT_EQ(type.dim(0), n);
  for (int64_t i : {int64_t(-1), int64_t(1), INT64_MIN, INT64_MAX}) {
    EXPECT_EQ(type.dim(i).poison(), Expr::Reason::rank) << i;
    EXPECT_TRUE((type.dim(i) * n).poison());
  }
}

TEST(ExprTest, HeavyExpressionsPoisonBeforeTheyTakeTime) {
  Expr e = symbol("n");
  int steps = 0;
  for (; steps < 100 && !e.poison(); ++steps)
    e = Expr::max(Expr::floorDiv(e, number(3)), Expr::mod(e, number(5))) + e;
  EXPECT_EQ(e.poison(), Expr::Reason::complexity);
  EXPECT_GT(steps, 5);
  Expr product = number(1);
  for (int i = 0; i < 22; ++i)
    product = product * (symbol("n" + std::to_string(i)) + 2);
  EXPECT_EQ(product.poison(), Expr::Reason::complexity);
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

TEST(ExprTest, ProductsThatAreOne) {
  Expr a = symbol("a"), b = symbol("b"), u = symbol("?n"), one = number(1);
  // Each of the factors is.
  EXPECT_EQ(Expr::eq(a * a, one), Expr::eq(one, a));
  EXPECT_EQ(Expr::eq(a * a * b * b * b, one), Expr::eq(one, a * b));
  EXPECT_EQ(Expr::eq(a * Expr::max(a, b), one), Expr::eq(one, a * Expr::max(one, b)));
  // A multiple of a number is not.
  EXPECT_EQ(Expr::eq(a * 2, one), number(0));
  EXPECT_EQ(Expr::eq(one, a * b * 64), number(0));
  // Of numbers that may be negative nothing is known: -1 * -1 is 1.
  EXPECT_NE(Expr::eq(u * u, one), Expr::eq(one, u));
  // Other numbers are not 1: 2 * 2 is 4.
  EXPECT_NE(Expr::eq(a * a, number(4)), Expr::eq(number(4), a));
}

TEST(ExprTest, SelectionsKnowTheirCondition) {
  Expr a = symbol("a"), b = symbol("b"), n = symbol("n"), one = number(1), zero = number(0);
  Expr isOne = Expr::eq(a, one), small = Expr::lt(a, b);
  // On either side it is known, however deep.
  EXPECT_EQ(Expr::select(isOne, Expr::select(isOne, n, b) + 3, zero), Expr::select(isOne, n + 3, zero));
  EXPECT_EQ(Expr::select(isOne, zero, Expr::select(isOne, n, b) * 2), Expr::select(isOne, zero, b * 2));
  EXPECT_EQ(Expr::select(small, Expr::select(small, n, b), Expr::select(small, n, b)), Expr::select(small, n, b));
  // And so is what is equal to a number.
  EXPECT_EQ(Expr::select(isOne, a * n, b), Expr::select(isOne, n, b));
  EXPECT_EQ(Expr::select(Expr::eq(a, number(7)), a + n, b), Expr::select(Expr::eq(a, number(7)), n + 7, b));
  EXPECT_NE(Expr::select(isOne, b, a * n), Expr::select(isOne, b, n));
  // Two names of one number.
  EXPECT_EQ(Expr::select(isOne, one, a), a);
  EXPECT_EQ(Expr::select(Expr::eq(a, b), a, b), b);
  EXPECT_EQ(Expr::select(Expr::eq(a * b, one), a, a * b), a * b);
  EXPECT_EQ(Expr::select(Expr::eq(a * b, one), b, a * b), a * b);
  EXPECT_NE(Expr::select(Expr::eq(a * b, one), n, a * b), a * b);
  EXPECT_NE(Expr::select(Expr::eq(a * b, one), a * b, a), a);
  // A condition is the number that it is.
  EXPECT_EQ(Expr::select(isOne, one, zero), isOne);
  EXPECT_NE(Expr::select(isOne, zero, one), isOne);
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
