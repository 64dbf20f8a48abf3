//===- Process.cpp - how a tool begins and ends ---------------------------===//

#include "runtime/os/Process.h"
#include "runtime/os/OutputFile.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KT_SANITISED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define KT_SANITISED 1
#endif
#endif
#ifndef KT_SANITISED
#define KT_SANITISED 0
#endif

namespace kt::os {
namespace {

std::atomic<bool> asJson{false};
std::atomic_flag dying = ATOMIC_FLAG_INIT;

/// A line without the heap, written in one piece: other threads may be about to die, too, and say so.
class Line {
public:
  void add(std::string_view text, bool escape) {
    for (unsigned char c : text) {
      if (size + kTail >= sizeof(this->text))
        return;
      if (escape && (c == '"' || c == '\\'))
        put('\\');
      // What is no UTF-8 would be no JSON.
      put(c < 0x20 || c == 0x7f ? ' ' : escape && c >= 0x80 ? '?' : c);
    }
  }
  void end(std::string_view tail) {
    for (char c : tail)
      put(c);
    put('\n');
  }
  void write(int descriptor) { (void)writeAll(descriptor, {text, size}); }

private:
  static constexpr size_t kTail = 32;
  void put(unsigned char c) { text[size++] = static_cast<char>(c); }
  char text[2048];
  size_t size = 0;
};

void outOfMemory() { die("out of memory"); }

void terminated() {
  // The only exceptions that reach this point are those of the C++ library in code without handlers.
  if (std::exception_ptr current = std::current_exception()) {
#ifdef __cpp_exceptions
    try {
      std::rethrow_exception(current);
    } catch (const std::bad_alloc &) {
      die("out of memory");
    } catch (const std::exception &e) {
      die("internal error: ", e.what());
    } catch (...) {
    }
#endif
  }
  die("internal error: an exception that nobody expects");
}

void ended(int signal) {
  removeTemporaries();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

/// Whether a limit of the address space is near.
bool memoryIsUsedUp() {
  constexpr size_t kNear = size_t(512) << 20;
  void *room = ::mmap(nullptr, kNear, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED)
    return true;
  ::munmap(room, kNear);
  return false;
}

void crashed(int signal, siginfo_t *info, void *) {
  if (signal == SIGBUS && info->si_code == BUS_ADRERR) {
    const char *name = mappedFileAt(info->si_addr);
    die(name ? "a file became shorter while it was read: " : "a file became shorter while it was read",
        name ? name : "");
  }
  // Libraries check not every allocation, and glibc aborts where it cannot do without one.
  if (memoryIsUsedUp())
    die("out of memory");
  const char *what = signal == SIGSEGV   ? "bad access to memory, or the stack is full"
                     : signal == SIGFPE  ? "arithmetic exception"
                     : signal == SIGILL  ? "illegal instruction"
                     : signal == SIGABRT ? "aborted"
                                         : "bad access to memory";
  die("internal error: ", what);
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction old = {}, action = {};
  // What is ignored stays so (nohup).
  if (::sigaction(signal, nullptr, &old) != 0 || old.sa_handler == SIG_IGN)
    return;
  action.sa_handler = handler;
  ::sigaction(signal, &action, nullptr);
}

} // namespace

void die(std::string_view message, std::string_view subject) noexcept {
  if (dying.test_and_set())
    for (;;)
      ::pause(); // the first one ends the process
  removeTemporaries();
  Line line;
  bool json = asJson.load();
  line.add(json ? "{\"message\":\"" : "error: ", false);
  line.add(message, json);
  line.add(subject, json);
  line.end(json ? "\",\"severity\":\"error\"}" : "");
  line.write(2);
  ::_exit(1);
}

bool wantsJson(int argc, const char *const *argv) {
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--diagnostics=json") == 0 ||
        (std::strcmp(argv[i], "--diagnostics") == 0 && i + 1 < argc && std::strcmp(argv[i + 1], "json") == 0))
      return true;
  return false;
}

void prepareProcess(bool json) {
  asJson = json;
  for (int fd = 0; fd < 3; ++fd)
    if (::fcntl(fd, F_GETFD) < 0)
      (void)!::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY); // using it stays an error
  std::set_new_handler(outOfMemory);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU})
    handle(signal, ended);
  struct sigaction action = {};
  action.sa_sigaction = crashed;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigaction(SIGBUS, &action, nullptr);
  if (KT_SANITISED)
    return;
  std::set_terminate(terminated);
  // A full stack leaves no room for the handler.
  static char stack[1 << 16];
  stack_t other = {};
  other.ss_sp = stack;
  other.ss_size = sizeof(stack);
  ::sigaltstack(&other, nullptr);
  for (int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL})
    ::sigaction(signal, &action, nullptr);
}

std::string oneLine(std::string_view text) {
  std::string line;
  for (unsigned char c : text) {
    char code[8];
    if (c >= 0x20 && c != 0x7f) {
      line += static_cast<char>(c);
    } else {
      std::snprintf(code, sizeof(code), "\\x%02x", c);
      line += code;
    }
  }
  return line;
}

} // namespace kt::os
