//===- CudaNumericsTest.cpp - who made what is not finite, on a device ----===//
//
// Results are in memory of the device, or on the host where a kernel has no code for it; graphs are off meanwhile.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

#include <cmath>
#include <limits>

namespace kt::test {
namespace {

/// y = 2 x + x; of the kernels `onGpu` have code for the device.
ModelBuilder chainOf(const std::vector<Entry> &onGpu) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 1 << 20));
  BufferId x = b.input("x", DType::f32, n), t = b.temporary(b.expr(Op::Mul, n, b.constant(4)));
  BufferId y = b.output("y", DType::f32, n);
  b.emit(b.scale(x, t, n, b.constant(2)), b.add(t, x, y, n));
  b.model.nodes = {"twice", "sum"};
  for (uint32_t i = 0; i < 2; ++i)
    std::get<Launch>(b.model.program.instructions[i]).node = i;
  addGpuCode(b.model, onGpu, b);
  for (Kernel &kernel : b.model.kernels)
    kernel.results = {{DType::f32, {0}}};
  return b;
}

TEST_P(Cuda, WhatIsNotFiniteIsFoundWhereverItLies) {
  for (const std::vector<Entry> &onGpu : {std::vector{Entry::scale, Entry::add}, {Entry::add}, {Entry::scale}}) {
    auto session = *loadModel(chainOf(onGpu).model, kGpu)->createSession({.checkNumerics = CheckNumerics::faults});
    std::vector<float> x(300000, 1); // more than one piece
    for (int run = 0; run < 3; ++run) {
      Status status = session->run(std::vector{tensor("x", x)});
      EXPECT_TRUE(status.ok()) << status.message();
    }
    x[299999] = -1.5e38f, x[280000] = 1.5e38f; // twice it fits, three times it does not
    Status status = session->run(std::vector{tensor("x", x)});
    EXPECT_EQ(status.code(), Code::failed);
    EXPECT_EQ(status.message().substr(0, 26), "node 'sum': kernel 'add' (");
    EXPECT_NE(status.message().find("f32[300000], has 0 NaNs and 2 infinities among 300000 elements, the first at "
                                    "[280000], but what it is made of has none; largest finite 3, f32's is"),
              std::string::npos)
        << status.message();
    x[0] = 3e38f;
    status = session->run(std::vector{tensor("x", x)});
    EXPECT_NE(status.message().find("node 'twice': kernel 'scale'"), std::string::npos) << status.message();
    x[0] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(session->run(std::vector{tensor("x", x)}).ok());
    EXPECT_EQ(session->numericsWarnings().size(), 1u);
    EXPECT_EQ(session->stats().graphRecordings, 0u);
  }
}

TEST_P(Cuda, GraphsComeBackWhenNobodyLooks) {
  auto session = *loadModel(chainOf({Entry::scale, Entry::add}).model, kGpu)->createSession();
  std::vector<float> x(8, 1);
  auto run = [&] {
    Status status = session->run(std::vector{tensor("x", x)});
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(8, 3 * x[0]));
  };
  for (int i = 0; i < 3; ++i)
    run();
  uint64_t replays = session->stats().graphReplays;
  EXPECT_GT(replays, 0u);
  ASSERT_TRUE(session->checkNumerics(CheckNumerics::faults).ok());
  x.assign(8, 2);
  for (int i = 0; i < 3; ++i)
    run();
  EXPECT_EQ(session->stats().graphReplays, replays);
  EXPECT_EQ(session->stats().graphFailures, 0u); // nor is one begun that looking at results would break
  std::vector<float> large(8, 3e38f);
  EXPECT_FALSE(session->run(std::vector{tensor("x", large)}).ok());
  ASSERT_TRUE(session->checkNumerics(CheckNumerics::none).ok());
  x.assign(8, 3);
  for (int i = 0; i < 3; ++i)
    run();
  EXPECT_GT(session->stats().graphReplays, replays);
}

TEST_P(Cuda, InputsOfTheDeviceAreLookedAtWhereTheyAre) {
  Caller caller;
  auto session =
      *loadModel(chainOf({Entry::scale, Entry::add}).model, kGpu)->createSession({.checkNumerics = CheckNumerics::all});
  std::vector<float> values(64, 1);
  values[5] = -std::numeric_limits<float>::infinity();
  float *x = caller.floats(values);
  Status status = session->enqueue(std::vector{Binding::input("x", onDevice("", x, 64))}, caller.stream);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(session->wait().ok());
  EXPECT_EQ(session->numericsWarnings(),
            std::vector<std::string>{"input 'x', f32[64], has 0 NaNs and 1 infinity among 64 elements, the first at "
                                     "[5]; what follows from it is no fault of a node"});
  // What lies there is what it holds as the run begins.
  values[5] = 3e38f;
  float *pinned = caller.pinned(values);
  caller.copyIn(x, pinned, 64);
  status = session->enqueue(std::vector{Binding::input("x", onDevice("", x, 64))}, caller.stream);
  EXPECT_NE(status.message().find("node 'twice'"), std::string::npos) << status.message();
  caller.synchronize();
}

} // namespace
} // namespace kt::test
