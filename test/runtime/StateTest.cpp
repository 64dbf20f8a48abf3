//===- StateTest.cpp - states that do not grow ----------------------------===//
//
// What a session keeps where an output is as large as the input that it continues: written in place, or in two pieces
// of memory that take turns. (test/tools/ktrun/generate.test has caches that grow.)
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Verifier.h"
#include "test/runtime/TestModel.h"

#include <functional>

namespace kt::test {
namespace {

constexpr size_t kCount = 20;

/// y = x + one and z = 2 y over [room]; y continues x, along `axis` or, kNone, as a whole. Where `step`, one is an
/// input.
ModelBuilder counting(uint32_t axis, bool step) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("room", Symbol::Kind::Input, 0, 1000));
  BufferId x = b.input("x", DType::f32, n);
  BufferId one = step ? b.input("one", DType::f32, n) : b.weight("one", std::vector<float>(kCount, 1));
  BufferId y = b.output("y", DType::f32, n), z = b.output("z", DType::f32, n);
  b.emit(b.add(x, one, y, n), b.scale(y, z, n, b.constant(2)));
  b.model.outputs[0].tied = 0;
  b.model.outputs[0].axis = axis;
  return b;
}

/// What z is after a run, of one number.
float next(Session &session, const std::vector<TensorView> &inputs) {
  Status status = session.run(inputs);
  EXPECT_TRUE(status.ok()) << status.message();
  if (!status.ok())
    return -1;
  std::vector<float> z = floats(session.outputs()[1]);
  EXPECT_EQ(z, std::vector<float>(z.size(), z[0]));
  return z[0];
}

TEST(State, WhatIsReplacedTakesTurns) {
  auto model = loadModel(counting(kNone, true).model);
  EXPECT_EQ(model->outputs()[0].tied, "x");
  EXPECT_EQ(model->outputs()[0].grows, -1);
  EXPECT_EQ(model->outputs()[0].written, -1);
  auto session = *model->createSession({.capacity = 1});
  std::vector<float> ones(kCount, 1);
  std::vector<TensorView> inputs{tensor("one", ones)};
  for (float want : {2, 4, 6, 8, 10})
    EXPECT_EQ(next(*session, inputs), want);
  EXPECT_EQ(session->outputs()[0].data, nullptr);
  EXPECT_EQ(session->held(), 0u);

  auto other = *session->fork();
  EXPECT_EQ(next(*session, inputs), 12);
  EXPECT_EQ(next(*other, inputs), 12);
  EXPECT_EQ(next(*other, inputs), 14);

  Status back = session->truncate(3);
  EXPECT_EQ(back.code(), Code::usage);
  EXPECT_EQ(back.message(), "cannot keep the first 3: of input 'x' only the latest state is there");
  EXPECT_EQ(next(*session, inputs), 14);
  std::vector<float> fewer(kCount - 1, 1);
  std::vector<TensorView> another{tensor("one", fewer)};
  EXPECT_EQ(session->run(another).message(), "input 'x', which the session keeps: expected f32[20] but this run needs "
                                             "f32[19]; reset the session to begin with another shape");
  EXPECT_EQ(next(*session, inputs), 16);
  ASSERT_TRUE(session->truncate(0).ok());
  EXPECT_EQ(next(*session, another), 2);
  EXPECT_EQ(next(*session, another), 4);
}

TEST(State, AWindowIsWrittenInPlace) {
  auto model = loadModel(counting(0, false).model);
  EXPECT_EQ(model->outputs()[0].grows, -1);
  EXPECT_EQ(model->outputs()[0].written, 0);
  auto session = *model->createSession({.capacity = kCount}); // no input says how much room there is
  for (float want : {2, 4, 6})
    EXPECT_EQ(next(*session, {}), want);
  ASSERT_TRUE(session->truncate(7).ok()); // who writes knows where
  EXPECT_EQ(next(*session, {}), 8);
  ASSERT_TRUE(session->truncate(0).ok());
  EXPECT_EQ(next(*session, {}), 2);

  // Without a capacity it goes in and out as any input does.
  auto plain = *model->createSession();
  std::vector<float> x(kCount, 5);
  std::vector<TensorView> inputs{tensor("x", x)};
  EXPECT_EQ(next(*plain, inputs), 12);
  EXPECT_EQ(next(*plain, inputs), 12);
}

/// As `counting`, but only steps of one are allowed, which is looked at before x is written or behind that.
ModelBuilder countingByOne(uint32_t axis, bool before) {
  ModelBuilder b = counting(axis, true);
  SymbolId step = b.symbol("step", Symbol::Kind::Data);
  std::vector<Instruction> all = std::move(b.model.program.instructions);
  b.model.program.instructions.clear();
  auto look = [&] {
    b.emit(ReadScalar{step, b.model.inputs[1].buffer, DType::f32, kNone},
           Assert{b.value(step), b.constant(1), "a step", kNone});
  };
  if (before)
    look();
  for (Instruction &i : all)
    b.emit(std::move(i));
  if (!before)
    look();
  return b;
}

TEST(State, AWindowIsLostWhereTheRunThatWroteItFails) {
  std::vector<float> ones(kCount, 1), twos(kCount, 2);
  std::vector<TensorView> good{tensor("one", ones)}, bad{tensor("one", twos)};
  for (bool before : {true, false}) {
    auto model = loadModel(countingByOne(0, before).model);
    auto session = *model->createSession({.capacity = kCount});
    EXPECT_EQ(next(*session, good), 2);
    EXPECT_EQ(session->run(bad).message(), "a node without a name: a step: 'step' is 2 but '1' is 1");
    if (before) { // nothing has been written
      EXPECT_EQ(next(*session, good), 4);
      continue;
    }
    EXPECT_EQ(session->run(good).message(),
              "input 'x', which the session keeps, was written over by a run that failed; "
              "reset the session to begin anew");
    ASSERT_TRUE(session->truncate(0).ok());
    EXPECT_EQ(next(*session, good), 2);
  }
}

TEST(State, WhatIsReplacedOutlivesARunThatFails) {
  std::vector<float> ones(kCount, 1), twos(kCount, 2);
  std::vector<TensorView> good{tensor("one", ones)}, bad{tensor("one", twos)};
  auto model = loadModel(countingByOne(kNone, false).model);
  auto session = *model->createSession({.capacity = 1});
  EXPECT_EQ(next(*session, good), 2);
  EXPECT_FALSE(session->run(bad).ok());
  EXPECT_EQ(next(*session, good), 4);
}

TEST(State, WhatIsReplacedHasOneShape) {
  ModelBuilder b = counting(kNone, true);
  b.model.outputs[0].dims[0] = b.constant(3);
  Status status = verifyModel(b.model);
  EXPECT_EQ(status.code(), Code::rejected);
  EXPECT_EQ(status.message(), "output 'y' continues input 'x', which is not of its shape");
}

/// What is kept in place of an output is what a verifier lets through: of one that grows, in temporaries of its own.
TEST(State, KeptInAnotherFormIsVerified) {
  auto model = [](bool grows, const std::function<void(ModelBuilder &, Port &, BufferId)> &change) {
    ModelBuilder b;
    ExprId n = b.value(b.symbol("past", Symbol::Kind::Input, 0, 1000));
    ExprId all = grows ? b.expr(Expr::Op::Add, n, b.constant(1)) : n, four = b.constant(4);
    BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, all);
    BufferId t = b.temporary(b.expr(Expr::Op::Mul, all, four));
    b.emit(b.scale(x, t, n, b.constant(2)), b.scale(x, y, n, b.constant(2)));
    Port &port = b.model.outputs[0];
    port.tied = port.axis = 0;
    port.kept = {{DType::i8, {all}, t}};
    change(b, port, y);
    return verifyModel(b.model).message();
  };
  EXPECT_EQ(model(true, [](auto &, Port &, BufferId) {}), "");
  EXPECT_EQ(model(false, [](auto &, Port &, BufferId) {}),
            "output 'y' says how a session keeps it but continues no input");
  EXPECT_EQ(model(true, [](auto &, Port &port, BufferId) { port.kept.push_back(port.kept[0]); }),
            "what a session keeps of output 'y' is in buffer 2, which keeps something else");
  EXPECT_EQ(model(true, [](auto &, Port &port, BufferId y) { port.kept[0].buffer = y; }),
            "what a session keeps of output 'y' is in buffer 1, which is no temporary of a known size");
  EXPECT_EQ(model(true, [](auto &, Port &port, BufferId) { port.kept[0].buffer = 77; }),
            "what a session keeps of output 'y' is in buffer 77 but there are 3");
  EXPECT_EQ(model(true, [](auto &, Port &port, BufferId) { port.kept[0].dims.clear(); }),
            "what a session keeps of output 'y' is not of its shape");
  EXPECT_EQ(model(true, [](auto &, Port &port, BufferId) { port.kept[0].dims[0] = 9999; }).substr(0, 42),
            "a dimension of what a session keeps of out");
  EXPECT_EQ(model(true, [](ModelBuilder &b, Port &port, BufferId) { b.model.inputs[0].kept = port.kept; }),
            "input 'x' says how a session keeps it, which outputs do");
  EXPECT_EQ(
      model(true, [](ModelBuilder &b, Port &port,
                     BufferId) { port.kept[0].buffer = b.temporary(b.model.buffers[port.kept[0].buffer].bytes); }),
      "what a session keeps of output 'y' is in buffer 3, which the program does not define");
}

} // namespace
} // namespace kt::test
