//===- Compare.h - outputs against what is expected -----------------------===//
//
// |a - b| <= atol + rtol * |b| for floats, equality for integers and bools; NaN equals NaN.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TOOLS_KTRUN_COMPARE_H
#define KT_TOOLS_KTRUN_COMPARE_H

#include "runtime/npz/Npz.h"

#include <optional>

namespace ktrun {

struct Tolerance {
  std::optional<double> atol; // absent: 1e-4 * max(1, max|b|) of each output
  std::optional<double> rtol; // absent: 1e-3
};

/// Compares one output and describes the outcome in a line without its end: the worst element with its index and both
/// values.
bool compareOutput(const kt::TensorView &output, const kt::npz::Array &expected, const Tolerance &tolerance,
                   std::string &line);

/// Compares all outputs that `path` has entries for, printing a line each. Code::differs when any differs, Code::usage
/// when an entry is no output or nothing could be compared.
kt::Status compareOutputs(std::span<const kt::TensorView> outputs, const std::string &path, const Tolerance &tolerance);

} // namespace ktrun

#endif
