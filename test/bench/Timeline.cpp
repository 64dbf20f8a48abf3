//===- Timeline.cpp - when the kernels of a process began and ended -------===//
//
// A library that the CUDA driver loads into a process (CUDA_INJECTION64_PATH). CUPTI tells it of each kernel and copy,
// those of graphs one by one, with the device's clock and without waiting for them, so that launches overlap as they
// do without it. At the end it writes a line for each to the file that KT_TIMELINE names:
//
//     BEGIN END WIDTH HEIGHT NAME        nanoseconds from the first, and of kernels the grid; copies have their bytes
//
// `timeline.py` builds it, which takes CUPTI's headers and library, and reads what it writes.
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cupti.h>
#include <mutex>
#include <string>
#include <vector>

namespace {

constexpr size_t kBufferBytes = size_t(8) << 20, kAlignment = 64;

struct Record {
  uint64_t begin, end, width, height;
  std::string name;
};

std::mutex mutex; // buffers come from a thread of CUPTI's
std::vector<Record> records;

void CUPTIAPI giveBuffer(uint8_t **buffer, size_t *bytes, size_t *mostRecords) {
  *buffer = static_cast<uint8_t *>(std::aligned_alloc(kAlignment, kBufferBytes));
  *bytes = *buffer ? kBufferBytes : 0;
  *mostRecords = 0; // as many as there is room for
}

void CUPTIAPI takeBuffer(CUcontext, uint32_t, uint8_t *buffer, size_t, size_t valid) {
  std::lock_guard lock(mutex);
  CUpti_Activity *record = nullptr;
  while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
    if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
      const auto *kernel = reinterpret_cast<const CUpti_ActivityKernel9 *>(record);
      records.push_back({kernel->start, kernel->end, static_cast<uint64_t>(kernel->gridX),
                         static_cast<uint64_t>(kernel->gridY), kernel->name});
    } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMCPY) {
      const auto *copy = reinterpret_cast<const CUpti_ActivityMemcpy5 *>(record);
      records.push_back({copy->start, copy->end, copy->bytes, 1, "copy"});
    }
  }
  std::free(buffer);
}

void writeRecords() {
  cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  const char *path = std::getenv("KT_TIMELINE");
  std::FILE *file = path ? std::fopen(path, "w") : nullptr;
  if (!file) {
    std::fprintf(stderr, "timeline: KT_TIMELINE names no file that can be written\n");
    return;
  }
  std::lock_guard lock(mutex);
  std::sort(records.begin(), records.end(), [](const Record &a, const Record &b) { return a.begin < b.begin; });
  for (const Record &r : records)
    std::fprintf(file, "%llu %llu %llu %llu %s\n", static_cast<unsigned long long>(r.begin - records[0].begin),
                 static_cast<unsigned long long>(r.end - records[0].begin), static_cast<unsigned long long>(r.width),
                 static_cast<unsigned long long>(r.height), r.name.c_str());
  std::fclose(file);
}

} // namespace

extern "C" int InitializeInjection() {
  if (cuptiActivityRegisterCallbacks(giveBuffer, takeBuffer) != CUPTI_SUCCESS)
    return 0;
  cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
  cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMCPY);
  std::atexit(writeRecords);
  return 1;
}
