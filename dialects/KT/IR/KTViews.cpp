//===- KTViews.cpp - factors that are views of tensors --------------------===//
//
// What products, convolutions and attention read of their operands: a tensor, or elements of one at an offset and with
// strides.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/IR/Verify.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace kt;

bool FactorView::isDense() const {
  Expr stride = Expr::constant(offset.context(), 1);
  for (unsigned i = dims.size(); i-- > 0;) {
    if (strides[i] != stride && !dims[i].isConstant(1))
      return false;
    stride = stride * dims[i];
  }
  return offset.isConstant(0);
}

FactorView kt::denseView(SymTensorType type) {
  FactorView view;
  view.offset = Expr::constant(type.getContext(), 0);
  Expr stride = Expr::constant(type.getContext(), 1);
  for (int64_t i = type.getRank(); i-- > 0;) {
    view.dims.insert(view.dims.begin(), type.dim(i));
    view.strides.insert(view.strides.begin(), stride);
    stride = stride * type.dim(i);
  }
  return view;
}

FactorView kt::factorView(Operation *op, unsigned factor) {
  auto views = op->getAttrOfType<ArrayAttr>("views");
  auto attr = views && factor < views.size() ? cast<ViewAttr>(views[factor]) : ViewAttr();
  if (!attr || attr.isNone())
    return denseView(cast<SymTensorType>(op->getOperand(factor).getType()));
  FactorView view;
  view.offset = attr.getOffset();
  llvm::append_range(view.dims, attr.getDims());
  llvm::append_range(view.strides, attr.getStrides());
  return view;
}

void kt::setFactor(Operation *op, unsigned factor, Value tensor, const FactorView &view) {
  MLIRContext *context = op->getContext();
  auto none = ViewAttr::get(context, {}, {}, ExprAttr());
  SmallVector<Attribute> views(isa<ConvOp>(op) ? 1 : firstBodyOperand(op), none);
  if (auto old = op->getAttrOfType<ArrayAttr>("views"))
    views.assign(old.begin(), old.end());
  auto attrs = [](ArrayRef<Expr> list) {
    return llvm::to_vector(llvm::map_range(list, [](Expr e) { return e.attr(); }));
  };
  bool plain = view.isDense() && attrs(view.dims) == cast<SymTensorType>(tensor.getType()).getDims();
  views[factor] = plain ? none : ViewAttr::get(context, attrs(view.dims), attrs(view.strides), view.offset.attr());
  op->setOperand(factor, tensor);
  if (llvm::all_of(views, [&](Attribute v) { return v == none; }))
    op->removeAttr("views");
  else
    op->setAttr("views", ArrayAttr::get(context, views));
}

LogicalResult kt::verifyViews(Operation *op, unsigned count) {
  auto views = op->getAttrOfType<ArrayAttr>("views");
  if (!views)
    return success();
  if (views.size() != count)
    return op->emitOpError() << "expected " << count << (count == 1 ? " view" : " views") << " but got "
                             << views.size();
  Expr zero = Expr::constant(op->getContext(), 0);
  for (unsigned i = 0; i < count; ++i) {
    if (cast<ViewAttr>(views[i]).isNone())
      continue;
    FactorView view = factorView(op, i);
    Expr last = view.offset, elements = cast<SymTensorType>(op->getOperand(i).getType()).numElements();
    bool empty = false;
    for (auto [d, s] : llvm::zip(view.dims, view.strides)) {
      if (alwaysBelow(op, d, zero) || alwaysBelow(op, s, zero))
        return op->emitOpError() << "expected view " << i << " to have no negative dimension or stride but got "
                                 << views[i];
      empty |= d.isConstant(0);
      last = last + (d - 1) * s;
    }
    if (alwaysBelow(op, view.offset, zero))
      return op->emitOpError() << "expected view " << i << " to start at 0 or later but got " << view.offset.str();
    if (!empty && last.poison())
      return op->emitOpError() << "expected view " << i << " to reach elements that can be counted but got "
                               << views[i];
    if (!empty && last.asConstant() && alwaysBelow(op, elements, last + 1))
      return op->emitOpError() << "view " << i << " reaches element " << last.str() << " of a tensor that has "
                               << elements.str();
  }
  return success();
}

LogicalResult kt::verifyViewDim(Operation *op, const Twine &what, const FactorView &view, unsigned i, Expr expected) {
  if (neverEqual(op, view.dims[i], expected))
    return op->emitOpError() << "expected dimension " << i << " of " << what << " to be " << expected.str()
                             << " but got " << view.dims[i].str();
  return success();
}
