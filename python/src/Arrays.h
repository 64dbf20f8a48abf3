//===- Arrays.h - numpy's arrays and the runtime's tensors ----------------===//
//
// Through numpy's Python interface, not its C one: an extension of one version then serves all of them, and types that
// other packages add (ml_dtypes) are types as any other.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PYTHON_ARRAYS_H
#define KT_PYTHON_ARRAYS_H

#include "python/src/Dlpack.h"

#include <nanobind/nanobind.h>

namespace kt::python {

namespace nb = nanobind;

/// To be called once, when the extension is imported.
void importNumpy();

/// "float32", "bfloat16": numpy's name of a type, or ml_dtypes'.
const char *dtypeName(DataType type);
/// numpy's dtype; raises UsageError for a type that only ml_dtypes has where that is not installed.
nb::object dtypeOf(DataType type);

/// One input or output of a model. What Python made for it is kept, so that a run looks nothing up.
struct Port {
  PortInfo info;
  nb::object dtype = {}; // made by the first use, since ml_dtypes may be missing

  nb::handle numpyType() {
    if (!dtype.is_valid())
      dtype = dtypeOf(info.type);
    return dtype;
  }
  /// "float32[batch, 128]"
  std::string text() const;
};

/// An array that the runtime reads where it is. It cannot be resized as long as it is borrowed.
class Borrowed {
public:
  Borrowed() = default;
  ~Borrowed() { PyBuffer_Release(&buffer); }
  Borrowed(const Borrowed &) = delete;
  Borrowed &operator=(const Borrowed &) = delete;

  /// Looks at `value` as an array of the port's type and rank, and copies it only where it is not contiguous; on the
  /// GPU it is used where it is. Raises UsageError for everything else.
  void borrow(nb::handle value, Port &port, const Place &place);
  bool isOnGpu() const { return gpu.valid(); }
  /// Says what there is, but for the name.
  void show(TensorView &tensor) const {
    tensor.type = type;
    if (gpu.valid())
      tensor.dims.assign(gpu.dims().begin(), gpu.dims().end());
    else
      tensor.dims.assign(buffer.shape, buffer.shape + buffer.ndim);
    tensor.data = gpu.valid() ? gpu.data() : buffer.buf;
    tensor.memory = gpu.valid() ? Memory::device : Memory::host;
  }

private:
  Py_buffer buffer = {};
  GpuTensor gpu;
  DataType type = DataType::f32;
};

/// Raises UsageError unless an array has the port's type, its rank, and those of its dimensions that are constant;
/// `what` is "input" or "output".
void checkArray(nb::handle array, Port &port, const char *what);
/// The same of a tensor on the GPU.
void checkTensor(const GpuTensor &tensor, const Port &port, const char *what);
/// A new array of numpy's for an output, without its elements.
nb::object emptyArray(const TensorView &tensor, Port &port);
/// An array for an output over memory that `owner` shows by the buffer protocol, which it keeps.
nb::object arrayOver(nb::object owner, const TensorView &tensor, Port &port);
/// Where the elements of a new array are; it has to be contiguous.
void *dataOf(nb::handle array);

} // namespace kt::python

#endif
