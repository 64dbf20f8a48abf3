//===- CudaGraph.h - a recorded run on an NVIDIA GPU ----------------------===//
//
// An executable graph with a mirror of what each of its nodes does: patching a node costs a driver call, finding out
// that there is nothing to patch a comparison. Patching is what is done instead of recording again and
// cuGraphExecUpdate, because that takes every launch through the driver to change the few whose addresses are others.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_DEVICE_CUDAGRAPH_H
#define KT_RUNTIME_DEVICE_CUDAGRAPH_H

#include "runtime/device/CudaModules.h"
#include "runtime/device/Device.h"

#include <array>

namespace kt::device {

/// A kernel's launch as the driver takes it.
struct KernelCall {
  const CudaFunction *function = nullptr;
  std::array<unsigned, 3> grid{}, block{};
  unsigned cluster = 0, shared = 0;
  std::vector<uint64_t> values; // of the parameters; an integer is the lower half

  /// Keeps its memory.
  void set(const StageLaunch &stage, const LaunchArguments &arguments);
  /// Where the values are. Valid until they change.
  void **parameters();
  bool operator==(const KernelCall &other) const {
    return function == other.function && grid == other.grid && block == other.block && cluster == other.cluster &&
           shared == other.shared && values == other.values;
  }

private:
  std::vector<void *> places;
};
struct CopyCall {
  void *dst;
  const void *src;
  uint64_t bytes;
  bool operator==(const CopyCall &) const = default;
};
struct ZeroCall {
  void *dst;
  uint64_t bytes;
  bool operator==(const ZeroCall &) const = default;
};
/// Recorded all the same, but for good.
struct OtherCall {};

class CudaGraph final : public Graph {
public:
  CudaGraph(const cuda::Driver &driver, cuda::Context context) : driver(driver), context(context) {}
  ~CudaGraph() override;

  /// The next node while the graph is recorded.
  template <typename Call> void add(cuda::GraphNode handle, const Call &call) { all.push_back({handle, call}); }
  /// Takes the captured graph, which owns the nodes, and makes it executable.
  Status instantiate(cuda::Graph captured);
  /// Tells the driver what has changed.
  Status send();

  size_t nodes() const override { return all.size(); }
  size_t pending() const override { return changed.size(); }
  Status update(size_t node, const StageLaunch &stage, const LaunchArguments &arguments) override;
  Status updateCopy(size_t node, void *dst, const void *src, uint64_t bytes) override;
  Status updateZero(size_t node, void *dst, uint64_t bytes) override;

  /// The failure of a run that is not like the recorded one from this node on.
  static Status unlike(size_t node);

  cuda::GraphExec exec = nullptr;

private:
  struct Node {
    cuda::GraphNode handle;
    std::variant<KernelCall, CopyCall, ZeroCall, OtherCall> call;
    bool isChanged = false; // and among `changed`
  };
  /// What a node does, or null where it does another kind of thing.
  template <typename Call> Call *at(size_t node) {
    return node < all.size() ? std::get_if<Call>(&all[node].call) : nullptr;
  }
  template <typename Call> Status replace(size_t node, const Call &call);
  void change(size_t node);
  Status send(const Node &node, KernelCall &call);
  Status send(const Node &node, const CopyCall &call);
  Status send(const Node &node, const ZeroCall &call);
  Status send(const Node &, const OtherCall &) { return {}; }

  const cuda::Driver &driver;
  cuda::Context context;
  cuda::Graph graph = nullptr;
  std::vector<Node> all;
  std::vector<size_t> changed;
  KernelCall next;
};

} // namespace kt::device

#endif
