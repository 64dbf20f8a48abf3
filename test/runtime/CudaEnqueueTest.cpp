//===- CudaEnqueueTest.cpp - runs over memory of the caller on a GPU ------===//
//
// Inputs and outputs that lie on the device, outputs that go on as inputs, the caller's streams and events, and that
// neither the caller nor the session is in the other's way while work is under way.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace kt::test {
namespace {

/// What `chain` makes of x.
float chained(size_t layers, float x) {
  for (size_t i = 0; i < layers; ++i)
    x = (x + static_cast<float>(i + 1)) * 2;
  return x;
}

uint64_t callsOf(const std::string &name) { return std::count(fake().calls.begin(), fake().calls.end(), name); }

#define EXPECT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    Status ktStatus = (expression);                                                                                    \
    EXPECT_TRUE(ktStatus.ok()) << ktStatus.message();                                                                  \
  } while (false)

std::shared_ptr<kt::Model> chainModel(size_t layers) {
  return loadModel(chain(layers, {Entry::add, Entry::scale}).model, kGpu);
}

TEST_P(Cuda, InputsAndOutputsStayOnTheDevice) {
  constexpr size_t kLayers = 3, kCount = 100;
  auto model = chainModel(kLayers);
  auto session = *model->createSession();
  Caller caller;
  float *x = caller.floats(std::vector<float>(kCount, 1)), *y = caller.floats(std::vector<float>(kCount, -1));
  fake().calls.clear();
  for (int i = 0; i < 5; ++i) {
    std::fill(x, x + kCount, static_cast<float>(i));
    EXPECT_OK(session->enqueue(std::vector{Binding::input("x", onDevice("", x, kCount)),
                                           Binding::output("y", y, kCount * sizeof(float), Memory::device)}));
    EXPECT_EQ(session->outputs()[0].data, y);
    EXPECT_EQ(session->outputs()[0].memory, Memory::device);
    EXPECT_EQ(session->outputs()[0].dims, std::vector<int64_t>{kCount});
    EXPECT_OK(session->wait());
    EXPECT_EQ(caller.read(y, kCount), std::vector<float>(kCount, chained(kLayers, static_cast<float>(i))));
  }
  for (const char *copy : {"cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemcpyDtoDAsync"})
    EXPECT_EQ(callsOf(copy), 0u) << copy;
  EXPECT_EQ(session->stats().graphReplays, 4u);
  EXPECT_EQ(session->stats().graphPatches, 0u);
  // Runs from and to the host go their own way again.
  expectChain(*session, kLayers, kCount, 7);
  EXPECT_EQ(caller.read(y, kCount), std::vector<float>(kCount, chained(kLayers, 4)));
}

/// Each run reads what the one before has left, while nobody waits; what the session owns is there for one more run.
TEST_P(Cuda, OutputsGoOnAsInputs) {
  constexpr size_t kCount = 40, kRuns = 7;
  auto model = chainModel(2);
  auto session = *model->createSession();
  std::vector<float> first(kCount, 1);
  Caller caller;
  std::vector<float *> copies;
  for (size_t i = 0; i < kRuns; ++i)
    copies.push_back(caller.pinned(first));
  TensorView value = tensor("x", first);
  for (size_t i = 0; i < kRuns; ++i) {
    if (i == 3)
      fake().calls.clear();
    EXPECT_OK(session->enqueue(std::vector{Binding::input("x", value), Binding::ownedOutput("y", Memory::device)},
                               caller.stream));
    TensorView before = value;
    value = session->outputs()[0];
    if (i) // the run before has left this, and it is still what it was
      caller.copyOut(copies[i - 1], before.data, kCount);
  }
  for (const char *call :
       {"cuMemAlloc", "cuMemHostAlloc", "cuStreamSynchronize", "cuEventSynchronize", "cuPointerGetAttributes"})
    EXPECT_EQ(callsOf(call), 0u) << call;
  EXPECT_OK(session->wait());
  caller.synchronize();
  float expected = 1;
  for (size_t i = 0; i + 1 < kRuns; ++i) {
    expected = chained(2, expected);
    EXPECT_EQ(std::vector<float>(copies[i], copies[i] + kCount), std::vector<float>(kCount, expected)) << i;
  }
  EXPECT_EQ(caller.read(value.data, kCount), std::vector<float>(kCount, chained(2, expected)));
  // The first and the last of four launches have other addresses each time.
  EXPECT_EQ(session->stats().graphRecordings, 1u);
  EXPECT_EQ(session->stats().graphPatches, 2 * (kRuns - 2));
}

/// The host looks at what a run has left when the next one, which reads it, has been enqueued; nobody waits for that.
TEST_P(Cuda, CopiesOfWhatGoesOnAreThereForTheHost) {
  constexpr size_t kCount = 40, kRuns = 7;
  auto session = *chainModel(2)->createSession();
  std::vector<float> first(kCount, 1);
  TensorView value = tensor("x", first);
  std::vector<std::unique_ptr<Event>> done;
  std::vector<const void *> copies;
  float expected = 1;
  for (size_t i = 0; i <= kRuns; ++i) {
    if (i == 3)
      fake().calls.clear();
    if (i < kRuns) {
      std::vector<Binding> bindings{Binding::input("x", value), Binding::ownedOutput("y", Memory::device)};
      bindings.back().copied = true;
      EXPECT_OK(session->enqueue(bindings));
      value = session->outputs()[0];
      copies.push_back(session->copyOf(0));
      done.push_back(*session->record());
      EXPECT_NE(copies.back(), value.data);
    }
    if (i == 0)
      continue;
    EXPECT_OK(done[i - 1]->wait());
    expected = chained(2, expected);
    const auto *numbers = static_cast<const float *>(copies[i - 1]);
    EXPECT_EQ(std::vector<float>(numbers, numbers + kCount), std::vector<float>(kCount, expected)) << i;
  }
  for (const char *call : {"cuMemAlloc", "cuMemHostAlloc", "cuStreamSynchronize", "cuMemcpyHtoDAsync"})
    EXPECT_EQ(callsOf(call), 0u) << call;
  EXPECT_OK(session->wait());
  EXPECT_EQ(session->copyOf(1), nullptr) << "there is no such output";
  EXPECT_OK(session->enqueue(std::vector{Binding::input("x", value)}));
  EXPECT_EQ(session->copyOf(0), nullptr) << "nobody asked for it";
  EXPECT_OK(session->wait());
}

TEST_P(Cuda, OnlyWhatTheSessionOwnsOnTheDeviceIsCopied) {
  auto session = *chainModel(1)->createSession();
  std::vector<float> x(20, 1);
  Caller caller;
  float *y = caller.floats(x);
  for (auto [binding, why] :
       {std::pair{Binding::output("y", y, 80, Memory::device),
                  "output 'y' is given memory, expected none for an output that is copied to the host as well"},
        std::pair{Binding::ownedOutput("y", Memory::host),
                  "output 'y' is to be copied to the host but is wanted there alone"}}) {
    binding.copied = true;
    Status status = session->enqueue(std::vector{Binding::input("x", tensor("", x)), binding});
    EXPECT_EQ(status.code(), Code::usage);
    EXPECT_EQ(status.message(), why);
  }
}

TEST_P(Cuda, OutputsOfTheRunBeforeTheLatestAreGone) {
  auto session = *chainModel(1)->createSession();
  std::vector<float> x(20, 1);
  std::vector<TensorView> made;
  for (int i = 0; i < 3; ++i) {
    EXPECT_OK(
        session->enqueue(std::vector{Binding::input("x", tensor("", x)), Binding::ownedOutput("y", Memory::device)}));
    made.push_back(session->outputs()[0]);
  }
  Status status = session->enqueue(std::vector{Binding::input("x", made[1])});
  EXPECT_EQ(status.code(), Code::usage);
  EXPECT_EQ(status.message(),
            "input 'x': it is an output of the run before the latest, which this one no longer finds there");
  EXPECT_OK(session->enqueue(std::vector{Binding::input("x", made[2]), Binding::ownedOutput("y", Memory::device)}));
  EXPECT_OK(session->wait());
  EXPECT_EQ(*static_cast<const float *>(session->outputs()[0].data), chained(1, chained(1, 1)));
}

/// The sizes grow by one in each run: other integers and, now and then, other grids, but the same launches.
TEST_P(Cuda, AGraphFollowsSizesThatGrow) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256)),
         m = b.value(b.symbol("m", Symbol::Kind::Input, 1, 256));
  BufferId x = b.input("x", DType::f32, n), c = b.input("c", DType::f32, m);
  BufferId y = b.output("y", DType::f32, n), d = b.output("d", DType::f32, m);
  for (int i = 0; i < 3; ++i) { // most of the program does not grow
    BufferId t = b.temporary(b.expr(Op::Mul, n, b.constant(4)));
    b.emit(b.scale(x, t, n, b.constant(2)));
    x = t;
  }
  b.emit(b.scale(x, y, n, b.constant(1)), b.scale(c, d, m, m));
  addGpuCode(b.model, {Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  for (size_t size = 14; size < 20; ++size)
    for (int again = 0; again < (size == 14 ? 2 : 1); ++again) {
      std::vector<float> fixed(8, 3), growing(size, 2);
      EXPECT_OK(session->run(std::vector{tensor("x", fixed), tensor("c", growing)}));
      EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(8, 24));
      EXPECT_EQ(floats(session->outputs()[1]), std::vector<float>(size, 2.0f * static_cast<float>(size)));
    }
  Stats stats = session->stats();
  EXPECT_EQ(stats.plans, 6u);
  EXPECT_EQ(stats.graphRecordings, 1u);
  EXPECT_EQ(stats.graphReplays, 6u) << "the first run alone was none";
  EXPECT_GE(stats.graphPatches, 5u);
}

/// What changes most of the graph is replayed if it goes on: the first time it may be the only one.
TEST_P(Cuda, AGraphFollowsWhereAllOfItGrows) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256));
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n);
  BufferId t = b.temporary(b.expr(Op::Mul, n, b.constant(4)));
  b.emit(b.scale(x, t, n, b.constant(2)), b.scale(t, y, n, b.constant(3)));
  addGpuCode(b.model, {Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  auto run = [&](size_t size) {
    EXPECT_OK(session->run(std::vector{tensor("x", std::vector<float>(size, 2))}));
    EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(size, 12));
    return session->stats().graphReplays;
  };
  run(14);
  EXPECT_EQ(run(14), 1u);
  EXPECT_EQ(run(200), 1u) << "may not come again";
  EXPECT_EQ(run(14), 2u) << "other memory, as it was too short for 200";
  EXPECT_EQ(run(14), 3u);
  EXPECT_EQ(run(15), 3u);
  EXPECT_EQ(run(16), 4u);
  EXPECT_EQ(run(17), 5u);
  EXPECT_EQ(session->stats().graphRecordings, 1u);
}

TEST_P(Cuda, RunsFollowTheCallersStreamAndAreFollowedByIt) {
  constexpr size_t kCount = 30;
  auto model = chainModel(2);
  auto session = *model->createSession();
  Caller caller;
  float *x = caller.floats(std::vector<float>(kCount)), *y = caller.floats(std::vector<float>(kCount));
  std::vector<float *> from, to;
  for (int i = 0; i < 4; ++i) {
    from.push_back(caller.pinned(std::vector<float>(kCount, static_cast<float>(i))));
    to.push_back(caller.pinned(std::vector<float>(kCount)));
  }
  for (int i = 0; i < 4; ++i) {
    caller.copyIn(x, from[i], kCount);
    EXPECT_OK(session->enqueue(std::vector{Binding::input("x", onDevice("", x, kCount)),
                                           Binding::output("y", y, kCount * sizeof(float), Memory::device)},
                               caller.stream));
    caller.copyOut(to[i], y, kCount);
  }
  caller.synchronize();
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(std::vector<float>(to[i], to[i] + kCount), std::vector<float>(kCount, chained(2, static_cast<float>(i))));
  EXPECT_OK(session->wait());
}

TEST_P(Cuda, EventsAreWaitedForByTheHostAndByStreams) {
  constexpr size_t kCount = 30;
  auto model = chainModel(2);
  auto session = *model->createSession();
  Caller caller;
  float *x = caller.floats(std::vector<float>(kCount, 1)), *y = caller.floats(std::vector<float>(kCount));
  float *copy = caller.pinned(std::vector<float>(kCount));
  std::vector<Binding> bindings{Binding::input("x", onDevice("", x, kCount)),
                                Binding::output("y", y, kCount * sizeof(float), Memory::device)};
  EXPECT_OK(session->enqueue(bindings));
  auto event = session->record();
  ASSERT_TRUE(event.ok()) << event.status().message();
  EXPECT_OK((*event)->delay(caller.stream));
  caller.copyOut(copy, y, kCount);
  caller.synchronize();
  EXPECT_EQ(std::vector<float>(copy, copy + kCount), std::vector<float>(kCount, chained(2, 1)));

  // The same event again, behind the next run.
  std::fill(x, x + kCount, 2.0f);
  EXPECT_OK(session->enqueue(bindings));
  fake().calls.clear();
  Event *first = event->get();
  event = session->record(*std::move(event));
  ASSERT_TRUE(event.ok()) << event.status().message();
  EXPECT_EQ(event->get(), first);
  EXPECT_EQ(std::count(fake().calls.begin(), fake().calls.end(), "cuEventCreate"), 0);
  EXPECT_OK((*event)->wait());
  EXPECT_EQ(caller.read(y, kCount), std::vector<float>(kCount, chained(2, 2)));
  auto other = chainModel(2);
  auto elsewhere = *other->createSession();
  EXPECT_EQ(session->record(*elsewhere->record()).status().message(), "an event of another model");
  EXPECT_EQ((*event)->delay(nullptr).code(), Code::usage);
  EXPECT_OK(session->wait());
  session.reset(); // an event may outlive its session and its model's handle
  model.reset();
  EXPECT_OK((*event)->wait());
}

/// Pinned memory that copies of an earlier run still read is not written.
TEST_P(Cuda, HostInputsAreBorrowedForTheCallOnly) {
  constexpr size_t kCount = 30, kRuns = 4;
  auto model = chainModel(1);
  auto session = *model->createSession();
  Caller caller;
  std::vector<float *> y;
  for (size_t i = 0; i < kRuns; ++i)
    y.push_back(caller.floats(std::vector<float>(kCount)));
  std::vector<float> x(kCount);
  for (size_t i = 0; i < kRuns; ++i) {
    std::fill(x.begin(), x.end(), static_cast<float>(i));
    EXPECT_OK(session->enqueue(
        std::vector{Binding::input("x", tensor("", x)), Binding::output("y", y[i], kCount * 4, Memory::device)}));
    std::fill(x.begin(), x.end(), -1000.0f);
  }
  EXPECT_OK(session->wait());
  for (size_t i = 0; i < kRuns; ++i)
    EXPECT_EQ(caller.read(y[i], kCount), std::vector<float>(kCount, chained(1, static_cast<float>(i)))) << i;
}

TEST_P(Cuda, OwnedOutputsMayBeOnTheHost) {
  auto model = chainModel(2);
  auto session = *model->createSession();
  for (int i = 0; i < 3; ++i) {
    std::vector<float> x(20, static_cast<float>(i));
    EXPECT_OK(
        session->enqueue(std::vector{Binding::input("x", tensor("", x)), Binding::ownedOutput("y", Memory::host)}));
    EXPECT_EQ(session->outputs()[0].memory, Memory::host);
    EXPECT_OK(session->wait());
    EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(20, chained(2, static_cast<float>(i))));
  }
}

/// The host's memory for outputs is the session's, and what an earlier run has enqueued may still be writing there.
TEST_P(Cuda, OutputsOnTheHostAreThoseOfTheLatestRun) {
  ModelBuilder b;
  ExprId n = b.constant(64);
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n);
  b.asOutput("same", DType::f32, n, x);
  b.emit(b.scale(x, y, n, b.constant(2)));
  addGpuCode(b.model, {Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  Caller caller;
  std::vector<float> two(64, 2);
  Binding same = Binding::ownedOutput("same", Memory::host), other = Binding::ownedOutput("y", Memory::host);
  for (int i = 0; i < 3; ++i) {
    float *one = caller.floats(std::vector<float>(64, 1));
    EXPECT_OK(session->enqueue(std::vector{Binding::input("x", onDevice("", one, 64)), same}));
    EXPECT_OK(session->enqueue(std::vector{Binding::input("x", tensor("", two)), same}));
    EXPECT_OK(session->wait());
    EXPECT_EQ(floats(session->outputs()[1]), two);
    // More of it than before.
    EXPECT_OK(session->enqueue(std::vector{Binding::input("x", onDevice("", one, 64)), same}));
    EXPECT_OK(session->enqueue(std::vector{Binding::input("x", onDevice("", one, 64)), same, other}));
    EXPECT_OK(session->wait());
    EXPECT_EQ(floats(session->outputs()[0]), two);
    EXPECT_EQ(floats(session->outputs()[1]), std::vector<float>(64, 1));
  }
}

TEST_P(Cuda, WhatNobodyAskedForIsNotBroughtAnywhere) {
  auto model = chainModel(2);
  auto session = *model->createSession();
  std::vector<float> x(20, 1);
  fake().calls.clear();
  for (int i = 0; i < 3; ++i)
    EXPECT_OK(session->enqueue(std::vector{Binding::input("x", tensor("", x))}));
  EXPECT_OK(session->wait());
  EXPECT_EQ(callsOf("cuMemcpyDtoHAsync"), 0u);
  EXPECT_EQ(session->outputs()[0].data, nullptr);
  EXPECT_EQ(session->outputs()[0].dims, std::vector<int64_t>{20});
}

/// y = 2 x, where a negative x is a fault.
TEST_P(Cuda, TheWaitTellsOfFaults) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256));
  BufferId in = b.input("x", DType::f32, n), out = b.output("y", DType::f32, n);
  b.emit(b.scale(in, out, n, b.constant(2)));
  Kernel &kernel = b.model.kernels[b.kernel(Entry::scale)];
  kernel.name = "reporting";
  kernel.reportsFaults = true;
  b.model.sites = {{kNone, "an index into axis 0", false}};
  addGpuCode(b.model, {Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  std::vector<float> good(8, 1), bad(8, -3);
  auto enqueue = [&](const std::vector<float> &x) {
    return session->enqueue(std::vector{Binding::input("x", tensor("", x)), Binding::ownedOutput("y", Memory::device)});
  };
  for (int i = 0; i < 3; ++i) {
    // One that went wrong, and others after it that did not.
    EXPECT_OK(enqueue(bad));
    auto event = session->record();
    EXPECT_OK(enqueue(good));
    EXPECT_EQ((*event)->wait().message(), "a run met an index that is out of its range");
    EXPECT_FALSE(session->outputs().empty());
    // A run that cannot take place changes nothing about that.
    std::vector<float> many(300);
    EXPECT_EQ(enqueue(many).code(), Code::usage);
    EXPECT_OK(enqueue(good));
    EXPECT_EQ(session->wait().message(), "a node without a name: an index into axis 0 is -3, expected 0 to 4");
    EXPECT_TRUE(session->outputs().empty());
    EXPECT_OK(session->wait());
    EXPECT_OK(enqueue(good));
    EXPECT_OK(session->wait());
    EXPECT_EQ(session->outputs().size(), 1u);
  }
}

/// Weights are about to make room for another session while a run that reads them is under way.
TEST_P(Cuda, WeightsMoveOnceWorkIsDone) {
  constexpr size_t kLayers = 8;
  fake().freeBytes = 12400;
  auto model = chainModel(kLayers);
  auto first = *model->createSession(), second = *model->createSession(), third = *model->createSession();
  std::vector<float> x(10, 1), large(250, 1);
  for (int i = 0; i < 3; ++i)
    EXPECT_OK(
        first->enqueue(std::vector{Binding::input("x", tensor("", x)), Binding::ownedOutput("y", Memory::device)}));
  uint64_t resident = first->stats().residentWeightBytes;
  (void)second->run(std::vector{tensor("x", large)}); // may be told that memory is too small
  (void)third->run(std::vector{tensor("x", large)});
  EXPECT_LT(first->stats().residentWeightBytes, resident) << "weights have moved, or this tests nothing";
  EXPECT_OK(first->wait());
  Caller caller;
  EXPECT_EQ(caller.read(first->outputs()[0].data, 10), std::vector<float>(10, chained(kLayers, 1)));
}

/// The values of a run move to more memory once they are used no more.
TEST_P(Cuda, LargerShapesWaitForTheRunBefore) {
  auto session = *chainModel(3)->createSession();
  Caller caller;
  for (size_t n : {10, 250, 100, 256}) {
    std::vector<float> x(n, 1);
    EXPECT_OK(
        session->enqueue(std::vector{Binding::input("x", tensor("", x)), Binding::ownedOutput("y", Memory::device)}));
  }
  EXPECT_OK(session->wait());
  EXPECT_EQ(caller.read(session->outputs()[0].data, 256), std::vector<float>(256, chained(3, 1)));
}

TEST_P(Cuda, StreamedWeightsGoOnFromRunToRun) {
  auto model = loadModel(chain(6, {Entry::add, Entry::scale}).model, {.device = "cuda:0", .deviceMemory = 2048});
  auto session = *model->createSession();
  Caller caller;
  std::vector<float *> y;
  for (int i = 0; i < 4; ++i) {
    std::vector<float> x(100, static_cast<float>(i));
    y.push_back(caller.floats(x));
    EXPECT_OK(session->enqueue(
        std::vector{Binding::input("x", tensor("", x)), Binding::output("y", y[i], 400, Memory::device)}));
  }
  EXPECT_OK(session->wait());
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(caller.read(y[i], 100), std::vector<float>(100, chained(6, static_cast<float>(i))));
}

TEST_P(Cuda, EventsAreWaitedForByAnotherThread) {
  constexpr size_t kCount = 20, kRuns = 12;
  auto session = *chainModel(2)->createSession();
  Caller caller;
  std::vector<float *> y;
  for (size_t i = 0; i < kRuns; ++i)
    y.push_back(caller.floats(std::vector<float>(kCount)));
  std::vector<std::unique_ptr<Event>> events(kRuns);
  std::atomic<size_t> recorded{0};
  std::thread other([&] {
    for (size_t i = 0; i < kRuns; ++i) {
      while (recorded.load() <= i)
        std::this_thread::yield();
      EXPECT_OK(events[i]->wait());
      EXPECT_EQ(caller.read(y[i], kCount), std::vector<float>(kCount, chained(2, static_cast<float>(i))));
    }
  });
  for (size_t i = 0; i < kRuns; ++i) {
    std::vector<float> x(kCount, static_cast<float>(i));
    EXPECT_OK(session->enqueue(
        std::vector{Binding::input("x", tensor("", x)), Binding::output("y", y[i], kCount * 4, Memory::device)}));
    events[i] = *session->record();
    recorded.store(i + 1);
    if (i % 5 == 4)
      EXPECT_OK(session->wait());
  }
  other.join();
  EXPECT_OK(session->wait());
}

/// Shapes that grow make weights move, which the other session's runs that are under way still read.
TEST_P(Cuda, SessionsEnqueueSideBySide) {
  constexpr size_t kLayers = 8;
  fake().freeBytes = 12400;
  auto model = chainModel(kLayers);
  ASSERT_TRUE(model);
  std::atomic<uint64_t> right{0};
  auto use = [&](size_t first) {
    auto session = *model->createSession();
    for (size_t i = 0; i < 60; ++i) {
      std::vector<float> x(10 + 6 * ((first + i) % 40), 1);
      Status status;
      for (int again = 0; again < 3 && status.ok(); ++again)
        status =
            session->enqueue(std::vector{Binding::input("x", tensor("", x)), Binding::ownedOutput("y", Memory::host)});
      if (!status.ok() || !session->wait().ok())
        continue; // it may well be told that memory is too small
      EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(x.size(), chained(kLayers, 1)));
      ++right;
    }
  };
  std::thread one(use, 0), two(use, 20);
  one.join();
  two.join();
  EXPECT_GT(right.load(), 0u);
}

TEST_P(Cuda, RepeatsWithMemoryOfTheCaller) {
  auto model = chainModel(2);
  auto session = *model->createSession();
  Caller caller;
  float *x = caller.floats(std::vector<float>(20, 1)), *y = caller.floats(std::vector<float>(20));
  EXPECT_OK(session->enqueue(
      std::vector{Binding::input("x", onDevice("", x, 20)), Binding::output("y", y, 80, Memory::device)}));
  EXPECT_OK(session->repeat());
  EXPECT_EQ(caller.read(y, 20), std::vector<float>(20, chained(2, 1)));
  EXPECT_EQ(caller.read(x, 20), std::vector<float>(20, 1));
}

TEST_P(Cuda, TheCallersContextStaysInAllCallsOfARun) {
  auto model = chainModel(1);
  auto session = *model->createSession();
  Caller caller;
  float *x = caller.floats(std::vector<float>(4, 1));
  int mine = 0;
  caller.driver.CtxSetCurrent(reinterpret_cast<device::cuda::Context>(&mine));
  auto expectMine = [&](const char *after) {
    device::cuda::Context current = nullptr;
    caller.driver.CtxGetCurrent(&current);
    EXPECT_EQ(static_cast<void *>(current), &mine) << after;
  };
  std::vector<Binding> bindings{Binding::input("x", onDevice("", x, 4)), Binding::ownedOutput("y", Memory::device)};
  EXPECT_OK(session->enqueue(bindings, caller.stream));
  expectMine("enqueue");
  auto event = session->record();
  expectMine("record");
  EXPECT_OK((*event)->delay(caller.stream));
  expectMine("delay");
  EXPECT_OK((*event)->wait());
  expectMine("wait for an event");
  event->reset();
  expectMine("the event's end");
  EXPECT_OK(session->wait());
  expectMine("wait");
  caller.driver.CtxSetCurrent(nullptr);
}

} // namespace
} // namespace kt::test
