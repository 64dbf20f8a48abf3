//===- AbsorbViews.cpp - products read their factors where they lie -------===//
//
//   %t = generic { qkv[b, s, 1, h, d] } -> [b, h, s, d]
//   %r = attention %q, %t, ..                  ->   %r = attention %q, %qkv, .. {views = [.., <offset 1 * h * d ..>,
//   ..]}
//
// Whatever moves elements only on its way to a factor, in any order and however often dimensions were split and merged,
// becomes an offset and strides.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/AffineMap.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Layouts.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_ABSORBVIEWS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kChunk = 8; // 16-bit elements of an asynchronous copy

/// Rows are a whole number of copies apart and begin with one: what is not known is taken to.
bool mayBeAligned(const FactorView &view) {
  auto fits = [](Expr e) { return !e.asConstant() || *e.asConstant() % kChunk == 0; };
  bool all = fits(view.offset);
  for (auto [d, s] : llvm::zip(view.dims, view.strides))
    all &= d.isConstant(1) || s.isConstant(1) || fits(s);
  return all;
}

/// Kernels on half-precision factors copy 16 bytes of one row at a time; a view that takes that away costs more than
/// the move that it saves.
bool pays(Operation *op, unsigned factor, const FactorView &view) {
  FactorView now = factorView(op, factor);
  auto unit = [](const FactorView &v) {
    return llvm::any_of(llvm::zip(v.dims, v.strides), [](auto dimAndStride) {
      auto [d, s] = dimAndStride;
      return s.isConstant(1) && !d.isConstant(1);
    });
  };
  // The inner dimension of the tensor is where today's kernel finds neighbours.
  bool inner = view.strides.empty() || view.strides.back().isConstant(1) || now.dims.back().isConstant(1);
  if (isa<ConvOp>(op) && !inner)
    return false;
  bool half = cast<SymTensorType>(op->getOperand(factor).getType()).elementBytes() == 2;
  if (!half)
    return unit(view) || !unit(now);
  return (inner || !unit(now)) && (mayBeAligned(view) || !mayBeAligned(now));
}

bool isViewed(Operation *op, unsigned factor) {
  auto views = op->getAttrOfType<ArrayAttr>("views");
  return views && !cast<ViewAttr>(views[factor]).isNone();
}

bool absorb(Operation *op, unsigned factor) {
  if (isViewed(op, factor))
    return false;
  Value operand = op->getOperand(factor);
  Layout layout = layoutOf(operand);
  if (throughReshapes(layout.root) == throughReshapes(operand))
    return false; // nothing is moved
  auto view = asView(layout, cast<SymTensorType>(operand.getType()).sizes());
  if (!view || !pays(op, factor, *view))
    return false;
  setFactor(op, factor, layout.root, *view);
  return true;
}

/// Keys and values that are repeated for groups of heads: [.., g * n, ..] with modes ((g, stride), (n, 0)).
bool absorbGroups(AttentionOp op) {
  if (op.getGroup() != 1 || isViewed(op, 1) || isViewed(op, 2))
    return false;
  std::optional<int64_t> group;
  FactorView views[2];
  Value roots[2];
  for (unsigned i = 0; i < 2; ++i) {
    Value operand = op->getOperand(1 + i);
    Layout layout = layoutOf(operand);
    AffineMap map = cast<AffineMapAttr>(op.getMaps()[1 + i]).getValue();
    unsigned heads = *map.getResultPosition(getAffineDimExpr(1, op.getContext()));
    Modes modes = coalesced(layout.dims[heads]);
    SmallVector<Expr> sizes = cast<SymTensorType>(operand.getType()).sizes();
    auto repeat = modes.empty() ? std::nullopt : modes.back().size.asConstant();
    if (modes.size() > 2 || !repeat || !modes.back().stride.isConstant(0) || (group && *repeat != *group))
      return false;
    group = repeat;
    modes.pop_back();
    sizes[heads] = sizeOf(op.getContext(), modes);
    layout.dims[heads] = modes;
    auto view = asView(layout, sizes);
    if (!view)
      return false;
    views[i] = *view, roots[i] = layout.root;
  }
  op.setGroup(*group);
  for (unsigned i = 0; i < 2; ++i)
    setFactor(op, 1 + i, roots[i], views[i]);
  return true;
}

struct AbsorbViewsPass : kt::impl::AbsorbViewsBase<AbsorbViewsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    getOperation()->walk([&](ComputeOpInterface op) {
      if (!op.isProduct())
        return;
      if (auto attention = dyn_cast<AttentionOp>(*op); attention && absorbGroups(attention))
        return;
      bool packed = isa<ConvOp>(op) || (isa<MatmulOp>(op) && cast<MatmulOp>(op).getPacked());
      for (unsigned i = 0; i < (packed ? 1 : op.numFactors()); ++i)
        absorb(op, i);
    });
    eraseDead(getOperation());
  }
};

} // namespace
