//===- Package.h - a scheduled module as an artifact ----------------------===//

#ifndef KT_CODEGEN_PACKAGE_PACKAGE_H
#define KT_CODEGEN_PACKAGE_PACKAGE_H

#include "codegen/Common/KernelCode.h"
#include "mlir/IR/BuiltinOps.h"

namespace kt::codegen {

struct PackageOptions {
  std::vector<std::string> targets; // "sm_89", "host"
  unsigned threads = 0;             // 0: as many as the machine has
  CodeOptions code;
  /// Called after each compiled kernel, from one thread at a time.
  std::function<void(unsigned done, unsigned total)> progress;
};

/// Compiles the kernels of an outlined module for each target and lays out the program. The model's weights borrow the
/// module's constants.
llvm::FailureOr<artifact::Model> package(mlir::ModuleOp module, const PackageOptions &options);

/// The artifact's number for an element type.
std::optional<artifact::DType> dtypeOf(mlir::Type element);

/// Loads what code generation needs; call before anything runs on several threads.
void loadCodegenDialects(mlir::MLIRContext &context);

} // namespace kt::codegen

#endif
