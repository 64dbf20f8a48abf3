//===- Dlpack.h - tensors of other libraries on the GPU -------------------===//
//
// The ABI of DLPack 1 (github.com/dmlc/dlpack), and the array API's protocol over it. Arrays in host memory are numpy's
// business; this is for those on the card that a model runs on.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PYTHON_DLPACK_H
#define KT_PYTHON_DLPACK_H

#include "kt/Runtime.h"

#include <nanobind/nanobind.h>

namespace kt::python {

namespace nb = nanobind;

struct DlDevice {
  int32_t type, id;
};
struct DlType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DlTensor {
  void *data;
  DlDevice device;
  int32_t rank;
  DlType type;
  int64_t *dims, *strides; // strides in elements; null: in C order
  uint64_t byteOffset;
};

constexpr int32_t kDlCuda = 2, kDlCudaManaged = 13;

/// CU_STREAM_LEGACY, the default stream, which the array API calls 1 as well.
constexpr uintptr_t kLegacyStream = 1;

/// Where a model runs, and what is done before and behind a run there.
struct Place {
  int card = -1; // its number; -1: the host
  /// A CUstream, or null for the legacy default one, which orders with all that do not say otherwise.
  uintptr_t stream = 0;
};

/// Whether a value says that its memory is a GPU's.
bool isOnGpu(nb::handle value);

/// A tensor on the GPU that another library has, for as long as this lives.
class GpuTensor {
public:
  GpuTensor() = default;
  /// Asks `value` for its tensor, ready for the place's stream. Raises UsageError, which begins with `what`, where it
  /// is of another device, not in C order, or to be written to and read-only.
  GpuTensor(nb::handle value, const Place &place, const std::string &what, bool writes);

  bool valid() const { return capsule.is_valid(); }
  void *data() const { return static_cast<char *>(tensor->data) + tensor->byteOffset; }
  std::span<const int64_t> dims() const { return {tensor->dims, static_cast<size_t>(tensor->rank)}; }
  bool isOf(DataType type) const;
  /// "float32[2, 3]"
  std::string text() const;

private:
  nb::object capsule; // whose end gives the tensor back
  const DlTensor *tensor = nullptr;
};

/// Memory on the GPU. Giving it back may wait for the device, and does so without the GIL.
class GpuMemory {
public:
  GpuMemory() = default;
  explicit GpuMemory(std::shared_ptr<void> memory) : held(std::move(memory)) {}
  GpuMemory(const GpuMemory &) = default;
  GpuMemory(GpuMemory &&) = default;
  GpuMemory &operator=(const GpuMemory &) = delete;
  GpuMemory &operator=(GpuMemory &&) = default; // of one that holds nothing
  ~GpuMemory();

  void *get() const { return held.get(); }

private:
  std::shared_ptr<void> held;
};

/// An output that stays on the GPU.
class DeviceArray {
public:
  DeviceArray(GpuMemory memory, const TensorView &tensor, int card)
      : memory(std::move(memory)), type(tensor.type), dims(tensor.dims), card(card) {}

  nb::tuple device() const { return nb::make_tuple(kDlCuda, card); }
  nb::object dlpack(nb::handle maxVersion, nb::handle device, nb::handle copy) const;
  nb::tuple shape() const;
  nb::object dtype() const;
  uintptr_t pointer() const { return reinterpret_cast<uintptr_t>(memory.get()); }
  uint64_t bytes() const { return TensorView{"", type, dims}.bytes(); }
  std::string repr() const;

private:
  GpuMemory memory;
  DataType type;
  std::vector<int64_t> dims;
  int card;
};

void bindDeviceArray(nb::module_ &m);

} // namespace kt::python

#endif
