//===- Dlpack.cpp - tensors of other libraries on the GPU -----------------===//

#include "python/src/Dlpack.h"
#include "python/src/Arrays.h"
#include "python/src/Errors.h"

#include <nanobind/stl/string.h>

namespace kt::python {

namespace {
constexpr char kName[] = "dltensor", kVersionedName[] = "dltensor_versioned";
constexpr uint64_t kReadOnly = 1; // a flag

struct Managed {
  DlTensor tensor;
  void *context;
  void (*deleter)(Managed *);
};
struct Versioned {
  uint32_t major, minor;
  void *context;
  void (*deleter)(Versioned *);
  uint64_t flags;
  DlTensor tensor;
};

/// DLPack's code of a type and its bits; 0 bits for those that it packs and the runtime does not.
DlType dlType(DataType type) {
  auto bits = static_cast<uint8_t>(byteSize(type) * 8);
  switch (type) {
  case DataType::i8:
  case DataType::i16:
  case DataType::i32:
  case DataType::i64:
    return {0, bits, 1};
  case DataType::u8:
  case DataType::u16:
  case DataType::u32:
  case DataType::u64:
    return {1, bits, 1};
  case DataType::f16:
  case DataType::f32:
  case DataType::f64:
    return {2, bits, 1};
  case DataType::bf16:
    return {4, bits, 1};
  case DataType::c64:
  case DataType::c128:
    return {5, bits, 1};
  case DataType::boolean:
    return {6, bits, 1};
  case DataType::f8e4m3fn:
    return {10, bits, 1};
  case DataType::f8e4m3fnuz:
    return {11, bits, 1};
  case DataType::f8e5m2:
    return {12, bits, 1};
  case DataType::f8e5m2fnuz:
    return {13, bits, 1};
  case DataType::f8e8m0:
    return {14, bits, 1};
  default:
    return {0, 0, 1};
  }
}

bool same(const DlType &a, const DlType &b) { return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes; }

std::string nameOf(const DlType &type) {
  for (int i = 0; i < static_cast<int>(DataType::string); ++i)
    if (DlType known = dlType(static_cast<DataType>(i)); known.bits && same(known, type))
      return dtypeName(static_cast<DataType>(i));
  return "DLPack's type " + std::to_string(type.code) + " of " + std::to_string(type.bits) + " bits";
}

bool inOrder(const DlTensor &tensor) {
  int64_t expected = 1;
  for (int32_t i = tensor.rank; tensor.strides && i-- > 0;) {
    if (tensor.dims[i] > 1 && tensor.strides[i] != expected)
      return false;
    expected *= tensor.dims[i];
  }
  return true;
}

std::string deviceText(const DlDevice &device) {
  if (device.type == kDlCuda || device.type == kDlCudaManaged)
    return "cuda:" + std::to_string(device.id);
  return device.type == 1 ? "the host" : "DLPack's device " + std::to_string(device.type);
}

DlDevice deviceOf(nb::handle value) {
  nb::object answer = value.attr("__dlpack_device__")();
  return {nb::cast<int32_t>(nb::int_(answer[0])), nb::cast<int32_t>(nb::int_(answer[1]))};
}
} // namespace

GpuMemory::~GpuMemory() {
  if (!held || !Py_IsInitialized() || !PyGILState_Check())
    return;
  nb::gil_scoped_release released;
  held.reset();
}

bool isOnGpu(nb::handle value) {
  if (!nb::hasattr(value, "__dlpack_device__") || !nb::hasattr(value, "__dlpack__"))
    return false;
  int32_t type = deviceOf(value).type;
  return type == kDlCuda || type == kDlCudaManaged;
}

GpuTensor::GpuTensor(nb::handle value, const Place &place, const std::string &what, bool writes) {
  DlDevice device = deviceOf(value);
  std::string where = place.card < 0 ? "the host" : "cuda:" + std::to_string(place.card);
  if (device.id != place.card)
    raise(Status::usage(what + ": it is on " + deviceText(device) + ", but the model runs on " + where));
  uintptr_t stream = place.stream ? place.stream : kLegacyStream;
  try {
    try {
      capsule = value.attr("__dlpack__")(nb::arg("stream") = stream, nb::arg("max_version") = nb::make_tuple(1, 0));
    } catch (nb::python_error &error) { // of libraries before version 1
      if (!error.matches(PyExc_TypeError))
        throw;
      capsule = value.attr("__dlpack__")(nb::arg("stream") = stream);
    }
  } catch (nb::python_error &error) {
    if (!error.matches(PyExc_Exception) || error.matches(PyExc_MemoryError))
      throw;
    raiseFrom(error, what + ": its library does not give its memory");
  }
  bool readOnly = false;
  if (auto *versioned = static_cast<Versioned *>(PyCapsule_GetPointer(capsule.ptr(), kVersionedName))) {
    if (versioned->major != 1)
      raise(Status::usage(what + ": it is of version " + std::to_string(versioned->major) + " of DLPack, expected 1"));
    tensor = &versioned->tensor;
    readOnly = versioned->flags & kReadOnly;
  } else {
    PyErr_Clear();
    auto *managed = static_cast<Managed *>(PyCapsule_GetPointer(capsule.ptr(), kName));
    if (!managed)
      throw nb::python_error();
    tensor = &managed->tensor;
  }
  if (tensor->device.id != place.card || (tensor->device.type != kDlCuda && tensor->device.type != kDlCudaManaged))
    raise(Status::usage(what + ": it is on " + deviceText(tensor->device) + ", but the model runs on " + where));
  if (!inOrder(*tensor))
    raise(Status::usage(what + ": expected a tensor in C order but got " + text() + " that is not contiguous"));
  if (writes && readOnly)
    raise(Status::usage(what + ": expected a tensor to write to, but this one is read-only"));
}

bool GpuTensor::isOf(DataType type) const {
  DlType expected = dlType(type);
  return expected.bits && same(tensor->type, expected);
}

std::string GpuTensor::text() const {
  std::string text = nameOf(tensor->type) + "[";
  for (int32_t i = 0; i < tensor->rank; ++i)
    text += (i ? ", " : "") + std::to_string(tensor->dims[i]);
  return text + "]";
}

namespace {
/// What a consumer of an output holds.
template <typename M> struct Export {
  M managed;
  GpuMemory memory;
  std::vector<int64_t> dims;
};

template <typename M>
nb::object exportAs(const char *name, GpuMemory memory, DlTensor tensor, const std::vector<int64_t> &dims) {
  auto *made = new Export<M>{{}, std::move(memory), dims};
  tensor.dims = made->dims.data();
  made->managed.tensor = tensor;
  made->managed.context = made;
  made->managed.deleter = [](M *managed) { delete static_cast<Export<M> *>(managed->context); };
  if constexpr (std::is_same_v<M, Versioned>)
    made->managed.major = 1;
  // Whoever takes the tensor gives the capsule another name.
  PyObject *capsule = PyCapsule_New(&made->managed, name, [](PyObject *self) {
    const char *own = std::is_same_v<M, Versioned> ? kVersionedName : kName;
    if (PyCapsule_IsValid(self, own)) {
      auto *managed = static_cast<M *>(PyCapsule_GetPointer(self, own));
      managed->deleter(managed);
    }
  });
  if (!capsule) {
    delete made;
    throw nb::python_error();
  }
  return nb::steal(capsule);
}
} // namespace

nb::object DeviceArray::dlpack(nb::handle maxVersion, nb::handle device, nb::handle copy) const {
  if (!device.is_none() && !device.equal(this->device()))
    throw nb::buffer_error("the array stays on the device that it is on");
  if (!copy.is_none() && nb::cast<bool>(copy))
    throw nb::buffer_error("the array is given without a copy");
  DlType type = dlType(this->type);
  if (!type.bits)
    throw nb::buffer_error(
        ("DLPack has no type for " + std::string(dtypeName(this->type)) + ", a byte an element").c_str());
  DlTensor tensor{memory.get(), {kDlCuda, card}, static_cast<int32_t>(dims.size()), type, nullptr, nullptr, 0};
  if (!maxVersion.is_none() && nb::cast<int>(nb::int_(maxVersion[0])) >= 1)
    return exportAs<Versioned>(kVersionedName, memory, tensor, dims);
  return exportAs<Managed>(kName, memory, tensor, dims);
}

nb::tuple DeviceArray::shape() const {
  nb::list list;
  for (int64_t dim : dims)
    list.append(dim);
  return nb::tuple(list);
}

nb::object DeviceArray::dtype() const { return dtypeOf(type); }

std::string DeviceArray::repr() const {
  std::string text = "<ktransformers.DeviceArray on cuda:" + std::to_string(card) + ": " + dtypeName(type) + "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]>";
}

void bindDeviceArray(nb::module_ &m) {
  using namespace nb::literals;
  nb::class_<DeviceArray>(
      m, "DeviceArray",
      "An output that stays on the GPU, complete and ready for all streams. Other libraries take it "
      "without a copy, by\nDLPack (torch.from_dlpack, cupy.from_dlpack, jax.dlpack.from_dlpack), and so "
      "does a run as an input. Its memory lives as\nlong as it or what has been made of it.")
      .def(
          "__dlpack__",
          [](const DeviceArray &self, nb::handle, nb::handle maxVersion, nb::handle device, nb::handle copy) {
            return self.dlpack(maxVersion, device, copy);
          },
          nb::kw_only(), "stream"_a.none() = nb::none(), "max_version"_a.none() = nb::none(),
          "dl_device"_a.none() = nb::none(), "copy"_a.none() = nb::none(),
          "The tensor for another library. Nothing has to be waited for, so `stream` does not matter.")
      .def("__dlpack_device__", &DeviceArray::device, nb::sig("def __dlpack_device__(self) -> tuple[int, int]"),
           "(2, N): card N.")
      .def_prop_ro("shape", &DeviceArray::shape, nb::sig("def shape(self) -> tuple[int, ...]"), "Its dimensions.")
      .def_prop_ro("dtype", &DeviceArray::dtype, nb::sig("def dtype(self) -> numpy.dtype"), "Its type, numpy's.")
      .def_prop_ro("nbytes", &DeviceArray::bytes, "Bytes of its elements.")
      .def_prop_ro("data_ptr", &DeviceArray::pointer, "Where it is in the memory of the device.")
      .def("__repr__", &DeviceArray::repr);
}

} // namespace kt::python
