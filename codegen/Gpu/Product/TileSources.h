//===- TileSources.h - how operand tiles get into shared memory -----------===//

#ifndef KT_CODEGEN_GPU_PRODUCT_TILESOURCES_H
#define KT_CODEGEN_GPU_PRODUCT_TILESOURCES_H

#include "codegen/Gpu/Product/Gemm.h"

namespace kt::gpu {

/// One operand of 16-bit elements, or of integers of 8 bits, as a matrix of rows (m or n) and k, from a pointer to its
/// batch.
struct OperandView {
  Value base;               // global pointer
  Value firstRow;           // of this tile
  Value rows;               // in the whole operand
  Value rowStride, kStride; // in elements
  Value depth;              // k
  bool wholeChunks;         // depth is a multiple of the elements of 16 bytes
  /// Where a row starts, if that is not the row times `rowStride`.
  std::function<Value(Value row)> rowOffset = nullptr;
  unsigned bytes = 2; // of an element
  unsigned chunk() const { return 16 / bytes; }
};

/// Rows along k, 16 bytes at a time; the rows have to be 16-byte aligned.
std::unique_ptr<TileSource> asyncRows(KernelBuilder &k, unsigned rows, unsigned bk, const Copiers &by,
                                      const OperandView &view);
/// Rows along n (a right side [k][n]): `view.rowStride` is 1 and `view.kStride` the distance of two k's.
std::unique_ptr<TileSource> asyncColumns(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by,
                                         const OperandView &view);
/// Packed panels [n / 16][k][16] of 16-bit elements.
std::unique_ptr<TileSource> asyncPanels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by,
                                        const OperandView &view);
/// Packed panels [n / 16][k][16] of 8-bit integers as they are.
std::unique_ptr<TileSource> bytePanels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by,
                                       const OperandView &view);
/// Packed panels of 8-bit integers, made `type` on the way.
std::unique_ptr<TileSource> int8Panels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by,
                                       const OperandView &view, Type type);
/// Weights in blocks from column `firstColumn` on, as they lie in memory.
std::unique_ptr<TileSource> blockSlabs(KernelBuilder &k, const MmaTile &t, const Copiers &by, Value base,
                                       Value firstColumn, const GemmProblem &p);
/// What they are, in the other side's type or as the integers that they are, as fragments of the left factor; slabs are
/// `at` a slot.
std::unique_ptr<LeftFragments> blockFragments(KernelBuilder &k, const MmaTile &t, unsigned at, const GemmProblem &p);
/// Any strides and alignment, an element at a time, into a tile of rows along k.
std::unique_ptr<TileSource> plainRows(KernelBuilder &k, unsigned rows, unsigned bk, const Copiers &by,
                                      const OperandView &view, Type type);

} // namespace kt::gpu

#endif
