//===- BodyEmitter.h - scalar regions for several neighbouring elements ---===//
//
// Emits the region of a compute op for `lanes` consecutive values of one index: reads that are contiguous along it
// become vector loads, reads that do not depend on it happen once, all others happen a lane at a time.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_BUILDER_BODYEMITTER_H
#define KT_CODEGEN_GPU_BUILDER_BODYEMITTER_H

#include "codegen/Gpu/Builder/KernelBuilder.h"
#include "dialects/KT/Schedule/Lanes.h"

namespace kt::gpu {

class BodyEmitter : public BodyLanes {
public:
  /// `operands` are the buffer pointers of the region's tensor arguments, which follow `numLeading` scalars.
  BodyEmitter(KernelBuilder &k, mlir::Region &region, unsigned numLeading, ArrayRef<Value> operands);

  /// Emits the region at `indices` (i32), with the index `inner` (a position in `indices`; -1: none) running over
  /// `lanes` values from the one given, which is a multiple of `lanes`. `leading` holds the scalars of each lane.
  /// Answers what each lane yields.
  Values emit(ArrayRef<Values> leading, ArrayRef<Value> indices, int inner, unsigned lanes, Alignment &alignment);
  Value emit(ValueRange leading, ArrayRef<Value> indices);

  /// What the region yields besides, alone; null where it yields one value.
  Value emitSecond(ArrayRef<Value> indices);
  /// What the last region emitted yields besides, which is the same for all lanes; null where it yields one value.
  Value second;
  /// What reads of these operands yield, a value a lane: the elements are there already.
  llvm::SmallDenseMap<unsigned, Values> given;

  /// What is read at the region's own indices alone, of operands that are read once, needs none of the leading scalars:
  /// the elements of all of these, operand by operand, a value a lane.
  Values readAhead(ArrayRef<Value> indices, int inner, unsigned lanes, Alignment &alignment);
  SmallVector<Type> typesAhead(unsigned lanes);
  /// Has the next regions take these elements; none: read them.
  void giveAhead(ValueRange elements, unsigned lanes);

  /// Of these the tensors that are read at all indices in their order, in whole words: as large as what the region
  /// makes, and of no use to another thread. How many words of 32 bits that is, and the words, zeros without `when`.
  unsigned wordsAhead(int inner, unsigned lanes, Alignment &alignment);
  Values loadAhead(Value when, ArrayRef<Value> indices, int inner, unsigned lanes, Alignment &alignment);
  /// The same of what is read at `inner` alone, which is there once for all that differ in other indices only. Of many
  /// such tensors some are left to the region, which the registers would not hold.
  Values loadColumns(Value when, ArrayRef<Value> indices, int inner, unsigned lanes, Alignment &alignment);
  /// Has the next regions take the words of loadAhead and those of loadColumns; none: read them.
  void giveWords(ValueRange words, ValueRange columns, int inner, unsigned lanes, Alignment &alignment);

private:
  SmallVector<ReadOp> readsAhead();
  SmallVector<ReadOp> wholeReadsAhead(int inner, unsigned lanes, Alignment &alignment);
  /// Whether `lanes` elements from one on are whole words that one load may bring.
  bool comesInWords(ReadOp read, int inner, unsigned lanes, Alignment &alignment);
  SmallVector<ReadOp> columnReads(int inner, unsigned lanes, Alignment &alignment);
  Value readOne(ReadOp read, ArrayRef<Value> at, Value otherwise);
  /// The condition under which a checked read is inside; null when nothing is checked.
  Value inside(ReadOp read, ArrayRef<Value> at);
  Value address(ReadOp read, ArrayRef<Value> at);

  KernelBuilder &k;
  Values operands;
};

/// Merged dimensions, with values of their indices.
class IndexSpace : public MergedDims {
public:
  using MergedDims::MergedDims;
  /// One value a dimension from one a group.
  Values expand(KernelBuilder &k, ArrayRef<Value> at) const;
};

/// Row-major number of `at` in a tensor of these dimensions.
Value linearIndex(KernelBuilder &k, SymTensorType type, ArrayRef<Value> at);
/// The indices of element number `linear` in a space of `extents`, as i32.
Values delinearize(KernelBuilder &k, Value linear, ArrayRef<Expr> extents);

} // namespace kt::gpu

#endif
