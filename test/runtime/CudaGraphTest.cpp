//===- CudaGraphTest.cpp - recorded work that is patched ------------------===//
//
// A device's stream and its graphs, without a model: what is told to the driver when some of it changes, and that a
// graph under way goes on as it was.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/CudaDevice.h"
#include "runtime/device/CudaModules.h"
#include "test/runtime/CudaFixture.h"

#include <algorithm>

namespace kt::test {
namespace {

/// A device with the kernel `scale`, a stream, and three pieces of memory of 16 floats.
class Recorded {
public:
  Recorded() : builder(chain(1, {Entry::add, Entry::scale})), device(*device::createCudaDevice(0)) {
    EXPECT_TRUE(device->load(builder.model).ok());
    for (const Kernel &kernel : builder.model.kernels) {
      device::StageLaunch &launch = kernel.name == "scale" ? stage : adding;
      launch.stage = &kernel.variants[0].stages[0];
      EXPECT_TRUE(device->prepare(std::vector{launch.stage->module}).ok());
      launch.function = device->function(*launch.stage);
      launch.grid[0] = launch.grid[1] = launch.grid[2] = 1;
    }
    stream = *device->createStream();
    for (void *&memory : blocks)
      memory = *device->allocate(64);
    std::fill_n(floats(0), 16, 1.0f);
  }
  ~Recorded() {
    EXPECT_TRUE(stream->synchronize().ok());
    for (void *memory : blocks)
      device->release(memory);
  }

  float *floats(size_t block) { return static_cast<float *>(blocks[block]); }
  Status scale(size_t from, size_t to, int64_t factor) {
    void *buffers[] = {blocks[from], blocks[to]};
    int64_t ints[] = {16, factor};
    return stream->launch(stage, {buffers, 2, 2, ints});
  }
  /// block 1 = 3 * block 0; block 2 = 0, then its first half is that of block 1.
  void record() {
    ASSERT_TRUE(stream->beginRecord().ok());
    EXPECT_TRUE(scale(0, 1, 3).ok());
    EXPECT_TRUE(stream->zero(blocks[2], 64).ok());
    EXPECT_TRUE(stream->copy(blocks[2], blocks[1], 32).ok());
    auto made = stream->endRecord();
    ASSERT_TRUE(made.ok()) << made.status().message();
    graph = *std::move(made);
    EXPECT_EQ(graph->nodes(), 3u);
  }
  Status replay() { return stream->replay(*graph); }
  std::vector<float> result(size_t block) {
    EXPECT_TRUE(stream->synchronize().ok());
    return {floats(block), floats(block) + 16};
  }

  ModelBuilder builder;
  std::unique_ptr<device::Device> device;
  device::StageLaunch stage, adding;
  std::unique_ptr<device::Stream> stream;
  std::unique_ptr<device::Graph> graph;
  void *blocks[3] = {};
};

std::vector<float> halves(float first, float second) {
  std::vector<float> values(8, first);
  values.insert(values.end(), 8, second);
  return values;
}

TEST_P(Cuda, AGraphIsToldWhatDiffers) {
  Recorded r;
  r.record();
  EXPECT_TRUE(r.replay().ok());
  EXPECT_EQ(r.result(2), halves(3, 0));
  EXPECT_EQ(fake().patches, 0u);

  // The same again: nothing to tell.
  ASSERT_TRUE(r.stream->beginUpdate(*r.graph).ok());
  EXPECT_TRUE(r.scale(0, 1, 3).ok());
  EXPECT_TRUE(r.stream->zero(r.blocks[2], 64).ok());
  EXPECT_TRUE(r.stream->copy(r.blocks[2], r.blocks[1], 32).ok());
  EXPECT_TRUE(r.stream->endUpdate().ok());
  EXPECT_EQ(r.graph->pending(), 0u);

  // All of it in other ways; until the next replay the driver hears of nothing.
  ASSERT_TRUE(r.stream->beginUpdate(*r.graph).ok());
  EXPECT_TRUE(r.scale(0, 2, 5).ok());
  EXPECT_TRUE(r.stream->zero(r.blocks[1], 64).ok());
  EXPECT_TRUE(r.stream->copy(r.blocks[1], r.blocks[2], 16).ok());
  EXPECT_TRUE(r.stream->endUpdate().ok());
  EXPECT_EQ(r.graph->pending(), 3u);
  EXPECT_EQ(fake().patches, 0u);
  EXPECT_TRUE(r.replay().ok());
  EXPECT_EQ(r.graph->pending(), 0u);
  EXPECT_EQ(fake().patches, 3u);
  EXPECT_EQ(r.result(2), std::vector<float>(16, 5));
  std::vector<float> expected(16, 0);
  std::fill_n(expected.begin(), 4, 5.0f);
  EXPECT_EQ(r.result(1), expected);
  EXPECT_TRUE(r.replay().ok());
  EXPECT_EQ(fake().patches, 3u);
}

/// The interface for who knows which node it is.
TEST_P(Cuda, ANodeIsGivenOtherIntegersAndAnotherGrid) {
  Recorded r;
  r.record();
  void *buffers[] = {r.blocks[0], r.blocks[1]};
  int64_t ints[] = {16, 7};
  device::LaunchArguments arguments{buffers, 2, 2, ints};
  EXPECT_TRUE(r.graph->update(0, r.stage, arguments).ok());
  EXPECT_TRUE(r.replay().ok());
  EXPECT_EQ(r.result(1), std::vector<float>(16, 7));
  EXPECT_EQ(fake().patches, 1u);
  device::StageLaunch wider = r.stage;
  wider.grid[0] = 2;
  EXPECT_TRUE(r.graph->update(0, wider, arguments).ok());
  EXPECT_EQ(r.graph->pending(), 1u);
  EXPECT_TRUE(r.graph->updateZero(1, r.blocks[2], 32).ok());
  EXPECT_TRUE(r.graph->updateCopy(2, r.blocks[2], r.blocks[0], 16).ok());
  EXPECT_EQ(r.graph->pending(), 3u);
  // Back to where it was before the driver heard of it.
  EXPECT_TRUE(r.graph->update(0, r.stage, arguments).ok());
  EXPECT_TRUE(r.replay().ok());
  EXPECT_EQ(r.result(1), std::vector<float>(16, 7));
  EXPECT_EQ(r.result(2)[0], 1.0f);
}

/// How many blocks are a cluster is the node's for good.
TEST_P(Cuda, ANodeKeepsItsClusters) {
  Recorded r;
  r.stage.grid[1] = 4, r.stage.cluster = 2;
  r.record();
  EXPECT_TRUE(r.replay().ok());
  void *buffers[] = {r.blocks[0], r.blocks[1]};
  int64_t ints[] = {16, 7};
  device::LaunchArguments arguments{buffers, 2, 2, ints};
  r.stage.grid[1] = 6;
  EXPECT_TRUE(r.graph->update(0, r.stage, arguments).ok());
  EXPECT_TRUE(r.replay().ok());
  EXPECT_EQ(r.result(1), std::vector<float>(16, 7));
  for (int64_t other : {0, 3}) {
    r.stage.cluster = other;
    EXPECT_EQ(r.graph->update(0, r.stage, arguments).message(), "the run is not like the recorded one at node 0");
  }
  EXPECT_EQ(fake().clusters, std::vector<unsigned>{2});
}

/// As where an odd length asks for a kernel with other vectors.
TEST_P(Cuda, ANodeBecomesAnotherKernels) {
  Recorded r;
  r.record();
  void *buffers[] = {r.blocks[0], r.blocks[0], r.blocks[1]};
  int64_t ints[] = {16, 3};
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_TRUE(r.graph->update(0, r.adding, {buffers, 3, 1, ints}).ok());
    EXPECT_EQ(r.graph->pending(), 1u);
    EXPECT_TRUE(r.replay().ok());
    EXPECT_EQ(r.result(1), std::vector<float>(16, 2));
    EXPECT_TRUE(r.graph->update(0, r.stage, {buffers + 1, 2, 2, ints}).ok());
    EXPECT_TRUE(r.replay().ok());
    EXPECT_EQ(r.result(1), std::vector<float>(16, 3));
  }
  EXPECT_EQ(fake().patches, 4u);
  device::CudaFunction twin = *static_cast<const device::CudaFunction *>(r.stage.function);
  device::StageLaunch alike = r.stage;
  alike.function = &twin;
  EXPECT_TRUE(r.graph->update(0, alike, {buffers + 1, 2, 2, ints}).ok());
  EXPECT_EQ(r.graph->pending(), 1u) << "though all numbers are the same";
  EXPECT_TRUE(r.replay().ok());
  // One that waits itself has another edge to what is before it.
  device::CudaFunction waiting = *static_cast<const device::CudaFunction *>(r.adding.function);
  waiting.overlaps = true;
  r.adding.function = &waiting;
  EXPECT_EQ(r.graph->update(0, r.adding, {buffers, 3, 1, ints}).message(),
            "the run is not like the recorded one at node 0");
}

TEST_P(Cuda, AGraphUnderWayGoesOnAsItWas) {
  Recorded r;
  r.record();
  EXPECT_TRUE(r.replay().ok());
  ASSERT_TRUE(r.stream->beginUpdate(*r.graph).ok());
  EXPECT_TRUE(r.scale(0, 1, 5).ok());
  EXPECT_TRUE(r.stream->zero(r.blocks[2], 16).ok());
  EXPECT_TRUE(r.stream->copy(r.blocks[2], r.blocks[1], 16).ok());
  EXPECT_TRUE(r.stream->endUpdate().ok());
  EXPECT_TRUE(r.replay().ok());
  std::vector<float> expected = halves(3, 0);
  std::fill_n(expected.begin(), 4, 5.0f);
  EXPECT_EQ(r.result(2), expected) << "the second half is the first replay's";
}

TEST_P(Cuda, OtherWorkIsNotTheGraphs) {
  Recorded r;
  r.record();
  // Another kind of node, another number of arguments, too few, too many, the host.
  auto begin = [&] { ASSERT_TRUE(r.stream->beginUpdate(*r.graph).ok()); };
  auto message = [](const Status &status) { return status.message(); };
  begin();
  EXPECT_EQ(message(r.stream->zero(r.blocks[2], 64)), "the run is not like the recorded one at node 0");
  EXPECT_FALSE(r.stream->endUpdate().ok());
  void *buffers[] = {r.blocks[0], r.blocks[1]};
  int64_t ints[] = {16, 3};
  EXPECT_FALSE(r.graph->update(0, r.stage, {buffers, 2, 1, ints}).ok());
  EXPECT_FALSE(r.graph->update(1, r.stage, {buffers, 2, 2, ints}).ok());
  EXPECT_FALSE(r.graph->updateCopy(1, r.blocks[1], r.blocks[0], 4).ok());
  EXPECT_FALSE(r.graph->updateZero(3, r.blocks[1], 4).ok());
  begin();
  EXPECT_TRUE(r.scale(0, 1, 3).ok());
  EXPECT_EQ(message(r.stream->endUpdate()), "the run is not like the recorded one at node 1");
  begin();
  EXPECT_FALSE(r.stream->copyIn(r.blocks[1], r.blocks[0], 64).ok());
  EXPECT_FALSE(r.stream->copyOut(r.blocks[0], r.blocks[1], 64).ok());
  EXPECT_FALSE(r.stream->endUpdate().ok());
  // None of that has reached it.
  EXPECT_TRUE(r.replay().ok());
  EXPECT_EQ(r.result(2), halves(3, 0));
  EXPECT_EQ(fake().patches, 0u);
}

/// A run whose graph cannot be patched is recorded again or takes place without one.
TEST_P(Cuda, WhatCannotBePatchedRunsAllTheSame) {
  auto session = *loadModel(chain(2, {Entry::add, Entry::scale}).model, kGpu)->createSession();
  Caller caller;
  float *x[] = {caller.floats(std::vector<float>(20, 1)), caller.floats(std::vector<float>(20, 2))};
  for (int i = 0; i < 6; ++i) {
    fake().failing = i == 3 ? "cuGraphExecKernelNodeSetParams" : "";
    Status status = session->enqueue(
        std::vector{Binding::input("x", onDevice("", x[i % 2], 20)), Binding::ownedOutput("y", Memory::device)});
    ASSERT_TRUE(status.ok()) << status.message();
    ASSERT_TRUE(session->wait().ok());
    float expected = i % 2 ? 16 : 12; // ((x + 1) * 2 + 2) * 2
    EXPECT_EQ(caller.read(session->outputs()[0].data, 20), std::vector<float>(20, expected)) << i;
  }
  EXPECT_EQ(session->stats().graphFailures, 1u);
}

} // namespace
} // namespace kt::test
