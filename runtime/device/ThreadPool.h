//===- ThreadPool.h - one parallel loop after another ---------------------===//
//
// Fork-join over ranges on Eigen's work-stealing pool. The caller takes part, so a pool of one thread starts none, and
// several sessions may share a pool.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_DEVICE_THREADPOOL_H
#define KT_RUNTIME_DEVICE_THREADPOOL_H

#include <cstdint>
#include <memory>

namespace kt::device {

class ThreadPool {
public:
  static constexpr unsigned kMaxThreads = 1024;
  /// 0: as many as the machine (or the affinity mask) has. There may be fewer than asked for: where the system starts
  /// no more, and never more than kMaxThreads.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  unsigned size() const { return threads; }

  /// Calls `range(context, begin, end)` from up to size() threads until [0, tasks) is covered; returns when all is
  /// done. Thread-safe.
  using Range = void (*)(const void *context, int64_t begin, int64_t end);
  void run(int64_t tasks, Range range, const void *context);

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
  unsigned threads;
};

} // namespace kt::device

#endif
