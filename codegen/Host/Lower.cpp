//===- Lower.cpp - a built kernel to the LLVM dialect ---------------------===//
//
// The input holds only scf, arith, cf, a few math intrinsics and the LLVM dialect.
//
//===----------------------------------------------------------------------===//

#include "codegen/Common/ExpandMath.h"
#include "codegen/Host/Emit.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;

LogicalResult kt::codegen::host::lowerToLLVM(ModuleOp module) {
  MLIRContext *context = module.getContext();
  ExpandMathOptions expand;
  expand.guardDivision = true;
  if (failed(expandMath(module, expand)))
    return failure();

  // Loops first: in one conversion with the rest, the branch back is converted before the branch into the loop, while
  // the block that it goes to still has its old arguments, and one of those that it passes on is lost.
  {
    RewritePatternSet patterns(context);
    populateSCFToControlFlowConversionPatterns(patterns);
    ConversionTarget target(*context);
    target.addIllegalDialect<scf::SCFDialect>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    ConversionConfig config;
    config.allowPatternRollback = false;
    if (failed(applyPartialConversion(module, target, std::move(patterns), config)))
      return failure();
  }
  LowerToLLVMOptions options(context);
  options.overrideIndexBitwidth(64);
  LLVMTypeConverter types(context, options);
  RewritePatternSet patterns(context);
  cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
  arith::populateArithToLLVMConversionPatterns(types, patterns);
  populateMathToLLVMConversionPatterns(types, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalOp<ModuleOp>();
  ConversionConfig config;
  config.allowPatternRollback = false;
  return applyFullConversion(module, target, std::move(patterns), config);
}
