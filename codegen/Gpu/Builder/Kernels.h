//===- Kernels.h - the GPU kernel families --------------------------------===//
//
// Each family turns its op into variants: one or more functions with launch geometry and a guard over shapes and device
// facts.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_BUILDER_KERNELS_H
#define KT_CODEGEN_GPU_BUILDER_KERNELS_H

#include "codegen/Common/KernelCode.h"
#include "codegen/Gpu/Builder/BodyEmitter.h"
#include "codegen/Gpu/Builder/KernelBuilder.h"

namespace kt::gpu {

/// Conditions that all have to hold; a constant truth drops out.
struct Guard {
  SmallVector<Expr> shapes;            // each must not be zero
  SmallVector<artifact::ExprId> facts; // the same, over device facts too
  bool never = false;                  // a shape condition is false for every input
  void require(Expr condition);
  void requireMultiples(const Alignment &alignment);
};

/// Collects the code of one kernel.
class KernelSink {
public:
  KernelSink(KernelOp kernel, llvm::StringRef target, codegen::ExprPool &pool, const CodeOptions &options)
      : kernel(kernel), target(target), pool(pool), options(options) {}

  KernelOp kernel;
  std::string target;
  codegen::ExprPool &pool;
  const CodeOptions options;

  /// A function name that no other function of this kernel has.
  std::string entryName();
  /// Lowers the finished function and appends it to `variant`.
  llvm::LogicalResult addStage(artifact::Variant &variant, KernelBuilder &k, std::array<Expr, 3> grid,
                               int64_t sharedBytes = 0);
  llvm::LogicalResult addStage(artifact::Variant &variant, KernelBuilder &k, std::array<artifact::ExprId, 3> grid,
                               int64_t sharedBytes);
  /// Ends a variant. Variants are tried in the order in which they are added.
  void addVariant(artifact::Variant variant, const Guard &guard);
  /// The kernel's code. Where one variant is wanted, the last one if it takes every shape.
  codegen::KernelCode take();
  /// True when the last variant takes whatever is left.
  bool complete() const { return !code.variants.empty() && code.variants.back().guard == artifact::kNone; }
  Expr one() { return Expr::constant(kernel.getContext(), 1); }
  Expr number(int64_t v) { return Expr::constant(kernel.getContext(), v); }
  artifact::ExprId conjunction(const Guard &guard);

private:
  codegen::KernelCode code;
  unsigned entries = 0;
};

llvm::LogicalResult buildGeneric(KernelSink &sink, GenericOp op);
/// Bodies that only permute: `done` says whether this is one.
llvm::LogicalResult buildTranspose(KernelSink &sink, GenericOp op, bool &done);
llvm::LogicalResult buildReduce(KernelSink &sink, ReduceOp op);
llvm::LogicalResult buildNormalize(KernelSink &sink, NormalizeOp op);
llvm::LogicalResult buildAttention(KernelSink &sink, AttentionOp op);
llvm::LogicalResult buildConv(KernelSink &sink, ConvOp op);
llvm::LogicalResult buildSort(KernelSink &sink, SortOp op);
llvm::LogicalResult buildScan(KernelSink &sink, ScanOp op);
llvm::LogicalResult buildScatter(KernelSink &sink, ScatterOp op);
llvm::LogicalResult buildNonzero(KernelSink &sink, NonzeroOp op);
llvm::LogicalResult buildSuppress(KernelSink &sink, SuppressOp op);
llvm::LogicalResult buildMatmul(KernelSink &sink, MatmulOp op);

} // namespace kt::gpu

#endif
