//===- Lower.h - from a kernel's MLIR to PTX text -------------------------===//
//
// In process and free of global state: several kernels may be lowered at once, each with an LLVM context of its own.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_PTX_LOWER_H
#define KT_CODEGEN_PTX_LOWER_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/LogicalResult.h"
#include <string>

namespace kt::gpu {

struct LowerOptions {
  bool lineTables = false;
  bool halfResults = false; // all that is stored is rounded to 16 bits
};

/// Rewrites scf, arith, math, vector and cf to the llvm and nvvm dialects.
llvm::LogicalResult lowerToLLVMDialect(mlir::ModuleOp module, bool halfResults);
/// Whether no choice hangs on the last places of a floating-point number.
bool isContinuous(mlir::ModuleOp module);
/// Makes divisions of f32 ones that are within two units in the last place, in a fifth of the instructions.
void approximateDivisions(mlir::ModuleOp module);
/// Has floats become integers of 8 bits, and these floats, by additions instead of conversions; quotients by a constant
/// become two multiply-adds where all of the integers' bounds are found to lie where they did. Integers are the same.
void shortenQuantisation(mlir::ModuleOp module);
/// Quotients of single precision by a constant that are then rounded to integers, as quantisation does, become products
/// and fused multiply-adds with the same result (Markstein): the first product is within two units, each correction of
/// it by its exact remainder within one and then the nearest. Remainders of numbers below 2^-103 may not be exact,
/// whose quotients are nearly nothing and round to zero; quotients above 2^127 stay within two units. The instructions
/// of a division leave their fast path for zeros, of which there are many behind an activation.
void multiplyRoundedQuotients(mlir::ModuleOp module);
/// Rewrites math functions that PTX has no instruction for.
void expandDeviceMath(mlir::ModuleOp module);
/// Makes what operations say of files and lines into LLVM's debug locations, which become `.file` and `.loc`.
void addLineTables(mlir::ModuleOp module);
/// The whole way: consumes `module` and answers PTX text for `target` ("sm_89").
mlir::FailureOr<std::string> lowerToPtx(mlir::ModuleOp module, llvm::StringRef target, LowerOptions options);

} // namespace kt::gpu

#endif
