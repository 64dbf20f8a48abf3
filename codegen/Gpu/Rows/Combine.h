//===- Combine.h - the state of a reduction -------------------------------===//

#ifndef KT_CODEGEN_GPU_ROWS_COMBINE_H
#define KT_CODEGEN_GPU_ROWS_COMBINE_H

#include "codegen/Gpu/Builder/KernelBuilder.h"

namespace kt::gpu {

/// Combines values of one type: the accumulator is f32 for half precision, and a pair of value and position for argmax
/// and argmin.
class Combiner {
public:
  Combiner(KernelBuilder &k, ReduceKind kind, Type element, bool selectLast);
  bool isArg() const { return kind == ReduceKind::argmax || kind == ReduceKind::argmin; }
  SmallVector<Type> types() const;
  Values neutral();
  /// The state of one element at position `at` (i32, of arg kinds only).
  Values single(Value element, Value at);
  Values combine(ValueRange x, ValueRange y);
  /// What the epilogue gets.
  Value finish(ValueRange state);
  /// Over the lanes of a warp whose numbers differ below `width`.
  Values acrossLanes(ValueRange state, unsigned width = 32);
  int64_t bytes() const { return isArg() ? elementBytes(acc) + 4 : elementBytes(acc); }

private:
  KernelBuilder &k;
  ReduceKind kind;
  Type element, acc;
  bool selectLast;
};

/// Combines the states of `threads` threads through shared memory at `offset`; every thread gets the result.
Values acrossBlock(KernelBuilder &k, Combiner &combiner, ValueRange state, unsigned threads, int64_t offset);

} // namespace kt::gpu

#endif
