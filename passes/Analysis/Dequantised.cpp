//===- Dequantised.cpp - what DequantizeLinear computes -------------------===//

#include "passes/Analysis/Dequantised.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace kt;

namespace {

/// The read that `v` is, behind operations of these kinds that widen it.
template <typename... Widening> ReadOp readBehind(Value v) {
  if (Operation *widen = v.getDefiningOp(); isa_and_nonnull<Widening...>(widen))
    v = widen->getOperand(0);
  auto read = v.getDefiningOp<ReadOp>();
  return read && !read.getOtherwise() ? read : ReadOp();
}

std::optional<QuantParameter::Index> indexOf(Value v, Block *body, unsigned first) {
  APInt by;
  if (matchPattern(v, m_Zero()))
    return QuantParameter::Index{-1, 1};
  if (auto dim = plainIndex(v, body, first))
    return QuantParameter::Index{*dim, 1};
  auto div = v.getDefiningOp<arith::DivUIOp>();
  auto dim = div ? plainIndex(div.getLhs(), body, first) : std::nullopt;
  if (!dim || !matchPattern(div.getRhs(), m_ConstantInt(&by)) || !by.isStrictlyPositive())
    return std::nullopt;
  return QuantParameter::Index{*dim, by.getSExtValue()};
}

std::optional<QuantParameter> parameterOf(GenericOp op, ReadOp read) {
  unsigned first = op.getInputs().size();
  QuantParameter p{op.getInputs()[cast<BlockArgument>(read.getTensor()).getArgNumber()], {}};
  for (Value v : read.getIndices()) {
    auto index = indexOf(v, read->getBlock(), first);
    if (!index)
      return std::nullopt;
    p.at.push_back(*index);
  }
  return p;
}

bool isNarrowInteger(Type type) { return type.isInteger(2) || type.isInteger(4) || type.isInteger(8); }

/// Sign is the type's, so that widening is what the type says.
bool isWidenedAsTyped(ReadOp read, Value widened) {
  bool isUnsigned = cast<SymTensorType>(read.getTensor().getType()).getElementType().isUnsignedInteger();
  return isUnsigned ? isa_and_nonnull<arith::ExtUIOp>(widened.getDefiningOp())
                    : isa_and_nonnull<arith::ExtSIOp>(widened.getDefiningOp());
}

} // namespace

std::optional<Dequantised> kt::dequantisedBy(GenericOp op) {
  Block &body = op.getBody().front();
  Value yielded = body.getTerminator()->getOperand(0);
  if (auto rounded = yielded.getDefiningOp<arith::TruncFOp>())
    yielded = rounded.getIn();
  auto scaled = yielded.getDefiningOp<arith::MulFOp>();
  if (!scaled || !scaled.getType().isF32())
    return std::nullopt;
  Value lhs = scaled.getLhs(), rhs = scaled.getRhs();
  if (!lhs.getDefiningOp<arith::SIToFPOp>())
    std::swap(lhs, rhs);
  auto number = lhs.getDefiningOp<arith::SIToFPOp>();
  ReadOp scale = readBehind<arith::ExtFOp>(rhs), zero;
  if (!number || !scale)
    return std::nullopt;
  Value integer = number.getIn();
  if (auto less = integer.getDefiningOp<arith::SubIOp>()) {
    zero = readBehind<arith::ExtSIOp, arith::ExtUIOp>(less.getRhs());
    if (!zero || !isWidenedAsTyped(zero, less.getRhs()))
      return std::nullopt;
    integer = less.getLhs();
  }
  ReadOp x = readBehind<arith::ExtSIOp, arith::ExtUIOp>(integer);
  if (!x || !isWidenedAsTyped(x, integer) ||
      !isIdentityRead(x, op.getInputs().size(), op.getResult().getType().getRank()))
    return std::nullopt;
  Dequantised d;
  d.numbers = op.getInputs()[cast<BlockArgument>(x.getTensor()).getArgNumber()];
  auto scales = parameterOf(op, scale);
  auto zeros = zero ? parameterOf(op, zero) : std::nullopt;
  // What comes out of one type has zero points of that type.
  auto elementOf = [](Value v) { return cast<SymTensorType>(v.getType()).getElementType(); };
  if (!scales || (zero && (!zeros || elementOf(zeros->tensor) != elementOf(d.numbers))) ||
      !isNarrowInteger(elementOf(d.numbers)))
    return std::nullopt;
  d.scales = std::move(*scales), d.zeros = std::move(zeros);
  return d;
}

bool kt::isFloatCast(GenericOp op) {
  Operation *cast = op.getBody().front().getTerminator()->getOperand(0).getDefiningOp();
  if (op.getInputs().size() != 1 || !isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(cast))
    return false;
  auto read = cast->getOperand(0).getDefiningOp<ReadOp>();
  return read && isIdentityRead(read, 1, op.getResult().getType().getRank());
}
