//===- Outputs.cpp - where the outputs of a run go ------------------------===//

#include "python/src/Outputs.h"
#include "python/src/Errors.h"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace kt::python {

namespace {
/// From here on pages of 2 MB are worth asking for, as numpy does: each first touch of a page is a fault.
constexpr uint64_t kHugePages = 4 << 20;

int getBuffer(PyObject *self, Py_buffer *view, int flags) {
  auto &memory = *nb::inst_ptr<HostMemory>(self);
  return PyBuffer_FillInfo(view, self, memory.data(), static_cast<Py_ssize_t>(memory.size()), /*readonly=*/0, flags);
}

std::string dimsText(std::span<const int64_t> dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}
} // namespace

HostMemory::HostMemory(uint64_t size) : bytes(size) {
  uint64_t rounded = (std::max<uint64_t>(size, 1) + kAlignment - 1) / kAlignment * kAlignment;
  memory = rounded < size ? nullptr : std::aligned_alloc(kAlignment, rounded);
#ifdef MADV_HUGEPAGE
  if (memory && size >= kHugePages) {
    auto begin = (reinterpret_cast<uintptr_t>(memory) + 4095) & ~uintptr_t(4095);
    madvise(reinterpret_cast<void *>(begin), size - (begin - reinterpret_cast<uintptr_t>(memory)), MADV_HUGEPAGE);
  }
#endif
}

HostMemory::~HostMemory() { std::free(memory); }

void bindHostMemory(nb::module_ &m) {
  static PyType_Slot slots[] = {{Py_bf_getbuffer, reinterpret_cast<void *>(&getBuffer)}, {0, nullptr}};
  nb::class_<HostMemory>(m, "HostMemory", nb::type_slots(slots),
                         "Memory that the array of an output owns. Seen through the buffer protocol.");
}

void Destination::stay(kt::Model &model, int number) {
  if (given.is_valid())
    return;
  stays = &model;
  card = number;
}

void Destination::give(nb::handle array, Port &port, const Place &place) {
  const std::string what = "output '" + port.info.name + "': ";
  if (isOnGpu(array)) {
    gpu = GpuTensor(array, place, "output '" + port.info.name + "'", /*writes=*/true);
    checkTensor(gpu, port, "output");
    given = nb::borrow(array);
    return;
  }
  if (!PyObject_CheckBuffer(array.ptr()))
    raise(Status::usage(what + "expected an array to write to but got " +
                        std::string(nb::str(array.type().attr("__name__")).c_str())));
  checkArray(array, port, "output");
  if (PyObject_GetBuffer(array.ptr(), &buffer, PyBUF_C_CONTIGUOUS) != 0) {
    PyErr_Clear();
    raise(Status::usage(what + "expected an array in C order to write to, but this one is not contiguous"));
  }
  if (buffer.readonly)
    raise(Status::usage(what + "expected an array to write to, but this one is read-only"));
  given = nb::borrow(array);
}

Result<void *> Destination::memory(const Port &port, std::span<const int64_t> dims, uint64_t bytes, Scratch &scratch) {
  if (given.is_valid()) {
    std::vector<int64_t> shape;
    if (gpu.valid())
      shape.assign(gpu.dims().begin(), gpu.dims().end());
    else
      shape.assign(buffer.shape, buffer.shape + buffer.ndim);
    if (!std::equal(dims.begin(), dims.end(), shape.begin(), shape.end()))
      return Status::usage("expected " + std::string(dtypeName(port.info.type)) + dimsText(dims) +
                           " to write to but got " + dtypeName(port.info.type) + dimsText(shape));
    return gpu.valid() ? gpu.data() : buffer.buf;
  }
  if (stays) {
    auto allocated = stays->allocate(bytes);
    if (!allocated.ok())
      return std::move(allocated).status();
    onGpu = GpuMemory(*std::move(allocated));
    return onGpu.get();
  }
  if (bytes <= Scratch::kBytes) {
    if (!scratch.memory)
      scratch.memory = std::make_unique<HostMemory>(Scratch::kBytes);
    return scratch.memory->data();
  }
  fresh = std::make_unique<HostMemory>(bytes);
  if (!fresh->data())
    return Status::failed("no memory for " + std::to_string(bytes) + " bytes");
  return fresh->data();
}

nb::object Destination::take(const TensorView &output, Port &port) {
  if (given.is_valid())
    return given;
  if (onGpu.get())
    return nb::cast(DeviceArray(std::move(onGpu), output, card));
  if (!fresh) {
    nb::object array = emptyArray(output, port);
    if (uint64_t bytes = output.bytes())
      std::memcpy(dataOf(array), output.data, bytes);
    return array;
  }
  return arrayOver(nb::cast(fresh.release(), nb::rv_policy::take_ownership), output, port);
}

} // namespace kt::python
