//===- CudaTest.cpp - the CUDA path over a fake driver --------------------===//
//
// Everything but the GPU is real: loading, launches, fallbacks to the host, streaming, graphs, errors, and that nothing
// is left behind.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

#include <atomic>
#include <chrono>
#include <dlfcn.h>
#include <thread>

#include <algorithm>

namespace kt::test {
namespace {

TEST_P(Cuda, RunsAndReplaysRecordedRuns) {
  auto model = loadModel(chain(3, {Entry::add, Entry::scale}).model, kGpu);
  ASSERT_TRUE(model);
  EXPECT_EQ(model->device(), "cuda:0 (Fake GPU, sm_90)");
  auto session = *model->createSession();
  for (int i = 0; i < 5; ++i)
    expectChain(*session, 3, 100, static_cast<float>(i));
  EXPECT_EQ(session->stats().graphReplays, 4u);
  EXPECT_EQ(fake().graphLaunches, 4u);
  EXPECT_TRUE(session->stats().hostFallbacks.empty());
  // Other shapes make a new plan and a new recording.
  for (int i = 0; i < 3; ++i)
    expectChain(*session, 3, 200, 1);
  EXPECT_EQ(session->stats().graphReplays, 6u);
  EXPECT_EQ(session->stats().streamedWeightBytes, 0u);
}

TEST_P(Cuda, NothingIsAllocatedInASteadyState) {
  auto model = loadModel(chain(2, {Entry::add, Entry::scale}).model, {.device = "cuda:0", .cudaGraphs = false});
  auto session = *model->createSession();
  expectChain(*session, 2, 50, 1);
  fake().calls.clear();
  for (int i = 0; i < 10; ++i)
    expectChain(*session, 2, 50, 2);
  for (const std::string &call : fake().calls)
    EXPECT_TRUE(call != "cuMemAlloc" && call != "cuMemHostAlloc" && call != "cuStreamCreate") << call;
}

TEST_P(Cuda, KernelsWithoutGpuCodeRunOnTheHost) {
  auto model = loadModel(chain(3, {Entry::add}).model, kGpu);
  auto session = *model->createSession();
  for (int i = 0; i < 3; ++i)
    expectChain(*session, 3, 77, static_cast<float>(i));
  EXPECT_EQ(session->stats().hostFallbacks, (std::map<std::string, uint64_t>{{"scale", 9}}));
  EXPECT_EQ(session->stats().graphReplays, 0u);
}

TEST_P(Cuda, WholeModelsOfHostCodeRunThroughFallbacks) {
  auto model = loadModel(chain(2, {}).model, kGpu);
  auto session = *model->createSession();
  expectChain(*session, 2, 10, 5);
  EXPECT_EQ(fake().launches, 0u);
}

TEST_P(Cuda, StreamsWhatDoesNotFit) {
  // Eight weights of 1 KiB: 4 KiB leave two resident beside two staging halves. The arena comes on top.
  auto model = loadModel(chain(8, {Entry::add, Entry::scale}).model, {.device = "cuda:0", .deviceMemory = 4096});
  ASSERT_TRUE(model);
  auto session = *model->createSession();
  for (int i = 0; i < 4; ++i)
    expectChain(*session, 8, 200, static_cast<float>(i));
  Stats stats = session->stats();
  EXPECT_GT(stats.streamedWeightBytes, 0u);
  EXPECT_GT(stats.residentWeightBytes, 0u);
  EXPECT_EQ(stats.streamedWeightBytes + stats.residentWeightBytes, 8192u);
  EXPECT_LE(stats.peakDeviceBytes, 4096u + stats.arenaBytes);
  EXPECT_LE(fake().peakBytes, 4096u + stats.arenaBytes);
  EXPECT_EQ(stats.graphReplays, 0u);
}

TEST_P(Cuda, SaysBothNumbersWhenMemoryIsTooSmall) {
  auto path = writeModel(chain(2, {Entry::add, Entry::scale}).model);
  auto loaded = kt::Model::load(path, {.device = "cuda:0", .deviceMemory = 1000});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(
      loaded.status().message(),
      "not enough device memory: the weights of the largest slice take 1024 bytes but 1000 are allowed for weights");
}

TEST_P(Cuda, AnOlderGpuIsNamedWithWhatIsNeeded) {
  fake().computeCapability = 75;
  auto path = writeModel(chain(1, {Entry::add, Entry::scale}).model);
  EXPECT_EQ(kt::Model::load(path, kGpu).status().message(),
            "the artifact's GPU code needs sm_89 but Fake GPU is sm_75");
  // On its own the runtime takes the host.
  auto model = kt::Model::load(path, {.device = "auto"});
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto session = *(*model)->createSession();
  expectChain(*session, 1, 3, 1);
}

TEST_P(Cuda, CompilerErrorsOfTheDriverAreShown) {
  fake().jitError = "ptxas: line 3 is wrong";
  auto path = writeModel(chain(1, {Entry::add, Entry::scale}).model);
  EXPECT_EQ(kt::Model::load(path, kGpu).status().message(),
            "kernel 'add': module 1 (sm_89): cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX (as the fake was told): ptxas: "
            "line 3 is wrong");
}

TEST_P(Cuda, FailuresNameTheCallAndTheNode) {
  ModelBuilder b = chain(1, {Entry::add, Entry::scale});
  b.model.nodes = {"/attn/Add"};
  std::get<Launch>(b.model.program.instructions[0]).node = 0;
  auto session = *loadModel(b.model, kGpu)->createSession();
  fake().failing = "cuLaunchKernel";
  std::vector<float> x(4);
  EXPECT_EQ(session->run(std::vector{tensor("x", x)}).message(),
            "node '/attn/Add': kernel 'add': cuLaunchKernel: CUDA_ERROR_UNKNOWN (as the fake was told)");
  fake().failing.clear();
  expectChain(*session, 1, 4, 3);
}

/// What a run computes may lie where its inputs were.
TEST_P(Cuda, RepeatedRunsSeeTheInputsOfTheFirst) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256)), bytes = b.expr(Op::Mul, n, b.constant(4));
  BufferId x = b.input("x", DType::f32, n);
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  BufferId t = b.temporary(bytes), u = b.temporary(bytes), y = b.output("y", DType::f32, n);
  // y = 2 x n + 2 x, looked at while it is on the device.
  b.emit(b.add(x, x, t, n), b.scale(t, u, n, n), b.add(u, t, y, n), ReadScalar{s, y, DType::f32, kNone},
         Assert{b.value(s), b.constant(6 * 64 + 6), "x is kept", kNone});
  addGpuCode(b.model, {Entry::add, Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  std::vector<float> values(64, 3);
  for (int round = 0; round < 2; ++round) {
    Status status = session->run(std::vector{tensor("x", values)});
    ASSERT_TRUE(status.ok()) << status.message();
    for (int i = 0; i < 3; ++i) {
      status = session->repeat();
      EXPECT_TRUE(status.ok()) << status.message();
    }
    EXPECT_EQ(session->stats().plans, 2u) << "the second one keeps the inputs from then on";
  }
}

TEST_P(Cuda, WhatThirtyTwoBitsDoNotNumberRunsOnTheHost) {
  ModelBuilder b = chain(2, {Entry::add, Entry::scale});
  for (Kernel &k : b.model.kernels) { // as if each element stood for 2^24
    k.exprs.push_back({Expr::Op::Const, int64_t(1) << 24});
    k.exprs.push_back({Expr::Op::Mul, 0, 0, static_cast<ExprId>(k.exprs.size() - 1)});
    k.counts = {static_cast<ExprId>(k.exprs.size() - 1)};
  }
  auto model = loadModel(b.model, kGpu);
  ASSERT_TRUE(model);
  auto session = *model->createSession();
  expectChain(*session, 2, 127, 1);
  EXPECT_TRUE(session->stats().hostFallbacks.empty());
  expectChain(*session, 2, 128, 1); // 2^31
  EXPECT_EQ(session->stats().hostFallbacks.size(), 2u);
  EXPECT_EQ(session->stats().hostFallbacks["add"], 2u);
}

TEST_P(Cuda, GridsThatAreTooLargeAreToldBeforeALaunch) {
  ModelBuilder b = chain(1, {Entry::add, Entry::scale});
  Kernel &kernel = b.model.kernels[b.kernel(Entry::scale)];
  kernel.exprs.push_back({Op::Const, 65536}); // one more than the second dimension may have
  kernel.variants[0].stages[0].grid[1] = kernel.exprs.size() - 1;
  auto session = *loadModel(b.model, kGpu)->createSession();
  std::vector<float> x(4);
  EXPECT_NE(session->run(std::vector{tensor("x", x)}).message().find("kernel 'scale': the grid '65536' is 65536"),
            std::string::npos);
  EXPECT_EQ(fake().launches, 1u);
}

TEST_P(Cuda, LaunchesSayWhatIsACluster) {
  ModelBuilder b = chain(1, {Entry::add});
  uint32_t scale = b.kernel(Entry::scale);
  addGpuVariant(b.model, scale, "clusters", kNone, "sm_90a");
  Kernel &kernel = b.model.kernels[scale];
  Stage &stage = kernel.variants[0].stages[0];
  // The grid's second dimension, and what of it is a cluster.
  kernel.exprs.push_back({Op::Const, 12});
  stage.grid[1] = kernel.exprs.size() - 1;
  kernel.exprs.push_back({Op::Const, 0});
  stage.cluster = kernel.exprs.size() - 1;
  auto run = [&](int64_t blocks) {
    kernel.exprs.back().imm = blocks;
    auto session = *loadModel(b.model, kGpu)->createSession();
    std::vector<float> x(4);
    return session->run(std::vector{tensor("x", x)}).message();
  };
  EXPECT_EQ(run(4), "");
  EXPECT_EQ(run(1), "");
  EXPECT_EQ(fake().clusters, (std::vector<unsigned>{4, 1}));
  for (const auto &[blocks, expected] :
       {std::pair(0, "kernel 'scale': the cluster '0' is 0 blocks, expected 1 to 8"),
        std::pair(12, "kernel 'scale': the cluster '12' is 12 blocks, expected 1 to 8"),
        std::pair(-1, "kernel 'scale': the cluster '-1' is -1 blocks, expected 1 to 8"),
        std::pair(5, "kernel 'scale': the cluster '5' is 5 blocks, which do not divide the grid's 12")})
    EXPECT_NE(run(blocks).find(expected), std::string::npos) << run(blocks);
  EXPECT_EQ(fake().clusters.size(), 2u);
}

TEST_P(Cuda, TheCallersContextStays) {
  using GetContext = int (*)(void **);
  using SetContext = int (*)(void *);
  void *library = ::dlopen("libcuda.so.1", RTLD_NOW);
  auto get = reinterpret_cast<GetContext>(::dlsym(library, "cuCtxGetCurrent"));
  auto set = reinterpret_cast<SetContext>(::dlsym(library, "cuCtxSetCurrent"));
  int mine = 0;
  auto path = writeModel(chain(2, {Entry::add, Entry::scale}).model);
  for (void *context : {static_cast<void *>(&mine), static_cast<void *>(nullptr)}) {
    auto expectMine = [&](const char *after) {
      void *current = nullptr;
      get(&current);
      EXPECT_EQ(current, context) << after;
      set(context);
    };
    set(context);
    auto model = kt::Model::load(path, kGpu);
    ASSERT_TRUE(model.ok()) << model.status().message();
    expectMine("load");
    auto session = (*model)->createSession();
    expectMine("createSession");
    for (int i = 0; i < 3; ++i)
      expectChain(**session, 2, 8, 1);
    expectMine("run");
    EXPECT_TRUE((*session)->repeat().ok());
    expectMine("repeat");
    session->reset();
    expectMine("the session's end");
    model->reset();
    expectMine("the model's end");
    fake().failing = "cuMemAlloc";
    EXPECT_FALSE(kt::Model::load(path, kGpu).ok());
    expectMine("a load that fails");
    fake().failing.clear();
  }
  ::dlclose(library);
}

TEST_P(Cuda, StatsAreReadWhileAnotherSessionRuns) {
  // Memory is tight: when a third session plans its largest shapes, weights have to make room.
  fake().freeBytes = 12400;
  auto model = loadModel(chain(8, {Entry::add, Entry::scale}).model, kGpu);
  ASSERT_TRUE(model);
  auto busy = *model->createSession(), busier = *model->createSession(), idle = *model->createSession();
  expectChain(*idle, 8, 10, 1);
  std::atomic<bool> done{false};
  std::atomic<uint64_t> seen{0};
  std::thread other([&] {
    while (seen.load(std::memory_order_relaxed) < 3) // relaxed: the test must not order what it looks at
      std::this_thread::yield();
    for (int i = 0; i < 2000; ++i) {
      std::vector<float> x(10 + 6 * (i % 40), 1);
      (void)(i % 2 ? busier : busy)->run(std::vector{tensor("x", x)}); // it may well be told that memory is too small
    }
    done.store(true, std::memory_order_relaxed);
  });
  // ThreadSanitizer notes a read that repeats only once, and keeps silent about a race whose older side has left its
  // trace: a reader that does not rest is one that it does not report.
  while (!done.load(std::memory_order_relaxed)) {
    seen.fetch_add(idle->stats().residentWeightBytes > 0, std::memory_order_relaxed);
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  other.join();
  EXPECT_GT(idle->stats().streamedWeightBytes, 0u);
  EXPECT_EQ(idle->stats().runs, 1u);
}

TEST_P(Cuda, NoSuchGpu) {
  auto path = writeModel(chain(1, {Entry::add, Entry::scale}).model);
  EXPECT_EQ(kt::Model::load(path, {.device = "cuda:3"}).status().message(), "cuda:3 asked for, but there are 1 GPUs");
  EXPECT_EQ(kt::Model::load(path, {.device = "cuda:x"}).status().code(), Code::usage);
}

TEST_P(Cuda, ScalarsAreReadAcrossTheBus) {
  ModelBuilder b;
  ExprId four = b.constant(4);
  BufferId c = b.input("c", DType::i64, b.constant(1)), x = b.input("x", DType::f32, four);
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  BufferId y = b.output("y", DType::f32, four);
  b.emit(ReadScalar{s, c, DType::i64, kNone}, b.scale(x, y, four, b.value(s)));
  addGpuCode(b.model, {Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  std::vector<float> values{1, 2, 3, 4};
  for (int64_t k : {3, 5}) {
    ASSERT_TRUE(session->run(std::vector{tensor("x", values), tensor("c", std::vector<int64_t>{k})}).ok());
    EXPECT_EQ(floats(session->outputs()[0])[3], 4.0f * k);
  }
  Status status = session->run(std::vector{tensor("x", values), tensor("c", std::vector<int64_t>{int64_t(1) << 40})});
  EXPECT_NE(status.message().find("integer argument 1 is 1099511627776, which does not fit in 32 bits"),
            std::string::npos)
      << status.message();
}

} // namespace
} // namespace kt::test
