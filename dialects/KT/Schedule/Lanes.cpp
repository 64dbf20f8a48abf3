//===- Lanes.cpp - what neighbouring elements of a body have in common ----===//

#include "dialects/KT/Schedule/Lanes.h"

using namespace mlir;
using namespace kt;

Expr kt::isMultiple(Expr e, int64_t lanes) {
  return Expr::eq(Expr::mod(e, Expr::constant(e.context(), lanes)), Expr::constant(e.context(), 0));
}

/// Whether `condition` is a factor of a product of conditions.
static bool isFactor(Expr condition, Expr product) {
  if (condition == product)
    return true;
  if (product.kind() == Expr::Kind::Mul)
    for (unsigned i = 0; i < product.numOperands(); ++i)
      if (product.operand(i) == condition)
        return true;
  return false;
}

Expr kt::allOf(ArrayRef<Expr> conditions) {
  Expr all = conditions[0];
  auto also = [&](Expr factor) { all = isFactor(factor, all) ? all : all * factor; };
  for (Expr e : conditions.drop_front())
    if (e.kind() == Expr::Kind::Mul)
      for (unsigned i = 0; i < e.numOperands(); ++i)
        also(e.operand(i));
    else
      also(e);
  return all;
}

bool Alignment::multiple(Expr e) {
  if (e.isMultipleOf(lanes))
    return true;
  for (int64_t more = lanes; given && more <= 16; more *= 2)
    if (isFactor(isMultiple(e, more), given))
      return true;
  if (!mayAssume || e.asConstant())
    return false;
  assumed.insert(e.attr());
  return true;
}

Expr Alignment::condition(MLIRContext *context) const {
  Expr all = Expr::constant(context, 1);
  for (Attribute a : assumed)
    all = all * isMultiple(cast<ExprAttr>(a), lanes);
  return all;
}

bool kt::isAtOwnIndices(ReadOp read) { return llvm::all_of(read.getIndices(), llvm::IsaPred<BlockArgument>); }

BodyLanes::BodyLanes(Region &region, unsigned leading) : region(region), numLeading(leading), numTensors(0) {
  for (BlockArgument arg : region.front().getArguments().drop_front(leading))
    numTensors += isa<SymTensorType>(arg.getType());
}

void BodyLanes::assumeAligned(unsigned index, Alignment &alignment) {
  for (ReadOp read : block().getOps<ReadOp>())
    if (use(read.getResult(), index).kind != LaneUse::Uniform)
      (void)vectorizable(read, index, alignment);
}

/// The expression that an index value is, if it is one of constants and sizes.
static Expr exprOf(Value v) {
  Operation *op = v.getDefiningOp();
  if (!op)
    return {};
  if (auto size = dyn_cast<SizeOp>(op))
    return size.getValue();
  if (auto constant = dyn_cast<arith::ConstantIndexOp>(op))
    return Expr::constant(op->getContext(), constant.value());
  if (isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op)) {
    Expr x = exprOf(op->getOperand(0)), y = exprOf(op->getOperand(1));
    if (x && y)
      return isa<arith::AddIOp>(op) ? x + y : isa<arith::SubIOp>(op) ? x - y : x * y;
  }
  return {};
}

LaneUse BodyLanes::use(Value v, unsigned index) {
  if (auto arg = dyn_cast<BlockArgument>(v)) {
    if (arg == indexArgument(index))
      return {LaneUse::Unit, Expr::constant(v.getContext(), 0)};
    // Leading scalars differ from lane to lane.
    return {arg.getArgNumber() < numLeading ? LaneUse::Other : LaneUse::Uniform, {}};
  }
  Operation *op = v.getDefiningOp();
  bool uniform = true;
  for (Value operand : op->getOperands())
    uniform &= isa<SymTensorType>(operand.getType()) || use(operand, index).kind == LaneUse::Uniform;
  if (uniform)
    return {LaneUse::Uniform, {}};
  if (isa<arith::AddIOp, arith::SubIOp>(op)) {
    LaneUse x = use(op->getOperand(0), index), y = use(op->getOperand(1), index);
    bool add = isa<arith::AddIOp>(op);
    if (add && x.kind == LaneUse::Uniform && y.kind == LaneUse::Unit) {
      Expr e = exprOf(op->getOperand(0));
      return {LaneUse::Unit, y.offset && e ? y.offset + e : Expr()};
    }
    if (x.kind == LaneUse::Unit && y.kind == LaneUse::Uniform) {
      Expr e = exprOf(op->getOperand(1));
      return {LaneUse::Unit, x.offset && e ? (add ? x.offset + e : x.offset - e) : Expr()};
    }
  }
  return {LaneUse::Other, {}};
}

unsigned BodyLanes::operandOf(ReadOp read) { return cast<BlockArgument>(read.getTensor()).getArgNumber() - numLeading; }

bool kt::checksDim(ReadOp read, int64_t dim) {
  return read.getOtherwise() && (!read.getCheck() || llvm::is_contained(*read.getCheck(), dim));
}

/// Unit stride along the last dimension only.
static bool isContiguous(BodyLanes &body, ReadOp read, unsigned index) {
  OperandRange at = read.getIndices();
  if (at.empty() || body.use(at.back(), index).kind != LaneUse::Unit)
    return false;
  return llvm::all_of(at.drop_back(), [&](Value v) { return body.use(v, index).kind == LaneUse::Uniform; });
}

SmallVector<ReadOp> BodyLanes::contiguousReads(unsigned index) {
  SmallVector<ReadOp> reads;
  for (ReadOp read : block().getOps<ReadOp>())
    if (isContiguous(*this, read, index))
      reads.push_back(read);
  return reads;
}

bool BodyLanes::vectorizable(ReadOp read, unsigned index, Alignment &alignment) {
  if (!isContiguous(*this, read, index))
    return false;
  LaneUse last = use(read.getIndices().back(), index);
  if (!last.offset || !last.offset.isMultipleOf(alignment.lanes))
    return false;
  auto type = cast<SymTensorType>(read.getTensor().getType());
  int64_t rank = type.getRank();
  if (checksDim(read, rank - 1) && !alignment.multiple(type.dim(rank - 1)))
    return false;
  // The start of the row has to be aligned: what follows the last index that is not always zero.
  Expr row = type.dim(rank - 1);
  for (int64_t q = rank - 2; q >= 0; row = row * type.dim(q--)) {
    auto arg = dyn_cast<BlockArgument>(read.getIndices()[q]);
    unsigned first = numLeading + numTensors;
    bool isZero = arg && arg.getArgNumber() >= first && arg.getArgNumber() - first < zeroIndices.size() &&
                  zeroIndices[arg.getArgNumber() - first];
    if (!isZero)
      return alignment.multiple(row);
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Index spaces
//===----------------------------------------------------------------------===//

/// True when `read` has x at some position, y at the next, both nowhere else, and the second position's dimension is
/// `extent`.
static bool readsSideBySide(ReadOp read, Value x, Value y, Expr extent) {
  auto type = cast<SymTensorType>(read.getTensor().getType());
  int found = 0;
  for (auto [q, v] : llvm::enumerate(read.getIndices())) {
    if (v == y && (q == 0 || read.getIndices()[q - 1] != x))
      return false;
    if (v != x)
      continue;
    if (q + 1 >= read.getIndices().size() || read.getIndices()[q + 1] != y || type.dim(q + 1) != extent ||
        checksDim(read, q) || checksDim(read, q + 1))
      return false;
    ++found;
  }
  return found == 1;
}

MergedDims::MergedDims(ArrayRef<Expr> extents, ArrayRef<std::pair<BodyLanes *, unsigned>> bodies, bool mayMerge) {
  zero.assign(extents.size(), false);
  for (auto [d, e] : llvm::enumerate(extents)) {
    bool merge = mayMerge && d > 0;
    for (auto [body, first] : bodies) {
      if (!merge)
        break;
      Value x = body->indexArgument(first + d - 1), y = body->indexArgument(first + d);
      for (Value v : {x, y})
        for (Operation *user : v.getUsers()) {
          auto read = dyn_cast<ReadOp>(user);
          merge &= read && readsSideBySide(read, x, y, e);
        }
    }
    if (merge) {
      zero[d - 1] = true;
      groups.back() = groups.back() * e;
    } else {
      groups.push_back(e);
    }
  }
  for (auto [body, first] : bodies) {
    if (body->zeroIndices.size() < first + zero.size())
      body->zeroIndices.resize(first + zero.size(), false);
    for (unsigned d = 0; d < zero.size(); ++d)
      body->zeroIndices[first + d] = zero[d];
  }
}

Expr MergedDims::count() const {
  if (groups.empty())
    return {};
  Expr n = groups[0];
  for (Expr e : ArrayRef(groups).drop_front())
    n = n * e;
  return n;
}

unsigned kt::vectorLanes(ArrayRef<ReadOp> reads, Type resultType) {
  int64_t smallest = elementBytes(resultType);
  for (ReadOp read : reads)
    smallest = std::min(smallest, elementBytes(cast<SymTensorType>(read.getTensor().getType()).getElementType()));
  return smallest <= 2 ? 8 : smallest == 4 ? 4 : 2;
}
