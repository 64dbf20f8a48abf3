//===- Once.cpp - what no run has to repeat -------------------------------===//

#include "passes/Analysis/Once.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "passes/Analysis/Bodies.h"

using namespace mlir;
using namespace kt;

OnceFacts::OnceFacts(func::FuncOp graph) {
  if (!isGraph(graph))
    return;
  Block &body = graph.getBody().front();
  for (Type type : body.getArgumentTypes())
    for (ExprAttr dim : cast<SymTensorType>(type).getDims())
      if (Expr e(dim); e.kind() == Expr::Kind::Symbol)
        sizes.insert(e.name());
  AttrTypeWalker walker; // looks at each attribute and type once
  walker.addWalk([&](ExprAttr e) { return known(e) ? WalkResult::skip() : WalkResult::interrupt(); });
  auto follows = [&](Operation *op) {
    // A fault is of the run that meets it: each has to look.
    auto scatter = dyn_cast<ScatterOp>(op);
    bool all = !isa<BoundedOp>(op) && !(scatter && scatter.getSite()) &&
               !walker.walk(op->getAttrDictionary()).wasInterrupted();
    for (Type type : op->getResultTypes())
      all = all && !walker.walk(type).wasInterrupted();
    return all ? WalkResult::advance() : WalkResult::interrupt();
  };
  for (auto compute : body.getOps<ComputeOpInterface>()) {
    bool fromOnce = llvm::all_of(compute->getOperands(), [&](Value v) {
      Operation *def = throughReshapes(v).getDefiningOp();
      return def && (isa<ConstantOp>(def) || once.contains(def));
    });
    if (fromOnce && !compute->walk(follows).wasInterrupted())
      once.insert(compute);
  }
}

bool OnceFacts::known(ExprAttr e) const {
  bool all = true;
  Expr(e).forEachSymbol([&](StringRef name) { all = all && sizes.contains(name); });
  return all;
}
