//===- Products.h - products and convolutions as one contraction ----------===//
//
// Batches of C[m, n] = sum over k of A[m, k] B[k, n] with element strides, and a fused epilogue: what choosing and
// emitting kernels of matrix products and convolutions have to know of them.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_SCHEDULE_PRODUCTS_H
#define KT_DIALECTS_KT_SCHEDULE_PRODUCTS_H

#include "dialects/KT/Schedule/Lanes.h"
#include "dialects/KT/Schedule/Tiles.h"

namespace kt {

struct Product {
  /// How the left side lies in memory.
  enum class Left {
    strided,  // a matrix with strides
    chunks,   // taps of a convolution, whose channels come in whole 16-byte chunks
    elements, // taps of a convolution, an element at a time
    depthwise // not a product at all: one channel in, one out, a group
  };
  mlir::Operation *op = nullptr;
  mlir::Region *epilogue = nullptr;
  unsigned numExtras = 0;
  mlir::Type lhsType, rhsType, accType; // scalar types
  bool packed = false;
  BlocksAttr blocks;      // of packed weights of few bits; else null
  bool int8Rows = false;  // rows may be rounded to integers of 8 bits
  bool quantised = false; // and are: they are integers, and a scale for each is beside them
  Left left = Left::strided;
  Expr m, n, k;
  /// With several parts, n counts the columns of all their panels, which take turns; the result has `resultColumns`.
  unsigned parts = 1;
  Expr resultColumns;
  llvm::SmallVector<Expr> batch;  // extents that are left beside m
  llvm::SmallVector<Expr> mParts; // m is these dimensions in row-major order
  // Strides in elements; batch strides go with `batch`.
  Expr lhsM, lhsK, rhsN, rhsK, resM, resN;
  llvm::SmallVector<Expr> lhsBatch, rhsBatch, resBatch;
  Expr lhsOffset, rhsOffset; // of the first element
  /// Strides of the left side along the parts of m, where those are not one; else empty, and lhsM is it.
  llvm::SmallVector<Expr> lhsRows;
  // Where the epilogue's indices come from: >= 0 a part of m, -1 is n, -2 - i is batch dimension i.
  llvm::SmallVector<int> resultIndex;
  /// Set where columns are those of a group: the region's column index is n + batch * groupWidth.
  Expr groupWidth;

  Expr batches() const;
  /// How packed weights lie, and the bytes of one batch's right side.
  WeightForm weightForm() const;
  Expr rightBytes() const;
  /// The same product of panels of what its blocks stand for, in the left side's type.
  Product widened() const;
  /// The same product of rows of integers, one behind the other in memory of their own.
  Product withQuantisedRows() const;
  Expr number(int64_t v) const { return Expr::constant(m.context(), v); }
  /// The left side's strides between rows: one, or one a part of m.
  llvm::SmallVector<Expr> rowStrides() const;
  /// Neighbours of the left side are k's rather than rows.
  bool leftAlongK() const;
  /// Which of the epilogue's indices is n; -1 where none is.
  int columnIndex() const;
  /// Whether tensor cores have instructions for operands of these types: halves, or integers of 8 bits of any sign.
  bool isHalf() const;
  bool isInt8() const;
  bool onTensorCores() const { return isHalf() || isInt8(); }
  /// Elements of the left side that 16 bytes on their way to tensor cores hold.
  unsigned chunk() const { return isInt8() ? 16 : 8; }
  /// Whether the integers of a factor, 0 or 1, are unsigned.
  bool isUnsigned(unsigned factor) const;
  /// Whether blocks may share the depth of a product whose k is at least `least` where that is not known.
  bool canSplit(int64_t least) const;
  /// Columns of a plane of partial sums, which is [m][n padded to 8].
  Expr paddedColumns() const { return Expr::ceilDiv(n, number(8)) * 8; }
  /// Whether both sides can come by copies of 16 aligned bytes; what has to be a multiple goes to `alignment`.
  bool canAlign(Alignment &alignment) const;
  /// Whether groups of four neighbours of a side, along k or else along the other dimension, are aligned and whole.
  bool vectorLeft(Alignment &alignment) const;
  bool vectorRight(Alignment &alignment) const;
  /// How many columns a thread may store at once, at most `want`; conditions go to `alignment`.
  unsigned storeLanes(Alignment &alignment, unsigned want) const;
};

/// Neighbouring channels lie side by side, and groups of `lanes` of them are aligned, provably.
bool hasAlignedChannels(ConvOp op, int64_t lanes);

Product analyzeMatmul(MatmulOp op);
/// Whether an op is a product of 8-bit integers, or a convolution that is computed as one.
bool multipliesBytes(mlir::Operation *op);
Product analyzeConv(ConvOp op);

} // namespace kt

#endif
