//===- AccuracyFile.h - the report of what INT8 cost, as a file -----------===//

#ifndef KT_COMPILER_DRIVER_ACCURACYFILE_H
#define KT_COMPILER_DRIVER_ACCURACYFILE_H

#include "passes/Precision/AccuracyReport.h"
#include <string>

namespace kt {

/// A settled report as what its file holds: JSON (docs/accuracy-report.md) where `path` ends in ".json", else a table.
std::string printAccuracy(const AccuracyReport &report, double minSignalToNoise, const std::string &path);

} // namespace kt

#endif
