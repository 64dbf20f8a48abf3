//===- Schedules.h - which variants an artifact's launches get ------------===//

#ifndef KT_COMPILER_DRIVER_SCHEDULES_H
#define KT_COMPILER_DRIVER_SCHEDULES_H

#include "runtime/artifact/Model.h"
#include "runtime/include/kt/Status.h"
#include <map>

namespace kt {

/// A device as its facts, and sizes by name.
struct SchedulesOptions {
  std::map<artifact::Fact, int64_t> facts; // what is missing is that of a usual card, or host
  std::map<std::string, int64_t> dims;
};

/// "sm=128,l2=75497472": sm or workers, shared, capability, l2.
Status parseFacts(const std::string &text, SchedulesOptions &options);

/// Each kernel with its variants, guards and costs, and for each of its launches what they come to and which one runs.
/// Where a size is not given, what depends on it has no number.
std::string printSchedules(const artifact::Model &model, const SchedulesOptions &options);

} // namespace kt

#endif
