//===- GuardedMemory.h - buffers beside protected pages -------------------===//
//
// A buffer that ends where its last page ends, with a page behind it that nobody may touch, or begins after such a
// page: code that reads or writes one element too many is stopped there, and the test says which buffer it was.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_CODEGEN_GUARDEDMEMORY_H
#define KT_TEST_CODEGEN_GUARDEDMEMORY_H

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace kt::test {

/// On which side of a buffer the protected page touches it.
enum class Side { behind, before };

class GuardedBuffer {
public:
  /// `alignment` is what its user may rely on: a power of two. Where the size is no multiple of it, a buffer with the
  /// page behind it has some bytes between, which `intact` looks at.
  GuardedBuffer(std::string name, size_t bytes, size_t alignment, Side side);
  ~GuardedBuffer();
  GuardedBuffer(const GuardedBuffer &) = delete;
  GuardedBuffer &operator=(const GuardedBuffer &) = delete;

  char *data() const { return begin; }
  size_t bytes() const { return size; }
  /// From now on it may only be read.
  void protect();
  /// Whether the bytes between the buffer and the end of its pages are as they were.
  bool intact() const;
  /// "reads 4 bytes behind operand 1 of 96 bytes", where `address` is near this buffer.
  std::optional<std::string> describe(const void *address, bool isWrite) const;

private:
  std::string name;
  size_t size, pagesBytes;
  char *pages, *begin; // the accessible pages; one that is not on either side
  bool readOnly = false;
};

/// Calls `f`; answers what it did to which buffer where it touched what it must not. Other faults end the process as
/// they would have. On several threads at once, as long as no buffer comes or goes.
std::optional<std::string> guarded(const std::function<void()> &f);

} // namespace kt::test

#endif
