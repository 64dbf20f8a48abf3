//===- CudaDevice.cpp - an NVIDIA GPU as a device -------------------------===//
//
// This build runs on the host only.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/CudaDevice.h"

namespace kt::device {

Result<std::unique_ptr<Device>> createCudaDevice(int ordinal) {
  return Status::failed("cuda:" + std::to_string(ordinal) + " asked for, but this build runs on the host only");
}

} // namespace kt::device
