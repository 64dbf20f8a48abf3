//===- Context.h - the context of analyses' tests -------------------------===//

#ifndef KT_TEST_PASSES_ANALYSIS_CONTEXT_H
#define KT_TEST_PASSES_ANALYSIS_CONTEXT_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace kt::test {

/// One for all tests of a program, with the dialects of graphs and bodies.
inline mlir::MLIRContext &context() {
  static mlir::MLIRContext *shared = [] {
    auto *c = new mlir::MLIRContext();
    c->loadDialect<KTDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect, mlir::math::MathDialect>();
    return c;
  }();
  return *shared;
}

} // namespace kt::test

#endif
