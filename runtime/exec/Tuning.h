//===- Tuning.h - measured times of variants, as a file -------------------===//
//
// A JSON file beside an artifact says how long variants took on a machine. A loader that is given one takes the fastest
// instead of the one that is expected to be. The file is untrusted: it can only choose among variants whose guards
// hold.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_TUNING_H
#define KT_RUNTIME_EXEC_TUNING_H

#include "runtime/device/Device.h"

#include <string>
#include <vector>

namespace kt::exec {

/// What times hold for: the kind of the card and what a part or a limit of it may have less of.
struct Machine {
  std::string kind;
  device::Facts facts;
  static Machine of(const device::Device &device) { return {device.kind(), device.facts()}; }
  bool operator==(const Machine &other) const;
};

/// One variant of a kernel with one set of integers.
struct TuningRow {
  std::string digest, kernel, target, schedule; // of the kernel; the latter three are for people
  uint32_t variant = 0;                         // number in the kernel
  std::vector<int64_t> ints;
  int64_t predicted = 0, nanoseconds = 0; // predicted -1: the cost has no value
};

struct TuningFile {
  Machine machine;
  std::vector<TuningRow> rows;

  /// Code::rejected for what is no such file.
  static Result<TuningFile> read(const std::string &path);
  Status write(const std::string &path) const;
};

/// Names everything that decides what a kernel's variants do and take: their code, geometry, guards and costs.
std::string kernelDigest(const artifact::Model &model, uint32_t kernel);

} // namespace kt::exec

#endif
