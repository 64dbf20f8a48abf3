//===- Storage.h - memory behind buffers ----------------------------------===//
//
// A storage is the memory that one or more buffer names stand for, counted by its holders. Storages and the memory of
// pooled ones are recycled, so that a run like the one before allocates nothing.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_STORAGE_H
#define KT_RUNTIME_EXEC_STORAGE_H

#include "runtime/device/Device.h"

#include <array>
#include <atomic>
#include <mutex>

namespace kt::exec {

/// Counts device memory of a model and all its sessions against a limit. Thread-safe.
class MemoryAccount {
public:
  MemoryAccount(device::Device &device, uint64_t limit) : device(device), limit(limit) {}
  Result<void *> allocate(uint64_t bytes, const char *what);
  void release(void *memory, uint64_t bytes);
  /// Counts memory that the account did not allocate.
  void charge(uint64_t bytes);
  void discharge(uint64_t bytes);
  uint64_t inUse() const { return used; }
  uint64_t peak() const { return highest; }
  uint64_t bound() const { return limit; }

private:
  device::Device &device;
  uint64_t limit; // UINT64_MAX: whatever the device gives
  std::mutex mutex;
  std::atomic<uint64_t> used{0}, highest{0};
};

struct Storage {
  void *data = nullptr; // on the device
  uint64_t bytes = 0;   // of the buffer
  uint32_t holders = 0;
  uint32_t sizeClass = 0;
  enum class Owner : uint8_t { fixed, pool } owner = Owner::fixed;
  bool streamed = false; // a weight in staging memory, which another slice overwrites
  // A copy in host memory, when the device is not the host and a kernel had to run on the host.
  bool deviceValid = true, mirrorValid = false, mirrorOwned = false;
  void *mirror = nullptr;
  uint32_t mirrorClass = 0;
  uint8_t numerics = 0; // what is not finite in it, while that is looked for (CheckNumerics.cpp)
};

/// Memory by size class, kept for the next taker. One session's.
class BlockCache {
public:
  static uint32_t classOf(uint64_t bytes);
  static uint64_t bytesOf(uint32_t sizeClass);
  void *take(uint32_t sizeClass) {
    if (free[sizeClass].empty())
      return nullptr;
    void *memory = free[sizeClass].back();
    free[sizeClass].pop_back();
    return memory;
  }
  void give(uint32_t sizeClass, void *memory) { free[sizeClass].push_back(memory); }
  template <typename F> void clear(F release) {
    for (uint32_t i = 0; i < free.size(); ++i) {
      for (void *memory : free[i])
        release(memory, bytesOf(i));
      free[i].clear();
    }
  }

private:
  // Four classes to a power of two.
  std::array<std::vector<void *>, 256> free;
};

class StoragePool {
public:
  StoragePool(MemoryAccount &account, device::Device &device) : account(account), device(device) {}
  ~StoragePool();
  StoragePool(const StoragePool &) = delete;
  StoragePool &operator=(const StoragePool &) = delete;

  /// A storage of its own memory with one holder.
  Result<Storage *> allocate(uint64_t bytes);
  static void hold(Storage *storage) { ++storage->holders; }
  void drop(Storage *storage);

  /// Gives the storage host memory for a mirror.
  Status addMirror(Storage &storage);
  void dropMirror(Storage &storage);
  /// Work on this stream may still use memory that the pool has: it is waited for before that is handed back.
  void waitFor(device::Stream *stream) { user = stream; }
  /// Hands idle memory back to the device.
  void trim();

private:
  device::Stream *user = nullptr;
  MemoryAccount &account;
  device::Device &device;
  BlockCache blocks, mirrors;
  std::vector<std::unique_ptr<Storage>> owned;
  std::vector<Storage *> idle;
};

} // namespace kt::exec

#endif
