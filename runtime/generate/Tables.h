//===- Tables.h - what every run of a language model is given -------------===//
//
// Masks of ones, positions and how to draw, in memory of the device that is filled once: a run takes a part of it, and
// nothing of it is copied from token to token.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_GENERATE_TABLES_H
#define KT_RUNTIME_GENERATE_TABLES_H

#include "kt/Generate.h"
#include "runtime/exec/Storage.h"

namespace kt::generate {

class Tables {
public:
  Tables(device::Device &device, exec::MemoryAccount &account) : device(device), account(account) {}
  ~Tables();
  Tables(const Tables &) = delete;
  Tables &operator=(const Tables &) = delete;

  /// Room for numbers below `count`, each of them once a stream, in these types. Of each stream's positions so many are
  /// 0 as `ofPads` says, and the others count from there. Memory that was there before is released where it does not
  /// serve, so nothing may be using it: `inUse` waits for that.
  template <typename Wait>
  Status reserve(uint64_t count, const std::vector<uint64_t> &ofPads, DataType ones, DataType numbers, Wait &&inUse) {
    if (count <= length && ofPads == pads)
      return {};
    KT_RETURN_IF_ERROR(inUse());
    pads = ofPads;
    return fill(count, ones, numbers);
  }
  /// Nothing may be using what was set before.
  Status setSampling(const Sampling &sampling);

  Memory memory() const { return device.isHost() ? Memory::host : Memory::device; }
  const void *ones() const { return at(onesBegin); }
  /// `begin` for each stream, then `begin` + 1 for each, ... in i64. Begins at a multiple of 16 bytes.
  const void *numbersFrom(uint64_t begin) const { return from(wideBegin, 8, begin); }
  /// The same without pads, in the type that was asked for.
  const void *positionsFrom(uint64_t begin) const { return from(numbersBegin, numberBytes, begin); }
  const void *temperature() const { return static_cast<const char *>(settings); }
  const void *topK() const { return static_cast<const char *>(settings) + kApart; }
  const void *topP() const { return static_cast<const char *>(settings) + 2 * kApart; }
  const void *seed() const { return static_cast<const char *>(settings) + 3 * kApart; }

private:
  /// Kernels' vectors on the host want memory like this; 16 would do on a GPU.
  static constexpr uint64_t kApart = 64, kVector = 16;

  Status fill(uint64_t count, DataType ones, DataType numbers);
  const void *from(uint64_t table, uint64_t size, uint64_t begin) const;
  uint64_t copiesOf(uint64_t size) const;
  uint64_t lineOf(uint64_t count, uint64_t size) const;
  Status copyIn(void *to, const void *from, uint64_t bytes);
  const void *at(uint64_t offset) const { return static_cast<const char *>(tables) + offset; }

  device::Device &device;
  exec::MemoryAccount &account;
  void *tables = nullptr, *settings = nullptr;
  uint64_t bytes = 0, length = 0;
  std::vector<uint64_t> pads = {0};
  uint64_t onesBegin = 0, numbersBegin = 0, wideBegin = 0;
  uint32_t numberBytes = 8;
};

/// Integers, or ones, in the type that a port has: numbers are exact in i64 and i32, other types have 0 and 1.
void putNumber(std::byte *to, DataType type, int64_t value);

} // namespace kt::generate

#endif
