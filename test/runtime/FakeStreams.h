//===- FakeStreams.h - the queues of the fake GPU -------------------------===//
//
// Work that was handed to a stream and has not run yet. What neither the order of a stream, nor an event, nor a
// synchronisation orders runs as early or as late as the policy says: a fence that is missing shows as a wrong number
// or as an access to memory that is gone.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_RUNTIME_FAKESTREAMS_H
#define KT_TEST_RUNTIME_FAKESTREAMS_H

#include "test/runtime/FakeCuda.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>

namespace kt::fakecuda {

/// Memory that work touches when it runs.
struct Touched {
  uintptr_t begin;
  size_t bytes;
  bool device;
};
struct Work {
  const char *call;
  std::function<void()> run;
  std::vector<Touched> touched;
  void *module = nullptr; // that has to be loaded then
  unsigned cluster = 0;   // blocks of one, of a launch that has clusters
};

/// Work with the order that was captured, by index; a node comes after those it names.
struct Graph {
  struct Node {
    Work work;
    std::vector<size_t> after;
  };
  std::vector<Node> nodes;

  /// How callers name a node.
  void *handle(size_t number) const { return reinterpret_cast<void *>(number + 1); }
  size_t number(void *handle) const { return reinterpret_cast<size_t>(handle) - 1; }
};

struct Stream;
/// A capture in progress, which more than one stream may have joined.
struct Capture {
  Graph graph;
  Stream *origin;
  bool valid = true;
};
/// A place in a stream, passed once the work before it is done.
struct Marker {
  std::shared_ptr<Stream> stream;
  bool passed = false;
};
struct Event {
  std::shared_ptr<Marker> marker; // null: never recorded, which nobody waits for
  std::shared_ptr<Capture> capture;
  std::vector<size_t> frontier; // nodes that the event stands for in a capture
  bool timed = false;
  uint64_t blocks = 0; // that had been launched when it was recorded
};
struct Item {
  std::shared_ptr<Work> work; // one of the three
  std::shared_ptr<Graph> graph;
  std::shared_ptr<Marker> awaits, passes;
};
struct Stream {
  void *context = nullptr;
  bool eager = false; // whether the policy runs its work as soon as it may
  std::deque<Item> items;
  std::shared_ptr<Capture> capture;
  std::vector<size_t> frontier; // what the next captured node comes after
};

/// What the driver says of an address.
struct MemoryKind {
  bool known = false, device = false;
  void *context = nullptr;
};

/// The queues of the device, and what memory is alive. Guarded by the driver's lock.
class Queues {
public:
  void reset(const FakeCudaState &state);
  /// Work that has not run.
  uint64_t pending() const;

  std::shared_ptr<Stream> create(void *context);
  /// Work that is left runs all the same, some time.
  void destroy(const std::shared_ptr<Stream> &stream);
  void enqueue(const std::shared_ptr<Stream> &stream, Item item);
  /// Captures the work, or enqueues it.
  int add(const std::shared_ptr<Stream> &stream, Work work);
  int record(const std::shared_ptr<Stream> &stream, Event &event);
  int wait(const std::shared_ptr<Stream> &stream, Event &event);
  int synchronize(const std::shared_ptr<Stream> &stream);
  int synchronize(const Event &event);
  int beginCapture(const std::shared_ptr<Stream> &stream);
  int endCapture(const std::shared_ptr<Stream> &stream, Graph *&graph);
  /// A call that must not be made while a stream of this thread captures breaks that capture.
  int breakCaptures();
  /// Whether a copy between pageable memory and the device takes place while it is called: it "might" (CUDA Driver
  /// API, synchronization behavior), so nobody may rely on either.
  bool copiesPageableAtOnce();

  void allocated(void *memory, size_t bytes, bool device, void *context);
  /// Its bytes, or 0 where it is not one of ours. The block stays reserved until the reset, so that late work cannot
  /// hit what has taken its place.
  size_t freed(void *memory, bool device);
  bool isPinned(const void *memory) const;
  MemoryKind kindOf(uintptr_t address) const;
  /// From an address that is in memory that lives to the end of that, else 0.
  size_t bytesFrom(uintptr_t address) const;

private:
  struct Block {
    size_t bytes;
    bool device, live;
    void *context;
  };
  /// The block that has this address, and how many bytes it has from there on.
  const Block *find(uintptr_t address, size_t &left) const;
  void run(const Work &work);
  void run(Graph &graph);
  bool ready(const Stream &stream) const;
  void step(Stream &stream);
  /// Runs what has to have run for the stream to be empty, or for the marker to be passed.
  void force(Stream &stream, const Marker *until = nullptr);
  void letRun();
  bool within(const Touched &range) const;
  bool joined(const Capture &capture, const std::vector<size_t> &frontier) const;
  bool chance() { return std::uniform_int_distribution<>(0, 1)(engine) != 0; }

  FakeCudaPolicy policy = FakeCudaPolicy::early;
  std::mt19937 engine;
  std::vector<std::shared_ptr<Stream>> streams;
  uint64_t created = 0;
  std::map<uintptr_t, Block> blocks;
};

/// Reports what a correct user of the driver never does.
void violation(const std::string &text);
bool isLoaded(void *module);

const char *nameOf(int error);

constexpr int kOutOfMemory = 2, kInvalidPtx = 218, kNotFound = 500, kUnknown = 999, kInvalidValue = 1,
              kCaptureUnsupported = 900, kCaptureInvalidated = 901, kCaptureUnmatched = 903, kCaptureUnjoined = 904,
              kCaptureIsolation = 905, kInvalidContext = 201;

} // namespace kt::fakecuda

#endif
