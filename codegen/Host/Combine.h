//===- Combine.h - the scalar operation of a reduction --------------------===//

#ifndef KT_CODEGEN_HOST_COMBINE_H
#define KT_CODEGEN_HOST_COMBINE_H

#include "codegen/Host/Emit.h"

namespace kt::codegen::host {

/// How elements of one type are combined. Small floats accumulate in f32. Integers compare as signed ones, booleans as
/// 0 and 1, unless `isUnsigned`: the scalars of a body are signless, and what its operands hold says nothing of what it
/// yields.
struct Combine {
  ReduceKind kind;
  Type element; // what the elements are
  bool isUnsigned = false;
  bool selectLast = false;

  bool isArg() const { return kind == ReduceKind::argmax || kind == ReduceKind::argmin; }
  bool isMax() const { return kind == ReduceKind::max || kind == ReduceKind::argmax; }
  Type accumulator() const;
  Value neutral(Emitter &e) const;
  /// `reassociate` lets the compiler split float sums.
  Value apply(Emitter &e, Value acc, Value x, bool reassociate) const;
  /// For argmax and argmin: whether x replaces the best so far.
  Value better(Emitter &e, Value best, Value x) const;
};

} // namespace kt::codegen::host

#endif
