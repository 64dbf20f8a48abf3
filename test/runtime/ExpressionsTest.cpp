//===- ExpressionsTest.cpp - integer expressions --------------------------===//
//
// Arithmetic, failures and their spread, and incremental evaluation against evaluation from scratch.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Expressions.h"
#include "runtime/artifact/Print.h"
#include "test/runtime/TestModel.h"

#include <random>

namespace kt::test {
namespace {

using exec::apply;
using exec::Value;

Value ok(int64_t v) { return {v, Value::State::ok}; }
int64_t eval(Op op, int64_t a, int64_t b) {
  Value v = apply(op, ok(a), ok(b), {});
  EXPECT_TRUE(v.ok());
  return v.value;
}

TEST(Expressions, DivisionRoundsDown) {
  struct {
    int64_t a, b, floor, ceil, mod;
  } cases[] = {{7, 2, 3, 4, 1},    {-7, 2, -4, -3, 1}, {7, -2, -4, -3, -1}, {-7, -2, 3, 4, -1},
               {6, 3, 2, 2, 0},    {0, 5, 0, 0, 0},    {-6, 3, -2, -2, 0},  {INT64_MIN, 1, INT64_MIN, INT64_MIN, 0},
               {1, INT64_MAX, 0, 1, 1}};
  for (auto &c : cases) {
    EXPECT_EQ(eval(Op::FloorDiv, c.a, c.b), c.floor) << c.a << " / " << c.b;
    EXPECT_EQ(eval(Op::CeilDiv, c.a, c.b), c.ceil) << c.a << " / " << c.b;
    EXPECT_EQ(eval(Op::Mod, c.a, c.b), c.mod) << c.a << " / " << c.b;
  }
  EXPECT_EQ(eval(Op::Mod, INT64_MIN, -1), 0);
  EXPECT_EQ(apply(Op::FloorDiv, ok(INT64_MIN), ok(-1), {}).state, Value::State::overflow);
  EXPECT_EQ(apply(Op::CeilDiv, ok(1), ok(0), {}).state, Value::State::divisionByZero);
}

TEST(Expressions, OverflowIsNoticed) {
  EXPECT_EQ(apply(Op::Add, ok(INT64_MAX), ok(1), {}).state, Value::State::overflow);
  EXPECT_EQ(apply(Op::Sub, ok(INT64_MIN), ok(1), {}).state, Value::State::overflow);
  EXPECT_EQ(apply(Op::Mul, ok(int64_t(1) << 32), ok(int64_t(1) << 31), {}).state, Value::State::overflow);
}

TEST(Expressions, FailuresSpreadOnlyWhereTheyMatter) {
  Value bad{0, Value::State::overflow};
  EXPECT_EQ(apply(Op::Add, bad, ok(1), {}).state, Value::State::overflow);
  EXPECT_EQ(apply(Op::Select, ok(1), ok(5), bad).value, 5);
  EXPECT_FALSE(apply(Op::Select, ok(0), ok(5), bad).ok());
  EXPECT_FALSE(apply(Op::Select, bad, ok(5), ok(5)).ok());
  EXPECT_TRUE(apply(Op::And, bad, ok(0), {}).ok());
  EXPECT_FALSE(apply(Op::And, bad, ok(1), {}).ok());
  EXPECT_EQ(apply(Op::Or, ok(3), bad, {}).value, 1);
}

TEST(Expressions, SettingASymbolGivesWhatEvaluationFromScratchGives) {
  std::mt19937 random(1);
  Model model;
  for (int i = 0; i < 6; ++i)
    model.symbols.push_back({"s" + std::to_string(i), i < 3 ? Symbol::Kind::Input : Symbol::Kind::Data});
  for (uint32_t i = 0; i < 200; ++i) {
    Expr e;
    if (i < 6)
      e = {Op::Symbol, i};
    else if (i < 12)
      e = {Op::Const, static_cast<int64_t>(random() % 7) - 3};
    else {
      e.op = static_cast<Op>(static_cast<int>(Op::Add) + random() % 16);
      e.a = random() % i;
      e.b = random() % i;
      e.c = e.op == Op::Select ? random() % i : kNone;
    }
    model.exprs.push_back(e);
  }
  exec::ExprGraph graph(model);
  exec::ExprValues incremental(graph);
  std::vector<std::pair<bool, int64_t>> now(6);
  for (int round = 0; round < 300; ++round) {
    SymbolId s = random() % 6;
    now[s] = {true, static_cast<int64_t>(random() % 9) - 4};
    incremental.set(s, now[s].second);
    if (round % 50 == 49) {
      incremental.forgetLate();
      for (int k = 3; k < 6; ++k)
        now[k].first = false;
    }
    exec::ExprValues scratch(graph);
    for (SymbolId k = 0; k < 6; ++k)
      if (now[k].first)
        scratch.set(k, now[k].second);
    for (ExprId id = 0; id < model.exprs.size(); ++id) {
      ASSERT_EQ(incremental.peek(id).ok(), scratch.peek(id).ok()) << id;
      if (scratch.peek(id).ok())
        ASSERT_EQ(incremental.peek(id).value, scratch.peek(id).value) << printExpr(model, id);
    }
  }
}

TEST(Expressions, PrintWithTheParenthesesThatAreNeeded) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n")), one = b.constant(1), two = b.constant(2);
  ExprId sum = b.expr(Op::Add, n, one);
  EXPECT_EQ(printExpr(b.model, b.expr(Op::Mul, sum, two)), "(n + 1) * 2");
  EXPECT_EQ(printExpr(b.model, b.expr(Op::Sub, n, sum)), "n - (n + 1)");
  EXPECT_EQ(printExpr(b.model, b.expr(Op::Sub, sum, n)), "n + 1 - n");
  EXPECT_EQ(printExpr(b.model, b.expr(Op::Max, b.expr(Op::CeilDiv, sum, two), n)), "max(ceildiv(n + 1, 2), n)");
  EXPECT_EQ(printExpr(b.model, b.expr(Op::Select, b.expr(Op::Lt, n, two), one, two)), "select(n < 2, 1, 2)");
  EXPECT_EQ(printExpr(b.model, kNone), "-");
  ExprId shared = n; // doubles in text with each level, not in size
  for (int i = 0; i < 200; ++i)
    shared = b.expr(Op::Add, shared, shared);
  EXPECT_LT(printExpr(b.model, shared).size(), 5000u);
}

TEST(Expressions, AFailureShowsTheExpression) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n")), q = b.expr(Op::FloorDiv, b.constant(8), n), d = b.expr(Op::Sub, n, b.constant(4));
  exec::ExprGraph graph(b.model);
  exec::ExprValues values(graph);
  EXPECT_EQ(values.get(q).status().message(), "'floordiv(8, n)' depends on a symbol that is not set");
  values.set(0, 0);
  EXPECT_EQ(values.get(q).status().message(), "'floordiv(8, n)' divides by zero");
  EXPECT_EQ(values.getSize(d, "a size").status().message(), "a size 'n - 4' is -4, expected 0 or more");
}

} // namespace
} // namespace kt::test
