//===- Benchmark.h - how fast a model runs --------------------------------===//
//
// Repeats a run and reports it as text or as Google Benchmark's JSON.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TOOLS_KTRUN_BENCHMARK_H
#define KT_TOOLS_KTRUN_BENCHMARK_H

#include "kt/Runtime.h"

namespace ktrun {

/// Runs for about `seconds` after a warm-up and prints to standard output.
kt::Status benchmark(const kt::Model &model, kt::Session &session, std::span<const kt::TensorView> inputs,
                     const std::string &name, double seconds, bool resident, bool json);

/// Writes the session's launches as a Chrome trace (chrome://tracing, Perfetto).
kt::Status writeTrace(const kt::Session &session, const std::string &path);

/// Prints the session's counters to standard error.
kt::Status printStats(const kt::Model &model, const kt::Session &session);

} // namespace ktrun

#endif
