//===- GroupComputations.h - which computations one kernel has ------------===//
//
// Ops of one shape that share what they read or make, and small ones that do not need each other, are one kernel with
// several results ("Kernels" in docs/design.md).
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_SCHEDULING_GROUPCOMPUTATIONS_H
#define KT_PASSES_SCHEDULING_GROUPCOMPUTATIONS_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// What joins an operation's kernel.
using Followers = llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Operation *>>;

/// Finds what joins the kernel of an earlier op of its shape; only that one stays in `work`, where the whole group is
/// launched.
Followers groupComputations(llvm::SmallVectorImpl<mlir::Operation *> &work);
/// The same for computations of any shapes that need nothing of each other, where no other rule has joined them.
void joinBeside(llvm::SmallVectorImpl<mlir::Operation *> &work, Followers &followers);

} // namespace kt

#endif
