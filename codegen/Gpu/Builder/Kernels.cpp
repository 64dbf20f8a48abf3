//===- Kernels.cpp - what the GPU kernel families share -------------------===//

#include "codegen/Gpu/Builder/Kernels.h"
#include "codegen/PTX/Lower.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;
using artifact::ExprId;
using ExprOp = artifact::Expr::Op;

void Guard::require(Expr condition) {
  if (std::optional<int64_t> known = condition.asConstant()) {
    never |= *known == 0;
    return;
  }
  shapes.push_back(condition);
}

void Guard::requireMultiples(const Alignment &alignment) {
  for (Attribute a : alignment.assumed) {
    Expr e(cast<ExprAttr>(a));
    MLIRContext *context = e.context();
    require(Expr::eq(Expr::mod(e, Expr::constant(context, alignment.lanes)), Expr::constant(context, 0)));
  }
}

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
  FailureOr<std::string> ptx = lowerToPtx(*k.module, target, options.lineTables);
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
  return addStage(variant, k, std::array<ExprId, 3>{pool.add(grid[0]), pool.add(grid[1]), pool.add(grid[2])},
                  sharedBytes);
}

ExprId KernelSink::conjunction(const Guard &guard) {
  ExprId all = artifact::kNone;
  auto also = [&](ExprId e) { all = all == artifact::kNone ? e : pool.op(ExprOp::And, all, e); };
  for (Expr e : guard.shapes)
    also(pool.add(e));
  for (ExprId e : guard.facts)
    also(e);
  return all;
}

codegen::KernelCode KernelSink::take() {
  if (options.oneVariant && complete()) {
    artifact::Variant general = std::move(code.variants.back());
    std::vector<artifact::Module> modules;
    for (artifact::Stage &stage : general.stages) {
      modules.push_back(std::move(code.modules[stage.module]));
      stage.module = modules.size() - 1;
    }
    code.variants.clear();
    code.variants.push_back(std::move(general));
    code.modules = std::move(modules);
  }
  return std::move(code);
}

void KernelSink::addVariant(artifact::Variant variant, const Guard &guard) {
  if (guard.never)
    return;
  variant.target = target;
  variant.guard = conjunction(guard);
  code.variants.push_back(std::move(variant));
}
