//===- Kernels.cpp - what the GPU kernel families share -------------------===//

#include "codegen/Gpu/Builder/Kernels.h"
#include "codegen/PTX/Lower.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;
using artifact::ExprId;

std::string KernelSink::entryName() {
  std::string name = kernel.getSymName().str();
  for (char &c : name)
    if (!llvm::isAlnum(c))
      c = '_';
  return name + "_" + std::to_string(entries++);
}

LogicalResult KernelSink::addStage(artifact::Variant &variant, KernelBuilder &k, std::array<ExprId, 3> grid,
                                   int64_t sharedBytes) {
  k.finish();
  bool half = llvm::all_of(kernel.getBody().front().getTerminator()->getOperandTypes(), [](Type t) {
    Type element = cast<SymTensorType>(t).getElementType();
    return element.isF16() || element.isBF16();
  });
  FailureOr<std::string> ptx = lowerToPtx(*k.module, target, {options.lineTables, half});
  if (failed(ptx))
    return failure();
  artifact::Module module;
  module.kind = artifact::Module::Kind::Ptx;
  module.target = target;
  auto bytes = std::as_bytes(std::span(ptx->data(), ptx->size()));
  module.code.assign(bytes.begin(), bytes.end());
  artifact::Stage stage;
  stage.module = code.modules.size();
  stage.entry = k.entry;
  stage.grid = grid;
  stage.block = {k.bounds.threads, 1, 1};
  if (sharedBytes)
    stage.shared = pool.constant(sharedBytes);
  code.modules.push_back(std::move(module));
  variant.stages.push_back(std::move(stage));
  return success();
}

LogicalResult KernelSink::addStage(artifact::Variant &variant, KernelBuilder &k, std::array<Expr, 3> grid,
                                   int64_t sharedBytes) {
  for (Expr e : grid)
    if (e.poison())
      return failure(); // it has too many parts
  return addStage(variant, k, std::array<ExprId, 3>{pool.add(grid[0]), pool.add(grid[1]), pool.add(grid[2])},
                  sharedBytes);
}

Alignment KernelSink::alignment() const {
  Alignment known;
  known.mayAssume = false, known.given = candidate.getGuard();
  return known;
}

void KernelSink::addVariant(artifact::Variant variant) {
  variant.target = target;
  variant.paged = paged;
  if (paged)
    variant.schedule += " paged";
  if (ExprAttr guard = candidate.getGuard())
    variant.guard = pool.add(guard);
  if (ExprAttr cost = candidate.getCost())
    variant.cost = pool.add(cost);
  code.variants.push_back(std::move(variant));
}
