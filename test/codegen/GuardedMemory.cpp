//===- GuardedMemory.cpp - buffers beside protected pages -----------------===//

#include "GuardedMemory.h"
#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

namespace kt::test {
namespace {

std::vector<const GuardedBuffer *> &live() {
  static std::vector<const GuardedBuffer *> buffers;
  return buffers;
}
std::mutex mutex; // of `live`, which only changes while no code runs on it

struct Landing {
  sigjmp_buf place;
  bool armed = false;
  const void *address = nullptr;
  bool isWrite = false;
};
thread_local Landing landing;
struct sigaction before;

void onFault(int number, siginfo_t *info, void *context) {
  if (!landing.armed) {
    ::sigaction(number, &before, nullptr); // happens again, and is whoever's it was
    return;
  }
  landing.armed = false;
  landing.address = info->si_addr;
  landing.isWrite = static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_ERR] & 2;
  siglongjmp(landing.place, 1);
}

size_t pageBytes() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }
constexpr unsigned char kFill = 0x5a;

} // namespace

GuardedBuffer::GuardedBuffer(std::string name, size_t bytes, size_t alignment, Side side)
    : name(std::move(name)), size(bytes) {
  size_t page = pageBytes();
  pagesBytes = std::max<size_t>(1, (bytes + page - 1) / page) * page;
  // A page on each side; operands that are mixed up are far apart.
  void *all = ::mmap(nullptr, pagesBytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED)
    std::abort();
  pages = static_cast<char *>(all) + page;
  ::mprotect(pages, pagesBytes, PROT_READ | PROT_WRITE);
  std::memset(pages, kFill, pagesBytes);
  begin = side == Side::before ? pages : pages + (pagesBytes - bytes) / alignment * alignment;
  std::lock_guard lock(mutex);
  live().push_back(this);
}

GuardedBuffer::~GuardedBuffer() {
  std::lock_guard lock(mutex);
  std::erase(live(), this);
  ::munmap(pages - pageBytes(), pagesBytes + 2 * pageBytes());
}

void GuardedBuffer::protect() {
  readOnly = true;
  ::mprotect(pages, pagesBytes, PROT_READ);
}

bool GuardedBuffer::intact() const {
  auto untouched = [](const char *from, const char *to) {
    return std::all_of(from, to, [](char c) { return static_cast<unsigned char>(c) == kFill; });
  };
  return untouched(pages, begin) && untouched(begin + size, pages + pagesBytes);
}

std::optional<std::string> GuardedBuffer::describe(const void *address, bool isWrite) const {
  auto *at = static_cast<const char *>(address);
  if (at < pages - pageBytes() || at >= pages + pagesBytes + pageBytes())
    return std::nullopt;
  std::string what = isWrite ? "writes " : "reads ", of = name + " of " + std::to_string(size) + " bytes";
  if (at >= begin + size)
    return what + std::to_string(at - (begin + size)) + " bytes behind the end of " + of;
  if (at < begin)
    return what + std::to_string(begin - at) + " bytes before " + of;
  return what + "at " + std::to_string(at - begin) + " of " + of + (readOnly ? ", which may only be read" : "");
}

std::optional<std::string> guarded(const std::function<void()> &f) {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = onFault;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &action, &before);
  });
  if (sigsetjmp(landing.place, 1) == 0) {
    landing.armed = true;
    f();
    landing.armed = false;
    return std::nullopt;
  }
  std::lock_guard lock(mutex);
  for (const GuardedBuffer *buffer : live())
    if (auto text = buffer->describe(landing.address, landing.isWrite))
      return text;
  return std::string(landing.isWrite ? "writes to" : "reads from") + " an address that is none of its buffers'";
}

} // namespace kt::test
