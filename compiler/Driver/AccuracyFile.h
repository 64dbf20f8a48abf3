//===- AccuracyFile.h - the report of what few bits cost, as a file -------===//

#ifndef KT_COMPILER_DRIVER_ACCURACYFILE_H
#define KT_COMPILER_DRIVER_ACCURACYFILE_H

#include "passes/Precision/AccuracyReport.h"
#include "passes/Precision/QuantFormat.h"
#include <string>

namespace kt {

/// What was asked for.
struct AskedAccuracy {
  QuantFormat format;
  std::optional<double> minSignalToNoise;

  double least(unsigned bits) const { return leastSignalToNoise(bits, minSignalToNoise); }
};

/// A settled report as what its file holds: JSON (docs/accuracy-report.md) where `path` ends in ".json", else a table.
std::string printAccuracy(const AccuracyReport &report, const AskedAccuracy &asked, const std::string &path);

} // namespace kt

#endif
