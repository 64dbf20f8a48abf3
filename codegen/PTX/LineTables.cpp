//===- LineTables.cpp - where in its builder an instruction was made ------===//
//
// Locations become debug locations of directives only: PTX gets `.file` and `.loc` and no section. Code is the same as
// without them.
//
//===----------------------------------------------------------------------===//

#include "codegen/PTX/Lower.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/BinaryFormat/Dwarf.h"

using namespace mlir;

void kt::gpu::addLineTables(ModuleOp module) {
  MLIRContext *context = module.getContext();
  auto fileAttr = [&](StringRef path) { return LLVM::DIFileAttr::get(context, path, ""); };
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    if (function.isExternal())
      continue;
    StringAttr name = function.getSymNameAttr();
    LLVM::DIFileAttr unitFile = fileAttr("codegen/Kernels");
    auto unit = LLVM::DICompileUnitAttr::get(DistinctAttr::create(UnitAttr::get(context)), llvm::dwarf::DW_LANG_C,
                                             unitFile, StringAttr::get(context, "ktc"), /*isOptimized=*/true,
                                             LLVM::DIEmissionKind::DebugDirectivesOnly);
    auto type = LLVM::DISubroutineTypeAttr::get(context, llvm::dwarf::DW_CC_normal, {});
    auto scope = LLVM::DISubprogramAttr::get(
        context, DistinctAttr::create(UnitAttr::get(context)), unit, unitFile, name, name, unitFile, /*line=*/1,
        /*scopeLine=*/1, LLVM::DISubprogramFlags::Definition | LLVM::DISubprogramFlags::Optimized, type, {}, {});
    function->setLoc(FusedLoc::get(context, {function.getLoc()}, scope));
    function.walk([&](Operation *op) {
      auto line = dyn_cast<FileLineColLoc>(op->getLoc());
      if (!line)
        return;
      // Builders call each other across files; a block's file is what says so.
      auto block = LLVM::DILexicalBlockFileAttr::get(context, scope, fileAttr(line.getFilename()), /*discriminator=*/0);
      op->setLoc(FusedLoc::get(context, {line}, block));
    });
  }
}
