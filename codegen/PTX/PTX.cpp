//===- PTX.cpp - the GPU code generator -----------------------------------===//

#include "codegen/PTX/PTX.h"
#include "codegen/Gpu/Builder/Kernels.h"
#include "dialects/KT/Schedule/Attention.h"
#include "dialects/KT/Schedule/Pages.h"
#include "dialects/KT/Schedule/Structured.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace kt;

void codegen::registerGpuCodegen(MLIRContext &context) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  context.appendDialectRegistry(registry);
  context.loadDialect<KTDialect, arith::ArithDialect, math::MathDialect, scf::SCFDialect, cf::ControlFlowDialect,
                      vector::VectorDialect, LLVM::LLVMDialect, NVVM::NVVMDialect>();
}

/// Only scalars that kernels can hold: no strings, no complex numbers.
static bool supported(KernelOp kernel) {
  auto plain = [](Type t) { return cast<SymTensorType>(t).getElementType().isIntOrFloat(); };
  Block &block = kernel.getBody().front();
  return llvm::all_of(block.getArgumentTypes(), plain) && llvm::all_of(block.getTerminator()->getOperandTypes(), plain);
}

/// How many of a kernel's computations one family does at once.
static size_t computedTogether(KernelOp kernel) {
  SmallVector<Operation *> all = kernel.computes();
  return llvm::TypeSwitch<Operation *, size_t>(kernel.compute())
      .Case<GenericOp, UpdateOp>([&](Operation *op) { return kt::besideOf(op).size(); })
      .Case([&](ReduceOp op) { return kt::sharedPass(op).size(); })
      .Case([&](NormalizeOp op) { return kt::makerOfRows(op) == all[0] ? 2 : 1; })
      .Case([&](MatmulOp op) {
        bool follows = all[0] == op && all.size() > 1 && isa<NormalizeOp>(all[1]);
        return follows || kt::normOfLeft(op) == all[0] ? 2 : 1;
      })
      .Case([&](AttentionOp op) { return kt::makersOf(op).all().size() + 1; })
      .Default([](Operation *) { return 1; });
}

/// One variant, for the sink's candidate.
static LogicalResult build(kt::gpu::KernelSink &sink, Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](GenericOp op) { return kt::gpu::buildGeneric(sink, op); })
      .Case([&](UpdateOp op) { return kt::gpu::buildElements(sink, op); })
      .Case([&](ReduceOp op) { return kt::gpu::buildReduce(sink, op); })
      .Case([&](NormalizeOp op) { return kt::gpu::buildNormalize(sink, op); })
      .Case([&](AttentionOp op) { return kt::gpu::buildAttention(sink, op); })
      .Case([&](ConvOp op) { return kt::gpu::buildConv(sink, op); })
      .Case([&](MatmulOp op) { return kt::gpu::buildMatmul(sink, op); })
      .Case([&](SortOp op) { return kt::gpu::buildSort(sink, op); })
      .Case([&](ScanOp op) { return kt::gpu::buildScan(sink, op); })
      .Case([&](ScatterOp op) { return kt::gpu::buildScatter(sink, op); })
      .Case([&](NonzeroOp op) { return kt::gpu::buildNonzero(sink, op); })
      .Case([&](SuppressOp op) { return kt::gpu::buildSuppress(sink, op); })
      .Default([](Operation *) { return failure(); });
}

FailureOr<codegen::KernelCode> codegen::compileGpuKernel(KernelOp kernel, StringRef target, ExprPool &pool,
                                                         const CodeOptions &options) {
  kt::gpu::KernelSink sink(kernel, target, pool, options);
  if (!supported(kernel))
    return sink.take();
  SmallVector<Operation *> computes = kernel.computes();
  // What reads or writes states that may lie in pages has each candidate once more for these.
  for (bool paged : {false, true}) {
    sink.paged = paged;
    if (paged && pagesOf(kernel).empty())
      continue;
    for (CandidateAttr candidate : candidatesFor(kernel, target)) {
      sink.candidate = candidate;
      sink.follower =
          isa<MatmulOp>(computes[0]) && computes.size() > 1 ? dyn_cast<NormalizeOp>(computes[1]) : NormalizeOp();
      if (auto product = dyn_cast<MatmulOp>(kernel.compute()))
        sink.leftNorm = kt::normOfLeft(product);
      if (computes.size() > computedTogether(kernel))
        return KernelCode(); // nothing that outlining makes
      if (failed(build(sink, kernel.compute())))
        return KernelCode(); // which leaves the kernel to the host
    }
  }
  return sink.take();
}
