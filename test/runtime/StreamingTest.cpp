//===- StreamingTest.cpp - weights that do not all fit --------------------===//
//
// Streaming on the host: right values, peak memory under the limit, residency that gives way to larger shapes.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/TestModel.h"

#include <thread>

namespace kt::test {
namespace {

constexpr size_t kLayers = 10, kElements = 4096; // 16 KiB a weight

/// y = x + w0 + w1 + ..., a slice a layer; some layers share their weight.
ModelBuilder layers(int64_t most) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 0, most)), bytes = b.expr(Op::Mul, n, b.constant(4));
  BufferId x = b.input("x", DType::f32, n);
  std::vector<uint32_t> cuts;
  std::vector<BufferId> weights;
  for (size_t i = 0; i < kLayers; ++i) {
    bool shared = i == 7;
    BufferId w = shared ? weights[2] : b.weight("w", std::vector<float>(kElements, static_cast<float>(i + 1)));
    weights.push_back(w);
    BufferId y = i + 1 == kLayers ? b.output("y", DType::f32, n) : b.temporary(bytes);
    if (i)
      cuts.push_back(i);
    b.emit(b.add(x, w, y, n));
    x = y;
  }
  b.slice(cuts);
  return b;
}

void expectLayers(Session &session, size_t n) {
  std::vector<float> x(n, 0.5f);
  Status status = session.run(std::vector{tensor("x", x)});
  ASSERT_TRUE(status.ok()) << status.message();
  // 1 + ... + 10 with the eighth replaced by the third.
  EXPECT_EQ(floats(session.outputs()[0]), std::vector<float>(n, 0.5f + 55 - 8 + 3));
}

TEST(Streaming, PeakStaysUnderTheLimit) {
  constexpr uint64_t kLimit = 100000; // of 144 KiB of weights
  auto model = loadModel(layers(kElements).model, {.device = "host", .threads = 1, .deviceMemory = kLimit});
  ASSERT_TRUE(model);
  auto session = *model->createSession();
  for (size_t n : {4096, 10, 4096, 0})
    expectLayers(*session, n);
  Stats stats = session->stats();
  EXPECT_GT(stats.streamedWeightBytes, 0u);
  EXPECT_GT(stats.residentWeightBytes, 0u);
  EXPECT_LE(stats.peakDeviceBytes - stats.arenaBytes, kLimit); // values come on top
}

TEST(Streaming, NothingIsStreamedWhenAllFits) {
  auto model = loadModel(layers(kElements).model, {.device = "host", .deviceMemory = 1 << 20});
  auto session = *model->createSession();
  expectLayers(*session, 100);
  EXPECT_EQ(session->stats().streamedBytes, 0u);
  EXPECT_EQ(session->stats().residentWeightBytes, 9 * kElements * 4);
}

TEST(Streaming, EqualWeightsAreKeptOnce) {
  ModelBuilder b;
  ExprId n = b.constant(64);
  BufferId x = b.input("x", DType::f32, n), t = b.temporary(b.constant(256)), y = b.output("y", DType::f32, n);
  BufferId one = b.weight("one", std::vector<float>(64, 3)), same = b.weight("same", std::vector<float>(64, 3));
  b.emit(b.add(x, one, t, n), b.add(t, same, y, n));
  auto session = *loadModel(b.model)->createSession();
  std::vector<float> values(64, 1);
  ASSERT_TRUE(session->run(std::vector{tensor("x", values)}).ok());
  EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(64, 7));
  EXPECT_EQ(session->stats().residentWeightBytes, 256u);
}

/// Of equal weights, which are one, it is looked up what nobody reads as a whole.
TEST(Streaming, WhatIsLookedUpIsCounted) {
  for (bool both : {false, true}) {
    ModelBuilder b;
    ExprId n = b.constant(64);
    BufferId x = b.input("x", DType::f32, n), t = b.temporary(b.constant(256)), y = b.output("y", DType::f32, n);
    BufferId one = b.weight("one", std::vector<float>(64, 3)), same = b.weight("same", std::vector<float>(64, 3));
    b.emit(b.add(x, one, t, n), b.add(t, same, y, n));
    b.model.weights[0].lookedUp = true;
    b.model.weights[1].lookedUp = both;
    auto session = *loadModel(b.model)->createSession();
    EXPECT_EQ(session->stats().lookedUpWeightBytes, both ? 256u : 0u);
  }
}

TEST(Streaming, TheLimitIsForWeightsWhateverTheShapes) {
  ModelBuilder b = layers(INT64_MAX);
  auto model = loadModel(b.model, {.device = "host", .threads = 1, .deviceMemory = 9 * kElements * 4});
  ASSERT_TRUE(model);
  auto session = *model->createSession();
  for (size_t n : {10, 4096, 10}) {
    expectLayers(*session, n);
    EXPECT_EQ(session->stats().streamedWeightBytes, 0u);
  }
}

TEST(Streaming, TooLittleIsOneErrorWithBothNumbers) {
  std::string path = writeModel(layers(kElements).model);
  auto model = kt::Model::load(path, {.device = "host", .deviceMemory = 10000});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(
      model.status().message(),
      "not enough device memory: the weights of the largest slice take 16384 bytes but 10000 are allowed for weights");
}

TEST(Streaming, SessionsStreamSideBySide) {
  auto model = loadModel(layers(kElements).model, {.device = "host", .threads = 2, .deviceMemory = 300000});
  auto limited = loadModel(layers(64).model, {.device = "host", .threads = 2, .deviceMemory = 80000});
  ASSERT_TRUE(model && limited);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      auto session = *model->createSession();
      auto other = *limited->createSession();
      for (size_t round = 0; round < 20; ++round) {
        expectLayers(*session, 64 + round);
        // Three sessions need three staging areas: this many do not always fit, and then say so.
        std::vector<float> x(8, 0.5f);
        Status status = other->run(std::vector{tensor("x", x)});
        if (status.ok())
          EXPECT_EQ(floats(other->outputs()[0])[0], 50.5f);
        else
          EXPECT_NE(status.message().find("not enough device memory"), std::string::npos) << status.message();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace
} // namespace kt::test
