//===- PrologueTest.cpp - what a plan does once for its runs --------------===//
//
// Launches that depend on weights and on sizes of inputs only: done when shapes change and at no other time, right
// whatever happens in between, and not kept where that takes too much memory.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

namespace kt::test {
namespace {

constexpr size_t kLayers = 5;
constexpr uint64_t kWeight = 1024; // bytes of each weight

/// y = x + u0 + u1 + ..., a slice for each; u = t * 3 and t = w * 2 are done once a plan. An input that nobody reads,
/// and u0 as an output.
ModelBuilder tables(const std::vector<Entry> &onGpu, size_t elements = 256) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 0, 300)), bytes = b.expr(Op::Mul, n, b.constant(4));
  BufferId x = b.input("x", DType::f32, n);
  b.input("unused", DType::f32, n);
  b.emit(Assert{n, b.expr(Op::Min, n, b.constant(256)), "too long"}); // what reads the tables relies on it
  std::vector<uint32_t> cuts;
  for (size_t i = 0; i < kLayers; ++i) {
    BufferId w = b.weight("w", std::vector<float>(elements, static_cast<float>(1 << i)));
    BufferId t = b.temporary(bytes), u = i ? b.temporary(bytes) : b.output("u", DType::f32, n);
    BufferId y = i + 1 == kLayers ? b.output("y", DType::f32, n) : b.temporary(bytes);
    if (i)
      cuts.push_back(b.model.program.instructions.size());
    Instruction first = b.scale(w, t, n, b.constant(2)), second = b.scale(t, u, n, b.constant(3));
    std::get<Launch>(first).once = std::get<Launch>(second).once = true;
    b.emit(std::move(first), std::move(second), b.add(x, u, y, n));
    x = y;
  }
  b.slice(cuts);
  if (!onGpu.empty())
    addGpuCode(b.model, onGpu, b);
  return b;
}

Status runTables(Session &session, size_t n, float start) {
  std::vector<float> x(n, start), unused(n, -1000);
  return session.run(std::vector{tensor("x", x), tensor("unused", unused)});
}

void expectTables(Session &session, size_t n, float start) {
  Status status = runTables(session, n, start);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(floats(session.outputs()[0]), std::vector<float>(n, 6));
  EXPECT_EQ(floats(session.outputs()[1]), std::vector<float>(n, start + 6 * ((1 << kLayers) - 1)));
}

TEST(Prologue, IsDoneWhenShapesChange) {
  auto model = loadModel(tables({}).model);
  auto session = *model->createSession(), other = *model->createSession();
  uint64_t launches = 0, once = 0;
  for (size_t n : {200, 7, 256, 0, 7}) {
    for (int i = 0; i < 3; ++i) {
      expectTables(*session, n, static_cast<float>(i));
      launches += kLayers;
    }
    once += 2 * kLayers;
    EXPECT_EQ(session->stats().onceLaunches, once);
    EXPECT_EQ(session->stats().launches, launches + once);
  }
  expectTables(*other, 7, 1); // each session has its own
  EXPECT_EQ(other->stats().onceLaunches, 2 * kLayers);
}

TEST(Prologue, IsNotKeptWhereItTakesMuchMoreMemory) {
  constexpr size_t kMany = 2 << 20; // 8 MiB a value: 16 more than a run needs is the limit, or a quarter
  for (size_t layers : {2, 8}) {
    ModelBuilder b;
    ExprId n = b.value(b.symbol("n")), bytes = b.expr(Op::Mul, n, b.constant(4));
    BufferId x = b.input("x", DType::f32, n), w = b.weight("w", std::vector<float>(kMany, 1));
    for (size_t i = 0; i < layers; ++i) {
      BufferId t = b.temporary(bytes), y = i + 1 == layers ? b.output("y", DType::f32, n) : b.temporary(bytes);
      Instruction once = b.scale(w, t, n, b.constant(static_cast<int64_t>(i)));
      std::get<Launch>(once).once = true;
      b.emit(std::move(once), b.add(x, t, y, n));
      x = y;
    }
    auto session = *loadModel(b.model)->createSession();
    for (size_t n : {size_t(1000), kMany}) {
      bool kept = n == 1000 || layers == 2;
      Stats before = session->stats();
      std::vector<float> values(n, 1);
      for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(session->run(std::vector{tensor("x", values)}).ok());
        EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(n, 1 + layers * (layers - 1) / 2));
      }
      EXPECT_EQ(session->stats().onceLaunches - before.onceLaunches, kept ? layers : 0) << layers << " " << n;
      EXPECT_EQ(session->stats().launches - before.launches, kept ? 3 * layers : 4 * layers);
      if (n == kMany)
        EXPECT_LE(session->stats().arenaBytes, n * 4 * 4);
    }
  }
}

/// Its workspace lies beside what it has still to read.
TEST(Prologue, UsesWorkspace) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 1024)), bytes = b.expr(Op::Mul, n, b.constant(4));
  BufferId x = b.input("x", DType::f32, n), w = b.weight("w", std::vector<float>(1024, 1));
  BufferId t = b.temporary(bytes), u = b.temporary(bytes);
  BufferId s = b.output("s", DType::f32, b.constant(1)), y = b.output("y", DType::f32, n);
  Instruction once[] = {b.scale(w, t, n, b.constant(2)), b.sum(t, s, n), b.scale(t, u, n, b.constant(3))};
  for (Instruction &i : once) {
    std::get<Launch>(i).once = true;
    b.emit(std::move(i));
  }
  b.emit(b.add(x, u, y, n));
  auto session = *loadModel(b.model)->createSession();
  std::vector<float> values(1000, 1);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(session->run(std::vector{tensor("x", values)}).ok());
    EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>{2000});
    EXPECT_EQ(floats(session->outputs()[1]), std::vector<float>(1000, 7));
  }
}

TEST_P(Cuda, ThePrologueIsNotPartOfAGraph) {
  auto session = *loadModel(tables({Entry::add, Entry::scale}).model, kGpu)->createSession();
  for (size_t n : {200, 7}) {
    fake().launches = 0;
    for (int i = 0; i < 4; ++i)
      expectTables(*session, n, static_cast<float>(i));
    // The prologue, a plain run, and one that is recorded for the others, with other sizes too.
    EXPECT_EQ(fake().launches, 2 * kLayers + (n == 200 ? 2 : 1) * kLayers);
  }
  EXPECT_EQ(session->stats().graphReplays, 6u);
  EXPECT_EQ(session->stats().graphRecordings, 1u);
}

/// What a walk of the program was to record, a second one does.
TEST_P(Cuda, WhatThePrologueMadeIsThereWithoutAGraph) {
  for (const char *call : {"cuStreamEndCapture", "cuGraphInstantiateWithFlags"}) {
    auto session = *loadModel(tables({Entry::add, Entry::scale}).model, kGpu)->createSession();
    fake().failing = call;
    for (int i = 0; i < 3; ++i)
      expectTables(*session, 200, static_cast<float>(i));
    EXPECT_EQ(session->stats().graphFailures, 1u);
    fake().failing.clear();
  }
}

TEST_P(Cuda, ThePrologueStreamsItsWeights) {
  for (uint64_t weights : {1, 2, 4})
    for (bool repeat : {false, true}) {
      auto model = loadModel(tables({Entry::add, Entry::scale}).model,
                             {.device = "cuda:0", .threads = 2, .deviceMemory = weights * kWeight});
      ASSERT_TRUE(model);
      auto session = *model->createSession();
      for (size_t n : {256, 30, 256})
        for (int i = 0; i < 3; ++i) {
          expectTables(*session, n, static_cast<float>(i));
          if (repeat)
            EXPECT_TRUE(session->repeat().ok());
        }
    }
}

/// Plans that leave everything in its place follow one another while runs are under way.
TEST_P(Cuda, ThePrologueLeavesStagedWeightsToRunsThatReadThem) {
  auto model = loadModel(tables({Entry::add, Entry::scale}).model,
                         {.device = "cuda:0", .threads = 2, .deviceMemory = 2 * kWeight});
  ASSERT_TRUE(model);
  auto session = *model->createSession();
  Caller caller;
  std::vector<std::pair<float *, size_t>> made;
  for (size_t n : {256, 200, 150, 30}) {
    std::vector<float> x(n, 1);
    made.emplace_back(caller.floats(x), n);
    Status status =
        session->enqueue(std::vector{Binding::input("x", tensor("", x)), Binding::input("unused", tensor("", x)),
                                     Binding::output("y", made.back().first, n * sizeof(float), Memory::device)});
    ASSERT_TRUE(status.ok()) << status.message();
  }
  EXPECT_TRUE(session->wait().ok());
  for (auto [y, n] : made)
    EXPECT_EQ(caller.read(y, n), std::vector<float>(n, 1 + 6 * ((1 << kLayers) - 1)));
}

/// Ordinary launches that read streamed weights too come right after it.
TEST_P(Cuda, TheFirstRunDoesNotOverwriteWhatThePrologueReads) {
  ModelBuilder b = tables({Entry::add, Entry::scale});
  ExprId n = b.model.inputs[0].dims[0];
  // Before the last addition of each slice, its weight.
  auto &program = b.model.program.instructions;
  std::vector<uint32_t> cuts;
  std::vector<Instruction> all;
  BufferId x = b.model.inputs[0].buffer;
  for (size_t i = 0; i < program.size(); ++i) {
    auto *launch = std::get_if<Launch>(&program[i]);
    if (launch && !launch->once) {
      BufferId t = b.temporary(b.model.buffers[x].bytes);
      all.push_back(b.add(x, std::get<Launch>(all[all.size() - 2]).buffers[0], t, n));
      launch->buffers[0] = t;
      x = launch->buffers[2];
    }
    bool ends = launch && !launch->once && i + 1 < program.size();
    all.push_back(std::move(program[i]));
    if (ends)
      cuts.push_back(all.size());
  }
  program = std::move(all);
  b.model.slices.clear();
  b.slice(cuts);
  for (uint64_t weights : {1, 2, 4}) {
    auto session = *loadModel(b.model, {.device = "cuda:0", .deviceMemory = weights * kWeight})->createSession();
    for (size_t n : {256, 30, 256})
      for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(runTables(*session, n, 1).ok());
        EXPECT_EQ(floats(session->outputs()[1]), std::vector<float>(n, 1 + 7 * ((1 << kLayers) - 1)));
      }
  }
}

TEST_P(Cuda, AFailureLeavesNoHalfOfAPrologue) {
  for (uint64_t weights : {2, 64}) {
    auto session =
        *loadModel(tables({Entry::add, Entry::scale}).model, {.device = "cuda:0", .deviceMemory = weights * kWeight})
             ->createSession();
    for (uint64_t launch = 1; launch <= 2 * kLayers; ++launch) {
      size_t n = 10 + launch; // a plan
      fake().launches = 0;
      fake().failingLaunch = launch;
      EXPECT_FALSE(runTables(*session, n, 1).ok());
      fake().failingLaunch = 0;
      session->cancel();
      EXPECT_EQ(runTables(*session, n, 1).message(), "the run was cancelled");
      for (int i = 0; i < 3; ++i)
        expectTables(*session, n, static_cast<float>(i));
    }
  }
}

/// A repetition needs another plan than the run before it: one that leaves inputs where they are.
TEST_P(Cuda, RepeatsPlanAPrologueOfTheirOwn) {
  auto session = *loadModel(tables({Entry::add, Entry::scale}).model, kGpu)->createSession();
  expectTables(*session, 100, 1);
  EXPECT_TRUE(session->repeat().ok());
  EXPECT_EQ(session->stats().onceLaunches, 4 * kLayers);
  EXPECT_TRUE(session->repeat().ok());
  expectTables(*session, 100, 2);
  EXPECT_EQ(session->stats().onceLaunches, 4 * kLayers);
}

TEST_P(Cuda, ChecksComeBeforeWhatReliesOnThem) {
  auto session = *loadModel(tables({Entry::add, Entry::scale}).model, kGpu)->createSession();
  for (int i = 0; i < 2; ++i) {
    EXPECT_NE(runTables(*session, 300, 1).message().find("too long"), std::string::npos);
    EXPECT_EQ(fake().launches, 0u);
  }
  expectTables(*session, 256, 1);
}

/// A host kernel in the prologue does not keep runs from being recorded.
TEST_P(Cuda, WhatTheHostDoesOnceIsOnTheDeviceForAllRuns) {
  auto session = *loadModel(tables({Entry::add}).model, kGpu)->createSession();
  for (size_t n : {200, 7})
    for (int i = 0; i < 4; ++i)
      expectTables(*session, n, static_cast<float>(i));
  EXPECT_EQ(session->stats().hostFallbacks.at("scale"), 4 * kLayers);
  EXPECT_EQ(session->stats().graphReplays, 6u);
}

/// Memory for the weights and a run, but not for what could be kept: weights are not streamed for its sake.
TEST_P(Cuda, ThePrologueIsDoneInEachRunWhereMemoryIsShort) {
  fake().freeBytes = 91500; // 80 KiB of weights
  auto session = *loadModel(tables({Entry::add, Entry::scale}, 4096).model, kGpu)->createSession();
  for (int i = 0; i < 4; ++i)
    expectTables(*session, 256, static_cast<float>(i));
  EXPECT_EQ(session->stats().streamedWeightBytes, 0u);
  EXPECT_EQ(session->stats().onceLaunches, 0u);
  EXPECT_EQ(session->stats().graphReplays, 3u);
  expectTables(*session, 16, 1);
  EXPECT_EQ(session->stats().onceLaunches, 2 * kLayers);
}

} // namespace
} // namespace kt::test
