//===- ScatterStates.cpp - caches that are written where data says --------===//
//
//   func(%cache : [slots, 64])               %writer = for each slot the last row that goes there, or -1
//   %next = scatter assign %cache, %i, %u    %place = for each row its slot, or none where a later row has the same one
//   return %next                        ->   %next = update { kept ? u[j] to place[j] : writer[j] >= 0 ? u[writer[j]]
//                                                                                                       : cache[j] }
//
// Pages of caches and caches of fixed size are written at slots that a caller chooses. Where a session keeps the cache,
// only the rows that go into it are computed; where not, the result is made slot by slot. Either table is empty where
// it is not needed. A cache may be seen through views, and through transpositions that bring its slots to the front.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/IndexCounts.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_SCATTERSTATES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// Up to so many rows are compared with one another; of more the table of slots says which one is the last.
constexpr int64_t kMostPairs = 1024;

/// A body under construction.
struct Scalars {
  OpBuilder &b;
  Location loc;

  Value index(int64_t v) { return arith::ConstantIndexOp::create(b, loc, v); }
  Value i64(int64_t v) { return arith::ConstantIntOp::create(b, loc, v, 64); }
  Value size(Expr e) { return SizeOp::create(b, loc, e); }
  Value isSet(Expr e) { return cmp(arith::CmpIPredicate::ne, size(e), index(0)); }
  Value cmp(arith::CmpIPredicate p, Value x, Value y) { return arith::CmpIOp::create(b, loc, p, x, y); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, loc, c, x, y); }
  Value toIndex(Value v) { return arith::IndexCastOp::create(b, loc, b.getIndexType(), v); }
  Value toI64(Value v) { return arith::IndexCastOp::create(b, loc, b.getI64Type(), v); }
  Value read(Value tensor, ValueRange at) { return ReadOp::create(b, loc, tensor, at); }
  /// The element, or `otherwise` where an index of `check` is outside.
  Value readOr(Value tensor, ValueRange at, Value otherwise, ArrayRef<int64_t> check) {
    auto read = ReadOp::create(b, loc, tensor, at, otherwise);
    read.setCheckAttr(b.getDenseI64ArrayAttr(check));
    return read;
  }
};

/// A value seen through views and one transposition.
struct Seen {
  Value source; // behind the views
  GenericOp turn;
  SmallVector<int64_t> perm; // of `turn`

  explicit Seen(Value v) : source(throughReshapes(v)) {
    auto generic = source.getDefiningOp<GenericOp>();
    auto found = generic ? asPermutation(generic) : std::nullopt;
    if (!found)
      return;
    turn = generic, perm = *found;
    source = throughReshapes(generic.getInputs()[0]);
  }
};

class ScatterState {
public:
  ScatterState(func::FuncOp func, func::ReturnOp ret, unsigned result)
      : func(func), ret(ret), result(result), b(func.getContext()) {}

  bool run() {
    if (!match())
      return false;
    rewrite();
    return true;
  }

private:
  Expr number(int64_t v) { return Expr::constant(b.getContext(), v); }
  /// `plain` where a session keeps nothing, else `kept`.
  Expr either(Expr plain, Expr kept) {
    return Expr::select(Expr::eq(number(0), Expr::symbol(b.getContext(), kCapacity)), plain, kept);
  }
  /// Numbers, for each line `count`.
  SymTensorType numbers(Expr count, ArrayRef<Expr> behind = {}) {
    SmallVector<ExprAttr> dims;
    for (int64_t d : lines)
      dims.push_back(stored.dim(d).attr());
    dims.push_back(count.attr());
    for (Expr e : behind)
      dims.push_back(e.attr());
    return SymTensorType::get(b.getContext(), dims, b.getI64Type());
  }

  /// Whether nothing but what this follows reads `v`, an argument or a view of it, on the way to the scatter.
  bool readByScatterAlone(Value v) {
    while (v.hasOneUse()) {
      Operation *user = *v.getUsers().begin();
      if (user == op)
        return op.getBase() == v;
      if (!isa<ReshapeOp, GenericOp>(user))
        return false;
      v = user->getResult(0);
    }
    return false;
  }

  bool match() {
    Seen out(ret.getOperand(result));
    op = out.source.getDefiningOp<ScatterOp>();
    if (!op || op.getKind() != ScatterKind::assign || op->getBlock() != &func.getBody().front())
      return false;
    Seen in(op.getBase());
    argument = dyn_cast<BlockArgument>(in.source);
    if (!argument || argument.getOwner() != &func.getBody().front() ||
        func.getArgAttr(argument.getArgNumber(), kTied) || argument.getType() != ret.getOperand(result).getType() ||
        !readByScatterAlone(argument) || !in.turn != !out.turn)
      return false;
    SymTensorType base = op.getBase().getType();
    stored = base;
    perm = llvm::to_vector(llvm::seq<int64_t>(0, base.getRank()));
    if (in.turn) { // what comes out lies as what goes in
      stored = cast<SymTensorType>(in.turn.getInputs()[0].getType());
      perm = in.perm, turnedBack = out.turn;
      for (auto [i, p] : llvm::enumerate(out.perm))
        if (perm[p] != (int64_t)i)
          return false;
      if (stored != argument.getType() || in.turn.getResult() != op.getBase() ||
          out.turn.getInputs()[0] != op.getResult() || out.turn.getResult().getType() != stored)
        return false;
    }
    return matchColumn() || matchRows();
  }

  /// Indices of which one is data and the others count through all of their dimensions, as exporters spell a whole
  /// range: of each line along the dimension that data chooses from, some elements are written.
  bool matchColumn() {
    SymTensorType base = op.getBase().getType(), type = op.getIndices().getType();
    int64_t depth = *type.dim(1).asConstant();
    indices = throughReshapes(op.getIndices());
    auto spelled = cast<SymTensorType>(indices.getType());
    if (spelled.getRank() < 2 || spelled.getRank() - 1 > kMostGridDims ||
        !spelled.dim(spelled.getRank() - 1).isConstant(depth))
      indices = op.getIndices(), spelled = type;
    grid.clear();
    SmallVector<Count> at;
    for (ExprAttr d : spelled.getDims().drop_back())
      at.push_back(Count::index(b.getContext(), grid.size())), grid.push_back(d);
    baseOf.assign(grid.size(), -1);
    std::optional<Count> data;
    for (int64_t k = 0; k < depth; ++k) {
      at.push_back(Count::number(number(k)));
      Count count = countOver(grid, indices, at);
      at.pop_back();
      if (!count.known) {
        if (std::exchange(data, count))
          return false;
        column = k;
      } else if (!count.first.isConstant(0) || (count.dim ? baseOf[*count.dim] >= 0 : !base.dim(k).isConstant(1)) ||
                 (count.dim && grid[*count.dim] != Expr(base.dim(k)))) {
        return false;
      } else if (count.dim) {
        baseOf[*count.dim] = k;
      }
    }
    if (!data)
      return false;
    axis = perm[column], rows = number(1), slots = stored.dim(axis);
    lines.clear();
    bool found = false;
    for (auto [g, extent] : llvm::enumerate(grid)) {
      bool decides = data->along >> g & 1;
      if (baseOf[g] >= 0 && decides)
        lines.push_back(perm[baseOf[g]]);
      if (baseOf[g] >= 0 || extent.isConstant(1))
        continue;
      if (std::exchange(found, true))
        return false;
      rows = extent, rowDim = g;
    }
    // Each line looks at one point of the dimensions that do not decide, if there are any.
    for (auto [g, k] : llvm::enumerate(baseOf))
      if (k >= 0 && !(data->along >> g & 1) && !(grid[g] - 1).isNonNegative())
        rows = Expr::select(Expr::eq(number(0), grid[g]), number(0), rows);
    llvm::sort(lines);
    // Where elements go has to be the same all along the last dimension.
    int64_t last = stored.getRank() - 1;
    return axis != last && !llvm::is_contained(lines, last);
  }

  /// Rows of several indices that are data, or of one that may be anything: the leading dimensions are one.
  bool matchRows() {
    SymTensorType base = op.getBase().getType(), type = op.getIndices().getType();
    int64_t depth = *type.dim(1).asConstant();
    if (depth < 1 || depth == base.getRank() || turnedBack)
      return false;
    slots = number(1), rows = type.dim(0), axis = 0;
    for (int64_t d = 0; d < depth; ++d)
      slots = slots * base.dim(d);
    SmallVector<ExprAttr> dims{slots.attr()};
    dims.append(base.getDims().begin() + depth, base.getDims().end());
    stored = SymTensorType::get(b.getContext(), dims, base.getElementType());
    perm = llvm::to_vector(llvm::seq<int64_t>(0, stored.getRank()));
    indices = op.getIndices(), grid = {rows}, baseOf = {-1}, rowDim = 0, lines.clear(), column = -1;
    return true;
  }

  /// A tensor computed element by element. `fill` gets the body's operands and indices.
  Value generic(SymTensorType type, ValueRange inputs, function_ref<Value(Scalars, ValueRange)> fill) {
    auto made = GenericOp::create(b, op.getLoc(), type, inputs);
    Block *block = addBody(made.getBody(), {}, inputs, type.getRank());
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    Value v = fill({inner, op.getLoc()}, block->getArguments());
    YieldOp::create(inner, op.getLoc(), v);
    return made.getResult();
  }
  Value view(SymTensorType type, Value v) {
    return v.getType() == type ? v : ReshapeOp::create(b, op.getLoc(), type, v).getResult();
  }

  /// The place in the grid of row `row` of the line at `line`; 0 along dimensions that it does not depend on.
  SmallVector<Value> pointOf(Scalars s, ValueRange line, Value row) {
    SmallVector<Value> point;
    for (auto [g, k] : llvm::enumerate(baseOf)) {
      auto *found = k < 0 ? lines.end() : llvm::find(lines, perm[k]);
      point.push_back((int64_t)g == rowDim ? row : found != lines.end() ? line[found - lines.begin()] : s.index(0));
    }
    return point;
  }

  /// The slot of row `row` of a line; `slots` where it has none. `from` are the indices.
  Value slotOf(Scalars s, Value from, ValueRange line, Value row) {
    SymTensorType base = op.getBase().getType();
    SmallVector<Value> point = pointOf(s, line, row);
    int64_t begin = column < 0 ? 0 : column,
            end = column < 0 ? *op.getIndices().getType().dim(1).asConstant() : column + 1;
    Value slot, inside;
    for (int64_t d = begin; d < end; ++d) {
      // In 64 bits: an index of a body may have fewer.
      point.push_back(s.index(d));
      Value given = s.read(from, point);
      point.pop_back();
      Expr limit = base.dim(d);
      Value size = s.size(limit), wide = s.toI64(size);
      Value negative = s.cmp(arith::CmpIPredicate::slt, given, s.i64(0));
      Value at = s.select(negative, arith::AddIOp::create(s.b, s.loc, given, wide), given);
      Value in = s.cmp(arith::CmpIPredicate::ult, at, wide);
      at = s.toIndex(at);
      if (auto site = op.getSite())
        at = BoundedOp::create(s.b, s.loc, s.b.getIndexType(), given, limit.attr(), *site, Value(), /*wraps=*/true);
      inside = inside ? arith::AndIOp::create(s.b, s.loc, inside, in).getResult() : in;
      slot =
          slot ? arith::AddIOp::create(s.b, s.loc, arith::MulIOp::create(s.b, s.loc, slot, size), at).getResult() : at;
    }
    return s.toI64(s.select(inside, slot, s.size(slots)));
  }

  /// For each slot of each line the last of the first `rowCount` rows that goes there, or -1; of no slots where it is
  /// not needed. `all` are the slots of rows.
  Value writers(Value all, Expr slotCount, Expr rowCount) {
    int64_t depth = lines.size() + 1;
    Value none = generic(numbers(slotCount), {}, [](Scalars s, ValueRange) { return s.i64(-1); });
    Value own = generic(numbers(rowCount), {}, [](Scalars s, ValueRange args) { return s.toI64(args.back()); });
    Value at = generic(numbers(rowCount, number(depth)), all, [&](Scalars s, ValueRange args) {
      Value element = s.read(args[0], args.slice(1, depth));
      for (auto [i, coordinate] : llvm::enumerate(args.slice(1, lines.size()))) {
        Value here = s.cmp(arith::CmpIPredicate::eq, args.back(), s.index(i));
        element = s.select(here, s.toI64(coordinate), element);
      }
      return element;
    });
    Expr count = cast<SymTensorType>(own.getType()).numElements();
    auto flat = [&](ArrayRef<ExprAttr> dims) { return SymTensorType::get(b.getContext(), dims, b.getI64Type()); };
    return ScatterOp::create(b, op.getLoc(), none.getType(), none, view(flat({count.attr(), number(depth).attr()}), at),
                             view(flat(count.attr()), own), ScatterKindAttr::get(b.getContext(), ScatterKind::assign),
                             IntegerAttr())
        .getResult();
  }

  /// Where a session keeps the cache, the slot of each row, or `slots` where it has none or a later row has it.
  Value places(Value all, Expr pairs, Value writer) {
    Expr count = either(number(0), rows);
    if (rows.isConstant(1))
      return all;
    SmallVector<Value> inputs{all, writer};
    auto later = ReduceOp::create(b, op.getLoc(), numbers(count), inputs, ReduceKind::max,
                                  b.getArrayAttr({Expr::select(pairs, rows, number(0)).attr()}));
    {
      Block *body = addBody(later.getBody(), {}, inputs, lines.size() + 2);
      OpBuilder inner = OpBuilder::atBlockEnd(body);
      Scalars s{inner, op.getLoc()};
      SmallVector<Value> at(body->getArguments().drop_front(2).drop_back());
      Value own = s.read(body->getArgument(0), at), number = body->getArguments().back();
      at.back() = number;
      Value same = s.cmp(arith::CmpIPredicate::eq, own, s.read(body->getArgument(0), at));
      YieldOp::create(inner, op.getLoc(), s.select(same, s.toI64(number), s.i64(-1)));
    }
    Block *end = addBody(later.getEpilogue(), b.getI64Type(), inputs, lines.size() + 1);
    OpBuilder inner = OpBuilder::atBlockEnd(end);
    Scalars s{inner, op.getLoc()};
    SmallVector<Value> at(end->getArguments().drop_front(3));
    Value row = at.back(), slot = s.read(end->getArgument(1), at);
    at.back() = s.toIndex(slot);
    Value listed = s.readOr(end->getArgument(2), at, s.i64(-1), (int64_t)lines.size());
    Value last = s.select(s.isSet(pairs), end->getArgument(0), listed);
    Value isLast = s.cmp(arith::CmpIPredicate::eq, last, s.toI64(row));
    YieldOp::create(inner, op.getLoc(), s.select(isLast, slot, s.toI64(s.size(slots))));
    return later.getResult();
  }

  void rewrite() {
    b.setInsertionPoint(op);
    Location loc = op.getLoc();
    Expr one = number(1);
    Expr pairs = either(number(0), rows.isConstant(1) ? one : Expr::lt(rows, number(kMostPairs + 1)));
    Value all = generic(numbers(rows), indices, [&](Scalars s, ValueRange args) {
      return slotOf(s, args[0], args.slice(1, lines.size()), args.back());
    });
    Value writer = writers(all, Expr::select(pairs, number(0), slots), Expr::select(pairs, number(0), rows));
    Value place = places(all, pairs, writer);
    SmallVector<ExprAttr> shape;
    for (Expr e : grid)
      shape.push_back(e.attr());
    shape.append(op.getUpdates().getType().getDims().begin() + 1, op.getUpdates().getType().getDims().end());
    Value updates = throughReshapes(op.getUpdates());
    updates = view(SymTensorType::get(b.getContext(), shape, stored.getElementType()), updates);
    SmallVector<Value> inputs{view(stored, argument), updates, writer, place};
    auto update = UpdateOp::create(b, loc, stored, inputs, axis, number(0).attr(), either(slots, rows).attr());
    Block *block = addBody(update.getBody(), {}, inputs, stored.getRank());
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    Scalars s{inner, loc};
    SmallVector<Value> at(block->getArguments().drop_front(inputs.size())), line, from;
    for (int64_t d : lines)
      line.push_back(at[d]);
    Value index = at[axis], kept = s.isSet(either(number(0), one)), none = s.index(-1);
    Value plain = s.select(kept, none, index);
    line.push_back(plain);
    Value writing = s.toIndex(s.readOr(block->getArgument(2), line, s.i64(-1), (int64_t)lines.size()));
    Value row = s.select(kept, index, writing);
    for (auto [g, k] : llvm::enumerate(baseOf))
      from.push_back(k >= 0 ? at[perm[k]] : (int64_t)g == rowDim ? row : s.index(0));
    for (int64_t d = column < 0 ? 1 : *op.getIndices().getType().dim(1).asConstant(); d < (int64_t)perm.size(); ++d)
      from.push_back(at[perm[d]]);
    int64_t checked = rowDim;
    if (rowDim < 0) { // one row, which is written or not
      checked = 0;
      Value is = s.cmp(arith::CmpIPredicate::eq, row, s.index(0));
      from[0] = s.select(is, from[0], none);
    }
    at[axis] = plain;
    Value zero = arith::ConstantOp::create(inner, loc, inner.getZeroAttr(stored.scalarType()));
    Value old = s.readOr(block->getArgument(0), at, zero, axis);
    Value element = s.readOr(block->getArgument(1), from, old, checked);
    line.back() = s.select(kept, index, none);
    Value slot = s.toIndex(s.readOr(block->getArgument(3), line, s.i64(0), (int64_t)lines.size()));
    Value moved = s.select(kept, arith::SubIOp::create(inner, loc, slot, index), s.index(0));
    YieldOp::create(inner, loc, ValueRange{element, moved});
    replaceBy(update.getResult());
    func.setArgAttr(argument.getArgNumber(), kTied, b.getI64IntegerAttr(result));
    func.setResultAttr(result, kTied, b.getI64IntegerAttr(argument.getArgNumber()));
    func.setResultAttr(result, kTiedAxis, b.getI64IntegerAttr(axisOfArgument()));
  }

  void replaceBy(Value update) {
    SymTensorType type = op.getResult().getType();
    if (!turnedBack) {
      op.getResult().replaceAllUsesWith(view(type, update));
    } else {
      turnedBack.getResult().replaceAllUsesWith(update);
      turnedBack.erase();
      if (!op.getResult().use_empty())
        op.getResult().replaceAllUsesWith(generic(type, update, [&](Scalars s, ValueRange args) {
          SmallVector<Value> at(perm.size());
          for (auto [i, p] : llvm::enumerate(perm))
            at[p] = args[1 + i];
          return s.read(args[0], at);
        }));
    }
    op.erase();
  }

  /// The dimension of the argument that has the slots, or, of several that do, the last one of unknown size.
  int64_t axisOfArgument() {
    auto type = cast<SymTensorType>(argument.getType());
    if (type == stored)
      return axis;
    Expr before = number(1), all = number(1);
    for (int64_t d = 0; d < axis; ++d)
      before = before * stored.dim(d);
    int64_t d = 0;
    while (d < type.getRank() && all != before)
      all = all * type.dim(d++);
    int64_t found = std::min(d, type.getRank() - 1);
    for (; d < type.getRank() && all != before * slots; ++d) {
      all = all * type.dim(d);
      found = type.dim(d).kind() == Expr::Kind::Symbol ? d : found;
    }
    return found;
  }

  func::FuncOp func;
  func::ReturnOp ret;
  unsigned result;
  OpBuilder b;
  ScatterOp op;
  BlockArgument argument;
  GenericOp turnedBack;       // gives the result the argument's order
  SymTensorType stored;       // what is kept, as the window is written
  SmallVector<int64_t> perm;  // dimension i of what is scattered is dimension perm[i] of what is stored
  int64_t axis = 0;           // of what is stored: slots lie along it,
  Expr slots, rows;           // so many, of which so many rows are written
  SmallVector<int64_t> lines; // dimensions of what is stored along which rows have other slots
  // Rows and what is in them, as indices and updates have them.
  Value indices;
  SmallVector<Expr> grid;
  SmallVector<int64_t> baseOf; // of a dimension of the grid: the one that it counts through of what is scattered, or -1
  int64_t rowDim = -1;         // the one that is the row; -1: there is one row
  int64_t column = -1;         // of the indices that is the slot; -1: all are
};

struct ScatterStatesPass : kt::impl::ScatterStatesBase<ScatterStatesPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    auto ret = cast<func::ReturnOp>(getOperation().getBody().front().getTerminator());
    bool any = false;
    for (unsigned i = 0; i < ret.getNumOperands(); ++i)
      any |= ScatterState(getOperation(), ret, i).run();
    if (any)
      eraseDead(getOperation()); // what turned the caches
  }
};

} // namespace
