//===- Lower.cpp - scf, arith, math and vector to the llvm dialect --------===//

#include "codegen/PTX/Lower.h"
#include "codegen/Common/ExpandMath.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;
using namespace kt;

LogicalResult kt::gpu::lowerToLLVMDialect(ModuleOp module, bool halfResults) {
  MLIRContext *context = module.getContext();
  bool approximate = halfResults && isContinuous(module);
  shortenQuantisation(module);
  multiplyRoundedQuotients(module);
  expandDeviceMath(module);
  // Half precision stays: the hardware computes in it and LLVM widens what it does not.
  codegen::ExpandMathOptions math;
  math.promoteHalf = math.promoteBFloat = false;
  if (failed(codegen::expandMath(module, math)))
    return failure();
  if (approximate)
    approximateDivisions(module);
  ConversionConfig config;
  config.allowPatternRollback = false;
  {
    RewritePatternSet patterns(context);
    populateSCFToControlFlowConversionPatterns(patterns);
    ConversionTarget target(*context);
    target.addIllegalOp<scf::ForOp, scf::IfOp, scf::WhileOp, scf::IndexSwitchOp>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    if (failed(applyPartialConversion(module, target, std::move(patterns), config)))
      return failure();
  }
  // NVPTX aborts on library functions that it does not have, so they must not get there.
  WalkResult known = module.walk([](Operation *op) {
    if (!isa_and_nonnull<math::MathDialect>(op->getDialect()))
      return WalkResult::advance();
    bool native =
        isa<math::FmaOp, math::AbsFOp, math::AbsIOp, math::FloorOp, math::CeilOp, math::RoundEvenOp, math::TruncOp,
            math::SqrtOp, math::CopySignOp, math::CountLeadingZerosOp, math::CountTrailingZerosOp, math::CtPopOp>(op);
    return native ? WalkResult::advance() : WalkResult::interrupt();
  });
  if (known.wasInterrupted())
    return failure();
  LowerToLLVMOptions options(context);
  options.overrideIndexBitwidth(32); // see artifact::Kernel::counts
  LLVMTypeConverter converter(context, options);
  RewritePatternSet patterns(context);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns);
  populateVectorToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalDialect<NVVM::NVVMDialect>();
  target.addLegalOp<ModuleOp>();
  if (failed(applyPartialConversion(module, target, std::move(patterns), config)))
    return failure();
  // What is left over makes the kernel fall back to the host, silently: it is no error of the user's.
  WalkResult lowered = module.walk([](Operation *op) {
    bool known = isa<ModuleOp>(op) || isa_and_nonnull<LLVM::LLVMDialect, NVVM::NVVMDialect>(op->getDialect());
    return known ? WalkResult::advance() : WalkResult::interrupt();
  });
  return failure(lowered.wasInterrupted());
}
