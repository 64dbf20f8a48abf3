//===- passes.cpp - fuzzes the phases from graph to kernels ---------------===//
//
// What has been imported goes through every phase before code generation, or is refused with an error. The size of the
// model chooses the options, so that a model is always compiled alike.
//
//===----------------------------------------------------------------------===//

#include "compiler/Pipeline/Pipeline.h"
#include "mlir/Pass/PassManager.h"
#include "test/fuzz/ImportedModel.h"

using namespace kt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::ImportedModel model(data, size);
  if (!model.module)
    return 0;
  PipelineOptions options;
  options.precision = static_cast<Precision>(size % 4);
  if (size / 4 % 4 == 3)
    options.quant = size / 64 % 4 == 3 ? QuantFormat::int4() : QuantFormat::int8();
  options.optLevel = size / 16 % 4 ? 3 : 0;
  options.maxSliceBytes = size / 64 % 2 ? 0 : 1 << 12;
  for (Phase phase : allPhases()) {
    mlir::PassManager passes(&model.context);
    buildPhase(passes, phase, options);
    if (mlir::failed(passes.run(*model.module))) {
      model.mustHaveSaidWhy();
      break;
    }
  }
  return 0;
}
