//===- Attention.cpp - attention as sizes and strides ---------------------===//

#include "dialects/KT/Schedule/Attention.h"

using namespace mlir;
using namespace kt;

FailureOr<AttentionProblem> kt::analyzeAttention(AttentionOp op) {
  AttentionProblem p;
  p.op = op;
  Expr sizes[6];
  for (auto [i, a] : llvm::enumerate(op.getSizes()))
    sizes[i] = Expr(cast<ExprAttr>(a));
  p.b = sizes[0], p.h = sizes[1], p.i = sizes[2], p.j = sizes[3];
  std::optional<int64_t> d = sizes[4].asConstant(), e = sizes[5].asConstant();
  if (!d || !e)
    return failure();
  p.d = *d, p.e = *e, p.group = op.getGroup(), p.zeroEmpty = op.getZeroEmpty();
  if (auto from = op.getSpanFrom())
    p.from = Expr(*from);
  if (auto to = op.getSpanTo())
    p.to = Expr(*to);
  auto strides = [&](unsigned map, const FactorView &view) {
    AffineMap m = cast<AffineMapAttr>(op.getMaps()[map]).getValue();
    SmallVector<Expr> list(4, Expr::constant(op.getContext(), 0));
    for (unsigned i = 0; i < 4; ++i)
      list[m.getDimPosition(i)] = view.strides[i];
    list.push_back(view.offset);
    return list;
  };
  p.query = strides(0, factorView(op, 0)), p.key = strides(1, factorView(op, 1));
  p.value = strides(2, factorView(op, 2)), p.result = strides(3, denseView(op.getResult().getType()));
  return p;
}

bool AttentionProblem::isHalf() const {
  AttentionOp attention = op;
  Type q = attention.getQuery().getType().scalarType(), k = attention.getKey().getType().scalarType(),
       v = attention.getValue().getType().scalarType();
  return (q.isF16() || q.isBF16()) && q == k && q == v;
}

static bool rowsAligned(ArrayRef<Expr> strides, int64_t columns, Alignment &a) {
  return columns % 8 == 0 && strides[3].isConstant(1) && a.multiple(strides[0]) && a.multiple(strides[1]) &&
         a.multiple(strides[2]) && a.multiple(strides[4]);
}

bool AttentionProblem::canAlign(Alignment &copies) const {
  copies.lanes = 8;
  return rowsAligned(query, d, copies) && rowsAligned(key, d, copies) && rowsAligned(value, e, copies);
}
