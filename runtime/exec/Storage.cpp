//===- Storage.cpp - memory behind buffers --------------------------------===//
//
// Size classes, the pool and the account.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Storage.h"

#include <algorithm>
#include <bit>

namespace kt::exec {

Result<void *> MemoryAccount::allocate(uint64_t bytes, const char *what) {
  std::lock_guard lock(mutex);
  uint64_t left = limit - std::min(limit, used.load());
  if (bytes > left)
    return Status::failed(std::string("not enough device memory for ") + what + ": " + std::to_string(bytes) +
                          " bytes are needed but " + std::to_string(left) + " of " + std::to_string(limit) +
                          " are left");
  auto memory = device.allocate(bytes);
  if (!memory.ok())
    return std::move(memory).status().in(what);
  used += bytes;
  highest = std::max(highest.load(), used.load());
  return memory;
}

void MemoryAccount::release(void *memory, uint64_t bytes) {
  if (!memory)
    return;
  std::lock_guard lock(mutex);
  device.release(memory);
  used -= bytes;
}

void MemoryAccount::charge(uint64_t bytes) {
  std::lock_guard lock(mutex);
  used += bytes;
  highest = std::max(highest.load(), used.load());
}

void MemoryAccount::discharge(uint64_t bytes) {
  std::lock_guard lock(mutex);
  used -= bytes;
}

uint32_t BlockCache::classOf(uint64_t bytes) {
  if (bytes <= device::kAlignment)
    return 0;
  // The smallest (4 + q) << e with q in 0..3 that holds `bytes`, counted from 256 = 4 << 6.
  uint64_t units = bytes - 1;
  unsigned exponent = 63 - std::countl_zero(units) - 2;
  uint64_t quarter = (units >> exponent) + 1;
  return (exponent - 6) * 4 + static_cast<uint32_t>(quarter - 4);
}

uint64_t BlockCache::bytesOf(uint32_t sizeClass) { return uint64_t(4 + sizeClass % 4) << (6 + sizeClass / 4); }

StoragePool::~StoragePool() {
  for (auto &storage : owned)
    if (storage->holders && storage->owner == Storage::Owner::pool) {
      account.release(storage->data, BlockCache::bytesOf(storage->sizeClass));
      dropMirror(*storage);
    }
  trim();
}

void StoragePool::trim() {
  if (user)
    (void)user->synchronize(); // a device that fails has stopped
  blocks.clear([&](void *memory, uint64_t bytes) { account.release(memory, bytes); });
  mirrors.clear([&](void *memory, uint64_t) { device.releaseStaging(memory); });
}

Result<Storage *> StoragePool::allocate(uint64_t bytes) {
  if (bytes > uint64_t(1) << 56)
    return Status::failed("a buffer has " + std::to_string(bytes) + " bytes");
  uint32_t sizeClass = BlockCache::classOf(bytes);
  void *memory = blocks.take(sizeClass);
  if (!memory) {
    auto fresh = account.allocate(BlockCache::bytesOf(sizeClass), "a buffer");
    if (!fresh.ok()) {
      trim();
      fresh = account.allocate(BlockCache::bytesOf(sizeClass), "a buffer");
    }
    if (!fresh.ok())
      return std::move(fresh).status();
    memory = *fresh;
  }
  Storage *storage;
  if (idle.empty()) {
    owned.push_back(std::make_unique<Storage>());
    idle.reserve(owned.size());
    storage = owned.back().get();
  } else {
    storage = idle.back();
    idle.pop_back();
  }
  *storage = Storage();
  storage->data = memory;
  storage->bytes = bytes;
  storage->holders = 1;
  storage->sizeClass = sizeClass;
  storage->owner = Storage::Owner::pool;
  return storage;
}

void StoragePool::drop(Storage *storage) {
  if (--storage->holders > 0 || storage->owner == Storage::Owner::fixed)
    return;
  dropMirror(*storage);
  blocks.give(storage->sizeClass, storage->data);
  storage->data = nullptr;
  idle.push_back(storage);
}

Status StoragePool::addMirror(Storage &storage) {
  if (storage.mirror)
    return {};
  uint32_t sizeClass = BlockCache::classOf(storage.bytes);
  void *memory = mirrors.take(sizeClass);
  if (!memory) {
    auto fresh = device.allocateStaging(BlockCache::bytesOf(sizeClass));
    if (!fresh.ok())
      return std::move(fresh).status();
    memory = *fresh;
  }
  storage.mirror = memory;
  storage.mirrorClass = sizeClass;
  storage.mirrorOwned = true;
  storage.mirrorValid = false;
  return {};
}

void StoragePool::dropMirror(Storage &storage) {
  if (storage.mirrorOwned)
    mirrors.give(storage.mirrorClass, storage.mirror);
  storage.mirror = nullptr;
  storage.mirrorOwned = storage.mirrorValid = false;
}

} // namespace kt::exec
