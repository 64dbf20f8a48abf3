//===- Pages.cpp - states that lie in pages -------------------------------===//

#include "dialects/KT/Schedule/Pages.h"

using namespace mlir;
using namespace kt;

static bool isCapacity(Expr e) { return e.kind() == Expr::Kind::Symbol && e.name() == kCapacity; }

static bool dependsOnCapacity(Expr e) {
  if (isCapacity(e))
    return true;
  for (unsigned i = 0; i < e.numOperands(); ++i)
    if (dependsOnCapacity(e.operand(i)))
      return true;
  return false;
}

namespace {
/// The dimension of a value that has room for more; `is` says whether there is one, a bad one is -1.
struct Growing {
  bool is = false;
  int64_t axis = -1;
};
} // namespace

static Growing growing(Value v) {
  auto type = cast<SymTensorType>(v.getType());
  Growing found;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    Expr dim = type.dim(d);
    bool isChoice = dim.kind() == Expr::Kind::Select;
    // What a session with a state has no more of than without one, such as an argument that it keeps in another form,
    // is no state.
    if (!dependsOnCapacity(dim) || (isChoice && !dependsOnCapacity(dim.operand(2))))
      continue;
    bool plain = isChoice && isCapacity(dim.operand(2)) && !found.is;
    bool between = d > 0 && d + 1 < type.getRank();
    found = {true, plain && between ? d : -1};
  }
  if (!isa_and_present<CapacityOp, UpdateOp>(v.getDefiningOp())) // under another shape, or handed through
    found.axis = -1;
  return found;
}

/// Whether a factor's batch and rows are those of the state that it is seen in.
static bool seesRows(AttentionOp op, unsigned factor, int64_t axis) {
  FactorView view = factorView(op, factor), state = denseView(cast<SymTensorType>(op->getOperand(factor).getType()));
  AffineMap map = cast<AffineMapAttr>(op.getMaps()[factor]).getValue();
  auto stride = [&](unsigned position) {
    for (unsigned r = 0; r < map.getNumResults(); ++r)
      if (map.getDimPosition(r) == position)
        return view.strides[r];
    return Expr::constant(op.getContext(), 0);
  };
  bool oneBatch = Expr(cast<ExprAttr>(op.getSizes()[0])).isConstant(1);
  return view.offset.isConstant(0) && stride(2) == state.strides[axis] && (oneBatch || stride(0) == state.strides[0]);
}

static bool mayReadPages(Operation *op, unsigned operand, int64_t axis) {
  if (auto attention = dyn_cast<AttentionOp>(op); attention && operand < attention.numFactors())
    return (operand == 1 || operand == 2) && seesRows(attention, operand, axis);
  if (auto attention = dyn_cast<AttentionOp>(op)) // regions other than the scales' have no code for pages
    return attention.getScore().getArgument(1 + operand - attention.numFactors()).use_empty() &&
           (attention.getSink().empty() ||
            attention.getSink().getArgument(operand - attention.numFactors()).use_empty());
  return isa<UpdateOp, GenericOp>(op);
}

std::optional<SmallVector<int64_t>> kt::findPages(ArrayRef<Operation *> group, ArrayRef<Value> operands) {
  SmallVector<int64_t> axes;
  bool any = false;
  auto add = [&](Value v) {
    Growing found = growing(v);
    any |= found.is;
    axes.push_back(found.axis);
    return !found.is || found.axis >= 0;
  };
  for (Value v : operands)
    if (!add(v))
      return std::nullopt;
  for (Operation *op : group) {
    for (OpOperand &operand : op->getOpOperands())
      if (Growing found = growing(operand.get());
          found.is && (found.axis < 0 || !mayReadPages(op, operand.getOperandNumber(), found.axis)))
        return std::nullopt;
    for (Value result : op->getResults())
      if (!add(result))
        return std::nullopt;
  }
  return any ? std::optional(axes) : std::nullopt;
}

void kt::setPages(KernelOp kernel, ArrayRef<int64_t> axes) {
  kernel->setAttr(kPages, DenseI64ArrayAttr::get(kernel.getContext(), axes));
}

ArrayRef<int64_t> kt::pagesOf(KernelOp kernel) {
  auto axes = kernel->getAttrOfType<DenseI64ArrayAttr>(kPages);
  return axes ? axes.asArrayRef() : ArrayRef<int64_t>();
}

bool kt::readsPages(KernelOp kernel, Operation *op) {
  ArrayRef<int64_t> axes = pagesOf(kernel);
  return llvm::any_of(op->getOperands(), [&](Value v) {
    auto given = dyn_cast<BlockArgument>(v);
    return given && given.getArgNumber() < axes.size() && axes[given.getArgNumber()] >= 0;
  });
}
