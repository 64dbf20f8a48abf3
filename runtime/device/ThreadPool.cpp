//===- ThreadPool.cpp - one parallel loop after another -------------------===//
//
// Chunks are claimed from an atomic counter. A helper that the system starts late finds no chunk left and goes away:
// the caller waits for chunks to finish, never for threads to start.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/ThreadPool.h"
#include "runtime/os/Thread.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <immintrin.h>
#include <mutex>
#include <sched.h>
#include <unistd.h>
#include <vector>

#include <unsupported/Eigen/CXX11/ThreadPool>

namespace kt::device {
namespace {

unsigned availableThreads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return static_cast<unsigned>(std::max(1l, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

/// One parallel loop. Helpers hold references: they may look at it after the loop is done.
struct Job {
  ThreadPool::Range range = nullptr;
  const void *context = nullptr;
  int64_t tasks = 0, chunk = 1, chunks = 0;
  std::atomic<int64_t> next{0}, done{0};
  std::atomic<int> references{0};

  void work() {
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
      range(context, i * chunk, std::min(tasks, (i + 1) * chunk));
      done.fetch_add(1, std::memory_order_release);
    }
  }
};

/// Threads for Eigen's pool. All are started before the pool is made, which has to know how many there are: it cannot
/// do with fewer later on.
class Threads {
public:
  struct Task {
    std::function<void()> f;
  };
  /// What the pool owns and joins by destruction.
  class EnvThread {
  public:
    explicit EnvThread(std::unique_ptr<os::Thread> thread) : thread(std::move(thread)) {}
    void OnCancel() {}

  private:
    std::unique_ptr<os::Thread> thread;
  };

  /// Starts up to `wanted` threads that wait for what they are to do.
  explicit Threads(unsigned wanted) : waiting(std::make_shared<std::vector<Waiting>>()) {
    while (waiting->size() < wanted) {
      auto order = std::make_shared<Order>();
      auto thread = os::Thread::start([order] { order->wait()(); });
      if (!thread) {
        // Their stacks may be what has used up the memory, and the work needs some, too.
        for (size_t enough = waiting->size() / 2; waiting->size() > enough;)
          dismiss();
        break;
      }
      waiting->push_back({std::move(order), std::move(thread)});
    }
  }
  unsigned size() const { return static_cast<unsigned>(waiting->size()); }

  EnvThread *CreateThread(std::function<void()> f) {
    Waiting next = std::move(waiting->back());
    waiting->pop_back();
    next.order->give(std::move(f));
    return new EnvThread(std::move(next.thread));
  }
  Task CreateTask(std::function<void()> f) { return Task{std::move(f)}; }
  void ExecuteTask(const Task &task) { task.f(); }

private:
  /// What a thread is to do, once it is known.
  class Order {
  public:
    void give(std::function<void()> f) {
      std::lock_guard lock(mutex);
      work = std::move(f);
      given.notify_one();
    }
    std::function<void()> wait() {
      std::unique_lock lock(mutex);
      given.wait(lock, [&] { return work != nullptr; });
      return std::move(work);
    }

  private:
    std::mutex mutex;
    std::condition_variable given;
    std::function<void()> work;
  };
  void dismiss() {
    waiting->back().order->give([] {});
    waiting->pop_back();
  }
  struct Waiting {
    std::shared_ptr<Order> order;
    std::unique_ptr<os::Thread> thread;
  };
  std::shared_ptr<std::vector<Waiting>> waiting; // the pool copies its environment
};

} // namespace

struct ThreadPool::Impl {
  // Jobs outlive the pool's threads, which still touch them while they stop.
  std::vector<std::unique_ptr<Job>> owned;
  std::vector<Job *> idle;
  std::mutex mutex;
  Eigen::ThreadPoolTempl<Threads> pool;

  explicit Impl(const Threads &helpers) : pool(static_cast<int>(helpers.size()), helpers) {}

  Job *take() {
    std::lock_guard lock(mutex);
    if (idle.empty()) {
      owned.push_back(std::make_unique<Job>());
      idle.reserve(owned.size());
      return owned.back().get();
    }
    Job *job = idle.back();
    idle.pop_back();
    return job;
  }

  void drop(Job *job) {
    if (job->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      std::lock_guard lock(mutex);
      idle.push_back(job);
    }
  }
};

ThreadPool::ThreadPool(unsigned wanted) : threads(wanted ? wanted : availableThreads()) {
  threads = std::min(threads, kMaxThreads);
  if (threads == 1)
    return;
  // Where the system gives no more threads, those that there are do the work.
  Threads helpers(threads - 1);
  threads = helpers.size() + 1;
  if (threads > 1)
    impl = std::make_unique<Impl>(helpers);
}

ThreadPool::~ThreadPool() = default;

void ThreadPool::run(int64_t tasks, Range range, const void *context) {
  if (tasks <= 0)
    return;
  if (tasks == 1 || !impl) {
    range(context, 0, tasks);
    return;
  }
  // A few chunks a thread even out what tasks of unequal cost leave.
  constexpr int64_t kChunksPerThread = 4;
  Job *job = impl->take();
  job->range = range;
  job->context = context;
  job->tasks = tasks;
  job->chunk = std::max<int64_t>(1, tasks / (static_cast<int64_t>(threads) * kChunksPerThread));
  job->chunks = (tasks + job->chunk - 1) / job->chunk;
  job->next.store(0, std::memory_order_relaxed);
  job->done.store(0, std::memory_order_relaxed);
  int helpers = static_cast<int>(std::min<int64_t>(threads - 1, job->chunks - 1));
  job->references.store(helpers + 1, std::memory_order_release);
  for (int i = 0; i < helpers; ++i)
    impl->pool.Schedule([this, job] {
      job->work();
      impl->drop(job);
    });
  job->work();
  for (unsigned spins = 0; job->done.load(std::memory_order_acquire) < job->chunks; ++spins) {
    if (spins < 2000)
      _mm_pause();
    else
      sched_yield();
  }
  impl->drop(job);
}

} // namespace kt::device
