//===- CopyScatters.cpp - scatters whose indices count --------------------===//
//
//   %i = generic { k == 0 ? row + 2 : column } -> [r, c, 2]
//   %v = reshape %i -> [r * c, 2]                             %y = generic { row - 2 < r ? u[row - 2, column] : x[..] }
//   %y = scatter assign %x, %v, %u                       ->
//
// Exporters write `x[2:, :] = u` so, and with it the causal masks of most decoders. As a scatter it is an operation of
// its own that each run repeats; as a choice it joins its readers, attention sees what it masks, and constants fold.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_COPYSCATTERS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// A number, or one more for each step along a dimension of the updates.
struct Count {
  Expr first;
  std::optional<unsigned> dim;
};

/// What an element of a tensor is, as a count over a grid.
class Counter {
public:
  Counter(MLIRContext *context, ArrayRef<Expr> grid) : context(context), grid(grid) {}

  std::optional<Count> element(Value tensor, ArrayRef<Count> at) {
    if (--steps < 0)
      return std::nullopt;
    if (auto reshape = tensor.getDefiningOp<ReshapeOp>()) {
      auto inside = through(reshape, at);
      return inside ? element(reshape.getSource(), *inside) : std::nullopt;
    }
    if (auto constant = tensor.getDefiningOp<ConstantOp>())
      return element(constant, at);
    auto generic = tensor.getDefiningOp<GenericOp>();
    return generic ? value(generic.getBody().front().getTerminator()->getOperand(0), generic, at) : std::nullopt;
  }

private:
  static constexpr int kMostSteps = 4096;
  static constexpr int64_t kMostElements = 1 << 20; // of a constant

  Count number(int64_t v) { return {Expr::constant(context, v), std::nullopt}; }

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
  std::optional<Count> element(ConstantOp constant, ArrayRef<Count> at) {
    SymTensorType type = constant.getResult().getType();
    if (!type.getElementType().isInteger(64))
      return std::nullopt;
    int64_t offset = 0, total = 1;
    SmallVector<int64_t> strides(at.size(), 1), extents;
    for (unsigned d = at.size(); d-- > 1;)
      strides[d - 1] = strides[d] * *type.dim(d).asConstant();
    for (auto [d, index] : llvm::enumerate(at)) {
      auto first = index.first.asConstant(), extent = index.dim ? grid[*index.dim].asConstant() : 1;
      if (!first || !extent || *first < 0 || *extent < 1 || *first + *extent > *type.dim(d).asConstant() ||
          *extent > kMostElements / total)
        return std::nullopt;
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
        return std::nullopt;
    }
    return Count{Expr::constant(context, read(0)), along ? at[*along].dim : std::nullopt};
  }

  /// True and false are 1 and 0, as everything here is a number.
  std::optional<Count> value(Value v, GenericOp op, ArrayRef<Count> at) {
    if (--steps < 0)
      return std::nullopt;
    if (auto arg = dyn_cast<BlockArgument>(v)) {
      unsigned first = op.getInputs().size();
      return arg.getArgNumber() < first ? std::nullopt : std::optional(at[arg.getArgNumber() - first]);
    }
    APInt constant;
    if (matchPattern(v, m_ConstantInt(&constant)) && constant.getSignificantBits() <= 64)
      return number(constant.getSExtValue());
    Operation *made = v.getDefiningOp();
    if (auto size = dyn_cast<SizeOp>(made))
      return Count{size.getValue(), std::nullopt};
    if (auto cast = dyn_cast<arith::IndexCastOp>(made))
      return cast.getType().isIndex() || cast.getType().isInteger(64) ? value(cast.getIn(), op, at) : std::nullopt;
    if (auto read = dyn_cast<ReadOp>(made))
      return value(read, op, at);
    if (isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(made)) {
      auto x = value(made->getOperand(0), op, at), y = value(made->getOperand(1), op, at);
      if (!x || !y)
        return std::nullopt;
      if (isa<arith::MulIOp>(made)) {
        for (auto [a, b] : {std::pair(*x, *y), std::pair(*y, *x)})
          if (!a.dim && a.first.isConstant(1))
            return b;
        return x->dim || y->dim ? std::nullopt : std::optional(Count{x->first * y->first, std::nullopt});
      }
      bool sub = isa<arith::SubIOp>(made);
      if (y->dim && (x->dim || sub))
        return std::nullopt;
      return Count{sub ? x->first - y->first : x->first + y->first, x->dim ? x->dim : y->dim};
    }
    if (auto select = dyn_cast<arith::SelectOp>(made)) {
      auto condition = value(select.getCondition(), op, at);
      auto known = condition && !condition->dim ? condition->first.asConstant() : std::nullopt;
      return known ? value(*known ? select.getTrueValue() : select.getFalseValue(), op, at) : std::nullopt;
    }
    if (auto compare = dyn_cast<arith::CmpIOp>(made)) {
      auto x = value(compare.getLhs(), op, at), y = value(compare.getRhs(), op, at);
      if (!x || !y || y->dim)
        return std::nullopt;
      // Whether something counts from the end.
      if (compare.getPredicate() == arith::CmpIPredicate::slt && y->first.isConstant(0) && x->first.isNonNegative())
        return number(0);
      auto a = x->first.asConstant(), c = y->first.asConstant();
      if (!x->dim && a && c)
        return number(
            arith::applyCmpPredicate(compare.getPredicate(), APInt(64, *a, /*isSigned=*/true), APInt(64, *c, true)));
    }
    return std::nullopt;
  }

  std::optional<Count> value(ReadOp read, GenericOp op, ArrayRef<Count> at) {
    Value tensor = op.getInputs()[cast<BlockArgument>(read.getTensor()).getArgNumber()];
    auto type = cast<SymTensorType>(tensor.getType());
    SmallVector<Count> indices;
    for (auto [d, index] : llvm::enumerate(read.getIndices())) {
      auto i = value(index, op, at);
      if (!i)
        return std::nullopt;
      indices.push_back(*i);
      if (!read.getOtherwise() || (read.getCheck() && !llvm::is_contained(*read.getCheck(), (int64_t)d)))
        continue;
      // Inside for all that is counted, or else outside, by numbers alone.
      Expr extent = i->dim ? grid[*i->dim] : Expr::constant(context, 1);
      if (i->first.isNonNegative() && (type.dim(d) - i->first - extent).isNonNegative())
        continue;
      auto first = i->first.asConstant(), size = type.dim(d).asConstant();
      if (!i->dim && first && size && (*first < 0 || *first >= *size))
        return value(read.getOtherwise(), op, at);
      return std::nullopt;
    }
    return element(tensor, indices);
  }

  MLIRContext *context;
  ArrayRef<Expr> grid;
  int steps = kMostSteps;
};

/// The choice that a scatter is, if its indices are counts and none of its rows writes what another one does.
bool copy(ScatterOp op) {
  SymTensorType base = op.getBase().getType(), rows = op.getIndices().getType();
  auto depth = rows.dim(1).asConstant();
  if (op.getKind() != ScatterKind::assign || !depth || *depth > base.getRank())
    return false;
  Value indices = throughReshapes(op.getIndices());
  auto type = cast<SymTensorType>(indices.getType());
  if (type.getRank() < 2 || !type.dim(type.getRank() - 1).isConstant(*depth))
    indices = op.getIndices(), type = rows;
  MLIRContext *context = op.getContext();
  SmallVector<Expr> grid;
  for (ExprAttr d : type.getDims().drop_back())
    grid.push_back(d);
  SmallVector<Count> counts, at;
  for (unsigned d = 0; d < grid.size(); ++d)
    at.push_back({Expr::constant(context, 0), d});
  llvm::SmallDenseMap<unsigned, unsigned> baseOf; // dimensions of the grid that a dimension of the base counts along
  Expr one = Expr::constant(context, 1);
  for (int64_t k = 0; k < *depth; ++k) {
    at.push_back({Expr::constant(context, k), std::nullopt});
    auto count = Counter(context, grid).element(indices, at);
    at.pop_back();
    if (!count || !count->first.isNonNegative() || (count->dim && !baseOf.try_emplace(*count->dim, k).second) ||
        !(base.dim(k) - count->first - (count->dim ? grid[*count->dim] : one)).isNonNegative())
      return false;
    counts.push_back(*count);
  }
  for (unsigned d = 0; d < grid.size(); ++d)
    if (!grid[d].isConstant(1) && !baseOf.count(d))
      return false;

  OpBuilder b(op);
  Location loc = op.getLoc();
  SmallVector<ExprAttr> dims(type.getDims().drop_back());
  dims.append(base.getDims().begin() + *depth, base.getDims().end());
  SymTensorType shape = SymTensorType::get(context, dims, base.getElementType());
  Value updates = throughReshapes(op.getUpdates());
  if (updates.getType() != shape)
    updates = ReshapeOp::create(b, loc, shape, updates);
  auto choice = GenericOp::create(b, loc, base, ValueRange{op.getBase(), updates});
  Block *body = addBody(choice.getBody(), {}, choice.getInputs(), base.getRank());
  b.setInsertionPointToStart(body);
  ValueRange own = body->getArguments().drop_front(2);
  Value kept = ReadOp::create(b, loc, body->getArgument(0), own), written;
  SmallVector<Value> from(grid.size());
  SmallVector<int64_t> check;
  for (auto [k, count] : llvm::enumerate(counts)) {
    if (count.dim && grid[*count.dim] == Expr(base.dim(k))) { // all of it
      from[*count.dim] = own[k];
      continue;
    }
    Value first = SizeOp::create(b, loc, count.first);
    if (count.dim) {
      from[*count.dim] = arith::SubIOp::create(b, loc, own[k], first);
      check.push_back(*count.dim);
      continue;
    }
    if (base.dim(k).isConstant(1))
      continue;
    Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, own[k], first);
    written = written ? arith::AndIOp::create(b, loc, written, here).getResult() : here;
  }
  for (Value &v : from)
    if (!v)
      v = arith::ConstantIndexOp::create(b, loc, 0);
  from.append(own.begin() + *depth, own.end());
  if (written) { // where not, an index that is outside
    Value outside = arith::ConstantIndexOp::create(b, loc, -1);
    from[0] = arith::SelectOp::create(b, loc, written, from[0], outside);
    if (!llvm::is_contained(check, 0))
      check.push_back(0);
  }
  llvm::sort(check);
  Value update = check.empty() ? ReadOp::create(b, loc, body->getArgument(1), from).getResult()
                               : ReadOp::create(b, loc, body->getArgument(1), from, kept).getResult();
  if (!check.empty())
    update.getDefiningOp<ReadOp>().setCheckAttr(b.getDenseI64ArrayAttr(check));
  YieldOp::create(b, loc, update);
  op.replaceAllUsesWith(choice.getResult());
  op.erase();
  return true;
}

struct CopyScattersPass : kt::impl::CopyScattersBase<CopyScattersPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<ScatterOp> ops;
    getOperation()->walk([&](ScatterOp op) { ops.push_back(op); });
    bool any = false;
    for (ScatterOp op : ops)
      any |= copy(op);
    if (any)
      eraseDead(getOperation()); // the indices
  }
};

} // namespace
