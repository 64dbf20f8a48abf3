//===- Pipeline.h - the phases of compilation -----------------------------===//
//
// One enum, a pipeline of passes for each phase. What each pass guarantees is said in passes/Passes.td and held by its
// tests; the verifiers of ops and types run once after each phase (Driver.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_PIPELINE_PIPELINE_H
#define KT_COMPILER_PIPELINE_PIPELINE_H

#include "compiler/Driver/Driver.h"
#include "passes/Precision/AccuracyReport.h"
#include "llvm/ADT/ArrayRef.h"

namespace mlir {
class OpPassManager;
}

namespace kt {

enum class Phase {
  graph,     // constants folded, layouts settled, elementwise work fused, attention and norms raised
  precision, // storage and compute types chosen
  slices,    // cut into slices
  kernels,   // every computation a launch of a shared kernel
  schedules  // each kernel with the ways to run it that may win
};

struct PipelineOptions {
  Precision precision = Precision::model;
  QuantFormat quant;
  std::vector<std::string> quantExclude; // nodes and weights that stay as they are, as patterns
  std::optional<double> quantMinSnr;     // weights with less of it have more bits
  bool int8Activations = false;          // products of many rows round them to INT8
  bool quantCaches = false;              // sessions keep keys and values in INT8
  AccuracyReport *report = nullptr;      // filled in where it is given
  const InputMoments *moments = nullptr; // what products are given, where that is known
  uint64_t maxSliceBytes = 0;
  int optLevel = 3;
  std::vector<std::string> targets;
  TensorCorePriority tensorCores = TensorCorePriority::high;
  std::optional<Variants> candidates;
  std::vector<int64_t> costModel;
};

llvm::ArrayRef<Phase> allPhases();
std::string nameOf(Phase phase);
/// Appends the passes of one phase.
void buildPhase(mlir::OpPassManager &pm, Phase phase, const PipelineOptions &options);

} // namespace kt

#endif
