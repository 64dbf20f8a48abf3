//===- Gemm.h - what contraction kernels share ----------------------------===//
//
// A contraction seen as batches of C[m, n] = sum over k of A[m, k] B[k, n] with element strides, and its fused
// epilogue. Convolutions join with an operand source of their own.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_PRODUCT_GEMM_H
#define KT_CODEGEN_GPU_PRODUCT_GEMM_H

#include "codegen/Gpu/Builder/Kernels.h"
#include <functional>

namespace kt::gpu {

class TileSource;
class SlabFetch;
struct TileConfig;

struct GemmProblem {
  mlir::Operation *op = nullptr;
  mlir::Region *epilogue = nullptr;
  unsigned numExtras = 0;
  Type lhsType, rhsType, accType; // scalar types
  bool packed = false;
  Expr m, n, k;
  /// With several parts, n counts the columns of all panels, which take turns; the result has this many.
  unsigned parts = 1;
  Expr resultColumns;
  SmallVector<Expr> batch;  // extents that are left beside m
  SmallVector<Expr> mParts; // m is these dimensions in row-major order
  // Strides in elements; batch strides go with `batch`.
  Expr lhsM, lhsK, rhsN, rhsK, resM, resN;
  SmallVector<Expr> lhsBatch, rhsBatch, resBatch;
  Expr lhsOffset, rhsOffset; // of the first element
  // Where the epilogue's indices come from: >= 0 a part of m, -1 is n, -2 - i is batch dimension i.
  SmallVector<int> resultIndex;

  /// Set where columns are those of a group: the region's column index is n + batch * groupWidth.
  Expr groupWidth;
  // A left side that is not a strided matrix comes through these; they answer the copies of a tile from row m0 on.
  std::function<std::unique_ptr<TileSource>(KernelBuilder &, const TileConfig &, Value m0, ArrayRef<Value> batch)>
      lhsTiles;
  std::function<std::unique_ptr<SlabFetch>(KernelBuilder &, ArrayRef<Value> batch, bool vectors)> lhsFetch;

  Expr batches() const;
  /// Whether there may be 1 to 16 rows: not where they are the pixels of whole images.
  bool mayHaveFewRows() const;
  Expr number(int64_t v) const { return Expr::constant(m.context(), v); }
};

GemmProblem analyzeMatmul(MatmulOp op);

/// Emits the epilogue region and the stores. `lanes` neighbours along n are given at once.
class GemmEpilogue {
public:
  GemmEpilogue(KernelBuilder &k, const GemmProblem &p);
  /// How many columns a thread may store at once, at most `want`; conditions go to `alignment`.
  unsigned lanes(Alignment &alignment, unsigned want);
  /// acc: the accumulators of columns n, n + 1, .. of row m, part by part; all inside when there are several columns.
  void emit(ValueRange acc, ArrayRef<Value> batch, Value m, Value n, Alignment &alignment);

private:
  KernelBuilder &k;
  const GemmProblem &p;
  BodyEmitter body;
  int innerIndex; // which of the region's indices is n
};

/// Where a factor starts for one batch.
Value factorBase(KernelBuilder &k, const GemmProblem &p, unsigned factor, ArrayRef<Value> batch);
/// Batch indices and the element offset that they give with these strides.
Value batchOffset(KernelBuilder &k, ArrayRef<Value> at, ArrayRef<Expr> strides);

/// Tile of a tensor-core kernel.
struct TileConfig {
  unsigned bm, bn, bk, warpRows, warpCols, stages, minCtas;
  unsigned threads() const { return warpRows * warpCols * 32; }
  unsigned mi() const { return bm / warpRows / 16; }
  unsigned ni() const { return bn / warpCols / 8; }
  std::string str() const;
};

/// Copies one operand's tile of a slab into shared memory, a thread's share of `count` 16-byte chunks. Copies that pass
/// through registers are fetched first and put later.
class TileSource {
public:
  virtual ~TileSource() = default;
  unsigned count = 0;
  unsigned tileBytes = 0;
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

/// The main loop: answers the accumulators, [mi][ni][4].
SmallVector<Value> emitMainLoop(KernelBuilder &k, const TileConfig &t, TileSource &a, TileSource &b, Layout bLayout,
                                Type type, Value k0, Value slabs);
/// Runs the epilogue over a tile through shared memory. In a kernel that can split its depth, raw sums go to `partial`
/// instead when it does.
void emitTileEpilogue(KernelBuilder &k, const TileConfig &t, const GemmProblem &p, GemmEpilogue &epilogue,
                      ArrayRef<Value> acc, ArrayRef<Value> batch, Value m0, Value n0, Alignment &alignment,
                      unsigned lanes, Value partial);
int64_t sharedBytes(const TileConfig &t, const TileSource &a, const TileSource &b);
/// Of result column `n`, the column of all parts' where its first part's sums are; the others' follow, kPanel each.
Value firstPart(KernelBuilder &k, const GemmProblem &p, Value n);

/// Whether blocks may share the depth of a product whose k is at least `least` where that is not known.
bool canSplit(const GemmProblem &p, int64_t least);
/// How many blocks share the depth: one where `blocks` fill the device or k is less than `least`, else so many that
/// there are two blocks an SM but each has `each` k's.
artifact::ExprId splitCount(KernelSink &sink, const GemmProblem &p, artifact::ExprId blocks, int64_t least,
                            unsigned each);
/// Cuts `slabs` down to this block's and answers its plane of the workspace; `first` becomes its first slab.
Value splitRange(KernelBuilder &k, const GemmProblem &p, Value &slabs, Value &first);
Value partialPlace(KernelBuilder &k, const GemmProblem &p, Value partial, Value m, Value n);
/// Runs `whole` where a block has the whole depth, else `part`.
void ifSplit(KernelBuilder &k, Value partial, llvm::function_ref<void()> part, llvm::function_ref<void()> whole);
/// The second stage and the workspace; without splits there is nothing to launch and nothing to keep.
llvm::LogicalResult addSplitReduction(KernelSink &sink, const GemmProblem &p, artifact::Variant &variant,
                                      artifact::ExprId splits, const Alignment &alignment);

/// Byte offset of a 16-byte chunk of a row in a tile of `chunks` chunks a row: XOR with low row bits keeps ldmatrix
/// free of bank conflicts.
Value swizzle(KernelBuilder &k, unsigned chunks, Value row, Value chunk);

/// Whether a contraction of operands of these types may use tensor cores.
bool mayUseTensorCores(const KernelSink &sink, const GemmProblem &p);
/// A matrix product on tensor cores where it may use them, on CUDA cores where it may not.
llvm::LogicalResult buildProduct(KernelSink &sink, const GemmProblem &p);

/// The tiles that a problem may get, by size.
struct TileMenu {
  TileConfig few, large, tall, small, plain;
};
/// Adds what the tensor-core priority allows: with `high` that is complete.
llvm::LogicalResult buildTensorCore(KernelSink &sink, const GemmProblem &p, const TileMenu &menu,
                                    llvm::StringRef family);
llvm::LogicalResult buildMatmulTensorCore(KernelSink &sink, const GemmProblem &p);
llvm::LogicalResult buildMatmulCudaCore(KernelSink &sink, const GemmProblem &p, llvm::StringRef family = "matmul");

} // namespace kt::gpu

#endif
