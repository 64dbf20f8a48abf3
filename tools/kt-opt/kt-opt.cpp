//===- kt-opt.cpp - runs kt passes on textual IR --------------------------===//

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<kt::KTDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect, mlir::math::MathDialect,
                  mlir::scf::SCFDialect>();
  mlir::registerTransformsPasses();
  kt::registerKTPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "kt pass driver\n", registry));
}
