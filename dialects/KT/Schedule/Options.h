//===- Options.h - what the scheduler is told -----------------------------===//
//
// Plain C++, so that the command line can speak of it. Options choose among kernels; none changes what is computed.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_SCHEDULE_OPTIONS_H
#define KT_DIALECTS_KT_SCHEDULE_OPTIONS_H

namespace kt {

/// Which half-precision products, convolutions and attentions run on tensor cores.
enum class TensorCorePriority {
  low,    // none
  normal, // those of more than 16 rows whose operands are copied asynchronously, 16 aligned bytes at a time
  high    // all
};

/// How many ways to run a kernel there are in the end.
enum class Variants {
  one, // that takes every shape
  few, // those that may win
  all  // whatever there is: to be measured
};

} // namespace kt

#endif
