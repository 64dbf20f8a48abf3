//===- CudaMirrorTest.cpp - values in more than one place -----------------===//
//
// Buffers that host and device write by turns, and streamed weights that go on living under another name: who reads
// them finds what was written last, wherever that was.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

namespace kt::test {
namespace {

/// Runs on inputs x = 1, 2, ... of `n` floats and, where it has one, c.
void runOn(Session &session, size_t n, const std::vector<int64_t> &c = {}) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i)
    x[i] = static_cast<float>(i + 1);
  std::vector<TensorView> inputs{tensor("x", x)};
  if (!c.empty())
    inputs.push_back(tensor("c", c));
  Status status = session.run(inputs);
  ASSERT_TRUE(status.ok()) << status.message();
}

TEST_P(Cuda, WhatTheDeviceWroteOverIsReadByTheHost) {
  ModelBuilder b;
  ExprId eight = b.constant(8), bytes = b.constant(32);
  BufferId x = b.input("x", DType::f32, eight), w = b.weight("w", std::vector<float>(8, 100));
  BufferId t = b.temporary(bytes), y = b.output("y", DType::f32, eight), z = b.output("z", DType::f32, eight);
  // On the host, then on the device into the same buffer, then on the host.
  b.emit(b.scale(x, t, eight, b.constant(2)), b.add(x, w, t, eight), b.scale(t, y, eight, b.constant(3)),
         b.scale(x, z, eight, b.constant(2)), b.add(x, w, z, eight));
  addGpuCode(b.model, {Entry::add}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  for (int i = 0; i < 2; ++i) {
    runOn(*session, 8);
    EXPECT_EQ(floats(session->outputs()[0]), (std::vector<float>{303, 306, 309, 312, 315, 318, 321, 324}));
    EXPECT_EQ(floats(session->outputs()[1]), (std::vector<float>{101, 102, 103, 104, 105, 106, 107, 108}));
  }
}

TEST_P(Cuda, CopiesJoinWhatLiesOnTheHost) {
  ModelBuilder b;
  ExprId eight = b.constant(8), bytes = b.constant(32);
  BufferId x = b.input("x", DType::f32, eight);
  BufferId from = b.temporary(bytes), to = b.temporary(bytes);
  BufferId y = b.output("y", DType::f32, eight), z = b.output("z", DType::f32, eight);
  // Both sides of the copy were written on the host; what it makes is read by the host and by the device.
  b.emit(b.scale(x, from, eight, b.constant(2)), b.scale(x, to, eight, b.constant(10)),
         Copy{from, to, b.constant(4), b.constant(8), b.constant(12)}, b.scale(to, y, eight, b.constant(1)),
         b.add(to, to, z, eight));
  addGpuCode(b.model, {Entry::add}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  for (int i = 0; i < 2; ++i) {
    runOn(*session, 8);
    EXPECT_EQ(floats(session->outputs()[0]), (std::vector<float>{10, 20, 4, 6, 8, 60, 70, 80}));
    EXPECT_EQ(floats(session->outputs()[1]), (std::vector<float>{20, 40, 8, 12, 16, 120, 140, 160}));
  }
}

TEST_P(Cuda, ScansCollectWhatLiesOnTheHost) {
  ModelBuilder b;
  ExprId two = b.constant(2), bytes = b.constant(8), three = b.constant(3);
  BufferId x = b.input("x", DType::f32, two);
  BufferId carried = b.temporary(bytes), next = b.temporary(bytes), result = b.temporary(bytes);
  BufferId scan = b.temporary(b.constant(24));
  Loop loop;
  loop.trips = three;
  loop.init = {x};
  loop.carried = {carried};
  loop.next = {next};
  loop.results = {result};
  loop.scanPieces = {next};
  loop.scan = {scan};
  loop.scanReverse = {0};
  loop.body = b.list(b.scale(carried, next, two, three));
  b.emit(std::move(loop));
  b.asOutput("result", DType::f32, two, result);
  b.asOutput("scan", DType::f32, b.constant(6), scan);
  auto session = *loadModel(b.model, kGpu)->createSession();
  runOn(*session, 2);
  EXPECT_EQ(floats(session->outputs()[0]), (std::vector<float>{27, 54}));
  EXPECT_EQ(floats(session->outputs()[1]), (std::vector<float>{3, 6, 9, 18, 27, 54}));
}

/// The workspace of a kernel on the host is zeroed for each of its launches.
TEST_P(Cuda, WorkspaceOfTheHostIsZeroedEachTime) {
  ModelBuilder b;
  ExprId n = b.constant(40);
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, b.constant(1));
  b.emit(b.sum(x, y, n));
  auto session = *loadModel(b.model, kGpu)->createSession();
  for (int i = 0; i < 3; ++i) {
    runOn(*session, 40);
    EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>{820});
  }
}

constexpr size_t kElements = 256;
BufferId weightOf(ModelBuilder &b, float value) { return b.weight("w", std::vector<float>(kElements, value)); }

/// Streams everything through as little memory as there is, on either device.
void expectStreamed(const Model &model, uint64_t memory, int64_t c, float expected) {
  for (const char *device : {"host", "cuda:0"}) {
    SCOPED_TRACE(device);
    auto loaded = loadModel(model, {.device = device, .threads = 1, .deviceMemory = memory});
    ASSERT_TRUE(loaded);
    auto session = *loaded->createSession();
    EXPECT_EQ(session->stats().residentWeightBytes, 0u);
    for (int i = 0; i < 2; ++i) {
      runOn(*session, kElements, {c});
      EXPECT_EQ(floats(session->outputs()[0])[0], expected);
      EXPECT_EQ(floats(session->outputs()[0])[kElements - 1], expected + kElements - 1);
    }
  }
}

TEST_P(Cuda, AStreamedWeightThatABranchYieldsIsKept) {
  ModelBuilder b;
  ExprId n = b.constant(kElements), bytes = b.constant(kElements * 4);
  BufferId c = b.input("c", DType::i64, b.constant(1)), x = b.input("x", DType::f32, n);
  BufferId w0 = weightOf(b, 1000), w1 = weightOf(b, 20);
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  BufferId t = b.temporary(bytes), u = b.temporary(bytes), r = b.temporary(bytes), y = b.output("y", DType::f32, n);
  If branch;
  branch.condition = b.value(s);
  branch.then = b.list(b.add(x, x, t, n));
  branch.otherwise = b.list();
  branch.results = {r};
  branch.thenYields = {t};
  branch.otherwiseYields = {w0};
  // The second slice's weight comes to lie where the first one's was.
  b.emit(ReadScalar{s, c, DType::i64, kNone}, std::move(branch), b.add(x, w1, u, n), b.add(u, r, y, n));
  b.slice({2, 3});
  addGpuCode(b.model, {Entry::add}, b);
  expectStreamed(b.model, kElements * 4, 0, 1 + 20 + 1000);
}

TEST_P(Cuda, AStreamedWeightThatALoopCarriesIsKept) {
  for (int64_t trips : {0, 2}) {
    ModelBuilder b;
    ExprId n = b.constant(kElements), bytes = b.constant(kElements * 4);
    BufferId c = b.input("c", DType::i64, b.constant(1)), x = b.input("x", DType::f32, n);
    BufferId w[] = {weightOf(b, 1000), weightOf(b, 2000), weightOf(b, 30), weightOf(b, 40)};
    SymbolId s = b.symbol("s", Symbol::Kind::Data);
    BufferId carried = b.temporary(bytes), inner = b.temporary(bytes), r = b.temporary(bytes);
    BufferId t = b.temporary(bytes), u = b.temporary(bytes), y = b.output("y", DType::f32, n);
    Loop loop; // begins with a weight, and hands over another one
    loop.trips = b.value(s);
    loop.init = {w[0]};
    loop.carried = {carried};
    loop.next = {w[1]};
    loop.results = {r};
    loop.body = b.list(b.add(carried, x, inner, n));
    b.emit(ReadScalar{s, c, DType::i64, kNone}, std::move(loop), b.add(x, w[2], t, n), b.add(t, w[3], u, n),
           b.add(u, r, y, n));
    b.slice({2, 4});
    b.model.slices[0].weights = {0, 1};
    addGpuCode(b.model, {Entry::add}, b);
    expectStreamed(b.model, 2 * kElements * 4, trips, 1.0f + 30 + 40 + (trips ? 2000 : 1000));
  }
}

} // namespace
} // namespace kt::test
