//===- GroupComputations.h - which computations one kernel has ------------===//
//
// Ops of one shape that share what they read or make are one kernel with several results ("Kernels" in docs/design.md).
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_SCHEDULING_GROUPCOMPUTATIONS_H
#define KT_PASSES_SCHEDULING_GROUPCOMPUTATIONS_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// What joins an operation's kernel.
using Followers = llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Operation *>>;

/// Finds what joins the kernel of an earlier op; only that one stays in `work`, where the whole group is launched.
Followers groupComputations(llvm::SmallVectorImpl<mlir::Operation *> &work);

} // namespace kt

#endif
