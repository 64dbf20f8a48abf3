//===- Lanes.h - what neighbouring elements of a body have in common ------===//
//
// Scalar regions seen along one of their indices: which reads are contiguous, which sizes have to be multiples of a
// vector's length for them to be aligned, which dimensions can be walked as one. The scheduler makes guards of it, code
// generation relies on them.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_SCHEDULE_LANES_H
#define KT_DIALECTS_KT_SCHEDULE_LANES_H

#include "dialects/KT/IR/KTDialect.h"
#include "llvm/ADT/SetVector.h"

namespace kt {

/// How a value of a region depends on one of its index arguments.
struct LaneUse {
  enum Kind { Uniform, Unit, Other } kind = Other;
  Expr offset; // Unit: the value is the argument plus this; null when it is not known
};

/// Which sizes are taken to be multiples of a vector's length.
struct Alignment {
  unsigned lanes = 1;
  bool mayAssume = true; // else only what is provable, or said by `given`, counts
  Expr given;            // a guard that holds wherever this is asked, a product of conditions; may be null
  llvm::SetVector<mlir::Attribute> assumed;
  /// True when `e` is a multiple of `lanes`: provably, by the guard, or by assumption (which is recorded).
  bool multiple(Expr e);
  /// That all that was assumed holds, as a product of conditions.
  Expr condition(mlir::MLIRContext *context) const;
};

/// That `e` is a multiple of `lanes`, as a condition.
Expr isMultiple(Expr e, int64_t lanes);

/// Whether a read asks if its index along dimension `dim` is inside.
bool checksDim(ReadOp read, int64_t dim);

/// That all of several conditions hold, each a product of conditions: their product, with each factor once.
Expr allOf(llvm::ArrayRef<Expr> conditions);

/// Whether a read is at indices of its region as they are: nothing is computed or looked up to find the element.
bool isAtOwnIndices(ReadOp read);

class BodyLanes {
public:
  /// The region's arguments: `leading` scalars, tensors, indices.
  BodyLanes(mlir::Region &region, unsigned leading);

  /// Dependence of a value inside the region on index number `index`.
  LaneUse use(mlir::Value v, unsigned index);
  /// Reads that would become vector loads along `index`.
  llvm::SmallVector<ReadOp> contiguousReads(unsigned index);
  /// True when `alignment.lanes` neighbours along `index` can be read by one aligned access.
  bool vectorizable(ReadOp read, unsigned index, Alignment &alignment);
  /// Asks that of every read that depends on `index`, for what it assumes.
  void assumeAligned(unsigned index, Alignment &alignment);

  mlir::Block &block() { return region.front(); }
  mlir::Value indexArgument(unsigned i) { return block().getArgument(numLeading + numTensors + i); }
  unsigned operandOf(ReadOp read);
  /// Index arguments that are always passed as zero; see MergedDims.
  llvm::SmallVector<bool> zeroIndices;

protected:
  mlir::Region &region;
  unsigned numLeading, numTensors;
};

/// Dimensions [first, first + extents) of the index arguments, merged where every region only ever reads with
/// neighbours side by side: then the last of a group runs over the whole group and the others are zero, which gives the
/// same addresses.
class MergedDims {
public:
  MergedDims(llvm::ArrayRef<Expr> extents, llvm::ArrayRef<std::pair<BodyLanes *, unsigned>> bodies,
             bool mayMerge = true);
  /// Extents after merging.
  llvm::SmallVector<Expr> groups;
  bool isZero(unsigned dim) const { return zero[dim]; }
  /// Null where there is no dimension.
  Expr count() const;

protected:
  llvm::SmallVector<bool> zero;
};

/// How many of the smallest elements that `reads` and a result of `resultType` move make 16 bytes.
unsigned vectorLanes(llvm::ArrayRef<ReadOp> reads, mlir::Type resultType);

} // namespace kt

#endif
