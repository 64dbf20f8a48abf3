//===- AttentionFactors.cpp - how q, k and v lie over batches and heads ---===//

#include "passes/Graph/AttentionFactors.h"
#include "mlir/IR/AffineMap.h"
#include "passes/Graph/ScalarMatch.h"

using namespace mlir;
using namespace kt;

/// Sorts a layout of the operand's dimensions by what the dimensions are in the product.
static AttentionFactor byRole(MatmulOp product, unsigned operand, unsigned row, unsigned column, const Layout &layout) {
  AttentionFactor f{layout.root, layout.offset, {}, {}, {}, {}};
  AffineMap map = product.getMap(operand);
  MLIRContext *context = product.getContext();
  auto modesOf = [&](unsigned dim) -> Modes {
    if (auto at = map.getResultPosition(getAffineDimExpr(dim, context)))
      return layout.dims[*at];
    return {{product.extent(dim), Expr::constant(context, 0)}};
  };
  for (unsigned d = 0; d < product.numBatch(); ++d)
    f.batch.append(modesOf(d));
  f.row = modesOf(row), f.column = modesOf(column);
  return f;
}

AttentionFactor kt::factorOf(MatmulOp product, unsigned operand, unsigned row, unsigned column, bool scales) {
  SmallVector<double> found;
  Layout layout = layoutOf(product->getOperand(operand), {}, scales ? &found : nullptr);
  AttentionFactor f = byRole(product, operand, row, column, layout);
  f.scales = found;
  return f;
}

AttentionFactor kt::plainFactorOf(MatmulOp product, unsigned operand, unsigned row, unsigned column) {
  Value v = product->getOperand(operand);
  return byRole(product, operand, row, column, layoutOf(v, v));
}

/// The factor over (batches, heads, rows, columns), or over groups of heads where it is repeated for each of their
/// members: `group` is set then.
static std::optional<FactorView> viewOver(const AttentionFactor &f, Expr batches, Expr heads, bool mayRepeat,
                                          int64_t &group) {
  MLIRContext *context = heads.context();
  auto parts = regrouped(f.batch, {batches, heads});
  if (!parts)
    return std::nullopt;
  Layout layout{f.root, {(*parts)[0], coalesced((*parts)[1]), f.row, f.column}, f.offset};
  Modes &own = layout.dims[1];
  Expr count = heads;
  group = 1;
  if (mayRepeat && !own.empty() && own.back().stride.isConstant(0))
    if (auto repeat = own.back().size.asConstant(); repeat && *repeat > 1) {
      group = *repeat;
      own.pop_back();
      count = sizeOf(context, own);
    }
  return asView(layout, {batches, count, sizeOf(context, f.row), sizeOf(context, f.column)});
}

static std::optional<AttentionLayout> tryHeads(ArrayRef<AttentionFactor> factors, Expr total, Expr heads) {
  auto batches = exactQuotient(total, heads);
  if (!batches)
    return std::nullopt;
  AttentionLayout result{*batches, heads, 1, {factors[0], factors[1], factors[2]}, {}};
  int64_t groups[3];
  for (unsigned i = 0; i < 3; ++i) {
    auto view = viewOver(factors[i], *batches, heads, /*mayRepeat=*/i > 0, groups[i]);
    if (!view)
      return std::nullopt;
    result.views[i] = *view;
  }
  result.group = groups[1];
  return groups[1] == groups[2] ? std::optional(result) : std::nullopt;
}

std::optional<AttentionLayout> kt::findHeads(ArrayRef<AttentionFactor> factors, ArrayRef<AttentionFactor> plain,
                                             Expr total, ArrayRef<Expr> natural, ArrayRef<Expr> guesses) {
  MLIRContext *context = total.context();
  SmallVector<Expr> candidates(natural);
  for (const AttentionFactor &f : factors) {
    Modes modes = coalesced(f.batch);
    for (unsigned i = 1; i < modes.size(); ++i)
      candidates.push_back(sizeOf(context, ArrayRef(modes).drop_front(i)));
  }
  candidates.append(guesses.begin(), guesses.end());
  candidates.append({total, Expr::constant(context, 1)});
  // All where they lie; then with one factor, then two, then all of them as they were given to the product.
  for (unsigned kept : {0b000u, 0b100u, 0b010u, 0b001u, 0b110u, 0b101u, 0b011u, 0b111u}) {
    AttentionFactor chosen[3];
    for (unsigned i = 0; i < 3; ++i)
      chosen[i] = (kept >> i & 1) ? plain[i] : factors[i];
    for (Expr heads : candidates)
      if (auto found = tryHeads(chosen, total, heads))
        return found;
  }
  return std::nullopt;
}

/// Nothing but the movement between them, and then the product, reads `root` and `operand`.
static bool isReadOnce(Value operand, Value root) {
  while (operand.hasOneUse()) {
    if (operand == root)
      return true;
    if (auto reshape = operand.getDefiningOp<ReshapeOp>())
      operand = reshape.getSource();
    else if (auto generic = operand.getDefiningOp<GenericOp>(); generic && generic.getInputs().size() == 1)
      operand = generic.getInputs()[0];
    else
      return false;
  }
  return false;
}

/// Takes the multiplication with a constant that the elements of `op` end in.
static std::optional<double> takeLastScale(GenericOp op) {
  Value v = op.getBody().front().getTerminator()->getOperand(0);
  while (v.hasOneUse() && isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(v.getDefiningOp()))
    v = v.getDefiningOp()->getOperand(0);
  auto mul = v.getDefiningOp<arith::MulFOp>();
  if (!mul || !v.hasOneUse())
    return std::nullopt;
  for (auto [x, c] : {std::pair{mul.getLhs(), mul.getRhs()}, std::pair{mul.getRhs(), mul.getLhs()}})
    if (auto scale = constantFloat(c)) {
      mul.replaceAllUsesWith(x);
      mul.erase();
      return scale;
    }
  return std::nullopt;
}

std::optional<double> kt::takeScale(const AttentionLayout &layout, MatmulOp product) {
  std::optional<double> scale;
  for (const AttentionFactor &f : layout.factors)
    for (double s : f.scales)
      scale = scale.value_or(1) * s;
  for (unsigned i = 0; scale && i < 2; ++i)
    if (auto generic = layout.factors[i].root.getDefiningOp<GenericOp>();
        generic && isReadOnce(product->getOperand(i), generic.getResult()))
      scale = *scale * takeLastScale(generic).value_or(1);
  return scale;
}
