//===- Arrays.h - numpy's arrays and the runtime's tensors ----------------===//
//
// Through numpy's Python interface, not its C one: an extension of one version then serves all of them, and types that
// other packages add (ml_dtypes) are types as any other.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PYTHON_ARRAYS_H
#define KT_PYTHON_ARRAYS_H

#include "kt/Runtime.h"

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

  /// Looks at `value` as an array of the port's type and rank, and copies it only where it is not contiguous. Raises
  /// UsageError for everything else.
  void borrow(nb::handle value, Port &port);
  const TensorView &view() const { return tensor; }

private:
  Py_buffer buffer = {};
  TensorView tensor;
};

/// A new array of numpy's for an output, without its elements.
nb::object emptyArray(const TensorView &tensor, Port &port);
/// Where the elements of a new array are; it has to be contiguous.
void *dataOf(nb::handle array);

} // namespace kt::python

#endif
