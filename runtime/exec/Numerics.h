//===- Numerics.h - what is not finite among numbers ----------------------===//
//
// Counts NaNs and infinities in memory of any floating-point type, and finds how close to the type's end the rest
// comes.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_NUMERICS_H
#define KT_RUNTIME_EXEC_NUMERICS_H

#include "runtime/artifact/Model.h"

#include <algorithm>

namespace kt::exec {

/// Which numbers that are not finite are faults of the node that makes them out of finite ones.
enum class Numerics : uint8_t {
  unchecked,
  faults, // not minus infinity, with which models mask on purpose
  all
};

/// What there is among the elements of a tensor.
struct NumericsCount {
  static constexpr uint64_t kNowhere = UINT64_MAX;

  artifact::DType type = artifact::DType::f32;
  uint64_t elements = 0, nans = 0, plusInfinities = 0, minusInfinities = 0;
  uint64_t firstFault = kNowhere; // a NaN or plus infinity
  uint64_t firstMinus = kNowhere;
  uint64_t largest = 0; // bits of the largest finite magnitude

  /// Whether `type` has NaNs at all: those of four bits have none, and of complex ones none are looked at.
  static bool counts(artifact::DType type);
  /// Adds elements that lie behind one another, of which `first` is the number of the first in the tensor.
  void add(const void *data, uint64_t count, uint64_t first);
  uint64_t infinities() const { return plusInfinities + minusInfinities; }
  bool isFaulty(Numerics mode) const { return nans || plusInfinities || (mode == Numerics::all && minusInfinities); }
  /// The number of the first element that makes it so.
  uint64_t first(Numerics mode) const { return mode == Numerics::all ? std::min(firstFault, firstMinus) : firstFault; }
  /// "1 NaN and 2 infinities among 6 elements, the first at [0, 2]", of a tensor with these dimensions.
  std::string text(Numerics mode, std::span<const int64_t> dims) const;
  /// "largest finite 65504, f16's is 65504"
  std::string largestText() const;
};

} // namespace kt::exec

#endif
