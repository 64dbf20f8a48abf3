//===- File.cpp - files that are read -------------------------------------===//

#include "runtime/os/File.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kt::os {
namespace {

Status systemError() { return Status::failed(std::strerror(errno)); }

Status irregular(mode_t mode) {
  const char *kind = S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
  return Status::failed(std::string("not a regular file but ") + kind);
}

/// Reopens for reading what `place` points at (O_PATH), if it is a regular file: looking at it first has no effect on
/// devices, which opening may have.
Result<Descriptor> reopen(const Descriptor &place) {
  struct stat info;
  if (::fstat(place.get(), &info) != 0)
    return systemError();
  if (!S_ISREG(info.st_mode))
    return irregular(info.st_mode);
  std::string link = "/proc/self/fd/" + std::to_string(place.get());
  Descriptor file(::open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.isOpen())
    return systemError();
  return file;
}

bool sameFile(int descriptor, const Descriptor &place) {
  struct stat a, b;
  return ::fstat(descriptor, &a) == 0 && ::fstat(place.get(), &b) == 0 && FileId::of(a) == FileId::of(b);
}

bool hasProc() {
  static const bool there = ::access("/proc/self/fd", X_OK) == 0;
  return there;
}

/// Where an open file really lies.
std::string realPath(const Descriptor &place, const std::string &name) {
  char buffer[PATH_MAX];
  if (hasProc()) {
    std::string link = "/proc/self/fd/" + std::to_string(place.get());
    ssize_t n = ::readlink(link.c_str(), buffer, sizeof(buffer));
    return n > 0 && static_cast<size_t>(n) < sizeof(buffer) ? std::string(buffer, n) : std::string();
  }
  return ::realpath(name.c_str(), buffer) ? std::string(buffer) : std::string();
}

std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

bool isBelow(const std::string &path, const std::string &folder) {
  if (path.empty() || folder.empty())
    return false;
  std::string prefix = folder == "/" ? folder : folder + "/";
  return path.compare(0, prefix.size(), prefix) == 0;
}

/// Whether a location stays below its folder as far as its spelling goes.
bool isPlain(const std::string &location) {
  if (location.empty() || location[0] == '/' || location.find('\0') != std::string::npos)
    return false;
  for (size_t start = 0; start <= location.size();) {
    size_t end = std::min(location.find('/', start), location.size());
    if (location.compare(start, end - start, "..") == 0)
      return false;
    start = end + 1;
  }
  return true;
}

Status outside() { return Status::usage("lies outside the model's folder"); }

/// Mappings by address, for the handler of SIGBUS. A name is published last and withdrawn first.
struct Mapping {
  std::atomic<const char *> name{nullptr};
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<bool> lost{false}; // a part was gone when it was read, and is zeros since
};
Mapping mappings[64];
std::atomic_flag mappingsLock = ATOMIC_FLAG_INIT;

std::atomic<int> mappedFiles{0};

void publish(const MappedFile &file) {
  while (mappingsLock.test_and_set(std::memory_order_acquire))
    ;
  for (Mapping &m : mappings)
    if (!m.name.load()) {
      m.begin = reinterpret_cast<uintptr_t>(file.bytes().data());
      m.end = m.begin + (file.bytes().size() + 4095) / 4096 * 4096;
      m.lost = false;
      m.name = file.name().c_str();
      break;
    }
  mappingsLock.clear(std::memory_order_release);
}

void withdraw(const MappedFile &file) {
  for (Mapping &m : mappings)
    if (m.name.load() == file.name().c_str())
      m.name = nullptr;
}

bool isLost(const MappedFile &file) {
  return std::any_of(std::begin(mappings), std::end(mappings),
                     [&](const Mapping &m) { return m.name.load() == file.name().c_str() && m.lost; });
}

struct sigaction otherHandler;

void onBusError(int signal, siginfo_t *info, void *context) {
  auto at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Mapping &m : mappings)
    if (info->si_code == BUS_ADRERR && m.name.load() && at >= m.begin && at < m.end) {
      // A file that was cut ends somewhere and is gone from there on.
      uintptr_t page = at / 4096 * 4096;
      if (::mmap(reinterpret_cast<void *>(page), m.end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0) != MAP_FAILED) {
        m.lost = true;
        return;
      }
    }
  if (otherHandler.sa_flags & SA_SIGINFO)
    return otherHandler.sa_sigaction(signal, info, context);
  if (otherHandler.sa_handler != SIG_DFL && otherHandler.sa_handler != SIG_IGN)
    return otherHandler.sa_handler(signal);
  ::signal(SIGBUS, SIG_DFL); // the faulting instruction comes again and ends the process
}

} // namespace

FileId FileId::of(const struct stat &info) { return {info.st_dev, info.st_ino}; }

Descriptor &Descriptor::operator=(Descriptor &&other) noexcept {
  std::swap(number, other.number);
  return *this;
}
Descriptor::~Descriptor() {
  if (number >= 0)
    ::close(number);
}
int Descriptor::release() { return std::exchange(number, -1); }

Result<Descriptor> openRegular(const std::string &path) {
  if (path.find('\0') != std::string::npos)
    return Status::failed("its name holds a zero byte");
  if (hasProc()) {
    Descriptor place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!place.isOpen())
      return systemError();
    return reopen(place);
  }
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info;
  if (!file.isOpen() || ::fstat(file.get(), &info) != 0)
    return systemError();
  if (!S_ISREG(info.st_mode))
    return irregular(info.st_mode);
  return file;
}

Result<Descriptor> openBeside(const std::string &model, const std::string &location) {
  if (!isPlain(location))
    return outside();
  Descriptor modelPlace(::open(model.c_str(), O_PATH | O_CLOEXEC));
  if (!modelPlace.isOpen())
    return systemError();
  // The folder of the model's name, and that of the file which the name leads to.
  std::string folders[2] = {folderOf(model), folderOf(realPath(modelPlace, model))}, real[2];
  Descriptor open[2];
  for (int i = 0; i < 2; ++i) {
    open[i] = Descriptor(::open(folders[i].c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (open[i].isOpen())
      real[i] = realPath(open[i], folders[i]);
  }
  int reason = ENOENT;
  for (int i = 0; i < 2; ++i) {
    if (!open[i].isOpen() || (i == 1 && real[1] == real[0]))
      continue;
    Descriptor place(::openat(open[i].get(), location.c_str(), O_PATH | O_CLOEXEC));
    if (!place.isOpen()) {
      if (errno != ENOENT || reason == ENOENT)
        reason = errno;
      continue;
    }
    std::string target = realPath(place, folders[i] + "/" + location);
    if (!isBelow(target, real[0]) && !isBelow(target, real[1]))
      return outside();
    if (hasProc())
      return reopen(place);
    // The real path has no links: whoever puts one there now is found out.
    auto file = openRegular(target);
    if (file.ok() && !sameFile(file->get(), place))
      return outside();
    return file;
  }
  return Status::failed(std::strerror(reason));
}

Result<std::unique_ptr<MappedFile>> MappedFile::open(const std::string &path) {
  auto file = openRegular(path);
  if (!file.ok())
    return Status::failed("cannot open '" + path + "': " + file.status().message());
  auto mapped = map(*std::move(file), path);
  if (!mapped.ok())
    return Status::failed("cannot map '" + path + "': " + mapped.status().message());
  return mapped;
}

Result<std::unique_ptr<MappedFile>> MappedFile::map(Descriptor file, const std::string &name) {
  auto mapped = std::unique_ptr<MappedFile>(new MappedFile(std::move(file), name));
  mappedFiles.fetch_add(1);
  struct stat info;
  if (::fstat(mapped->file.get(), &info) != 0)
    return systemError();
  mapped->identity = FileId::of(info);
  mapped->changedSeconds = info.st_mtim.tv_sec;
  mapped->changedNanoseconds = info.st_mtim.tv_nsec;
  constexpr int kMostOpen = 128;
  if (mappedFiles.load() > kMostOpen)
    mapped->place = realPath(mapped->file, name);
  if (info.st_size > 0) {
    void *address = ::mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, mapped->file.get(), 0);
    if (address == MAP_FAILED)
      return systemError();
    mapped->address = address;
    mapped->size = static_cast<size_t>(info.st_size);
    publish(*mapped);
  }
  if (!mapped->place.empty())
    mapped->file = Descriptor();
  return mapped;
}

MappedFile::~MappedFile() {
  mappedFiles.fetch_sub(1);
  if (address) {
    withdraw(*this);
    ::munmap(address, size);
  }
}

Status MappedFile::unchanged() const {
  if (isLost(*this))
    return Status::failed("'" + text + "' became shorter while it was read");
  struct stat info;
  if (!file.isOpen()) {
    if (::stat(place.c_str(), &info) != 0 || FileId::of(info) != identity)
      return {};
  } else if (::fstat(file.get(), &info) != 0) {
    return Status::failed("cannot read '" + text + "': " + std::strerror(errno));
  }
  if (static_cast<uint64_t>(info.st_size) != size || info.st_mtim.tv_sec != changedSeconds ||
      info.st_mtim.tv_nsec != changedNanoseconds)
    return Status::failed("'" + text + "' was changed while it was read");
  return {};
}

void guardMappings() {
  static const bool installed = [] {
    struct sigaction action = {};
    action.sa_sigaction = onBusError;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    return ::sigaction(SIGBUS, &action, &otherHandler) == 0;
  }();
  (void)installed;
}

const char *mappedFileAt(const void *address) {
  auto at = reinterpret_cast<uintptr_t>(address);
  for (const Mapping &m : mappings)
    if (const char *name = m.name.load(); name && at >= m.begin.load() && at < m.end.load())
      return name;
  return nullptr;
}

Result<std::string> readText(const std::string &path, size_t limit) {
  auto failed = [&](const std::string &why) { return Status::failed("cannot read '" + path + "': " + why); };
  auto file = openRegular(path);
  if (!file.ok())
    return failed(file.status().message());
  std::string text;
  char part[1 << 14];
  for (;;) {
    ssize_t n = ::read(file->get(), part, sizeof(part));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return failed(std::strerror(errno));
    if (n == 0)
      return text;
    if (text.size() + n > limit)
      return failed("it has more than " + std::to_string(limit) + " bytes");
    text.append(part, n);
  }
}

void KeptFiles::add(const std::string &path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0)
    files.push_back({FileId::of(info), path});
}

Status KeptFiles::mayWrite(const std::string &path) const {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
    return {};
  FileId id = FileId::of(info);
  for (const Kept &kept : files)
    if (kept.id == id)
      return Status::usage("'" + path + "' would be written over" +
                           (kept.name == path ? ", but it is an input" : ", but it is the input '" + kept.name + "'"));
  return {};
}

/// The name at the end of links that lead to no file yet: writing makes that one.
static std::string withoutLinks(std::string path) {
  char link[PATH_MAX];
  constexpr int kMostLinks = 40;
  for (int i = 0; i < kMostLinks; ++i) {
    ssize_t n = ::readlink(path.c_str(), link, sizeof(link));
    if (n <= 0 || n >= PATH_MAX)
      break;
    std::string to(link, n);
    path = to[0] == '/' ? to : folderOf(path) + "/" + to;
  }
  return path;
}

Status KeptFiles::mayWriteAll(std::span<const std::string> paths) const {
  // A file that is not there yet is known by its folder and its name.
  struct Place {
    FileId id;
    std::string name;
    bool operator==(const Place &) const = default;
  };
  std::vector<Place> places;
  for (const std::string &path : paths) {
    KT_RETURN_IF_ERROR(mayWrite(path));
    struct stat info;
    Place place;
    if (::stat(path.c_str(), &info) == 0) {
      if (!S_ISREG(info.st_mode))
        continue;
      place.id = FileId::of(info);
    } else if (std::string name = withoutLinks(path); ::stat(folderOf(name).c_str(), &info) == 0) {
      place = {FileId::of(info), name.substr(name.rfind('/') + 1)};
    } else {
      place.name = path; // its folder is not there: the same spelling at least is the same file
    }
    auto twin = std::find(places.begin(), places.end(), place);
    if (twin != places.end())
      return Status::usage("'" + path + "' is given for two outputs");
    places.push_back(std::move(place));
  }
  return {};
}

} // namespace kt::os
