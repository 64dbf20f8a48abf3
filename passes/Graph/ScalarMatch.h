//===- ScalarMatch.h - recognising scalar arithmetic ----------------------===//
//
// Small matchers over body values that look through widening and narrowing. Exporters spell one formula many ways;
// after folding few remain.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_GRAPH_SCALARMATCH_H
#define KT_PASSES_GRAPH_SCALARMATCH_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/Matchers.h"

namespace kt {

/// The value before conversions between float widths.
inline mlir::Value stripCasts(mlir::Value v) {
  while (true) {
    if (auto ext = v.getDefiningOp<mlir::arith::ExtFOp>())
      v = ext.getIn();
    else if (auto trunc = v.getDefiningOp<mlir::arith::TruncFOp>())
      v = trunc.getIn();
    else
      return v;
  }
}

/// A float constant.
inline std::optional<double> constantFloat(mlir::Value v) {
  llvm::APFloat f(0.0);
  if (!mlir::matchPattern(stripCasts(v), mlir::m_ConstantFloat(&f)))
    return std::nullopt;
  bool lost;
  f.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lost);
  return f.convertToDouble();
}

/// The number of elements as a float: a constant, or a size converted.
inline bool isCount(mlir::Value v, Expr count) {
  if (auto c = constantFloat(v))
    return count.isConstant((int64_t)*c) && (double)(int64_t)*c == *c;
  v = stripCasts(v);
  if (auto fp = v.getDefiningOp<mlir::arith::SIToFPOp>())
    v = fp.getIn();
  if (auto cast = v.getDefiningOp<mlir::arith::IndexCastOp>())
    v = cast.getIn();
  auto size = v.getDefiningOp<SizeOp>();
  return size && Expr(size.getValue()) == count;
}

/// v = acc / count.
inline bool isMeanOf(mlir::Value v, mlir::Value acc, Expr count) {
  v = stripCasts(v);
  if (auto div = v.getDefiningOp<mlir::arith::DivFOp>())
    return stripCasts(div.getLhs()) == acc && isCount(div.getRhs(), count);
  if (auto mul = v.getDefiningOp<mlir::arith::MulFOp>())
    for (auto [x, c] : {std::pair{mul.getLhs(), mul.getRhs()}, std::pair{mul.getRhs(), mul.getLhs()}})
      if (auto factor = constantFloat(c); factor && stripCasts(x) == acc && count.asConstant())
        return std::abs(*factor * *count.asConstant() - 1) < 1e-6;
  return false;
}

/// v = sqrt(mean + epsilon) (answers false) or its reciprocal (true).
struct Deviation {
  bool reciprocal;
  double epsilon;
};
inline std::optional<Deviation> matchDeviation(mlir::Value v, mlir::Value acc, Expr count) {
  v = stripCasts(v);
  bool reciprocal = false;
  mlir::Value sum;
  if (auto div = v.getDefiningOp<mlir::arith::DivFOp>())
    if (constantFloat(div.getLhs()) == 1.0) {
      reciprocal = true;
      v = stripCasts(div.getRhs());
    }
  if (auto rsqrt = v.getDefiningOp<mlir::math::RsqrtOp>()) {
    if (reciprocal)
      return std::nullopt;
    reciprocal = true;
    sum = rsqrt.getOperand();
  } else if (auto sqrt = v.getDefiningOp<mlir::math::SqrtOp>()) {
    sum = sqrt.getOperand();
  } else {
    return std::nullopt;
  }
  sum = stripCasts(sum);
  if (auto add = sum.getDefiningOp<mlir::arith::AddFOp>())
    for (auto [x, c] : {std::pair{add.getLhs(), add.getRhs()}, std::pair{add.getRhs(), add.getLhs()}})
      if (auto epsilon = constantFloat(c); epsilon && isMeanOf(x, acc, count))
        return Deviation{reciprocal, *epsilon};
  return std::nullopt;
}

} // namespace kt

#endif
