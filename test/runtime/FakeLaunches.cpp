//===- FakeLaunches.cpp - modules, launches and graphs of the fake driver -===//
//
// See FakeCuda.h.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/FakeDriver.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>

using namespace kt::fakecuda;

namespace {
struct Function {
  std::string name;
  void *module;
  std::vector<size_t> parameters; // bytes of each, where somebody else runs it
};
struct LoadedModule {
  std::shared_ptr<const std::string> text;
  std::map<std::string, Function> functions;
};
std::set<void *> modules, graphs; // that live

struct MemcpySide { // halves of a CUDA_MEMCPY3D
  size_t x, y, z, lod;
  int type;
  const void *host;
  unsigned long long device;
  void *array, *reserved;
  size_t pitch, height;
};
struct MemcpyParams {
  MemcpySide src, dst;
  size_t width, height, depth;
};
struct MemsetParams { // CUDA_MEMSET_NODE_PARAMS
  unsigned long long dst;
  size_t pitch;
  unsigned value, elementSize;
  size_t width, height;
};

/// Bytes of the parameters of a function of a PTX module; false where it has no such function.
bool findParameters(const std::string &text, const std::string &name, std::vector<size_t> &bytes) {
  std::string start = ".entry " + name + "(";
  size_t at = text.find(start);
  if (at == std::string::npos)
    return false;
  size_t end = text.find("{", at);
  while ((at = text.find(".param .", at)) < end) {
    at += std::strlen(".param .") + 1; // the type is b, u, s or f and its bits
    bytes.push_back(std::strtoul(text.c_str() + at, nullptr, 10) / 8);
  }
  return true;
}
} // namespace

bool kt::fakecuda::isLoaded(void *module) { return modules.count(module) > 0; }

EXPORT int cuModuleLoadDataEx(void **module, const void *image, unsigned count, int *options, void **values) {
  // Compiling takes long and takes place outside of the driver's lock.
  {
    CALL("cuModuleLoadDataEx");
    if (!current)
      return kInvalidValue;
    if (int failed = queues.breakCaptures())
      return failed;
    state.peakLoading = std::max(state.peakLoading, ++state.loading);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(state.jitMilliseconds));
  std::lock_guard lock(mutex);
  --state.loading;
  std::string text = static_cast<const char *>(image);
  if (!state.jitError.empty() && text.find(state.jitFails) != std::string::npos) {
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == 5)
        std::strcpy(static_cast<char *>(values[i]), state.jitError.c_str());
    return kInvalidPtx;
  }
  if (text.find(".version") == std::string::npos)
    return kInvalidPtx;
  state.loaded.push_back(text);
  ++state.liveObjects;
  *module = new LoadedModule{std::make_shared<std::string>(std::move(text)), {}};
  modules.insert(*module);
  return 0;
}
EXPORT int cuModuleUnload(void *module) {
  CALL("cuModuleUnload");
  modules.erase(module);
  delete static_cast<LoadedModule *>(module);
  --state.liveObjects;
  return 0;
}
EXPORT int cuModuleGetFunction(void **function, void *module, const char *name) {
  CALL("cuModuleGetFunction");
  static const std::set<std::string> known = {"add", "scale", "reporting", "append"};
  auto &[text, functions] = *static_cast<LoadedModule *>(module);
  Function found = {name, module, {}};
  if (kernels ? !findParameters(*text, name, found.parameters) : !known.count(name))
    return kNotFound;
  *function = &(functions[name] = std::move(found));
  return 0;
}
EXPORT int cuFuncSetAttribute(void *, int attribute, int value) {
  CALL("cuFuncSetAttribute");
  return attribute == 8 && value <= 99 * 1024 ? 0 : kInvalidValue;
}
namespace {
struct KernelParams { // CUDA_KERNEL_NODE_PARAMS
  void *function;
  unsigned grid[3], block[3], shared;
  void **parameters, **extra;
};
/// `cluster` is an attribute of the launch, or of its node: other parameters leave it as it was.
int makeKernelWork(const KernelParams &p, unsigned cluster, Work &work) {
  unsigned x = p.grid[0], y = p.grid[1], z = p.grid[2], threads = p.block[0], shared = p.shared;
  if (cluster > 8 || (cluster && y % cluster))
    return kInvalidValue;
  if (x == 0 || y == 0 || z == 0 || threads == 0 || threads > 1024 || shared > 99 * 1024)
    return kInvalidValue;
  void **parameters = p.parameters;
  const auto &function = *static_cast<Function *>(p.function);
  if (kernels) {
    std::vector<uint64_t> values(function.parameters.size());
    for (size_t i = 0; i < values.size(); ++i)
      std::memcpy(&values[i], parameters[i], function.parameters[i]);
    std::array<unsigned, 3> grid = {x, y, z};
    auto text = static_cast<LoadedModule *>(function.module)->text;
    work = {"cuLaunchKernel",
            [=, name = function.name] {
              kernels(text->c_str(), name.c_str(), grid.data(), threads, shared, cluster, values.data());
            },
            {},
            function.module};
    return 0;
  }
  auto floats = [&](int i) { return *static_cast<float **>(parameters[i]); };
  auto integer = [&](int i) { return *static_cast<int *>(parameters[i]); };
  auto on = [&](int i, int64_t n) { return onDevice(*static_cast<unsigned long long *>(parameters[i]), n * 4); };
  int64_t covered = int64_t(x) * threads;
  if (function.name == "add") {
    float *a = floats(0), *b = floats(1), *c = floats(2);
    int64_t n = std::min<int64_t>(integer(3), covered);
    work = {"cuLaunchKernel",
            [=] {
              for (int64_t i = 0; i < n; ++i)
                c[i] = a[i] + b[i];
            },
            {on(0, n), on(1, n), on(2, n)},
            function.module};
    return 0;
  }
  // `append` puts numbers behind those that a state in pages has, and tells all: (past, new) -> (present, all); [past,
  // new] of them.
  if (function.name == "append") {
    float *added = floats(1), *present = floats(2), *all = floats(3);
    int *table = *static_cast<int **>(parameters[4]);
    int64_t past = integer(5), n = integer(6);
    auto at = [=](int64_t row) { return present + table[1 + row / 128] * 128 + row % 128; };
    work = {"cuLaunchKernel",
            [=] {
              for (int64_t i = 0; i < n; ++i)
                *at(past + i) = added[i];
              for (int64_t i = 0; i < past + n; ++i)
                all[i] = *at(i);
            },
            {on(1, n), on(2, 1), on(3, past + n), on(4, 1 + (past + n + 127) / 128)},
            function.module};
    return 0;
  }
  // `reporting` says of a negative number that it is not below 5: { int64 index; uint32 limit, site; } in host memory.
  bool reports = function.name == "reporting";
  float *a = floats(0), *b = floats(1);
  struct Record {
    int64_t index;
    uint32_t limit, site;
  } *faults = reports ? *static_cast<Record **>(parameters[2]) : nullptr;
  int64_t n = std::min<int64_t>(integer(reports ? 3 : 2), covered);
  int k = integer(reports ? 4 : 3);
  std::vector<Touched> touched = {on(0, n), on(1, n)};
  if (reports)
    touched.push_back(onHost(faults, sizeof(Record)));
  work = {"cuLaunchKernel",
          [=] {
            for (int64_t i = 0; i < n; ++i) {
              if (faults && a[i] < 0)
                *faults = {static_cast<int64_t>(a[i]), 5, 1};
              b[i] = a[i] * static_cast<float>(k);
            }
          },
          std::move(touched), function.module};
  return 0;
}
} // namespace

namespace {
int launch(const KernelParams &params, unsigned cluster, void *stream) {
  Work work;
  if (int failed = makeKernelWork(params, cluster, work))
    return failed;
  if (++state.launches == state.failingLaunch)
    return kUnknown;
  state.blocks += uint64_t(params.grid[0]) * params.grid[1] * params.grid[2];
  work.cluster = cluster;
  if (cluster)
    state.clusters.push_back(cluster);
  return enqueue(stream, std::move(work));
}
struct LaunchConfig { // CUlaunchConfig
  unsigned grid[3], block[3], shared;
  void *stream;
  struct {
    int id;
    alignas(8) int value[16];
  } *attributes;
  unsigned numAttributes;
};
} // namespace
EXPORT int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *stream, void **parameters, void **) {
  CALL("cuLaunchKernel");
  return launch({function, {x, y, z}, {bx, by, bz}, shared, parameters, nullptr}, 0, stream);
}
EXPORT int cuLaunchKernelEx(const LaunchConfig *c, void *function, void **parameters, void **extra) {
  CALL("cuLaunchKernelEx");
  constexpr int kClusterDimension = 4, kProgrammaticStreamSerialization = 6;
  unsigned cluster = 0;
  bool overlaps = false;
  for (unsigned i = 0; i < c->numAttributes; ++i) {
    const auto &[id, value] = c->attributes[i];
    if (id == kProgrammaticStreamSerialization && value[0] == 1 && !overlaps)
      overlaps = true;
    else if (id == kClusterDimension && value[0] == 1 && value[1] > 0 && value[2] == 1 && !cluster)
      cluster = value[1];
    else
      return kInvalidValue;
  }
  auto text = static_cast<LoadedModule *>(static_cast<Function *>(function)->module)->text;
  if (overlaps && (state.computeCapability < 90 || text->find("griddepcontrol.wait;") == std::string::npos))
    state.violations.push_back("a kernel that does not wait for launches before it overlaps them");
  if (cluster && state.computeCapability < 90)
    state.violations.push_back("clusters on a card that has none");
  const auto &[grid, block, shared, stream, attributes, count] = *c;
  return launch({function, {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared, parameters, nullptr},
                cluster, stream);
}
EXPORT int cuStreamBeginCapture_v2(void *stream, int) {
  CALL("cuStreamBeginCapture");
  return queues.beginCapture(streamOf(stream));
}
EXPORT int cuStreamEndCapture(void *stream, void **graph) {
  std::lock_guard lock(mutex);
  if (int failed = answer("cuStreamEndCapture")) { // the capture is over all the same
    Graph *none = nullptr;
    queues.endCapture(streamOf(stream), none);
    delete none;
    return failed;
  }
  Graph *captured = nullptr;
  int result = queues.endCapture(streamOf(stream), captured);
  *graph = captured;
  if (captured)
    graphs.insert(captured);
  state.liveObjects += captured != nullptr;
  return result;
}
namespace {
// A graph that is destroyed or patched while it is in flight lives as it was until it has run: the queue has its own
// hold.
struct Exec {
  std::shared_ptr<Graph> graph;
  Graph *original; // whose nodes are named
};

/// What a node of an executable graph does from its next launch on. Only a node of its kind does that.
int patch(void *handle, void *node, Work work) {
  auto &exec = *static_cast<Exec *>(handle);
  if (!graphs.count(exec.original)) {
    violation("a node is patched whose graph is destroyed");
    return kInvalidValue;
  }
  size_t number = exec.original->number(node);
  if (number >= exec.graph->nodes.size() || std::strcmp(exec.graph->nodes[number].work.call, work.call) != 0)
    return kInvalidValue;
  if (exec.graph.use_count() > 1)
    exec.graph = std::make_shared<Graph>(*exec.graph);
  exec.graph->nodes[number].work = std::move(work);
  ++state.patches;
  return 0;
}

/// That a node's launch was captured with, and keeps.
unsigned clusterOf(void *handle, void *node) {
  const Graph &graph = *static_cast<Exec *>(handle)->graph;
  size_t number = graph.number(node);
  return number < graph.nodes.size() ? graph.nodes[number].work.cluster : 0;
}
} // namespace

EXPORT int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long) {
  CALL("cuGraphInstantiateWithFlags");
  auto *captured = static_cast<Graph *>(graph);
  *exec = new Exec{std::make_shared<Graph>(*captured), captured};
  ++state.liveObjects;
  return 0;
}
EXPORT int cuGraphExecKernelNodeSetParams(void *exec, void *node, const KernelParams *params) {
  CALL("cuGraphExecKernelNodeSetParams");
  Work work;
  if (int failed = makeKernelWork(*params, clusterOf(exec, node), work))
    return failed;
  work.cluster = clusterOf(exec, node);
  return patch(exec, node, std::move(work));
}
EXPORT int cuGraphExecMemcpyNodeSetParams(void *exec, void *node, const MemcpyParams *params, void *context) {
  CALL("cuGraphExecMemcpyNodeSetParams");
  const auto &[src, dst, width, height, depth] = *params;
  if (context != &state || src.type != 2 || dst.type != 2 || height != 1 || depth != 1 || width == 0 || src.x || dst.x)
    return kInvalidValue;
  return patch(exec, node, copyWork(dst.device, src.device, width));
}
EXPORT int cuGraphExecMemsetNodeSetParams(void *exec, void *node, const MemsetParams *params, void *context) {
  CALL("cuGraphExecMemsetNodeSetParams");
  if (context != &state || params->elementSize != 1 || params->height != 1 || params->width == 0)
    return kInvalidValue;
  return patch(exec, node, fillWork(params->dst, static_cast<unsigned char>(params->value), params->width));
}
EXPORT int cuGraphLaunch(void *exec, void *stream) {
  CALL("cuGraphLaunch");
  ++state.graphLaunches;
  queues.enqueue(streamOf(stream), {nullptr, static_cast<Exec *>(exec)->graph, nullptr, nullptr});
  return 0;
}
EXPORT int cuGraphDestroy(void *graph) {
  CALL("cuGraphDestroy");
  graphs.erase(graph);
  delete static_cast<Graph *>(graph);
  --state.liveObjects;
  return 0;
}
EXPORT int cuGraphExecDestroy(void *exec) {
  CALL("cuGraphExecDestroy");
  delete static_cast<Exec *>(exec);
  --state.liveObjects;
  return 0;
}
