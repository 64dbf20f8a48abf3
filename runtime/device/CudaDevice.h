//===- CudaDevice.h - an NVIDIA GPU as a device ---------------------------===//
//
// Talks to the driver only, which is loaded at run time: neither building nor starting needs CUDA.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_DEVICE_CUDADEVICE_H
#define KT_RUNTIME_DEVICE_CUDADEVICE_H

#include "runtime/device/Device.h"

namespace kt::device {

/// Fails, saying what is missing, when there is no driver or no GPU of that number.
Result<std::unique_ptr<Device>> createCudaDevice(int ordinal);

} // namespace kt::device

#endif
