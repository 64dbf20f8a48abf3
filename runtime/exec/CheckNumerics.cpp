//===- CheckNumerics.cpp - who made what is not finite --------------------===//
//
// While it is asked for, each launch is waited for and its floating-point results are looked at. The run ends at the
// first that has a NaN or an infinity although the launch was given none. What was given is known without looking
// again: each storage remembers what was seen as it was written, and inputs, weights and states are looked at before
// the run.
//
// Looked at is what holds something: results that anything reads, because a variant that keeps a result in shared
// memory or registers leaves out those that nothing outside its kernel reads; of a state as much as it has elements.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Print.h"
#include "runtime/exec/Executor.h"

#include <algorithm>

namespace kt::exec {

using namespace artifact;

/// Bits of Storage::numerics.
constexpr uint8_t kFaulty = 1, kMinusInfinity = 2;
/// Memory of a device comes to the host in pieces of so many bytes.
constexpr uint64_t kPieceBytes = uint64_t(1) << 20;

static uint8_t bitsOf(const NumericsCount &count, Numerics mode) {
  return (count.isFaulty(mode) ? kFaulty : 0) | (count.minusInfinities ? kMinusInfinity : 0);
}

Status Executor::checkNumerics(Numerics mode) {
  if (mode == numerics)
    return {};
  if (mode != Numerics::unchecked)
    for (const Kernel &kernel : m.kernels)
      if (kernel.results.size() != kernel.numResults)
        return Status::usage("the artifact does not say what its kernels' results are, which is needed to look at "
                             "them: it is of an older compiler");
  KT_RETURN_IF_ERROR(settle());
  numerics = mode;
  readers.assign(m.buffers.size(), 0);
  findReaders(m.program);
  for (const Port &port : m.outputs)
    readers[port.buffer] = 1;
  inputNumerics.assign(m.inputs.size(), 0);
  weightNumerics.clear();
  // What was made before nobody has looked at.
  planned = prologueDone = false;
  return {};
}

/// Notes the buffers that instructions read. What a launch makes and reads itself counts for nothing.
void Executor::findReaders(const Block &block) {
  auto all = [&](const std::vector<BufferId> &ids, size_t count) {
    for (size_t k = 0; k < count; ++k)
      readers[ids[k]] = 1;
  };
  for (const Instruction &instruction : block.instructions) {
    if (auto *i = std::get_if<Launch>(&instruction)) {
      all(i->buffers, i->buffers.size() - m.kernels[i->kernel].numResults);
    } else if (auto *i = std::get_if<Copy>(&instruction)) {
      readers[i->src] = 1;
    } else if (auto *i = std::get_if<ReadScalar>(&instruction)) {
      readers[i->buffer] = 1;
    } else if (auto *i = std::get_if<Alias>(&instruction)) {
      readers[i->source] = 1;
    } else if (auto *i = std::get_if<If>(&instruction)) {
      findReaders(*i->then);
      findReaders(*i->otherwise);
      all(i->thenYields, i->thenYields.size());
      all(i->otherwiseYields, i->otherwiseYields.size());
    } else if (auto *i = std::get_if<Loop>(&instruction)) {
      findReaders(*i->body);
      for (const auto *ids : {&i->init, &i->next, &i->scanPieces})
        all(*ids, ids->size());
    }
  }
}

void Executor::warn(const std::string &what, const NumericsCount &count, std::span<const int64_t> dims) {
  std::string text = what + ", " + shapeText(count.type, dims) + ", has " + count.text(numerics, dims) +
                     "; what follows from it is no fault of a node";
  if (std::find(warnings.begin(), warnings.end(), text) == warnings.end())
    warnings.push_back(std::move(text));
}

/// Once: they do not change.
Status Executor::lookAtWeights() {
  if (numerics == Numerics::unchecked || !weightNumerics.empty())
    return {};
  std::vector<uint8_t> found(m.weights.size());
  for (WeightId w = 0; w < m.weights.size(); ++w) {
    const Weight &weight = m.weights[w];
    if (!NumericsCount::counts(weight.type))
      continue;
    NumericsCount count{weight.type};
    count.add(weight.bytes.data(), weight.bytes.size() / byteSize(weight.type), 0);
    found[w] = bitsOf(count, numerics);
    if (count.isFaulty(numerics))
      warn("weight '" + escaped(weight.name) + "'", count, weight.dims);
  }
  weightNumerics = std::move(found);
  return program.intact(); // what is missing of a file that was cut reads as zeros
}

Status Executor::lookAtInputs(std::span<const InputView> inputs) {
  if (numerics == Numerics::unchecked)
    return {};
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Port &port = m.inputs[i];
    Storage &storage = fixed[port.buffer];
    inputNumerics[i] = 0;
    if (!keepsInput(i)) {
      if (!NumericsCount::counts(port.type))
        continue;
      NumericsCount count{port.type};
      if (inputs[i].onDevice)
        KT_RETURN_IF_ERROR(lookAt(storage, 0, inputBytes(i) / byteSize(port.type), 0, count));
      else
        count.add(inputs[i].data, inputBytes(i) / byteSize(port.type), 0);
      if (count.isFaulty(numerics))
        warn("input '" + escaped(port.name) + "'", count, inputs[i].dims);
      inputNumerics[i] = bitsOf(count, numerics);
      continue;
    }
    for (const Kept &k : kept) { // there may be several for an input
      if (k.input != i || !NumericsCount::counts(k.type))
        continue;
      NumericsCount count{k.type};
      // What is kept in another form has nothing under the input's name.
      KT_RETURN_IF_ERROR(lookAtKept(k, k.tensor ? fixed[k.root] : storage, k.held, count));
      std::vector<int64_t> dims = k.dims;
      if (k.grows)
        dims[k.axis] = k.held;
      if (count.isFaulty(numerics))
        warn("input '" + escaped(port.name) + "', which the session keeps", count, dims);
      // A run that failed, or that was taken back, may have left anything behind the end. Where each sequence ends is
      // data in some models, so that not all of what the state then has is written: the rest shall not look faulty.
      if (k.grows)
        KT_RETURN_IF_ERROR(forEachPiece(k, k.held, k.next, [&](uint64_t offset, uint64_t elements, uint64_t) {
          return stream->zero(static_cast<char *>(k.memory) + offset, elements * byteSize(k.type));
        }));
      inputNumerics[i] |= bitsOf(count, numerics);
    }
  }
  return {};
}

/// What is known of memory that a program begins with.
void Executor::bindNumerics() {
  if (numerics == Numerics::unchecked)
    return;
  for (BufferId b = 0; b < m.buffers.size(); ++b)
    if (m.buffers[b].kind == Buffer::Kind::Weight)
      bound[b]->numerics = weightNumerics[program.weights->canonical(m.buffers[b].weight)];
  for (size_t i = 0; i < m.inputs.size(); ++i)
    fixed[m.inputs[i].buffer].numerics = inputNumerics[i];
  for (const Kept &k : kept)
    fixed[k.root].numerics = inputNumerics[k.input];
}

/// What is not finite in what a launch reads, and in what it writes over.
uint8_t Executor::numericsGiven(const Launch &i) const {
  size_t operands = i.buffers.size() - m.kernels[i.kernel].numResults;
  uint8_t given = 0;
  for (size_t k = 0; k < i.buffers.size(); ++k)
    if (k < operands || keptAs(bound[i.buffers[k]]))
      given |= bound[i.buffers[k]]->numerics;
  return given;
}

const Executor::Kept *Executor::keptAs(const Storage *storage) const {
  for (const Kept &k : kept)
    if (storage == &fixed[k.root])
      return &k;
  return nullptr;
}

Status Executor::lookAtResults(const Launch &i, const PreparedLaunch &prepared, uint8_t given) {
  const Kernel &kernel = m.kernels[i.kernel];
  auto in = [&] { return nodeText(i.node) + ": kernel '" + escaped(kernel.name) + "'"; };
  if (Status status = stream->synchronize(); !status.ok())
    return std::move(status).in(in());
  // What was computed past an index that is out of its range says nothing.
  if (Status fault = takeFault(); !fault.ok()) {
    abandonKept();
    settleKept(false);
    return fault;
  }
  evaluateKernel(kernel, prepared.ints, program.device->facts(), kernelScratch);
  const Variant &variant = *prepared.candidate->variant;
  for (uint32_t r = 0; r < kernel.numResults; ++r) {
    BufferId id = i.buffers[kernel.numBuffers - kernel.numResults + r];
    const ResultType &result = kernel.results[r];
    if (!readers[id] || !NumericsCount::counts(result.type))
      continue;
    Storage &storage = *bound[id];
    NumericsCount count{result.type};
    std::vector<int64_t> dims;
    if (const Kept *k = keptAs(&storage)) {
      dims = k->dims;
      if (k->grows)
        dims[k->axis] = k->next;
      KT_RETURN_IF_ERROR(lookAtKept(*k, storage, k->next, count));
    } else {
      for (ExprId dim : result.dims)
        dims.push_back(kernelScratch[dim].ok() ? kernelScratch[dim].value : -1);
      auto bytes = tensorBytes(result.type, dims);
      if (!bytes || *bytes > storage.bytes) // the artifact's mistake, and memory that is not the buffer's
        return Status::rejected(in() + ": result " + std::to_string(r) + " is said to be " +
                                shapeText(result.type, dims) + " but its buffer has " + std::to_string(storage.bytes) +
                                " bytes");
      KT_RETURN_IF_ERROR(lookAt(storage, 0, *bytes / byteSize(result.type), 0, count));
    }
    storage.numerics = bitsOf(count, numerics);
    if (!count.isFaulty(numerics) || (given & kFaulty))
      continue;
    std::string schedule = variant.schedule.empty() ? "" : " " + escaped(variant.schedule);
    return Status::failed(in() + " (" + escaped(variant.target) + schedule + "): result " + std::to_string(r) + ", " +
                          shapeText(result.type, dims) + ", has " + count.text(numerics, dims) +
                          ", but what it is made of has none" +
                          (given & kMinusInfinity ? " except minus infinity" : "") + "; " + count.largestText());
  }
  return {};
}

/// Calls `fn` with where elements [begin, end) of a state along the dimension that grows lie in its memory: the offset
/// in bytes, how many behind one another, and the number of the first in a tensor that ends at `end`.
template <typename Fn> Status Executor::forEachPiece(const Kept &k, int64_t begin, int64_t end, Fn fn) const {
  uint64_t size = byteSize(k.type);
  auto product = [&](size_t from, size_t to) {
    uint64_t n = 1;
    for (size_t d = from; d < to; ++d)
      n *= static_cast<uint64_t>(k.dims[d]);
    return n;
  };
  if (!k.grows)
    return fn(0, product(0, k.dims.size()), 0);
  bool paged = pages != nullptr;
  uint64_t rows = static_cast<uint64_t>(k.dims[k.axis]), inner = product(k.axis + 1, k.dims.size());
  uint64_t outer = product(paged ? 1 : 0, k.axis), batch = paged ? table.batch : 1;
  uint64_t first = static_cast<uint64_t>(begin), last = static_cast<uint64_t>(end);
  while (first < last) {
    uint64_t block = first / rows, stop = std::min(last, (block + 1) * rows);
    for (uint64_t b = 0; b < batch; ++b) {
      uint64_t page = paged ? static_cast<uint64_t>(table.copy[1 + block * batch + b]) : 0;
      for (uint64_t o = 0; o < outer; ++o)
        KT_RETURN_IF_ERROR(fn(((page * outer + o) * rows + first % rows) * inner * size, (stop - first) * inner,
                              ((b * outer + o) * last + first) * inner));
    }
    first = stop;
  }
  return {};
}

/// Of a state that grows, which has more room, its elements up to `end`. Which of them are new is not asked: where each
/// sequence ends is data in some models. Those that were there were looked at before the run.
Status Executor::lookAtKept(const Kept &k, const Storage &storage, int64_t end, NumericsCount &count) {
  return forEachPiece(k, 0, end, [&](uint64_t offset, uint64_t elements, uint64_t first) {
    return lookAt(storage, offset, elements, first, count);
  });
}

/// Nothing that the stream was given may write there.
Status Executor::lookAt(const Storage &storage, uint64_t offset, uint64_t elements, uint64_t first,
                        NumericsCount &count) {
  bool onHost = program.device->isHost();
  if (onHost || !storage.deviceValid) {
    const void *data = onHost ? storage.data : storage.mirror;
    count.add(static_cast<const char *>(data) + offset, elements, first);
    return {};
  }
  KT_RETURN_IF_ERROR(ensurePinned(numericsPiece, kPieceBytes));
  uint64_t size = byteSize(count.type), most = kPieceBytes / size;
  for (uint64_t begin = 0; begin < elements; begin += most) {
    uint64_t piece = std::min(most, elements - begin);
    KT_RETURN_IF_ERROR(stream->copyOut(numericsPiece.memory,
                                       static_cast<const char *>(storage.data) + offset + begin * size, piece * size));
    KT_RETURN_IF_ERROR(stream->synchronize());
    count.add(numericsPiece.memory, piece, first + begin);
  }
  return {};
}

} // namespace kt::exec
