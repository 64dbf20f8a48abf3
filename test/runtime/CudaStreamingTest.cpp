//===- CudaStreamingTest.cpp - streaming, graphs and fences on a GPU ------===//
//
// Weights that are copied one slice ahead, what happens when a graph cannot be recorded, and that a call returns only
// once the device is done with it.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

#include <algorithm>

namespace kt::test {
namespace {

constexpr uint64_t kWeight = 1024; // bytes of each weight of a chain

/// A chain whose weights do not all fit: two staging halves, and what is left of `weights` for those that stay.
std::shared_ptr<kt::Model> streamingChain(size_t layers, uint64_t weights) {
  return loadModel(chain(layers, {Entry::add, Entry::scale}).model,
                   {.device = "cuda:0", .threads = 2, .deviceMemory = weights * kWeight});
}

TEST_P(Cuda, StreamsThroughTwoHalves) {
  // None stay; all but two; of three slices, all; an even and an odd number go around the end.
  for (size_t layers : {3, 6, 7})
    for (uint64_t weights : {uint64_t(2), uint64_t(layers) - 1}) {
      auto model = streamingChain(layers, weights);
      ASSERT_TRUE(model);
      auto session = *model->createSession();
      for (int i = 0; i < 4; ++i)
        expectChain(*session, layers, 200, static_cast<float>(i));
      EXPECT_EQ(session->stats().residentWeightBytes, (weights - 2) * kWeight);
      EXPECT_EQ(session->stats().graphReplays, 0u);
      // Other shapes, larger ones too: the copies that run ahead go on.
      for (size_t n : {10, 256, 17, 256, 17})
        expectChain(*session, layers, n, static_cast<float>(n));
      EXPECT_EQ(fake().violations, std::vector<std::string>());
    }
}

TEST_P(Cuda, OneSliceIsCopiedAheadOfTheOneThatRuns) {
  auto model = streamingChain(4, 2);
  auto session = *model->createSession();
  expectChain(*session, 4, 8, 1);
  // One copy more than slices: the first one's, for the next run.
  EXPECT_EQ(session->stats().streamedBytes, 5 * kWeight);
  expectChain(*session, 4, 8, 1);
  EXPECT_EQ(session->stats().streamedBytes, 9 * kWeight);
}

TEST_P(Cuda, StreamsThroughOneHalf) {
  auto model = streamingChain(5, 1);
  ASSERT_TRUE(model);
  auto session = *model->createSession();
  for (int i = 0; i < 3; ++i)
    expectChain(*session, 5, 100 + i, static_cast<float>(i));
}

TEST_P(Cuda, StreamsFromPageableMemoryWhereNoneIsPinned) {
  fake().failing = "cuMemHostAlloc";
  auto model = streamingChain(5, 2);
  fake().failing.clear();
  ASSERT_TRUE(model);
  auto session = *model->createSession();
  for (int i = 0; i < 3; ++i)
    expectChain(*session, 5, 100, static_cast<float>(i));
}

TEST_P(Cuda, RepeatsStreamAsWell) {
  auto model = streamingChain(5, 3);
  auto session = *model->createSession();
  for (int i = 0; i < 3; ++i) {
    expectChain(*session, 5, 30, static_cast<float>(i));
    for (int k = 0; k < 2; ++k)
      EXPECT_TRUE(session->repeat().ok());
  }
}

TEST_P(Cuda, AFailedRunLeavesNothingBehindInStaging) {
  auto model = streamingChain(6, 2);
  auto session = *model->createSession();
  expectChain(*session, 6, 60, 1);
  std::vector<float> x(60, 1);
  for (uint64_t launches : {1, 4, 7}) {
    fake().launches = 0;
    fake().failingLaunch = launches;
    EXPECT_FALSE(session->run(std::vector{tensor("x", x)}).ok());
    fake().failingLaunch = 0;
    expectChain(*session, 6, 60, 2);
  }
}

/// Slices of two weights: a half with one of each is neither slice's.
TEST_P(Cuda, AHalfThatWasFilledHalfIsFilledAnew) {
  ModelBuilder b;
  ExprId n = b.constant(256), bytes = b.constant(1024);
  BufferId x = b.input("x", DType::f32, n), at = x;
  std::vector<uint32_t> cuts;
  for (uint32_t i = 0; i < 8; ++i) {
    BufferId w = b.weight("w", std::vector<float>(256, static_cast<float>(1 << i)));
    BufferId y = i == 7 ? b.output("y", DType::f32, n) : b.temporary(bytes);
    if (i && i % 2 == 0)
      cuts.push_back(i);
    b.emit(b.add(at, w, y, n));
    at = y;
  }
  b.slice(cuts);
  addGpuCode(b.model, {Entry::add}, b);
  std::vector<float> values(256, 0.5f);
  for (uint64_t halves : {1, 2}) {
    auto session = *loadModel(b.model, {.device = "cuda:0", .deviceMemory = 2 * halves * kWeight})->createSession();
    auto run = [&] { return session->run(std::vector{tensor("x", values)}); };
    ASSERT_TRUE(run().ok());
    for (uint64_t copy = 1; copy < 10; ++copy) {
      fake().copiesIn = 0;
      fake().failingCopy = copy;
      (void)run();
      fake().failingCopy = 0;
      ASSERT_TRUE(run().ok());
      EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(256, 255.5f)) << copy;
    }
  }
}

/// Whether a run finds memory; one that does is right, one that does not says so.
bool runsIfItFits(Session &session, size_t layers, size_t n) {
  std::vector<float> x(n, 1);
  Status status = session.run(std::vector{tensor("x", x)});
  if (status.ok())
    expectChain(session, layers, n, 2);
  else
    EXPECT_NE(status.message().find("not enough device memory"), std::string::npos) << status.message();
  return status.ok();
}

/// Adds sessions that plan large shapes until weights have to make room for their values, or cannot.
void crowdOut(kt::Model &model, size_t layers, std::vector<std::unique_ptr<Session>> &sessions) {
  for (int i = 0; i < 6; ++i) {
    sessions.push_back(*model.createSession());
    uint64_t before = sessions.back()->stats().streamedWeightBytes;
    if (!runsIfItFits(*sessions.back(), layers, 256) || sessions.back()->stats().streamedWeightBytes > before)
      return;
  }
  FAIL() << "memory is not short";
}

/// Copies may be under way while weights move: those for the decision before go where nobody looks.
TEST_P(Cuda, WeightsMoveWhileCopiesRunAhead) {
  fake().freeBytes = 16000; // eight weights, and the values of a few runs
  auto model = loadModel(chain(8, {Entry::add, Entry::scale}).model, kGpu);
  ASSERT_TRUE(model);
  std::vector<std::unique_ptr<Session>> sessions;
  sessions.push_back(*model->createSession());
  for (int i = 0; i < 4; ++i) {
    crowdOut(*model, 8, sessions);
    sessions.resize(1); // their staging memory was not foreseen
    for (size_t n : {10, 60})
      expectChain(*sessions[0], 8, n, 3);
  }
}

TEST_P(Cuda, ASessionThatFindsNoRoomDoesNotTouchTheOthers) {
  fake().freeBytes = 11304; // two weights, the values of five sessions, and 200 bytes
  auto model = loadModel(chain(2, {Entry::add, Entry::scale}).model, kGpu);
  std::vector<std::unique_ptr<Session>> sessions;
  for (size_t n : {10, 256, 256, 256, 256}) {
    sessions.push_back(*model->createSession());
    expectChain(*sessions.back(), 2, n, 1);
  }
  std::vector<float> x(256, 1);
  Status status = (*model->createSession())->run(std::vector{tensor("x", x)});
  EXPECT_NE(status.message().find("not enough device memory: a run needs"), std::string::npos) << status.message();
  EXPECT_EQ(sessions[0]->stats().residentWeightBytes, 2 * kWeight);
  for (auto &session : sessions)
    expectChain(*session, 2, 10, 2);
}

/// Memory that the driver reports as free may not be had in one piece.
TEST_P(Cuda, WeightsThatCouldNotBePlacedArePlacedByTheNextRun) {
  fake().freeBytes = 16000;
  auto model = loadModel(chain(8, {Entry::add, Entry::scale}).model, kGpu);
  auto first = *model->createSession();
  for (int i = 0; i < 3; ++i)
    expectChain(*first, 8, 10, 1);
  std::vector<std::unique_ptr<Session>> others;
  for (int i = 0; i < 2; ++i) {
    others.push_back(*model->createSession());
    expectChain(*others.back(), 8, 256, 1);
  }
  others.push_back(*model->createSession());
  std::vector<float> large(256, 1), small(10, 1);
  fake().failing = "cuMemAlloc";
  EXPECT_NE(others.back()->run(std::vector{tensor("x", large)}).message().find("weights: "), std::string::npos);
  // All is gone that was on the device: while nothing can be had, nobody runs with what is not there.
  EXPECT_NE(first->run(std::vector{tensor("x", small)}).message().find("weights: "), std::string::npos);
  fake().failing.clear();
  others.clear();
  // All fit again, in another place than the one that the graph names.
  expectChain(*first, 8, 10, 2);
  EXPECT_EQ(first->stats().streamedWeightBytes, 0u);
  EXPECT_EQ(first->stats().graphReplays, 3u);
}

/// Three sessions with two halves each fill the memory; the next thing that is needed leaves room for one half.
TEST_P(Cuda, StagingMovesWhileItsCopiesRunAhead) {
  for (bool another : {true, false}) {
    fake().freeBytes = fake().allocatedBytes + 10145;
    auto model = loadModel(chain(8, {Entry::add, Entry::scale}).model,
                           {.device = "cuda:0", .threads = 2, .deviceMemory = 4 * kWeight});
    std::vector<std::unique_ptr<Session>> sessions;
    for (int i = 0; i < 3; ++i) {
      sessions.push_back(*model->createSession());
      expectChain(*sessions.back(), 8, 10, 1);
    }
    if (another) // the others find another decision, without a plan of their own
      sessions.push_back(*model->createSession());
    EXPECT_TRUE(runsIfItFits(*sessions.back(), 8, another ? 10 : 256));
    EXPECT_EQ(sessions[0]->stats().residentWeightBytes, 0u);
    for (auto &session : sessions)
      EXPECT_TRUE(runsIfItFits(*session, 8, 10));
  }
}

TEST_P(Cuda, AGraphGivesWayToStreaming) {
  fake().freeBytes = 16000;
  auto model = loadModel(chain(8, {Entry::add, Entry::scale}).model, kGpu);
  auto first = *model->createSession();
  for (int i = 0; i < 3; ++i)
    expectChain(*first, 8, 10, 1);
  EXPECT_EQ(first->stats().graphReplays, 2u);
  // The weights that the graph names move when other sessions need their room.
  std::vector<std::unique_ptr<Session>> others;
  crowdOut(*model, 8, others);
  ASSERT_GT(others.back()->stats().streamedWeightBytes, 0u);
  others.clear();
  for (int i = 0; i < 3; ++i)
    expectChain(*first, 8, 10, 2);
  EXPECT_EQ(first->stats().graphReplays, 2u);
  EXPECT_EQ(first->stats().graphFailures, 0u);
}

struct GraphFailure {
  const char *call;
  bool whileCapturing;
  uint64_t replays; // before the failure
};

TEST_P(Cuda, RunsWithoutAGraphThatCannotBeHad) {
  for (const GraphFailure &f : {GraphFailure{"cuStreamBeginCapture", false, 0},
                                {"cuStreamEndCapture", false, 0},
                                {"cuLaunchKernel", true, 0},
                                {"cuGraphInstantiateWithFlags", false, 0},
                                {"cuGraphLaunch", false, 0},
                                {"cuGraphLaunch", false, 2}}) {
    SCOPED_TRACE(f.call);
    auto model = loadModel(chain(3, {Entry::add, Entry::scale}).model, kGpu);
    auto session = *model->createSession();
    for (uint64_t i = 0; i < f.replays + 1; ++i)
      expectChain(*session, 3, 100, 1);
    fake().failing = f.call;
    fake().onlyWhileCapturing = f.whileCapturing;
    for (int i = 0; i < 4; ++i)
      expectChain(*session, 3, 100, static_cast<float>(i));
    EXPECT_EQ(session->stats().graphReplays, f.replays);
    EXPECT_EQ(session->stats().graphFailures, 1u) << "it is not tried again with these shapes";
    EXPECT_TRUE(session->repeat().ok());
    // Another plan is another attempt, at once where everything has room where it lies.
    fake().failing.clear();
    for (int i = 0; i < 3; ++i)
      expectChain(*session, 3, 50, 1);
    EXPECT_EQ(session->stats().graphReplays, f.replays + 3);
    EXPECT_EQ(session->stats().graphFailures, 1u);
  }
}

TEST_P(Cuda, WhatFailsWithoutAGraphTooIsTold) {
  auto session = *loadModel(chain(1, {Entry::add, Entry::scale}).model, kGpu)->createSession();
  expectChain(*session, 1, 10, 1);
  session->cancel();
  std::vector<float> x(10);
  EXPECT_EQ(session->run(std::vector{tensor("x", x)}).message(), "the run was cancelled");
  EXPECT_EQ(session->stats().graphFailures, 0u);
  expectChain(*session, 1, 10, 2);
  EXPECT_EQ(session->stats().graphReplays, 1u);
}

/// y = x * 2, where a negative x is a fault.
ModelBuilder reporting() {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256));
  BufferId x = b.input("x", DType::f32, n), t = b.temporary(b.expr(Op::Mul, n, b.constant(4)));
  BufferId y = b.output("y", DType::f32, n);
  b.emit(b.scale(x, t, n, b.constant(2)), b.add(t, t, y, n));
  Kernel &kernel = b.model.kernels[b.kernel(Entry::scale)];
  kernel.name = "reporting";
  kernel.reportsFaults = true;
  b.model.sites = {{kNone, "an index into axis 0", false}};
  addGpuCode(b.model, {Entry::scale, Entry::add}, b);
  return b;
}
constexpr const char *kFault = "a node without a name: an index into axis 0 is -3, expected 0 to 4";

TEST_P(Cuda, AFaultBelongsToTheCallThatMetIt) {
  auto session = *loadModel(reporting().model, kGpu)->createSession();
  std::vector<float> good(8, 1), bad(8, -3);
  for (int i = 0; i < 3; ++i) { // plain, recorded, replayed
    EXPECT_EQ(session->run(std::vector{tensor("x", bad)}).message(), kFault);
    EXPECT_EQ(session->repeat().message(), kFault);
    EXPECT_EQ(session->repeat().message(), kFault);
    Status status = session->run(std::vector{tensor("x", good)});
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(8, 4));
  }
}

TEST_P(Cuda, AFaultOfARunThatFailedOtherwiseIsForgotten) {
  auto session = *loadModel(reporting().model, {.device = "cuda:0", .cudaGraphs = false})->createSession();
  std::vector<float> good(8, 1), bad(8, -3);
  ASSERT_TRUE(session->run(std::vector{tensor("x", good)}).ok());
  fake().launches = 0;
  fake().failingLaunch = 2;
  EXPECT_NE(session->run(std::vector{tensor("x", bad)}).message(), kFault);
  fake().failingLaunch = 0;
  Status status = session->run(std::vector{tensor("x", good)});
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST_P(Cuda, CallsReturnWhenTheDeviceIsDone) {
  auto model = loadModel(chain(3, {Entry::add, Entry::scale}).model, kGpu);
  EXPECT_EQ(pendingWork(), 0u) << "weights are there when the model is";
  auto session = *model->createSession();
  for (int i = 0; i < 3; ++i) {
    expectChain(*session, 3, 20, 1);
    EXPECT_EQ(pendingWork(), 0u);
    EXPECT_TRUE(session->repeat().ok());
    EXPECT_EQ(pendingWork(), 0u);
  }
  session = *loadModel(chain(3, {Entry::add, Entry::scale}).model, {.device = "cuda:0", .cudaGraphs = false})
                 ->createSession();
  std::vector<float> x(20);
  fake().launches = 0;
  fake().failingLaunch = 2;
  EXPECT_FALSE(session->run(std::vector{tensor("x", x)}).ok());
  EXPECT_EQ(pendingWork(), 0u) << "a failure waits as well";
}

TEST_P(Cuda, ProfiledLaunchesWaitBeforeAndAfter) {
  auto session = *loadModel(chain(2, {Entry::add, Entry::scale}).model, kGpu)->createSession();
  session->profile(true);
  fake().calls.clear();
  expectChain(*session, 2, 20, 1);
  EXPECT_EQ(session->profileEvents().size(), 4u);
  const auto &calls = fake().calls;
  for (size_t i = 0; i < calls.size(); ++i)
    if (calls[i] == "cuLaunchKernel") {
      EXPECT_EQ(calls[i - 1], "cuStreamSynchronize") << "what came before is not counted";
      EXPECT_EQ(calls[i + 1], "cuStreamSynchronize") << "the launch is";
    }
}

/// Memory that the pool gives back is still named by work that was enqueued.
TEST_P(Cuda, ThePoolWaitsBeforeItGivesMemoryBack) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256));
  BufferId k = b.input("k", DType::i64, b.constant(1)), x = b.input("x", DType::f32, n);
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  ExprId some = b.expr(Op::Mul, b.value(s), b.constant(256)), many = b.expr(Op::Mul, b.value(s), b.constant(10000));
  BufferId t = b.temporary(some), u = b.temporary(many), v = b.temporary(b.expr(Op::Mul, n, b.constant(4)));
  BufferId y = b.output("y", DType::f32, n);
  // Sizes that depend on data come from the pool.
  b.emit(ReadScalar{s, k, DType::i64, kNone}, b.scale(x, t, n, b.constant(2)), b.scale(t, v, n, b.constant(2)),
         b.scale(x, u, n, b.constant(3)), b.add(u, v, y, n));
  addGpuCode(b.model, {Entry::add, Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  std::vector<float> values(50, 1);
  for (int64_t size : {1, 1, 2, 1}) {
    // Room for the large one only where the small one has gone; at the first run for both.
    fake().freeBytes = fake().allocatedBytes + 10240 * size + (size == 1 ? 4096 : 0);
    std::vector<int64_t> sizes{size};
    Status status = session->run(std::vector{tensor("x", values), tensor("k", sizes)});
    if (status.ok())
      EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(50, 7));
    else
      EXPECT_NE(status.message().find("memory"), std::string::npos) << status.message();
  }
}

} // namespace
} // namespace kt::test
