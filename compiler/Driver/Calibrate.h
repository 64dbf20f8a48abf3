//===- Calibrate.h - runs of a model on sample inputs ---------------------===//

#ifndef KT_COMPILER_DRIVER_CALIBRATE_H
#define KT_COMPILER_DRIVER_CALIBRATE_H

#include "passes/Precision/InputMoments.h"
#include "runtime/include/kt/Status.h"
#include <string>

namespace kt {

/// Runs an artifact on the host, once for each of `samples`, "@inputs.npz", and sums up its outputs that are called
/// kMomentsOutput and a number.
Result<InputMoments> measureMoments(const std::string &artifact, const std::vector<std::string> &samples,
                                    unsigned threads);

} // namespace kt

#endif
