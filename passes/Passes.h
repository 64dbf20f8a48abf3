//===- Passes.h - kt to kt passes -----------------------------------------===//

#ifndef KT_PASSES_PASSES_H
#define KT_PASSES_PASSES_H

#include "dialects/KT/IR/KTDialect.h"
#include "dialects/KT/Schedule/Options.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace kt {
/// How many ways to run a kernel there are in the end.
enum class Variants {
  one, // that takes every shape
  few, // those that may win
  all  // whatever there is, for tests
};

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"
} // namespace kt

#endif
