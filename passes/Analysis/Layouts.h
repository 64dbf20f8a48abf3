//===- Layouts.h - tensors as strided views of others ---------------------===//
//
// Where the elements of a tensor lie in another one that it was made from by moving elements only: by views and by
// kt.generics that transpose, slice, select, split, merge, squeeze or repeat.
//
// A dimension is a list of modes, outermost first, as in CuTe: [b * h, s, d] made of a tensor [b, s, h, d] by a
// transposition and a merge has modes ((b, s*h*d), (h, d)), ((s, h*d)), ((d, 1)). Merging two dimensions is putting
// their modes together and splitting one is dividing its modes, so that what exporters merge and split again on their
// way is nothing. Only at the end has a dimension to be one mode, that is a stride.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_LAYOUTS_H
#define KT_PASSES_ANALYSIS_LAYOUTS_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// `size` positions, `stride` elements apart; 0 repeats.
struct Mode {
  Expr size, stride;
  bool operator==(const Mode &other) const { return size == other.size && stride == other.stride; }
};
/// From the outermost to the innermost; none is a dimension of 1.
using Modes = llvm::SmallVector<Mode, 2>;

/// A tensor's elements in `root`.
struct Layout {
  mlir::Value root;
  llvm::SmallVector<Modes> dims;
  Expr offset;
};

/// `a` / `b` where that is exact for all values of the symbols.
std::optional<Expr> exactQuotient(Expr a, Expr b);
/// Number of positions.
Expr sizeOf(mlir::MLIRContext *context, llvm::ArrayRef<Mode> modes);
/// As few modes as say the same.
Modes coalesced(llvm::ArrayRef<Mode> modes);
/// The same positions in groups of these sizes, outermost first; nothing where a group ends inside of a mode.
std::optional<llvm::SmallVector<Modes>> regrouped(llvm::ArrayRef<Mode> modes, llvm::ArrayRef<Expr> sizes);

/// Where the elements of `v` lie in what it was made from by moving them only, not looking beyond `stop`. With `scales`
/// they may be multiplied by constants on their way, which are added to it.
Layout layoutOf(mlir::Value v, mlir::Value stop = {}, llvm::SmallVectorImpl<double> *scales = nullptr);
/// The layout, of dimensions of these sizes, as offset and strides; nothing where a dimension has several.
std::optional<FactorView> asView(const Layout &layout, llvm::ArrayRef<Expr> sizes);

} // namespace kt

#endif
