//===- Tuner.h - measures the variants of a model's kernels ---------------===//
//
// Every launch of a program, for sizes that the caller gives, with every variant that fits: alone, on memory of its own
// and on a cold second-level cache.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_TUNER_H
#define KT_RUNTIME_EXEC_TUNER_H

#include "runtime/exec/Program.h"
#include "runtime/exec/Tuning.h"

#include <functional>

namespace kt::exec {

struct TuneOptions {
  /// Sizes by name: every combination is measured.
  std::map<std::string, std::vector<int64_t>> dims;
  unsigned repetitions = 9;                   // of which the median counts
  uint64_t leastFlushed = uint64_t(32) << 20; // a host has further caches, of which its facts say nothing
};

/// What `tune` could not measure.
struct TuneGaps {
  uint64_t unknown = 0;   // launches with sizes that only a run knows
  uint64_t unfitting = 0; // launches that no variant of the device takes, and variants that a launch is too large for
};

/// Measures on the program's device. Code::usage where a size is missing or out of its bounds.
Result<TuningFile> tune(Program &program, const TuneOptions &options, TuneGaps &gaps);

/// "NAME=N" for each size, a name more than once for several.
Status addTuneDim(TuneOptions &options, const std::string &name, int64_t low, int64_t high);

/// Loads the artifact, measures, and writes the file. `report` gets a line for people.
Status tuneFile(const std::string &model, const LoadOptions &load, const TuneOptions &options,
                const std::string &output, const std::function<void(const std::string &)> &report);

} // namespace kt::exec

#endif
