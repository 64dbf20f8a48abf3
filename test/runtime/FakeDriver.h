//===- FakeDriver.h - what the functions of the fake driver share ---------===//

#ifndef KT_TEST_RUNTIME_FAKEDRIVER_H
#define KT_TEST_RUNTIME_FAKEDRIVER_H

#include "test/runtime/FakeStreams.h"

#include <mutex>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace kt::fakecuda {

// Guarded by the lock.
extern FakeCudaState state;
extern Queues queues;
extern FakeCudaKernels kernels;
extern std::recursive_mutex mutex;
extern thread_local void *current; // the thread's context

/// Notes the call; what it fails with if it is to.
int answer(const char *call);

using StreamHandle = std::shared_ptr<Stream>;
/// CU_STREAM_LEGACY is a stream of the current context like others: nothing waits for it that does not say so.
StreamHandle &streamOf(void *handle);
int enqueue(void *stream, Work work);

inline Touched onDevice(unsigned long long address, size_t bytes) { return {address, bytes, true}; }
inline Touched onHost(const void *memory, size_t bytes) { return {reinterpret_cast<uintptr_t>(memory), bytes, false}; }
template <typename T> T *pointer(unsigned long long address) { return reinterpret_cast<T *>(address); }

Work copyWork(unsigned long long dst, unsigned long long src, size_t bytes);
Work fillWork(unsigned long long dst, unsigned char value, size_t bytes);

} // namespace kt::fakecuda

#define CALL(name)                                                                                                     \
  if (int failed = answer(name))                                                                                       \
    return failed;                                                                                                     \
  std::lock_guard lock(mutex)

/// Calls that a thread must not make while one of its streams captures.
#define UNCAPTURED_CALL(name)                                                                                          \
  CALL(name);                                                                                                          \
  if (int failed = queues.breakCaptures())                                                                             \
  return failed

#endif
