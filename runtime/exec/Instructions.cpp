//===- Instructions.cpp - the instructions of a program -------------------===//
//
// What each instruction does to bindings, symbols and memory.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Half.h"
#include "runtime/artifact/Print.h"
#include "runtime/exec/Executor.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace kt::exec {

using namespace artifact;

void Executor::bindTo(BufferId id, Storage *storage) {
  if (storage)
    StoragePool::hold(storage);
  if (bound[id])
    pool.drop(bound[id]);
  bound[id] = storage;
}

void Executor::unbind(BufferId id) { bindTo(id, nullptr); }

Status Executor::define(BufferId id) {
  if (shapes.placed[id]) {
    if (capacity && homes[id])
      touchKept(id);
    pool.dropMirror(fixed[id]);
    fixed[id].deviceValid = true;
    if (!(capacity && homes[id]))
      fixed[id].numerics = 0;
    bindTo(id, &fixed[id]);
    return {};
  }
  auto bytes = values.getSize(m.buffers[id].bytes, "the size of a buffer");
  if (!bytes.ok())
    return std::move(bytes).status();
  auto storage = pool.allocate(*bytes);
  if (!storage.ok())
    return std::move(storage).status();
  bindTo(id, *storage);
  pool.drop(*storage);
  return {};
}

Status Executor::ensureOnDevice(Storage &storage) {
  if (storage.deviceValid)
    return {};
  KT_RETURN_IF_ERROR(stream->copyIn(storage.data, storage.mirror, storage.bytes));
  storage.deviceValid = true;
  return {};
}

/// The copy is complete only once the stream has been synchronised.
Status Executor::ensureOnHost(Storage &storage) {
  if (storage.mirrorValid)
    return {};
  KT_RETURN_IF_ERROR(pool.addMirror(storage));
  storage.mirrorValid = true;
  return stream->copyOut(storage.mirror, storage.data, storage.bytes);
}

std::string Executor::nodeText(uint32_t node) const {
  return node == kNone ? std::string("a node without a name") : "node '" + escaped(m.nodes[node]) + "'";
}

/// What is handed over under another name must be as large as that name says, where it says so already.
Status Executor::checkSize(BufferId id, const char *what) {
  Value expected = values.peek(m.buffers[id].bytes);
  if (!expected.ok() || expected.value <= static_cast<int64_t>(bound[id]->bytes))
    return {};
  return Status::failed(std::string(what) + " (buffer " + std::to_string(id) + ") has " +
                        std::to_string(bound[id]->bytes) + " bytes, expected " + std::to_string(expected.value));
}

/// A streamed weight that goes on living under another name would be overwritten by the next slice.
Status Executor::detachFromStaging(BufferId id) {
  if (!bound[id]->streamed)
    return {};
  auto copy = pool.allocate(bound[id]->bytes);
  if (!copy.ok())
    return std::move(copy).status();
  (*copy)->numerics = bound[id]->numerics;
  Status status = stream->copy((*copy)->data, bound[id]->data, bound[id]->bytes);
  bindTo(id, *copy);
  pool.drop(*copy);
  return status;
}

Status Executor::block(const Block &block, const BlockInfo &info) {
  return range(block, info, 0, block.instructions.size());
}

Status Executor::range(const Block &block, const BlockInfo &info, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    if (cancelled.load(std::memory_order_relaxed))
      return Status::failed("the run was cancelled");
    const InstructionInfo &at = info.instructions[i];
    KT_RETURN_IF_ERROR(std::visit([&](const auto &op) { return step(op, at); }, block.instructions[i]));
    for (BufferId id : at.releases)
      unbind(id);
  }
  return {};
}

Status Executor::step(const Launch &i, const InstructionInfo &info) {
  if (i.once && prologueDone)
    return {};
  PreparedLaunch &prepared = shapes.launches[info.launch];
  if (!prepared.candidate || !program.info->launchIsEarly[info.launch]) {
    if (Status status = prepareLaunch(program, i, values, kernelScratch, prepared, shapes.paged); !status.ok())
      return std::move(status).in(nodeText(i.node));
    if (Status status = prepared.makeReady(program); !status.ok())
      return std::move(status).in(nodeText(i.node));
  }
  for (BufferId id : info.defines)
    if (Status status = define(id); !status.ok())
      return std::move(status).in(nodeText(i.node));

  uint8_t given = numerics == Numerics::unchecked ? 0 : numericsGiven(i);
  std::chrono::steady_clock::time_point start;
  if (profiling) {
    KT_RETURN_IF_ERROR(stream->synchronize());
    start = std::chrono::steady_clock::now();
  }
  Status status;
  const Kernel &kernel = m.kernels[i.kernel];
  if (prepared.candidate->fallback) {
    status = launchOnHost(i, info, prepared);
  } else {
    for (size_t k = 0; k < i.buffers.size(); ++k) {
      Storage &storage = *bound[i.buffers[k]];
      KT_RETURN_IF_ERROR(ensureOnDevice(storage));
      pointers[k] = storage.data;
    }
    Storage *workspace = nullptr;
    KT_RETURN_IF_ERROR(ensureCounters(prepared.counters));
    device::LaunchArguments arguments{pointers.data(), kernel.numBuffers,     kernel.numInts, prepared.ints.data(),
                                      nullptr,         prepared.hasWorkspace, faults.get(),   kernel.reportsFaults,
                                      blockCounters,   prepared.hasCounters};
    if (prepared.candidate->variant->paged)
      arguments.pages = table.memory;
    if (prepared.hasWorkspace) {
      arguments.workspace = prepared.plannedWorkspace;
      if (!arguments.workspace) {
        auto fresh = pool.allocate(prepared.workspace);
        if (!fresh.ok())
          return std::move(fresh).status().in(nodeText(i.node));
        workspace = *fresh;
        arguments.workspace = workspace->data;
      }
      if (prepared.candidate->variant->workspaceZeroed)
        status = stream->zero(arguments.workspace, prepared.workspace);
    }
    for (const device::StageLaunch &stage : prepared.stages) {
      if (!status.ok())
        break;
      if (stage.grid[0] && stage.grid[1] && stage.grid[2])
        status = stream->launch(stage, arguments);
    }
    if (workspace)
      pool.drop(workspace);
    for (size_t k = kernel.numBuffers - kernel.numResults; k < i.buffers.size(); ++k)
      bound[i.buffers[k]]->mirrorValid = false;
  }
  ++counts.launches;
  counts.onceLaunches += i.once && shapes.keepsOnce;
  if (!status.ok())
    return std::move(status).in(nodeText(i.node) + ": kernel '" + escaped(kernel.name) + "'");
  if (profiling) {
    if (Status done = stream->synchronize(); !done.ok())
      return std::move(done).in(nodeText(i.node) + ": kernel '" + escaped(kernel.name) + "'");
    using Micro = std::chrono::duration<double, std::micro>;
    auto end = std::chrono::steady_clock::now();
    uint64_t bytes = 0;
    for (BufferId id : i.buffers)
      bytes += bound[id]->bytes;
    profileEvents.push_back({kernel.name, i.node == kNone ? "" : m.nodes[i.node], prepared.candidate->variant->target,
                             prepared.candidate->variant->schedule, Micro(start - profileStart).count(),
                             Micro(end - start).count(), bytes, runningSlice});
  }
  return numerics == Numerics::unchecked ? Status() : lookAtResults(i, prepared, given);
}

/// A kernel without GPU code: its buffers come to the host, and go back when a GPU kernel asks for them.
Status Executor::launchOnHost(const Launch &i, const InstructionInfo &info, PreparedLaunch &prepared) {
  const Kernel &kernel = m.kernels[i.kernel];
  ++counts.fallbacks[kernel.name];
  for (BufferId id : info.defines) {
    if (capacity && homes[id]) { // the kernel adds to what is there
      KT_RETURN_IF_ERROR(ensureOnHost(*bound[id]));
      continue;
    }
    KT_RETURN_IF_ERROR(pool.addMirror(*bound[id]));
    bound[id]->mirrorValid = true; // nothing in it yet
  }
  for (BufferId id : i.buffers)
    KT_RETURN_IF_ERROR(ensureOnHost(*bound[id]));
  KT_RETURN_IF_ERROR(stream->synchronize());
  for (size_t k = 0; k < i.buffers.size(); ++k)
    pointers[k] = bound[i.buffers[k]]->mirror;
  if (prepared.hasWorkspace && prepared.workspace > hostWorkspaceCapacity) {
    auto fresh = program.fallbackHost->allocate(prepared.workspace);
    if (!fresh.ok())
      return std::move(fresh).status();
    program.fallbackHost->release(hostWorkspace);
    hostWorkspace = *fresh;
    hostWorkspaceCapacity = prepared.workspace;
  }
  device::LaunchArguments arguments{pointers.data(), kernel.numBuffers,     kernel.numInts, prepared.ints.data(),
                                    hostWorkspace,   prepared.hasWorkspace, faults.get(),   kernel.reportsFaults};
  if (prepared.hasWorkspace && prepared.candidate->variant->workspaceZeroed)
    KT_RETURN_IF_ERROR(hostStream->zero(hostWorkspace, prepared.workspace));
  for (const device::StageLaunch &stage : prepared.stages)
    if (stage.grid[0])
      KT_RETURN_IF_ERROR(hostStream->launch(stage, arguments));
  for (size_t k = kernel.numBuffers - kernel.numResults; k < i.buffers.size(); ++k)
    bound[i.buffers[k]]->deviceValid = false;
  return {};
}

Status Executor::step(const Copy &i, const InstructionInfo &info) {
  for (BufferId id : info.defines)
    KT_RETURN_IF_ERROR(define(id));
  uint64_t amounts[3] = {0, 0, 0};
  const ExprId ids[3] = {i.srcOffset, i.dstOffset, i.bytes};
  const char *names[3] = {"the source offset of a copy", "the destination offset of a copy", "the size of a copy"};
  for (unsigned k = 0; k < 3; ++k) {
    if (ids[k] == kNone)
      continue;
    auto amount = values.getSize(ids[k], names[k]);
    if (!amount.ok())
      return std::move(amount).status();
    amounts[k] = *amount;
  }
  auto [from, to, bytes] = amounts;
  Storage &src = *bound[i.src], &dst = *bound[i.dst];
  auto outside = [&](uint64_t offset, const Storage &storage) {
    return offset > storage.bytes || bytes > storage.bytes - offset;
  };
  for (auto [offset, storage, id, what] :
       {std::tuple(from, &src, i.src, "reads"), std::tuple(to, &dst, i.dst, "writes")})
    if (outside(offset, *storage))
      return Status::failed("a copy " + std::string(what) + " " + std::to_string(bytes) + " bytes at " +
                            std::to_string(offset) + " of buffer " + std::to_string(id) + ", which has " +
                            std::to_string(storage->bytes) + " bytes");
  if (bytes == 0)
    return {};
  KT_RETURN_IF_ERROR(ensureOnDevice(src));
  KT_RETURN_IF_ERROR(ensureOnDevice(dst));
  dst.mirrorValid = false;
  dst.numerics |= src.numerics;
  return stream->copy(static_cast<char *>(dst.data) + to, static_cast<const char *>(src.data) + from, bytes);
}

namespace {

int64_t truncated(double value) {
  if (std::isnan(value))
    return 0;
  if (value >= 0x1p63)
    return INT64_MAX;
  return value < -0x1p63 ? INT64_MIN : static_cast<int64_t>(value);
}

template <typename T> T as(const unsigned char *bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

int64_t decode(DType type, const unsigned char *bytes) {
  switch (type) {
  case DType::f32:
    return truncated(as<float>(bytes));
  case DType::f64:
    return truncated(as<double>(bytes));
  case DType::f16:
    return truncated(halfToFloat(as<uint16_t>(bytes)));
  case DType::bf16:
    return truncated(std::bit_cast<float>(uint32_t(as<uint16_t>(bytes)) << 16));
  case DType::i8:
  case DType::i4:
  case DType::i2:
    return as<int8_t>(bytes);
  case DType::boolean:
    return as<uint8_t>(bytes) != 0;
  case DType::i16:
    return as<int16_t>(bytes);
  case DType::u16:
    return as<uint16_t>(bytes);
  case DType::i32:
    return as<int32_t>(bytes);
  case DType::u32:
    return as<uint32_t>(bytes);
  case DType::i64:
  case DType::u64:
    return as<int64_t>(bytes);
  default:
    return as<uint8_t>(bytes);
  }
}

} // namespace

Status Executor::step(const ReadScalar &i, const InstructionInfo &) {
  uint64_t index = 0;
  if (i.index != kNone) {
    auto value = values.getSize(i.index, "the index of a scalar");
    if (!value.ok())
      return std::move(value).status();
    index = *value;
  }
  const Storage &storage = *bound[i.buffer];
  uint64_t size = byteSize(i.type);
  if (index >= storage.bytes / size)
    return Status::failed("element " + std::to_string(index) + " of buffer " + std::to_string(i.buffer) +
                          " is read, which has " + std::to_string(storage.bytes / size) + " elements");
  unsigned char bytes[16];
  if (storage.mirrorValid || program.device->isHost()) {
    const void *data = program.device->isHost() ? storage.data : storage.mirror;
    std::memcpy(bytes, static_cast<const char *>(data) + index * size, size);
  } else {
    KT_RETURN_IF_ERROR(stream->copyOut(bytes, static_cast<const char *>(storage.data) + index * size, size));
    KT_RETURN_IF_ERROR(stream->synchronize());
  }
  // What was computed past a fault says nothing, least of all how large something is, and whichever of the runs that
  // nobody has waited for it comes from, none of them has added anything.
  if (Status fault = takeFault(); !fault.ok()) {
    abandonKept();
    settleKept(false);
    return fault;
  }
  values.set(i.symbol, decode(i.type, bytes));
  return {};
}

Status Executor::step(const SetSymbol &i, const InstructionInfo &) {
  auto value = values.get(i.value);
  if (!value.ok())
    return std::move(value).status();
  values.set(i.symbol, *value);
  return {};
}

Status Executor::step(const Assert &i, const InstructionInfo &) {
  auto lhs = values.get(i.lhs), rhs = values.get(i.rhs);
  for (const auto *side : {&lhs, &rhs})
    if (!side->ok())
      return Status(side->status()).in(nodeText(i.node));
  if (*lhs == *rhs)
    return {};
  return Status::failed(nodeText(i.node) + ": " + escaped(i.message) + ": '" + printExpr(m, i.lhs) + "' is " +
                        std::to_string(*lhs) + " but '" + printExpr(m, i.rhs) + "' is " + std::to_string(*rhs));
}

Status Executor::step(const Alias &i, const InstructionInfo &) {
  bindTo(i.result, bound[i.source]);
  return checkSize(i.result, "an alias");
}

Status Executor::step(const If &i, const InstructionInfo &info) {
  auto condition = values.get(i.condition);
  if (!condition.ok())
    return std::move(condition).status();
  const Block &taken = *condition ? *i.then : *i.otherwise;
  const BlockInfo &takenInfo = info.blocks[*condition ? 0 : 1];
  const auto &yields = *condition ? i.thenYields : i.otherwiseYields;
  KT_RETURN_IF_ERROR(block(taken, takenInfo));
  for (size_t k = 0; k < i.results.size(); ++k) {
    bindTo(i.results[k], bound[yields[k]]);
    KT_RETURN_IF_ERROR(detachFromStaging(i.results[k]));
    KT_RETURN_IF_ERROR(checkSize(i.results[k], "the result of a branch"));
  }
  for (BufferId id : takenInfo.defined)
    unbind(id);
  return {};
}

/// Puts a piece behind (or, in reverse, before) those that a scan output has. With `exact` trips the whole is allocated
/// at once.
Status Executor::append(Scan &scan, Storage &piece, bool reverse, uint64_t iteration, uint64_t trips, bool exact) {
  if (scan.count && piece.bytes != scan.piece)
    return Status::failed("a scan output's pieces have " + std::to_string(scan.piece) + " bytes but iteration " +
                          std::to_string(iteration) + " gives " + std::to_string(piece.bytes));
  scan.piece = piece.bytes;
  uint64_t capacity = scan.storage ? BlockCache::bytesOf(scan.storage->sizeClass) : 0, needed = 0;
  if (__builtin_mul_overflow(piece.bytes, exact ? trips : scan.count + 1, &needed))
    return Status::failed("a scan output of " + std::to_string(trips) + " pieces of " + std::to_string(piece.bytes) +
                          " bytes is too large");
  if (!scan.storage || needed > capacity) {
    auto fresh = pool.allocate(exact ? needed : std::max(needed, 2 * capacity));
    if (!fresh.ok())
      return std::move(fresh).status();
    if (scan.storage) {
      (*fresh)->numerics = scan.storage->numerics;
      KT_RETURN_IF_ERROR(stream->copy((*fresh)->data, scan.storage->data, scan.count * scan.piece));
      pool.drop(scan.storage);
    }
    scan.storage = *fresh;
  }
  ++scan.count;
  if (piece.bytes == 0)
    return {};
  scan.storage->numerics |= piece.numerics;
  KT_RETURN_IF_ERROR(ensureOnDevice(piece));
  uint64_t place = reverse ? trips - 1 - iteration : iteration;
  return stream->copy(static_cast<char *>(scan.storage->data) + place * piece.bytes, piece.data, piece.bytes);
}

Status Executor::step(const Loop &i, const InstructionInfo &info) {
  uint64_t trips = UINT64_MAX;
  if (i.trips != kNone) {
    auto value = values.get(i.trips);
    if (!value.ok())
      return std::move(value).status();
    trips = *value > 0 ? static_cast<uint64_t>(*value) : 0;
  }
  bool exact = i.trips != kNone && i.condition == kNone;
  const BlockInfo &body = info.blocks[0];
  std::vector<Scan> scans(i.scan.size());
  // Whatever happens, memory goes back to the pool.
  struct DropScans {
    std::vector<Scan> &scans;
    StoragePool &pool;
    ~DropScans() {
      for (Scan &scan : scans)
        if (scan.storage)
          pool.drop(scan.storage);
    }
  } dropScans{scans, pool};

  for (size_t k = 0; k < i.carried.size(); ++k) {
    bindTo(i.carried[k], bound[i.init[k]]);
    KT_RETURN_IF_ERROR(detachFromStaging(i.carried[k]));
  }
  uint64_t iteration = 0;
  for (; iteration < trips; ++iteration) {
    if (cancelled.load(std::memory_order_relaxed)) // a body may hold no instruction
      return Status::failed("the run was cancelled");
    if (i.induction != kNone)
      values.set(i.induction, static_cast<int64_t>(iteration));
    if (i.condition != kNone) {
      auto condition = values.get(i.condition);
      if (!condition.ok())
        return std::move(condition).status();
      if (*condition == 0)
        break;
    }
    for (BufferId id : i.carried)
      KT_RETURN_IF_ERROR(checkSize(id, "a carried value"));
    KT_RETURN_IF_ERROR(block(*i.body, body));
    for (size_t k = 0; k < scans.size(); ++k)
      KT_RETURN_IF_ERROR(append(scans[k], *bound[i.scanPieces[k]], i.scanReverse[k], iteration, trips, exact));
    size_t base = handover.size();
    for (BufferId id : i.next) {
      KT_RETURN_IF_ERROR(detachFromStaging(id));
      StoragePool::hold(bound[id]);
      handover.push_back(bound[id]);
    }
    for (BufferId id : body.defined)
      unbind(id);
    for (size_t k = 0; k < i.carried.size(); ++k) {
      bindTo(i.carried[k], handover[base + k]);
      pool.drop(handover[base + k]);
    }
    handover.resize(base);
  }
  if (i.iterations != kNone)
    values.set(i.iterations, static_cast<int64_t>(iteration));
  for (size_t k = 0; k < i.carried.size(); ++k) {
    bindTo(i.results[k], bound[i.carried[k]]);
    unbind(i.carried[k]);
    KT_RETURN_IF_ERROR(checkSize(i.results[k], "the result of a loop"));
  }
  for (size_t k = 0; k < scans.size(); ++k) {
    Scan &scan = scans[k];
    if (!scan.storage) {
      auto empty = pool.allocate(0);
      if (!empty.ok())
        return std::move(empty).status();
      scan.storage = *empty;
    }
    scan.storage->bytes = scan.count * scan.piece;
    bindTo(i.scan[k], scan.storage);
    KT_RETURN_IF_ERROR(checkSize(i.scan[k], "a scan output"));
  }
  return {};
}

} // namespace kt::exec
