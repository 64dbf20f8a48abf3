//===- Outputs.h - where the outputs of a run go --------------------------===//
//
// An output is written where its array is: into one of the caller's, or into memory that is allocated once a run knows
// its size and that a new array then owns.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PYTHON_OUTPUTS_H
#define KT_PYTHON_OUTPUTS_H

#include "python/src/Arrays.h"

namespace kt::python {

/// Host memory that an array owns: it begins at a multiple of 64 bytes, as vectors of kernels do.
class HostMemory {
public:
  static constexpr size_t kAlignment = 64;

  /// Without its elements; `data()` is null where there is no memory. Needs no GIL.
  explicit HostMemory(uint64_t size);
  ~HostMemory();
  HostMemory(const HostMemory &) = delete;
  HostMemory &operator=(const HostMemory &) = delete;

  void *data() const { return memory; }
  uint64_t size() const { return bytes; }

private:
  void *memory;
  uint64_t bytes;
};

/// Makes it a class of Python with the buffer protocol.
void bindHostMemory(nb::module_ &m);

/// Memory that a session keeps for outputs so small that an array that numpy makes and a copy are less work.
struct Scratch {
  static constexpr uint64_t kBytes = 16 << 10;
  std::unique_ptr<HostMemory> memory;
};

/// What becomes of one output in one run.
class Destination {
public:
  Destination() = default;
  ~Destination() { PyBuffer_Release(&buffer); }
  Destination(const Destination &) = delete;
  Destination &operator=(const Destination &) = delete;

  /// Has the run write into `array`, which has to be writable, in C order, and of the port's type and rank; else raises
  /// UsageError. It cannot be resized meanwhile. A tensor on the GPU is one too.
  void give(nb::handle array, Port &port, const Place &place);
  /// Has it stay on the GPU, in memory of the model's, unless it has been given any.
  void stay(kt::Model &model, int card);
  Memory where() const { return gpu.valid() || stays ? Memory::device : Memory::host; }
  /// Memory for an output of these dimensions. Without the GIL.
  Result<void *> memory(const Port &port, std::span<const int64_t> dims, uint64_t bytes, Scratch &scratch);
  /// The array that has it, once the run is done.
  nb::object take(const TensorView &output, Port &port);

private:
  nb::object given;
  Py_buffer buffer = {};
  GpuTensor gpu;
  std::unique_ptr<HostMemory> fresh;
  kt::Model *stays = nullptr; // what allocates
  int card = -1;
  GpuMemory onGpu;
};

} // namespace kt::python

#endif
