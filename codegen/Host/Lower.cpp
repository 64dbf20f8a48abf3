//===- Lower.cpp - a built kernel to the LLVM dialect ---------------------===//
//
// One conversion does everything: the input holds only scf, arith, cf, a few math intrinsics and the LLVM dialect.
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

  LowerToLLVMOptions options(context);
  options.overrideIndexBitwidth(64);
  LLVMTypeConverter types(context, options);
  RewritePatternSet patterns(context);
  populateSCFToControlFlowConversionPatterns(patterns);
  cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
  arith::populateArithToLLVMConversionPatterns(types, patterns);
  populateMathToLLVMConversionPatterns(types, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalOp<ModuleOp>();
  ConversionConfig config;
  config.allowPatternRollback = false;
  return applyFullConversion(module, target, std::move(patterns), config);
}
