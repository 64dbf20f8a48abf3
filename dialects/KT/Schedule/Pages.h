//===- Pages.h - states that lie in pages ---------------------------------===//
//
// A session may keep what grows in pages of a pool: [page, ..., rows of a page, ...] in place of
// [batch, ..., @capacity, ...]. Memory in one piece is the same with one page for each element of the batch, so what a
// kernel for pages adds is a look-up of the page, by the batch's element and the row.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_SCHEDULE_PAGES_H
#define KT_DIALECTS_KT_SCHEDULE_PAGES_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// Of a kernel: by operand and then by result, the dimension along which it is cut into pages, or -1.
constexpr llvm::StringLiteral kPages = "kt.pages";

/// That of a kernel of these computations: the dimension along which a value is a state that grows. Nothing where none
/// is one, or where code for pages could not reach all that they read and write: states are cut along a dimension
/// between the batch and the last one, and read as keys and values or by bodies of elementwise work and windows.
std::optional<llvm::SmallVector<int64_t>> findPages(llvm::ArrayRef<mlir::Operation *> group,
                                                    llvm::ArrayRef<mlir::Value> operands);

/// Notes and answers that of a kernel.
void setPages(KernelOp kernel, llvm::ArrayRef<int64_t> axes);
llvm::ArrayRef<int64_t> pagesOf(KernelOp kernel);
/// Whether a computation of a kernel reads something that may lie in pages. Dimensions are not walked as one then.
bool readsPages(KernelOp kernel, mlir::Operation *op);

} // namespace kt

#endif
