//===- Slices.cpp - tensors that have become ranges of another ------------===//

#include "passes/Graph/Slices.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Layouts.h"

using namespace mlir;
using namespace kt;

/// Elements of half precision that are copied at once.
static constexpr int64_t kAligned = 8;

bool kt::takesSlices(Value v) {
  return llvm::all_of(v.getUses(), [&](OpOperand &use) {
    Operation *user = use.getOwner();
    if (auto reshape = dyn_cast<ReshapeOp>(user))
      return takesSlices(reshape.getResult());
    auto compute = dyn_cast<ComputeOpInterface>(user);
    return compute && !compute.bodies().empty() && !isa<ConvOp>(user);
  });
}

SymTensorType kt::withDim(SymTensorType type, unsigned dim, int64_t size) {
  SmallVector<ExprAttr> dims(type.getDims());
  dims[dim] = Expr::constant(type.getContext(), size).attr();
  return SymTensorType::get(type.getContext(), dims, type.getElementType());
}

Slices::Slices(Value whole, unsigned dim)
    : whole(whole), dim(dim), size(*cast<SymTensorType>(whole.getType()).dim(dim).asConstant()), b(whole.getContext()) {
  b.setInsertionPointAfter(whole.getDefiningOp());
}

void Slices::replace(Value part, int64_t begin) {
  auto type = cast<SymTensorType>(part.getType());
  for (OpOperand &use : llvm::make_early_inc_range(part.getUses())) {
    if (auto reshape = dyn_cast<ReshapeOp>(use.getOwner()))
      if (Value view = sliceOfView(type, reshape, begin)) {
        reshape.getResult().replaceAllUsesWith(view);
        reshape.erase();
        continue;
      }
    if (isProduct(use.getOwner()) && readInPlace(use, type, begin))
      continue;
    use.set(slice(whole, type, dim, begin));
  }
}

/// A factor is seen where it lies: what were blocks of the part's rows are such of the whole, from `begin` on. False
/// where its view does not go by these blocks, or where half precision would lose its aligned copies.
bool Slices::readInPlace(OpOperand &use, SymTensorType type, int64_t begin) {
  unsigned factor = use.getOperandNumber();
  if (factor >= firstBodyOperand(use.getOwner()))
    return false;
  Expr zero = Expr::constant(b.getContext(), 0), inner = Expr::constant(b.getContext(), 1), last = zero;
  for (ExprAttr d : type.getDims().drop_front(dim + 1))
    inner = inner * Expr(d);
  Expr block = inner * type.dim(dim), wholeBlock = inner * size;
  FactorView view = factorView(use.getOwner(), factor);
  // `last` is the furthest element of a block that is read.
  for (auto [extent, stride] : llvm::zip(view.dims, view.strides)) {
    if (auto blocks = exactQuotient(stride, block))
      stride = *blocks * wholeBlock;
    else
      last = last + (extent - Expr::constant(b.getContext(), 1)) * stride;
  }
  auto blocks = exactQuotient(view.offset, block);
  Expr start = blocks ? *blocks * wholeBlock : view.offset;
  if (!blocks)
    last = last + view.offset;
  auto beyond = (last - block).asConstant();
  view.offset = start + inner * begin;
  auto aligned = [](Expr e) { return e.isMultipleOf(kAligned); };
  if (!beyond || *beyond >= 0 || (type.elementBytes() < 4 && !(aligned(wholeBlock) && aligned(inner * begin))))
    return false;
  setFactor(use.getOwner(), factor, whole, view);
  return true;
}

/// A view that parts the last dimension into heads of whole slices is made of the whole, so that the slice is what
/// readers see: [b, s, n] as [b, s, h, d] is a range of [b, s, all / d, d].
Value Slices::sliceOfView(SymTensorType type, ReshapeOp reshape, int64_t begin) {
  SymTensorType view = reshape.getResult().getType();
  if (dim + 1 != type.getRank() || view.getRank() <= dim ||
      view.getDims().take_front(dim) != type.getDims().take_front(dim))
    return {};
  int64_t inner = 1;
  for (ExprAttr d : view.getDims().drop_front(dim + 1))
    inner *= Expr(d).asConstant().value_or(0);
  if (inner == 0 || begin % inner || size % inner)
    return {};
  return slice(viewOf(withDim(view, dim, size / inner)), view, dim, begin / inner);
}

Value Slices::viewOf(SymTensorType type) {
  Value &view = views[type];
  if (!view)
    view = type == whole.getType() ? whole : ReshapeOp::create(b, whole.getLoc(), type, whole).getResult();
  return view;
}

Value Slices::slice(Value from, SymTensorType type, unsigned sliced, int64_t begin) {
  Value &made = slices[{from, {type, begin}}];
  if (made)
    return made;
  Location loc = whole.getLoc();
  auto op = GenericOp::create(b, loc, type, from);
  Block *body = addBody(op.getBody(), {}, from, type.getRank());
  OpBuilder inside = OpBuilder::atBlockEnd(body);
  SmallVector<Value> at(body->getArguments().begin() + 1, body->getArguments().end());
  if (begin)
    at[sliced] = arith::AddIOp::create(inside, loc, at[sliced], arith::ConstantIndexOp::create(inside, loc, begin));
  YieldOp::create(inside, loc, ReadOp::create(inside, loc, body->getArgument(0), at).getResult());
  return made = op.getResult();
}
