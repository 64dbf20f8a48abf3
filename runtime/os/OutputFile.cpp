//===- OutputFile.cpp - files that are written ----------------------------===//

#include "runtime/os/OutputFile.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kt::os {
namespace {

constexpr size_t kBuffer = 1 << 18;

/// Temporary names for signal handlers, which may neither lock nor allocate. More than there are slots are possible
/// only where as many files are written at a time.
std::atomic<char *> temporaries[16];

int remember(const std::string &name) {
  char *copy = ::strdup(name.c_str());
  for (int i = 0; copy && i < 16; ++i) {
    char *none = nullptr;
    if (temporaries[i].compare_exchange_strong(none, copy))
      return i;
  }
  std::free(copy);
  return -1;
}

void forget(int &slot) {
  if (slot >= 0)
    std::free(temporaries[slot].exchange(nullptr));
  slot = -1;
}

std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string uniqueName(const std::string &target) {
  uint64_t random = 0;
  if (::getrandom(&random, sizeof(random), 0) != sizeof(random))
    random = static_cast<uint64_t>(::getpid()) << 32 ^ reinterpret_cast<uintptr_t>(&random);
  char name[32];
  std::snprintf(name, sizeof(name), ".kt-%016llx", static_cast<unsigned long long>(random));
  return folderOf(target) + "/" + name;
}

/// The number of this process's own descriptor that a path names (/dev/stdout, /dev/fd/3), or -1: opening such a name
/// would begin again at the start of a file that others have written to.
int ownDescriptor(const std::string &path) {
  if (path == "/dev/stdout")
    return 1;
  if (path == "/dev/stderr")
    return 2;
  std::string own = "/proc/" + std::to_string(::getpid()) + "/fd/";
  for (const std::string &prefix : {std::string("/dev/fd/"), std::string("/proc/self/fd/"), own})
    if (path.compare(0, prefix.size(), prefix) == 0) {
      char *end = nullptr;
      long number = std::strtol(path.c_str() + prefix.size(), &end, 10);
      if (end != path.c_str() + prefix.size() && *end == 0 && number >= 0 && number <= INT_MAX)
        return static_cast<int>(number);
    }
  return -1;
}

} // namespace

void removeTemporaries() {
  for (std::atomic<char *> &name : temporaries)
    if (char *path = name.load())
      ::unlink(path);
}

Status writeAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(descriptor, text.data(), std::min<size_t>(text.size(), 1u << 30));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return Status::failed(std::strerror(errno));
    if (n == 0)
      return Status::failed("nothing more can be written");
    text.remove_prefix(n);
  }
  return {};
}

Status writeOutput(std::string_view text) {
  Status status = writeAll(1, text);
  return status.ok() ? status : Status::failed("cannot write standard output: " + status.message());
}

OutputFile::OutputFile(const std::string &path, bool unnamed) : path(path), unnamed(unnamed) { open(); }

OutputFile::~OutputFile() {
  if (!temporary.empty())
    ::unlink(temporary.c_str());
  forget(slot);
}

Status OutputFile::error(const char *what) {
  return Status::failed(std::string("cannot ") + what + " '" + path + "': " + std::strerror(errno));
}

void OutputFile::open() {
  std::string name = path;
  struct stat info = {};
  constexpr int kMostLinks = 40; // as in the kernel
  for (int links = 0;; ++links) {
    if (int own = ownDescriptor(name); own >= 0) {
      file = Descriptor(::fcntl(own, F_DUPFD_CLOEXEC, 3));
      if (!file.isOpen())
        failure = error("create");
      return;
    }
    if (::lstat(name.c_str(), &info) != 0) {
      if (errno != ENOENT) {
        failure = error("create");
        return;
      }
      break;
    }
    there = !S_ISLNK(info.st_mode);
    if (there)
      break;
    char link[PATH_MAX];
    ssize_t n = name.compare(0, 6, "/proc/") == 0 ? -1 : ::readlink(name.c_str(), link, sizeof(link));
    if (n < 0 && name.compare(0, 6, "/proc/") == 0) { // another process's descriptor: its text is no path
      info.st_mode = S_IFCHR;
      there = true;
      break;
    }
    if (n <= 0 || n >= PATH_MAX || links == kMostLinks) {
      errno = n < 0 ? errno : ELOOP;
      failure = error("create");
      return;
    }
    std::string to(link, n);
    name = to[0] == '/' ? to : folderOf(name) + "/" + to;
  }
  if (there && S_ISDIR(info.st_mode)) {
    errno = EISDIR;
    failure = error("create");
    return;
  }
  if (there && !S_ISREG(info.st_mode)) {
    file = Descriptor(::open(name.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.isOpen())
      failure = error("create");
    return;
  }
  // A new file could take the place of one that is protected against writing; what that one is protected from is this.
  if (there && ::faccessat(AT_FDCWD, name.c_str(), W_OK, AT_EACCESS) != 0) {
    failure = error("create");
    return;
  }
  if (name.empty() || name.back() == '/') {
    errno = name.empty() ? ENOENT : EISDIR;
    failure = error("create");
    return;
  }
  mode_t mask = ::umask(0);
  ::umask(mask);
  mode = there ? info.st_mode & 0777 : 0666 & ~mask;
  owner = info.st_uid;
  group = info.st_gid;
  target = name;
  openTemporary();
}

void OutputFile::openTemporary() {
  std::string folder = folderOf(target);
  // Without /proc such a file could not be given a name.
  if (unnamed && ::access("/proc/self/fd", X_OK) == 0) {
    file = Descriptor(::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    if (file.isOpen())
      return;
    if (errno == EACCES || errno == EROFS || errno == ENOSPC || errno == EDQUOT || errno == ENOTDIR) {
      failure = error("create");
      return;
    }
  }
  for (int attempt = 0; attempt < 100 && !file.isOpen(); ++attempt) {
    temporary = uniqueName(target);
    slot = remember(temporary); // before it is there: a signal may come in between
    file = Descriptor(::open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
    if (file.isOpen())
      return;
    int reason = errno;
    forget(slot);
    temporary.clear();
    errno = reason;
    if (reason != EEXIST)
      break;
  }
  failure = error("create");
}

void OutputFile::put(const char *data, size_t bytes) {
  if (!failure.ok())
    return;
  Status status = writeAll(file.get(), {data, bytes});
  if (!status.ok())
    failure = Status::failed("cannot write '" + path + "': " + status.message());
}

void OutputFile::flush() {
  put(buffer.data(), buffer.size());
  buffer.clear();
}

void OutputFile::write(const void *data, size_t bytes) {
  offset += bytes;
  if (buffer.size() + bytes > kBuffer)
    flush();
  if (bytes > kBuffer)
    put(static_cast<const char *>(data), bytes);
  else if (failure.ok() && bytes)
    buffer.append(static_cast<const char *>(data), bytes);
}

bool OutputFile::place(bool over) {
  std::string self = "/proc/self/fd/" + std::to_string(file.get());
  if (temporary.empty()) {
    if (!over && ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, target.c_str(), AT_SYMLINK_FOLLOW) == 0)
      return true;
    if (!over && errno != EEXIST)
      return false;
    // link() never replaces: the file gets a name for the moment between the two calls.
    do {
      forget(slot);
      temporary = uniqueName(target);
      slot = remember(temporary);
      if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, temporary.c_str(), AT_SYMLINK_FOLLOW) == 0)
        break;
      temporary.clear();
    } while (errno == EEXIST);
  }
  if (temporary.empty() || ::rename(temporary.c_str(), target.c_str()) != 0)
    return false;
  temporary.clear();
  forget(slot);
  return true;
}

Status OutputFile::finish(bool durable) {
  flush();
  if (!failure.ok() || !file.isOpen())
    return failure;
  if (!target.empty()) {
    // Some file systems say only when a descriptor is closed that there was no room: before the old file goes.
    Descriptor copy(::fcntl(file.get(), F_DUPFD_CLOEXEC, 3));
    if (copy.isOpen() && ::close(copy.release()) != 0 && errno != EINTR)
      return failure = error("write");
    if (there)
      (void)!::fchown(file.get(), owner, group); // root can; for others it is theirs already, or becomes so
    if (::fchmod(file.get(), mode) != 0 || (durable && ::fsync(file.get()) != 0) || !place(there))
      return failure = error("write");
    if (durable) {
      Descriptor folder(::open(folderOf(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (folder.isOpen())
        ::fsync(folder.get()); // the name survives as well; not every file system can, and the file itself is safe
    }
  }
  if (::close(file.release()) != 0 && errno != EINTR)
    failure = error("write");
  return failure;
}

} // namespace kt::os
