//===- Compare.cpp - outputs against what is expected ---------------------===//
//
// The worst element is the one farthest beyond, or nearest to, its tolerance.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Compare.h"
#include "runtime/os/OutputFile.h"
#include "tools/ktrun/Elements.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

namespace ktrun {
namespace {

std::string indexText(uint64_t flat, const std::vector<int64_t> &dims) {
  std::string text;
  for (size_t d = dims.size(); d-- > 0;) {
    text = std::to_string(flat % dims[d]) + (text.empty() ? "" : ", ") + text;
    flat /= dims[d];
  }
  return "[" + text + "]";
}

std::string shapeText(const kt::TensorView &tensor) {
  std::string text = std::string(kt::name(tensor.type)) + "[";
  for (size_t i = 0; i < tensor.dims.size(); ++i)
    text += (i ? ", " : "") + std::to_string(tensor.dims[i]);
  return text + "]";
}

std::string shortText(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

} // namespace

bool compareOutput(const kt::TensorView &output, const kt::npz::Array &expected, const Tolerance &tolerance,
                   std::string &line) {
  line = "'" + output.name + "' " + shapeText(output) + ": ";
  if (!kt::npz::matches(expected.descr, output.type) || expected.dims != output.dims) {
    line += "differs: expected " + kt::npz::describe(expected);
    return false;
  }
  unsigned scalars = scalarsOf(output.type);
  uint64_t count = output.bytes() / kt::byteSize(output.type) * scalars;
  if (count == 0) {
    line += "ok, empty";
    return true;
  }
  const void *a = output.data, *b = expected.data.data();
  uint64_t bad = 0, worst = 0;
  double atol = 0, rtol = 0, worstError = 0;
  if (isInteger(output.type)) {
    uint64_t size = kt::byteSize(output.type);
    for (uint64_t i = 0; i < count; ++i) {
      if (std::memcmp(static_cast<const char *>(a) + i * size, static_cast<const char *>(b) + i * size, size) == 0)
        continue;
      double error = std::fabs(toDouble(output.type, a, i) - toDouble(output.type, b, i));
      if (bad++ == 0 || error > worstError) {
        worst = i;
        worstError = error;
      }
    }
  } else {
    double largest = 0;
    if (!tolerance.atol)
      for (uint64_t i = 0; i < count; ++i)
        if (double value = std::fabs(toDouble(output.type, b, i)); std::isfinite(value))
          largest = std::max(largest, value);
    atol = tolerance.atol.value_or(1e-4 * std::max(1.0, largest));
    rtol = tolerance.rtol.value_or(1e-3);
    double worstExcess = -1;
    for (uint64_t i = 0; i < count; ++i) {
      double x = toDouble(output.type, a, i), y = toDouble(output.type, b, i);
      double error = (x == y || (std::isnan(x) && std::isnan(y))) ? 0 : std::fabs(x - y);
      double bound = atol + rtol * std::fabs(y);
      // An infinity or a NaN on one side only is beyond every tolerance.
      bool ok = error == 0 || (std::isfinite(x) && std::isfinite(y) && error <= bound);
      if (error != 0 && (std::isnan(error) || !std::isfinite(y) || !std::isfinite(x)))
        error = std::numeric_limits<double>::infinity();
      double excess = error == 0 ? 0 : bound > 0 ? error / bound : std::numeric_limits<double>::infinity();
      bad += !ok;
      if (excess > worstExcess) {
        worstExcess = excess;
        worst = i;
        worstError = error;
      }
    }
  }
  std::string where = indexText(worst / scalars, output.dims) + (scalars == 2 ? (worst % 2 ? ".imag" : ".real") : "");
  line += bad ? "differs in " + std::to_string(bad) + " of " + std::to_string(count) + " elements" : std::string("ok");
  line += ", worst at " + where + ": got " + toText(output.type, a, worst) + ", expected " +
          toText(output.type, b, worst) + ", error " + shortText(worstError);
  if (!isInteger(output.type))
    line += " (atol " + shortText(atol) + ", rtol " + shortText(rtol) + ")";
  return bad == 0;
}

kt::Status compareOutputs(std::span<const kt::TensorView> outputs, const std::string &path,
                          const Tolerance &tolerance) {
  auto arrays = kt::npz::readNpz(path);
  if (!arrays.ok())
    return std::move(arrays).status();
  for (const kt::npz::Array &array : *arrays)
    if (std::none_of(outputs.begin(), outputs.end(), [&](auto &o) { return o.name == array.name; }))
      return kt::Status::usage("'" + path + "' has an entry '" + array.name + "', which is no output");
  if (arrays->empty() && !outputs.empty())
    return kt::Status::usage("'" + path + "' has no entries");
  size_t bad = 0, compared = 0;
  std::string text;
  for (const kt::TensorView &output : outputs) {
    auto array = std::find_if(arrays->begin(), arrays->end(), [&](auto &a) { return a.name == output.name; });
    if (array == arrays->end()) {
      text += "'" + output.name + "' " + shapeText(output) + ": not compared, '" + path + "' has no such entry\n";
      continue;
    }
    std::string line;
    if (kt::npz::matches(array->descr, output.type))
      kt::npz::normalise(*array, output.type);
    bad += !compareOutput(output, *array, tolerance, line);
    ++compared;
    text += line + "\n";
  }
  KT_RETURN_IF_ERROR(kt::os::writeOutput(text));
  if (bad)
    return kt::Status::differs(std::to_string(bad) + " of " + std::to_string(compared) + " outputs differ");
  return {};
}

} // namespace ktrun
