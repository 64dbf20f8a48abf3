//===- RowNorm.h - one row of a norm --------------------------------------===//

#ifndef KT_CODEGEN_GPU_ROWS_ROWNORM_H
#define KT_CODEGEN_GPU_ROWS_ROWNORM_H

#include "codegen/Gpu/Builder/BodyEmitter.h"
#include "codegen/Gpu/Rows/Combine.h"
#include "dialects/KT/Schedule/Structured.h"
#include <functional>

namespace kt::gpu {

/// Code for a row of a softmax or norm by a warp or by a whole block. A kernel of norms has a row for each; a product
/// whose blocks go on with the rows that they finished has one for each of its warps, again and again. Where
/// elementwise work of the same kernel makes the row, each element is made and stored where it would be read first.
class RowNorm {
public:
  struct Plan {
    unsigned threads;   // of a row: 32, or all of the block
    unsigned perThread; // elements held in registers; 0: the row is read again for each pass
    int64_t shared = 0; // where shared memory is free
  };
  /// `operands` are where the op's operands lie, `result` is the number of its result among the kernel's.
  RowNorm(KernelBuilder &k, NormalizeOp op, Plan plan, Alignment alignment, const Values &operands, unsigned result);

  /// Rows of these numbers at the same time, by the threads that call this, of which this one is `lane`. Rows of a
  /// whole block use shared memory. Where there are several rows, those not before `end` are not there, but the first
  /// is.
  void emit(llvm::ArrayRef<Value> numbers, Value lane, Value end = {});
  /// Takes elements of a row, from a column on, in place of the kernel's result.
  using Store = std::function<void(Value row, Value column, ValueRange elements)>;
  Store to;
  /// How many rows there are.
  Expr rowCount() { return rank > axes ? rows.count() : Expr::constant(op.getContext(), 1); }
  /// Elements of a row that a thread holds.
  unsigned held() const { return slots * lanes; }
  unsigned vectorLanes() const { return lanes; }
  int64_t sharedBytes() const { return sharedUsed; }

private:
  /// All bodies, each with the number of the first of the indices that are asked for.
  SmallVector<std::pair<BodyLanes *, unsigned>> bodies(unsigned first);
  SmallVector<Expr> extents(unsigned from, unsigned to) {
    SmallVector<Expr> list;
    for (unsigned d = from; d < to; ++d)
      list.push_back(op.getResult().getType().dim(d));
    return list;
  }
  struct Row {
    Value number;
    Values at;
    bool made = false;          // by `maker`
    SmallVector<Values> values; // x of this thread's vectors, when the row is in registers
    SmallVector<Values> beside; // what the epilogue reads at the same places, where that is read ahead
    Value shift, factor;        // (x - shift) * factor; null where nothing is subtracted or multiplied
  };
  Values indices(const Row &row, Value item);
  Value position(const Row &row, Value item) { return k.add(k.mul(row.number, k.size(length)), k.mul(item, lanes)); }
  Values read(const Row &row, Value item);
  /// So many vectors from `first` on, those of this thread; zeros behind the row's end.
  SmallVector<Values> readSome(const Row &row, Value first, unsigned count, SmallVector<Values> *beside = nullptr);
  /// What the epilogue needs is asked for with the row, not once its sums are known: a wait for memory less.
  bool readsAhead() const { return slots && held() <= 16; }
  /// Sum or maximum over the row of fn(x).
  Value reduce(Row &row, Combiner &combiner, llvm::function_ref<Value(Value)> fn);
  void load(Row &row);
  void compute(Row &row);
  void store(const Row &row);
  void store(const Row &row, Value item, ValueRange xs, bool areExponentials, ValueRange beside = {});
  Value exp(Value x) { return mlir::math::ExpOp::create(k.b, k.loc, x); }
  /// The sum of exponentials is at least one, where the fast logarithm is as good as any.
  Value log(Value x) {
    return type.isF32() ? k.mulf(k.log2(x), k.cf(0.6931471805599453)) : Value(mlir::math::LogOp::create(k.b, k.loc, x));
  }
  Value number(double v) { return k.constantF(v, type); }

  KernelBuilder &k;
  NormalizeOp op;
  Plan plan;
  unsigned result;
  BodyEmitter body, epilogue;
  GenericOp makerOp; // null: none
  std::optional<BodyEmitter> maker;
  unsigned rank, axes;
  IndexSpace rows, columns;
  Type type;
  Combiner sum, largest;
  Alignment alignment;
  unsigned lanes, slots;
  Expr length, itemCount;

  Value lane, items;
  int64_t sharedUsed; // up to where
};

/// The norm of rows from `first` on, before `end`, by all threads of a block: as many at once as FollowedRows says, in
/// `shares`.
class BlockNorm {
public:
  /// For a block of `threads` that is to do `most` rows, and whose shared memory is free from `shared` on.
  BlockNorm(KernelBuilder &k, NormalizeOp op, unsigned threads, std::optional<int64_t> most, int64_t shared,
            Value first, Value end, Alignment alignment);
  Value shares() { return k.div(k.add(k.sub(end, first), plan.atOnce - 1), plan.atOnce); }
  /// All threads come, with the same share.
  void emit(Value share, RowNorm::Store to = {});
  /// All shares, one after the other.
  void emitAll(RowNorm::Store to = {});

private:
  KernelBuilder &k;
  NormalizeOp op;
  FollowedRows plan;
  int64_t shared;
  Value first, end;
  Alignment alignment;
};

} // namespace kt::gpu

#endif
