//===- IndexCounts.cpp - numbers that count over a grid -------------------===//

#include "passes/Analysis/IndexCounts.h"
#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Bodies.h"

using namespace mlir;
using namespace kt;

namespace {

/// What an element of a tensor is, as a count over a grid.
class Counter {
public:
  Counter(MLIRContext *context, ArrayRef<Expr> grid) : context(context), grid(grid) {}

  Count element(Value tensor, ArrayRef<Count> at) {
    if (--steps < 0)
      return {};
    if (auto reshape = tensor.getDefiningOp<ReshapeOp>()) {
      auto inside = through(reshape, at);
      return inside ? element(reshape.getSource(), *inside) : unknown(at);
    }
    if (auto constant = tensor.getDefiningOp<ConstantOp>())
      return element(constant, at);
    auto generic = tensor.getDefiningOp<GenericOp>();
    return generic ? value(generic.getBody().front().getTerminator()->getOperand(0), generic, at) : unknown(at);
  }

private:
  static constexpr int kMostSteps = 4096;
  static constexpr int64_t kMostElements = 1 << 20; // of a constant

  Count number(int64_t v) { return Count::number(Expr::constant(context, v)); }

  /// Something that follows from these.
  static Count unknown(ArrayRef<Count> from) {
    Count result{false, {}, std::nullopt, 0};
    for (const Count &c : from)
      result.along |= c.dims();
    return result;
  }

  /// A view that adds or drops dimensions of 1.
  std::optional<SmallVector<Count>> through(ReshapeOp reshape, ArrayRef<Count> at) {
    SymTensorType from = reshape.getSource().getType(), to = reshape.getResult().getType();
    SmallVector<Count> inside;
    int64_t next = 0;
    auto skipOnes = [&] {
      while (next < to.getRank() && to.dim(next).isConstant(1))
        ++next;
    };
    for (int64_t d = 0; d < from.getRank(); ++d) {
      if (from.dim(d).isConstant(1)) {
        inside.push_back(number(0));
        continue;
      }
      skipOnes();
      if (next == to.getRank() || to.dim(next) != from.dim(d))
        return std::nullopt;
      inside.push_back(at[next++]);
    }
    skipOnes();
    return next == to.getRank() ? std::optional(inside) : std::nullopt;
  }

  /// Elements that are the same, or along one dimension each one more than the one before.
  Count element(ConstantOp constant, ArrayRef<Count> at) {
    SymTensorType type = constant.getResult().getType();
    if (!type.getElementType().isInteger(64))
      return unknown(at);
    int64_t offset = 0, total = 1;
    SmallVector<int64_t> strides(at.size(), 1), extents;
    for (unsigned d = at.size(); d-- > 1;)
      strides[d - 1] = strides[d] * *type.dim(d).asConstant();
    for (auto [d, index] : llvm::enumerate(at)) {
      if (!index.known)
        return unknown(at);
      auto first = index.first.asConstant(), extent = index.dim ? grid[*index.dim].asConstant() : 1;
      if (!first || !extent || *first < 0 || *extent < 1 || *first + *extent > *type.dim(d).asConstant() ||
          *extent > kMostElements / total)
        return unknown(at);
      offset += *first * strides[d], total *= *extent;
      extents.push_back(*extent);
    }
    auto read = [&](int64_t i) {
      int64_t v;
      memcpy(&v, constant.bytes().data() + (offset + i) * 8, 8);
      return v;
    };
    std::optional<unsigned> along;
    for (unsigned d = 0; d < at.size(); ++d)
      if (extents[d] > 1 && read(strides[d]) != read(0))
        along = d;
    for (int64_t i = 0; i < total; ++i) {
      int64_t rest = i, place = 0, step = 0;
      for (unsigned d = at.size(); d-- > 0; rest /= extents[d]) {
        place += rest % extents[d] * strides[d];
        step = along == d ? rest % extents[d] : step;
      }
      if (read(place) - step != read(0))
        return unknown(at);
    }
    Count count = number(read(0));
    count.dim = along ? at[*along].dim : std::nullopt;
    return count;
  }

  /// True and false are 1 and 0, as everything here is a number.
  Count value(Value v, GenericOp op, ArrayRef<Count> at) {
    if (--steps < 0)
      return {};
    if (auto arg = dyn_cast<BlockArgument>(v)) {
      unsigned first = op.getInputs().size();
      return arg.getArgNumber() < first ? Count() : at[arg.getArgNumber() - first];
    }
    APInt constant;
    if (matchPattern(v, m_ConstantInt(&constant)) && constant.getSignificantBits() <= 64)
      return number(constant.getSExtValue());
    Operation *made = v.getDefiningOp();
    if (auto size = dyn_cast<SizeOp>(made))
      return Count::number(size.getValue());
    if (auto read = dyn_cast<ReadOp>(made))
      return value(read, op, at);
    if (auto select = dyn_cast<arith::SelectOp>(made)) {
      Count condition = value(select.getCondition(), op, at);
      if (auto known = condition.known && !condition.dim ? condition.first.asConstant() : std::nullopt)
        return value(*known ? select.getTrueValue() : select.getFalseValue(), op, at);
      return unknown({condition, value(select.getTrueValue(), op, at), value(select.getFalseValue(), op, at)});
    }
    SmallVector<Count> from;
    for (Value operand : made->getOperands())
      from.push_back(value(operand, op, at));
    bool known = llvm::all_of(from, [](const Count &c) { return c.known; });
    auto result = known ? combined(made, from) : std::nullopt;
    return result ? *result : unknown(from);
  }

  /// What an operation makes of counts, if that is one.
  std::optional<Count> combined(Operation *made, ArrayRef<Count> from) {
    if (auto cast = dyn_cast<arith::IndexCastOp>(made))
      return cast.getType().isIndex() || cast.getType().isInteger(64) ? std::optional(from[0]) : std::nullopt;
    if (isa<arith::MulIOp>(made)) {
      for (auto [a, b] : {std::pair(from[0], from[1]), std::pair(from[1], from[0])})
        if (!a.dim && a.first.isConstant(1))
          return b;
      return from[0].dim || from[1].dim ? std::nullopt : std::optional(Count::number(from[0].first * from[1].first));
    }
    if (isa<arith::AddIOp, arith::SubIOp>(made)) {
      bool sub = isa<arith::SubIOp>(made);
      if (from[1].dim && (from[0].dim || sub))
        return std::nullopt;
      Count count = Count::number(sub ? from[0].first - from[1].first : from[0].first + from[1].first);
      count.dim = from[0].dim ? from[0].dim : from[1].dim;
      return count;
    }
    if (auto compare = dyn_cast<arith::CmpIOp>(made)) {
      if (from[1].dim)
        return std::nullopt;
      // Whether something counts from the end.
      if (compare.getPredicate() == arith::CmpIPredicate::slt && from[1].first.isConstant(0) &&
          from[0].first.isNonNegative())
        return number(0);
      auto a = from[0].first.asConstant(), c = from[1].first.asConstant();
      if (!from[0].dim && a && c)
        return number(
            arith::applyCmpPredicate(compare.getPredicate(), APInt(64, *a, /*isSigned=*/true), APInt(64, *c, true)));
    }
    return std::nullopt;
  }

  Count value(ReadOp read, GenericOp op, ArrayRef<Count> at) {
    Value tensor = op.getInputs()[cast<BlockArgument>(read.getTensor()).getArgNumber()];
    auto type = cast<SymTensorType>(tensor.getType());
    SmallVector<Count> indices;
    for (Value index : read.getIndices())
      indices.push_back(value(index, op, at));
    bool inside = true;
    for (auto [d, i] : llvm::enumerate(indices)) {
      if (!read.getOtherwise() || (read.getCheck() && !llvm::is_contained(*read.getCheck(), (int64_t)d)))
        continue;
      // Inside for all that is counted, or else outside, by numbers alone.
      Expr extent = i.known && i.dim ? grid[*i.dim] : Expr::constant(context, 1);
      if (i.known && i.first.isNonNegative() && (type.dim(d) - i.first - extent).isNonNegative())
        continue;
      auto first = i.known ? i.first.asConstant() : std::nullopt, size = type.dim(d).asConstant();
      if (first && !i.dim && size && (*first < 0 || *first >= *size))
        return value(read.getOtherwise(), op, at);
      inside = false;
    }
    if (inside)
      return element(tensor, indices);
    indices.push_back(element(tensor, indices));
    indices.push_back(value(read.getOtherwise(), op, at));
    return unknown(indices);
  }

  MLIRContext *context;
  ArrayRef<Expr> grid;
  int steps = kMostSteps;
};

} // namespace

Count kt::countOver(ArrayRef<Expr> grid, Value tensor, ArrayRef<Count> at) {
  return Counter(tensor.getContext(), grid).element(tensor, at);
}
