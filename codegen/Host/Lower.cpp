//===- Lower.cpp - a built kernel to the LLVM dialect ---------------------===//
//
// The input holds only scf, arith, cf, math and the LLVM dialect. Mathematics is expanded first, but for what both
// targets have as instructions.
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
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;

/// Once arithmetic on bf16 is expanded, what is left moves its bits. As bits they move in integer registers; where the
/// processor has no bf16, LLVM would carry them as f32 and call a library to narrow them again.
static void moveBrainFloatsAsBits(ModuleOp module) {
  auto bits = [](Type type) -> Type {
    auto i16 = IntegerType::get(type.getContext(), 16);
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(vector.clone(i16)) : Type(i16);
  };
  auto isBrain = [](Value v) { return getElementTypeOrSelf(v.getType()).isBF16(); };
  auto touches = [&](Operation *op) {
    bool found = llvm::any_of(op->getOperands(), isBrain) || llvm::any_of(op->getResults(), isBrain);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        found |= llvm::any_of(block.getArguments(), isBrain);
    return found;
  };
  SmallVector<Operation *> ops;
  bool onlyMoves = true;
  module.walk([&](Operation *op) {
    if (!touches(op))
      return;
    ops.push_back(op);
    onlyMoves &= isa<arith::ConstantOp, arith::BitcastOp, arith::SelectOp, LLVM::LoadOp, LLVM::StoreOp>(op) ||
                 isa<scf::SCFDialect, cf::ControlFlowDialect>(op->getDialect());
  });
  if (!onlyMoves)
    return;
  for (Operation *op : ops) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      Type type = bits(constant.getType());
      auto raw = [&](const APFloat &v) { return v.bitcastToAPInt(); };
      if (auto value = dyn_cast<FloatAttr>(constant.getValue()))
        constant.setValueAttr(IntegerAttr::get(type, raw(value.getValue())));
      else if (auto dense = dyn_cast<DenseElementsAttr>(constant.getValue()))
        constant.setValueAttr(dense.mapValues(getElementTypeOrSelf(type), raw));
    }
    for (Value v : op->getResults())
      if (isBrain(v))
        v.setType(bits(v.getType()));
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument arg : block.getArguments())
          if (isBrain(arg))
            arg.setType(bits(arg.getType()));
  }
  for (Operation *op : ops)
    if (isa<arith::BitcastOp>(op) && op->getOperand(0).getType() == op->getResult(0).getType()) {
      op->getResult(0).replaceAllUsesWith(op->getOperand(0));
      op->erase();
    }
}

LogicalResult kt::codegen::host::lowerToLLVM(ModuleOp module) {
  MLIRContext *context = module.getContext();
  ExpandMathOptions expand;
  expand.guardDivision = true;
  if (failed(expandMath(module, expand)))
    return failure();
  moveBrainFloatsAsBits(module);

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
