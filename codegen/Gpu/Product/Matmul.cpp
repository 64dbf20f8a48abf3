//===- Matmul.cpp - the kernel of a product's candidate -------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

LogicalResult kt::gpu::buildProduct(KernelSink &sink, const GemmProblem &p, StringRef family) {
  if (sink.has(path::kGemv))
    return buildGemv(sink, p, family);
  return sink.has(path::kMma) || sink.has(path::kWgmma) ? buildMatmulTensorCore(sink, p, family)
                                                        : buildMatmulCudaCore(sink, p, family);
}

LogicalResult kt::gpu::buildMatmul(KernelSink &sink, MatmulOp op) {
  return buildProduct(sink, GemmProblem(analyzeMatmul(op)), "matmul");
}
