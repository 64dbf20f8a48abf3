//===- Memory.cpp - how much memory can be had ----------------------------===//

#include "runtime/os/Memory.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <sys/resource.h>
#include <unistd.h>

namespace kt::os {
namespace {

/// The number after `key` in a file of `key value` lines, or the file's first number when there is no key.
uint64_t numberIn(const std::string &path, const char *key, uint64_t otherwise) {
  std::FILE *file = std::fopen(path.c_str(), "re");
  if (!file)
    return otherwise;
  char line[512];
  uint64_t value = otherwise;
  size_t length = key ? std::strlen(key) : 0;
  while (std::fgets(line, sizeof(line), file))
    if (!key || (std::strncmp(line, key, length) == 0 && (line[length] == ' ' || line[length] == ':'))) {
      const char *digits = line + length + std::strspn(line + length, ": \t");
      if (std::sscanf(digits, "%" SCNu64, &value) != 1)
        value = otherwise; // "max"
      break;
    }
  std::fclose(file);
  return value;
}

/// What the control group (version 2) and those around it leave; pages of files can be given back.
uint64_t controlGroup() {
  uint64_t least = UINT64_MAX;
  char line[512];
  std::string group;
  if (std::FILE *file = std::fopen("/proc/self/cgroup", "re")) {
    while (std::fgets(line, sizeof(line), file))
      if (std::strncmp(line, "0::", 3) == 0)
        group.assign(line + 3, std::strcspn(line + 3, "\n"));
    std::fclose(file);
  }
  for (;; group.resize(group.rfind('/'))) {
    std::string folder = "/sys/fs/cgroup" + (group == "/" ? "" : group);
    uint64_t limit = numberIn(folder + "/memory.max", nullptr, UINT64_MAX);
    if (limit != UINT64_MAX) {
      uint64_t used = numberIn(folder + "/memory.current", nullptr, 0);
      used -= std::min(used, numberIn(folder + "/memory.stat", "file", 0));
      least = std::min(least, limit - std::min(limit, used));
    }
    if (group.rfind('/') == std::string::npos)
      return least;
  }
}

} // namespace

uint64_t availableMemory() {
  uint64_t kilobytes = numberIn("/proc/meminfo", "MemAvailable", UINT64_MAX >> 10);
  uint64_t least = std::min(kilobytes << 10, controlGroup());
  struct rlimit limit;
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    uint64_t used = numberIn("/proc/self/statm", nullptr, 0) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    least = std::min<uint64_t>(least, limit.rlim_cur - std::min<uint64_t>(limit.rlim_cur, used));
  }
  return least;
}

Status expectMemory(uint64_t bytes, const std::string &what) {
  constexpr uint64_t kSmall = 16u << 20;
  if (bytes < kSmall)
    return {};
  uint64_t available = availableMemory();
  if (bytes <= available)
    return {};
  return Status::failed(what + " needs " + std::to_string(bytes) + " bytes of memory but " + std::to_string(available) +
                        " are available");
}

} // namespace kt::os
