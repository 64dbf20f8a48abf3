//===- CostModelTest.cpp - sampled launches and the costs of products -----===//

#include "passes/Analysis/CostModel.h"
#include "passes/Analysis/ExprProgram.h"
#include "test/passes/Analysis/Context.h"
#include <gtest/gtest.h>

using namespace kt;

namespace {

TEST(ExprProgram, EvaluatesAndKeepsFailuresApart) {
  mlir::MLIRContext &context = test::context();
  Expr x = Expr::symbol(&context, "x"), y = Expr::symbol(&context, "y"), one = Expr::constant(&context, 1);
  ExprProgram program;
  unsigned sum = program.add(x * 3 + y), quotient = program.add(Expr::floorDiv(x, y)),
           ceiling = program.add(Expr::ceilDiv(x, Expr::constant(&context, 4))),
           choice = program.add(Expr::select(Expr::lt(y, one), x, Expr::mod(x, y))),
           unknown = program.add(Expr::symbol(&context, "z"));
  llvm::StringMap<int64_t> at;
  at["x"] = 7, at["y"] = 0;
  program.run(at);
  EXPECT_EQ(program[sum], 21);
  EXPECT_EQ(program[quotient], std::nullopt);
  EXPECT_EQ(program[ceiling], 2);
  EXPECT_EQ(program[choice], 7);
  EXPECT_EQ(program[unknown], std::nullopt);
  at["x"] = INT64_MAX, at["y"] = 4;
  program.run(at);
  EXPECT_EQ(program[sum], std::nullopt);
  EXPECT_EQ(program[choice], 3);
}

TEST(TargetModel, CodeForOldCardsRunsOnNewOnes) {
  mlir::MLIRContext &context = test::context();
  EXPECT_FALSE(TargetModel::get("host"));
  std::optional<TargetModel> model = TargetModel::get("sm_89");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->cards().front().capability, 89u);
  EXPECT_EQ(TargetModel::get("sm_87")->cards().front().capability, 86u);
  Expr capability = model->pick(&context, [](const CardModel &c) { return c.capability; });
  ExprProgram program;
  unsigned place = program.add(capability);
  for (auto [run, card] : {std::pair{89, 89}, {90, 90}, {100, 90}, {120, 120}, {130, 120}}) {
    llvm::StringMap<int64_t> at;
    at[fact::kCapability] = run;
    program.run(at);
    EXPECT_EQ(program[place], card) << run;
  }
}

} // namespace
