//===- CudaPagesTest.cpp - states in pages, on a device -------------------===//
//
// Sessions that share a pool while their work is done as late, or as early, as a driver may do it: what one gives back
// is another's only when nothing reads it any more. (test/tools/ktrun/library_pages.py has compiled models.)
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Verifier.h"
#include "test/runtime/CudaFixture.h"

#include <numeric>

namespace kt::test {
namespace {

#define EXPECT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    Status ktStatus = (expression);                                                                                    \
    EXPECT_TRUE(ktStatus.ok()) << ktStatus.message();                                                                  \
  } while (false)

/// present continues past, f32[1, past], by the numbers of `new`, and `all` is what it has then. With `reader`
/// something else reads it as well.
ModelBuilder appending(bool reader = false) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 1000)), past = b.value(b.symbol("held"));
  b.symbol("@capacity", Symbol::Kind::Capacity);
  ExprId total = b.expr(Op::Add, past, n);
  BufferId state = b.input("past", DType::f32, past), added = b.input("new", DType::f32, n);
  BufferId present = b.output("present", DType::f32, total), all = b.output("all", DType::f32, total);
  b.model.inputs[0].dims = {b.constant(1), past};
  b.model.outputs[0].dims = {b.constant(1), total};
  b.model.outputs[0].tied = 0;
  b.model.outputs[0].axis = 1;
  Kernel kernel;
  kernel.name = kernel.family = "append";
  kernel.numBuffers = 4;
  kernel.numInts = kernel.numResults = 2;
  kernel.exprs = {{Op::Symbol, 0}, {Op::Symbol, 1}, {Op::Const, 1}};
  uint32_t number = b.model.kernels.size();
  b.model.kernels.push_back(kernel);
  addGpuVariant(b.model, number, "");
  b.model.kernels[number].variants[0].paged = true;
  b.model.nodes = {"the cache", "its sum"};
  b.emit(Launch{number, {state, added, present, all}, {past, n}, 0});
  if (reader) {
    BufferId sum = b.output("sum", DType::f32, n);
    Launch launch = std::get<Launch>(b.add(added, present, sum, n));
    launch.node = 1;
    b.emit(std::move(launch));
    addGpuCode(b.model, {Entry::add}, b);
  }
  return b;
}

std::vector<float> numbers(size_t count, float first) {
  std::vector<float> list(count);
  std::iota(list.begin(), list.end(), first);
  return list;
}

/// A session that knows what it should have.
struct Writer {
  std::unique_ptr<Session> session;
  std::vector<float> wanted = {}, latest = {};

  Status run(size_t count, float first) {
    latest = numbers(count, first);
    return session->run(std::vector{tensor("new", latest)});
  }
  /// Adds numbers, and looks at all.
  void add(size_t count, float first) {
    EXPECT_OK(run(count, first));
    wanted.insert(wanted.end(), latest.begin(), latest.end());
    look();
  }
  void look() {
    ASSERT_EQ(session->outputs().size(), 2u);
    EXPECT_EQ(floats(session->outputs()[1]), wanted);
  }
  void truncate(size_t length) {
    EXPECT_OK(session->truncate(length));
    wanted.resize(length);
  }
};

TEST_P(Cuda, APageIsTakenWhenItsFirstRowComes) {
  auto model = loadModel(appending().model, kGpu);
  auto pool = *StatePool::create(model, 3);
  EXPECT_EQ(pool->bytes(), 4 * 128 * sizeof(float)); // with the one that is nobody's
  Writer w{*model->createSession({.pool = pool})};
  EXPECT_EQ(w.session->capacity(), 3 * 128u);
  w.add(126, 1);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(pool->unused(), i < 3 ? 2u : 1u) << i;
    w.add(1, static_cast<float>(1000 + i));
  }
  Status full = w.run(300, 0);
  EXPECT_EQ(full.code(), Code::usage);
  EXPECT_EQ(full.message(), "input 'past', which the session keeps: 136 of 384 are taken, 248 more fit but this run "
                            "adds 300");
  EXPECT_EQ(w.session->held(), 136u);
  w.add(248, 5000);
  EXPECT_EQ(pool->unused(), 0u);
  w.truncate(128);
  EXPECT_EQ(pool->unused(), 2u);
  w.add(1, 7);
  EXPECT_OK(w.session->repeat());
  w.truncate(0);
  EXPECT_EQ(pool->unused(), 3u);
}

TEST_P(Cuda, TheTableChangesUnderAGraph) {
  auto model = loadModel(appending().model, kGpu);
  auto pool = *StatePool::create(model, 4);
  Writer a{*model->createSession({.pool = pool})}, b{*model->createSession({.pool = pool})};
  a.add(128, 1);
  for (int i = 0; i < 8; ++i) {
    b.add(1, 0); // has the page that was given back last
    a.add(1, static_cast<float>(1000 + i));
    b.truncate(0);
    a.truncate(128);
  }
  EXPECT_GT(a.session->stats().graphReplays, 5u);
  EXPECT_EQ(a.session->stats().graphRecordings, 1u);
}

TEST_P(Cuda, WhatIsGivenBackIsReadNoMore) {
  auto model = loadModel(appending().model, kGpu);
  auto pool = *StatePool::create(model, 2);
  Writer a{*model->createSession({.pool = pool})}, b{*model->createSession({.pool = pool})};
  std::vector<float> first = numbers(200, 1), all(200);
  for (int turn = 0; turn < 3; ++turn) {
    // Under way when it is forgotten: its pages are the other's at once.
    first[0] = static_cast<float>(turn);
    EXPECT_OK(a.session->enqueue(
        std::vector{Binding::input("new", tensor("", first)), Binding::ownedOutput("all", Memory::host)}));
    EXPECT_OK(a.session->truncate(0));
    EXPECT_EQ(pool->unused(), 2u);
    b.add(150, 5000);
    EXPECT_OK(a.session->wait());
    EXPECT_EQ(floats(a.session->outputs()[1]), first);
    b.truncate(0);
  }
  // So is what a session had that is gone.
  EXPECT_OK(a.session->enqueue(std::vector{Binding::input("new", tensor("", first))}));
  a.session.reset();
  EXPECT_EQ(pool->unused(), 2u);
  b.add(256, 1);
}

TEST_P(Cuda, TwoGrowByTurns) {
  auto model = loadModel(appending().model, kGpu);
  auto pool = *StatePool::create(model, 5);
  Writer a{*model->createSession({.pool = pool})}, b{*model->createSession({.capacity = 300, .pool = pool})};
  for (int i = 0; i < 12; ++i) {
    a.add(25, static_cast<float>(100 * i));
    b.add(20, static_cast<float>(-100 * i));
  }
  EXPECT_EQ(pool->unused(), 0u);
  Status full = b.run(17, 0);
  EXPECT_EQ(full.message(), "input 'past', which the session keeps: 0 of the pool's 5 pages are free, so that 16 more "
                            "fit but this run adds 17");
  b.session.reset();
  EXPECT_EQ(pool->unused(), 2u);
  a.add(300, 1);
}

TEST_P(Cuda, ForksWriteInPagesOfTheirOwn) {
  auto model = loadModel(appending().model, kGpu);
  auto pool = *StatePool::create(model, 5);
  Writer a{*model->createSession({.pool = pool})};
  a.add(200, 1);
  Writer b{*a.session->fork(), a.wanted};
  EXPECT_EQ(pool->unused(), 2u); // the full page is of both
  EXPECT_EQ(a.session->stats().pages, 2u);
  EXPECT_EQ(b.session->stats().pages, 2u);
  for (int i = 0; i < 3; ++i) {
    a.add(5, 1000);
    b.add(5, -1000);
  }
  b.truncate(100);
  EXPECT_EQ(pool->unused(), 3u);
  // Enqueued work of the one reads the page that the other is about to write in.
  std::vector<float> more = numbers(3, 2000), then(a.wanted);
  then.insert(then.end(), more.begin(), more.end());
  EXPECT_OK(a.session->enqueue(
      std::vector{Binding::input("new", tensor("", more)), Binding::ownedOutput("all", Memory::host)}));
  b.add(20, 3000);
  EXPECT_EQ(pool->unused(), 2u);
  EXPECT_OK(a.session->wait());
  EXPECT_EQ(floats(a.session->outputs()[1]), then);
  a.wanted = then;
  a.add(1, 4000);
  // What nobody else holds is written where it is.
  b.truncate(50);
  b.add(20, 1);
  EXPECT_EQ(pool->unused(), 2u);
  a.session.reset();
  EXPECT_EQ(pool->unused(), 4u);
  b.add(200, 6000);
}

TEST_P(Cuda, ACopyIsMadeBeforeAnotherWritesThere) {
  auto model = loadModel(appending().model, kGpu);
  auto pool = *StatePool::create(model, 5);
  Writer a{*model->createSession({.pool = pool})};
  a.add(200, 1);
  Writer b{*a.session->fork(), a.wanted};
  b.add(30, 1000);
  b.add(30, 2000); // what comes is smaller and lies where this did: nothing else is waited for
  b.truncate(100);
  a.truncate(50);
  // The page is the one's alone as soon as the other has a copy, and there is no order of their streams.
  std::vector<float> more = numbers(3, 2000), then(b.wanted);
  then.insert(then.end(), more.begin(), more.end());
  EXPECT_OK(b.session->enqueue(
      std::vector{Binding::input("new", tensor("", more)), Binding::ownedOutput("all", Memory::host)}));
  a.add(20, 3000);
  EXPECT_OK(b.session->wait());
  EXPECT_EQ(floats(b.session->outputs()[1]), then);
}

TEST_P(Cuda, WhatCannotLieInPages) {
  auto message = [](const ModelBuilder &b, uint64_t pages = 2) {
    auto pool = StatePool::create(loadModel(b.model, kGpu), pages);
    EXPECT_EQ(pool.status().code(), Code::usage);
    return pool.status().message();
  };
  EXPECT_EQ(message(appending(true)),
            "input 'past' cannot be kept in pages: node 'its sum': kernel 'add' has no code for pages");
  EXPECT_EQ(message(appending(), 0), "a pool of 0 pages: expected 1 to 2^30");
  ModelBuilder first = appending();
  std::swap(first.model.inputs[0].dims[0], first.model.inputs[0].dims[1]);
  std::swap(first.model.outputs[0].dims[0], first.model.outputs[0].dims[1]);
  first.model.outputs[0].axis = 0;
  EXPECT_EQ(message(first),
            "input 'past' cannot be kept in pages: it grows along its first dimension, or is too large");
  EXPECT_EQ(message(chain(1, {})),
            "pages are for states that grow, but no output of the model continues an input in this way");
  // A session without pages has no code for the state here, and another model's pages are no memory for it.
  auto model = loadModel(appending().model, kGpu), other = loadModel(appending().model, kGpu);
  auto pool = *StatePool::create(model, 2);
  EXPECT_EQ(other->createSession({.pool = pool}).status().message(), "the pool is of another model than the session");
}

TEST_P(Cuda, APoolHasMemoryOrIsNone) {
  auto model = loadModel(appending().model, kGpu);
  auto pool = StatePool::create(model, 1 << 22);
  EXPECT_EQ(pool.status().code(), Code::failed);
  EXPECT_NE(pool.status().message().find("not enough device memory for a pool of pages"), std::string::npos)
      << pool.status().message();
  EXPECT_EQ((*StatePool::create(model, 2))->unused(), 2u);
}

TEST(Pages, NeedAStateThatGrows) {
  ModelBuilder b = appending();
  for (Symbol &symbol : b.model.symbols)
    if (symbol.kind == Symbol::Kind::Capacity)
      symbol.kind = Symbol::Kind::Data;
  EXPECT_EQ(verifyModel(b.model).message(), "kernel 'append': variant 0: a variant for 'sm_89' reads states in pages, "
                                            "but no state grows");
}

} // namespace
} // namespace kt::test
