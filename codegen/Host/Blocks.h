//===- Blocks.h - weights of few bits on the host -------------------------===//
//
// Few rows are multiplied with blocks as they are (BlockRows.cpp). Bits become a number where they lie, which is
// 2^field too large, and zero points are left to the end of a group: the sum of x (q - zero) is that of x q without
// zero times that of x, which is no number where x is infinite. Rows are prepared for both, once for all columns: a
// value that meets bits from `field` on is divided by 2^field, which loses nothing, and a group of k's is
//
//     values[group], and the sum of the values as they were
//
// Behind the last k there are zeros, so that no kernel asks where a row ends. For many rows blocks are widened to
// panels of f32 first.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_BLOCKS_H
#define KT_CODEGEN_HOST_BLOCKS_H

#include "codegen/Host/Emit.h"

namespace kt::codegen::host {

/// The lowest bit of weight `i` of a word once those of its upper half have been moved down.
unsigned fieldOf(BlocksAttr blocks, unsigned i);
/// The weight of a group that word `row` begins with (WordOrder.h).
Value firstOf(Emitter &e, BlocksAttr blocks, Value row);
/// The FP8 numbers of format E4M3 whose bits begin at `shift` of a vector of words, as f32.
Value fromFp8(Emitter &e, Value words, unsigned shift);
/// In names of shared functions.
std::string nameOf(BlocksAttr blocks);

/// Elements of a group of a prepared row.
int64_t preparedGroup(BlocksAttr blocks);

/// A row in memory.
struct RowSource {
  Value pointer;
  Type element;
  Value step; // elements between neighbours
  bool contiguous;
};

/// Writes the `depth` elements of `source` to `out` as a prepared row.
void prepareRow(Emitter &e, BlocksAttr blocks, const RowSource &source, Value depth, Value out);

/// The function that makes panels [depth][16] of f32 of blocks.
SharedFunction widening(BlocksAttr blocks);

/// That function in a kernel.
class Widening {
public:
  /// Declares the function in the kernel's module; its code is shared by all kernels with these `blocks`.
  Widening(KernelBuilder &kernel, BlocksAttr blocks);
  /// `groups` groups of `panels` panels, which are `panelBytes` apart, go to `out`, `panelStride` elements apart.
  void panels(Emitter &e, Value blocks, Value panels, Value panelBytes, Value groups, Value out, Value panelStride);

private:
  mlir::LLVM::LLVMFuncOp function;
};

} // namespace kt::codegen::host

#endif
