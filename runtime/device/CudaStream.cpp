//===- CudaStream.cpp - a session's work on an NVIDIA GPU -----------------===//
//
// See CudaStream.h; CudaGraph.h has what is recorded.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/CudaStream.h"
#include "runtime/device/CudaGraph.h"

namespace kt::device {
namespace {

using cuda::Driver;

cuda::DevicePointer address(const void *memory) { return reinterpret_cast<cuda::DevicePointer>(memory); }

class CudaEvent final : public Event {
public:
  CudaEvent(const Driver &driver, cuda::Context context) : driver(driver), context(context) {}
  ~CudaEvent() override {
    driver.CtxSetCurrent(context);
    if (handle)
      driver.EventDestroy(handle);
  }
  Status wait() override {
    KT_CUDA(driver, CtxSetCurrent, context);
    KT_CUDA(driver, EventSynchronize, handle);
    return {};
  }
  Status delay(void *stream) override {
    KT_CUDA(driver, CtxSetCurrent, context);
    KT_CUDA(driver, StreamWaitEvent, static_cast<cuda::Stream>(stream), handle, 0);
    return {};
  }
  const Driver &driver;
  cuda::Context context;
  cuda::Event handle = nullptr;
};

class CudaStream final : public Stream {
public:
  CudaStream(const Driver &driver, cuda::Context context) : driver(driver), context(context) {}
  ~CudaStream() override {
    driver.CtxSetCurrent(context);
    for (cuda::Stream s : {compute, copies, beside})
      if (s)
        driver.StreamDestroy(s);
    for (cuda::Event e : {computed, copied, border, besideDone})
      if (e)
        driver.EventDestroy(e);
    for (cuda::Event e : marks)
      if (e)
        driver.EventDestroy(e);
  }

  Status create() {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, StreamCreate, &compute, cuda::kStreamNonBlocking);
    KT_CUDA(driver, StreamCreate, &copies, cuda::kStreamNonBlocking);
    KT_CUDA(driver, EventCreate, &computed, cuda::kEventDisableTiming);
    KT_CUDA(driver, EventCreate, &copied, cuda::kEventDisableTiming);
    KT_CUDA(driver, EventCreate, &border, cuda::kEventDisableTiming);
    return {};
  }

  void beginRun() override { beginsRun = true; }
  Status launch(const StageLaunch &stage, const LaunchArguments &arguments) override {
    bool isFirst = std::exchange(beginsRun, false);
    if (updating)
      return updating->update(nextNode++, stage, arguments);
    KT_RETURN_IF_ERROR(enter());
    // The driver copies the values out while it is called.
    call.set(stage, arguments);
    cuda::LaunchAttribute attributes[2];
    unsigned count = 0;
    if (call.function->overlaps && !isFirst)
      attributes[count++] = {cuda::kProgrammaticStreamSerialization, {1}};
    if (call.cluster)
      attributes[count++] = {cuda::kClusterDimension, {1, static_cast<int>(call.cluster), 1}};
    if (!count) {
      KT_CUDA(driver, LaunchKernel, call.function->handle, call.grid[0], call.grid[1], call.grid[2], call.block[0],
              call.block[1], call.block[2], call.shared, compute, call.parameters(), nullptr);
      return recorded(call);
    }
    cuda::LaunchConfig config{{call.grid[0], call.grid[1], call.grid[2]},
                              {call.block[0], call.block[1], call.block[2]},
                              call.shared,
                              compute,
                              attributes,
                              count};
    KT_CUDA(driver, LaunchKernelEx, &config, call.function->handle, call.parameters(), nullptr);
    return recorded(call);
  }

  Status copyIn(void *dst, const void *src, uint64_t bytes) override {
    if (bytes == 0)
      return {};
    if (updating)
      return CudaGraph::unlike(nextNode);
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, MemcpyHtoDAsync, address(dst), src, bytes, compute);
    return recorded(OtherCall{});
  }
  Status copyOut(void *dst, const void *src, uint64_t bytes) override {
    if (bytes == 0)
      return {};
    if (updating)
      return CudaGraph::unlike(nextNode);
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, MemcpyDtoHAsync, dst, address(src), bytes, compute);
    return recorded(OtherCall{});
  }
  /// A copy between two kernels of one stream takes 14 us of an H200, most of it to change from one engine to another.
  Status copyOutBeside(void *dst, const void *src, uint64_t bytes) override {
    if (bytes == 0)
      return {};
    KT_RETURN_IF_ERROR(enter());
    if (!beside) {
      KT_CUDA(driver, StreamCreate, &beside, cuda::kStreamNonBlocking);
      KT_CUDA(driver, EventCreate, &besideDone, cuda::kEventDisableTiming);
    } else {
      KT_CUDA(driver, StreamWaitEvent, compute, besideDone, 0);
    }
    KT_RETURN_IF_ERROR(reachBeside());
    KT_CUDA(driver, MemcpyDtoHAsync, dst, address(src), bytes, beside);
    KT_CUDA(driver, EventRecord, besideDone, beside);
    return {};
  }
  Status copy(void *dst, const void *src, uint64_t bytes) override {
    if (bytes == 0 || dst == src)
      return {};
    KT_RETURN_IF_ERROR(enter());
    if (updating)
      return updating->updateCopy(nextNode++, dst, src, bytes);
    KT_CUDA(driver, MemcpyDtoDAsync, address(dst), address(src), bytes, compute);
    return recorded(CopyCall{dst, src, bytes});
  }
  Status zero(void *dst, uint64_t bytes) override {
    if (bytes == 0)
      return {};
    KT_RETURN_IF_ERROR(enter());
    if (updating)
      return updating->updateZero(nextNode++, dst, bytes);
    KT_CUDA(driver, MemsetD8Async, address(dst), 0, bytes, compute);
    return recorded(ZeroCall{dst, bytes});
  }
  Status synchronize() override {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, StreamSynchronize, compute);
    if (beside)
      KT_CUDA(driver, StreamSynchronize, beside);
    return {};
  }
  Status mark(size_t number) override {
    KT_RETURN_IF_ERROR(enter());
    if (marks.size() <= number)
      marks.resize(number + 1);
    if (!marks[number])
      KT_CUDA(driver, EventCreate, &marks[number], cuda::kEventDefault);
    KT_CUDA(driver, EventRecord, marks[number], compute);
    return {};
  }
  kt::Result<int64_t> between(size_t from, size_t to) override {
    KT_RETURN_IF_ERROR(enter());
    float milliseconds = 0;
    KT_CUDA(driver, EventElapsedTime, &milliseconds, marks[from], marks[to]);
    return static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
  }

  Status prefetch(void *dst, const void *src, uint64_t bytes) override {
    if (bytes == 0)
      return {};
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, MemcpyHtoDAsync, address(dst), src, bytes, copies);
    return {};
  }
  Status fence() override {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, EventRecord, computed, compute);
    KT_CUDA(driver, StreamWaitEvent, copies, computed, 0);
    return {};
  }
  Status join() override {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, EventRecord, copied, copies);
    KT_CUDA(driver, StreamWaitEvent, compute, copied, 0);
    return {};
  }

  kt::Result<std::unique_ptr<Event>> record(std::unique_ptr<Event> again) override {
    KT_RETURN_IF_ERROR(enter());
    std::unique_ptr<CudaEvent> event(static_cast<CudaEvent *>(again.release()));
    if (!event) {
      event = std::make_unique<CudaEvent>(driver, context);
      KT_CUDA(driver, EventCreate, &event->handle, cuda::kEventDisableTiming);
    }
    KT_RETURN_IF_ERROR(reachBeside());
    KT_CUDA(driver, EventRecord, event->handle, last());
    return std::unique_ptr<Event>(std::move(event));
  }
  Status follow(void *other) override {
    KT_RETURN_IF_ERROR(enter());
    KT_CUDA(driver, EventRecord, border, static_cast<cuda::Stream>(other));
    KT_CUDA(driver, StreamWaitEvent, compute, border, 0);
    return {};
  }
  Status lead(void *other) override {
    KT_RETURN_IF_ERROR(enter());
    KT_RETURN_IF_ERROR(reachBeside());
    KT_CUDA(driver, EventRecord, border, last());
    KT_CUDA(driver, StreamWaitEvent, static_cast<cuda::Stream>(other), border, 0);
    return {};
  }

  bool canRecord() const override { return true; }
  Status beginRecord() override {
    KT_RETURN_IF_ERROR(enter());
    recording = std::make_unique<CudaGraph>(driver, context);
    // Other threads' allocations must not break this thread's capture.
    cuda::Result result = driver.StreamBeginCapture(compute, cuda::kCaptureThreadLocal);
    if (result)
      recording.reset();
    return cuda::wrap(driver, result, "cuStreamBeginCapture");
  }
  kt::Result<std::unique_ptr<Graph>> endRecord() override {
    KT_RETURN_IF_ERROR(enter());
    std::unique_ptr<CudaGraph> made = std::move(recording);
    cuda::Graph graph = nullptr;
    KT_CUDA(driver, StreamEndCapture, compute, &graph);
    KT_RETURN_IF_ERROR(made->instantiate(graph));
    return std::unique_ptr<Graph>(std::move(made));
  }
  Status beginUpdate(Graph &graph) override {
    updating = static_cast<CudaGraph *>(&graph);
    nextNode = 0;
    return {};
  }
  Status endUpdate() override {
    bool all = nextNode == updating->nodes();
    updating = nullptr;
    return all ? Status() : CudaGraph::unlike(nextNode);
  }
  Status replay(Graph &graph) override {
    KT_RETURN_IF_ERROR(enter());
    KT_RETURN_IF_ERROR(static_cast<CudaGraph &>(graph).send());
    KT_CUDA(driver, GraphLaunch, static_cast<CudaGraph &>(graph).exec, compute);
    return {};
  }

private:
  /// The context is a property of the thread, and sessions may move between threads.
  Status enter() {
    KT_CUDA(driver, CtxSetCurrent, context);
    return {};
  }

  /// Adds what was just captured to the graph that is being recorded. In a capture of one stream the latest node is the
  /// only one that the next has to wait for.
  template <typename Call> Status recorded(const Call &what) {
    if (!recording)
      return {};
    int status = 0;
    const cuda::GraphNode *latest = nullptr;
    size_t count = 0;
    KT_CUDA(driver, StreamGetCaptureInfo, compute, &status, nullptr, nullptr, &latest, &count);
    if (count != 1)
      return Status::failed("a captured call made " + std::to_string(count) + " nodes, expected 1");
    recording->add(*latest, what);
    return {};
  }

  /// Has copies beside the stream come after what it has been given.
  Status reachBeside() {
    if (!beside)
      return {};
    KT_CUDA(driver, EventRecord, computed, compute);
    KT_CUDA(driver, StreamWaitEvent, beside, computed, 0);
    return {};
  }
  /// Where all is done that was given, once `reachBeside` was called.
  cuda::Stream last() const { return beside ? beside : compute; }

  const Driver &driver;
  cuda::Context context;
  cuda::Stream compute = nullptr, copies = nullptr, beside = nullptr;
  cuda::Event computed = nullptr, copied = nullptr, border = nullptr, besideDone = nullptr;
  std::vector<cuda::Event> marks;
  KernelCall call;
  std::unique_ptr<CudaGraph> recording;
  CudaGraph *updating = nullptr;
  size_t nextNode = 0;
  bool beginsRun = false;
};

} // namespace

kt::Result<std::unique_ptr<Stream>> createCudaStream(const Driver &driver, cuda::Context context) {
  auto stream = std::make_unique<CudaStream>(driver, context);
  KT_RETURN_IF_ERROR(stream->create());
  return std::unique_ptr<Stream>(std::move(stream));
}

} // namespace kt::device
