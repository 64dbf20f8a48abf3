//===- Passes.h - kt to kt passes -----------------------------------------===//

#ifndef KT_PASSES_PASSES_H
#define KT_PASSES_PASSES_H

#include "dialects/KT/IR/KTDialect.h"
#include "dialects/KT/Schedule/Options.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "passes/Precision/AccuracyReport.h"
#include "passes/Precision/InputMoments.h"

namespace kt {
#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

// Passes that also say in a report what weights become; null: in none. `moments` are known where there are any.
std::unique_ptr<mlir::Pass> createQuantizeWeights(QuantizeWeightsOptions options, AccuracyReport *report,
                                                  const InputMoments *moments = nullptr);
std::unique_ptr<mlir::Pass> createConvertPrecision(ConvertPrecisionOptions options, AccuracyReport *report);
std::unique_ptr<mlir::Pass> createShareWeights(AccuracyReport *report);
} // namespace kt

#endif
