//===- ThreadPool.cpp - one parallel loop after another -------------------===//
//
// Chunks are claimed from an atomic counter. A helper that the system starts late finds no chunk left and goes away:
// the caller waits for chunks to finish, never for threads to start.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/ThreadPool.h"

#include <algorithm>
#include <atomic>
#include <immintrin.h>
#include <mutex>
#include <sched.h>
#include <thread>
#include <vector>

#include <unsupported/Eigen/CXX11/ThreadPool>

namespace kt::device {
namespace {

unsigned availableThreads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
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

} // namespace

struct ThreadPool::Impl {
  // Jobs outlive the pool's threads, which still touch them while they stop.
  std::vector<std::unique_ptr<Job>> owned;
  std::vector<Job *> idle;
  std::mutex mutex;
  Eigen::ThreadPool pool;

  explicit Impl(unsigned helpers) : pool(static_cast<int>(helpers)) {}

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
  if (threads > 1)
    impl = std::make_unique<Impl>(threads - 1);
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
