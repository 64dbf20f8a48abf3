//===- PTX.h - the GPU code generator -------------------------------------===//

#ifndef KT_CODEGEN_PTX_PTX_H
#define KT_CODEGEN_PTX_PTX_H

#include "codegen/Common/KernelCode.h"

namespace kt::codegen {

/// Loads the dialects and translations that kernels are made of. To be called once, before kernels are compiled from
/// several threads.
void registerGpuCodegen(mlir::MLIRContext &context);

/// Compiles one kernel to PTX for `target` ("sm_89"). Several kernels of one context may be compiled at once, each with
/// its own pool. What has no GPU kernel gives code without variants.
mlir::FailureOr<KernelCode> compileGpuKernel(KernelOp kernel, llvm::StringRef target, ExprPool &pool,
                                             const CodeOptions &options = {});

} // namespace kt::codegen

#endif
