//===- FakeCudaTest.cpp - the fake driver is as bad as a driver may be ----===//
//
// Tests over the fake are worth what it finds: that what nothing orders comes out wrong, and what is ordered right.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/CudaDriver.h"
#include "test/runtime/CudaFixture.h"

#include <algorithm>

namespace kt::test {
namespace {

namespace cuda = device::cuda;

/// Two streams, an event, a pinned and a device buffer.
class FakeDriver : public Cuda {
protected:
  void SetUp() override {
    Cuda::SetUp();
    driver = *cuda::driver();
    driver->PrimaryCtxRetain(&context, 0);
    driver->CtxSetCurrent(context);
    for (cuda::Stream &stream : streams)
      driver->StreamCreate(&stream, 1);
    driver->EventCreate(&event, 2);
    void *memory = nullptr;
    driver->MemHostAlloc(&memory, 4, 1);
    host = static_cast<unsigned char *>(memory);
    driver->MemAlloc(&buffer, 4);
  }
  void TearDown() override {
    for (cuda::Stream stream : streams) {
      driver->StreamSynchronize(stream);
      driver->StreamDestroy(stream);
    }
    driver->EventDestroy(event);
    if (host)
      driver->MemFreeHost(host);
    driver->MemFree(buffer);
    driver->PrimaryCtxRelease(0);
    driver->CtxSetCurrent(nullptr);
    Cuda::TearDown();
  }
  /// What lies in device memory once all is done.
  int value() {
    for (cuda::Stream stream : streams)
      driver->StreamSynchronize(stream);
    return *reinterpret_cast<unsigned char *>(buffer);
  }
  bool is(std::initializer_list<FakeCudaPolicy> policies) {
    return std::find(policies.begin(), policies.end(), GetParam().policy) != policies.end();
  }
  using enum FakeCudaPolicy;

  const cuda::Driver *driver = nullptr;
  cuda::Context context = nullptr;
  cuda::Stream streams[2] = {};
  cuda::Event event = nullptr;
  unsigned char *host = nullptr;
  cuda::DevicePointer buffer = 0;
};
INSTANTIATE_TEST_SUITE_P(Driver, FakeDriver, ::testing::ValuesIn(kOrders),
                         [](const auto &info) { return std::string(info.param.name); });

TEST_P(FakeDriver, PinnedMemoryIsReadWhenTheCopyRuns) {
  host[0] = 1;
  driver->MemcpyHtoDAsync(buffer, host, 1, streams[0]);
  host[0] = 2; // too early
  if (is({early, firstEarly}))
    EXPECT_EQ(value(), 1);
  if (is({late, secondEarly}))
    EXPECT_EQ(value(), 2);
}

TEST_P(FakeDriver, StreamsAreOrderedByEventsOnly) {
  driver->MemsetD8Async(buffer, 1, 4, streams[0]);
  driver->MemsetD8Async(buffer, 2, 4, streams[1]);
  driver->StreamSynchronize(streams[1]);
  int seen = *reinterpret_cast<unsigned char *>(buffer), last = value();
  if (is({early, firstEarly}))
    EXPECT_EQ(last, 2);
  if (is({late, secondEarly})) {
    EXPECT_EQ(seen, 2);
    EXPECT_EQ(last, 1) << "nothing made the first one come first";
  }
  driver->MemsetD8Async(buffer, 3, 4, streams[0]);
  driver->EventRecord(event, streams[0]);
  driver->StreamWaitEvent(streams[1], event, 0);
  driver->MemsetD8Async(buffer, 4, 4, streams[1]);
  driver->StreamSynchronize(streams[1]);
  EXPECT_EQ(value(), 4);
}

TEST_P(FakeDriver, AWaitIsForWhatWasRecordedBefore) {
  driver->StreamWaitEvent(streams[1], event, 0); // never recorded
  driver->MemsetD8Async(buffer, 1, 4, streams[0]);
  driver->EventRecord(event, streams[0]);
  driver->MemsetD8Async(buffer, 2, 4, streams[1]);
  if (is({late, secondEarly})) {
    driver->StreamSynchronize(streams[1]);
    EXPECT_EQ(value(), 1);
  }
}

TEST_P(FakeDriver, MemoryThatGoesTooEarlyIsTold) {
  driver->MemcpyHtoDAsync(buffer, host, 1, streams[0]);
  driver->MemFreeHost(host);
  host = nullptr;
  driver->StreamSynchronize(streams[0]);
  if (is({late, secondEarly}))
    EXPECT_EQ(fake().violations,
              (std::vector<std::string>{"cuMemcpyHtoDAsync touches pinned memory that is not allocated when it runs"}));
  fake().violations.clear();
}

TEST_P(FakeDriver, AGraphKeepsTheOrderThatWasCaptured) {
  for (bool joined : {true, false}) {
    driver->StreamBeginCapture(streams[0], 1);
    driver->EventRecord(event, streams[0]);
    driver->StreamWaitEvent(streams[1], event, 0); // joins the capture
    driver->MemsetD8Async(buffer, 1, 4, streams[0]);
    if (joined) {
      driver->EventRecord(event, streams[0]);
      driver->StreamWaitEvent(streams[1], event, 0);
    }
    driver->MemsetD8Async(buffer, 2, 4, streams[1]);
    driver->EventRecord(event, streams[1]);
    driver->StreamWaitEvent(streams[0], event, 0);
    cuda::Graph graph = nullptr;
    ASSERT_EQ(driver->StreamEndCapture(streams[0], &graph), 0);
    cuda::GraphExec exec = nullptr;
    ASSERT_EQ(driver->GraphInstantiate(&exec, graph, 0), 0);
    driver->GraphLaunch(exec, streams[0]);
    int last = value();
    if (joined || is({early}))
      EXPECT_EQ(last, 2);
    else if (!is({random}))
      EXPECT_EQ(last, 1);
    driver->GraphDestroy(graph);
    driver->GraphExecDestroy(exec);
  }
}

TEST_P(FakeDriver, CapturesThatBreakAreRefused) {
  cuda::Graph graph = nullptr;
  driver->StreamBeginCapture(streams[0], 1);
  EXPECT_EQ(driver->StreamSynchronize(streams[0]), 900);
  EXPECT_EQ(driver->StreamEndCapture(streams[0], &graph), 901);
  // A stream that joined and was not joined again.
  driver->StreamBeginCapture(streams[0], 1);
  driver->EventRecord(event, streams[0]);
  driver->StreamWaitEvent(streams[1], event, 0);
  driver->MemsetD8Async(buffer, 2, 4, streams[1]);
  EXPECT_EQ(driver->StreamEndCapture(streams[0], &graph), 904);
  // Waiting for what is not captured.
  driver->EventRecord(event, streams[1]);
  driver->StreamBeginCapture(streams[0], 1);
  EXPECT_EQ(driver->StreamWaitEvent(streams[0], event, 0), 905);
  EXPECT_EQ(driver->StreamEndCapture(streams[0], &graph), 901);
  EXPECT_EQ(graph, nullptr);
}

} // namespace
} // namespace kt::test
