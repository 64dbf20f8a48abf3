//===- CudaModulesTest.cpp - when the driver compiles what ----------------===//
//
// Which modules are compiled at load, by the first run, by a run with other shapes, by two sessions at once, and what a
// module that does not compile does.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

#include <algorithm>
#include <barrier>
#include <thread>

namespace kt::test {
namespace {

/// The marks of the modules that were compiled since the last question, sorted.
std::vector<std::string> compiled() {
  std::vector<std::string> marks;
  for (const std::string &text : fake().loaded)
    marks.push_back(text.substr(text.rfind(' ') + 1));
  fake().loaded.clear();
  std::sort(marks.begin(), marks.end());
  return marks;
}
using Marks = std::vector<std::string>;

ExprId kernelExpr(Kernel &kernel, Expr e) {
  kernel.exprs.push_back(e);
  return kernel.exprs.size() - 1;
}
/// The kernel's first integer, its number of elements, below `limit`.
ExprId fewerThan(Kernel &kernel, int64_t limit) {
  ExprId n = kernelExpr(kernel, {Op::Symbol, 0}), c = kernelExpr(kernel, {Op::Const, limit});
  return kernelExpr(kernel, {Op::Lt, 0, n, c});
}
ExprId moreProcessorsThan(Kernel &kernel, int64_t limit) {
  ExprId c = kernelExpr(kernel, {Op::Const, limit});
  ExprId have = kernelExpr(kernel, {Op::Fact, static_cast<int64_t>(Fact::SmCount)});
  return kernelExpr(kernel, {Op::Lt, 0, c, have});
}

/// Additions have variants below and from 100 elements, multiplications below and from 200, and one for GPUs that are
/// larger than the fake; both have one for an older GPU.
ModelBuilder manyVariants(size_t layers = 2) {
  ModelBuilder b = chain(layers, {});
  auto add = [&](Entry entry, const std::string &name, int64_t limit) {
    uint32_t k = b.kernel(entry);
    Kernel &kernel = b.model.kernels[k];
    addGpuVariant(b.model, k, name + "-old", kNone, "sm_80");
    addGpuVariant(b.model, k, name + "-large");
    addGpuVariant(b.model, k, name + "-small", fewerThan(kernel, limit));
    addGpuVariant(b.model, k, name + "-huge", moreProcessorsThan(kernel, 100));
  };
  add(Entry::add, "add", 100);
  add(Entry::scale, "scale", 200);
  return b;
}

TEST_P(Cuda, OnlyTheVariantsOfAPlanAreCompiled) {
  auto model = loadModel(manyVariants().model, kGpu);
  EXPECT_EQ(compiled(), Marks()) << "at load no variant is certain";
  auto session = *model->createSession();
  expectChain(*session, 2, 50, 1);
  EXPECT_EQ(compiled(), (Marks{"add-small", "scale-small"}));
  // Recorded and replayed without another module: the fake refuses to load while it records.
  for (int i = 0; i < 3; ++i)
    expectChain(*session, 2, 50, 2);
  EXPECT_EQ(compiled(), Marks());
  EXPECT_EQ(session->stats().graphReplays, 3u);
  for (int i = 0; i < 3; ++i)
    expectChain(*session, 2, 150, 3);
  EXPECT_EQ(compiled(), (Marks{"add-large"}));
  for (int i = 0; i < 3; ++i)
    expectChain(*session, 2, 250, 4);
  EXPECT_EQ(compiled(), (Marks{"scale-large"}));
  expectChain(*session, 2, 60, 5);
  auto other = *model->createSession();
  expectChain(*other, 2, 220, 6);
  EXPECT_EQ(compiled(), Marks()) << "modules belong to the model, not to a session";
}

TEST_P(Cuda, WhatEveryRunNeedsIsCompiledAtLoad) {
  // Additions leave no choice to shapes, the guard of the first being decided by the device.
  ModelBuilder b = chain(2, {});
  uint32_t add = b.kernel(Entry::add), scale = b.kernel(Entry::scale);
  addGpuVariant(b.model, add, "add-small");
  addGpuVariant(b.model, add, "add-huge", moreProcessorsThan(b.model.kernels[add], 100));
  addGpuVariant(b.model, scale, "scale-any");
  addGpuVariant(b.model, scale, "scale-small", fewerThan(b.model.kernels[scale], 100));
  auto model = loadModel(b.model, kGpu);
  EXPECT_EQ(compiled(), (Marks{"add-small"}));
  expectChain(**model->createSession(), 2, 200, 1);
  EXPECT_EQ(compiled(), (Marks{"scale-any"}));
}

TEST_P(Cuda, TheCheapestThatFitsRuns) {
  // Scaling costs n one way, 100 another, and nothing where fewer than 20 are scaled.
  ModelBuilder b = chain(2, {});
  uint32_t add = b.kernel(Entry::add), scale = b.kernel(Entry::scale);
  addGpuVariant(b.model, add, "add-any");
  Kernel &kernel = b.model.kernels[scale];
  ExprId hundred = kernelExpr(kernel, {Op::Const, 100}), n = kernelExpr(kernel, {Op::Symbol, 0});
  ExprId huge = kernelExpr(kernel, {Op::Const, INT64_MAX}), overflows = kernelExpr(kernel, {Op::Mul, 0, huge, huge});
  ExprId zero = kernelExpr(kernel, {Op::Const, 0}), never = kernelExpr(kernel, {Op::FloorDiv, 0, n, zero});
  ExprId tiny = fewerThan(kernel, 20);
  auto scaling = [&](const char *mark, ExprId guard, ExprId cost) {
    addGpuVariant(b.model, scale, mark, guard);
    b.model.kernels[scale].variants.front().cost = cost;
  };
  scaling("scale-overflow", kNone, overflows);
  scaling("scale-bad-guard", never, zero);
  scaling("scale-same", kNone, hundred);
  scaling("scale-flat", kNone, hundred);
  scaling("scale-linear", kNone, n);
  scaling("scale-tiny", tiny, zero);
  auto model = loadModel(b.model, kGpu);
  EXPECT_EQ(compiled(), (Marks{"add-any"}));
  auto session = *model->createSession();
  expectChain(*session, 2, 150, 1);
  EXPECT_EQ(compiled(), (Marks{"scale-flat"}));
  expectChain(*session, 2, 100, 1);
  EXPECT_EQ(compiled(), (Marks{"scale-linear"})) << "the first of equals";
  expectChain(*session, 2, 10, 1);
  EXPECT_EQ(compiled(), (Marks{"scale-tiny"}));
}

TEST_P(Cuda, CodeOfAnExactTargetRunsOnItsOwnCapabilityAlone) {
  // Beside code that every card runs, the cheaper one of sm_90a is for capability 9.0 and for no newer one.
  ModelBuilder b = chain(1, {});
  uint32_t add = b.kernel(Entry::add), scale = b.kernel(Entry::scale);
  auto costing = [&](uint32_t kernel, int64_t cost) {
    Kernel &k = b.model.kernels[kernel];
    k.variants.front().cost = kernelExpr(k, {Op::Const, cost});
  };
  for (uint32_t kernel : {add, scale}) {
    std::string name = kernel == add ? "add" : "scale";
    addGpuVariant(b.model, kernel, name + "-any", kNone, "sm_80");
    costing(kernel, 20);
    addGpuVariant(b.model, kernel, name + "-own", kNone, "sm_90a");
    costing(kernel, kernel == add ? 10 : 30);
  }
  for (const auto &[capability, expected] :
       {std::pair(90, Marks{"add-own", "scale-any"}), std::pair(100, Marks{"add-any", "scale-any"})}) {
    fake().computeCapability = capability;
    auto model = loadModel(b.model, kGpu);
    expectChain(**model->createSession(), 1, 50, 1);
    EXPECT_EQ(compiled(), expected) << capability;
  }
}

TEST_P(Cuda, AModelOfFixedSizesIsCompiledAtLoad) {
  ModelBuilder b = manyVariants();
  b.model.symbols[0].min = b.model.symbols[0].max = 150;
  auto model = loadModel(b.model, kGpu);
  EXPECT_EQ(compiled(), (Marks{"add-large", "scale-small"}));
  expectChain(**model->createSession(), 2, 150, 1);
  EXPECT_EQ(compiled(), Marks());
}

TEST_P(Cuda, VariantsThatDataDecidesAreCompiledAtTheirFirstUse) {
  // The multiplier is read from an input, and decides the variant.
  ModelBuilder b;
  ExprId four = b.constant(4);
  BufferId c = b.input("c", DType::i64, b.constant(1)), x = b.input("x", DType::f32, four);
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  BufferId y = b.output("y", DType::f32, four);
  b.emit(ReadScalar{s, c, DType::i64, kNone}, b.scale(x, y, four, b.value(s)));
  uint32_t scale = b.kernel(Entry::scale);
  Kernel &kernel = b.model.kernels[scale];
  ExprId k = kernelExpr(kernel, {Op::Symbol, 1}), ten = kernelExpr(kernel, {Op::Const, 10});
  ExprId small = kernelExpr(kernel, {Op::Lt, 0, k, ten});
  addGpuVariant(b.model, scale, "scale-large");
  addGpuVariant(b.model, scale, "scale-small", small);
  b.model.nodes = {"/gain/Mul"};
  std::get<Launch>(b.model.program.instructions[1]).node = 0;
  auto model = loadModel(b.model, kGpu);
  auto session = *model->createSession();
  std::vector<float> values{1, 2, 3, 4};
  auto run = [&](int64_t by) {
    return session->run(std::vector{tensor("x", values), tensor("c", std::vector<int64_t>{by})});
  };
  EXPECT_EQ(compiled(), Marks());
  ASSERT_TRUE(run(3).ok());
  EXPECT_EQ(compiled(), (Marks{"scale-small"}));
  fake().jitError = "out of registers";
  EXPECT_EQ(run(20).message(), "node '/gain/Mul': kernel 'scale': module 1 (sm_89): cuModuleLoadDataEx: "
                               "CUDA_ERROR_INVALID_PTX (as the fake was told): out of registers");
  fake().jitError.clear();
  ASSERT_TRUE(run(20).ok());
  EXPECT_EQ(floats(session->outputs()[0])[3], 80.0f);
  EXPECT_EQ(compiled(), (Marks{"scale-large"}));
  ASSERT_TRUE(run(4).ok());
  EXPECT_EQ(compiled(), Marks());
}

TEST_P(Cuda, AModuleThatDoesNotCompileFailsTheRunsThatNeedIt) {
  auto model = loadModel(manyVariants().model, kGpu);
  auto session = *model->createSession(), other = *model->createSession();
  fake().jitError = "ptxas: line 3 is wrong";
  fake().jitFails = "add-large";
  expectChain(*session, 2, 50, 1);
  for (int i = 0; i < 2; ++i) {
    std::vector<float> x(150);
    EXPECT_EQ(session->run(std::vector{tensor("x", x)}).message(),
              "kernel 'add': module 3 (sm_89): cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX (as the fake was told): "
              "ptxas: line 3 is wrong");
  }
  expectChain(*session, 2, 50, 2);
  expectChain(*other, 2, 60, 3);
  fake().jitError.clear(); // as when memory was short
  expectChain(*session, 2, 150, 4);
  EXPECT_EQ(compiled(), (Marks{"add-large", "add-small", "scale-small"}));
}

TEST_P(Cuda, AnEntryThatIsMissingNamesItsKernel) {
  ModelBuilder b = chain(1, {Entry::add, Entry::scale});
  b.model.kernels[b.kernel(Entry::scale)].variants[0].stages[0].entry = "scales";
  EXPECT_EQ(kt::Model::load(writeModel(b.model), kGpu).status().message(),
            "kernel 'scale': module 1 (sm_89): entry 'scales': cuModuleGetFunction: CUDA_ERROR_NOT_FOUND (as the fake "
            "was told)");
}

TEST_P(Cuda, SessionsThatPlanAtOnceCompileAModuleOnce) {
  auto model = loadModel(manyVariants().model, kGpu);
  fake().jitMilliseconds = 30;
  constexpr int kSessions = 4;
  std::barrier start(kSessions);
  std::vector<std::thread> threads;
  for (int t = 0; t < kSessions; ++t)
    threads.emplace_back([&, t] {
      auto session = *model->createSession();
      start.arrive_and_wait();
      // Three different plans, which share modules.
      for (int i = 0; i < 2; ++i)
        expectChain(*session, 2, 50 + 100 * (t % 3), static_cast<float>(t));
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(compiled(), (Marks{"add-large", "add-small", "scale-large", "scale-small"}));
  EXPECT_GE(fake().peakLoading, 2);
}

/// "sm_89a" runs on that GPU alone, machine code within its major version, PTX on all that are newer.
TEST_P(Cuda, CodeForOtherGpusIsNotTaken) {
  ModelBuilder b = chain(1, {});
  uint32_t add = b.kernel(Entry::add), scale = b.kernel(Entry::scale);
  addGpuVariant(b.model, add, "ptx", kNone, "sm_80");
  addGpuVariant(b.model, add, "exact", kNone, "sm_89a");
  addGpuVariant(b.model, scale, "cubin", kNone, "sm_86");
  b.model.modules.back().kind = Module::Kind::Cubin;
  std::string path = writeModel(b.model);
  auto expect = [&](int capability, const Marks &marks, uint64_t onHost) {
    fake().computeCapability = capability;
    auto model = kt::Model::load(path, kGpu);
    ASSERT_TRUE(model.ok()) << model.status().message();
    auto session = *(*model)->createSession();
    expectChain(*session, 1, 20, 1);
    EXPECT_EQ(compiled(), marks) << capability;
    EXPECT_EQ(session->stats().hostFallbacks.count("scale"), onHost) << capability;
  };
  expect(86, {"cubin", "ptx"}, 0);
  expect(89, {"cubin", "exact"}, 0);
  expect(90, {"ptx"}, 1);
}

TEST_P(Cuda, SessionsThatPlanAtOnceAllHearOfAFailure) {
  auto model = loadModel(manyVariants().model, kGpu);
  fake().jitMilliseconds = 30;
  fake().jitError = "no";
  fake().jitFails = "add-small";
  std::barrier start(2);
  std::vector<std::thread> threads;
  std::vector<std::string> messages(2);
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      auto session = *model->createSession();
      std::vector<float> x(50);
      start.arrive_and_wait();
      messages[t] = session->run(std::vector{tensor("x", x)}).message();
    });
  for (std::thread &thread : threads)
    thread.join();
  for (const std::string &message : messages)
    EXPECT_EQ(message, "kernel 'add': module 4 (sm_89): cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX (as the fake was "
                       "told): no");
}

TEST_P(Cuda, ModulesOfAPlanAreCompiledAtOnce) {
  if (std::thread::hardware_concurrency() < 2)
    GTEST_SKIP() << "modules compile on as many threads as there are cores: with one, never two at once";
  auto model = loadModel(manyVariants().model, kGpu);
  fake().jitMilliseconds = 50;
  expectChain(**model->createSession(), 2, 50, 1);
  EXPECT_EQ(fake().peakLoading, 2);
}

} // namespace
} // namespace kt::test
