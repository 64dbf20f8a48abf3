//===- Program.h - the instructions of an artifact ------------------------===//

#ifndef KT_CODEGEN_PACKAGE_PROGRAM_H
#define KT_CODEGEN_PACKAGE_PROGRAM_H

#include "codegen/Common/KernelCode.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace kt::codegen {

/// Writes a function's body as instructions over buffers and symbols.
class ProgramBuilder {
public:
  ProgramBuilder(artifact::Model &model, const llvm::StringMap<uint32_t> &kernels) : model(model), kernels(kernels) {}
  llvm::LogicalResult run(mlir::func::FuncOp func, mlir::DictionaryAttr bounds, mlir::ArrayAttr sites);

private:
  llvm::LogicalResult block(mlir::Block &from, artifact::Block &to);
  llvm::LogicalResult ifOp(IfOp op, artifact::Block &to);
  llvm::LogicalResult loopOp(LoopOp op, artifact::Block &to);
  artifact::BufferId bufferOf(mlir::Value v);
  artifact::BufferId temporary(mlir::Value v);
  artifact::ExprId expr(Expr e);
  artifact::SymbolId symbol(llvm::StringRef name);
  void setSymbols(mlir::ArrayAttr names, mlir::ArrayAttr values, artifact::Block &to);
  uint32_t node(mlir::Location loc);
  uint32_t node(llvm::StringRef name);
  void makeSlices();

  artifact::Model &model;
  const llvm::StringMap<uint32_t> &kernels;
  ExprPool pool;
  llvm::StringMap<artifact::SymbolId> symbols;
  llvm::StringMap<uint32_t> nodes;
  llvm::DenseMap<mlir::Value, artifact::BufferId> buffers;
  llvm::DenseMap<const void *, artifact::WeightId> weights; // by ConstantBytes::identity
  std::vector<int64_t> sliceOf;                             // of top-level instructions
  int64_t lastSlice = -1;
};

} // namespace kt::codegen

#endif
