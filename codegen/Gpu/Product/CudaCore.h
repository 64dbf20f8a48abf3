//===- CudaCore.h - the register-tiled main loop --------------------------===//

#ifndef KT_CODEGEN_GPU_PRODUCT_CUDACORE_H
#define KT_CODEGEN_GPU_PRODUCT_CUDACORE_H

#include "codegen/Gpu/Product/Gemm.h"

namespace kt::gpu {

/// Elements of one operand, seen as [row][k].
class SlabFetch {
public:
  virtual ~SlabFetch() = default;
  Type type;                 // of an element
  bool fromUnsigned = false; // widened without sign
  bool alongK = true;        // neighbours in memory are k's, else rows
  bool vector = false;       // groups of four neighbours are aligned and whole
  virtual Value valid(Value row, Value k) = 0;
  /// Where an element is; what has no such place answers groups of four instead.
  virtual Value pointer(Value row, Value k) { return {}; }
  virtual Values four(Value row, Value k);

protected:
  explicit SlabFetch(KernelBuilder &k) : k(k) {}
  KernelBuilder &k;
};

/// Packed panels [n / 16][k][16].
std::unique_ptr<SlabFetch> panelFetch(KernelBuilder &k, Type element, bool isUnsigned, Value base, Value columns,
                                      Value depth);
/// An element of a factor as the accumulator's type.
Value toAccumulator(KernelBuilder &k, Value element, bool isUnsigned, Type acc);

/// Weights of few bits, in f32.
std::unique_ptr<SlabFetch> blockFetch(KernelBuilder &k, const GemmProblem &p, Value base);

/// Answers the accumulators [tm][tn].
Values emitSimtLoop(KernelBuilder &k, const SimtTile &t, SlabFetch &a, SlabFetch &b, Type acc, Value m0, Value n0,
                    Value firstSlab, Value slabs);
/// Runs the epilogue over a tile through shared memory; see emitTileEpilogue.
void emitSimtEpilogue(KernelBuilder &k, const SimtTile &t, const GemmProblem &p, GemmEpilogue &epilogue,
                      ArrayRef<Value> acc, ArrayRef<Value> batch, Value m0, Value n0, Alignment &alignment,
                      unsigned lanes, Value partial);

} // namespace kt::gpu

#endif
