//===- FakeStreams.cpp - the queues of the fake GPU -----------------------===//
//
// See FakeStreams.h.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/FakeStreams.h"

#include <algorithm>
#include <cstdlib>
#include <set>

namespace kt::fakecuda {

static thread_local std::vector<std::shared_ptr<Capture>> capturing; // begun by this thread

const char *nameOf(int error) {
  static const std::map<int, const char *> names = {{kInvalidValue, "CUDA_ERROR_INVALID_VALUE"},
                                                    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                    {kInvalidPtx, "CUDA_ERROR_INVALID_PTX"},
                                                    {kNotFound, "CUDA_ERROR_NOT_FOUND"},
                                                    {kCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
                                                    {kCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"},
                                                    {kCaptureUnmatched, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED"},
                                                    {kCaptureUnjoined, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED"},
                                                    {kCaptureIsolation, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION"},
                                                    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT"},
                                                    {kUnknown, "CUDA_ERROR_UNKNOWN"}};
  return names.at(error);
}

void Queues::reset(const FakeCudaState &state) {
  policy = state.policy;
  engine.seed(state.seed);
  for (auto &stream : streams) // markers hold streams, and streams markers
    stream->items.clear();
  streams.clear();
  created = 0;
  for (auto &[address, block] : blocks)
    std::free(reinterpret_cast<void *>(address));
  blocks.clear();
}

uint64_t Queues::pending() const {
  uint64_t count = 0;
  for (auto &stream : streams)
    count += std::count_if(stream->items.begin(), stream->items.end(), [](const Item &i) { return i.work || i.graph; });
  return count;
}

std::shared_ptr<Stream> Queues::create(void *context) {
  auto stream = std::make_shared<Stream>();
  stream->context = context;
  bool odd = created++ % 2;
  stream->eager = policy == FakeCudaPolicy::early || (policy == FakeCudaPolicy::firstEarly && !odd) ||
                  (policy == FakeCudaPolicy::secondEarly && odd);
  streams.push_back(stream);
  return stream;
}

void Queues::destroy(const std::shared_ptr<Stream> &stream) {
  if (stream->items.empty())
    std::erase(streams, stream);
}

bool Queues::copiesPageableAtOnce() {
  return policy == FakeCudaPolicy::early || (policy == FakeCudaPolicy::random && chance());
}

void Queues::enqueue(const std::shared_ptr<Stream> &stream, Item item) {
  stream->items.push_back(std::move(item));
  letRun();
}

int Queues::add(const std::shared_ptr<Stream> &stream, Work work) {
  if (!stream->capture) {
    enqueue(stream, {std::make_shared<Work>(std::move(work)), nullptr, nullptr, nullptr});
    return 0;
  }
  if (!stream->capture->valid)
    return kCaptureInvalidated;
  auto &nodes = stream->capture->graph.nodes;
  nodes.push_back({std::move(work), stream->frontier});
  stream->frontier = {nodes.size() - 1};
  return 0;
}

int Queues::record(const std::shared_ptr<Stream> &stream, Event &event) {
  event = {nullptr, stream->capture, stream->frontier, event.timed, event.blocks};
  if (stream->capture)
    return stream->capture->valid ? 0 : kCaptureInvalidated;
  event.marker = std::make_shared<Marker>(Marker{stream});
  enqueue(stream, {nullptr, nullptr, nullptr, event.marker});
  return 0;
}

int Queues::wait(const std::shared_ptr<Stream> &stream, Event &event) {
  if (!event.capture && !stream->capture) {
    if (event.marker)
      enqueue(stream, {nullptr, nullptr, event.marker, nullptr});
    return 0;
  }
  if (!event.capture || (stream->capture && stream->capture != event.capture)) {
    stream->capture->valid = false;
    return kCaptureIsolation;
  }
  if (!stream->capture)
    stream->frontier.clear();      // of a capture before
  stream->capture = event.capture; // a stream that waits for a captured event joins the capture
  std::set<size_t> both(stream->frontier.begin(), stream->frontier.end());
  both.insert(event.frontier.begin(), event.frontier.end());
  stream->frontier.assign(both.begin(), both.end());
  return 0;
}

int Queues::synchronize(const std::shared_ptr<Stream> &stream) {
  if (stream->capture) {
    stream->capture->valid = false;
    return kCaptureUnsupported;
  }
  force(*stream);
  letRun();
  return 0;
}

int Queues::synchronize(const Event &event) {
  if (event.capture)
    return kCaptureUnsupported;
  if (event.marker)
    force(*event.marker->stream, event.marker.get());
  letRun();
  return 0;
}

int Queues::beginCapture(const std::shared_ptr<Stream> &stream) {
  if (stream->capture)
    return kInvalidValue;
  stream->capture = std::make_shared<Capture>();
  stream->capture->origin = stream.get();
  stream->frontier.clear();
  capturing.push_back(stream->capture);
  return 0;
}

/// Whether what the frontier names comes before the end of the capture's own stream.
bool Queues::joined(const Capture &capture, const std::vector<size_t> &frontier) const {
  std::set<size_t> before(capture.origin->frontier.begin(), capture.origin->frontier.end());
  for (size_t node = capture.graph.nodes.size(); node-- > 0;)
    if (before.count(node))
      before.insert(capture.graph.nodes[node].after.begin(), capture.graph.nodes[node].after.end());
  return std::all_of(frontier.begin(), frontier.end(), [&](size_t node) { return before.count(node) > 0; });
}

int Queues::endCapture(const std::shared_ptr<Stream> &stream, Graph *&graph) {
  graph = nullptr;
  std::shared_ptr<Capture> capture = stream->capture;
  if (!capture || capture->origin != stream.get())
    return kCaptureUnmatched;
  int result = capture->valid ? 0 : kCaptureInvalidated;
  for (auto &other : streams) {
    if (other->capture != capture)
      continue;
    if (result == 0 && !joined(*capture, other->frontier))
      result = kCaptureUnjoined;
    other->capture = nullptr;
  }
  std::erase(capturing, capture);
  if (result == 0)
    graph = new Graph(std::move(capture->graph));
  return result;
}

int Queues::breakCaptures() {
  for (auto &capture : capturing)
    capture->valid = false;
  return capturing.empty() ? 0 : kCaptureUnsupported;
}

void Queues::allocated(void *memory, size_t bytes, bool device, void *context) {
  blocks[reinterpret_cast<uintptr_t>(memory)] = {bytes, device, true, context};
}

size_t Queues::freed(void *memory, bool device) {
  auto found = blocks.find(reinterpret_cast<uintptr_t>(memory));
  if (found == blocks.end() || !found->second.live || found->second.device != device)
    return 0;
  found->second.live = false;
  return found->second.bytes;
}

const Queues::Block *Queues::find(uintptr_t address, size_t &left) const {
  auto next = blocks.upper_bound(address);
  if (next == blocks.begin())
    return nullptr;
  auto &[begin, block] = *std::prev(next);
  if (address >= begin + block.bytes)
    return nullptr;
  left = begin + block.bytes - address;
  return &block;
}

bool Queues::isPinned(const void *memory) const {
  size_t left = 0;
  const Block *block = find(reinterpret_cast<uintptr_t>(memory), left);
  return block && block->live && !block->device;
}

MemoryKind Queues::kindOf(uintptr_t address) const {
  size_t left = 0;
  const Block *block = find(address, left);
  return block && block->live ? MemoryKind{true, block->device, block->context} : MemoryKind();
}

size_t Queues::bytesFrom(uintptr_t address) const {
  size_t left = 0;
  const Block *block = find(address, left);
  return block && block->live ? left : 0;
}

/// Device memory has to be allocated; host memory may be anybody's, but not what was given back.
bool Queues::within(const Touched &range) const {
  size_t left = 0;
  const Block *block = find(range.begin, left);
  return block ? block->live && block->device == range.device && range.bytes <= left : !range.device;
}

void Queues::run(const Work &work) {
  for (const Touched &range : work.touched)
    if (range.bytes && !within(range))
      return violation(std::string(work.call) + " touches " + (range.device ? "device" : "pinned") +
                       " memory that is not allocated when it runs");
  if (work.module && !isLoaded(work.module))
    return violation(std::string(work.call) + " runs a function of a module that is unloaded");
  work.run();
}

/// Any order that the captured edges allow.
void Queues::run(Graph &graph) {
  std::vector<size_t> left(graph.nodes.size());
  for (size_t i = 0; i < left.size(); ++i)
    left[i] = i;
  std::vector<bool> done(left.size());
  while (!left.empty()) {
    std::vector<size_t> free; // places in `left`
    for (size_t i = 0; i < left.size(); ++i) {
      auto &after = graph.nodes[left[i]].after;
      if (std::all_of(after.begin(), after.end(), [&](size_t node) { return done[node]; }))
        free.push_back(i);
    }
    size_t pick = policy == FakeCudaPolicy::early    ? free.front()
                  : policy == FakeCudaPolicy::random ? free[engine() % free.size()]
                                                     : free.back();
    run(graph.nodes[left[pick]].work);
    done[left[pick]] = true;
    left.erase(left.begin() + pick);
  }
}

bool Queues::ready(const Stream &stream) const {
  return !stream.items.empty() && (!stream.items.front().awaits || stream.items.front().awaits->passed);
}

void Queues::step(Stream &stream) {
  Item item = std::move(stream.items.front());
  stream.items.pop_front();
  if (item.work)
    run(*item.work);
  if (item.graph)
    run(*item.graph);
  if (item.passes)
    item.passes->passed = true;
}

void Queues::force(Stream &stream, const Marker *until) {
  while (!stream.items.empty() && !(until && until->passed)) {
    if (auto awaited = stream.items.front().awaits; awaited && !awaited->passed)
      force(*awaited->stream, awaited.get());
    step(stream);
  }
}

void Queues::letRun() {
  if (policy == FakeCudaPolicy::late)
    return;
  for (bool again = true; again;) {
    again = false;
    for (size_t i = 0; i < streams.size(); ++i) {
      Stream &stream = policy == FakeCudaPolicy::random ? *streams[engine() % streams.size()] : *streams[i];
      if (ready(stream) && (stream.eager || (policy == FakeCudaPolicy::random && chance()))) {
        step(stream);
        again = true;
      }
    }
  }
}

} // namespace kt::fakecuda
