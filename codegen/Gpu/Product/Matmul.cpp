//===- Matmul.cpp - which matrix kernels a product gets -------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

bool kt::gpu::mayUseTensorCores(const KernelSink &sink, const GemmProblem &p) {
  bool half = p.lhsType.isF16() || p.lhsType.isBF16();
  return half && sink.options.tensorCores != TensorCorePriority::low &&
         (p.rhsType == p.lhsType || (p.packed && p.rhsType.isInteger(8)));
}

LogicalResult kt::gpu::buildProduct(KernelSink &sink, const GemmProblem &p) {
  if (mayUseTensorCores(sink, p) && failed(buildMatmulTensorCore(sink, p)))
    return failure();
  return sink.complete() ? success() : buildMatmulCudaCore(sink, p);
}

LogicalResult kt::gpu::buildMatmul(KernelSink &sink, MatmulOp op) { return buildProduct(sink, analyzeMatmul(op)); }
