//===- CudaStateTest.cpp - states that do not grow, on a device -----------===//
//
// Two pieces of memory that take turns under graphs that are patched, and what a run that failed leaves of a state.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

namespace kt::test {
namespace {

#define EXPECT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    Status ktStatus = (expression);                                                                                    \
    EXPECT_TRUE(ktStatus.ok()) << ktStatus.message();                                                                  \
  } while (false)

enum class Look { never, first, last };

/// y = x + 2 step, which continues x, and z = y + y; a negative step is a fault. A run looks at a number when it begins
/// or at its end, and then at faults as well.
ModelBuilder counting(uint32_t axis, Look look = Look::never) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256));
  BufferId x = b.input("x", DType::f32, n), step = b.input("step", DType::f32, n);
  BufferId t = b.temporary(b.expr(Op::Mul, n, b.constant(4)));
  BufferId y = b.output("y", DType::f32, n), z = b.output("z", DType::f32, n);
  SymbolId seen = b.symbol("seen", Symbol::Kind::Data);
  if (look == Look::first) {
    BufferId u = b.temporary(b.expr(Op::Mul, n, b.constant(4)));
    b.emit(b.add(step, step, u, n), ReadScalar{seen, u, DType::f32, kNone});
  }
  b.emit(b.scale(step, t, n, b.constant(2)), b.add(x, t, y, n), b.add(y, y, z, n));
  if (look == Look::last)
    b.emit(ReadScalar{seen, z, DType::f32, kNone});
  b.model.outputs[0].tied = 0;
  b.model.outputs[0].axis = axis;
  Kernel &kernel = b.model.kernels[b.kernel(Entry::scale)];
  kernel.name = "reporting";
  kernel.reportsFaults = true;
  b.model.sites = {{kNone, "an index into axis 0", false}};
  addGpuCode(b.model, {Entry::scale, Entry::add}, b);
  return b;
}

const std::vector<float> kGood(8, 1), kBad(8, -3);

float next(Session &session) {
  EXPECT_OK(session.run(std::vector{tensor("step", kGood)}));
  return session.outputs().empty() ? -1 : floats(session.outputs()[1])[0];
}

TEST_P(Cuda, StatesTakeTurnsInGraphs) {
  auto session = *loadModel(counting(kNone).model, kGpu)->createSession({.capacity = 1});
  for (int run = 1; run < 10; ++run)
    EXPECT_EQ(next(*session), static_cast<float>(4 * run));
  EXPECT_EQ(session->stats().graphRecordings, 1u);
  EXPECT_GT(session->stats().graphReplays, 5u);
  // A run once more finds what the latest one did.
  EXPECT_OK(session->repeat());
  EXPECT_EQ(next(*session), 40);
}

TEST_P(Cuda, AStateIsWhatItWasBeforeARunThatFailed) {
  auto session = *loadModel(counting(kNone).model, kGpu)->createSession({.capacity = 1});
  for (float want : {4, 8, 12}) {
    EXPECT_EQ(next(*session), want);
    EXPECT_FALSE(session->run(std::vector{tensor("step", kBad)}).ok());
  }
  // Two runs behind one another leave nothing to go back to.
  for (const std::vector<float> &step : {kBad, kGood})
    EXPECT_OK(session->enqueue(std::vector{Binding::input("step", tensor("", step))}));
  EXPECT_FALSE(session->wait().ok());
  EXPECT_EQ(session->run(std::vector{tensor("step", kGood)}).message(),
            "input 'x', which the session keeps, was written over by a run that failed; reset the session to begin "
            "anew");
  EXPECT_OK(session->truncate(0));
  EXPECT_EQ(next(*session), 4);
}

TEST_P(Cuda, AWindowIsLostWhereTheRunItselfFindsTheFault) {
  auto session = *loadModel(counting(0, Look::last).model, kGpu)->createSession({.capacity = 8});
  for (float want : {4, 8})
    EXPECT_EQ(next(*session), want);
  EXPECT_FALSE(session->run(std::vector{tensor("step", kBad)}).ok());
  EXPECT_EQ(session->run(std::vector{tensor("step", kGood)}).code(), Code::usage);
  EXPECT_OK(session->truncate(0));
  EXPECT_EQ(next(*session), 4);
}

TEST_P(Cuda, AFaultThatALaterRunFindsIsOfTheEarlierOne) {
  for (uint32_t axis : {kNone, 0u}) {
    auto session = *loadModel(counting(axis, Look::first).model, kGpu)->createSession({.capacity = 8});
    for (float want : {4, 8})
      EXPECT_EQ(next(*session), want);
    auto enqueue = [&](const std::vector<float> &step) {
      return session->enqueue(std::vector{Binding::input("step", tensor("", step))});
    };
    EXPECT_OK(enqueue(kBad));
    EXPECT_EQ(enqueue(kGood).code(), Code::failed);
    (void)session->wait();
    if (axis == kNone) { // the later one had not begun to write
      EXPECT_EQ(next(*session), 12);
      continue;
    }
    EXPECT_EQ(session->run(std::vector{tensor("step", kGood)}).code(), Code::usage);
    EXPECT_OK(session->truncate(0));
    EXPECT_EQ(next(*session), 4);
  }
}

TEST_P(Cuda, ARunThatFailsOnItsWayLeavesNothingToGoBackTo) {
  auto session =
      *loadModel(counting(kNone).model, {.device = "cuda:0", .cudaGraphs = false})->createSession({.capacity = 1});
  EXPECT_EQ(next(*session), 4);
  EXPECT_OK(session->enqueue(std::vector{Binding::input("step", tensor("", kBad))}));
  fake().failingLaunch = fake().launches + 3; // that of z, behind that of y
  EXPECT_FALSE(session->enqueue(std::vector{Binding::input("step", tensor("", kGood))}).ok());
  fake().failingLaunch = 0;
  EXPECT_FALSE(session->wait().ok());
  EXPECT_EQ(session->run(std::vector{tensor("step", kGood)}).code(), Code::usage);
  EXPECT_OK(session->truncate(0));
  EXPECT_EQ(next(*session), 4);
}

TEST_P(Cuda, AWindowMayHaveGoneAnywhere) {
  auto session = *loadModel(counting(0).model, kGpu)->createSession({.capacity = 8});
  for (float want : {4, 8, 12})
    EXPECT_EQ(next(*session), want);
  EXPECT_FALSE(session->run(std::vector{tensor("step", kBad)}).ok());
  EXPECT_EQ(session->run(std::vector{tensor("step", kGood)}).code(), Code::usage);
  EXPECT_OK(session->truncate(0));
  EXPECT_EQ(next(*session), 4);
}

} // namespace
} // namespace kt::test
