//===- BodyEmitter.h - scalar regions for several neighbouring elements ---===//
//
// Emits the region of a compute op for `lanes` consecutive values of one index: reads that are contiguous along it
// become vector loads, reads that do not depend on it happen once, all others happen a lane at a time.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_BUILDER_BODYEMITTER_H
#define KT_CODEGEN_GPU_BUILDER_BODYEMITTER_H

#include "codegen/Gpu/Builder/KernelBuilder.h"
#include "llvm/ADT/SetVector.h"

namespace kt::gpu {

/// How a value of a region depends on one of its index arguments.
struct LaneUse {
  enum Kind { Uniform, Unit, Other } kind = Other;
  Expr offset; // Unit: the value is the argument plus this; null when it is not known
};

/// Which dimensions a kernel variant takes to be multiples of its vector length; what is not provable becomes part of
/// its guard.
struct Alignment {
  unsigned lanes = 1;
  bool mayAssume = true; // else only what is provable counts
  llvm::SetVector<mlir::Attribute> assumed;
  /// True when `e` is a multiple of `lanes`, provably or by assumption (which is recorded).
  bool multiple(Expr e);
};

class BodyEmitter {
public:
  /// `operands` are the buffer pointers of the region's tensor arguments, which follow `numLeading` scalars.
  BodyEmitter(KernelBuilder &k, mlir::Region &region, unsigned numLeading, ArrayRef<Value> operands);

  /// Emits the region at `indices` (i32), with the index `inner` (a position in `indices`; -1: none) running over
  /// `lanes` values from the one given, which is a multiple of `lanes`. `leading` holds the scalars of each lane.
  /// Answers what each lane yields.
  Values emit(ArrayRef<Values> leading, ArrayRef<Value> indices, int inner, unsigned lanes, Alignment &alignment);
  Value emit(ValueRange leading, ArrayRef<Value> indices);

  /// Dependence of a value inside the region on index number `index`.
  LaneUse use(Value v, unsigned index);
  /// Reads that would become vector loads along `index`, and their number of bytes an element.
  SmallVector<ReadOp> contiguousReads(unsigned index);
  /// True when `alignment.lanes` neighbours along `index` can be read by one aligned access.
  bool vectorizable(ReadOp read, unsigned index, Alignment &alignment);
  mlir::Block &block() { return region.front(); }
  Value indexArgument(unsigned i) { return block().getArgument(numLeading + operands.size() + i); }
  unsigned operandOf(ReadOp read);
  /// Index arguments that are always passed as zero; see IndexSpace.
  SmallVector<bool> zeroIndices;
  /// When set, what every read yields: the element has been fetched already.
  Value given;

private:
  Value readOne(ReadOp read, ArrayRef<Value> at, Value otherwise);
  /// The condition under which a checked read is inside; null when nothing is checked.
  Value inside(ReadOp read, ArrayRef<Value> at);
  Value address(ReadOp read, ArrayRef<Value> at);

  KernelBuilder &k;
  mlir::Region &region;
  unsigned numLeading;
  Values operands;
};

/// Dimensions [first, first + extents) of the index arguments, merged where every region only ever reads with
/// neighbours side by side: then the last of a group runs over the whole group and the others are zero, which gives the
/// same addresses.
class IndexSpace {
public:
  IndexSpace(ArrayRef<Expr> extents, ArrayRef<std::pair<BodyEmitter *, unsigned>> bodies);
  /// Extents after merging.
  SmallVector<Expr> groups;
  /// One value a dimension from one a group.
  Values expand(KernelBuilder &k, ArrayRef<Value> at) const;
  bool isZero(unsigned dim) const { return zero[dim]; }
  Expr count() const;

private:
  SmallVector<bool> zero;
  mlir::MLIRContext *context = nullptr;
};

/// Row-major number of `at` in a tensor of these dimensions.
Value linearIndex(KernelBuilder &k, SymTensorType type, ArrayRef<Value> at);
/// The indices of element number `linear` in a space of `extents`, as i32.
Values delinearize(KernelBuilder &k, Value linear, ArrayRef<Expr> extents);
/// Bytes of the smallest element that `reads` and a result of `resultType` move: decides how many lanes make 16 bytes.
unsigned vectorLanes(ArrayRef<ReadOp> reads, Type resultType);

} // namespace kt::gpu

#endif
