//===- CudaGraph.cpp - a recorded run on an NVIDIA GPU --------------------===//
//
// See CudaGraph.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/CudaGraph.h"

#include <utility>

namespace kt::device {

static cuda::DevicePointer address(const void *memory) { return reinterpret_cast<cuda::DevicePointer>(memory); }

void KernelCall::set(const StageLaunch &stage, const LaunchArguments &a) {
  function = static_cast<const CudaFunction *>(stage.function);
  for (size_t i = 0; i < 3; ++i)
    grid[i] = static_cast<unsigned>(stage.grid[i]);
  block = stage.stage->block;
  cluster = static_cast<unsigned>(stage.cluster);
  shared = static_cast<unsigned>(stage.shared);
  values.clear();
  for (uint32_t i = 0; i < a.numBuffers; ++i)
    values.push_back(address(a.buffers[i]));
  if (a.hasWorkspace)
    values.push_back(address(a.workspace));
  if (a.hasCounters)
    values.push_back(address(a.counters));
  if (a.reportsFaults)
    values.push_back(address(a.faults));
  if (a.pages)
    values.push_back(address(a.pages));
  for (uint32_t i = 0; i < a.numInts; ++i)
    values.push_back(static_cast<uint32_t>(static_cast<int32_t>(a.ints[i])));
}

void **KernelCall::parameters() {
  places.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    places[i] = &values[i];
  return places.data();
}

CudaGraph::~CudaGraph() {
  driver.CtxSetCurrent(context);
  if (exec)
    driver.GraphExecDestroy(exec);
  if (graph)
    driver.GraphDestroy(graph);
}

Status CudaGraph::instantiate(cuda::Graph captured) {
  graph = captured;
  KT_CUDA(driver, GraphInstantiate, &exec, graph, 0);
  return {};
}

Status CudaGraph::unlike(size_t node) {
  return Status::failed("the run is not like the recorded one at node " + std::to_string(node));
}

void CudaGraph::change(size_t node) {
  if (!std::exchange(all[node].isChanged, true))
    changed.push_back(node);
}

Status CudaGraph::update(size_t node, const StageLaunch &stage, const LaunchArguments &arguments) {
  next.set(stage, arguments);
  auto *call = at<KernelCall>(node);
  // Other sizes may have chosen another kernel; only what it waits for is the graph's and not the node's, and clusters
  // are what the driver cannot change in a graph that is executable.
  if (!call || call->function->overlaps != next.function->overlaps || call->cluster != next.cluster ||
      (call->function == next.function && call->values.size() != next.values.size()))
    return unlike(node);
  if (*call == next)
    return {};
  std::swap(*call, next);
  change(node);
  return {};
}

template <typename Call> Status CudaGraph::replace(size_t node, const Call &call) {
  auto *had = at<Call>(node);
  if (!had)
    return unlike(node);
  if (*had == call)
    return {};
  *had = call;
  change(node);
  return {};
}

Status CudaGraph::updateCopy(size_t node, void *dst, const void *src, uint64_t bytes) {
  return replace(node, CopyCall{dst, src, bytes});
}

Status CudaGraph::updateZero(size_t node, void *dst, uint64_t bytes) { return replace(node, ZeroCall{dst, bytes}); }

Status CudaGraph::send() {
  for (size_t number : changed) {
    Node &node = all[number];
    KT_RETURN_IF_ERROR(std::visit([&](auto &call) { return send(node, call); }, node.call));
    node.isChanged = false;
  }
  changed.clear();
  return {};
}

Status CudaGraph::send(const Node &node, KernelCall &call) {
  cuda::KernelNodeParams params{call.function->handle,
                                {call.grid[0], call.grid[1], call.grid[2]},
                                {call.block[0], call.block[1], call.block[2]},
                                call.shared,
                                call.parameters(),
                                nullptr};
  KT_CUDA(driver, GraphExecKernelNodeSetParams, exec, node.handle, &params);
  return {};
}

Status CudaGraph::send(const Node &node, const CopyCall &call) {
  cuda::Memcpy3D params{};
  params.src.memoryType = params.dst.memoryType = cuda::kMemoryDevice;
  params.src.device = address(call.src);
  params.dst.device = address(call.dst);
  params.width = call.bytes;
  params.height = params.depth = 1;
  KT_CUDA(driver, GraphExecMemcpyNodeSetParams, exec, node.handle, &params, context);
  return {};
}

Status CudaGraph::send(const Node &node, const ZeroCall &call) {
  cuda::MemsetNodeParams params{address(call.dst), 0, 0, 1, call.bytes, 1};
  KT_CUDA(driver, GraphExecMemsetNodeSetParams, exec, node.handle, &params, context);
  return {};
}

} // namespace kt::device
