//===- Attention.h - what attention kernels share -------------------------===//

#ifndef KT_CODEGEN_GPU_ATTENTION_ATTENTION_H
#define KT_CODEGEN_GPU_ATTENTION_ATTENTION_H

#include "codegen/Gpu/Builder/Kernels.h"

namespace kt::gpu {

/// Sizes and strides of an attention op; strides are in elements along (b, h or group, i or j, d or e), then
/// the offset of the first element.
struct AttentionProblem {
  AttentionOp op;
  Expr b, h, i, j;
  int64_t d = 0, e = 0, group = 1;
  SmallVector<Expr> query, key, value, result;
  bool zeroEmpty = false;
  Expr from, to;    // row i sees keys i + from <= j < i + to; null: no such end
  bool low = false; // what it does not see counts where nothing that it sees does
  /// The rows further down see more keys, and none sees fewer of the first ones.
  bool isCausal() const { return to && !from; }
};

/// Fails when a head's dimensions are not constants.
mlir::FailureOr<AttentionProblem> analyzeAttention(AttentionOp op);

/// What a row is multiplied with once it is summed up: 1 / `sum` of its exponentials. A row whose scores are all minus
/// infinity is the NaN that 0 / 0 is unless the op asks for zero; one without any key is a sum over nothing, 0.
Value inverseOfSum(KernelBuilder &k, const AttentionProblem &p, Value sum);

/// Keys [begin, end); a null begin is 0.
struct KeyRange {
  Value begin, end;
  Value holds(KernelBuilder &k, Value j) const;
};
/// What some row in [first, last] sees of all keys, which is no range where they see nothing (end <= begin).
KeyRange seenBySome(KernelBuilder &k, const AttentionProblem &p, Value first, Value last);
/// What every row in [first, last] sees, between ends that may lie outside of the keys.
KeyRange seenByAll(KernelBuilder &k, const AttentionProblem &p, Value first, Value last);
/// True in all threads where in any the largest score of a row, one of `most`, leaves room for very low ones. `words`
/// is shared memory with one for each warp that nothing else is in; barriers are passed before and after.
Value seesOnlyLow(KernelBuilder &k, ArrayRef<Value> most, Value words);

/// offset + b * s0 + h * s1, the start of a head.
Value headOffset(KernelBuilder &k, ArrayRef<Expr> strides, Value b, Value h);
Values extraPointers(KernelBuilder &k, unsigned first, unsigned count);

/// Adds what the tensor-core priority allows: with `high` that is complete.
llvm::LogicalResult buildAttentionTensorCore(KernelSink &sink, const AttentionProblem &p);
llvm::LogicalResult buildAttentionCudaCore(KernelSink &sink, const AttentionProblem &p);

} // namespace kt::gpu

#endif
