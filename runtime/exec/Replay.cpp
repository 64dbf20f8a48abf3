//===- Replay.cpp - the program, plain or as a graph ----------------------===//
//
// A straight program is recorded once and replayed by every run that has the same launches, whatever their addresses,
// integers and grids: walking the program anew tells the graph what differs, which costs much less than launching it.
//
//===----------------------------------------------------------------------===//

#include "runtime/api/Guard.h"
#include "runtime/exec/Executor.h"
#include <utility>

namespace kt::exec {

using namespace artifact;

/// Takes the program's steps, which end names as they go: each walk begins with those that are given.
Status Executor::walk() {
  bindGiven();
  stream->beginRun();
  return runProgram();
}

Status Executor::execute() {
  bool repeatable = stream->canRecord() && program.options.cudaGraphs && program.info->straight && shapes.allPrepared &&
                    !shapes.usesFallback && !program.weights->anyStreamed() && !profiling &&
                    numerics == Numerics::unchecked && !graphFailed;
  if (profiling && profileEvents.empty())
    profileStart = std::chrono::steady_clock::now();
  bool done = false, failed = repeatable && !executeGraph(done).ok();
  if (failed)
    graph.reset();
  // Nothing of a graph that failed ran, and its work can be done without one. Where the program itself is at fault, or
  // was cancelled, this fails as well and says why.
  if (!done)
    KT_RETURN_IF_ERROR(walk());
  if (failed) {
    graphFailed = true; // until other shapes are planned: each attempt costs about a run
    ++counts.graphFailures;
  }
  ++runsOfPlan;
  ++counts.runs;
  return {};
}

/// The second run with the same shapes, or with such that everything lies where it did, is recorded instead of done,
/// then replayed as the following ones are: in one call each. `done` says whether it was.
Status Executor::executeGraph(bool &done) {
  if (graph && graphIsStale && !updateGraph())
    graph.reset();
  if (!graph && runsOfPlan == 0 && !shapes.keptPlaces)
    return {};
  if (!graph)
    KT_RETURN_IF_ERROR(recordGraph());
  // New shapes that change most of the graph may not come again, and their launches need not wait for one another. But
  // where the next ones do so as well, everything has moved, or all of it grows.
  bool most = runsOfPlan == 0 && graph->pending() > graph->nodes() / 2;
  if (!std::exchange(mostChanged, most) && most)
    return {};
  for (size_t i = 0; i < m.outputs.size(); ++i)
    bindTo(m.outputs[i].buffer, replayedOutputs[i]);
  uint64_t patches = graph->pending();
  KT_RETURN_IF_ERROR(stream->replay(*graph));
  counts.graphPatches += patches;
  ++counts.graphReplays;
  done = true;
  return {};
}

Status Executor::recordGraph() {
  KT_RETURN_IF_ERROR(stream->beginRecord());
  Status status = guarded([&] { return walk(); }); // whatever happens, recording has to end
  auto recorded = stream->endRecord();
  KT_RETURN_IF_ERROR(std::move(status));
  if (!recorded.ok())
    return std::move(recorded).status();
  graph = *std::move(recorded);
  graphIsStale = false;
  ++counts.graphRecordings;
  replayedOutputs.clear();
  for (const Port &port : m.outputs)
    replayedOutputs.push_back(bound[port.buffer]); // fixed storages all: a recorded run uses no others
  return {};
}

/// Walks the program to tell the graph what is to be other than it was; false where it is no longer the same launches.
bool Executor::updateGraph() {
  uint64_t launches = counts.launches, once = counts.onceLaunches;
  if (!stream->beginUpdate(*graph).ok())
    return false;
  Status walked = guarded([&] { return walk(); });
  Status all = stream->endUpdate();
  counts.launches = launches, counts.onceLaunches = once; // nothing has been launched
  graphIsStale = !(walked.ok() && all.ok());
  return !graphIsStale;
}

} // namespace kt::exec
