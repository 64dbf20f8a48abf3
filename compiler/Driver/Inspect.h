//===- Inspect.h - what an artifact holds, for people ---------------------===//

#ifndef KT_COMPILER_DRIVER_INSPECT_H
#define KT_COMPILER_DRIVER_INSPECT_H

#include <string>

namespace kt {

struct InspectOptions {
  std::string path, format = "text", extract;
};

/// Prints targets, inputs, outputs, slices, kernels with their schedules, memory and sizes; answers the exit status.
int runInspect(const InspectOptions &options);

} // namespace kt

#endif
