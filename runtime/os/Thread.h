//===- Thread.h - a thread that may not start -----------------------------===//
//
// std::thread throws where a limit on threads or memory is reached; helpers that cannot start are done without.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_OS_THREAD_H
#define KT_RUNTIME_OS_THREAD_H

#include <functional>
#include <memory>
#include <pthread.h>

namespace kt::os {

/// Joined on destruction.
class Thread {
public:
  /// Null when the system has no thread to give.
  static std::unique_ptr<Thread> start(std::function<void()> work);
  ~Thread();
  Thread(const Thread &) = delete;
  Thread &operator=(const Thread &) = delete;

private:
  Thread() = default;
  pthread_t handle = {};
  bool started = false;
  std::function<void()> work;
};

} // namespace kt::os

#endif
