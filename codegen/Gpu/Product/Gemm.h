//===- Gemm.h - what contraction kernels share ----------------------------===//
//
// Main loops, epilogues and the split of the depth over blocks, for contractions as dialects/KT/Schedule/Products.h
// sees them. Convolutions join with an operand source of their own.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_PRODUCT_GEMM_H
#define KT_CODEGEN_GPU_PRODUCT_GEMM_H

#include "codegen/Gpu/Builder/Kernels.h"
#include "dialects/KT/Schedule/Products.h"
#include <functional>

namespace kt::gpu {

class TileSource;
class SlabFetch;
struct Copiers;

/// A product, and where its left side comes from when that is not a strided matrix.
struct GemmProblem : Product {
  GemmProblem(Product product) : Product(std::move(product)) {}
  /// Answers the copies of a tile from row m0 on.
  std::function<std::unique_ptr<TileSource>(KernelBuilder &, const MmaTile &, const Copiers &, Value m0,
                                            ArrayRef<Value> batch)>
      lhsTiles;
  std::function<std::unique_ptr<SlabFetch>(KernelBuilder &, ArrayRef<Value> batch, bool vectors)> lhsFetch;
  /// Set where a stage before the product makes panels of what the right side's blocks stand for, at the workspace's
  /// start: these are the product's right side.
  BlocksAttr widenedFrom;

  /// Set where a stage before it makes integers of the rows, at the workspace's start, with a scale each.
  std::optional<Product> quantisedFrom;

  /// Reads panels of the left side's type instead of blocks.
  void widen();
  /// Reads such integers.
  void quantiseRows();
  /// Bytes of what a stage before the product makes in the workspace.
  Expr stagedBytes() const;
  bool isStaged() const { return widenedFrom || quantisedFrom; }
};

/// Emits the epilogue region and the stores. `lanes` neighbours along n are given at once.
class GemmEpilogue {
public:
  GemmEpilogue(KernelBuilder &k, const GemmProblem &p);
  /// acc: the accumulators of columns n, n + 1, .. of row m, part by part; all inside when there are several columns.
  void emit(ValueRange acc, ArrayRef<Value> batch, Value m, Value n, Alignment &alignment);

  /// Words of tensors as large as the result that `lanes` columns take, and the words at column n of row m, zeros
  /// without `when`: for threads that ask for them before they have the sums.
  unsigned wordsAhead(unsigned lanes, Alignment &alignment);
  Values loadAhead(Value when, ArrayRef<Value> batch, Value m, Value n, unsigned lanes, Alignment &alignment);
  /// Words at column n of tensors that all rows have the same of.
  Values loadColumns(Value when, ArrayRef<Value> batch, Value n, unsigned lanes, Alignment &alignment);
  /// What has been read so for the next columns; none: they read it.
  void giveAhead(ValueRange words, ValueRange columns, unsigned lanes, Alignment &alignment);

private:
  Values indicesOf(ArrayRef<Value> batch, Value m, Value n);
  KernelBuilder &k;
  const GemmProblem &p;
  BodyEmitter body;
  int innerIndex; // which of the region's indices is n
};

/// Where a factor starts for one batch.
Value factorBase(KernelBuilder &k, const GemmProblem &p, unsigned factor, ArrayRef<Value> batch);
/// Where partial sums begin.
Value partialsOf(KernelBuilder &k, const GemmProblem &p);
/// Adds the stage that makes the panels of a product's `widenedFrom`.
llvm::LogicalResult addWideningStage(KernelSink &sink, artifact::Variant &variant, const GemmProblem &p);
/// Adds the stage that makes integers of a product's rows (QuantisedRows.cpp), and how many bytes those and their
/// scales are. The depth is a multiple of 16.
llvm::LogicalResult addQuantisingStage(KernelSink &sink, artifact::Variant &variant, const GemmProblem &p);
Expr quantisedBytes(const GemmProblem &p);
Value quantisedScales(KernelBuilder &k, const GemmProblem &p);

/// What a tile's sums of integers are multiplied by: the scales of its rows, which a stage before the product has
/// written, and of its columns.
class TileScales {
public:
  TileScales(KernelBuilder &k, const MmaTile &t, const GemmProblem &p, Value m0, Value n0);
  /// Whether threads can hold them while the tile is multiplied; they are loaded behind it otherwise.
  static bool isFew(const MmaTile &t);
  void load();
  /// The sums, [mi][ni][4], in single precision.
  Values times(ArrayRef<Value> sums);

private:
  KernelBuilder &k;
  const MmaTile &t;
  const GemmProblem &p;
  Value m0, n0;
  SmallVector<Values> ofColumns, ofRows;
};
/// Elements from the left side's first row to row `row`.
Value rowOffset(KernelBuilder &k, const GemmProblem &p, Value row);
/// Batch indices and the element offset that they give with these strides.
Value batchOffset(KernelBuilder &k, ArrayRef<Value> at, ArrayRef<Expr> strides);

/// Who copies: the number of this thread among `count`. In other threads nothing of it is used.
struct Copiers {
  Value thread;
  unsigned count;
  Copiers(KernelBuilder &k, const MmaTile &t);
};

/// Copies one operand's tile of a slab into shared memory, a thread's share of `count` 16-byte chunks. Copies that pass
/// through registers are fetched first and put later, by loops `lookahead` slabs later: then nobody waits for memory.
class TileSource {
public:
  virtual ~TileSource() = default;
  unsigned count = 0;
  unsigned tileBytes = 0;
  unsigned lookahead = 0;
  /// What changes from slab to slab, before the first one: `k0` is its first k.
  virtual Values start(Value k0) = 0;
  virtual Values advance(ValueRange state) = 0;
  /// What all copies of a slab share, then chunk `i` of it.
  virtual void beginSlab(ValueRange state) = 0;
  virtual Values fetch(unsigned i) { return {}; }
  virtual void put(unsigned i, Value slot, ValueRange fetched) = 0;
};

/// Where one thread's fragments of an operand lie in its tile.
enum class Layout { RowMajorK, RowMajorN, Panels };

/// How a thread gets its fragments of the left factor that is not made of elements: those of step `step` of a slab are
/// made of what it fetched from shared memory.
class LeftFragments {
public:
  virtual ~LeftFragments() = default;
  virtual Values fetch(Value slot, unsigned step) = 0;
  virtual SmallVector<Values> make(ValueRange fetched, unsigned step) = 0;
};

/// Integers of 8 bits whose neighbours in memory are columns (IntegerTensorCore.cpp). In which row of its tile a k
/// lies:
Value int8Row(KernelBuilder &k, Value row);
/// Which of 32 k's this lane gives ldmatrix the address of.
Value int8FragmentRow(KernelBuilder &k);
/// The fragments of 16 columns, two registers each, of the four that ldmatrix brought: the first has the even columns.
Values int8Fragments(KernelBuilder &k, ArrayRef<Value> loaded);
/// Packed panels of integers as the left factor: slabs are `at` a slot.
std::unique_ptr<LeftFragments> int8PanelFragments(KernelBuilder &k, const MmaTile &t, unsigned at);
/// Whether two fragments side by side have their columns by turns, for that reason.
bool columnsTakeTurns(const MmaTile &t, Layout bLayout);

/// The factors of a tile, and where in a slot each has its part of a slab.
struct Factors {
  std::unique_ptr<TileSource> left, right;
  unsigned leftAt = 0, rightAt = 0;
  bool constantWeights =
      false; // no launch writes them; they are the left factor where it has fragments, else the right
  Layout rightLayout = Layout::Panels;
  std::unique_ptr<LeftFragments> fragments; // null: the left factor is rows along k of elements
  unsigned slotBytes = 0;
};

/// The main loop: answers the accumulators, [mi][ni][4]. Copies of the first slabs of constant weights are on their way
/// before `wait`, which comes before anything is touched that launches before this one may still use.
SmallVector<Value> emitMainLoop(KernelBuilder &k, const MmaTile &t, Factors &factors, const GemmProblem &p, Value k0,
                                Value slabs, llvm::function_ref<void()> wait);
/// The same by warpgroups, from the same tiles. Where others copy for them, `wait` comes in all threads, and the answer
/// is in those that multiply.
SmallVector<Value> emitWarpgroupLoop(KernelBuilder &k, const MmaTile &t, Factors &factors, const GemmProblem &p,
                                     Value k0, Value slabs, llvm::function_ref<void()> wait);
/// Runs the epilogue over a tile through shared memory. In a kernel that can split its depth, raw sums go to `partial`
/// instead when it does.
void emitTileEpilogue(KernelBuilder &k, const MmaTile &t, const GemmProblem &p, GemmEpilogue &epilogue,
                      ArrayRef<Value> acc, Layout bLayout, ArrayRef<Value> batch, Value m0, Value n0,
                      Alignment &alignment, unsigned lanes, Value partial);
/// Of result column `n`, the column of all parts' where its first part's sums are; the others' follow, kPanel each.
Value firstPart(KernelBuilder &k, const GemmProblem &p, Value n);

/// Cuts `slabs` down to this block's and answers its plane of the workspace; `first` becomes its first slab.
Value splitRange(KernelBuilder &k, const GemmProblem &p, Value &slabs, Value &first);
Value partialPlace(KernelBuilder &k, const GemmProblem &p, Value partial, Value m, Value n);
/// Runs `whole` where a block has the whole depth, else `part`.
void ifSplit(KernelBuilder &k, Value partial, llvm::function_ref<void()> part, llvm::function_ref<void()> whole);
/// What finishing a tile needs to know of it.
struct TileShape {
  unsigned rows, columns, threads;
};
/// What blocks do with tile number `tile` when they have finished it: where they have shared the depth, the last one of
/// the tile adds up their sums and runs the epilogue; where a norm goes on with the rows, finishRows.
void finishTile(KernelBuilder &k, const KernelSink &sink, const GemmProblem &p, GemmEpilogue &epilogue,
                const TileShape &t, bool split, Value tile, Value m0, Value n0, const Alignment &alignment,
                unsigned lanes);
/// Who computes the norm behind a product, if there is one.
Follow followOf(const KernelSink &sink, const GemmProblem &p);
/// How many counters that takes where the product's blocks do; they come before those of tiles.
Expr rowCounters(const KernelSink &sink, const GemmProblem &p, const TileShape &t);
/// Before and behind a tile of rows from m0 on, where the product's blocks compute the norm. `finished` of a kernel
/// that can split its depth: this block has finished the tile.
void startRows(KernelBuilder &k, const KernelSink &sink, const GemmProblem &p, const TileShape &t, Value m0);
void finishRows(KernelBuilder &k, const KernelSink &sink, const GemmProblem &p, const TileShape &t, bool split,
                Value m0, Value finished);
/// Adds the variant of a product whose code is finished: its stage, the memory that finishing tiles takes (partial
/// sums, counters of tiles and rows), and the norm behind it as a stage where blocks do not
/// compute it. Each tile has blocks of its own, or, with `most`, there are at most so many, which take turns.
llvm::LogicalResult addProduct(KernelSink &sink, const GemmProblem &p, KernelBuilder &k, std::string schedule,
                               const TileShape &t, int64_t sharedBytes, Expr most = {});

/// Byte offset of a 16-byte chunk of a row in a tile of `chunks` chunks a row: XOR with low row bits keeps ldmatrix
/// free of bank conflicts.
Value swizzle(KernelBuilder &k, unsigned chunks, Value row, Value chunk);

/// Two of the four 8-bit integers of `word`, the first or the second two, as two elements of `type` in one register.
Value widenBytes(KernelBuilder &k, Value word, unsigned pair, Type type);
/// The same of its bytes `first` and `second`.
Value widenBytes(KernelBuilder &k, Value word, unsigned first, unsigned second, Type type);

/// One variant, for the sink's candidate; `family` names it.
llvm::LogicalResult buildProduct(KernelSink &sink, const GemmProblem &p, llvm::StringRef family);
llvm::LogicalResult buildMatmulTensorCore(KernelSink &sink, const GemmProblem &p, llvm::StringRef family);
llvm::LogicalResult buildGemv(KernelSink &sink, const GemmProblem &p, llvm::StringRef family);
llvm::LogicalResult buildMatmulCudaCore(KernelSink &sink, const GemmProblem &p, llvm::StringRef family);

} // namespace kt::gpu

#endif
