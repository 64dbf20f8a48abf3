//===- HostDevice.h - the CPU as a device ---------------------------------===//
//
// Runs position-independent images on a thread pool.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_DEVICE_HOSTDEVICE_H
#define KT_RUNTIME_DEVICE_HOSTDEVICE_H

#include "runtime/device/Device.h"
#include "runtime/device/ThreadPool.h"

#include <unordered_map>

namespace kt::device {

/// 0 below x86-64-v3, then 3 or 4: what this CPU, and the system's handling of its registers, can run.
int hostLevel();
/// Whether it has VNNI, products of four bytes and four bytes, in the registers of `level`.
bool hostHasVnni(int level);
/// The processor as it calls itself.
std::string cpuName();

class HostDevice final : public Device {
public:
  /// `level` is hostLevel(), or less to run what an older CPU would.
  explicit HostDevice(unsigned threads, int level = hostLevel()) : HostDevice(threads, level, hostHasVnni(level)) {}
  HostDevice(unsigned threads, int level, bool vnni);
  ~HostDevice() override;

  bool isHost() const override { return true; }
  std::string name() const override;
  Facts facts() const override;
  std::string kind() const override { return cpuName(); }
  int preference(const std::string &target) const override;
  Status unsupported(const std::vector<std::string> &targets) const override;
  Status load(const artifact::Model &model) override;
  bool runs(uint32_t module) const override { return images[module].address; }
  const void *function(const artifact::Stage &stage) const override;
  Result<void *> allocate(uint64_t bytes) override;
  void release(void *memory) override;
  Result<void *> allocateStaging(uint64_t bytes) override { return allocate(bytes); }
  void releaseStaging(void *memory) override { release(memory); }
  Result<std::pair<uint64_t, uint64_t>> memory() const override;
  Result<std::unique_ptr<Stream>> createStream() override;
  Status checkMemory(const void *memory) const override;
  Status checkStream(void *stream) const override;

  ThreadPool &threads() { return pool; }

private:
  struct Image {
    void *address = nullptr;
    size_t bytes = 0;
  };
  ThreadPool pool;
  int level;
  bool vnni;
  std::vector<Image> images; // by module; null where the module is not for this CPU
};

} // namespace kt::device

#endif
