//===- BodyEmitter.cpp - scalar regions for several neighbouring elements -===//

#include "codegen/Gpu/Builder/BodyEmitter.h"
#include "codegen/Common/Body.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

bool Alignment::multiple(Expr e) {
  if (e.isMultipleOf(lanes))
    return true;
  if (!mayAssume || e.asConstant())
    return false;
  assumed.insert(e.attr());
  return true;
}

BodyEmitter::BodyEmitter(KernelBuilder &k, Region &region, unsigned numLeading, ArrayRef<Value> operands)
    : k(k), region(region), numLeading(numLeading), operands(operands) {}

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

LaneUse BodyEmitter::use(Value v, unsigned index) {
  if (auto arg = dyn_cast<BlockArgument>(v)) {
    if (arg == indexArgument(index))
      return {LaneUse::Unit, Expr::constant(k.b.getContext(), 0)};
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

unsigned BodyEmitter::operandOf(ReadOp read) {
  return cast<BlockArgument>(read.getTensor()).getArgNumber() - numLeading;
}

static bool checks(ReadOp read, int64_t dim) {
  return read.getOtherwise() && (!read.getCheck() || llvm::is_contained(*read.getCheck(), dim));
}

/// Unit stride along the last dimension only.
static bool isContiguous(BodyEmitter &body, ReadOp read, unsigned index) {
  OperandRange at = read.getIndices();
  if (at.empty() || body.use(at.back(), index).kind != LaneUse::Unit)
    return false;
  return llvm::all_of(at.drop_back(), [&](Value v) { return body.use(v, index).kind == LaneUse::Uniform; });
}

SmallVector<ReadOp> BodyEmitter::contiguousReads(unsigned index) {
  SmallVector<ReadOp> reads;
  for (ReadOp read : block().getOps<ReadOp>())
    if (isContiguous(*this, read, index))
      reads.push_back(read);
  return reads;
}

bool BodyEmitter::vectorizable(ReadOp read, unsigned index, Alignment &alignment) {
  if (!isContiguous(*this, read, index))
    return false;
  LaneUse last = use(read.getIndices().back(), index);
  if (!last.offset || !last.offset.isMultipleOf(alignment.lanes))
    return false;
  auto type = cast<SymTensorType>(read.getTensor().getType());
  int64_t rank = type.getRank();
  if (checks(read, rank - 1) && !alignment.multiple(type.dim(rank - 1)))
    return false;
  // The start of the row has to be aligned: what follows the last index that is not always zero.
  Expr row = type.dim(rank - 1);
  for (int64_t q = rank - 2; q >= 0; row = row * type.dim(q--)) {
    auto arg = dyn_cast<BlockArgument>(read.getIndices()[q]);
    unsigned first = numLeading + operands.size();
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
        checks(read, q) || checks(read, q + 1))
      return false;
    ++found;
  }
  return found == 1;
}

IndexSpace::IndexSpace(ArrayRef<Expr> extents, ArrayRef<std::pair<BodyEmitter *, unsigned>> bodies) {
  zero.assign(extents.size(), false);
  for (auto [d, e] : llvm::enumerate(extents)) {
    context = e.context();
    bool merge = d > 0;
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

Values IndexSpace::expand(KernelBuilder &k, ArrayRef<Value> at) const {
  Values all;
  unsigned group = 0;
  for (bool z : zero)
    all.push_back(z ? k.c(0) : at[group++]);
  return all;
}

Expr IndexSpace::count() const {
  if (groups.empty())
    return {};
  Expr n = groups[0];
  for (Expr e : ArrayRef(groups).drop_front())
    n = n * e;
  return n;
}

Value kt::gpu::linearIndex(KernelBuilder &k, SymTensorType type, ArrayRef<Value> at) {
  Value linear = k.c(0);
  for (auto [i, v] : llvm::enumerate(at))
    linear = i == 0 ? v : k.add(k.mul(linear, k.size(type.dim(i))), v);
  return linear;
}

Values kt::gpu::delinearize(KernelBuilder &k, Value linear, ArrayRef<Expr> extents) {
  Values at(extents.size());
  for (unsigned i = extents.size(); i-- > 0;) {
    if (i == 0) {
      at[0] = linear;
      break;
    }
    if (std::optional<int64_t> n = extents[i].asConstant(); n && *n > 0) {
      Value q = k.div(linear, *n);
      at[i] = *n == 1 ? k.c(0) : k.sub(linear, k.mul(q, *n));
      linear = q;
    } else {
      Value size = k.size(extents[i]), q = k.div(linear, size);
      at[i] = k.sub(linear, k.mul(q, size));
      linear = q;
    }
  }
  return at;
}

unsigned kt::gpu::vectorLanes(ArrayRef<ReadOp> reads, Type resultType) {
  int64_t smallest = elementBytes(resultType);
  for (ReadOp read : reads)
    smallest = std::min(smallest, elementBytes(cast<SymTensorType>(read.getTensor().getType()).getElementType()));
  return smallest <= 2 ? 8 : smallest == 4 ? 4 : 2;
}

Value BodyEmitter::inside(ReadOp read, ArrayRef<Value> at) {
  auto type = cast<SymTensorType>(read.getTensor().getType());
  Value all;
  for (auto [i, v] : llvm::enumerate(at)) {
    if (!checks(read, i))
      continue;
    // One unsigned comparison says both 0 <= v and v < size.
    Value one = k.cmp(Pred::ult, v, k.size(type.dim(i)));
    all = all ? k.and_(all, one) : one;
  }
  return all;
}

Value BodyEmitter::address(ReadOp read, ArrayRef<Value> at) {
  auto type = cast<SymTensorType>(read.getTensor().getType());
  return k.at(operands[operandOf(read)], linearIndex(k, type, at), type.elementBytes());
}

Value BodyEmitter::readOne(ReadOp read, ArrayRef<Value> at, Value otherwise) {
  Type scalar = cast<SymTensorType>(read.getTensor().getType()).scalarType();
  Value in = otherwise ? inside(read, at) : Value();
  if (!in)
    return k.loadElement(address(read, at), scalar);
  return k.ifElse(
      in, scalar, [&]() -> Values { return {k.loadElement(address(read, at), scalar)}; },
      [&]() -> Values { return {otherwise}; })[0];
}

Values BodyEmitter::emit(ArrayRef<Values> leading, ArrayRef<Value> indices, int inner, unsigned lanes,
                         Alignment &alignment) {
  struct Seen {
    Values values; // a lane each, or one for all
    Value in;      // inside, of a checked vector read
  };
  llvm::DenseMap<Operation *, Seen> seen;
  Values results;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    Values at;
    for (auto [i, v] : llvm::enumerate(indices))
      at.push_back(k.toIndex((int)i == inner ? k.add(v, lane) : v));
    auto read = [&](OpBuilder &, unsigned, ReadOp op, ArrayRef<Value> indexValues, Value otherwise) -> Value {
      if (given)
        return given;
      Values position;
      for (Value v : indexValues)
        position.push_back(k.fromIndex(v));
      if (lanes == 1)
        return readOne(op, position, otherwise);
      auto [it, fresh] = seen.try_emplace(op);
      if (fresh) {
        bool uniform = use(op.getResult(), inner).kind == LaneUse::Uniform;
        if (uniform) {
          seen[op].values = {readOne(op, position, otherwise)};
        } else if (vectorizable(op, inner, alignment)) {
          Type scalar = cast<SymTensorType>(op.getTensor().getType()).scalarType();
          Value in = otherwise ? inside(op, position) : Value();
          auto loads = [&] { return k.loadElements(address(op, position), scalar, lanes); };
          Seen now;
          now.in = in;
          now.values =
              in ? k.ifElse(in, SmallVector<Type>(lanes, scalar), loads, [&] { return Values(lanes, k.zero(scalar)); })
                 : loads();
          seen[op] = now;
        }
      }
      Seen &s = seen[op];
      if (s.values.empty())
        return readOne(op, position, otherwise);
      Value v = s.values.size() == 1 ? s.values[0] : s.values[lane];
      return s.in ? k.sel(s.in, v, otherwise) : v;
    };
    auto size = [&](OpBuilder &, Expr e) { return k.toIndex(k.size(e)); };
    auto bounded = [&](OpBuilder &, BoundedOp op, Value value, Value when) -> Value {
      if (lanes == 1 || use(op.getResult(), inner).kind != LaneUse::Uniform)
        return k.toIndex(k.bounded(op, value, when));
      Values &once = seen[op].values;
      if (once.empty())
        once = {k.toIndex(k.bounded(op, value, when))};
      return once[0];
    };
    Values first = leading.empty() ? Values() : leading[lane];
    results.push_back(codegen::inlineBody(k.b, region, first, operands.size(), at, {read, size, bounded})[0]);
  }
  return results;
}

Value BodyEmitter::emit(ValueRange leading, ArrayRef<Value> indices) {
  Alignment none;
  Values first(leading);
  return emit(ArrayRef<Values>(first), indices, -1, 1, none)[0];
}
