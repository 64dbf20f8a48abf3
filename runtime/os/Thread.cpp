//===- Thread.cpp - a thread that may not start ---------------------------===//

#include "runtime/os/Thread.h"

namespace kt::os {

std::unique_ptr<Thread> Thread::start(std::function<void()> work) {
  std::unique_ptr<Thread> thread(new Thread);
  thread->work = std::move(work);
  auto run = [](void *self) -> void * {
    static_cast<Thread *>(self)->work();
    return nullptr;
  };
  thread->started = ::pthread_create(&thread->handle, nullptr, run, thread.get()) == 0;
  return thread->started ? std::move(thread) : nullptr;
}

Thread::~Thread() {
  if (started)
    ::pthread_join(handle, nullptr);
}

} // namespace kt::os
