#include "codegen/Kernels/Kernels.h"
llvm::LogicalResult kt::gpu::buildMatmul(KernelSink &sink, MatmulOp op) { return llvm::failure(); }
