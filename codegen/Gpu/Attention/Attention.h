//===- Attention.h - what attention kernels share -------------------------===//

#ifndef KT_CODEGEN_GPU_ATTENTION_ATTENTION_H
#define KT_CODEGEN_GPU_ATTENTION_ATTENTION_H

#include "codegen/Gpu/Builder/Kernels.h"
#include "dialects/KT/Schedule/Attention.h"

namespace kt::gpu {

/// What a row's scores are seen as distances from: the largest one, or 0 where all are minus infinity, so that
/// exponentials are zeros and not NaN.
Value originOf(KernelBuilder &k, Value most);
/// What the row at `at` (batch, head and query, which are inside) is multiplied with once it is summed up: 1 / `sum` of
/// its exponentials, which are of distances from the score `most`; the op's sink counts among them here. A row whose
/// scores are all minus infinity is the NaN that 0 / 0 is unless the op asks for zero; one without any key is a sum
/// over nothing, 0.
Value inverseOfSum(KernelBuilder &k, const AttentionProblem &p, Value most, Value sum, ArrayRef<Value> at);

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
/// Where a head of the batch's element `b` begins in a factor's buffer; of keys or values that lie in pages, in page
/// `page`, null for others.
Value headStart(KernelBuilder &k, Value buffer, ArrayRef<Expr> strides, Value b, Value h, Value page = {});
/// The number of the page with the keys and values from `j` on, of which none from `end` on are read; null where
/// neither lie in pages. A block of keys lies in one page where it begins at a multiple of its size.
Value pageOfKeys(KernelBuilder &k, const AttentionProblem &p, Value b, Value j, Value end);
/// The scale of key or value `j` of a head, which is in page `page` where there are any; 0 where `when` does not hold.
/// No thread of the launch writes it.
Value scaleOf(KernelBuilder &k, const AttentionProblem::Scales &scales, Value b, Value g, Value j, Value page,
              Value when);
/// The buffers of what its regions read, and of what it makes.
Values extraBuffers(KernelBuilder &k, const AttentionProblem &p);
Value resultBuffer(KernelBuilder &k, const AttentionProblem &p);

/// One variant, for the sink's candidate.
llvm::LogicalResult buildAttentionDecode(KernelSink &sink, const AttentionProblem &p);
/// Those behind the stages that make their operands.
llvm::LogicalResult buildAttentionTensorCore(KernelSink &sink, const AttentionProblem &p, artifact::Variant variant);
llvm::LogicalResult buildAttentionCudaCore(KernelSink &sink, const AttentionProblem &p, artifact::Variant variant);

} // namespace kt::gpu

#endif
