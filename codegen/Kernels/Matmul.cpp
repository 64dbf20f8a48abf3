//===- Matmul.cpp - which matrix kernels a product gets -------------------===//

#include "codegen/Kernels/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

LogicalResult kt::gpu::buildMatmul(KernelSink &sink, MatmulOp op) {
  GemmProblem p = analyzeMatmul(op);
  bool half = p.lhsType.isF16() || p.lhsType.isBF16();
  if (half && (p.rhsType == p.lhsType || (p.packed && p.rhsType.isInteger(8))))
    return buildMatmulTensorCore(sink, p);
  return buildMatmulCudaCore(sink, p);
}
