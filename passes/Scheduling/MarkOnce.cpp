//===- MarkOnce.cpp - launches that no run has to repeat ------------------===//
//
// Masks, positions, rotary angles and whatever else follows from weights and from sizes of inputs is the same in all
// runs with these sizes. Such launches get the attribute `once`; the runtime does them when it plans for the sizes.
//
//   %0 = kt.launch @generic_0 ints [<seq>] -> ...          %0 = kt.launch @generic_0 ints [<seq>] {once} -> ...
//   %1 = kt.launch @generic_1 ins(%x, %0) ...        =>    %1 = kt.launch @generic_1 ins(%x, %0) ...
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/AttrTypeSubElements.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringSet.h"

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
    Block &body = func.getBody().front();
    // Sizes of inputs are all that is known when a run is planned; other symbols are bound while it runs.
    llvm::StringSet<> sizes;
    for (Type type : body.getArgumentTypes())
      for (ExprAttr dim : cast<SymTensorType>(type).getDims())
        if (Expr e(dim); e.kind() == Expr::Kind::Symbol)
          sizes.insert(e.name());
    auto known = [&](ExprAttr attr) {
      bool all = true;
      (void)Expr(attr).substitute([&](StringRef name) {
        all = all && sizes.contains(name);
        return Expr::symbol(&getContext(), name);
      });
      return all;
    };
    llvm::DenseSet<Value> once;
    for (auto launch : body.getOps<LaunchOp>()) {
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
