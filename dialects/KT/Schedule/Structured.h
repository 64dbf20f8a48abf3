//===- Structured.h - elementwise work, reductions and norms in vectors ---===//
//
// How many neighbouring elements a thread takes at once, and which sizes have to be multiples of that. The scheduler
// asks with an alignment that may assume, code generation with one that knows the guard: both get the same answer.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_SCHEDULE_STRUCTURED_H
#define KT_DIALECTS_KT_SCHEDULE_STRUCTURED_H

#include "dialects/KT/Schedule/Lanes.h"

namespace kt {

/// The result dimension that the only read of a body runs along in memory, if the body is that read and work on its
/// value, and both sides are long enough to be turned around in shared memory.
std::optional<unsigned> turnedDimension(GenericOp op);

/// Whether a reduction walks rows, elements that lie together, rather than columns.
bool reducesRows(ReduceOp op);
/// Number of elements that each result is reduced from, and of rows that a norm has.
Expr reducedLength(ReduceOp op);
Expr normalizedLength(NormalizeOp op);
/// The elementwise work in a norm's kernel that makes, element by element, what the norm reads; null: none.
GenericOp makerOfRows(NormalizeOp op);
/// The norm in a product's kernel that makes the rows of its left side; null: none.
NormalizeOp normOfLeft(MatmulOp op);
/// Whether a reduction can be computed in the pass of those before it: over the same space, and of their results it
/// reads no more than, at the end, the element at its own place. The states of all have to fit into a block's shared
/// memory.
bool sharesPass(llvm::ArrayRef<ReduceOp> before, ReduceOp next);
/// The reductions of a reduction's kernel, where all share one pass; else it alone.
llvm::SmallVector<ReduceOp> sharedPass(ReduceOp op);
/// What a kernel computes beside one another where that is elementwise work and windows, of any shapes, none of which
/// reads what another makes: each is a part of the grid. An attention that reads them may come behind. Else `op` alone.
llvm::SmallVector<mlir::Operation *> besideOf(mlir::Operation *op);
/// How the threads of a product's block go on with the rows of a band of its tiles: short ones by a warp each, long
/// ones by all threads.
struct FollowedRows {
  unsigned threads; // of a row
  unsigned held;    // elements that a thread keeps in registers; 0: rows are read again for each pass
  unsigned each;    // rows that threads have at the same time, so as to wait for memory once
  unsigned atOnce;  // rows of a block
};
/// For blocks of so many threads, which are to go on with `share` rows each, if that is known.
FollowedRows followedRows(NormalizeOp op, unsigned threads, std::optional<int64_t> share);

/// Sets `lanes`, and what has to be a multiple of them.
void alignFlat(GenericOp op, Alignment &alignment);
void alignUpdate(UpdateOp op, Alignment &alignment);
/// The one or the other.
void alignElements(mlir::Operation *op, Alignment &alignment);
void alignRows(ReduceOp op, Alignment &alignment);
void alignColumns(ReduceOp op, Alignment &alignment);
void alignRows(NormalizeOp op, Alignment &alignment);

} // namespace kt

#endif
