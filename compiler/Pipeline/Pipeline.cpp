//===- Pipeline.cpp - the phases of compilation ---------------------------===//

#include "compiler/Pipeline/Pipeline.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace kt;

llvm::ArrayRef<Phase> kt::allPhases() {
  static constexpr Phase phases[] = {Phase::graph, Phase::precision, Phase::slices, Phase::kernels, Phase::schedules};
  return phases;
}

std::string kt::nameOf(Phase phase) {
  switch (phase) {
  case Phase::graph:
    return "graph";
  case Phase::precision:
    return "precision";
  case Phase::slices:
    return "slices";
  case Phase::kernels:
    return "kernels";
  case Phase::schedules:
    return "schedules";
  }
  return "";
}

/// Without simplifying control flow inside of regions: bodies have one block.
static std::unique_ptr<Pass> canonicalizer() {
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return createCanonicalizerPass(config);
}

void kt::buildPhase(OpPassManager &pm, Phase phase, const PipelineOptions &options) {
  switch (phase) {
  case Phase::graph: {
    auto clean = [&] {
      pm.addPass(canonicalizer());
      pm.addNestedPass<func::FuncOp>(createMergeEqual());
    };
    auto fuse = [&] {
      pm.addNestedPass<func::FuncOp>(createTurnProducts());
      pm.addNestedPass<func::FuncOp>(createAbsorbLayouts());
      pm.addNestedPass<func::FuncOp>(createFuseBodies());
      pm.addNestedPass<func::FuncOp>(createSplitProducts());
      pm.addNestedPass<func::FuncOp>(createFuseEpilogues());
      pm.addNestedPass<func::FuncOp>(createMergeEqual()); // bodies are simplified below
      pm.addNestedPass<func::FuncOp>(createHoistConstants());
      pm.addNestedPass<func::FuncOp>(createFoldConstants());
      pm.addNestedPass<func::FuncOp>(createSimplifyBodies());
      clean();
    };
    pm.addPass(createSolveSizes());
    clean();
    // Before constants are folded, which widens them.
    pm.addNestedPass<func::FuncOp>(createRaiseDequantize());
    // Products take transposed weights as they lie: a copy in another order would be made only to be packed.
    if (options.optLevel > 0)
      pm.addNestedPass<func::FuncOp>(createAbsorbLayouts());
    pm.addNestedPass<func::FuncOp>(createFoldConstants());
    pm.addNestedPass<func::FuncOp>(createSimplifyBodies());
    clean();
    // Without fusion what is left is what later phases read: folded constants and packed weights.
    if (options.optLevel > 0) {
      pm.addNestedPass<func::FuncOp>(createCopyScatters());
      pm.addNestedPass<func::FuncOp>(createScatterStates());
      fuse();
      // What exporters spelled out is recognised in fused bodies, where spellings no longer differ; then its
      // surroundings fuse again.
      pm.addNestedPass<func::FuncOp>(createRaiseNorms());
      pm.addNestedPass<func::FuncOp>(createRaiseSoftmax());
      pm.addNestedPass<func::FuncOp>(createRaiseAttention());
      fuse();
      pm.addNestedPass<func::FuncOp>(createSpanScores());
      pm.addNestedPass<func::FuncOp>(createMergeProducts());
      pm.addNestedPass<func::FuncOp>(createFuseBodies()); // slices join their readers
      // What goes into a state is computed where it is stored, rather than with what it is like.
      pm.addNestedPass<func::FuncOp>(createTieStates());
      pm.addNestedPass<func::FuncOp>(createFuseBodies()); // what is held of a state joins its readers
      pm.addNestedPass<func::FuncOp>(createMergeGenerics());
      pm.addNestedPass<func::FuncOp>(createFuseBodies());
    }
    pm.addNestedPass<func::FuncOp>(createPackWeights());
    if (options.optLevel > 0)
      pm.addNestedPass<func::FuncOp>(createAbsorbViews());
    clean();
    break;
  }
  case Phase::precision:
    if (options.quantCaches) // before what is read of them is converted
      pm.addNestedPass<func::FuncOp>(createQuantizeCaches());
    if (options.quant)
      pm.addNestedPass<func::FuncOp>(
          createQuantizeWeights({options.quant.bits, options.quant.group, options.quant.fp8, options.int8Activations,
                                 llvm::to_vector(options.quantExclude), options.quantMinSnr.value_or(-1)},
                                options.report, options.moments));
    if (options.precision != Precision::model) {
      const char *to = options.precision == Precision::fp16   ? "fp16"
                       : options.precision == Precision::bf16 ? "bf16"
                                                              : "fp32";
      pm.addNestedPass<func::FuncOp>(createConvertPrecision({to}, options.report));
    }
    if (options.quant || options.quantCaches || options.precision != Precision::model) {
      if (options.optLevel > 0) {
        pm.addNestedPass<func::FuncOp>(createFuseBodies());
        pm.addNestedPass<func::FuncOp>(createSpanScores());
      }
      pm.addNestedPass<func::FuncOp>(createSimplifyBodies());
      pm.addPass(canonicalizer());
      pm.addNestedPass<func::FuncOp>(createMergeEqual());
    }
    if (options.optLevel > 0)
      pm.addNestedPass<func::FuncOp>(createShareWeights(options.report));
    break;
  case Phase::slices:
    pm.addNestedPass<func::FuncOp>(createMarkLookups());
    pm.addNestedPass<func::FuncOp>(createSliceGraph({options.maxSliceBytes}));
    break;
  case Phase::kernels:
    pm.addPass(createOutlineKernels({options.optLevel > 0}));
    pm.addPass(createMarkOnce());
    break;
  case Phase::schedules:
    pm.addPass(createScheduleKernels({llvm::to_vector(options.targets), options.tensorCores,
                                      options.candidates.value_or(options.optLevel < 2 ? Variants::one : Variants::few),
                                      llvm::to_vector(options.costModel)}));
    break;
  }
}
