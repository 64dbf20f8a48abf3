//===- Kernels.h - the GPU kernel families --------------------------------===//
//
// Each family turns a candidate for its op into a variant: one or more functions with launch geometry.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_BUILDER_KERNELS_H
#define KT_CODEGEN_GPU_BUILDER_KERNELS_H

#include "codegen/Common/KernelCode.h"
#include "codegen/Gpu/Builder/BodyEmitter.h"
#include "codegen/Gpu/Builder/KernelBuilder.h"
#include "dialects/KT/Schedule/Candidates.h"

namespace kt::gpu {

/// Collects the code of one kernel.
class KernelSink {
public:
  KernelSink(KernelOp kernel, llvm::StringRef target, codegen::ExprPool &pool, const CodeOptions &options)
      : kernel(kernel), target(target), pool(pool), options(options) {}

  KernelOp kernel;
  std::string target;
  codegen::ExprPool &pool;
  const CodeOptions options;
  CandidateAttr candidate; // which is being built
  NormalizeOp follower;    // goes on with the rows of the product that is being built
  NormalizeOp leftNorm;    // makes the rows that it reads
  bool paged = false;      // it is built for states in pages

  /// The number that configures the candidate under `name`.
  int64_t configured(llvm::StringRef name) const { return kt::configured(candidate, name); }
  bool has(llvm::StringRef path) const { return candidate.getPath().getValue() == path; }

  /// A function name that no other function of this kernel has.
  std::string entryName();
  /// Lowers the finished function and appends it to `variant`.
  llvm::LogicalResult addStage(artifact::Variant &variant, KernelBuilder &k, std::array<Expr, 3> grid,
                               int64_t sharedBytes = 0);
  llvm::LogicalResult addStage(artifact::Variant &variant, KernelBuilder &k, std::array<artifact::ExprId, 3> grid,
                               int64_t sharedBytes);
  /// Ends the candidate's variant.
  void addVariant(artifact::Variant variant);
  codegen::KernelCode take() { return std::move(code); }
  /// What is a multiple where the candidate's guard holds.
  Alignment alignment() const;
  Expr one() { return Expr::constant(kernel.getContext(), 1); }
  Expr number(int64_t v) { return Expr::constant(kernel.getContext(), v); }

private:
  codegen::KernelCode code;
  unsigned entries = 0;
};

llvm::LogicalResult buildGeneric(KernelSink &sink, GenericOp op);
/// Elementwise work and windows, an element or some neighbours a thread: `op`, and what the kernel has beside it.
llvm::LogicalResult buildElements(KernelSink &sink, mlir::Operation *op);
/// Elementwise work and windows beside one another, each a part of the grid. All stages of a variant take the same
/// parameters: `workspace` says whether the others take one.
llvm::LogicalResult addElementsStage(KernelSink &sink, artifact::Variant &variant, ArrayRef<mlir::Operation *> ops,
                                     bool workspace = false);
/// A body that only permutes, along `turned`.
llvm::LogicalResult buildTranspose(KernelSink &sink, GenericOp op, unsigned turned);
llvm::LogicalResult buildReduce(KernelSink &sink, ReduceOp op);
llvm::LogicalResult buildNormalize(KernelSink &sink, NormalizeOp op);
/// How a kernel of norms walks its rows.
struct NormPlan {
  unsigned block;     // threads of a block
  unsigned threads;   // of a row: 32, or all of the block
  unsigned perThread; // elements held in registers; 0: the row is read again for each pass
  unsigned minCtas = 0;
};
/// Appends a stage that computes a norm.
llvm::LogicalResult addNormStage(KernelSink &sink, artifact::Variant &variant, NormalizeOp op, const NormPlan &plan,
                                 Alignment alignment);
/// The plan of a kernel for rows of `length` elements.
NormPlan normPlan(Expr length);
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
