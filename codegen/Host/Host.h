//===- Host.h - the CPU code generator ------------------------------------===//
//
// Turns one kt.kernel into flat, relocation-free x86-64 images and the variants that run them.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_HOST_H
#define KT_CODEGEN_HOST_HOST_H

#include "codegen/Common/KernelCode.h"
#include "codegen/Host/SharedCode.h"

namespace kt::codegen {

/// Loads the dialects and translations that compileHostKernel needs. Call once, before kernels are compiled on several
/// threads.
void loadHostDialects(mlir::MLIRContext &context);

/// Compiles `kernel` for each of `targets` ("host-v3", "host-v4", either with "-vnni"), best first in the answer's
/// variants. Thread-safe for kernels of one multithreaded context, which may share `library`; `pool` is the caller's
/// and not shared. Errors are reported on the kernel's compute op.
mlir::FailureOr<KernelCode> compileHostKernel(KernelOp kernel, llvm::ArrayRef<llvm::StringRef> targets,
                                              SharedCode &library, ExprPool &pool);
/// The same for instruction sets.
mlir::FailureOr<KernelCode> compileHostKernel(KernelOp kernel, llvm::ArrayRef<const host::Isa *> sets,
                                              SharedCode &library, ExprPool &pool);

} // namespace kt::codegen

#endif
