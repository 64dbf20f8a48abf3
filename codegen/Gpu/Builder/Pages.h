//===- Pages.h - elements of states in pages ------------------------------===//
//
// Of a kernel that is built for pages (LaunchBounds::pages), buffers that are states have an axis: a look-up in the
// table finds the page of an element of the batch and some rows. Places in a page count in 32 bits; a pool of pages may
// have any number of elements.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_BUILDER_PAGES_H
#define KT_CODEGEN_GPU_BUILDER_PAGES_H

#include "codegen/Gpu/Builder/KernelBuilder.h"

namespace kt::gpu {

/// The number of the page that has row `row` of element `batch` of the batch, in the state at `buffer`.
Value pageNumber(KernelBuilder &k, Value buffer, Value batch, Value row);
/// Where a page of that state begins.
Value pageAt(KernelBuilder &k, Value buffer, Value number);
/// `row` in its page, and the first row of that page.
Value rowInPage(KernelBuilder &k, Value row);
Value firstOfPage(KernelBuilder &k, Value row);

/// The address of the element at `at` of what lies at `buffer`, in pages or in one piece.
Value elementAt(KernelBuilder &k, Value buffer, SymTensorType type, ArrayRef<Value> at);
/// How many indices there are along dimension `dim` of that: as many as the table has room for where it is in pages.
Value extentOf(KernelBuilder &k, Value buffer, SymTensorType type, unsigned dim);

} // namespace kt::gpu

#endif
