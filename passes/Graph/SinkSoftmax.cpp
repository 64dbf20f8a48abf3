//===- SinkSoftmax.cpp - softmaxes of scores and one number more ----------===//

#include "passes/Graph/SinkSoftmax.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Graph/ScalarMatch.h"

using namespace mlir;
using namespace kt;

namespace {

/// Clones scalars of a body for some of the columns that it was made for, without what is not for those: comparisons
/// with the ends of what was concatenated are decided, and so are checks of indices.
class Columns {
public:
  /// Indices of the body run over `extents`; `block` is where the clones go.
  Columns(Block *block, ArrayRef<Expr> extents) : b(OpBuilder::atBlockEnd(block)), extents(extents) {}

  /// A scalar with what it is as an expression of the indices and sizes, if that is known; conditions are 0 or 1.
  struct Scalar {
    Value value;
    Expr number;
  };
  void set(Value v, Scalar known) { scalars[v] = known; }
  Expr symbol(unsigned d) { return Expr::symbol(b.getContext(), nameOf(d)); }
  Value clone(Value v) { return get(v).value; }

private:
  // No dimension has such a name: they are printed without spaces.
  static std::string nameOf(unsigned d) { return "index " + std::to_string(d); }
  bool isNonNegative(Expr e) const;
  bool isBelow(Expr a, Expr b) const { return isNonNegative(b - a - 1); }
  /// As numbers without a sign, of which negative ones are the largest.
  std::optional<bool> isBelowUnsigned(Expr a, Expr b) const;
  std::optional<bool> compare(arith::CmpIPredicate predicate, Expr a, Expr b) const;

  Scalar get(Value v);
  Scalar make(Operation *op);
  Scalar read(ReadOp op);
  /// `op` on the clones of its operands.
  Scalar keep(Operation *op, Expr number = {});
  Scalar constant(Type type, int64_t n) {
    auto attr = type.isIndex() ? b.getIndexAttr(n) : b.getIntegerAttr(type, n);
    Value v = arith::ConstantOp::create(b, b.getUnknownLoc(), attr);
    return {v, Expr::constant(b.getContext(), n)};
  }

  OpBuilder b;
  ArrayRef<Expr> extents;
  DenseMap<Value, Scalar> scalars;
};

bool Columns::isNonNegative(Expr e) const {
  if (!e.poison() && e.isNonNegative())
    return true;
  // An index is as far below the last one as another number that is not negative.
  Expr fromEnd = e.substitute([&](StringRef name) {
    for (auto [d, extent] : llvm::enumerate(extents))
      if (name == nameOf(d))
        return extent - 1 - Expr::symbol(extent.context(), name);
    return Expr();
  });
  return !fromEnd.poison() && fromEnd.isNonNegative();
}

std::optional<bool> Columns::isBelowUnsigned(Expr a, Expr b) const {
  if (!isNonNegative(b))
    return std::nullopt;
  Expr zero = Expr::constant(b.context(), 0);
  if (isBelow(a, zero) || isNonNegative(a - b))
    return false;
  return isNonNegative(a) && isBelow(a, b) ? std::optional(true) : std::nullopt;
}

std::optional<bool> Columns::compare(arith::CmpIPredicate predicate, Expr a, Expr b) const {
  auto isLess = [&](Expr x, Expr y) -> std::optional<bool> {
    return isBelow(x, y) ? std::optional(true) : isNonNegative(x - y) ? std::optional(false) : std::nullopt;
  };
  auto negated = [](std::optional<bool> truth) { return truth ? std::optional(!*truth) : std::nullopt; };
  switch (predicate) {
  case arith::CmpIPredicate::ult:
    return isBelowUnsigned(a, b);
  case arith::CmpIPredicate::slt:
    return isLess(a, b);
  case arith::CmpIPredicate::sge:
    return negated(isLess(a, b));
  case arith::CmpIPredicate::sgt:
    return isLess(b, a);
  case arith::CmpIPredicate::sle:
    return negated(isLess(b, a));
  case arith::CmpIPredicate::eq:
  case arith::CmpIPredicate::ne: {
    bool isEqual = predicate == arith::CmpIPredicate::eq;
    if (a == b)
      return isEqual;
    return isBelow(a, b) || isBelow(b, a) ? std::optional(!isEqual) : std::nullopt;
  }
  default:
    return std::nullopt;
  }
}

Columns::Scalar Columns::get(Value v) {
  auto known = scalars.find(v);
  if (known != scalars.end())
    return known->second;
  Scalar made = make(v.getDefiningOp());
  scalars[v] = made;
  return made;
}

Columns::Scalar Columns::keep(Operation *op, Expr number) {
  IRMapping map;
  for (Value operand : op->getOperands())
    map.map(operand, get(operand).value);
  return {b.clone(*op, map)->getResult(0), number};
}

Columns::Scalar Columns::make(Operation *op) {
  Type type = op->getResult(0).getType();
  APInt n;
  if (matchPattern(op, m_ConstantInt(&n)))
    return type.isIndex() || type.isInteger(1) ? constant(type, type.isIndex() ? n.getSExtValue() : n.getZExtValue())
                                               : keep(op);
  if (auto size = dyn_cast<SizeOp>(op))
    return keep(op, size.getValue());
  if (auto read = dyn_cast<ReadOp>(op))
    return this->read(read);
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    if (Expr truth = get(select.getCondition()).number; truth && truth.asConstant())
      return get(truth.isConstant(0) ? select.getFalseValue() : select.getTrueValue());
    return keep(op);
  }
  if (op->getNumOperands() != 2)
    return keep(op);
  if (isa<arith::AndIOp, arith::OrIOp>(op) && type.isInteger(1)) {
    int64_t deciding = isa<arith::OrIOp>(op);
    Scalar x = get(op->getOperand(0)), y = get(op->getOperand(1));
    for (auto [one, other] : {std::pair{x, y}, std::pair{y, x}})
      if (one.number && one.number.asConstant())
        return one.number.isConstant(deciding) ? one : other;
    return keep(op);
  }
  if (!op->getOperand(0).getType().isIndex() || !isa<arith::AddIOp, arith::SubIOp, arith::CmpIOp>(op))
    return keep(op);
  Expr x = get(op->getOperand(0)).number, y = get(op->getOperand(1)).number;
  if (!x || !y)
    return keep(op);
  if (auto cmp = dyn_cast<arith::CmpIOp>(op)) {
    auto truth = compare(cmp.getPredicate(), x, y);
    return truth ? constant(type, *truth) : keep(op);
  }
  Expr sum = isa<arith::AddIOp>(op) ? x + y : x - y;
  if (sum.poison())
    return keep(op);
  if (auto n = sum.asConstant())
    return constant(type, *n);
  for (auto &[v, known] : scalars) // an index that was moved away from its place and back
    if (known.number == sum && isa<BlockArgument>(known.value))
      return known;
  return keep(op, sum);
}

Columns::Scalar Columns::read(ReadOp op) {
  if (!op.getOtherwise())
    return keep(op);
  SymTensorType type = op.getTensor().getType();
  SmallVector<int64_t> check = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  if (auto given = op.getCheck())
    check = llvm::to_vector(*given);
  SmallVector<Value> at;
  for (Value v : op.getIndices())
    at.push_back(get(v).value);
  SmallVector<int64_t> left;
  for (int64_t d : check) {
    Expr index = get(op.getIndices()[d]).number;
    auto isInside = index ? isBelowUnsigned(index, type.dim(d)) : std::nullopt;
    if (isInside == false)
      return get(op.getOtherwise());
    if (!isInside)
      left.push_back(d);
  }
  auto clone = ReadOp::create(b, op.getLoc(), get(op.getTensor()).value, at,
                              left.empty() ? Value() : get(op.getOtherwise()).value);
  if (!left.empty())
    clone.setCheckAttr(b.getDenseI64ArrayAttr(left));
  return {clone.getResult(), {}};
}

/// What the rows of a softmax are made of: its body, or that of the concatenation which it reads.
struct Rows {
  Operation *op;
  Region *body;
};

Rows rowsOf(NormalizeOp norm) {
  auto read = stripCasts(norm.getBody().front().getTerminator()->getOperand(0)).getDefiningOp<ReadOp>();
  unsigned operands = norm.getInputs().size();
  if (read && isIdentityRead(read, operands, norm.getResult().getType().getRank())) {
    Value source = norm.getInputs()[cast<BlockArgument>(read.getTensor()).getArgNumber()];
    auto generic = source.getDefiningOp<GenericOp>();
    if (generic && source.hasOneUse() &&
        generic.getResult().getType().getDims() == norm.getResult().getType().getDims())
      return {generic, &generic.getBody()};
  }
  return {norm, &norm.getBody()};
}

/// Fills `block`, whose arguments are the operands of `rows` behind `leading` scalars and then indices, with what
/// `rows` has in its column `column`, widened to f32.
void fillColumn(Block *block, Rows rows, ArrayRef<Expr> extents,
                llvm::function_ref<Columns::Scalar(Columns &)> column) {
  Columns columns(block, extents);
  Block &from = rows.body->front();
  unsigned operands = rows.op->getNumOperands(), last = from.getNumArguments() - 1;
  for (unsigned i = 0; i < from.getNumArguments(); ++i)
    columns.set(from.getArgument(i), i == last ? column(columns)
                                     : i < operands
                                         ? Columns::Scalar{block->getArgument(i), {}}
                                         : Columns::Scalar{block->getArgument(i), columns.symbol(i - operands)});
  Value v = columns.clone(from.getTerminator()->getOperand(0));
  OpBuilder b = OpBuilder::atBlockEnd(block);
  Type f32 = b.getF32Type();
  if (v.getType() != f32)
    v = arith::ExtFOp::create(b, rows.op->getLoc(), f32, v);
  YieldOp::create(b, rows.op->getLoc(), v);
}

} // namespace

void SinkSoftmax::erase() {
  scores.erase();
  sink.erase();
}

std::optional<SinkSoftmax> kt::splitSink(Value weights) {
  // All columns of the softmax but the first or the last one.
  auto slice = weights.getDefiningOp<GenericOp>();
  if (!slice || slice.getInputs().size() != 1)
    return std::nullopt;
  Value source = throughReshapes(slice.getInputs()[0]);
  auto norm = source.getDefiningOp<NormalizeOp>();
  auto read = stripCasts(slice.getBody().front().getTerminator()->getOperand(0)).getDefiningOp<ReadOp>();
  SymTensorType type = slice.getResult().getType(), from = cast<SymTensorType>(slice.getInputs()[0].getType());
  int64_t rank = type.getRank();
  if (!norm || norm.getKind() != NormKind::softmax || norm.getAxes() != 1 || !read || read.getOtherwise() || rank < 2 ||
      from.getRank() != rank || !slice.getInputs()[0].hasOneUse() || !source.hasOneUse())
    return std::nullopt;
  SymTensorType whole = norm.getResult().getType();
  Expr keys = type.dim(rank - 1);
  if (whole.getRank() < 2 || whole.dim(whole.getRank() - 1) != keys + 1 || from.dim(rank - 1) != keys + 1 ||
      whole.dim(whole.getRank() - 2) != from.dim(rank - 2))
    return std::nullopt;
  Block *body = read->getBlock();
  for (int64_t d = 0; d < rank - 1; ++d)
    if (type.dim(d) != from.dim(d) || (plainIndex(read.getIndices()[d], body, 1) != d &&
                                       !(type.dim(d).isConstant(1) && matchPattern(read.getIndices()[d], m_Zero()))))
      return std::nullopt;
  Value column = read.getIndices()[rank - 1];
  auto add = column.getDefiningOp<arith::AddIOp>();
  bool isFirst = add && matchPattern(add.getRhs(), m_One());
  if (plainIndex(isFirst ? add.getLhs() : column, body, 1) != rank - 1)
    return std::nullopt;

  Rows rows = rowsOf(norm);
  YieldOp yield = cast<YieldOp>(rows.body->front().getTerminator());
  Type element = yield.getValues()[0].getType();
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return std::nullopt;
  OpBuilder b(norm);
  Location loc = norm.getLoc();
  SmallVector<Value> inputs(rows.op->getOperands());
  auto typeOf = [&](Expr columns) {
    SmallVector<ExprAttr> dims(whole.getDims());
    dims.back() = columns.attr();
    return SymTensorType::get(b.getContext(), dims, b.getF32Type());
  };
  SinkSoftmax parts{{}, {}, rows.op};
  SymTensorType scoresType = typeOf(keys), sinkType = typeOf(Expr::constant(b.getContext(), 1));
  parts.scores =
      NormalizeOp::create(b, loc, scoresType, inputs, norm.getKindAttr(), norm.getAxesAttr(), norm.getEpsilonAttr());
  Block *scores = addBody(parts.scores.getBody(), {}, inputs, whole.getRank());
  fillColumn(scores, rows, scoresType.sizes(), [&](Columns &columns) -> Columns::Scalar {
    Columns::Scalar j{scores->getArguments().back(), columns.symbol(whole.getRank() - 1)};
    if (!isFirst)
      return j;
    columns.set(j.value, j);
    OpBuilder at = OpBuilder::atBlockEnd(scores);
    Value one = arith::ConstantIndexOp::create(at, loc, 1);
    return {arith::AddIOp::create(at, loc, j.value, one), j.number + 1};
  });
  Block *end = addBody(parts.scores.getEpilogue(), {b.getF32Type()}, inputs, whole.getRank());
  OpBuilder atEnd = OpBuilder::atBlockEnd(end);
  YieldOp::create(atEnd, loc, end->getArgument(0));

  parts.sink = GenericOp::create(b, loc, sinkType, inputs);
  Block *sink = addBody(parts.sink.getBody(), {}, inputs, whole.getRank());
  fillColumn(sink, rows, sinkType.sizes(), [&](Columns &) -> Columns::Scalar {
    Expr number = isFirst ? Expr::constant(b.getContext(), 0) : keys;
    OpBuilder at = OpBuilder::atBlockEnd(sink);
    return {SizeOp::create(at, loc, number), number};
  });
  for (Block *body : {scores, sink})
    eraseDead(*body);
  cleanBodyOperands(parts.scores);
  cleanBodyOperands(parts.sink);
  return parts;
}
