//===- ViewReads.cpp - bodies read through views of movements -------------===//

#include "passes/Graph/ViewReads.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Layouts.h"

using namespace mlir;
using namespace kt;

namespace {

/// A view of `root` whose dimensions the strides of `view` walk: its sizes, and for each dimension of the layout the
/// one that it goes along.
struct StridedSource {
  SmallVector<Expr> sizes, first; // first: index of the layout's first element
  SmallVector<int> along;         // -1: repeats
};

std::optional<StridedSource> sourceOf(const FactorView &view, Expr elements) {
  MLIRContext *context = elements.context();
  SmallVector<unsigned> order;
  for (auto [d, stride] : llvm::enumerate(view.strides))
    if (!stride.isConstant(0) && !view.dims[d].isConstant(1))
      order.push_back(d);
  // From the widest stride to the narrowest, each a multiple of the next.
  llvm::stable_sort(order, [&](unsigned a, unsigned b) {
    return view.strides[a] != view.strides[b] && exactQuotient(view.strides[a], view.strides[b]).has_value();
  });
  StridedSource s;
  s.along.assign(view.dims.size(), -1);
  Expr above = elements, rest = view.offset;
  for (unsigned d : order) {
    auto size = exactQuotient(above, view.strides[d]);
    if (!size || size->isConstant(1))
      return std::nullopt;
    s.along[d] = s.sizes.size();
    s.sizes.push_back(*size);
    above = view.strides[d];
  }
  // `sizes` counts positions of each stride in the one before it.
  if (!above.isConstant(1))
    s.sizes.push_back(above);
  Expr stride = Expr::constant(context, 1);
  s.first.assign(s.sizes.size(), Expr::constant(context, 0));
  for (unsigned i = s.sizes.size(); i-- > 0 && !rest.isConstant(0);) {
    s.first[i] = i == 0 ? Expr::floorDiv(rest, stride) : Expr::mod(Expr::floorDiv(rest, stride), s.sizes[i]);
    rest = rest - s.first[i] * stride; // nothing left: the wider strides, which may not be known, do not divide it
    stride = stride * s.sizes[i];
  }
  if (!llvm::all_of(s.first, [](Expr e) { return e.asConstant().has_value(); }))
    return std::nullopt;
  // A view may go on from the end of a row to the next, as overlapping windows do: an index does not.
  for (auto [d, i] : llvm::enumerate(s.along))
    if (i > 0 && !(s.sizes[i] - s.first[i] - view.dims[d]).isNonNegative())
      return std::nullopt;
  return s;
}

/// `root` in another shape: one view for all that read it so, which then are seen to read the same tensor.
Value viewOf(Value root, SymTensorType type) {
  if (root.getType() == type)
    return root;
  OpBuilder b(root.getContext());
  b.setInsertionPointAfterValue(root);
  for (Operation *user : root.getUsers())
    if (auto view = dyn_cast<ReshapeOp>(user); view && view.getResult().getType() == type) {
      view->moveBefore(b.getInsertionBlock(), b.getInsertionPoint());
      return view.getResult();
    }
  return ReshapeOp::create(b, root.getLoc(), type, root).getResult();
}

} // namespace

bool kt::readThroughViews(Operation *consumer, unsigned number) {
  unsigned operand = firstBodyOperand(consumer) + number;
  Value v = consumer->getOperand(operand);
  if (!v.getDefiningOp<ReshapeOp>() || !throughReshapes(v).getDefiningOp<GenericOp>())
    return false;
  Layout layout = layoutOf(v);
  SymTensorType type = cast<SymTensorType>(v.getType());
  SmallVector<Expr> sizes = type.sizes();
  auto view = asView(layout, sizes);
  if (throughReshapes(layout.root) == throughReshapes(v) || !view) // nothing is moved
    return false;
  SymTensorType rootType = cast<SymTensorType>(layout.root.getType());
  auto source = sourceOf(*view, rootType.numElements());
  if (!source)
    return false;
  SmallVector<ReadOp> reads = readsOf(consumer, number);
  // A check of an index is one of the source's where that dimension is the source's own.
  for (ReadOp read : reads)
    if (read.getOtherwise())
      for (int64_t d = 0; d < type.getRank(); ++d) {
        bool checked = !read.getCheck() || llvm::is_contained(*read.getCheck(), d);
        int at = source->along[d];
        if (checked && (at < 0 || source->sizes[at] != sizes[d] || !source->first[at].isConstant(0)))
          return false;
      }
  OpBuilder b(consumer);
  SmallVector<ExprAttr> dims;
  for (Expr e : source->sizes)
    dims.push_back(e.attr());
  Value root = viewOf(layout.root, SymTensorType::get(b.getContext(), dims, type.getElementType()));
  for (ReadOp read : reads) {
    b.setInsertionPoint(read);
    SmallVector<Value> at;
    SmallVector<int64_t> check;
    for (unsigned i = 0; i < source->sizes.size(); ++i)
      at.push_back(arith::ConstantIndexOp::create(b, read.getLoc(), *source->first[i].asConstant()));
    for (auto [d, i] : llvm::enumerate(source->along)) {
      if (i < 0)
        continue;
      at[i] = source->first[i].isConstant(0) ? Value(read.getIndices()[d])
                                             : arith::AddIOp::create(b, read.getLoc(), read.getIndices()[d], at[i]);
      if (read.getOtherwise() && (!read.getCheck() || llvm::is_contained(*read.getCheck(), (int64_t)d)))
        check.push_back(i);
    }
    read.getIndicesMutable().assign(at);
    if (read.getOtherwise())
      read.setCheck(check);
  }
  setBodyOperand(consumer, number, root);
  return true;
}
