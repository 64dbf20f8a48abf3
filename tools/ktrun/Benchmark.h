//===- Benchmark.h - how fast a model runs --------------------------------===//
//
// Repeats a run and reports it as text or as Google Benchmark's JSON.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TOOLS_KTRUN_BENCHMARK_H
#define KT_TOOLS_KTRUN_BENCHMARK_H

#include "tools/ktrun/Iterations.h"

namespace ktrun {

struct BenchmarkOptions {
  double seconds = 2;
  bool resident = false; // inputs and outputs are in memory of the device
  bool json = false;
  std::vector<Carry>
      carries; // where there are some, each run but the first of `iterations` goes on with the one before
  uint64_t iterations = 1;
  uint64_t queued = 1; // runs that are enqueued before they are waited for, of which each takes its share of the time
};

/// Runs for about so many seconds after a warm-up and prints to standard output.
kt::Status benchmark(const kt::Model &model, kt::Session &session, std::span<const kt::TensorView> inputs,
                     const std::string &name, const BenchmarkOptions &options);

/// Writes the session's launches as a Chrome trace (chrome://tracing, Perfetto).
kt::Status writeTrace(const kt::Session &session, const std::string &path);

/// Prints the session's counters to standard error.
kt::Status printStats(const kt::Model &model, const kt::Session &session);

} // namespace ktrun

#endif
