//===- CudaStream.h - a session's work on an NVIDIA GPU -------------------===//
//
// A stream with a second one for copies of weights, its events, and recorded runs.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_DEVICE_CUDASTREAM_H
#define KT_RUNTIME_DEVICE_CUDASTREAM_H

#include "runtime/device/CudaDriver.h"
#include "runtime/device/Device.h"

namespace kt::device {

/// The context has to outlive the stream and what it records.
kt::Result<std::unique_ptr<Stream>> createCudaStream(const cuda::Driver &driver, cuda::Context context);

} // namespace kt::device

#endif
