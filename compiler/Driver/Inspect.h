//===- Inspect.h - what an artifact holds, for people ---------------------===//

#ifndef KT_COMPILER_DRIVER_INSPECT_H
#define KT_COMPILER_DRIVER_INSPECT_H

#include "compiler/Driver/Schedules.h"
#include "runtime/include/kt/Status.h"
#include <string>

namespace kt {

struct InspectOptions {
  std::string path, format = "text", extract;
  /// Only the variants with their costs, and which of them launches get.
  bool schedules = false;
  SchedulesOptions device;
};

/// Prints targets, inputs, outputs, slices, kernels with their schedules, memory and sizes; with `extract` it first
/// writes files into that folder. Code::usage when one of these is the artifact itself, under any name: nothing is
/// written then.
Status inspect(const InspectOptions &options);

} // namespace kt

#endif
