//===- MarkOnce.cpp - launches that no run has to repeat ------------------===//
//
// Masks, positions, rotary angles and whatever else follows from weights and from sizes of inputs is the same in all
// runs with these sizes. Such launches get the attribute `once`; the runtime does them when it plans for the sizes.
//
//   %0 = kt.launch @generic_0 ints [<seq>] -> ...          %0 = kt.launch @generic_0 ints [<seq>] {once} -> ...
//   %1 = kt.launch @generic_1 ins(%x, %0) ...        =>    %1 = kt.launch @generic_1 ins(%x, %0) ...
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Once.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_MARKONCE
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

struct MarkOncePass : kt::impl::MarkOnceBase<MarkOncePass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (isGraph(func))
        mark(func, symbols);
  }

  void mark(func::FuncOp func, const SymbolTable &symbols) {
    OnceFacts facts(func);
    auto known = [&](ExprAttr e) { return facts.known(e); };
    llvm::DenseSet<Value> once;
    for (auto launch : func.getBody().front().getOps<LaunchOp>()) {
      auto kernel = symbols.lookup<KernelOp>(launch.getKernel());
      // A fault is of the run that meets it: each has to look.
      bool marked = kernel && !kernel.reportsFaults() && llvm::all_of(launch.getInts().getAsRange<ExprAttr>(), known) &&
                    llvm::all_of(launch.getResultTypes(),
                                 [&](Type type) { return llvm::all_of(cast<SymTensorType>(type).getDims(), known); });
      for (Value v : launch.getInputs())
        marked = marked && (throughReshapes(v).getDefiningOp<ConstantOp>() || once.contains(throughReshapes(v)));
      launch.setOnce(marked);
      if (marked)
        once.insert_range(launch.getResults());
    }
  }
};

} // namespace
